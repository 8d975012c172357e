# SPDX-License-Identifier: BSD-3-Clause
# disaster.sh with POLICY=all: the same disasters by every policy, and what each has lost.
# Sourced by disaster.sh with RUNS, LOSS, SEED and the others set.
here=tests/disaster
table=$B/disaster.table
mkdir -p "$B"
: >"$table"
status=0
for policy in network paper local+fec local; do
	out=$B/disaster.$policy
	POLICY=$policy RUNS=$RUNS LOSS=$LOSS SEED=$SEED RATE=$RATE RTT=$RTT BURST=$BURST \
		ASSUME=$pair_assume sh $here/disaster.sh >"$out" 2>&1
	result=$?
	[ $policy != network ] || status=$result
	tail -n 1 "$out"
	# Rows begin with their number; the sixth word is what is missing.
	awk -v policy=$policy '$1 ~ /^[0-9]+$/ && NF >= 9 {
			runs++
			completed += $4
			missing += $6
			hit += $6 > 0
			if ($6 > most)
				most = $6
		}
		END { printf "%-10s %5d %10d %10d %10d %8d\n", policy, runs, completed,
			missing, hit, most }' "$out" >>"$table"
done
printf '\n%-10s %5s %10s %10s %10s %8s\n' policy runs completed missing disasters most
cat "$table"
echo "disaster: only network may not lose a completed write:" \
	"$([ $status -eq 0 ] && echo none lost || echo "see $B/disaster.network")"
exit $status
