#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A promotion by mistake is undone while nothing was written: the old primary goes on, fenced or
# not, over kills of either site. After a write it is refused, and both sites keep what they have.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB
sync=network

read_only()
{
	nbdinfo "$(uri "$1")" | grep -q "is_read_only: $2" || fail "$1 is read-only: not $2"
}

# undo STATUS TEXT: it ends so, and says that.
undo_ends()
{
	status=0
	"$build/wanmirror" -c "$T/far.conf" promote --undo g >said 2>&1 || status=$?
	[ $status -eq "$1" ] || fail "undo ended with $status: $(cat said)"
	grep -q "$2" said || fail "$(cat said)"
}

# The mirror is promoted within the seconds in which that needs --force.
promoted_by_mistake()
{
	need nbdcopy nbdinfo
	pair_in_sync
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	crash near
	"$build/wanmirror" -c "$T/far.conf" promote --force g
	wait_for 20 is far primary EXPOSED
	read_only far false
}

# As before: near is written, and far has it.
pair_goes_on()
{
	wait_for 20 is near primary IN_SYNC
	wait_for 20 is far mirror FOLLOWING
	read_only near false
	read_only far true
	same_image "$(uri near)" data
	random_file more 4
	nbdcopy --flush more "$(uri near)"
	wait_for 30 persisted_all
	same_image "$(uri far)" more
	stop near
	stop far
}

test_undone_before_the_old_primary_returns()
{
	promoted_by_mistake
	undo_ends 0 'the promotion is undone'
	wait_for 20 is far mirror LISTENING
	undo_ends 0 'this site is a mirror already'
	start near
	pair_goes_on
}

# It has met the promoted site: fenced, durably, until that one says that its epoch is undone.
test_a_fenced_primary_goes_on()
{
	promoted_by_mistake
	launch near
	wait_for 20 in_state near FENCED
	read_only near true
	crash far
	start far
	wait_for 20 is far primary EXPOSED
	crash near
	launch near
	wait_for 20 in_state near FENCED
	undo_ends 0 'the promotion is undone'
	pair_goes_on
}

test_it_is_refused_after_a_write()
{
	promoted_by_mistake
	launch near
	wait_for 20 in_state near FENCED
	random_file other 4
	nbdcopy --flush other "$(uri far)"
	refusal='refused: writes were taken here since the promotion, and would be lost'
	undo_ends 3 "$refusal"
	crash far
	start far
	wait_for 20 is far primary EXPOSED
	undo_ends 3 "$refusal"
	in_state near FENCED || fail "near is $(field near groups.0.state)"
	same_image "$(uri far)" other
	same_image "$(uri near)" data
	read_only near true
	stop near
	stop far
}

run test_undone_before_the_old_primary_returns
run test_a_fenced_primary_goes_on
run test_it_is_refused_after_a_write
finish
