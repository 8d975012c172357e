# SPDX-License-Identifier: BSD-3-Clause
# B6: bytes a second into the mirror's log over a line of 200 Mbit/s and 50 ms, by loss in
# the data's direction, and what one flow of the kernel's TCP brings over the same line in
# the same run, with reno, cubic and bbr. B7: the time from a write to its being persisted
# at the mirror at 1 % loss, over datagrams and over our own transport on TCP with bbr.
# What the emulator itself carries and costs on this machine comes first.
#
# RUNS= LOSSES="0 1" SECONDS_PER_RUN= RATE_KEY=auto change what is measured; ONLY=B6 or B7;
# FLOWS="bbr" leaves the other flows of TCP out.
# BENCH_DIR= puts the stores elsewhere: on a disk that others use, too, B7 shows the disk.
B=$1
. tests/bench/lib.sh
trap 'pair_free; rm -f "$rows".[a-z]*' EXIT
trap 'exit 130' INT TERM
why=$(line_can) || {
	echo "  skipped: $why"
	exit 0
}
pair_via=tun
pair_store_size=8GiB # of which a run of 20 s takes half a GiB
pair_rate=${RATE_KEY:-198Mbit}
pair_group_more='hold = "write";' # B7 is of each write
line_rate=200Mbit
line_rtt=50ms
back_ms=25 # what the answer to a write takes
skip=2	   # seconds until a flow has found the line's rate
block=65536
flow_port=5201
if [ "${QUICK:-0}" = 1 ]; then
	run_seconds=4
	losses="0 1"
else
	run_seconds=20
	losses="0 0.1 0.5 1 2"
fi
runs=${RUNS:-$runs}
run_seconds=${SECONDS_PER_RUN:-$run_seconds}
losses=${LOSSES:-$losses}
case " $losses " in
*" 0 "*) ;;
*) losses="0 $losses" ;; # what the others are compared with
esac
flows=${FLOWS:-reno cubic bbr}
rows line

# sites VOLUMES: a pair in two namespaces, in sync; else false, and the reason on standard
# error.
sites()
{
	pair_init ${BENCH_DIR:+"$(mktemp -d "$BENCH_DIR/pair.XXXXXX")"} || give_up "no place for the stores"
	pair_config "$1" && pair_create &&
		pair_line rtt=$line_rtt rate=$line_rate queue=50ms seed=6 &&
		pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 30
}

# repeated COMMAND ...: until the emulator itself has dropped nothing.
repeated()
{
	while :; do
		line_ask reset >"$pair_dir/line.reset"
		"$@"
		line_is_void || return 0
		tries=$((tries + 1))
		[ $tries -lt $max_tries ] || give_up "the emulator drops: the machine is too busy"
		echo "  void: the emulator dropped packets itself; again"
	done
}

now_ns()
{
	date +%s%N
}

per_second() # BYTES NANOSECONDS: in Mbit/s
{
	awk -v b="$1" -v ns="$2" 'BEGIN { printf "%.1f\n", b * 8000 / ns }'
}

# ---- TCP ----------------------------------------------------------------------------------

# One flow from A to B; its rate after the first seconds in $pair_dir/flow.
tcp_flow() # CONGESTION
{
	$line_b "$B/tests/wan/flow" sink $flow_port $((run_seconds + skip)) $skip \
		>"$pair_dir/sink" 2>&1 &
	sink=$!
	pair_until 5 grep -qs ready "$pair_dir/sink" || give_up "$(cat "$pair_dir/sink")"
	line_in A timeout $((run_seconds + skip + 60)) "$B/tests/wan/flow" send \
		$line_b_address $flow_port "$1" >"$pair_dir/send" 2>&1
	wait $sink || give_up "$(cat "$pair_dir/sink" "$pair_dir/send")"
	word mbit <"$pair_dir/sink" >"$pair_dir/flow"
}

# ---- the mirror's log ---------------------------------------------------------------------

# What the mirror persists while more is written than the line takes.
into_log()
{
	"$B/tests/bench/load" "$(pair_uri primary network)" bytes=$block depth=128 \
		seconds=$((run_seconds + skip + 1)) >"$pair_dir/out" 2>"$pair_dir/load.why" &
	load=$!
	sleep $skip
	first=$(pair_value mirror persisted)
	began=$(now_ns)
	sent=$(pair_value primary sent_bytes)
	repairs=$(pair_value primary repair_bytes)
	sleep "$run_seconds"
	last=$(pair_value mirror persisted)
	ended=$(now_ns)
	share=$(awk -v s=$(($(pair_value primary sent_bytes) - sent)) \
		-v r=$(($(pair_value primary repair_bytes) - repairs)) \
		'BEGIN { printf "%.1f", s ? 100 * r / s : 0 }')
	wait $load || give_up "$(cat "$pair_dir/load.why")"
	pair_until 120 pair_is_even || give_up "the mirror does not catch up"
	# A write is one LSN.
	per_second $(((last - first) * block)) $((ended - began)) >"$pair_dir/flow"
}

# ---- the emulator -------------------------------------------------------------------------

cpu_share() # COMMAND ...: of one core, while it runs
{
	before=$(line_cpu_ms) began=$(now_ns)
	"$@"
	awk -v ms=$(($(line_cpu_ms) - before)) -v ns=$(($(now_ns) - began)) \
		'BEGIN { printf "%.0f", ms * 1e8 / ns }' >"$pair_dir/cpu"
}

emulator()
{
	pair_init && line_up rtt=$line_rtt rate=$line_rate seed=6 || give_up "no line"
	for flow in cubic bbr; do
		repeated cpu_share tcp_flow $flow
		echo "  emulator: one $flow flow, $line_rate without loss:" \
			"$(cat "$pair_dir/flow") Mbit/s, $(cat "$pair_dir/cpu") % of a core," \
			"the receiver's TCP included"
	done
	row - "emulator: of a core at $line_rate, the receiver's TCP included" \
		"$(cat "$pair_dir/cpu") %" - -
	line_set rate=1Gbit
	repeated tcp_flow bbr
	row - "emulator: one bbr flow over a line of 1 Gbit/s without loss" \
		"$(cat "$pair_dir/flow") Mbit/s" - -
	pair_free
}

# ---- B6 -----------------------------------------------------------------------------------

goodput() # LOSS
{
	line_set ab loss="$1%"
	for run in $(seq "$runs"); do
		repeated into_log
		cat "$pair_dir/flow" >>"$rows.ours.$1"
		said="ours $(cat "$pair_dir/flow") with $share % repairs"
		for flow in $flows; do
			repeated tcp_flow "$flow"
			cat "$pair_dir/flow" >>"$rows.$flow.$1"
			said="$said, $flow $(cat "$pair_dir/flow")"
		done
		echo "  loss $1 %, run $run: $said Mbit/s"
	done
}

of() # WHO LOSS: the median
{
	median <"$rows.$1.$2"
}

goodput_rows()
{
	best=$(for flow in $flows; do of "$flow" 0; done | sort -n | tail -n 1)
	for loss in $losses; do
		ours=$(of ours "$loss")
		goal=">=0.88x"
		[ "$loss" != 2 ] || goal=">=0.84x"
		row B6 "$loss %: $ours Mbit/s into the mirror's log, loss-free TCP $best" \
			"$(ratio "$ours" "$best")x" "$goal" "$goal"
		row B6 "$loss %: the same, against bbr $(of bbr "$loss")" \
			"$(ratio "$ours" "$(of bbr "$loss")")x" ">=0.88x" ">=0.88x"
		[ "$loss" != 0 ] || continue
		goal=-
		[ "$loss" != 1 ] || goal=">=50x"
		for flow in $flows; do
			[ "$flow" != bbr ] || continue
			row B6 "$loss %: the same, against $flow $(of "$flow" "$loss")" \
				"$(ratio "$ours" "$(of "$flow" "$loss")")x" \
				"$([ "$flow" = reno ] && echo "$goal" || echo -)" \
				"$([ "$flow" = reno ] && echo "$goal" || echo -)"
		done
	done
}

# ---- B7 -----------------------------------------------------------------------------------

# In `remote` the client gets its reply when the mirror has persisted; the way of that answer
# is taken off.
in_remote()
{
	"$B/tests/bench/load" "$(pair_uri primary remote)" seconds=$run_seconds \
		per_second=500 >"$pair_dir/out" 2>"$pair_dir/load.why" ||
		give_up "$(cat "$pair_dir/load.why")"
}

there_ms() # NAME: of the times of the last run
{
	word "$1" <"$pair_dir/out" | awk -v back=$back_ms '{ printf "%.2f\n", $1 / 1000 - back }'
}

persisted() # TRANSPORT
{
	for run in $(seq "$runs"); do
		line_set ab loss=0
		repeated in_remote
		there_ms median_us >>"$rows.free.$1"
		free="$(there_ms median_us) p99 $(there_ms p99_us) p99.9 $(there_ms p999_us)"
		line_set ab loss=1%
		repeated in_remote
		for name in median p99 p999; do
			there_ms ${name}_us >>"$rows.$name.$1"
		done
		echo "  $1, 1 % loss, run $run: p50 $(there_ms median_us) p99 $(there_ms p99_us)" \
			"p99.9 $(there_ms p999_us) ms; without loss p50 $free ms"
	done
}

persisted_row() # TRANSPORT GOAL
{
	free=$(of free "$1")
	most=$(of p999 "$1")
	row B7 "$1, 1 %: p50 $(of median "$1") p99 $(of p99 "$1") p99.9 $most ms, over p50 without loss" \
		"$(awk -v a="$most" -v b="$free" 'BEGIN { printf "%.1f", a - b }') ms" "$2" "$2"
}

rm -f "$rows".[a-z]*
emulator
if [ "${ONLY:-B6}" = B6 ]; then
	# What is written stays in the log: a store for each.
	for loss in $losses; do
		sites "network:256MiB:network" || give_up "the pair does not start"
		goodput "$loss"
		pair_free
	done
	goodput_rows
fi
if [ "${ONLY:-B7}" = B7 ]; then
	sites "remote:64MiB:remote" || give_up "the pair does not start"
	persisted udp
	pair_free
	persisted_row udp "<=15 ms"
	pair_peer='transport = "tcp"; congestion = "bbr";'
	if sites "remote:64MiB:remote"; then
		persisted "tcp bbr"
		persisted_row "tcp bbr" -
	else # the reason has been said
		row B7 "tcp bbr: refused by this build" - - -
	fi
	pair_free
fi
