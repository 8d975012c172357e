# SPDX-License-Identifier: BSD-3-Clause
# Table 1 and figures 6, 7, 12: what disasters cost. And ours: by length of the bursts.
if [ "${QUICK:-0}" = 1 ]; then
	table_set="local/bbr network/edge remote/bbr"
	fig6_set="local/bbr network network/edge"
	fig6_losses=1
	fig7_set="network+fec/0 network+fec/3"
	fig12_set=network/edge
	fig12_losses=1
	burst_set="network network/told"
	bursts=8
	kills=5000
else
	table_set="local/bbr local+fec local+window network+fec network+fec/edge network
		network/edge
		remote/bbr remote+window"
	fig6_set="local/reno local/bbr local+fec network+fec network+fec/edge network network/edge"
	fig6_losses="0.1 0.5 1 5"
	fig7_set="network+fec/0 network+fec/1 network+fec/2 network+fec/3 network/0.03
		network/0.05 network/0.10 network/0.20 network/0.40"
	fig12_set="local/bbr local+fec network+fec network+fec/edge network network/edge"
	fig12_losses="0 0.1 0.5 1"
	burst_set="local+window network+fec network network/told"
	bursts="1 2 4 8 16 32 64"
	kills=100000
fi

run_table1()
{
	for kind in local loss partition mirror; do
		xp_csv "table1-$kind" "$xp_disaster_columns"
		loss=0
		strike=cut
		case $kind in
		loss) loss=1 ;;
		partition | mirror) strike=$kind ;;
		esac
		for configuration in $table_set; do
			point xp_disaster "$configuration" 50 $loss 1 $strike
		done
	done
}

run_fig6()
{
	xp_csv fig6 "$xp_disaster_columns"
	for loss in $fig6_losses; do
		for configuration in $fig6_set; do
			point xp_disaster "$configuration" 50 "$loss" 1
		done
	done
}

run_fig7()
{
	xp_csv fig7 "$xp_disaster_columns"
	for configuration in $fig7_set; do
		point xp_disaster "$configuration" 50 1 1
	done
}

# The line loses all the time, not only before the end.
run_fig12()
{
	xp_csv fig12 "$xp_disaster_columns"
	for loss in $fig12_losses; do
		for configuration in $fig12_set; do
			xp_always_lossy=$loss
			point xp_disaster "$configuration" 37 "$loss" 1
			xp_always_lossy=0
		done
	done
}

# As figure 6 at 1 %, the losses in runs. `told`: the daemons know how long they are. In runs
# of 64 a safety of 1e-6 is out of the model's reach, and refused.
run_bursts()
{
	xp_csv bursts "$xp_disaster_columns"
	for burst in $bursts; do
		xp_told_safety=$([ "$burst" -lt 64 ] && echo 1e-6 || echo 1e-4)
		for configuration in $burst_set; do
			[ "${configuration#*/}" != told ] || xp_assume_burst=$burst
			point xp_disaster "$configuration" 50 1 "$burst"
			xp_assume_burst=1
		done
	done
	[ "$xp_run" != 1 ] || run_draws
}

# Code and gate alone, by the thousand.
run_draws()
{
	xp_csv bursts-draws "configuration,burst,run,kills,fatal,per_thousand,share,repairs"
	for burst in $bursts; do
		for configuration in network+fec network network/told; do
			! xp_has "$configuration,$burst,1" || continue
			"$B/tests/experiments/draws" $configuration "$burst" $kills \
				>"$xp_out/draws" || return 1
			fatal=$(word fatal <"$xp_out/draws")
			xp_row "$configuration,$burst,1" "$kills,$fatal,$(calc \
				"1000 * $fatal / $kills"),$(word share <"$xp_out/draws"),$(word \
				repairs <"$xp_out/draws")"
		done
	done
}

# Packets that the building held, in all rows of $1 that begin with $2.
held_of()
{
	awk -F , -v key="$2," 'index($0, key) == 1 { sum += $10 } END { print sum + 0 }' \
		"$xp_out/$1.csv"
}

# Messages lost in all rows of $1 that begin with $2.
lost_of()
{
	awk -F , -v key="$2," 'index($0, key) == 1 { n++; sum += $7 }
		END { print n ? sum : "nan" }' "$xp_out/$1.csv"
}

all_prefixes()
{
	! tail -qn +2 "$xp_out/$1.csv" | cut -d , -f 8 | grep -qv yes
}

shape_table1()
{
	for kind in local loss partition mirror; do
		shape "table 1, $kind: every image is a prefix" all_prefixes table1-$kind
		for remote in $(echo "$table_set" | tr ' \t' '\n\n' | grep ^remote); do
			lost=$(lost_of table1-$kind "$remote,50")
			shape "table 1, $kind: $remote loses nothing ($lost)" is "$lost" == 0
		done
	done
	for kind in local loss; do
		lost=$(lost_of table1-$kind network/edge,50)
		shape "table 1, $kind: network/edge loses nothing ($lost)" is "$lost" == 0
		lost=$(lost_of table1-$kind local/bbr,50)
		shape "table 1, $kind: local loses something ($lost)" is "$lost" ">" 0
	done
	# In one disaster of a busy machine there may be nothing that was completed.
	[ "$xp_runs" -gt 1 ] || return 0
	for kind in partition mirror; do
		lost=$(lost_of table1-$kind network/edge,50)
		shape "table 1, $kind: network/edge loses what is in flight ($lost)" is "$lost" ">" 0
	done
}

shape_fig6()
{
	shape "figure 6: every image is a prefix" all_prefixes fig6
	for loss in $fig6_losses; do
		# More loss than the daemons assume is more than they promise.
		[ "$(calc "$loss <= $xp_assume * 100")" = 1 ] || continue
		lost=$(lost_of fig6 "network/edge,50,$loss")
		shape "figure 6: network/edge loses nothing at $loss % ($lost)" is "$lost" == 0
		lost=$(lost_of fig6 "network,50,$loss")
		held=$(held_of fig6 "network,50,$loss")
		shape "figure 6: network loses no more than the building held, $loss % ($lost, $held)" \
			is "$lost" "<=" "$held"
		lost=$(lost_of fig6 "local/bbr,50,$loss")
		shape "figure 6: local loses something at $loss % ($lost)" is "$lost" ">" 0
	done
}

shape_fig7()
{
	shape "figure 7: every image is a prefix" all_prefixes fig7
	none=$(lost_of fig7 network+fec/0,50,1)
	three=$(lost_of fig7 network+fec/3,50,1)
	shape "figure 7: without repairs messages are lost, and more than with three ($none, $three)" \
		is "$none" ">" "$three"
}

shape_fig12()
{
	shape "figure 12: every image is a prefix" all_prefixes fig12
	lost=$(lost_of fig12 network/edge,37)
	shape "figure 12: network/edge loses nothing ($lost)" is "$lost" == 0
}

fatal_of()
{
	awk -F , -v name="$1" '$1 == name { sum += $5; n++ } END { print n ? sum : "nan" }' \
		"$xp_out/bursts-draws.csv"
}

shape_bursts()
{
	shape "bursts: every image is a prefix" all_prefixes bursts
	lost=$(lost_of bursts network/told,50)
	held=$(held_of bursts network/told,50)
	shape "bursts: network that knows their length loses no more than the building held ($lost, $held)" \
		is "$lost" "<=" "$held"
	shape "bursts: drawn by the thousand, network that knows loses nothing" \
		is "$(fatal_of network/told)" == 0
	shape "bursts: ... and the paper's rule does ($(fatal_of network+fec))" \
		is "$(fatal_of network+fec)" ">" 0
}
