#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk that fails under the store: the group stops completing and says why, the daemon
# lives, and what was flushed before is there when the disk is sound again.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB

# rules EVENT COUNT IOTYPE: blkdebug's, for EIO from the COUNT-th event on.
rules()
{
	i=1
	while [ "$i" -lt "$2" ]; do
		printf '[set-state]\nevent = "%s"\nstate = "%d"\nnew_state = "%d"\n' \
			"$1" "$i" $((i + 1))
		i=$((i + 1))
	done
	printf '[inject-error]\nevent = "%s"\niotype = "%s"\nstate = "%d"\nerrno = "5"\n' \
		"$1" "$3" "$2"
}

# failing_disk EVENT COUNT IOTYPE: start "near" with its store on such a disk: a file made
# by FUSE from what qemu-nbd serves.
failing_disk()
{
	need qemu-nbd qemu-io nbdfuse fusermount3 nbdinfo
	[ -w /dev/fuse ] || skip "no FUSE here"
	site near primary
	create near
	mv near.store disk
	rules "$@" >rules
	qemu-nbd -t -f raw -k "$T/disk.sock" "blkdebug:$T/rules:$T/disk" &
	later "end $!"
	wait_for 10 test -S disk.sock
	mkdir fuse
	nbdfuse "$T/fuse/store" "nbd+unix:///?socket=$T/disk.sock" &
	later "fusermount3 -q -u $T/fuse"
	wait_for 10 test -f fuse/store
	sed -i "s,$T/near.store,$T/fuse/store," near.conf
	start near
}

# write_until_it_fails: flushed writes of 64 KiB, the k-th with pattern k at k MiB; sets
# $good, the last that was acknowledged.
write_until_it_fails()
{
	good=0
	for k in $(seq 60); do
		qemu-io -f raw -c "write -P $k ${k}M 64k" -c flush "$(uri near)" \
			>answer 2>&1 || break
		good=$k
	done
	cat answer
	[ "$good" -ge 1 ] || fail "nothing was written"
	[ "$good" -lt 60 ] || fail "no write failed"
}

# it_has_failed TEXT: that is the state, with this reason, for good; the daemon lives.
it_has_failed()
{
	grep -q -i 'input/output error' answer
	wait_for 10 in_state near FAILED
	field near groups.0.why | grep -q -i "$1"
	grep -q -i "$1" near.log
	! qemu-io -f raw -c 'write 0 4k' "$(uri near)" || fail "a later write completed"
	! qemu-io -f raw -c flush "$(uri near)" || fail "a later flush completed"
	in_state near FAILED
	alive near
}

# what_was_acknowledged: on a sound disk, $1, all of it is there.
what_was_acknowledged()
{
	pid=$(cat near.pid)
	kill "$pid"
	wait_for 30 gone "$pid"
	! wait "$pid" || fail "ended with 0 after its store failed"
	site near primary
	sed -i "s,$T/near.store,$1," near.conf
	start near
	for k in $(seq "$good"); do
		qemu-io -f raw -c "read -P $k ${k}M 64k" "$(uri near)" >answer 2>&1
		! grep -i 'verification failed' answer || fail "write $k is lost"
	done
	stop near
}

test_eio_on_write()
{
	failing_disk pwritev 60 write
	write_until_it_fails
	it_has_failed 'write'
	qemu-io -f raw -c 'read -P 1 1M 64k' "$(uri near)" # reads go on
	what_was_acknowledged "$T/disk"
}

test_eio_on_flush()
{
	failing_disk flush_to_disk 20 flush
	write_until_it_fails
	it_has_failed 'flush'
	qemu-io -f raw -c 'read -P 1 1M 64k' "$(uri near)"
	what_was_acknowledged "$T/disk"
}

# The file system under a sparse store has no room, though the log has.
test_full_file_system()
{
	need qemu-io losetup mke2fs nbdinfo
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	truncate -s 256M fs.img
	mke2fs -q -t ext4 -m 0 fs.img
	mkdir fs
	mount -o loop fs.img fs || skip "no loop devices here"
	later "umount -l $T/fs"
	site near primary
	sed -i "s,$T/near.store,$T/fs/store," near.conf
	create near
	start near
	cat /dev/zero >fs/filler 2>/dev/null || true
	truncate -s -2M fs/filler # less than write_until_it_fails writes
	write_until_it_fails
	wait_for 10 in_state near FAILED
	field near groups.0.why | grep -q -i 'no space'
	alive near
	rm fs/filler
	what_was_acknowledged "$T/fs/store"
}

# A limit on the size of files is no signal that ends the daemon, but an error of the store.
test_limit_of_the_file_size()
{
	need qemu-io nbdinfo
	site near primary
	create near
	ulimit -S -f $((32 << 11)) # of 512 bytes: 32 MiB
	start near
	ulimit -S -f unlimited
	good=0
	for k in $(seq 60); do
		qemu-io -f raw -c "write -P $k ${k}M 1M" -c flush "$(uri near)" >answer 2>&1 ||
			break
		good=$k
	done
	[ "$good" -ge 1 ] || fail "nothing was written"
	[ "$good" -lt 60 ] || fail "no write failed"
	it_has_failed 'file too large'
	what_was_acknowledged "$T/near.store"
}

run test_limit_of_the_file_size
run test_eio_on_write
run test_eio_on_flush
run test_full_file_system
finish
