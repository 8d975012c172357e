#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# docs/runbook.md shows what the commands print today: each procedure of it is done with the
# real daemons, and what is printed is compared with the document, but for times, LSNs and ids.
# `make runbook` writes the blocks that differ.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/runbook.sh"

# ---- planned switchover ---------------------------------------------------------------

test_switchover_there_and_back()
{
	written_pair
	begin switchover-before
	status near
	at near switchover g --dry-run
	end_block
	begin switchover-there
	at near switchover g
	wait_for 20 is far primary IN_SYNC
	wait_for 20 is near mirror FOLLOWING
	status far
	status near
	read_only far
	read_only near
	end_block
	random_file data 8
	nbdcopy --flush data "$(uri far)"
	wait_for 30 all_persisted far
	begin switchover-back
	at near switchover g
	wait_for 20 is near primary IN_SYNC
	wait_for 20 is far mirror FOLLOWING
	status near
	end_block
	same_image "$(uri near)" data
	stop far
	wait_for 20 in_state near EXPOSED
	begin switchover-refused
	at near switchover g
	end_block
	stop near
}

# ---- disaster -------------------------------------------------------------------------

promoted_pair()
{
	written_pair
	crash near
	wait_for 30 may_promote far
	promote far
	wait_for 30 in_state far EXPOSED
}

test_disaster_and_the_return_of_the_old_site()
{
	written_pair
	crash near
	begin disaster-early
	at far promote g --dry-run
	end_block
	wait_for 30 in_state far LISTENING
	wait_for 30 may_promote far
	begin disaster-look
	status far
	at far promote g --dry-run
	end_block
	begin disaster-promote
	at far promote g
	wait_for 30 in_state far EXPOSED
	status far
	read_only far
	end_block
	same_image "$(uri far)" data

	launch near
	wait_for 30 in_state near FENCED
	begin return-fenced
	typed near 'systemctl start wanmirrord'
	status near
	last_events near ' fenced '
	at near promote g
	at near open g --alone
	end_block

	stop near
	rm "$T/near.store"
	becomes near mirror
	begin return-new-store
	typed near 'systemctl stop wanmirrord'
	typed near 'mv /var/lib/wanmirror/g.store /var/lib/wanmirror/g.store.fenced'
	typed near "sed -i 's/role = \"primary\"/role = \"mirror\"/' /etc/wanmirror/wanmirror.conf"
	at near create g
	typed near 'systemctl start wanmirrord'
	launch near
	wait_for 20 why_is near 'peer replace'
	status near
	at far peer replace g
	wait_for 30 is far primary IN_SYNC
	wait_for 30 is near mirror FOLLOWING
	status far
	end_block
	wait_for 30 all_persisted far
	same_image "$(uri near)" data
	stop near
	stop far
}

# Nobody needs what far has written: the old primary goes on.
test_keeping_the_old_site()
{
	promoted_pair
	random_file lost 8
	nbdcopy --flush lost "$(uri far)"
	launch near
	wait_for 30 in_state near FENCED
	begin keep-undo
	at far promote --undo g
	end_block
	stop far
	begin keep-force
	typed far 'systemctl stop wanmirrord'
	at near promote --force g
	wait_for 30 in_state near EXPOSED
	status near
	read_only near
	end_block
	same_image "$(uri near)" data
	rm "$T/far.store"
	begin keep-mirror
	typed far 'mv /var/lib/wanmirror/g.store /var/lib/wanmirror/g.store.lost'
	at far create g
	typed far 'systemctl start wanmirrord'
	launch far
	at near peer replace g
	wait_for 30 is near primary IN_SYNC
	status near
	end_block
	wait_for 30 all_persisted near
	same_image "$(uri far)" data
	stop near
	stop far
}

test_a_promotion_by_mistake()
{
	promoted_pair
	begin undo
	at far promote --undo g
	launch near
	wait_for 30 is near primary IN_SYNC
	status near
	end_block
	same_image "$(uri near)" data
	stop near
	stop far
}

# ---- no answer ------------------------------------------------------------------------

test_cold_return_without_the_mirror()
{
	written_pair
	sed -i 's/sync = "network";/& open_timeout = "1s";/' near.conf
	stop near
	stop far
	cold
	launch near
	wait_for 30 in_state near HOLDING
	begin cold-holding
	typed near 'systemctl start wanmirrord'
	status near
	at near open g --alone --dry-run
	end_block
	begin cold-alone
	at near open g --alone
	wait_for 30 in_state near EXPOSED
	status near
	end_block
	same_image "$(uri near)" data
	start far
	wait_for 30 in_state near IN_SYNC
	begin cold-answered
	typed far 'systemctl start wanmirrord'
	status near
	end_block
	stop near
	stop far
}

# ---- stores ---------------------------------------------------------------------------

test_a_mirror_whose_store_was_lost()
{
	written_pair
	stop far
	rm far.store
	begin lost-store
	at far create g
	typed far 'systemctl start wanmirrord'
	launch far
	wait_for 20 in_state near EXPOSED
	wait_for 20 why_is near 'peer replace'
	wait_for 20 why_is far 'peer replace'
	status near
	status far
	end_block
	begin lost-replace
	at near peer replace g --dry-run
	at near peer replace g
	wait_for 30 in_state near IN_SYNC
	status near
	end_block
	wait_for 30 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

test_a_copied_and_a_restored_store()
{
	written_pair
	stop near
	cp --sparse=always near.store old.store
	cp --sparse=always near.store twin.store
	sed "s,$T/near\.,$T/twin.,; s,node = \"near\",node = \"twin\"," near.conf >twin.conf
	sed -i 's/sync = "network";/& open_timeout = "1s";/' twin.conf
	start near
	wait_for 30 in_state near IN_SYNC
	cold
	launch twin
	wait_for 30 in_state twin HOLDING
	wait_for 20 why_is twin 'a copy of this store'
	begin copied
	typed twin 'systemctl start wanmirrord'
	status twin
	status near
	last_events far 'refused'
	end_block
	stop twin

	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	stop near
	mv old.store near.store
	launch near
	wait_for 30 in_state near IN_SYNC
	begin restored
	typed near 'systemctl stop wanmirrord'
	typed near 'cp /backup/g.store /var/lib/wanmirror/g.store'
	typed near 'systemctl start wanmirrord'
	status near
	last_events near 'rolled-back|pulled-back'
	end_block
	same_image "$(uri near)" data

	stop far
	cp --sparse=always far.store old.store
	start far
	wait_for 30 in_state near IN_SYNC
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	stop far
	mv old.store far.store
	launch far
	wait_for 20 why_is near 'older copy'
	wait_for 20 why_is far 'older copy'
	wait_for 20 in_state near EXPOSED
	begin restored-mirror
	typed far 'systemctl stop wanmirrord'
	typed far 'cp /backup/g.store /var/lib/wanmirror/g.store'
	typed far 'systemctl start wanmirrord'
	status near
	end_block
	begin restored-mirror-taken
	at near peer replace g
	wait_for 30 is far mirror FOLLOWING
	wait_for 30 in_state near IN_SYNC
	status near
	status far
	end_block
	wait_for 30 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

run test_switchover_there_and_back
run test_disaster_and_the_return_of_the_old_site
run test_keeping_the_old_site
run test_a_promotion_by_mistake
run test_cold_return_without_the_mirror
run test_a_mirror_whose_store_was_lost
run test_a_copied_and_a_restored_store
finish
