#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What waits for the mirror in `remote`: the flushes of a client that flushes, and each write of
# one that never does. Two clients of the same volume, the mirror gone.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "16MiB"; }'
sync=remote

# client NAME: a qemu-io that takes its orders from a pipe, and flushes when it is ordered to.
client()
{
	mkfifo "$1.orders"
	stdbuf -oL qemu-io -f raw -t writeback "$(uri near)" <"$1.orders" >"$1.said" 2>&1 &
	later "end $!"
}

# A file's end is the end of the orders, so each client has its own descriptor for good.
order_first()
{
	echo "$*" >&8
}

order_second()
{
	echo "$*" >&9
}

# wrote NAME N: so many of its writes are done.
wrote()
{
	[ "$(grep -c 'wrote ' "$1.said")" -eq "$2" ]
}

waiting_is() # WRITES FLUSHES
{
	[ "$(field near groups.0.volumes.0.waiting)" -eq "$1" ] &&
		[ "$(field near groups.0.volumes.0.waiting_flushes)" -eq "$2" ]
}

two_clients()
{
	need qemu-io nbdcopy nbdinfo stdbuf
	client first
	exec 8>first.orders
	client second
	exec 9>second.orders
	order_first 'write -P 1 0 4k'
	order_first flush
	order_second 'write -P 2 4k 4k'
	wait_for 20 wrote first 1
	wait_for 20 wrote second 1
	wait_for 20 waiting_is 0 0
}

blocks()
{
	for value; do
		head -c 4096 /dev/zero | tr '\0' "\\$value"
	done >blocks
}

test_who_flushes_waits_for_its_flushes()
{
	pair_in_sync
	two_clients
	wait_for 20 persisted_all
	crash far
	wait_for 20 in_state near HOLDING
	case $(field near groups.0.why) in
	*"so FLUSH and FUA wait, and writes of clients that have not flushed yet; other writes complete; "*) ;;
	*) fail "$(field near groups.0.why)" ;;
	esac
	order_first 'write -P 3 8k 4k'
	wait_for 20 wrote first 2
	order_second 'write -P 4 12k 4k'
	wait_for 20 waiting_is 1 0
	order_first flush
	wait_for 20 waiting_is 1 1
	wrote second 1 || fail "a write of the client that never flushed has completed"
	start far
	wait_for 30 wrote second 2
	wait_for 10 waiting_is 0 0
	crash near
	promote far
	blocks 1 2 3 4
	same_image "$(uri far)" blocks
	stop far
}

# With hold = "write" in the file, each write of both.
test_hold_write_is_for_all()
{
	pair
	sed -i 's/sync = "remote";/& hold = "write";/' near.conf
	both_in_sync
	two_clients
	crash far
	wait_for 20 in_state near HOLDING
	order_first 'write -P 3 8k 4k'
	order_second 'write -P 4 12k 4k'
	wait_for 20 waiting_is 2 0
	"$build/wanmirror" -c near.conf set hold=flush
	wait_for 20 wrote first 2
	wait_for 20 waiting_is 1 0
	start far
	wait_for 30 wrote second 2
	stop near
	stop far
}

run test_who_flushes_waits_for_its_flushes
run test_hold_write_is_for_all
finish
