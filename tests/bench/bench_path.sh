# SPDX-License-Identifier: BSD-3-Clause
# B9: the whole path over loopback without the relay: 64 KiB writes in `network`, until
# the mirror has the last of them on its disk.
B=$1
. tests/bench/lib.sh
trap 'pair_free' EXIT
trap 'exit 130' INT TERM
rows path
pair_store_size=3GiB
pair_rate=10Gbit
depth=16

now_ms()
{
	echo $(($(date +%s%N) / 1000000))
}

cpu_ms() # PID: user and system time of a process
{
	awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$1/stat"
}

# Each run has a pair of its own: the log is not cleaned yet.
for run in $(seq $runs); do
	two_sites "network:256MiB:network"
	fill_volume network 256
	began=$(now_ms)
	busy_primary=$(cpu_ms "$pair_primary") busy_mirror=$(cpu_ms "$pair_mirror")
	"$B/tests/bench/load" "$(pair_uri primary network)" bytes=65536 depth=$depth \
		seconds=2 >"$pair_dir/out" || give_up "load failed"
	pair_until 120 pair_is_even || give_up "the mirror does not catch up"
	took=$(($(now_ms) - began))
	writes=$(word writes <"$pair_dir/out")
	mbit=$(awk -v n="$writes" -v ms=$took 'BEGIN { printf "%.0f", n * 65536 * 8 / ms / 1000 }')
	echo "  run $run: $(cat "$pair_dir/out")"
	echo "  run $run: persisted at the mirror after $took ms: $mbit Mbit/s; processor time" \
		"of the primary $(($(cpu_ms "$pair_primary") - busy_primary)) ms, of the mirror" \
		"$(($(cpu_ms "$pair_mirror") - busy_mirror)) ms"
	echo "$mbit" >>"$rows.runs"
	pair_free
done
row B9 "64 KiB writes in network, $depth in flight, loopback, until persisted" \
	"$(median <"$rows.runs") Mbit/s" - ">=2000 Mbit/s"
rm -f "$rows.runs"
