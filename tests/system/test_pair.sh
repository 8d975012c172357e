#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Two daemons on loopback: the mirror follows, exports its image read-only, and takes over
# when it is asked to.
. "$(dirname "$0")/lib.sh"

# The mirror's image is the primary's, once all of it is persisted, and cannot be written.
test_mirror_has_the_same_image()
{
	need nbdcopy nbdinfo
	sync=network
	pair_in_sync
	nbdinfo --is read-only "$(uri far)"
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri far)" data
	! nbdcopy data "$(uri far)" 2>/dev/null || fail "the mirror was written"
	same_image "$(uri far)" data
	stop near
	stop far
}

# An image of 512-byte sectors that fills its last block of 4096 in part: exactly that size at
# both sites, every byte of it, zeroed and trimmed up to its end, and nothing behind it.
test_a_size_in_sectors()
{
	need nbdcopy nbdinfo qemu-io
	sync=network
	bytes=$((5 * 1048576 + 3 * 512))
	volumes="{ name = \"data\"; size = \"${bytes}B\"; }"
	pair_in_sync
	[ "$(nbdinfo --size "$(uri near)")" -eq $bytes ] || fail "another size"
	random_file data 6
	truncate -s $bytes data
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri near)" data
	same_image "$(uri far)" data
	qemu-io -f raw -c "write -z $((bytes - 512)) 512" "$(uri near)"
	truncate -s $((bytes - 512)) data
	truncate -s $bytes data
	same_image "$(uri near)" data
	qemu-io -f raw -c "discard $((bytes - 1536)) 1536" -c "write -P 9 $((bytes - 1536)) 1024" \
		"$(uri near)"
	head -c 1024 /dev/zero | tr '\0' '\011' |
		dd of=data bs=512 seek=$((bytes / 512 - 3)) conv=notrunc status=none
	stop near
	start near
	same_image "$(uri near)" data
	wait_for 60 persisted_all
	same_image "$(uri far)" data
	"$tools/nbdbad" requests "$T/near.nbd" data
	stop near
	stop far
}

# What was completed in `remote` is at the mirror after the primary's death; promoted, it
# is written like any primary.
test_promote_after_death()
{
	need nbdcopy nbdinfo
	sync=remote
	pair_in_sync
	random_file data 48
	nbdcopy --flush data "$(uri near)"
	crash near
	promote far
	wait_for 30 exports far data
	! nbdinfo --is read-only "$(uri far)" || fail "still read-only"
	same_image "$(uri far)" data
	random_file data 16
	nbdcopy --flush data "$(uri far)"
	stop far
	start far
	same_image "$(uri far)" data
	stop far
}

# A mirror that was away gets what it missed.
test_mirror_comes_back()
{
	need nbdcopy nbdinfo
	sync=network
	pair_in_sync
	random_file data 16
	nbdcopy --flush data "$(uri near)"
	crash far
	random_file data 32
	nbdcopy --flush data "$(uri near)"
	start far
	wait_for 60 persisted_all
	wait_for 30 in_state near IN_SYNC
	same_image "$(uri far)" data
	stop near
	stop far
}

# A primary that was killed opens with the mirror's consent and goes on.
test_primary_comes_back()
{
	need nbdcopy nbdinfo
	sync=network
	pair_in_sync
	random_file data 24
	nbdcopy --flush data "$(uri near)"
	crash near
	start near
	wait_for 30 in_state near IN_SYNC
	same_image "$(uri near)" data
	random_file data 24
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

opened()
{
	grep -q "running group=" near.log
}

# A primary that was killed, started, and stopped before the mirror has answered has still
# to ask, and to begin a new epoch: a stop in order makes no clean store of it.
test_stop_while_asking_forgets_nothing()
{
	need nbdcopy nbdinfo
	sync=remote
	pair_in_sync
	before=$(field near groups.0.epoch_id)
	random_file data 16
	nbdcopy --flush data "$(uri near)"
	crash near
	stop far
	: >near.log
	launch near
	wait_for 30 opened
	in_state near STARTING
	stop near
	start far
	start near
	wait_for 30 in_state near IN_SYNC
	[ "$before" != "$(field near groups.0.epoch_id)" ] || fail "the same epoch"
	same_image "$(uri near)" data
	stop near
	stop far
}

waits_for_mirror()
{
	grep -q "waiting for=mirror state=HOLDING why=.*fua is remote" near.log
}

# A primary that may not open without its mirror says so, serves nothing, and opens when
# somebody lets it.
test_start_without_mirror_says_why()
{
	need nbdinfo
	sync=network
	pair
	sed -i 's/sync = "network";/& fua = "remote"; open_timeout = "100ms";/' near.conf
	launch near
	wait_for 30 in_state near HOLDING
	wait_for 10 waits_for_mirror
	field near groups.0.why | grep -q "wanmirror set fua=mode"
	timeout 20 nbdinfo --size "$(uri near)" && fail "it serves"
	"$build/wanmirror" -c near.conf set fua=mode
	wait_for 10 exports near
	in_state near EXPOSED || fail "near is $(field near groups.0.state)"
	stop near
}

run test_mirror_has_the_same_image
run test_a_size_in_sectors
run test_promote_after_death
run test_mirror_comes_back
run test_primary_comes_back
run test_stop_while_asking_forgets_nothing
run test_start_without_mirror_says_why
finish
