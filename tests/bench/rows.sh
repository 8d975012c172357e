# SPDX-License-Identifier: BSD-3-Clause
# rows.sh NAME BUILD: B8, the rows of bench_fec and bench_tunnel from what they print.
case $1 in
fec)
	sed -n 's/^\([a-z].*[^ ]\)  *repairs *\([0-9.]*\) %: send *\([0-9]*\) MB.*receive *\([0-9]*\) MB.*lost *\([0-9]*\) MB.*/\1 at \2 %|\3|\4|\5/p' |
		awk -F '|' '{ goal = $1 == "window 128 at 10.0 %" ? ">=2000 MB/s" : "-"
			print "B8|code alone, " $1 " repairs, encoder, one core|" $2 " MB/s|-|" goal
			print "B8|the same, decoder without loss|" $3 " MB/s|-|" goal
			print "B8|the same, decoder with 1 % lost|" $4 " MB/s|-|-" }'
	;;
tunnel)
	sed -n 's/^share 0.125 m 3 loss 1 %: sender *\([0-9]*\) MB.*receiver *\([0-9]*\) MB.*/\1 \2/p' |
		awk '{ print "B8|sealing, coding and packets at 12.5 % repairs, 1 % loss, sender, one core|" \
				$1 " MB/s|-|>=500 MB/s"
			print "B8|the same, receiver|" $2 " MB/s|-|>=500 MB/s" }'
	;;
esac >"$2/bench/$1"
