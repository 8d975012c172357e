#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Two daemons in two network namespaces, and a line between them that does its worst:
# nothing that was written is lost or changed, redundancy does not follow what is not the
# line's loss, and neither side's memory grows.
#
# BAD_LINE_ALL=1 does all of it to each of the codes, in two minutes.
# BAD_LINE="rs auto mirror icmp=off disorder" does just that.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
B=$build
. "$here/../wan/line.sh"

HWM_MIB=256 # most memory of a daemon, at any time
LINE=200Mbit

# ---- two sites ------------------------------------------------------------------------

launch_at() # PREFIX NAME
{
	# shellcheck disable=SC2086 # words
	$1 "$build/wanmirrord" -c "$T/$2.conf" >>"$T/$2.log" 2>&1 </dev/null &
	echo $! >"$T/$2.pid"
	later "end $!"
	wait_for 30 came_up "$2"
	exports "$2" || fail "$2 did not come up"
}

# A mirror that may not have the receive buffer that it asks for.
poor()
{
	! command -v setpriv >/dev/null ||
		echo setpriv --bounding-set -net_admin --inh-caps -net_admin
}

# sites CODE RATE EVIDENCE [LINE...]: both, in sync.
sites()
{
	why=$(line_can) || skip "$why"
	need nbdcopy nbdinfo
	code=$1 rate=$2 evidence=$3
	shift 3
	echo "--- $code $rate $evidence $*"
	later line_down # when the daemons have ended
	line_up rate=$LINE queue=100ms rtt=10ms "$@"
	volumes='{ name = "data"; size = "64MiB"; }'
	sync=network
	"$build/wanmirror" keygen key >keygen.out 2>&1
	options="key = \"$T/key\"; rate = \"$rate\"; evidence = \"$evidence\";
		heartbeat = \"200ms\"; away = \"2s\"; control_timeout = \"4s\";
		fec: { code = \"$code\"; };"
	site near primary "peer: { address = \"$line_b_address:7700\"; $options };"
	site far mirror "peer: { listen = \"*:7700\"; $options };"
	create near
	create far
	launch_at "$line_b $(poor)" far
	launch_at "$line_a" near
	wait_for 30 in_state near IN_SYNC
}

copy() # MIB: in the background
{
	random_file data "$1"
	nbdcopy --flush data "$(uri near)" &
	copying=$!
}

completed()
{
	wait $copying || fail "the copy ended with $?"
}

is_at_the_mirror()
{
	wait_for 60 persisted_all
	same_image "$(uri far)" data || fail "the mirror has something else"
}

copied()
{
	completed
	is_at_the_mirror
}

figure() # SITE NAME
{
	field "$1" "groups.0.$2"
}

counted() # NAME: of the line, in the data's direction
{
	line_ask stats | line_number "$1" ab
}

holds() # WHAT CONDITION
{
	awk "BEGIN { exit !($2) }" || fail "$1: $2"
}

# Memory is bounded, and what the daemons say is no error.
modest_and_content()
{
	for one in near far; do
		now=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$(cat $one.pid)/status")
		holds "memory of $one in MiB" "$now <= $HWM_MIB"
		echo "$one: $now MiB"
	done
	! grep '^error' near.log far.log || fail "an error is logged"
}

step()
{
	echo "$(date +%T.%N | cut -c1-12) $*"
}

# ---- what happens to it ---------------------------------------------------------------

# The mirror's buffer overflows, as the process is not run for a while: this is counted,
# and not taken for the line's loss, which redundancy follows.
small_buffer()
{
	line_ask reset >/dev/null
	copy 24
	for _ in 1 2; do
		wait_for 10 moved
		kill -STOP "$(cat far.pid)"
		sleep 0.7 # how long it is not run, not until something is so
		kill -CONT "$(cat far.pid)"
		line_ask reset >/dev/null
	done
	copied
	echo "overflowed $(figure near link.overflowed), loss $(figure near link.loss)"
	holds "dropped by the mirror's socket" "$(figure far link.overflowed) > 0"
	holds "and the primary knows" "$(figure near link.overflowed) > 0"
	holds "nor is it the line's loss" "$(figure near link.loss) < 0.01"
}

# The path gets narrower under a running copy, and wide again; with icmp=on the kernel gets
# an ICMP message. That larger datagrams are tried again takes minutes: tests/unit/tunnel/test_mtu.c.
short_path()
{
	line_ask reset >/dev/null
	copy 16
	wait_for 10 moved
	line_set mtu=1300
	copied
	holds "packets too long for the path" "$(counted too_big) > 0"
	wait_for 10 grep -q '^info path-mtu' near.log
	line_ask reset >/dev/null
	copy 4
	copied
	holds "packets too long for the path that is known" "$(counted too_big) == 0"
	line_set mtu=none
	copy 4
	copied
}

moved()
{
	[ "$(counted accepted)" -gt 1000 ]
}

received_more()
{
	[ "$(figure near lsn.received)" -gt $((received + 1)) ]
}

stream_was_lost()
{
	grep -cE '^[a-z]+ (control-silent|disconnected)' near.log || true
}

# The primary's address changes under a running copy: datagrams are taken from the new one
# at once, and the stream, which is silent from then on, is made anew.
another_address()
{
	line_ask reset >/dev/null
	ip -n "$line_base-b" route add 10.77.0.3/32 dev wan0
	before=$(stream_was_lost)
	copy 32
	wait_for 10 moved
	ip -n "$line_base-a" addr del "$line_a_address" peer "$line_b_address" dev wan0
	ip -n "$line_base-a" addr add 10.77.0.3 peer "$line_b_address" dev wan0
	received=$(figure near lsn.received)
	wait_for 3 received_more
	[ "$(stream_was_lost)" -eq "$before" ] || fail "datagrams wait for the stream"
	copied
	wait_for 20 stream_is_new
	wait_for 30 in_state near IN_SYNC
}

stream_is_new()
{
	[ "$(stream_was_lost)" -gt "$before" ]
}

# In sync, and then with all that was completed while the line was cut.
again_in_sync()
{
	"$build/wanmirror" -c near.conf status --json >snapshot || return 1
	[ "$("$tools/jget" groups.0.state <snapshot)" = IN_SYNC ] || return 1
	holds "in sync, of what was completed before" \
		"$("$tools/jget" groups.0.lsn.received <snapshot) >= $written"
}

# Longer than the mirror may be silent: writes complete at local level and get there when
# the line is mended, by the old connection or by another.
cut_and_mended()
{
	for cut in "" --destroy; do
		# shellcheck disable=SC2086 # nothing, or a word
		line_cut $cut
		copy 16
		wait_for 30 in_state near EXPOSED
		completed
		[ -z "$cut" ] || wait_for 30 stream_is_new
		written=$(figure near lsn.admitted)
		line_restore
		wait_for 30 again_in_sync
		is_at_the_mirror
		before=$(stream_was_lost)
	done
}

# Thousands of datagrams overtake one another, every second one comes twice, some come
# broken.
disorder()
{
	line_ask reset >/dev/null
	line_set reorder=20% extent=250ms duplicate=50% corrupt=0.1%
	copy 8
	copied
	line_set reorder=0 duplicate=0 corrupt=0
	holds "duplicates" "$(counted duplicated) > 1000"
	holds "reordered" "$(counted reordered) > 1000"
	holds "broken" "$(counted corrupted) > 1"
}

# A line that is far narrower than the rate, and drops the rest: the state says so while
# seconds of writes have not been received, the rate gives way, and all arrives.
too_narrow()
{
	line_set rate=16Mbit queue=2ms
	copy 10
	wait_for 20 in_state near CATCHING_UP
	"$build/wanmirror" -c near.conf status --json >snapshot
	"$tools/jget" groups.0.why <snapshot | grep -q 'carries less than it is sent' ||
		fail "why: $("$tools/jget" groups.0.why <snapshot)"
	wait_for 20 grep -q '^warn path-narrower-than-rate' near.log
	copied
	wait_for 20 in_state near IN_SYNC
	line_set rate=$LINE queue=100ms
}

# under CODE RATE EVIDENCE LINE HARDSHIP...: one after the other, and what is left.
under()
{
	sites "$1" "$2" "$3" "$4"
	shift 4
	[ -z "${BAD_LINE_ALL:-}" ] ||
		set -- small_buffer short_path another_address cut_and_mended disorder
	for hardship; do
		step "$hardship"
		$hardship
	done
	modest_and_content
	stop near
	"$build/wanmirror" -c far.conf promote g --force >promoted
	same_image "$(uri far)" data
	stop far
}

test_window_at_a_fixed_rate()
{
	under window $LINE driver icmp=off small_buffer short_path disorder
}

test_a_rate_far_above_the_line()
{
	under window $LINE driver icmp=off too_narrow
}

test_layered_at_a_rate_found_out()
{
	under layered auto driver icmp=on short_path another_address disorder
}

test_rs_by_the_mirrors_word()
{
	under rs $LINE mirror icmp=off small_buffer cut_and_mended disorder
}

test_any()
{
	# shellcheck disable=SC2086 # words
	under $BAD_LINE
}

if [ -n "${BAD_LINE:-}" ]; then
	run test_any
	finish
fi
run test_window_at_a_fixed_rate
run test_a_rate_far_above_the_line
run test_layered_at_a_rate_found_out
run test_rs_by_the_mirrors_word
finish
