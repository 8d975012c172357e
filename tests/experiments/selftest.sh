# SPDX-License-Identifier: BSD-3-Clause
# What computes the figures, on samples whose answer is known: pivot.awk's means and
# deviations, the joining of writes with looks at the mirror, quantiles and spreads.
#
#	selftest.sh BUILD
B=$1
here=tests/experiments
figure=selftest
. $here/lib.sh
. $here/latency.sh
pair_dir=$(mktemp -d) || exit 2
trap 'rm -rf "$pair_dir"' EXIT
passed=0
failed=0

same() # WHAT EXPECTED GOT
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf '  FAIL  %s: expected\n%s\ngot\n%s\n' "$1" "$2" "$3"
	fi
}

printf '%s\n' configuration,loss_percent,run,lost a,0,1,2 a,0,2,4 b,0,1,7 a,1,1,nan \
	a,1,2,10 >"$pair_dir/rows.csv"
same "table" "| loss percent | a | b |
|---|---|---|
| 0 | 30.0 +- 14.1 | 70.0 |
| 1 | 100.0 | - |" "$(awk -F , -v form=table -v series=1 -v at=2 -v value=4 -v factor=10 \
	-f $here/pivot.awk "$pair_dir/rows.csv")"
same "data" '"a"
0 3 1.41421 2
1 10 0 1


"b"
0 7 0 1' "$(awk -F , -v form=data -v series=1 -v at=2 -v value=4 -f $here/pivot.awk \
	"$pair_dir/rows.csv")"
same "one column's rows only" "| loss percent | a | b |
|---|---|---|
| 0 | 2.0 | 7.0 |" "$(awk -F , -v form=table -v series=1 -v at=2 -v value=4 -v select=3=1 \
	-f $here/pivot.awk "$pair_dir/rows.csv")"

# Three writes, LSN 11 to 13. The looks: 10 there; 11 and 12 received, 11 on disk; 12 too.
xp_base=10
printf '%s\n' "1 1000000 1500000" "2 2000000 2500000" "3 3000000 9000000" \
	>"$pair_dir/writes"
printf '%s\n' "4000000 0 0 0 0 10 10 0 0 0" "6000000 0 0 0 0 12 11 0 0 0" \
	"8000000 0 0 0 0 12 12 0 0 0" >"$pair_dir/looks"
same "join" "1 5.000 5.000 0.500
2 4.000 6.000 0.500
3 -1.000 -1.000 6.000" "$(xp_join)"
same "quantiles" "2,4," "$(printf '%s\n' 1 1 2 3 4 -1 | awk '{ print 0, $1 }' |
	xp_quantiles 2 0.5 1)"
xp_group=2
printf '%s\n' "1 50 0 0" "2 53 0 0" "3 50 0 0" "4 51 0 0" "5 50 0 0" >"$pair_dir/times"
same "spread, of whole groups" "2.000,1.000," "$(xp_spread)"
same "numbers" "0.5 1" "$(calc "1 / 2") $(calc "2 > 1")"

echo "experiments' arithmetic: $passed passed, $failed failed"
[ $failed -eq 0 ]
