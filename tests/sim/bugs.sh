#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# bugs.sh SIM SEEDS: every deliberate bug must end in a violation within SEEDS runs of
# the scenario that names it. Ends with "N caught, M missed, K without a scenario".
sim=$1
seeds=$2
caught=0
missed=0
nobody=0
list=$("$sim" --bugs) || exit 2
while read -r bug scenario; do
	if [ "$scenario" = - ]; then
		nobody=$((nobody + 1))
		echo "$bug: no scenario"
		continue
	fi
	if out=$("$sim" "$scenario" --bug "$bug" --runs "$seeds" 2>&1); then
		missed=$((missed + 1))
		echo "$bug: MISSED by $scenario in $seeds runs"
	elif echo "$out" | grep -q '^VIOLATION'; then
		caught=$((caught + 1))
		echo "$bug: caught by $scenario after" \
			"$(echo "$out" | sed -n 's/^\([0-9]*\) passed, 1 failed$/\1/p') runs"
	else
		echo "$out" | tail -5
		echo "$bug: $scenario did not run"
		exit 2
	fi
done <<LIST
$list
LIST
echo "$caught caught, $missed missed, $nobody without a scenario"
[ "$missed" -eq 0 ] && [ "$nobody" -eq 0 ]
