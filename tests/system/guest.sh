# SPDX-License-Identifier: BSD-3-Clause
#
# A virtual machine with Debian's kernel, for tests that need the kernel's own client:
# qemu without KVM, an initramfs of a few programs, a serial console, user-mode network
# (10.0.2.2 is this host's loopback). Sourced after lib.sh. Nothing is installed: the
# kernel's package is fetched, unpacked below the build folder, and used from there.

guest_seconds=${guest_seconds:-240} # boots in ten; this is for machines that are busy
guest_modules="virtio_pci virtio_net nbd"
guest_kernel_package=linux-image-cloud-amd64 # names the newest one
PATH=$PATH:/usr/sbin:/sbin # where the programs of the guest are
kernel=$build/guest-kernel

# fetch_kernel DIR: the kernel's package, unpacked into DIR.
fetch_kernel()
{
	package=$(apt-cache depends "$guest_kernel_package" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[ -n "$package" ] && (cd "$1" && apt-get download "$package") &&
		dpkg-deb -x "$1"/linux-image-*.deb "$1"
}

# copy_module NAME FROM TO: what it depends on, then itself; TO/order is the order to load.
copy_module()
{
	file=$(find "$2" -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*" | head -n 1)
	[ -n "$file" ] || return 0 # built into the kernel
	! grep -qx "$1" "$3/order" || return 0
	case $file in
	*.xz) xz -dc "$file" >"$3/$1.ko" ;;
	*) cp "$file" "$3/$1.ko" ;;
	esac
	for dep in $(tr '\0' '\n' <"$3/$1.ko" | sed -n 's/^depends=//p' | tr , ' '); do
		copy_module "$dep" "$2" "$3"
	done
	# Names are shared between the calls, but each has its own $1.
	echo "$1" >>"$3/order"
}

# The kernel and its modules are in $kernel afterwards; kept for the next run.
guest_kernel()
{
	[ ! -f "$kernel/vmlinuz" ] || return 0
	need apt-get apt-cache dpkg-deb
	unpacked=$T/kernel
	mkdir "$unpacked" "$T/kept" "$T/kept/modules"
	fetch_kernel "$unpacked" || {
		rm -rf "$unpacked"/*
		apt-get update --quiet && fetch_kernel "$unpacked"
	} || skip "the package $guest_kernel_package cannot be had"
	: >"$T/kept/modules/order"
	for module in $guest_modules; do
		copy_module "$module" "$unpacked/lib/modules" "$T/kept/modules"
	done
	cp "$unpacked"/boot/vmlinuz-* "$T/kept/vmlinuz"
	rm -rf "$unpacked" "$kernel" "$kernel.new"
	cp -r "$T/kept" "$kernel.new"
	mv "$kernel.new" "$kernel"
}

# put_program FILE ROOT: with the libraries it names, at their places.
put_program()
{
	cp "$1" "$2/bin/"
	ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "$2${library%/*}"
		cp -L "$library" "$2$library"
	done
}

# What process 1 does: devices, modules, network, the script; then the machine goes off.
write_init()
{
	cat <<-'EOT'
		#!/bin/busybox sh
		export PATH=/bin
		/bin/busybox --install -s /bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		while read -r module; do
			insmod "/modules/$module.ko"
		done </modules/order
		ip link set lo up
		ip addr add 10.0.2.15/24 dev eth0
		ip link set eth0 up
		sh -e /script
		echo "guest: the script ended with $?"
		poweroff -f
	EOT
}

# guest_image SCRIPT PROGRAM...: the initramfs, $T/initrd.
guest_image()
{
	root=$T/root
	mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/etc" "$root/mnt" \
		"$root/tmp"
	cp -r "$kernel/modules" "$root/modules"
	cp "$1" "$root/script"
	write_init >"$root/init"
	chmod 755 "$root/init"
	: >"$root/etc/mtab"
	shift
	for program in busybox "$@"; do
		put_program "$(command -v "$program")" "$root"
	done
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$T/initrd"
	rm -rf "$root"
}

# guest_run SCRIPT PROGRAM...: boot, run the script with these programs and busybox, power
# off. What it said is in $T/console.log; fails the test if the script did not end with 0.
guest_run()
{
	[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || skip "not Debian on amd64"
	need qemu-system-x86_64 busybox cpio ldd
	guest_kernel
	guest_image "$@"
	timeout --kill-after=5 "$guest_seconds" qemu-system-x86_64 -accel tcg -cpu max \
		-m 512 -nodefaults -display none -no-reboot -serial "file:$T/console.log" \
		-kernel "$kernel/vmlinuz" -initrd "$T/initrd" \
		-append "console=ttyS0 quiet panic=-1 net.ifnames=0 random.trust_cpu=on" \
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile= &
	guest=$!
	later "end $guest"
	wait $guest || fail "qemu ended with $?"
	tr -d '\r' <"$T/console.log" >"$T/console"
	mv "$T/console" "$T/console.log"
	grep -qx 'guest: the script ended with 0' "$T/console.log" || fail "in the guest"
}
