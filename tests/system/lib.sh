# SPDX-License-Identifier: BSD-3-Clause
#
# What the system tests share. A test file is
#
#	. "$(dirname "$0")/lib.sh"
#	# What it protects.
#	test_something() { ...; }
#	run test_something
#	finish
#
# Each test runs in a shell of its own with `set -e`, in a folder of its own, $T: the
# first command that fails ends it. Daemons, mounts and the like are undone when it ends,
# whatever way it ends. Nothing sleeps and hopes: wait_for has a condition and a bound.

build=$(cd "${1:?which build folder?}" && pwd) || exit 2
tools=$build/tests/system
work=$(mktemp -d "${TMPDIR:-/tmp}/wmsys-XXXXXX") || exit 2
passed=0
failed=0
skipped=0
number=0
T=$work
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ---- running ------------------------------------------------------------------------

# skip REASON: end this test, it cannot be run here.
skip()
{
	echo "$*" >"$T/skip"
	exit 77
}

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# need TOOL...: skip without them.
need()
{
	for tool; do
		command -v "$tool" >/dev/null || skip "no $tool"
	done
}

# note TEXT: a figure that was measured; it is printed when the test has passed, too.
note()
{
	echo "$*" | sed 's/^/# /' | tee -a "$T/notes"
}

# later COMMAND: do this when the test ends; the last said is done first.
later()
{
	echo "$*" >>"$T/undo"
}

undo()
{
	status=$?
	trap - EXIT
	set +e
	cd /
	[ ! -f "$T/undo" ] || tac "$T/undo" >"$T/undo.now"
	[ ! -f "$T/undo.now" ] || . "$T/undo.now"
	exit $status
}

show_logs()
{
	tail -n 25 "$T/out" | sed 's/^/#   /'
	for log in "$T"/*.log; do
		[ -f "$log" ] || continue
		echo "# ${log##*/}:"
		grep -v -E 'nbd-(attached|detached|option-refused)' "$log" | tail -n 15 | sed 's/^/#   /'
	done
}

# A build machine that is root has no excuse.
may_skip()
{
	[ "${CI:-}" != true ] || [ "$(id -u)" -ne 0 ]
}

run()
{
	number=$((number + 1))
	T=$work/$number
	mkdir "$T" || exit 2
	began=$(date +%s)
	(
		trap undo EXIT
		trap 'exit 130' INT TERM
		cd "$T" || exit 2
		set -e
		"$1"
	) >"$T/out" 2>&1
	status=$?
	name="$(echo "${1#test_}" | tr _ ' ') ($(($(date +%s) - began)) s)"
	if [ $status -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $number - $name"
		[ ! -f "$T/notes" ] || cat "$T/notes"
	elif [ $status -eq 77 ] && may_skip; then
		skipped=$((skipped + 1))
		echo "ok $number - $name # skip $(cat "$T/skip")"
	else
		failed=$((failed + 1))
		echo "not ok $number - $name"
		[ ! -f "$T/skip" ] || echo "# may not be skipped here: $(cat "$T/skip")"
		show_logs
	fi
	rm -rf "$T"
}

finish()
{
	echo "1..$number"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

# ---- waiting ------------------------------------------------------------------------

# wait_for SECONDS COMMAND...: until it succeeds; fails the test after so many seconds.
wait_for()
{
	limit=$1
	shift
	turns=$((limit * 20))
	while ! "$@"; do
		turns=$((turns - 1))
		[ $turns -gt 0 ] || fail "not within $limit s: $*"
		sleep 0.05
	done
}

# A child of ours that nobody has waited for is a zombie: gone, too.
gone()
{
	[ ! -d "/proc/$1" ] || grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null
}

# end PID: ask, then insist.
end()
{
	gone "$1" && return 0
	kill "$1" 2>/dev/null
	for _ in $(seq 200); do
		gone "$1" && return 0
		sleep 0.05
	done
	kill -9 "$1" 2>/dev/null
}

# ---- daemons --------------------------------------------------------------------------

# site NAME ROLE [TEXT]: write NAME.conf; TEXT is further settings of the group. The
# variables volumes, sync, store_size and nbd_more change what is in it.
site()
{
	[ -n "${volumes:-}" ] || volumes='{ name = "data"; size = "256MiB"; }'
	cat >"$T/$1.conf" <<-EOT
	node = "$1";
	control = "$T/$1.ctl";
	nbd: {
	  listen = [ "unix:$T/$1.nbd"${nbd_listen:+, $nbd_listen} ];
	  ${nbd_more:-}
	};
	groups: (
	  { name = "g";
	    store = "$T/$1.store";
	    store_size = "${store_size:-1GiB}";
	    role = "$2";
	    volumes = ( $volumes );
	    sync = "${sync:-local}";
	    segment = "${segment:-4MiB}";
	    checkpoint = "${checkpoint:-64MiB}";
	    map_memory = "64MiB";
	    ${3:-}
	  } );
	EOT
}

# pair: two sites, "near" (primary, dials) and "far" (mirror). relay_port: dial that. Their
# times are short, since nobody wants to wait.
pair()
{
	port=$("$tools/ports" 1)
	[ -n "${times:-}" ] ||
		times='heartbeat = "200ms"; away = "1s"; control_timeout = "2s";'
	"$build/wanmirror" keygen "$T/key"
	options="key = \"$T/key\"; rate = \"${rate:-1Gbit}\"; $times ${peer_more:-}"
	site near primary "peer: { address = \"127.0.0.1:${relay_port:-$port}\"; $options };"
	site far mirror "peer: { listen = \"127.0.0.1:$port\"; $options };"
	create near
	create far
}

create()
{
	"$build/wanmirror" create -c "$T/$1.conf"
}

# pair_over_line RTT: a pair with a path of 200 Mbit/s between them, which is wanem "line".
pair_over_line()
{
	rate=180Mbit
	relay_port=$("$tools/ports" 1)
	pair
	"$build/tests/wan/wanem" listen=127.0.0.1:$relay_port to=127.0.0.1:$port \
		control="$T/line" rtt="$1" rate=200Mbit >line.log 2>&1 &
	later "end $!"
	wait_for 10 grep -q ready line.log
}

# field NAME PATH: one value of `status --json`, say groups.0.state.
field()
{
	"$build/wanmirror" -c "$T/$1.conf" status --json | "$tools/jget" "$2"
}

in_state()
{
	now=$(field "$1" groups.0.state 2>/dev/null) || return 1
	site_name=$1
	shift
	for state; do
		[ "$now" != "$state" ] || return 0
	done
	return 1
}

# is SITE ROLE STATE
is()
{
	[ "$(field "$1" groups.0.role 2>/dev/null)" = "$2" ] && in_state "$1" "$3"
}

is_primary()
{
	is "$1" primary IN_SYNC
}

# log_says SITE PATTERN, why_says SITE PATTERN: its log; the reason in its status.
log_says()
{
	grep -q -E "$2" "$1.log"
}

why_says()
{
	field "$1" groups.0.why 2>/dev/null | grep -q -E "$2"
}

# persisted_all: the mirror has everything that was admitted.
persisted_all()
{
	field near groups.0.lsn >"$T/lsn" 2>/dev/null || return 1
	[ "$("$tools/jget" admitted <"$T/lsn")" = "$("$tools/jget" persisted <"$T/lsn")" ]
}

uri()
{
	echo "nbd+unix:///${2:-data}?socket=$T/$1.nbd"
}

exports()
{
	nbdinfo --size "$(uri "$1" "$2")" >/dev/null 2>&1
}

# Running and exporting, or dead already.
came_up()
{
	gone "$(cat "$T/$1.pid")" || exports "$1" "$2"
}

# launch NAME [OPTION...]: start a daemon, without waiting for anything.
launch()
{
	launched=$1
	shift
	"$build/wanmirrord" -c "$T/$launched.conf" "$@" >>"$T/$launched.log" 2>&1 </dev/null &
	echo $! >"$T/$launched.pid"
	later "end $!"
}

# start NAME [VOLUME]: start a daemon and wait until it exports the volume.
start()
{
	launch "$1"
	wait_for 30 came_up "$1" "${2:-data}"
	exports "$1" "${2:-data}" || fail "$1 did not come up"
}

# Both sites of a pair that was written run, and the mirror has everything.
both_in_sync()
{
	start far
	start near
	wait_for 30 in_state near IN_SYNC
}

pair_in_sync()
{
	pair
	both_in_sync
}

# stop NAME: the orderly way; the daemon must end with 0.
stop()
{
	pid=$(cat "$T/$1.pid")
	kill "$pid"
	wait_for 30 gone "$pid"
	wait "$pid" || fail "$1 ended with $?"
}

# promote NAME: make it primary. For a while after the primary's last word it is refused,
# with the exit code for that.
promote()
{
	wait_for 30 promoted "$1"
}

promoted()
{
	promote_status=0
	"$build/wanmirror" -c "$T/$1.conf" promote g || promote_status=$?
	[ $promote_status -eq 0 ] || [ $promote_status -eq 3 ] ||
		fail "promote ended with $promote_status"
	return $promote_status
}

crash()
{
	pid=$(cat "$T/$1.pid")
	kill -9 "$pid"
	wait_for 10 gone "$pid"
}

alive()
{
	! gone "$(cat "$T/$1.pid")" || fail "$1 has died"
}

# one_site: a primary without a peer, created and running.
one_site()
{
	site near primary
	create near
	start near
}

# ---- data -----------------------------------------------------------------------------

# random_file FILE MIB
random_file()
{
	head -c "$(($2 << 20))" /dev/urandom >"$1"
}

# same_image URI FILE [MIB]: the beginning of the export is this file.
same_image()
{
	rm -f "$T/image"
	nbdcopy "$1" "$T/image"
	cmp -n "$(stat -c %s "$2")" "$T/image" "$2"
}
