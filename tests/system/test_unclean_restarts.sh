#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Kills of either daemon as soon as it has reached its state, again and again: the stores stay
# paired, the history does not fill with epochs in which nothing was written, and what was
# acknowledged stays.
#
# RESTARTS=1100 is more than a history has room for; the default is a handful. WRITES=each writes
# in each epoch, so that the oldest ones must go.
. "$(dirname "$0")/lib.sh"

restarts=${RESTARTS:-12}
volumes='{ name = "data"; size = "64MiB"; }'
# Each start takes a segment, and none is free again before there is a cleaner.
store_size=$((restarts * 8 + 256))MiB
sync=network

is_mirror()
{
	in_state far FOLLOWING
}

# A write in this epoch, which is acknowledged when both sites have it.
write_one() # ROUND
{
	qemu-io -f raw -c "write -P $(($1 % 251 + 1)) $(($1 % 4096 * 4096)) 4096" -c flush \
		"$(uri near)" >wrote 2>&1
	! grep -q "failed\|error" wrote || fail "$(cat wrote)"
	echo "read -P $(($1 % 251 + 1)) $(($1 % 4096 * 4096)) 4096" >>reads
}

# SITE holds each of them.
holds_all()
{
	qemu-io -r -f raw "$(uri "$1")" <reads >read 2>&1
	! grep "Pattern verification failed" read || fail "something acknowledged is lost at $1"
	[ "$(grep -c "read 4096/4096" read)" -eq "$(wc -l <reads)" ] || fail "$1 was not read"
}

writes_in() # ROUND
{
	[ "${WRITES:-}" = each ] || [ $(($1 % 2)) -eq 0 ]
}

test_unclean_restarts()
{
	need qemu-io nbdinfo
	pair_in_sync
	write_one 0
	for round in $(seq "$restarts"); do
		if [ $((round % 4)) -eq 3 ]; then
			crash far
			start far
		fi
		crash near
		start near
		wait_for 30 in_state near IN_SYNC
		wait_for 30 is_mirror
		! writes_in "$round" || write_one "$round"
	done
	wait_for 30 persisted_all
	for site in near far; do
		[ "$(grep -c 'peer-bound' $site.log)" -eq 1 ] || fail "$site was paired again"
		! grep -E 'refused peer|peer-refused|FENCED|DIVERGED' $site.log || fail "$site was disturbed"
		[ "${WRITES:-}" = each ] || ! grep 'history-full' $site.log || fail "the history is full"
		holds_all $site
	done
	note "$restarts restarts, epoch $(field near groups.0.epoch), history-full: $(grep -c history-full near.log || true) at near, $(grep -c history-full far.log || true) at far"
	stop near
	stop far
}

run test_unclean_restarts
finish
