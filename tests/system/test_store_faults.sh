#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Stores that are full, damaged, missing, in use, or somebody else's: what clients see, and
# what the daemon says before it leaves the store alone.
. "$(dirname "$0")/lib.sh"

# Small, since whole stores are summed here.
volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB

# refuses NAME TEXT: the daemon ends by itself, not with 0, and its log says why.
refuses()
{
	launch "$1"
	pid=$(cat "$T/$1.pid")
	wait_for 20 gone "$pid"
	! wait "$pid" || fail "ended with 0"
	tail -n 3 "$T/$1.log"
	grep -q -i -E "$2" "$T/$1.log" || fail "does not say: $2"
}

# untouched COMMAND...: the store is the same after it.
untouched()
{
	sum=$(sha256sum <near.store)
	"$@"
	[ "$sum" = "$(sha256sum <near.store)" ] || fail "the store was touched"
}

# A full log is ENOSPC to writers, and nothing else: reads go on, what was flushed stays,
# and after a restart it is the same.
test_full_log_is_enospc_only()
{
	need qemu-io nbdcopy nbdinfo
	one_site
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	full=0
	for turn in 1 2 3 4 5 6; do
		qemu-io -f raw -c "write -P $turn 0 16M" -c flush "$(uri near)" >answer 2>&1 ||
			true
		cat answer
		if grep -q 'No space left' answer; then
			full=1
			break
		fi
	done
	[ $full -eq 1 ] || fail "never full"
	alive near
	rm -f image
	nbdcopy "$(uri near)" image
	cmp -i 16M image data
	stop near
	start near
	nbdcopy "$(uri near)" again
	cmp image again
	stop near
}

# A block whose bytes have changed on the disk is an I/O error to who reads it, is counted,
# and harms nothing else.
test_flipped_bit_is_eio()
{
	need qemu-io nbdcopy nbdinfo
	one_site
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	{ printf 'marked block'; head -c 4084 /dev/zero; } >marked
	dd if=marked of=data bs=4096 seek=1000 conv=notrunc status=none
	nbdcopy --flush data "$(uri near)"
	stop near
	at=$(grep -abo 'marked block' near.store | tail -n 1 | cut -d: -f1)
	printf 'M' | dd of=near.store bs=1 seek="$at" conv=notrunc status=none
	start near
	qemu-io -f raw -c 'read 4096000 4096' "$(uri near)" >answer 2>&1 || true
	cat answer
	grep -q -i 'input/output error' answer
	alive near
	dd if=data of=before bs=4096 count=1000 status=none
	nbdcopy "nbd+unix:///data?socket=$T/near.nbd" image 2>/dev/null && fail "copied"
	qemu-img dd -f raw -O raw bs=4096 count=1000 if="$(uri near)" of=image
	cmp image before
	[ "$(field near groups.0.store.checksum_errors 2>/dev/null || echo 1)" -ge 1 ]
	# Written anew, it is a good block again.
	qemu-io -f raw -c 'write -P 7 4096000 4096' -c 'read -P 7 4096000 4096' "$(uri near)"
	stop near
}

test_missing_store()
{
	site near primary
	refuses near 'no such file|not there|does not exist|missing'
}

# Two daemons on one store would tear it apart.
test_store_in_use()
{
	one_site
	sed "s,near.ctl,other.ctl,; s,near.nbd,other.nbd," near.conf >other.conf
	refuses other 'in use|busy'
	create_status=0
	create near || create_status=$?
	[ $create_status -eq 3 ] || fail "create beside the daemon ended with $create_status"
	exports near data
	stop near
}

test_store_of_another_group()
{
	site near primary
	create near
	sed -i 's/name = "g"/name = "h"/' near.conf
	untouched refuses near 'group'
}

test_store_that_was_cut_short()
{
	site near primary
	create near
	truncate -s 100M near.store
	untouched refuses near 'needs [0-9]+'
}

cannot_create()
{
	! create near || fail "created twice"
}

# create never overwrites.
test_create_does_not_overwrite()
{
	site near primary
	create near
	untouched cannot_create
}

# loop_device FILE: a block device over it, in $device, undone at the end.
loop_device()
{
	[ "$(id -u)" -eq 0 ] || skip "not root"
	device=$(losetup --find --show "$1" 2>/dev/null) || skip "no loop device"
	later "losetup --detach $device"
}

# What is on a device may be missed by somebody: create says what it found, and stops.
test_create_destroys_nothing_unasked()
{
	need losetup mke2fs mkswap sfdisk
	truncate -s 1G disk
	loop_device "$T/disk"
	site near primary
	sed -i "s,store = \"[^\"]*\",store = \"$device\",; s,store_size = \"[^\"]*\";,," near.conf
	for content in ext4 swap gpt; do
		dd if=/dev/zero of="$device" bs=1M count=16 conv=fsync status=none
		case $content in
		ext4) mke2fs -q -F -t ext4 "$device" ;;
		swap) mkswap -q "$device" ;;
		gpt) echo 'label: gpt' | sfdisk -q "$device" ;;
		esac
		sum=$(head -c 16M "$device" | cksum)
		create_status=0
		create near >answer 2>&1 || create_status=$?
		cat answer
		[ $create_status -eq 3 ] || fail "create over $content ended with $create_status"
		grep -q -i "$content" answer
		[ "$(head -c 16M "$device" | cksum)" = "$sum" ] || fail "$content was changed"
	done
	# With --force it still says what was there.
	"$build/wanmirror" -c near.conf create --force --dry-run >answer 2>&1
	"$build/wanmirror" -c near.conf create --force >>answer 2>&1
	cat answer
	[ "$(grep -c 'holds a partition table (gpt)' answer)" -eq 2 ] || fail "not said twice"
	grep -q 'overwritten (--force)' answer
	# A store is never overwritten, --force or not.
	create_status=0
	"$build/wanmirror" -c near.conf create --force || create_status=$?
	[ $create_status -eq 3 ] || fail "create over a store ended with $create_status"
}

# A store whose first blocks are gone is refused, not made anew.
test_both_superblocks_damaged()
{
	need nbdinfo nbdcopy
	one_site
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	stop near
	dd if=/dev/zero of=near.store bs=4096 count=256 conv=notrunc status=none
	untouched refuses near 'superblock|damaged|not a'
}

run test_full_log_is_enospc_only
run test_flipped_bit_is_eio
run test_missing_store
run test_store_in_use
run test_store_of_another_group
run test_store_that_was_cut_short
run test_create_does_not_overwrite
run test_create_destroys_nothing_unasked
run test_both_superblocks_damaged
finish
