#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Each check of the tree is shown a good sample, which it has to pass, and bad ones, each
# of which it has to refuse at the right place: a check that cannot fail protects nothing.
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
failures=0
shown=0

# A fresh sample tree in which every check is content.
good()
{
	rm -rf "$dir/tree"
	mkdir -p "$dir/tree/rt" "$dir/tree/lfs" "$dir/tree/tests/tree" \
		"$dir/tree/replicator/tunnel" "$dir/tree/fec" "$dir/tree/nbd-server"
	cd "$dir/tree" || exit 2
	printf '/* SPDX-License-Identifier: BSD-3-Clause */\nint rt_a(void);\n' >rt/a.h
	cat >lfs/good.c <<'END'
// SPDX-License-Identifier: BSD-3-Clause
#include "rt/a.h"

/* strcpy(a, b) in a comment, "system(" in a string and members are no calls. */
static const char *text = "strcpy(";

int good_six(int a, int b, int c, int d, int e, int f)
{
	struct ops *o = text;

	o->read(a); // malloc(
	return o->x.write(rt_a());
}
END
	printf '# SPDX-License-Identifier: BSD-3-Clause\nall: $(B)/lfs/good.o\n%%.o: ; @:\n' \
		>Makefile
	printf '# SPDX-License-Identifier: BSD-3-Clause\n' >tests/tree/decoders.txt
	cp tests/tree/decoders.txt tests/tree/states.txt
	cp tests/tree/decoders.txt tests/tree/behaviours.txt
}

# document FILE, then the text on standard input
document()
{
	mkdir -p "$(dirname "$1")"
	cat >"$1"
}

# refused CHECK PLACE...: the check complains of each place in the sample tree as it is now.
refused()
{
	out=$(sh "$here/check_$1.sh" 2>&1) && out="(passed)"
	check=$1
	shift
	for place; do
		shown=$((shown + 1))
		case $out in
		*"$place"*) ;;
		*)
			failures=$((failures + 1))
			printf 'check_%s does not refuse %s: %s\n' "$check" "$place" "$out"
			;;
		esac
	done
}

accepted()
{
	shown=$((shown + 1))
	out=$(sh "$here/check_$1.sh" 2>&1) || {
		failures=$((failures + 1))
		printf 'check_%s refuses a good tree: %s\n' "$1" "$out"
	}
}

source_of() # FILE, then the text on standard input
{
	mkdir -p "$(dirname "$1")"
	{
		echo "// SPDX-License-Identifier: BSD-3-Clause"
		cat
	} >"$1"
}

repeat() # TIMES TEXT
{
	awk -v n="$1" -v text="$2" 'BEGIN { for (i = 0; i < n; i++) print text }'
}

for script in "$here"/check_*.sh; do
	good
	name=${script##*/check_}
	accepted "${name%.sh}"
done

good
echo '#include "lfs/lfs.h"' | source_of fec/up.c
refused layers "fec/up.c:2: may not include \"lfs/lfs.h\""
echo '#include "replicator/gate.h"' | source_of nbd-server/up.c
refused layers nbd-server/up.c:2
echo '#include "rt/loop.h"' | source_of replicator/tunnel/ack.c
refused layers replicator/tunnel/ack.c:2
printf '  # include   "lfs/lfs.h"\n' | source_of replicator/tunnel/io.c
refused layers replicator/tunnel/io.c:2
echo '#include <pthread.h>' | source_of lfs/threads.c
refused layers lfs/threads.c:2

good
printf 'int f(struct nowhere *a, uint32_t b);\n' >rt/needs.h
refused headers rt/needs.h:1
printf '#ifndef RT_OTHER_H\n#define RT_OTHER_H\n#endif\n' >rt/needs.h
refused headers 'rt/needs.h:1: its guard is RT_OTHER_H, not RT_NEEDS_H'

good
{
	printf 'int f(void)\n{\n'
	repeat 71 '	a();'
	printf '}\n'
} | source_of rt/long.c
refused sizes 'rt/long.c:3: function of 71 lines'
{
	printf 'int f(void)\n{\n'
	repeat 70 '	a();'
	printf '}\n'
} | source_of rt/long.c
accepted sizes
repeat 700 'int a;' | source_of rt/big.c
refused sizes rt/big.c:701
repeat 701 'true' >tests/tree/big.sh
refused sizes tests/tree/big.sh:701
good
printf 'int f(int a, int b, int c,\n      int d, int e, int f, int g)\n{\n}\n' | source_of rt/p.c
refused sizes 'rt/p.c:2: more than 6 parameters'
printf 'int f(int a, int (*b)(int, int), int c, int d, int e, int f);\n' | source_of rt/p.c
accepted sizes
good
cat <<'END' | source_of rt/deep.c
void f(void)
{
	for (;;)
		if (a)
			while (b)
				if (c)
					if (d)
						e();
}
END
refused sizes 'rt/deep.c:8: nesting of more than 4'
cat <<'END' | source_of rt/deep.c
void f(void)
{
	if (a) { if (b) { if (c) { if (d) {
		if (e) { g(); }
	} } } }
}
END
refused sizes 'rt/deep.c:5: nesting of more than 4'

good
{
	printf '# A title. One. Two. Three. Four. Five.\n\n'
	repeat 5 'One sentence.'
	printf '\n1. One. Two. Three. Four.\n   Five.\n2. Six.\n'
} | document docs/few.md
accepted sizes
{
	printf 'First.\n\n'
	repeat 6 'One sentence.'
} | document docs/many.md
refused sizes 'docs/many.md:3: paragraph of 6 sentences'

# One file with a call on each line behind the head; refused at each.
calls_of() # CALL...
{
	printf 'void f(void)\n{\n'
	for call; do
		printf '\tif (x) /* y */ %s (a);\n' "$call"
	done
	printf '}\n'
}
places_of() # FILE CALL...
{
	file=$1
	shift
	line=3
	for call; do
		line=$((line + 1))
		printf '%s:%d: call of %s()\n' "$file" $line "$call"
	done
}
good
banned="strcpy strcat sprintf vsprintf atoi atol alloca system gets strtok"
around="malloc free time rand read write socket clock_gettime"
IFS_was=$IFS
# shellcheck disable=SC2086 # lists of words
{
	calls_of $banned | source_of control/bad.c
	calls_of $around | source_of lfs/bad.c
	places=$(places_of control/bad.c $banned; places_of lfs/bad.c $around)
	IFS='
'
	refused calls $places
	IFS=$IFS_was
}
rm control/bad.c
mv lfs/bad.c rt/bad.c
accepted calls

good
echo 'int a;' >rt/plain.c
refused licence rt/plain.c:1
good
printf '#!/bin/sh\necho\n' >tests/plain.sh
refused licence tests/plain.sh:1

if command -v mandoc >/dev/null; then
	good
	mkdir -p docs/man
	printf '.Dd November 30, 2026\n.Dt GOOD 1\n.Os\n.Sh NAME\n.Nm good\n.Nd a page\n' \
		>docs/man/good.1
	accepted manuals
	printf '.Sh EXAMPLES\n.Bl -tag\n.It one\n' >>docs/man/good.1
	refused manuals docs/man/good.1:8
fi

good
echo 'int a;' | source_of lfs/orphan.c
refused built lfs/orphan.c:1
good
rm Makefile
refused built Makefile:1

good
printf 'int lfs_head_decode(const uint8_t *p)\n{\n}\n' | source_of lfs/head.c
refused decoders lfs/head.c:2
echo 'lfs/head.c tests/unit/lfs/test_head.c tests/fuzz/fuzz_head.c' >>tests/tree/decoders.txt
refused decoders 'test_head.c does not exist'
echo 'int t;' | source_of tests/unit/lfs/test_head.c
refused decoders 'fuzz_head.c does not exist'
echo 'int t;' | source_of tests/fuzz/fuzz_head.c
accepted decoders
echo 'lfs/head.c' >>tests/tree/decoders.txt
refused decoders decoders.txt:3
echo 'lfs/head.c - -' >tests/tree/decoders.txt
refused decoders decoders.txt:1
echo 'lfs/head.c - - # called by us only' >tests/tree/decoders.txt
accepted decoders
rm tests/tree/decoders.txt
refused decoders decoders.txt:1

good
echo 'int t;' | source_of tests/unit/lfs/test_good.c
echo 'int t;' | source_of tests/unit/rt/test_a.c
echo 'int t;' | source_of tests/wan/line.c
echo 'int t;' | source_of tests/unit/wan/test_line.c
accepted tests
echo 'int t;' | source_of tests/unit/rt/test_good.c
echo 'int t;' | source_of tests/unit/lfs/live/test_odd.c
refused tests 'tests/unit/rt/test_good.c:1: called as no module' \
	'tests/unit/lfs/live/test_odd.c:1: called as no module'
echo 'rt/good  a good deal' >>tests/tree/behaviours.txt
echo 'lfs/live/odd  an oddity' >>tests/tree/behaviours.txt
accepted tests
echo 'lfs/live/odd' >>tests/tree/behaviours.txt
echo 'lfs/good  the module' >>tests/tree/behaviours.txt
echo 'lfs/none  is not there' >>tests/tree/behaviours.txt
refused tests behaviours.txt:4:\ wants 'behaviours.txt:4: lfs/live/odd has two rows' \
	'behaviours.txt:5: lfs/good is called as its module' \
	'behaviours.txt:6: there is no test lfs/none'
rm tests/tree/behaviours.txt
refused tests behaviours.txt:1

good
for word in /wor''k/main /hom''e/somebody /roo''t/x 'TO''DO: later' 'FIX''ME'; do
	echo "/* $word */"
done | source_of lfs/word.c
refused words lfs/word.c:2 lfs/word.c:3 lfs/word.c:4 lfs/word.c:5 lfs/word.c:6

good
printf '{ "rate", 1 },\n' | source_of control/config_schema.c
cat <<'END' | document docs/way.md
# The way

`rt/a.h` and fec/, rt_a() of `struct ops`; `make all`; `rate = "auto"`; lfs/{good,x}.c,
*.c, a.h; see docs/way.md, "The way". Not ours: cmocka.h, <sys/none.h>, strcpy().
END
printf 'file cmocka.h\nfunction strcpy\n' >tests/tree/foreign.txt
accepted references
cat <<'END' >../names
rt/none.h
lfs/none.c
rt/no*.c
docs/none.md
none.c
none()
`struct no_such`
docs/way.md, "No way"
tests/none/
END
sed 's/.*/See &./' ../names | document docs/bad.md
echo '`make none`, `none = 5`' >>docs/bad.md
sed 's,.*,/* See &. */,' ../names | source_of lfs/bad.c
rm ../names
set --
for line in 1 2 3 4 5 6 7 8 9; do
	set -- "$@" docs/bad.md:$line "lfs/bad.c:$((line + 1))"
done
refused references "$@" docs/bad.md:10:\ target docs/bad.md:10:\ key
rm lfs/bad.c docs/bad.md
printf '/* good.c: the rest. */\nint good_six(int a);\nint seven(int a);\n' >lfs/bad.h
refused references 'lfs/bad.h:3: definition lfs/good.c seven'

good
echo 'struct train { int line_ns; };' | source_of replicator/tunnel/bad.c
refused retired 'replicator/tunnel/bad.c:2: train -> send batch' \
	'replicator/tunnel/bad.c:2: line_ns -> path'
echo 'int slot_ns, checkpoint_slot_ns; /* the slot */' | source_of lfs/bad.c
refused retired 'lfs/bad.c:2: slot_ns -> checkpoint slot'
echo 'int slot, checkpoint_slot_ns, records_in_flight;' | source_of lfs/bad.c
echo 'int line_ns; /* a line in a file */' | source_of control/bad.c
echo 'int log_level; /* one line of the log, a `line`, "line" */' | source_of fec/bad.c
echo 'int log_level;' | source_of replicator/tunnel/bad.c
accepted retired
echo '/* It was sent again in vain. */' | source_of replicator/bad.c
refused retired 'replicator/bad.c:2: "in vain" -> spurious'
echo 'comment replicator in vain 1' >tests/tree/baseline.txt
accepted retired
echo '/* It was sent again in vain; and in vain. */' | source_of replicator/bad.c
refused retired 'comment replicator in vain: 2, baseline.txt allows 1'
echo 'static const char *const e = "line-narrower lsn=%llu"; /* "line" */' |
	source_of replicator/bad.c
refused retired 'replicator/bad.c:2: "line" -> path'
printf '#define WHY \\\n\t"it was \\"heard\\""\n' | source_of replicator/bad.c
refused retired 'replicator/bad.c:3: "heard" -> received'
printf '#include "replicator/line.h"\nstatic const char e[] = "a `line` of line_ns";\n' |
	source_of replicator/bad.c
accepted retired
echo 'static const char e[] = "a line of the file";' | source_of control/bad.c
accepted retired
rm replicator/bad.c control/bad.c
echo 'It came late.' | document docs/bad.md
refused retired 'docs/bad.md:1: "came" -> received'
echo 'comment' >tests/tree/baseline.txt
refused retired 'baseline.txt:1: wants a key and a count'

good
printf 'static int torn(int a)\n{\n}\nstatic int scan_torn(int a)\n{\n}\n' |
	source_of lfs/bad.c
refused names 'lfs/bad.c:2: torn() has no noun'
{
	printf 'struct big {\n'
	repeat 15 '	int a, b;'
	printf '	int (*f)(int, int);\n};\n'
} | source_of lfs/bad.c
refused names 'lfs/bad.c:2: struct big of 31 fields'
sed -i s/big/lfs_stats/ lfs/bad.c
accepted names
echo 'int a;' | source_of fec/good.c
refused names 'fec/good.c:1: another folder has a good.c'

good
printf 'static int scan_torn(int a)\n{\n}\nint lfs_badly_a(void)\n{\n}\n' | source_of lfs/bad.c
refused names 'lfs/bad.c:2: scan_torn() has no noun of its file' \
	'lfs/bad.c:5: lfs_badly_a() has no noun of its file'
printf 'static int bads_torn(int a)\n{\n}\nint lfs_bad_a(void)\n{\n}\n' | source_of lfs/bad.c
accepted names
printf 'enum scan {\n};\nstatic int scan_torn(int a)\n{\n}\nint walls_a(void)\n{\n}\n' |
	source_of lfs/bad.c
printf 'struct lfs_wall {\n};\n' >lfs/bad.h
accepted names
rm lfs/bad.h
refused names 'lfs/bad.c:7: walls_a() has no noun of its file'
echo 'lfs/bad.c walls # it is their file' >tests/tree/nouns.txt
accepted names
echo 'lfs/bad.c walls roof scan # too much' >tests/tree/nouns.txt
refused names 'nouns.txt:1: lfs/bad.c needs no noun roof' \
	'nouns.txt:1: lfs/bad.c needs no noun scan'
echo 'lfs/bad.c walls' >tests/tree/nouns.txt
refused names 'nouns.txt:1: wants a file'

good
printf 'static const struct v verbs[] = {\n\t{ "status", TAKES, f },\n};\n' |
	source_of control/command.c
printf 'const char *a = "ask: wanmirror status";\n' | source_of lfs/asks.c
accepted verbs
printf 'const char *a = "see "\n\t"wanmirror "\n\t"rewind";\n' | source_of lfs/asks.c
refused verbs 'lfs/asks.c:1: "wanmirror rewind", but there is no such verb'
sed -i '/status/d' control/command.c
refused verbs 'control/command.c:1: where are its verbs?'

good
touch lfs/good.c.orig fec/good.c~ .edit.swp lfs/origin.c
refused strays lfs/good.c.orig:1 'fec/good.c~:1' .edit.swp:1
rm lfs/good.c.orig fec/good.c~ .edit.swp
accepted strays

. "$here/selftest_states.sh"

[ "$failures" -eq 0 ] || exit 1
echo "$shown samples judged as they should be"
