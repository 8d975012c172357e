#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What only the relay has: streams come through it whole, at the rate and after the delay,
# and a process is killed with what it has sent in the line.
#
#   test_wanem.sh BUILD
B=$1
form=relay
. tests/wan/testlib.sh

# stream BYTES: of TCP, both ways; words in $dir/probe.
stream()
{
	"$B/tests/wan/wanprobe" tcp $port $((port + 1)) "$@" >"$dir/probe" 2>&1 ||
		echo "broken=1" >>"$dir/probe"
	ask stats >"$dir/stats"
}

start delay=5ms loss=1
stream 200000
holds "a stream has no losses" "$(word received) == 200000 && $(word wrong) == 0"
stop

start rtt=50ms rate=50Mbit
stream 6000000
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
	"$B/tests/wan/wanprobe" tcp $port $((port + 1)) 1000 >"$dir/probe" 2>&1 &
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
send_behind 40 60000
ask cut --kill $sender 100 >"$dir/cut"
wait $sender 2>"$dir/killed"
holds "killed by signal 9" "$? == 137"
holds "with what was asked for in the line" \
	"$(line_number in_line_at_kill ab <"$dir/cut") >= 100"
ask wait >"$dir/stats"
holds "what the dead one had sent arrived" \
	"$(field delivered ab) == $(line_number accepted ab <"$dir/cut") &&
	 $(line_number in_line ab <"$dir/cut") > 0"
holds "nothing of it was shut out" "$(field shut_out ab) == 0"
stop

start rtt=10ms
ask set 'loss=2' >"$dir/stats" && holds "a wrong value is refused" 0
holds "an unknown parameter is refused" \
	"$(ask set lossy=1 | grep -c '"ok": false.*no parameter of that name') == 1"
ask capture "$dir/pcap" >"$dir/stats"
probe 10 100
ask capture off >"$dir/stats"
holds "a capture has the datagrams" \
	"$(wc -c <"$dir/pcap") > 24 + 1408 * $(word ab.received)"
stop

finish wanem
