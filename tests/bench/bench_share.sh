# SPDX-License-Identifier: BSD-3-Clause
# `rate = "auto"` on a line that nobody has provisioned: how much of it a pair fills alone,
# by loss, with how long a queue; and what it and one flow of the kernel's TCP (reno, cubic,
# bbr) get beside each other on one bottleneck with a buffer of one product of rate and
# round trip. What two flows of TCP get beside each other is measured in the same run.
# Ours is what the pair sends, datagrams with their headers; TCP's what its receiver reads.
#
# LINE_RATE=50Mbit RUNS= SECONDS_PER_RUN= change what is measured; ONLY=alone, ONLY=beside.
B=$1
. tests/bench/lib.sh
trap 'pair_free; rm -f "$rows".[a-z]*' EXIT
trap 'exit 130' INT TERM
if ! why=$(line_can); then
	echo "  skipped: $why"
	exit 0
fi
pair_via=tun
pair_store_size=8GiB
pair_rate=auto
line_rate=${LINE_RATE:-100Mbit}
line_rtt=50ms
block=65536
flow_port=5301
if [ "${QUICK:-0}" = 1 ]; then
	run_seconds=10
	skip=5
	runs=1
	losses="0 1"
else
	run_seconds=40
	skip=15 # seconds until two who share a line have found their parts
	runs=3
	losses="0 1 5"
fi
runs=${RUNS:-$runs}
run_seconds=${SECONDS_PER_RUN:-$run_seconds}
flows="${FLOWS:-reno cubic bbr}"
rows share

line_mbit=$(echo "$line_rate" | tr -dc 0-9)

sites()
{
	pair_init ${BENCH_DIR:+"$(mktemp -d "$BENCH_DIR/pair.XXXXXX")"} || give_up "no place for the stores"
	pair_config "network:256MiB:network" && pair_create &&
		pair_line rtt=$line_rtt rate="$line_rate" queue=$line_rtt seed=9 &&
		pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 30 ||
		give_up "the pair does not start"
}

# More writes than the line takes, for SECONDS, in the background: $load.
writes() # SECONDS
{
	"$B/tests/bench/load" "$(pair_uri primary network)" bytes=$block depth=32 \
		seconds="$1" >"$pair_dir/out" 2>"$pair_dir/load.why" &
	load=$!
}

written()
{
	wait $load || give_up "$(cat "$pair_dir/load.why")"
	pair_until 120 pair_is_even || give_up "the mirror does not catch up"
}

# What the pair sends in SECONDS, in Mbit/s, and the mean round trip in that time.
watch_ours() # SECONDS
{
	first=$(pair_value primary sent_bytes)
	began=$(date +%s%N)
	for _ in $(seq $(($1 * 2))); do
		sleep 0.5
		pair_value primary rtt_ms
	done >"$pair_dir/rtt"
	last=$(pair_value primary sent_bytes)
	awk -v b=$((last - first)) -v ns=$(($(date +%s%N) - began)) \
		'BEGIN { printf "%.1f", b * 8000 * 1488 / 1460 / ns }' >"$pair_dir/ours"
	awk '{ s += $1 } END { printf "%.0f", s / NR }' <"$pair_dir/rtt" >"$pair_dir/mean"
}

sink() # NAME PORT SECONDS
{
	$line_b "$B/tests/wan/flow" sink "$2" "$3" $((skip + 1)) >"$pair_dir/sink.$1" 2>&1 &
	eval "sink_$1=$!"
	pair_until 5 grep -qs ready "$pair_dir/sink.$1" || give_up "$(cat "$pair_dir/sink.$1")"
}

tcp() # NAME PORT CONGESTION: in the background, until its sink has had enough
{
	$line_a timeout $((run_seconds + skip + 60)) "$B/tests/wan/flow" send \
		$line_b_address "$2" "$3" >"$pair_dir/send.$1" 2>&1 &
}

tcp_done() # NAME
{
	eval "wait \$sink_$1" || give_up "$(cat "$pair_dir/sink.$1" "$pair_dir/send.$1")"
	word mbit <"$pair_dir/sink.$1" >"$pair_dir/$1"
}

# ---- alone ----------------------------------------------------------------------------------

alone() # LOSS
{
	line_set ab loss="$1%"
	writes $((3 + run_seconds))
	sleep 2
	watch_ours "$run_seconds"
	written
	cat "$pair_dir/ours" >>"$rows.alone.$1"
	echo >>"$rows.alone.$1"
	echo "  alone, loss $1 %: ours $(cat "$pair_dir/ours") Mbit/s, mean round trip" \
		"$(cat "$pair_dir/mean") ms"
}

# ---- beside -----------------------------------------------------------------------------------

# Ours fills the line; then the other one comes.
beside() # CONGESTION
{
	line_ask reset >"$pair_dir/line.reset"
	writes $((3 + skip + run_seconds + 4))
	sleep 3
	sink other $flow_port $((skip + 1 + run_seconds))
	tcp other $flow_port "$1"
	sleep "$skip"
	watch_ours "$run_seconds"
	tcp_done other
	written
	line_is_void && void=", void: the emulator dropped packets itself" || void=
	echo "  beside $1: ours $(cat "$pair_dir/ours"), $1 $(cat "$pair_dir/other") Mbit/s," \
		"mean round trip $(cat "$pair_dir/mean") ms$void"
	[ -z "$void" ] || return 0
	cat "$pair_dir/ours" >>"$rows.ours.$1"
	echo >>"$rows.ours.$1"
	cat "$pair_dir/other" >>"$rows.other.$1"
}

# The same with a flow of TCP in our place.
two_tcp() # FIRST SECOND
{
	sink first $((flow_port + 1)) $((skip + 1 + run_seconds))
	tcp first $((flow_port + 1)) "$1"
	sleep 3
	sink other $flow_port $((skip + 1 + run_seconds))
	tcp other $flow_port "$2"
	tcp_done first
	tcp_done other
	echo "  $1 $(cat "$pair_dir/first") beside $2 $(cat "$pair_dir/other") Mbit/s"
	row - "TCP $1 beside TCP $2: $(cat "$pair_dir/first") and $(cat "$pair_dir/other") Mbit/s of $line_mbit" \
		"$(ratio "$(cat "$pair_dir/other")" "$line_mbit")x" - -
}

# The smaller of both against the half that would be fair; a third of that is the goal.
beside_row() # CONGESTION
{
	[ -s "$rows.ours.$1" ] || give_up "beside $1: the emulator dropped packets in every run"
	ours=$(median <"$rows.ours.$1")
	other=$(median <"$rows.other.$1")
	row auto "beside TCP $1: ours $ours, $1 $other Mbit/s of $line_mbit; the smaller of both to its fair half" \
		"$(awk -v a="$ours" -v b="$other" -v l="$line_mbit" \
			'BEGIN { printf "%.2f", (a < b ? a : b) * 2 / l }')x" ">=0.33x" ">=0.33x"
}

rm -f "$rows".[a-z]*
sites
if [ "${ONLY:-alone}" = alone ]; then
	for loss in $losses; do
		for _ in $(seq "$runs"); do
			alone "$loss"
		done
		row auto "alone, $loss % loss: $(median <"$rows.alone.$loss") Mbit/s of $line_mbit, round trip $(cat "$pair_dir/mean") ms at $line_rtt" \
			"$(ratio "$(median <"$rows.alone.$loss")" "$line_mbit")x" ">=0.9x" ">=0.9x"
	done
fi
if [ "${ONLY:-beside}" = beside ]; then
	line_set ab loss=0
	for flow in $flows; do
		for _ in $(seq "$runs"); do
			beside "$flow"
		done
		beside_row "$flow"
	done
	for flow in $flows; do
		two_tcp cubic "$flow"
	done
fi
