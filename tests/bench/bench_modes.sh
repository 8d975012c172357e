# SPDX-License-Identifier: BSD-3-Clause
# B4: what a 4 KiB write costs in `network` against `local`, the mirror attached in both,
# at 500 writes a second in open loop, over the round trip. B5: the rate of one client who
# waits for each write, `network` against `remote`, at 50 ms.
B=$1
. tests/bench/lib.sh
trap 'pair_free' EXIT
trap 'exit 130' INT TERM
rows modes
pair_store_size=2GiB
pair_rate=950Mbit
pair_group_more='hold = "write";' # B5 is of each write
medians=

offered() # RTT
{
	for run in $(seq $runs); do
		for mode in local network; do
			on_line "$pair_dir/out" "$B/tests/bench/load" \
				"$(pair_uri primary $mode)" seconds=$run_seconds per_second=500
			echo "  $1 ms, run $run, $mode: $(cat "$pair_dir/out")"
			word median_us <"$pair_dir/out" >>"$pair_dir/median.$mode"
			word p99_us <"$pair_dir/out" >>"$pair_dir/p99.$mode"
		done
	done
	local=$(median <"$pair_dir/median.local")
	network=$(median <"$pair_dir/median.network")
	local99=$(median <"$pair_dir/p99.local")
	network99=$(median <"$pair_dir/p99.network")
	medians="$medians $network"
	row B4 "median at $1 ms, network $network us against local $local us" \
		"$(ratio "$network" "$local")x" "<=1.5x" "<=1.3x"
	row B4 "p99 at $1 ms, network $network99 us against local $local99 us" \
		"$(ratio "$network99" "$local99")x" - "<=2x"
}

closed()
{
	for run in $(seq $runs); do
		for mode in network remote; do
			on_line "$pair_dir/out" "$B/tests/bench/load" \
				"$(pair_uri primary $mode)" seconds=$run_seconds
			echo "  closed loop, run $run, $mode: $(cat "$pair_dir/out")"
			word rate <"$pair_dir/out" >>"$pair_dir/rate.$mode"
		done
	done
	network=$(median <"$pair_dir/rate.network")
	remote=$(median <"$pair_dir/rate.remote")
	row B5 "one in flight at 50 ms, network $network/s against remote $remote/s" \
		"$(ratio "$network" "$remote")x" ">=100x" ">=100x"
}

if [ "${QUICK:-0}" = 1 ]; then
	trips=${RTT:-50 200}
else
	trips=${RTT:-0 10 50 100 200}
fi
for rtt in $trips; do
	two_sites "local:64MiB:local network:64MiB:network remote:64MiB:remote" \
		rtt=${rtt}ms rate=1Gbit seed=4
	for volume in local network remote; do
		fill_volume $volume 64
	done
	offered "$rtt"
	[ "$rtt" != 50 ] || closed
	pair_free
done
# The largest median over the smallest, as a share above it.
flat=$(echo $medians | tr ' ' '\n' | sort -n | awk 'NR == 1 { low = $1 } { high = $1 }
	END { printf "%.1f", low ? (high / low - 1) * 100 : 0 }')
row B4 "network medians over $(echo $trips | tr ' ' ',') ms ($(echo $medians) us)" \
	"$flat%" - "<=5%"
