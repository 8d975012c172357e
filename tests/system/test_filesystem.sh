#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A file system on the export, through nbdfuse and a loop device: made, filled, checked,
# and found whole after a stop, a kill, and a failover.
. "$(dirname "$0")/lib.sh"

# attach NAME DIR: the export as a loop device; sets $loop.
attach()
{
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	[ -e /dev/fuse ] || skip "no FUSE here"
	need nbdfuse fusermount3 losetup mke2fs e2fsck nbdinfo
	mkdir -p "$T/$2"
	nbdfuse "$T/$2/disk" "$(uri "$1")" &
	later "fusermount3 -q -u $T/$2"
	wait_for 10 test -f "$T/$2/disk"
	loop=$(losetup --show -f "$T/$2/disk") || skip "no loop devices here"
	later "losetup -d $loop"
}

detach()
{
	losetup -d "$loop"
	wait_for 10 not_busy "$loop"
	fusermount3 -u "$T/$1"
}

not_busy()
{
	! losetup "$1" >/dev/null 2>&1
}

mounted()
{
	mkdir -p "$T/mnt"
	mount -o noatime "$loop" "$T/mnt"
	later "umount $T/mnt"
}

# A tree of real files, and the sums of what is in it.
fill()
{
	cp -r /usr/include/linux "$1/include"
	head -c 20000000 /dev/urandom >"$1/blob"
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$T/sums"
}

# The primary dies while files are copied beside those of fill(), which are synced.
killed_under_writes()
{
	attach near fuse
	mke2fs -q -t ext4 "$loop"
	mounted
	fill "$T/mnt"
	sync -f "$T/mnt"
	(while cp -r "$T/mnt/include" "$T/mnt/more" && rm -r "$T/mnt/more"; do :; done) \
		>/dev/null 2>&1 &
	writer=$!
	wait_for 10 test -d "$T/mnt/more"
	crash near
	wait $writer || true
	umount "$T/mnt" 2>/dev/null || umount -l "$T/mnt"
	detach fuse
}

# The file system that is attached at "again" has those of fill(); then it is detached.
has_its_files()
{
	mounted
	(cd "$T/mnt" && sha256sum --quiet -c "$T/sums")
	umount "$T/mnt"
	detach again
}

# Made, filled, unmounted, checked, attached again: the same files.
test_ext4_is_what_was_written()
{
	one_site
	attach near fuse
	mke2fs -q -t ext4 "$loop"
	mounted
	fill "$T/mnt"
	umount "$T/mnt"
	e2fsck -fn "$loop"
	detach fuse
	stop near
	start near
	attach near again
	e2fsck -fn "$loop"
	has_its_files
	stop near
}

# Synced files are there after kill -9 under a mounted file system.
test_ext4_survives_kill()
{
	one_site
	killed_under_writes
	start near
	attach near again
	e2fsck -fy "$loop" || [ $? -le 1 ]
	e2fsck -fn "$loop"
	has_its_files
	stop near
}

# A live file system whose primary dies: at the promoted mirror it is whole, and what was
# synced in `remote` is there.
test_ext4_survives_failover()
{
	need nbdcopy
	sync=remote
	pair_in_sync
	killed_under_writes
	promote far
	nbdcopy "$(uri far)" copy
	e2fsck -fy copy || [ $? -le 1 ]
	e2fsck -fn copy
	attach far again
	e2fsck -fy "$loop" || [ $? -le 1 ]
	has_its_files
	stop far
}

run test_ext4_is_what_was_written
run test_ext4_survives_kill
run test_ext4_survives_failover
finish
