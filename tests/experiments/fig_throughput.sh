# SPDX-License-Identifier: BSD-3-Clause
# Figures 9, 10, 11: throughput over the line's loss and length.
if [ "${QUICK:-0}" = 1 ]; then
	throughput_set="local/reno remote/bbr remote+fec network"
	throughput_losses="0 1"
	single_set="remote/reno network"
	length_set=network
	lengths="25 100"
	length_losses="0 1"
	carry_rates="50 200"
else
	throughput_set="local/reno local/cubic local/bbr remote/reno remote/cubic remote/bbr
		local+fec remote+fec network+fec local+window remote+window network"
	throughput_losses="0 0.1 0.5 1 5"
	single_set=$throughput_set
	length_set="network+fec network"
	lengths="25 50 75 100"
	length_losses="0 0.1 0.5 1"
	carry_rates="50 100 200 400 800"
fi

run_fig9()
{
	xp_csv fig9 "$xp_throughput_columns"
	for configuration in $throughput_set; do
		point xp_throughput "$configuration" 25 64 "$throughput_losses"
	done
}

run_fig11()
{
	xp_csv fig11 "$xp_throughput_columns"
	for configuration in $single_set; do
		point xp_throughput "$configuration" 25 1 "$throughput_losses"
	done
}

run_fig10()
{
	xp_csv fig10 "$xp_throughput_columns"
	for configuration in $length_set; do
		for length in $lengths; do
			point xp_throughput "$configuration" "$length" 64 "$length_losses"
		done
	done
}

# What this machine carries: the rate of the line, and who takes the processor.
run_carry()
{
	was=$xp_rate
	for xp_rate in $carry_rates; do
		xp_csv "carry-$xp_rate" "$xp_throughput_columns"
		# Void here is a result: too fast for this machine.
		xp_throughput network 25 64 0 || {
			xp_down
			say "  at $xp_rate Mbit/s: void"
		}
	done
	xp_rate=$was
}

# The mean of column $3 over the rows of $1 that begin with $2.
mean_of() # NAME KEY COLUMN
{
	awk -F , -v key="$2," -v c="$3" 'index($0, key) == 1 { n++; sum += $c }
		END { print n ? sum / n : "nan" }' "$xp_out/$1.csv"
}

# is VALUE ">=" VALUE; what was not measured is not.
is()
{
	case "$1$3" in
	*nan*) return 1 ;;
	esac
	[ "$(calc "$1 $2 $3")" = 1 ]
}

share_of() # NAME CONFIGURATION DELAY WRITERS LOSS
{
	mean_of "$1" "$2,$3,$4,$5" 7
}

shape_fig9()
{
	free=$(share_of fig9 network 25 64 0)
	lossy=$(share_of fig9 network 25 64 1)
	shape "network without loss carries more than half of the line ($free)" is "$free" ">" 0.5
	shape "network loses less than a fifth of that at 1 % ($lossy)" \
		is "$lossy" ">" "$(calc "0.8 * $free")"
	reno=$(share_of fig9 local/reno 25 64 1)
	shape "network is five times as fast as reno at 1 % ($reno)" \
		is "$lossy" ">=" "$(calc "5 * $reno")"
	fec=$(share_of fig9 remote+fec 25 64 1)
	shape "remote over the paper's code is five times as fast as reno at 1 % ($fec)" \
		is "$fec" ">=" "$(calc "5 * $reno")"
	bbr=$(share_of fig9 remote/bbr 25 64 1)
	shape "network is no slower than 0.8 of bbr at 1 % ($bbr)" \
		is "$lossy" ">=" "$(calc "0.8 * $bbr")"
	repairs=$(mean_of fig9 network,25,64,1 8)
	shape "its repairs are at most 0.15 of the data at 1 % ($repairs)" \
		is "$repairs" "<=" 0.15
}

shape_carry()
{
	share=$(mean_of "carry-$xp_rate" network,25,64,0 7)
	shape "this machine carries the rate of the other figures ($share)" is "$share" ">" 0.5
}

shape_fig11()
{
	one=$(share_of fig11 network 25 1 1)
	many=$(share_of fig11 remote/reno 25 1 1)
	shape "one writer: network is five times as fast as remote over reno at 1 % ($one, $many)" \
		is "$one" ">=" "$(calc "5 * $many")"
}

shape_fig10()
{
	near=$(share_of fig10 network 25 64 1)
	far=$(share_of fig10 network 100 64 1)
	shape "network at 100 ms carries 0.6 of what it does at 25 ms ($far, $near)" \
		is "$far" ">=" "$(calc "0.6 * $near")"
}
