#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The clients that must work, against a daemon without a peer: what they say about the
# export, and what they read back.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "256MiB"; }, { name = "wal"; size = "64MiB"; }'

# Clients see the exports as the configuration has them.
test_nbdinfo_tells_sizes_and_flags()
{
	need nbdinfo
	one_site
	[ "$(nbdinfo --size "$(uri near data)")" = $((256 << 20)) ]
	[ "$(nbdinfo --size "$(uri near wal)")" = $((64 << 20)) ]
	for can in flush fua multi-conn trim zero; do
		nbdinfo --can "$can" "$(uri near)"
	done
	! nbdinfo --is read-only "$(uri near)" || fail "read-only"
	nbdinfo --list "nbd+unix:///?socket=$T/near.nbd" | tee list
	grep -q 'export="data"' list
	grep -q 'export="wal"' list
	! nbdinfo --size "$(uri near nothing)" || fail "an export of that name"
	stop near
}

# A copy in and out, with several connections and large requests, is the same bytes.
test_nbdcopy_round_trip()
{
	need nbdcopy nbdinfo
	one_site
	random_file data 100
	nbdcopy --flush data "$(uri near)"
	same_image "$(uri near)" data
	stop near
}

# The second volume is another address space.
test_volumes_do_not_touch()
{
	need nbdcopy nbdinfo
	one_site
	random_file a 40
	random_file b 40
	nbdcopy a "$(uri near data)" &
	copy=$!
	nbdcopy b "$(uri near wal)"
	wait $copy
	same_image "$(uri near data)" a
	same_image "$(uri near wal)" b
	stop near
}

# What was flushed is there after a stop and after a kill -9.
test_data_survive_stop_and_kill()
{
	need nbdcopy nbdinfo
	one_site
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	stop near
	start near
	same_image "$(uri near)" data
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	crash near
	start near
	same_image "$(uri near)" data
	stop near
}

# qemu-img writes an image with holes, and finds it the same.
test_qemu_img_convert_and_compare()
{
	need qemu-img nbdinfo
	one_site
	random_file part 10
	truncate -s 256M image
	dd if=part of=image bs=1M seek=3 conv=notrunc status=none
	dd if=part of=image bs=1M seek=200 conv=notrunc status=none
	qemu-img info -f raw "$(uri near)" | grep -q '256 MiB'
	qemu-img convert -n -f raw -O raw image "$(uri near)"
	qemu-img compare -f raw -F raw image "$(uri near)"
	qemu-img convert -f raw -O qcow2 "$(uri near)" copy.qcow2
	qemu-img compare -f qcow2 -F raw copy.qcow2 "$(uri near)"
	stop near
}

# Requests of odd offsets and lengths change their own bytes, and no others.
test_qemu_io_unaligned()
{
	need qemu-io nbdinfo
	one_site
	qemu-io -f raw -c "write -P 0x11 0 64k" "$(uri near)"
	cat >script <<-'EOT'
		write -P 0x22 513 1000
		write -P 0x33 4095 2
		write -P 0x44 8191 8194
		write -z 20001 3000
		discard 32768 8192
		write -P 0x55 60000 5537
		flush
		read -P 0x11 0 513
		read -P 0x22 513 1000
		read -P 0x11 1513 2582
		read -P 0x33 4095 2
		read -P 0x11 4097 4094
		read -P 0x44 8191 8194
		read -P 0x11 16385 3616
		read -P 0x00 20001 3000
		read -P 0x11 23001 9767
		read -P 0x00 32768 8192
		read -P 0x11 40960 19040
		read -P 0x55 60000 5537
		read -P 0x00 65537 4096
	EOT
	qemu-io -f raw "$(uri near)" <script >answers 2>&1
	cat answers
	! grep -i -E 'failed|error|mismatch' answers || fail "a pattern is not there"
	[ "$(grep -c 'read [0-9]*/' answers)" -ge 13 ]
	stop near
}

fio_has_nbd()
{
	need fio
	fio --enghelp 2>/dev/null | grep -qw nbd || skip "fio without its nbd engine"
}

# Random writes in flight, verified by fio: 4 KiB over two connections.
test_fio_verify_blocks()
{
	fio_has_nbd
	one_site
	fio --name=v --ioengine=nbd --uri="$(uri near)" --rw=randwrite --bs=4k --iodepth=32 \
		--size=48m --numjobs=2 --offset_increment=100m --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --group_reporting
	stop near
}

# The same with sizes and offsets that fit no block, and a flush now and then.
test_fio_verify_unaligned()
{
	fio_has_nbd
	one_site
	fio --name=u --ioengine=nbd --uri="$(uri near)" --rw=randwrite --bsrange=512-70k \
		--bs_unaligned --blockalign=512 --iodepth=16 --size=64m --io_size=48m \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --fsync=64
	stop near
}

# Every way in is the same door.
test_tcp_and_handed_over_sockets()
{
	need nbdinfo
	port=$("$tools/ports" 1)
	nbd_listen="\"tcp:127.0.0.1:$port\""
	one_site
	[ "$(nbdinfo --size "nbd://127.0.0.1:$port/data")" = $((256 << 20)) ]
	stop near
	nbdinfo --size "nbd://127.0.0.1:$port/data" && fail "answered after its end"
	# libnbd starts the daemon with a listening socket, as systemd would.
	nbdinfo --list -- [ "$build/wanmirrord" -c "$T/near.conf" ] | tee list
	grep -q 'export="wal"' list
}

# One connection on standard input and output, as test suites of others start a server.
test_standard_input()
{
	volumes='{ name = "data"; size = "256MiB"; }'
	site near primary
	create near
	"$tools/nbdbad" command "$build/wanmirrord" -s -c "$T/near.conf"
	"$tools/nbdbad" command "$build/wanmirrord" -s -c "$T/near.conf"
}

run test_nbdinfo_tells_sizes_and_flags
run test_nbdcopy_round_trip
run test_volumes_do_not_touch
run test_data_survive_stop_and_kill
run test_qemu_img_convert_and_compare
run test_qemu_io_unaligned
run test_fio_verify_blocks
run test_fio_verify_unaligned
run test_tcp_and_handed_over_sockets
run test_standard_input
finish
