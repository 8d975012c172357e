#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make run: two sites with a line between them that stay until `make stop`; prints how to
# attach. Their stores are kept in build/run between the two.
. tests/wan/pair.sh
state=$PWD/$B/run

stop()
{
	[ -f "$state/pids" ] || return 0
	while read -r pid name; do
		# Only what is still the process that was started.
		case $(cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ') in
		*"$name"*) kill "$pid" ;;
		*) continue ;;
		esac
		pair_until 15 pair_gone "$pid" || kill -9 "$pid"
	done <"$state/pids"
	rm -rf "$(cat "$state/sockets")"
	rm -f "$state/pids" "$state/sockets"
}

if [ "${1:-}" = stop ]; then
	stop
	rm -rf "$state"
	echo "stopped, and the stores removed"
	exit 0
fi
if [ -f "$state/pids" ]; then
	echo "a pair is running already; \`make stop\` ends it"
	exit 1
fi

rm -rf "$state"
pair_store_size=16GiB
pair_init "$state" || exit 1
echo "$pair_sock" >"$state/sockets"
trap '' HUP
if ! {
	pair_config "files:4GiB:network local:1GiB:local network:1GiB:network remote:1GiB:remote" &&
		pair_create && pair_line rtt=50ms rate=200Mbit loss=1% &&
		pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 15
}; then
	pair_free
	exit 1
fi
cat >"$state/pids" <<END
$pair_primary wanmirrord
$pair_mirror wanmirrord
$pair_relay wanem
END
socket=$pair_sock/primary.nbd
cat <<END

Two sites are running, with 50 ms, 200 Mbit/s and 1 % loss between them. Volumes: files,
local, network, remote (called after their modes; files is network). To attach:

  nbdinfo "nbd+unix:///files?socket=$socket"
  nbd-client -unix $socket -N files /dev/nbd0
  qemu-system-x86_64 -drive 'file=nbd+unix:///files?socket=$socket,format=raw,if=virtio'

To look, to make the line worse, to lose the primary and go on at the mirror:

  $B/wanmirror -c $state/primary.conf status
  $B/tests/wan/wanem -c $pair_sock/line set loss=5% burst=8
  kill -9 $pair_primary; $B/tests/wan/wanem -c $pair_sock/line cut
  $B/wanmirror -c $state/mirror.conf promote $pair_group --force
  nbdinfo "nbd+unix:///files?socket=$pair_sock/mirror.nbd"

  make stop      ends them and removes the stores

END
