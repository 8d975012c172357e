#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The relay as a process, on loopback: what goes in comes out at the rate, after the delay
# and with the losses that were set, and a cut delivers what had entered. What a busy
# machine makes late is known to the relay (late_*) and taken off; rates are those over the
# relay's own clock. (The line itself is measured in virtual time by tests/unit/wan.)
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

# A run in which our own sockets dropped something, or in which this process did not run
# for 20 ms, shows nothing: again, a few times.
probe_udp()
{
	for _ in 1 2 3 4 5; do
		ask reset >"$dir/stats"
		probe udp "$@"
		! grep -q '"void": true' "$dir/stats" || continue
		[ "$(field late_max_us ab <"$dir/stats" | cut -d . -f 1)" -lt 20000 ] || continue
		return 0
	done
	echo "  the machine is too busy: five void runs"
}

start rtt=50ms rate=50Mbit
probe_udp 10 600
for way in ab ba; do
	mean=$(field measured_delay_ms $way <"$dir/stats")
	late=$(field late_mean_us $way <"$dir/stats")
	holds "$way: never early" "$(word $way.least_ms) >= 25"
	holds "$way: delay 25 ms, and a millisecond of queue where senders stutter" \
		"$mean - $late / 1000 >= 25 && $mean - $late / 1000 < 26"
	holds "$way: nothing lost or late in order" \
		"$(word $way.sent) == $(word $way.received) && $(word $way.reordered) == 0"
done
# A sender that is not run for longer than the queue lets the line idle: then again.
for _ in 1 2 3 4 5; do
	probe_udp 80 1500
	off=$(field measured_bps ba <"$dir/stats" | awk '{ print int(($1 / 50e6 - 1) * 1000) }')
	[ "$off" -lt -15 ] || [ "$off" -gt 15 ] || break
done
for way in ab ba; do
	rate=$(field measured_bps $way <"$dir/stats")
	[ $way = ab ] || holds "$way: 50 Mbit/s" "$rate > 49e6 && $rate < 51e6"
	late=$(field late_max_us $way <"$dir/stats")
	holds "$way: the queue is 50 ms" \
		"$(field measured_delay_ms $way <"$dir/stats") < 25 + 50 + $late / 1000"
	holds "$way: the rest was refused at the queue" \
		"$(field overflown $way <"$dir/stats") > 1000"
done
stop

start delay=5ms loss=2% ba.loss=10% ba.burst=8
probe_udp 60 2000
for way in ab ba; do
	holds "$way: what the relay counts is what arrives" \
		"$(field delivered $way <"$dir/stats") - $(word $way.received) <= 1 &&
		 $(field delivered $way <"$dir/stats") >= $(word $way.received) &&
		 $(field lost $way <"$dir/stats") >= $(word $way.sent) - $(word $way.received)"
done
n=$(word ab.sent)
got=$(word ab.received)
holds "ab: 2 % within four standard deviations" \
	"($n - $got - $n / 50) ^ 2 < 16 * $n / 50"
holds "ba: bursts of 8" "$(word ba.burst) > 5.5 && $(word ba.burst) < 11"
ask set loss=1 >"$dir/stats"
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

# A cut in the middle of sending: what had entered is delivered, what comes later is not.
start rtt=100ms
"$bin/wanprobe" udp $port $((port + 1)) 40 1200 >"$dir/probe" 2>&1 &
sender=$!
for _ in $(seq 500); do
	n=$(ask stats | field delivered ab)
	[ "$n" -lt 1000 ] || break
	sleep 0.01
done
ask cut >"$dir/cut"
ask wait >"$dir/stats"
wait $sender
ask stats >"$dir/stats"
holds "datagrams were in the line at the cut" "$(field in_line ab <"$dir/cut") > 20"
for way in ab ba; do
	entered=$(field accepted $way <"$dir/cut")
	holds "$way: the cut shuts the entrance" \
		"$(field accepted $way <"$dir/stats") == $entered"
	holds "$way: what had entered arrived" \
		"$(field delivered $way <"$dir/stats") == $entered &&
		 $(field in_line $way <"$dir/stats") == 0"
	holds "$way: the rest is shut out" "$(field shut_out $way <"$dir/stats") > 0"
done
ask restore >"$dir/stats"
probe tcp 1000
holds "restored" "$(word received) == 1000"
stop

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

# cut --destroy: what is in flight is gone.
start rtt=200ms
"$bin/wanprobe" udp $port $((port + 1)) 40 1000 >"$dir/probe" 2>&1 &
sender=$!
for _ in $(seq 500); do
	n=$(ask stats | field delivered ab)
	[ "$n" -lt 500 ] || break
	sleep 0.01
done
ask cut --destroy >"$dir/cut"
wait $sender
ask stats >"$dir/stats"
holds "destroyed, and nothing of it delivered" \
	"$(field destroyed ab <"$dir/cut") > 50 && $(field in_line ab <"$dir/cut") == 0 &&
	 $(field delivered ab <"$dir/cut") == $(field delivered ab <"$dir/stats")"
ask set 'loss=2' >"$dir/stats" && holds "a wrong value is refused" 0
holds "an unknown parameter is refused" \
	"$(ask set lossy=1 | grep -c '"ok": false.*no parameter of that name') == 1"
ask capture "$dir/pcap" >"$dir/stats"
ask restore >"$dir/stats"
probe_udp 10 100
ask capture off >"$dir/stats"
holds "a capture has the datagrams" \
	"$(wc -c <"$dir/pcap") > 24 + 1408 * $(word ab.received)"
stop

echo "wan: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
