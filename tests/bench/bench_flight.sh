# SPDX-License-Identifier: BSD-3-Clause
# B4 (b): a closed loop of 4 KiB writes with 8 in flight, `network` against `local`, with the
# mirror attached in both, at 1 Gbit/s and 50 ms, where the line is not the limit; (c): the
# same while another process takes a whole core. B11: what a write costs both daemons, with
# 8 and 32 in flight. DEPTHS="8 32" names the depths.
B=$1
. tests/bench/lib.sh
hog=
trap 'unhog; pair_free' EXIT
trap 'exit 130' INT TERM
rows flight
pair_store_size=16GiB # what all runs write; nothing of it is freed
pair_rate=950Mbit

hog()
{
	sh -c 'while :; do :; done' &
	hog=$!
}

unhog()
{
	[ -z "$hog" ] || kill "$hog"
	hog=
}

# Clock ticks that both daemons have used.
ticks()
{
	for pid in "$pair_primary" "$pair_mirror"; do
		sed 's/.*) //' "/proc/$pid/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

# Bytes that the primary has sent, and of these in repairs.
sent()
{
	echo "$(pair_value primary sent_bytes) $(pair_value primary repair_bytes)"
}

# closed DEPTH NAME: runs in turn; the medians in rate.*, cpu.*.
closed()
{
	rm -f "$pair_dir"/rate.* "$pair_dir"/cpu.* "$pair_dir"/repairs.*
	for run in $(seq $runs); do
		for mode in local network; do
			before="$(ticks) $(sent)"
			on_line "$pair_dir/out" "$B/tests/bench/load" \
				"$(pair_uri primary $mode)" seconds=$run_seconds depth=$1
			writes=$(word writes <"$pair_dir/out")
			echo "$before $(ticks) $(sent)" |
				awk -v n="$writes" '{ print ($4 - $1) * 1e4 / n,
					($6 - $3) / ($5 - $2 - $6 + $3) }' >"$pair_dir/cost"
			read -r cpu repairs <"$pair_dir/cost"
			word rate <"$pair_dir/out" >>"$pair_dir/rate.$mode"
			echo "$cpu" >>"$pair_dir/cpu.$mode"
			echo "  $1 in flight$2, run $run, $mode: $(cat "$pair_dir/out")" \
				"cpu_us=$cpu repairs=$repairs"
		done
	done
	for mode in local network; do
		eval "rate_$mode=\$(median <\"\$pair_dir/rate.$mode\")"
		eval "cpu_$mode=\$(median <\"\$pair_dir/cpu.$mode\")"
	done
	row B4 "$1 in flight$2, network $rate_network/s against local $rate_local/s" \
		"$(ratio "$rate_network" "$rate_local")x" ">=0.95x" ">=0.95x"
	row B11 "both daemons, $1 in flight$2, network $cpu_network us a write, local $cpu_local us" \
		"$(ratio "$cpu_network" "$cpu_local")x" "<=1.15x" "<=1.15x"
}

two_sites "local:64MiB:local network:64MiB:network" rtt=50ms rate=1Gbit seed=4
for volume in local network; do
	fill_volume $volume 64
done
for depth in ${DEPTHS:-8 32}; do
	closed "$depth" ""
done
hog
closed 8 ", a core taken"
unhog
