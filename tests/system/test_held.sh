#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Writes that wait for a mirror that is gone, on a volume that asks for it: reads, and writes
# to volumes that do not ask, go on at their rate. Once the mirror is back all are done.
#
# HELD=1 holds 1 GiB instead of 192 MiB. LEAST (0.5) is the least share of the undisturbed
# rate that passes; a busy machine differs from itself by more than these writes cost.
. "$(dirname "$0")/lib.sh"

load=$build/tests/bench/load
clients=3
[ -z "${HELD:-}" ] || clients=16
writes=64
mib=$((clients * writes))
sync=remote
volumes="{ name = \"safe\"; size = \"${mib}MiB\"; on_disconnect = \"hold\"; },
	{ name = \"data\"; size = \"64MiB\"; sync = \"local\"; }"
store_size=$((mib + 1024))MiB

held()
{
	field near groups.0.volumes.0 >volume 2>/dev/null || return 1
	[ "$("$tools/jget" waiting <volume)" -eq $((clients * writes)) ] &&
		[ "$("$tools/jget" waiting_bytes <volume)" -eq $((mib << 20)) ]
}

# rate [reads=1]: writes, or reads, a second: 4 KiB, 8 in flight, the volume that does not wait.
rate()
{
	"$load" "$(uri near)" seconds=2 depth=8 $1 >load.out
	sed 's/.*rate=\([0-9]*\).*/\1/' load.out
}

# The mirror is gone in the middle of it all.
test_held_writes_leave_the_others_their_rate()
{
	need nbdinfo nbdcopy
	pair_in_sync
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	reads=$(rate reads=1)
	locals=$(rate)
	crash far
	wait_for 20 in_state near HOLDING
	"$tools/holder" "$(uri near safe)" $clients $writes >holder.out 2>&1 &
	holder=$!
	later "end $holder"
	wait_for 60 held
	held_reads=$(rate reads=1)
	held_locals=$(rate)
	held || fail "they do not wait any more"
	start far
	wait_for 120 gone $holder
	cat holder.out
	wait $holder || fail "not all of them were done"
	then_reads=$(rate reads=1)
	then_locals=$(rate)
	echo "$mib MiB held: reads $reads, $held_reads, $then_reads /s (before, while, after);" \
		"local writes $locals, $held_locals, $then_locals /s"
	awk "BEGIN {
		least = ${LEAST:-0.5}
		r = $reads < $then_reads ? $reads : $then_reads
		w = $locals < $then_locals ? $locals : $then_locals
		printf \"%.2f of the reads, %.2f of the writes\n\", $held_reads / r, $held_locals / w
		exit !($held_reads >= least * r && $held_locals >= least * w) }"
	stop near
	stop far
}

nobody_connected()
{
	[ "$(field near nbd.connections)" -eq 0 ]
}

# killed_with_writes N [URI]: a client with 4 held writes in the volume that waits; kill -9.
killed_with_writes()
{
	"$tools/holder" "${2:-$(uri near safe)}" 1 4 >>holder.out 2>&1 &
	holder=$!
	later "end $holder"
	wait_for 20 waiting $((4 * $1))
	for pid in $(cat "/proc/$holder/task/$holder/children") $holder; do
		kill -9 "$pid" 2>/dev/null || true # it may have ended with the one before
	done
	wait_for 10 gone $holder
}

waiting()
{
	[ "$(field near groups.0.volumes.0.waiting)" -eq "$1" ]
}

# Clients that are killed while the mirror is gone, one after the other, as one that connects
# again does: over a unix socket each gives back its place at once, and over TCP to the next.
test_killed_clients_leave_their_places()
{
	need nbdinfo
	nbd_port=$("$tools/ports" 1)
	nbd_listen="\"tcp:127.0.0.1:$nbd_port\""
	nbd_more='connections = 5;'
	pair
	sed -i 's/, "tcp:[^"]*"//' far.conf # one of them has the port
	both_in_sync
	crash far
	wait_for 20 in_state near HOLDING
	for n in 1 2 3 4 5 6 7; do
		killed_with_writes $n
		wait_for 5 nobody_connected
	done
	[ "$(field near nbd.abandoned)" -eq 28 ] || fail "$(field near nbd.abandoned) are left"
	for n in 8 9 10 11 12 13 14; do
		killed_with_writes $n "nbd://127.0.0.1:$nbd_port/safe"
	done
	exports near data || fail "no place for another client"
	exports near safe || fail "no place for this one again"
	start far
	wait_for 60 waiting 0
	wait_for 10 nobody_connected
	[ "$(field near nbd.abandoned)" -eq 0 ] || fail "some are left"
	stop near
	stop far
}

run test_killed_clients_leave_their_places
run test_held_writes_leave_the_others_their_rate
finish
