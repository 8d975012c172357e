# SPDX-License-Identifier: BSD-3-Clause
# Mean and standard deviation over the runs of a figure's rows.
#
#	awk -F , -v series=1 -v at=4 -v value=7 [-v factor=100] [-v digits=1] [-v select=COLUMN=VALUE]
#	    -v form=table|data -f pivot.awk FILE.csv
#
# series, at, value: columns. table: Markdown, a line per `at`, a column per series; data: for
# gnuplot, a block per series with lines AT MEAN DEVIATION RUNS. Both in the order in which
# they first appear.
BEGIN {
	if (factor == "")
		factor = 1
	if (digits == "")
		digits = 1
	if (split(select, only, "=") == 0)
		only[1] = 0
}

FNR == 1 || (only[1] && $only[1] != only[2]) || $value !~ /^-?[0-9.]/ {
	if (FNR == 1)
		at_name = $at
	next
}

{
	v = $value * factor
	if (!($series in seen_series))
		names[++n_series] = $series
	if (!($at in seen_at))
		places[++n_at] = $at
	seen_series[$series] = seen_at[$at] = 1
	n[$series, $at]++
	sum[$series, $at] += v
	squares[$series, $at] += v * v
}

function mean(s, a)
{
	return sum[s, a] / n[s, a]
}

function deviation(s, a,	k, d)
{
	k = n[s, a]
	if (k < 2)
		return 0
	d = (squares[s, a] - sum[s, a] * sum[s, a] / k) / (k - 1)
	return d > 0 ? sqrt(d) : 0
}

function table(	i, j)
{
	gsub(/_/, " ", at_name)
	printf "| %s |", at_name
	for (j = 1; j <= n_series; j++)
		printf " %s |", names[j]
	printf "\n|---|"
	for (j = 1; j <= n_series; j++)
		printf "---|"
	printf "\n"
	for (i = 1; i <= n_at; i++) {
		printf "| %s |", places[i]
		for (j = 1; j <= n_series; j++) {
			if (!((names[j], places[i]) in n))
				printf " - |"
			else if (n[names[j], places[i]] == 1)
				printf " %.*f |", digits, mean(names[j], places[i])
			else
				printf " %.*f +- %.*f |", digits, mean(names[j], places[i]),
					digits, deviation(names[j], places[i])
		}
		printf "\n"
	}
}

function data(	i, j)
{
	for (j = 1; j <= n_series; j++) {
		printf "\"%s\"\n", names[j]
		for (i = 1; i <= n_at; i++)
			if ((names[j], places[i]) in n)
				printf "%s %.6g %.6g %d\n", places[i], mean(names[j], places[i]),
					deviation(names[j], places[i]), n[names[j], places[i]]
		printf "\n\n"
	}
}

END {
	if (form == "data")
		data()
	else
		table()
}
