# SPDX-License-Identifier: BSD-3-Clause
# tables.sh FIGURE: with B and OUT set. From the rows of a figure its tables, OUT/FIGURE.md,
# and its plots, OUT/FIGURE*.png.
name=$1
here=tests/experiments

# pivot FORM FILE SERIES AT VALUE [FACTOR [DIGITS [COLUMN=VALUE]]]
pivot()
{
	awk -F , -v form="$1" -v series="$3" -v at="$4" -v value="$5" -v factor="${6:-1}" \
		-v digits="${7:-1}" -v select="${8:-}" -f $here/pivot.awk "$OUT/$2.csv"
}

# A heading in bold, then what comes on standard input.
titled()
{
	printf '**%s**\n\n' "$1"
	cat
	echo
}

# lines FILE TITLE XLABEL YLABEL [gnuplot ...]: of blocks as pivot.awk makes them. With
# x=0 the places stand side by side, as losses do that differ by factors.
lines()
{
	blocks=$(grep -c '^"' "$OUT/$1.dat")
	[ "$blocks" -gt 0 ] || return 0
	{
		echo "set terminal pngcairo size 900,600"
		echo "set output '$OUT/$1.png'"
		echo "set title '$2'; set xlabel '$3'; set ylabel '$4'; set grid"
		echo "set key outside right; set yrange [0:*]"
		[ -z "${5:-}" ] || echo "$5"
		printf 'plot '
		for i in $(seq 0 $((blocks - 1))); do
			[ "$i" -eq 0 ] || printf ', '
			if [ "${x:-1}" = 0 ]; then
				columns='0:2:3:xticlabels(1)'
			else
				columns=1:2:3
			fi
			[ "${style:-}" != lines ] || columns=1:2
			printf "'%s' index %d using %s with %s title columnheader(1)" \
				"$OUT/$1.dat" "$i" "$columns" "${style:-yerrorlines}"
			printf ' lt %d dt %d lw 1.5' $((i % 8 + 1)) $((i / 8 + 1))
		done
		echo
	} >"$OUT/$1.gp"
	# QUICK does without, where it is not there and may not be installed.
	command -v gnuplot >"$OUT/$1.why" || return 0
	# Of a single point it warns that there is no range.
	gnuplot "$OUT/$1.gp" 2>"$OUT/$1.why" || {
		echo "  gnuplot failed: $OUT/$1.gp" >&2
		cat "$OUT/$1.why" >&2
	}
}

throughput() # TITLE AT SELECT SUFFIX
{
	pivot table "$name" 1 "$2" 7 100 1 "$3" | titled "$1, % of the path"
	pivot data "$name" 1 "$2" 7 100 1 "$3" >"$OUT/$name$4.dat"
	x=$([ "$2" = 2 ] && echo 1 || echo 0)
	lines "$name$4" "$1" "$([ "$2" = 2 ] && echo 'one-way delay, ms' || echo 'loss, %')" \
		"% of the path"
}

costs()
{
	pivot table "$name" 1 "$1" 8 100 1 | titled "Repairs on the path, % of the data"
	pivot table "$name" 1 "$1" 10 100 0 | titled "What the emulator took of a core, %"
}

lost_and_sent() # AT XLABEL
{
	pivot table "$name" 1 "$1" 7 1 1 | titled "Completed messages lost, per disaster"
	pivot table "$name" 1 "$1" 6 1 0 | titled "Messages sent (completed), per disaster"
	pivot table "$name" 1 "$1" 10 1 0 | titled "Packets that the building held"
	pivot data "$name" 1 "$1" 7 >"$OUT/$name.dat"
	x=0
	lines "$name" "Completed messages lost in a disaster" "$2" "messages"
}

# The share of messages that arrived within a time, for the runs of a loss together.
distribution() # LOSS
{
	rm -f "$OUT/fig8-$1.dat"
	for configuration in $(awk -F , -v l="$1" 'FNR > 1 && $3 == l && !seen[$1]++ { print $1 }' \
		"$OUT/fig8.csv"); do
		echo "\"$configuration\"" >>"$OUT/fig8-$1.dat"
		cat "$OUT/times/$(echo "$configuration" | tr / _),"*",$1,"* | awk '{ print $2 }' |
			sort -n | awk '{ v[NR] = $1 } END {
				for (q = 0; q <= 1000; q += 2) {
					i = int(q / 1000 * (NR - 1)) + 1
					if (v[i] >= 0) print v[i], q / 10, 0
				} }' >>"$OUT/fig8-$1.dat"
		printf '\n\n' >>"$OUT/fig8-$1.dat"
	done
	x=1
	style=lines
	lines "fig8-$1" "From primary to mirror, loss $1 %" "ms" "% of the messages" \
		"set logscale x"
}

figure8()
{
	for column in "6 median" "7 99th percentile" "8 99.9th percentile"; do
		pivot table fig8 1 3 "${column%% *}" 1 1 |
			titled "From issued to received at the mirror, ms: ${column#* }"
	done
	pivot table fig8 1 3 12 1 1 | titled "From issued to persisted, ms: 99.9th percentile"
	pivot table fig8 1 3 13 1 2 | titled "Spread within a group of eight, ms: mean"
	pivot table fig8 1 3 14 1 2 | titled "Spread within a group of eight, ms: 99th percentile"
	for loss in $(awk -F , 'FNR > 1 && !seen[$3]++ { print $3 }' "$OUT/fig8.csv"); do
		distribution "$loss"
	done
}

# Who loses what: mean per disaster, and of how many.
table1()
{
	for kind in local loss partition mirror; do
		awk -F , -v kind=$kind 'FNR > 1 {
			printf "%s,%s,%s\n", $1, kind, $7 }' "$OUT/table1-$kind.csv"
	done | {
		echo configuration,what_fails,lost
		cat
	} >"$OUT/table1.csv"
	pivot table table1 2 1 3 1 1 | titled "Completed messages lost, per disaster"
}

carry()
{
	echo "| path, Mbit/s | carried, % | emulator, % of a core | primary | mirror |"
	echo "|---|---|---|---|---|"
	for file in $(ls "$OUT"/carry-*.csv | sort -t - -k 2 -n); do
		rate=${file##*-}
		awk -F , -v rate="${rate%.csv}" 'FNR > 1 { n++; s += $7; a += $10; b += $11; c += $12 }
			END { if (n) printf "| %s | %.0f | %.0f | %.0f | %.0f |\n", rate,
					100 * s / n, 100 * a / n, 100 * b / n, 100 * c / n
				else printf "| %s | void | | | |\n", rate }' "$file"
	done
	echo
}

staleness()
{
	for file in "$OUT"/staleness-*.csv; do
		echo "\"$(basename "$file" .csv | sed 's/staleness-//; s/_/\//')\""
		awk -F , 'FNR > 1 { print $1, ($2 < 0.1 ? 0.1 : $2), 0 }' "$file"
		printf '\n\n'
	done >"$OUT/staleness.dat"
	x=1
	style=lines
	lines staleness "Age of the mirror" s ms "set logscale y; set yrange [1:*]"
	echo "| configuration | median, ms | 99 %, ms | most, ms |"
	echo "|---|---|---|---|"
	for file in "$OUT"/staleness-*.csv; do
		awk -F , 'FNR > 1 { print $2 }' "$file" | sort -n |
			awk -v name="$(basename "$file" .csv | sed 's/staleness-//; s/_/\//')" '
			{ v[NR] = $1 } END { printf "| %s | %.0f | %.0f | %.0f |\n", name,
				v[int(NR / 2) + 1], v[int(NR * 0.99) + 1], v[NR] }'
	done
	echo
}

make_tables()
{
	case $name in
	fig9 | fig11)
		throughput "Throughput by loss" 4 "" ""
		costs 4
		;;
	fig10)
		for loss in $(awk -F , 'FNR > 1 && !seen[$4]++ { print $4 }' "$OUT/fig10.csv"); do
			throughput "Throughput by delay at $loss % loss" 2 "4=$loss" "-$loss"
		done
		;;
	fig6 | fig12) lost_and_sent 3 "loss, %" ;;
	fig7)
		pivot table fig7 3 1 7 1 1 | titled "Completed messages lost, per disaster"
		pivot table fig7 3 1 6 1 0 | titled "Messages sent (completed), per disaster"
		;;
	bursts)
		lost_and_sent 4 "mean length of a burst"
		pivot table bursts-draws 1 2 6 1 2 |
			titled "Code and gate alone: disasters that lose a completed write, of 1,000"
		pivot table bursts-draws 1 2 8 1 0 | titled "Repairs that must have left"
		pivot table bursts-draws 1 2 7 100 1 | titled "Repairs, % of the data"
		;;
	fig8) figure8 ;;
	table1) table1 ;;
	gate)
		for column in "5 repairs that must have left" "7 median, ms" "8 99th percentile, ms"; do
			pivot table gate 1 3 "${column%% *}" 1 2 | titled "A write's time: ${column#* }"
		done
		;;
	carry) carry ;;
	staleness) staleness ;;
	esac
}

make_tables >"$OUT/$name.md"
