# SPDX-License-Identifier: BSD-3-Clause
# An emulated line between two network namespaces, for scripts that are sourced with B, the
# build folder, set. Whatever runs in namespace A and talks to 10.77.0.2, or in B and talks
# to 10.77.0.1 (fd77::2, fd77::1), crosses it: UDP, the kernel's TCP, ping. Runs of several
# scripts do not see each other, so ports are free. Needs root and /dev/net/tun.
#
#   line_can                     true if this can be done here; else says on standard output
#                                why not, for a test that skips
#   line_up [NAME=VALUE ...]     makes the namespaces and starts the line. NAME=VALUE as
#                                below, or an option of wanem (seed=7 icmp=on tick=1ms)
#   line_set [DIR] NAME=VALUE .. changes the line while it runs. DIR is ab or ba, else both:
#                                    line_set ab loss=1% burst=8
#                                    line_set delay=25ms rate=200Mbit queue=50ms
#        delay jitter extent        25ms 100us; one way. rtt=50ms sets both delays
#        rate site.rate             200Mbit none; of IP packets. What waits already leaves
#                                   at the old rate
#        queue site.queue           50ms 256KiB; what may wait
#        loss duplicate             1% 0.01
#        burst                      8: mean length of a run of losses (Gilbert)
#        reorder corrupt            1%: held back by `extent`; one bit flipped
#        mtu                        1400: longer packets are dropped; with icmp=on the sender
#                                   gets an ICMP message
#        site.rate turns on the building's queue: a packet from A waits there before it comes
#        to the line "ab", one from B before "ba"
#   line_in SIDE COMMAND ...     runs a command in namespace A or B and waits for it
#   $line_a COMMAND ... &        in the background: $! is the command's own process then
#   $line_b COMMAND ... &
#   line_cut                     shuts the line's entrance: what it has accepted, its queue
#                                included, is delivered or drawn lost
#   line_cut --destroy           and what is in flight is destroyed too
#   line_cut --site a|b          a site dies: what is in its building's queue is destroyed,
#                                what has reached the line goes on; nothing leaves that
#                                site, nothing reaches it
#   line_cut [--site a] --kill PID [N]
#                                kill -9 of a process of A once N packets are in the line;
#                                with --site the building dies in the same moment, else
#                                the line's entrance is shut when the process is dead.
#                                Returns when it is dead
#   line_restore                 undoes every cut
#   line_ask COMMAND ...         any command of wanem (stats, reset, wait, capture FILE,
#                                capture-lost FILE); prints one line of JSON
#   line_number NAME DIR         one number of such a line on standard input, of ab or ba
#   line_is_void                 true if, since `line_ask reset`, the emulator itself dropped
#                                packets: the run shows nothing and is to be repeated
#   line_cpu_ms                  processor time of the emulator so far. The receiving side's
#                                TCP and UDP run inside it, so this is not its own cost alone
#   line_down                    ends the line and everything that still runs in the
#                                namespaces, and removes them
#
# A script calls line_down in its trap on EXIT. If it is killed before, the line ends with it
# and the next line_up of anyone removes its namespaces. One line at a time in a script;
# several scripts may each have one.
#
# Every function returns 1 with a sentence on standard error if it cannot.

PATH=$PATH:/sbin:/usr/sbin
line_a_address=10.77.0.1
line_b_address=10.77.0.2
line_pid=

line_complain()
{
	echo "$*" >&2
	return 1
}

line_can()
{
	if [ "$(id -u)" -ne 0 ]; then
		echo "not root"
	elif [ ! -c /dev/net/tun ]; then
		echo "no /dev/net/tun"
	elif ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
		echo "no ip or nsenter"
	elif ! ip netns add "wm-line-$$-0" 2>/dev/null; then
		echo "no right to make network namespaces"
	else
		ip netns del "wm-line-$$-0"
		return 0
	fi
	return 1
}

# Ends what runs in a namespace of ours and removes it.
line_remove()
{
	for pid in $(ip netns pids "$1" 2>/dev/null); do
		kill -9 "$pid" 2>/dev/null
	done
	ip netns del "$1" 2>/dev/null
}

# Namespaces of scripts that are dead: their number is in the name.
line_sweep()
{
	for ns in $(ip netns list | sed -n 's/^\(wm-line-[0-9][^ ]*\).*/\1/p'); do
		owner=${ns#wm-line-}
		owner=${owner%%-*}
		kill -0 "$owner" 2>/dev/null || line_remove "$ns"
	done
}

line_namespace() # NAME
{
	ip netns add "$1" && ip -n "$1" link set lo up || return 1
	# A TCP flow may fill 1 Gbit/s at 100 ms and more: it is the line that shall limit it.
	nsenter --net="/run/netns/$1" sh -c 'cd /proc/sys/net/ipv4 &&
		echo 4096 131072 67108864 >tcp_rmem && echo 4096 65536 67108864 >tcp_wmem'
}

line_address() # NAMESPACE OWN PEER OWN6 PEER6
{
	# No link-local address: the kernel's solicitations would be packets that nobody sent.
	ip -n "$1" link set wan0 addrgenmode none &&
		ip -n "$1" addr add "$2" peer "$3" dev wan0 &&
		ip -n "$1" addr add "$4" peer "$5" dev wan0 nodad &&
		# The device's own queue holds what comes while the emulator is not run.
		ip -n "$1" link set wan0 mtu "${line_mtu:-1500}" txqueuelen 16384 up
}

line_started()
{
	for _ in $(seq 250); do
		! grep -qs '^ready' "$line_dir/log" || return 0
		kill -0 "$line_pid" 2>/dev/null || break
		sleep 0.02
	done
	return 1
}

line_up()
{
	why=$(line_can) || line_complain "no line: $why" || return 1
	line_sweep
	line_base=wm-line-$$${line_name:+-$line_name}
	line_dir=$(mktemp -d "${TMPDIR:-/tmp}/wm-line.XXXXXX") || return 1
	line_a="nsenter --net=/run/netns/$line_base-a"
	line_b="nsenter --net=/run/netns/$line_base-b"
	line_namespace "$line_base-a" && line_namespace "$line_base-b" || return 1
	"$B/tests/wan/wanem" a="$line_base-a" b="$line_base-b" control="$line_dir/control" \
		owner=$$ "$@" >"$line_dir/log" 2>&1 &
	line_pid=$!
	line_started || line_complain "the line does not start: $(cat "$line_dir/log")" ||
		return 1
	line_address "$line_base-a" 10.77.0.1 10.77.0.2 fd77::1 fd77::2 &&
		line_address "$line_base-b" 10.77.0.2 10.77.0.1 fd77::2 fd77::1
}

line_ask()
{
	"$B/tests/wan/wanem" -c "$line_dir/control" "$@"
}

# The answer is only of interest if it is a complaint.
line_tell()
{
	line_ask "$@" >"$line_dir/answer" || line_complain "the line: $(cat "$line_dir/answer")"
}

line_set()
{
	case $1 in
	ab | ba)
		line_way=$1.
		shift
		;;
	*) line_way= ;;
	esac
	for pair; do
		shift
		set -- "$@" "$line_way$pair"
	done
	line_tell set "$@"
}

line_cut()
{
	line_tell cut "$@"
}

line_restore()
{
	line_tell restore
}

line_in() # SIDE COMMAND ...
{
	case $1 in
	[aA]) line_side=$line_a ;;
	[bB]) line_side=$line_b ;;
	*) line_complain "no such side: $1" || return 1 ;;
	esac
	shift
	$line_side "$@"
}

line_number() # NAME DIR
{
	sed "s/.*\"$2\": {//; s/}.*//; s/.*\"$1\": \([^,}]*\).*/\1/"
}

line_is_void()
{
	line_ask stats | grep -q '"void": true'
}

line_cpu_ms()
{
	awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' \
		"/proc/$line_pid/stat"
}

line_down()
{
	[ -n "${line_base:-}" ] || return 0
	line_remove "$line_base-a"
	line_remove "$line_base-b"
	if [ -n "$line_pid" ]; then
		kill "$line_pid" 2>/dev/null
		wait "$line_pid" 2>/dev/null
	fi
	rm -rf "$line_dir"
	line_pid=
	line_base=
}
