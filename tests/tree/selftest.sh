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

int six(int a, int b, int c, int d, int e, int f)
{
	struct ops *o = text;

	o->read(a); // malloc(
	return o->x.write(rt_a());
}
END
	printf '# SPDX-License-Identifier: BSD-3-Clause\nall: $(B)/lfs/good.o\n%%.o: ; @:\n' \
		>Makefile
	printf '# SPDX-License-Identifier: BSD-3-Clause\n' >tests/tree/decoders.txt
}

# refused CHECK PLACE: the check complains of PLACE in the sample tree as it is now.
refused()
{
	shown=$((shown + 1))
	out=$(sh "$here/check_$1.sh" 2>&1) && out="(passed)"
	case $out in
	*"$2"*) ;;
	*)
		failures=$((failures + 1))
		printf 'check_%s does not refuse %s: %s\n' "$1" "$2" "$out"
		;;
	esac
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

for call in strcpy strcat sprintf vsprintf atoi atol alloca system gets strtok; do
	good
	printf 'void f(void)\n{\n\t%s(a);\n}\n' $call | source_of control/bad.c
	refused calls "control/bad.c:4: call of $call()"
done
for call in malloc free time rand read write socket clock_gettime; do
	good
	printf 'void f(void)\n{\n\tif (x) /* y */ %s (a);\n}\n' $call | source_of lfs/bad.c
	refused calls "lfs/bad.c:4: call of $call()"
	mv lfs/bad.c rt/bad.c
	accepted calls
done

good
echo 'int a;' >rt/plain.c
refused licence rt/plain.c:1
good
printf '#!/bin/sh\necho\n' >tests/plain.sh
refused licence tests/plain.sh:1

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

for word in /wor''k/main /hom''e/somebody /roo''t/x 'TO''DO: later' 'FIX''ME'; do
	good
	echo "/* $word */" | source_of lfs/word.c
	refused words lfs/word.c:2
done

[ "$failures" -eq 0 ] || exit 1
echo "$shown samples judged as they should be"
