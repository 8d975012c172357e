#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make disaster RUNS=n LOSS=0.01: in each run two daemons with a lossy line between them,
# a writer on a `network` volume, then the primary dies by kill -9 and, when it is dead,
# the line's entrance closes behind what it had sent. What the line had accepted arrives
# or is drawn lost. The mirror is promoted, and an independent reader looks which completed
# writes its image lacks. A run with fewer than 50 datagrams in the line at the kill, or
# in which the relay's own buffers dropped something, shows nothing: it is void, and
# repeated.
#
#   RUNS (3)  LOSS (0.01)  SEED (chosen)  RATE of the line (200Mbit)  RTT (50ms)  BURST (1)
#   ASSUME (LOSS)  losses that the daemons assume of the line
#   LOSSY  the line turns lossy only so long before the kill, in seconds: a rolling disaster
#   POLICY what the writes are completed by:
#      network    (the one that counts) data and the repairs `safety` asks for have left
#      paper      data and one repair of the paper's code have left
#      local+fec, local  the primary's disk has them; with our code, or without any
#   POLICY=all     each of them, one after the other, and a table; only `network` may not lose
RUNS=${RUNS:-3}
LOSS=${LOSS:-0.01}
SEED=${SEED:-$(date +%s)}
RATE=${RATE:-200Mbit}
RTT=${RTT:-50ms}
BURST=${BURST:-1}
POLICY=${POLICY:-network}
pair_assume=${ASSUME:-$LOSS}
case $pair_assume in
*.*) ;;
*) pair_assume=$pair_assume.0 ;;
esac
pair_sync=${POLICY%+fec}
pair_group_more='hold = "write";' # each completed write counts
pair_fec='code = "window"; safety = 1e-6;'
case $POLICY in
network | local+fec) ;;
paper)
	pair_sync=network
	pair_fec='code = "layered"; policy = "paper"; r = 8; c = 3; interleave = [ 1, 20, 40 ];'
	;;
local) pair_fec='code = "none";' ;;
all)
	. tests/disaster/policies.sh
	exit
	;;
*)
	echo "disaster: POLICY is network, paper, local+fec, local or all, not $POLICY" >&2
	exit 2
	;;
esac
least_in_line=50
most_void=$((RUNS * 2 + 5))
. tests/wan/pair.sh

kept=$B/disaster
first_loss=$LOSS
[ -z "${LOSSY:-}" ] || first_loss=0
writer=
# shellcheck disable=SC2154 # pair_sock and the like come from pair.sh
trap 'end_writer; pair_free' EXIT
trap 'exit 130' INT TERM

end_writer()
{
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	[ -z "$writer" ] || wait "$writer" 2>/dev/null
	writer=
}

milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

# A number from $1 up to $2 that follows from the seed and the run.
drawn()
{
	awk -v seed="$((SEED + attempt * 7919))" -v low="$1" -v high="$2" \
		'BEGIN { srand(seed); rand(); print int(low + rand() * (high - low)) }'
}

log_is_longer() # BYTES
{
	[ -f "$pair_dir/log" ] && [ "$(wc -c <"$pair_dir/log")" -gt "$1" ]
}

word()
{
	tr ' ' '\n' <"$pair_dir/verdict" | sed -n "s/^$1=//p"
}

# One attempt. 0: it counts (row is set); 1: it could not be carried out; 3: void.
attempt()
{
	pair_init || return 1
	pair_config "network:64MiB:$pair_sync" && pair_create &&
		pair_line rtt="$RTT" rate="$RATE" loss="$first_loss" burst="$BURST" \
			seed="$((SEED + attempt))" &&
		pair_start mirror && pair_start primary &&
		pair_wait primary IN_SYNC 15 || return 1

	"$B/tests/disaster/stamper" "$(pair_uri primary network)" network "$pair_dir/log" \
		depth=64 >"$pair_dir/writer" 2>&1 &
	writer=$!
	pair_until 15 log_is_longer 8192 || {
		pair_complain "nothing is completed: $(cat "$pair_dir/writer")"
		return 1
	}
	instant=$(drawn 100 800)
	sleep "$(awk -v ms="$instant" 'BEGIN { print ms / 1000 }')"
	if [ -n "${LOSSY:-}" ]; then
		pair_ask_line set ab.loss="$LOSS" >"$pair_dir/stats" || return 1
		sleep "$LOSSY"
	fi

	pair_disaster >"$pair_dir/cut" || return 1
	in_line=$(pair_line_number in_line_at_kill ab <"$pair_dir/cut")
	wait "$writer"
	writer=
	pair_ask_line wait >"$pair_dir/stats" || return 1
	pair_mirror_settles || return 1

	began=$(milliseconds)
	"$B/wanmirror" -c "$pair_dir/mirror.conf" promote $pair_group --force \
		>"$pair_dir/promote" 2>&1 ||
		pair_complain "promote failed: $(cat "$pair_dir/promote")" || return 1
	promoted=$(($(milliseconds) - began))

	"$B/tests/disaster/prefixer" "$(pair_uri mirror network)" network "$pair_dir/log" \
		>"$pair_dir/verdict" 2>&1
	[ $? -ne 2 ] || pair_complain "$(cat "$pair_dir/verdict")" || return 1
	if grep -q '"void": true' "$pair_dir/stats" || [ "$in_line" -lt $least_in_line ]; then
		row=$(printf 'void: %s datagrams in the line, %s\n' "$in_line" \
			"$(sed 's/.*\("rx_drops.*"void": [a-z]*\).*/\1/' "$pair_dir/stats")")
		return 3
	fi
	row=$(printf '%8s %10s %10s %8s %8s %8s %7s %8s' "$instant" "$in_line" \
		"$(word completed)" "$(word last)" "$(word missing)" "$(word prefix)" \
		"$(word exact)" "$promoted")
}

# What is left of a run that shows something bad.
keep()
{
	mkdir -p "$kept"
	rm -rf "$kept/run-$attempt"
	mkdir "$kept/run-$attempt"
	cp "$pair_dir"/*.conf "$pair_dir"/*.log "$kept/run-$attempt" 2>/dev/null
	for file in log writer cut stats promote verdict; do
		cp "$pair_dir/$file" "$kept/run-$attempt" 2>/dev/null
	done
	echo "      kept: $kept/run-$attempt"
}

echo "disaster: $RUNS runs, line $RATE, $RTT, loss $LOSS${LOSSY:+ for $LOSSY s}, burst" \
	"$BURST, seed $SEED; policy $POLICY, assume { loss = $pair_assume; burst = 1; }"
printf '%5s %8s %10s %10s %8s %8s %8s %7s %8s\n' run kill_ms in_line completed last missing \
	prefix exact promote
run=0
void=0
failed=0
missing=0
completed=0
attempt=0
while [ $run -lt "$RUNS" ]; do
	attempt=$((attempt + 1))
	row=
	attempt
	result=$?
	end_writer
	if [ $result -eq 3 ]; then
		void=$((void + 1))
		echo "      $row"
		[ $void -le $most_void ] || {
			echo "disaster: too many void runs"
			exit 1
		}
	else
		run=$((run + 1))
		printf '%5d %s\n' $run "$row"
		if [ $result -ne 0 ] || [ "$(word prefix)" != yes ] || [ "$(word missing)" != 0 ]; then
			failed=$((failed + 1))
			[ "$POLICY" != network ] || keep
		fi
		[ $result -ne 0 ] || {
			missing=$((missing + $(word missing)))
			completed=$((completed + $(word completed)))
		}
	fi
	# Nobody is left to be polite to.
	pair_kill mirror
	pair_free
done
echo "disaster: $((RUNS - failed)) passed, $failed failed; $missing of $completed" \
	"completed writes missing; $void void runs repeated"
[ $failed -eq 0 ]
