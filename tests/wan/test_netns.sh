#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What only the TUN form has: the kernel's own TCP crosses it and finds the path's MTU, two
# lines do not see each other, and a script that was killed leaves nothing for long.
#
#   test_netns.sh BUILD
B=$1
form=tun
. tests/wan/testlib.sh

flow() # CONGESTION SECONDS
{
	rm -f "$dir/sink"
	$line_b "$B/tests/wan/flow" sink 5000 "$2" >"$dir/sink" 2>&1 &
	sink=$!
	for _ in $(seq 250); do
		! grep -q ready "$dir/sink" 2>/dev/null || break
		sleep 0.02
	done
	line_in A timeout 30 "$B/tests/wan/flow" send $line_b_address 5000 "$1" >"$dir/probe" 2>&1
	wait $sink
	sed -n 's/.*mbit=//p' "$dir/sink" >"$dir/mbit"
}

start rtt=10ms mtu=1200 icmp=on rate=50Mbit
flow cubic 1
ask stats >"$dir/stats"
holds "a sender that was too big is told, and goes on" \
	"$(cat "$dir/mbit") > 5 && $(field too_big ab) > 0"
ask set mtu=none >"$dir/stats"
for congestion in reno bbr; do
	ask reset >"$dir/stats"
	flow $congestion 1
	ask stats >"$dir/stats"
	holds "$congestion is not faster than the line" \
		"$(cat "$dir/mbit") < 50 && $(cat "$dir/mbit") > 10"
done

# Another script has a line of its own, and is killed.
cat >"$dir/other.sh" <<'END'
. tests/wan/line.sh
line_up rtt=1ms || exit 1
$line_b "$B/tests/wan/flow" sink 5000 20 >"$1.sink" &
echo "$line_base $line_pid" >"$1.up"
mv "$1.up" "$1"
while :; do
	sleep 1
done
END
B=$B sh "$dir/other.sh" "$dir/other" &
other=$!
for _ in $(seq 500); do
	[ ! -f "$dir/other" ] || break
	sleep 0.02
done
read -r base emulator <"$dir/other"
holds "two lines at once" "$(ip netns list | grep -c "^$base-") == 2"
kill -9 $other
wait $other 2>/dev/null
for _ in $(seq 250); do
	[ -d "/proc/$emulator" ] || break
	sleep 0.02
done
holds "the killed script's line ends" "$([ -d "/proc/$emulator" ] && echo 1 || echo 0) == 0"
stop
start rtt=1ms
holds "and the next one removes its namespaces" "$(ip netns list | grep -c "^$base-") == 0"
mine=$line_base
stop
holds "as one does its own" "$(ip netns list | grep -c "^$mine-") == 0"
finish namespaces
