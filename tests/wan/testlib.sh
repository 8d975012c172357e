# SPDX-License-Identifier: BSD-3-Clause
# What the tests of the emulator share; sourced with B, the build folder, and form (relay or
# tun) set. One line at a time:
#
#   start [NAME=VALUE ...]     a line of that form
#   ask COMMAND ...            a command to it
#   probe MBIT MS [BYTES]      stamped datagrams both ways; words in $dir/probe, and the
#                              line's own numbers after it in $dir/stats
#   word NAME                  of the probe
#   field NAME DIR             of the line
#   holds "what" 'condition'   in awk's words
#   stop
#   finish
. tests/wan/line.sh
dir=$(mktemp -d) || exit 2
relay=
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
passed=0
failed=0

# Ports near a number that differs from run to run.
port=$((20000 + $$ % 20000))

start()
{
	if [ "$form" = tun ]; then
		line_up seed=7 "$@" || exit 2
		return
	fi
	port=$((port + 2))
	rm -f "$dir/out" # its "ready" would be taken for the new one's
	"$B/tests/wan/wanem" listen=127.0.0.1:$port to=127.0.0.1:$((port + 1)) \
		control="$dir/sock" seed=7 "$@" >"$dir/out" 2>&1 &
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
	line_down
	[ -z "$relay" ] || kill "$relay" 2>/dev/null
	[ -z "$relay" ] || wait "$relay" 2>/dev/null
	relay=
}

ask()
{
	if [ "$form" = tun ]; then
		line_ask "$@"
	else
		"$B/tests/wan/wanem" -c "$dir/sock" "$@"
	fi
}

field()
{
	line_number "$1" "$2" <"$dir/stats"
}

word()
{
	tr ' ' '\n' <"$dir/probe" | sed -n "s/^$1=//p"
}

holds()
{
	if awk "BEGIN { exit !($2) }"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "  FAIL  $form: $1: $2"
		cat "$dir/probe" "$dir/stats" 2>/dev/null | tr '{' '\n'
	fi
}

# send_both MBIT MS [BYTES]: the probe as it is.
send_both()
{
	if [ "$form" = tun ]; then
		"$B/tests/wan/wanprobe" netns "$line_base-a" "$line_base-b" "$@"
	else
		"$B/tests/wan/wanprobe" udp $port $((port + 1)) "$@"
	fi
}

# The same, in a process that may be killed: $sender.
send_behind()
{
	if [ "$form" = tun ]; then
		"$B/tests/wan/wanprobe" netns "$line_base-a" "$line_base-b" "$@" \
			>"$dir/probe" 2>&1 &
	else
		"$B/tests/wan/wanprobe" udp $port $((port + 1)) "$@" >"$dir/probe" 2>&1 &
	fi
	sender=$!
}

# True if the machine did what was asked of it: nothing was dropped before the line or
# behind it, we were not kept from running, and the line was as busy as `busy` says.
was_real()
{
	! grep -q '"void": true' "$dir/stats" || return 1
	for way in ab ba; do
		# Idle as ba says: a relay has a first datagram in ab some time before others.
		awk -v late="$(field late_mean_us $way)" -v most="$(field late_max_us $way)" \
			-v idle="$([ $way = ab ] || field idle_ms ba)" \
			-v allowed="${idle_ms:-1e9}" \
			'BEGIN { exit !(late < 250 && most < 20000 && idle <= allowed) }' ||
			return 1
	done
}

probe()
{
	for _ in 1 2 3 4 5 6; do
		ask reset >"$dir/stats"
		send_both "$@" >"$dir/probe" 2>&1 || echo "broken=1" >>"$dir/probe"
		ask stats >"$dir/stats"
		! was_real || return 0
	done
	echo "  $form: the machine is too busy: six runs that show nothing"
}

# Waits until as many datagrams are where $1 says, of direction ab.
until_there() # FIELD COUNT
{
	for _ in $(seq 1000); do
		ask stats >"$dir/stats"
		[ "$(field "$1" ab)" -lt "$2" ] || return 0
		sleep 0.01
	done
	echo "  $form: never $2 $1"
}

finish()
{
	echo "wan: $1, $form: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
	exit
}
