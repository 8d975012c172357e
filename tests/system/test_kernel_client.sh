#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The way most users come: Debian's kernel with its nbd module and nbd-client, as they are,
# in a virtual machine.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

# What the guest does. `attach` is what the manual tells a user to type.
guest_script()
{
	echo "port=$1"
	cat <<-'EOT'
		say()
		{
			echo "guest: at $(cut -d. -f1 /proc/uptime) s: $*"
		}

		attach()
		{
			nbd-client 10.0.2.2 "$port" -N data /dev/nbd0 "$@"
			say "attached: $(cat /sys/block/nbd0/size) sectors," \
				"$(cat /sys/block/nbd0/queue/write_cache)," \
				"discard $(cat /sys/block/nbd0/queue/discard_max_bytes)"
		}

		detach()
		{
			umount /mnt
			nbd-client -d /dev/nbd0
			for _ in $(seq 100); do
				[ -e /sys/block/nbd0/pid ] || return 0
				sleep 0.1
			done
			return 1
		}

		attach
		mkfs.ext4 -q /dev/nbd0
		mount -t ext4 /dev/nbd0 /mnt
		mkdir -p /mnt/many /mnt/large
		# Forks are what costs time here: one program writes them all.
		dd if=/dev/urandom bs=64k count=50 2>/dev/null | split -a 3 -b 10999 - /mnt/many/
		dd if=/dev/urandom bs=64k count=256 2>/dev/null | split -b 4000000 - /mnt/large/
		sync
		say "written"
		(cd /mnt && find many large -type f | sort | xargs sha256sum) >/tmp/sums
		umount /mnt
		mount -t ext4 /dev/nbd0 /mnt
		(cd /mnt && sha256sum -c /tmp/sums >/dev/null)
		say "the same files after mounting again"
		detach
		# Another connection, and two of them: nothing is left in this kernel's cache.
		attach -C 2
		mount -t ext4 -o discard /dev/nbd0 /mnt
		(cd /mnt && sha256sum -c /tmp/sums >/dev/null)
		say "the same files after attaching again"
		rm /mnt/large/ab /mnt/many/aa*
		dd if=/dev/urandom of=/mnt/large/new bs=4k count=500 conv=fsync 2>/dev/null
		fstrim /mnt
		sync
		cd /mnt
		find many large -type f | sort | xargs sha256sum | sed 's/^/sum: /'
		cd /
		detach
	EOT
}

# image_has_files IMAGE: a clean file system with exactly the files whose sums the guest
# printed.
image_has_files()
{
	e2fsck -fn "$1"
	rm -rf "$T/tree"
	mkdir "$T/tree"
	debugfs -R "rdump /many /large $T/tree" "$1" 2>/dev/null
	[ "$(find "$T/tree" -type f | wc -l)" -eq "$(wc -l <"$T/sums")" ]
	(cd "$T/tree" && sha256sum --quiet -c "$T/sums")
}

# A file system that the kernel made, mounted, filled and left over plain nbd-client has
# its files when it is mounted again, and so have the primary's and the mirror's image.
test_kernel_and_nbd_client()
{
	need nbd-client mkfs.ext4 e2fsck debugfs nbdcopy nbdinfo
	tcp=$("$tools/ports" 1)
	nbd_listen="\"tcp:127.0.0.1:$tcp\""
	sync=network
	pair
	nbd_listen= # the primary alone has that port
	site far mirror "peer: { listen = \"127.0.0.1:$port\"; $options };"
	both_in_sync
	guest_script "$tcp" >script
	guest_run script nbd-client mkfs.ext4 split
	sed -n 's/^sum: //p' console.log >sums
	[ "$(wc -l <sums)" -gt 250 ]
	alive near
	wait_for 60 persisted_all
	nbdcopy "$(uri near)" image
	image_has_files image
	nbdcopy "$(uri far)" image
	image_has_files image
	stop near
	stop far
}

run test_kernel_and_nbd_client
finish
