#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What only the relay has: streams come through it whole, at the rate and after the delay,
# and a process is killed with what it has sent in the line.
#
#   test_wanem.sh BUILD
bin=$1/tests/wan
dir=$(mktemp -d) || exit 2
relay=
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
passed=0
failed=0

# Two free ports near a number that differs from run to run.
port=$((20000 + $$ % 20000))

start()
{
	port=$((port + 2))
	rm -f "$dir/out" # its "ready" would be taken for the new one's
	"$bin/wanem" listen=127.0.0.1:$port to=127.0.0.1:$((port + 1)) control="$dir/sock" \
		seed=7 "$@" >"$dir/out" 2>&1 &
	relay=$!
	for _ in $(seq 200); do
		! grep -qs ready "$dir/out" || return 0
		kill -0 $relay 2>/dev/null || break
		sleep 0.02
	done
	cat "$dir/out"
	exit 2
}

stop()
{
	[ -z "$relay" ] || kill "$relay" 2>/dev/null
	[ -z "$relay" ] || wait "$relay" 2>/dev/null
	relay=
}

ask()
{
	"$bin/wanem" -c "$dir/sock" "$@"
}

# The number behind "name" in direction $2 of a relay's answer on standard input.
field()
{
	sed "s/.*\"$2\": {//; s/}.*//; s/.*\"$1\": \([^,}]*\).*/\1/"
}

# The word name=value of the probe's output.
word()
{
	tr ' ' '\n' <"$dir/probe" | sed -n "s/^$1=//p"
}

# holds "what" 'awk expression'
holds()
{
	if awk "BEGIN { exit !($2) }"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "  FAIL  $1: $2"
		cat "$dir/probe" "$dir/stats" 2>/dev/null
	fi
}

probe()
{
	kind=$1
	shift
	"$bin/wanprobe" "$kind" $port $((port + 1)) "$@" >"$dir/probe" 2>&1 ||
		echo "broken=1" >>"$dir/probe"
	ask stats >"$dir/stats"
}

# A run in which our own sockets dropped something shows nothing: again, a few times.
probe_udp()
{
	for _ in 1 2 3 4 5; do
		ask reset >"$dir/stats"
		probe udp "$@"
		! grep -q '"void": true' "$dir/stats" || continue
		return 0
	done
	echo "  the machine is too busy: five void runs"
}

start delay=5ms loss=1
probe tcp 200000
holds "a stream has no losses" "$(word received) == 200000 && $(word wrong) == 0"
stop

start rtt=50ms rate=50Mbit
probe tcp 6000000
holds "a stream is whole" "$(word received) == 6000000 && $(word wrong) == 0"
# 48.7 Mbit/s of payload, and the delay once.
holds "a stream has the rate" "$(word mbit) < 49 && $(word mbit) > 40"
holds "a stream's answer takes the delay" "$(word answer_ms) > 24.9"
stop

# As long as it is cut, or a site is dead, nobody comes through; whoever waited does then.
for how in "" --destroy "--site a"; do
	start rtt=10ms
	# shellcheck disable=SC2086 # none or two words
	ask cut $how >"$dir/stats"
	"$bin/wanprobe" tcp $port $((port + 1)) 1000 >"$dir/probe" 2>&1 &
	probe=$!
	ask stats >"$dir/stats"
	holds "cut $how: nobody" "$(sed 's/.*"connections": \([0-9]*\).*/\1/' "$dir/stats") == 0"
	ask restore >"$dir/stats"
	wait $probe
	holds "cut $how: restored" "$(word received) == 1000"
	stop
done

# cut --kill: the process dies with datagrams in the line, then the line is cut.
start rtt=100ms
"$bin/wanprobe" udp $port $((port + 1)) 40 60000 >"$dir/probe" 2>&1 &
sender=$!
ask cut --kill $sender 100 >"$dir/cut"
wait $sender 2>"$dir/killed"
holds "killed by signal 9" "$? == 137"
holds "with what was asked for in the line" \
	"$(field in_line_at_kill ab <"$dir/cut") >= 100"
ask wait >"$dir/stats"
holds "what the dead one had sent arrived" \
	"$(field delivered ab <"$dir/stats") == $(field accepted ab <"$dir/cut") &&
	 $(field in_line ab <"$dir/cut") > 0"
holds "nothing of it was shut out" "$(field shut_out ab <"$dir/stats") == 0"
stop

start rtt=10ms
ask set 'loss=2' >"$dir/stats" && holds "a wrong value is refused" 0
holds "an unknown parameter is refused" \
	"$(ask set lossy=1 | grep -c '"ok": false.*no parameter of that name') == 1"
ask capture "$dir/pcap" >"$dir/stats"
probe_udp 10 100
ask capture off >"$dir/stats"
holds "a capture has the datagrams" \
	"$(wc -c <"$dir/pcap") > 24 + 1408 * $(word ab.received)"
stop

echo "wan: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
