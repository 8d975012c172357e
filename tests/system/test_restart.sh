#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Stops in order of a primary under load, each followed by a start: a client that connects
# again sees no error, and everything that was acknowledged is there, at both sites.
#
# STOPS=20 does as many; the default is a handful.
. "$(dirname "$0")/lib.sh"

stops=${STOPS:-4}

volumes='{ name = "data"; size = "64MiB"; },
	{ name = "wal"; size = "32MiB"; sync = "remote"; }'

# resending VOLUME OPTION...: a client that goes on until it is asked to end.
resending()
{
	volume=$1
	shift
	"$tools/resender" "$(uri near "$volume")" "$@" >"$volume.said" 2>"$volume.log" &
	echo $! >"$volume.client"
	later "end $!"
}

resent()
{
	client=$(cat "$1.client")
	kill "$client"
	wait_for 60 gone "$client"
	wait "$client" || fail "the client of $1 ended with $?: $(cat "$1.log")"
	cat "$1.said"
}

writes()
{
	field near groups.0.lsn.admitted 2>/dev/null || echo 0
}

# Each start counts from the log's own number: so many more since then.
wrote_more()
{
	[ "$(writes)" -ge $((wrote + $1)) ]
}

stop_and_start()
{
	stop near
	start near
}

same_everywhere()
{
	wait_for 60 persisted_all
	for volume; do
		nbdcopy "$(uri near "$volume")" "$volume.near"
		nbdcopy "$(uri far "$volume")" "$volume.far"
		cmp "$volume.near" "$volume.far"
	done
}

# Writes of all modes, reads, zeroes and flushes.
test_stops_under_load_show_a_client_nothing()
{
	need nbdinfo nbdcopy
	sync=network
	pair_in_sync
	resending data depth=48 blocks=12288
	resending wal most=2 blocks=4096
	for turn in $(seq "$stops"); do
		wrote=$(writes)
		wait_for 20 wrote_more $((200 + turn * 37))
		stop_and_start
	done
	resent data
	resent wal
	[ "$(sed 's/.*connects=//' data.said)" -gt "$stops" ] || fail "not connected again"
	! grep -q ' resent=0 ' data.said || fail "nothing was in flight at any stop"
	same_everywhere data wal
	stop near
	stop far
}

copied()
{
	gone "$copy" || return 1
	wait "$copy" || fail "qemu-img ended with $?"
}

copied_or_wrote()
{
	copied || wrote_more "$1"
}

# The same for qemu, whose driver connects again by itself for reconnect-delay seconds.
test_stops_under_load_show_qemu_nothing()
{
	need qemu-img nbdinfo nbdcopy
	sync=network
	pair_in_sync
	random_file image 48
	target="driver=nbd,server.type=unix,server.path=$T/near.nbd,export=data"
	target="$target,reconnect-delay=30"
	turn=0
	while [ $turn -lt "$stops" ]; do
		qemu-img convert -n -W -m 4 -r 24M -f raw --target-image-opts image \
			"$target" &
		copy=$!
		later "end $copy"
		while [ $turn -lt "$stops" ]; do
			wrote=$(writes)
			wait_for 20 copied_or_wrote $((7 + turn % 5 * 3))
			! copied || break
			turn=$((turn + 1))
			stop_and_start
		done
		wait_for 60 copied
	done
	same_image "$(uri near)" image
	same_everywhere data
	stop near
	stop far
}

run test_stops_under_load_show_a_client_nothing
run test_stops_under_load_show_qemu_nothing
finish
