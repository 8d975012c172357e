#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# max_exposure while the mirror is away and the primary is restarted: what has completed
# beyond what the mirror has is counted over all restarts, and shown after each.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
bound=$((8 << 20))
max_request=$((1 << 20))

# Completed writes of 4 KiB, in bytes: the log has their numbers, behind one more number.
completed()
{
	total=0
	for log in stamps.*; do
		total=$((total + ($(stat -c %s "$log") / 8 - 1) * 4096))
	done
	echo "$total"
}

# It has written all that it was to, or nothing completes any more.
done_or_held()
{
	gone "$1" || in_state near HOLDING
}

# write_some ROUND: 2 MiB, or as much as completes; then the primary ends, and is started.
write_some()
{
	"$build/tests/disaster/stamper" "$(uri near)" "$1" "stamps.$1" depth=8 count=512 \
		>"said.$1" 2>&1 &
	writer=$!
	wait_for 20 done_or_held $writer
	if [ $(($1 % 2)) -eq 0 ]; then
		stop near
	else
		crash near
	fi
	wait_for 20 gone $writer
	start near
}

shown()
{
	bytes=$(field near groups.0.exposure.bytes)
	[ "$bytes" != null ] && [ "$bytes" -ge "$(completed)" ] &&
		[ "$bytes" -le $((bound + max_request)) ]
}

test_a_restart_forgets_no_exposure()
{
	sync=network
	pair
	sed -i 's/sync = "network";/& max_exposure = "8MiB"; open_timeout = "300ms";/' \
		near.conf far.conf
	both_in_sync
	"$build/tests/disaster/stamper" "$(uri near)" 99 before depth=8 count=512 >said
	wait_for 20 persisted_all
	stop far
	wait_for 20 in_state near EXPOSED
	for round in $(seq 8); do
		write_some "$round"
		wait_for 10 shown
		[ "$(completed)" -le $((bound + max_request)) ] ||
			fail "$(completed) bytes have completed in round $round"
	done
	# It is no bound that is reached by restarts alone.
	[ "$(completed)" -ge $((bound * 9 / 10)) ] ||
		fail "only $(completed) bytes have completed"
	start far
	wait_for 30 in_state near IN_SYNC
	wait_for 30 persisted_all
	[ "$(field near groups.0.exposure.bytes)" = 0 ]
	stop near
	stop far
}
run test_a_restart_forgets_no_exposure

finish
