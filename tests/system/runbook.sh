# SPDX-License-Identifier: BSD-3-Clause
#
# What docs/runbook.md is made with: the procedures are run with the real daemons, what is
# typed and printed is recorded in blocks, and each block is compared with the document's.
# With RUNBOOK=write the document is given the new block instead. lib.sh comes first.

runbook=$(cd "$(dirname "$0")/../.." && pwd)/docs/runbook.md

# ---- recording ------------------------------------------------------------------------

# begin NAME: what is recorded from here on is this block.
begin()
{
	block=$1
	: >"$T/block"
}

# Which site's prompt stands before a command: a shell each.
prompt()
{
	echo "$1# $2" >>"$T/block"
}

# typed SITE COMMAND: shown only; the test does the same in its own way.
typed()
{
	prompt "$1" "$2"
}

# shown FILE STATUS: what a command has printed, and how it ended.
shown()
{
	cat "$1" >>"$T/block"
	[ "$2" -eq 0 ] || echo "(exit status $2)" >>"$T/block"
}

# at SITE VERB...: wanmirror there, as it is typed.
at()
{
	at_site=$1
	shift
	at_status=0
	"$build/wanmirror" -c "$T/$at_site.conf" "$@" >"$T/printed" 2>&1 || at_status=$?
	prompt "$at_site" "wanmirror $*"
	shown "$T/printed" "$at_status"
}

# status SITE: which state, and why.
status()
{
	prompt "$1" "wanmirror status | head -n 4"
	"$build/wanmirror" -c "$T/$1.conf" status | head -n 4 >>"$T/block"
}

# read_only SITE: may clients write there?
read_only()
{
	prompt "$1" "nbdinfo 'nbd+unix:///data?socket=/run/wanmirror/nbd.sock' | grep read_only"
	nbdinfo "$(uri "$1")" | grep read_only | tr -s '\t ' ' ' >>"$T/block"
}

# last_events SITE PATTERN: those that say it.
last_events()
{
	prompt "$1" "wanmirror events g | grep -E '$2'"
	"$build/wanmirror" -c "$T/$1.conf" events g | grep -E "$2" >>"$T/block"
}

# ---- comparing ------------------------------------------------------------------------

# No path or port of this machine is in the document.
public()
{
	sed -E "s,$T/[a-z]+\.store,/var/lib/wanmirror/g.store,g
		s,$T/[a-z]+\.(conf|ctl),/etc/wanmirror/wanmirror.conf,g
		s,$T,/var/lib/wanmirror,g
		s,(127\.0\.0\.1|\[::1\]):[0-9]+,192.0.2.1:4711,g
		s,192\.0\.2\.1:4711:[0-9]+,192.0.2.1:4711,g
		s,127\.0\.0\.1,192.0.2.1,g"
}

# What differs from run to run: times, ages, ids, LSNs, epochs, sizes.
normal()
{
	sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?/TIME/g
		s/[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?/TIME/g
		s/\b[0-9a-f]{16}\b/ID/g
		s/\b[0-9a-f]{32}\b/ID/g
		s/\b[0-9]+(\.[0-9]+)? (ms|s|min|h|days?|KiB|MiB|bytes)\b/AMOUNT/g
		s/\b(lsn|LSN|LSN of the old primary:|epoch) [0-9]+/\1 N/g
		s/[A-Za-z_-]+=[0-9]+(\.[0-9]+)?/FIGURE/g
		s/, wanmirror [0-9][0-9a-z.-]*/, wanmirror VERSION/' |
		uniq # a step that lasts is shown again
}

# The block NAME of the document, without its fence.
documented()
{
	awk -v begin="<!-- block: $1 -->" '
		$0 == begin { on = 1; next }
		on && /^<!-- end -->$/ { exit }
		on && !/^```/' "$runbook"
}

written()
{
	awk -v begin="<!-- block: $1 -->" -v file="$2" '
		$0 == begin {
			print
			print "```"
			while ((getline line < file) > 0)
				print line
			print "```"
			skip = 1
			next
		}
		/^<!-- end -->$/ { skip = 0 }
		!skip' "$runbook" >"$T/runbook"
	cat "$T/runbook" >"$runbook"
}

# The block is complete: it is what the document shows.
end_block()
{
	public <"$T/block" >"$T/now"
	! grep -n -e "$T" -e "$build" "$T/now" || fail "a path of this machine is in $block"
	grep -q "^<!-- block: $block -->$" "$runbook" || fail "docs/runbook.md has no $block"
	documented "$block" | normal >"$T/expected"
	normal <"$T/now" >"$T/normal"
	cmp -s "$T/expected" "$T/normal" && return 0
	if [ "${RUNBOOK:-}" = write ]; then
		written "$block" "$T/now"
		return 0
	fi
	diff -u "$T/expected" "$T/normal" || true
	fail "docs/runbook.md shows another $block: make runbook"
}

# ---- what the procedures share --------------------------------------------------------

# A condition that only passes: for what is refused as long as it is true.
why_is()
{
	field "$1" groups.0.why 2>/dev/null | grep -q -e "$2"
}

written_pair()
{
	need nbdcopy nbdinfo
	volumes='{ name = "data"; size = "64MiB"; }'
	store_size=192MiB
	sync=network
	pair_in_sync
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
}

# The other role in the file, as an editor does it.
becomes()
{
	sed -i "s/role = \"[a-z]*\"/role = \"$2\"/" "$T/$1.conf"
}

all_persisted() # SITE
{
	field "$1" groups.0.lsn >"$T/lsn" 2>/dev/null || return 1
	[ "$("$tools/jget" admitted <"$T/lsn")" = "$("$tools/jget" persisted <"$T/lsn")" ]
}

may_promote()
{
	"$build/wanmirror" -c "$T/$1.conf" promote g --dry-run >/dev/null 2>&1
}

# It was stopped for so long that its start counts as a cold one. No sooner can a start be
# asked what it does, so this is the length of a wait and not a guess.
cold()
{
	sleep 6
}
