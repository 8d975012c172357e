#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# How many realistic slips the tests notice. Each *.patch in SLIPS (git apply, from the root
# of the tree) is put into a copy of HEAD by itself; then the unit tests of ROOM run and, if
# they all pass, RUNS seeds of each scenario. One line for each slip, in SLIPS/results:
#
#   NAME noticed by unit test_window     NAME noticed by sim leave 17
#   NAME survived                        NAME void: it does not apply (or build)
#   NAME unclear: leave had not ended    (after 900 s: neither noticed nor survived)
#
#   run.sh ROOM SLIPS RUNS "SCENARIOS"   (no scenarios: all of them)
set -u
room=$1
slips=$2
runs=$3
scenarios=$4
make=${MAKE:-make}
unit_most=240 # seconds; a slip that makes a test hang has been noticed
sim_most=900

refuse()
{
	echo "slips: $1" >&2
	exit 2
}

[ -n "$room" ] || refuse "ROOM= names the folder whose unit tests run, e.g. ROOM=fec"
[ -d "$slips" ] || refuse "SLIPS= names a folder of patches"
slips=$(cd "$slips" && pwd)
ls "$slips"/*.patch >/dev/null 2>&1 || refuse "$slips has no *.patch"
copy=$(mktemp -d) || refuse "no place for a copy of the tree"
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
git archive HEAD | tar -x -C "$copy" || refuse "cannot lay out HEAD"
cd "$copy" && git init -q . && git add -A || refuse "cannot keep HEAD"

built()
{
	MAKEFLAGS= MAKEOVERRIDES= $make -k -j2 --no-print-directory CC="${CC:-gcc}" "$@" >build.log 2>&1
}

# The unit test that fails, or nothing.
unit_notices()
{
	timeout --kill-after=10 $unit_most $make -s --no-print-directory CC="${CC:-gcc}" \
		"unit-$room" >unit.log 2>&1 </dev/null && return 1
	sed -n 's,^== .*/,,p' unit.log | tail -n 1
}

# What the scenarios say, up to the first that does not pass.
sim_result()
{
	for scenario in ${scenarios:-all}; do
		timeout --kill-after=10 $sim_most build/tests/sim/sim "$scenario" \
			--runs "$runs" >sim.log 2>&1 </dev/null
		case $? in
		0) continue ;;
		124) echo "unclear: $scenario had not ended" ;;
		*) echo "noticed by sim $scenario:" \
			"$(grep -m1 -e VIOLATION -e '--seed' sim.log | cut -c1-90)" ;;
		esac
		return
	done
	echo survived
}

: >"$slips/results"
built build/tests/sim/sim "unit-$room" || refuse "HEAD does not pass: $(tail -n 3 build.log)"
for slip in "$slips"/*.patch; do
	name=$(basename "$slip" .patch)
	if ! git apply "$slip" 2>apply.log; then
		result="void: it does not apply: $(head -n 1 apply.log)"
	elif ! built build/tests/sim/sim; then
		result="void: it does not build: $(grep -m1 error: build.log)"
	elif test=$(unit_notices); then
		result="noticed by unit $test"
	else
		result=$(sim_result)
	fi
	git checkout -q -- .
	echo "$name $result" | tee -a "$slips/results"
done
awk '/ noticed by /{n++} / survived$/{s++} / unclear:/{u++} / void:/{v++}
	END { printf "slips: %d noticed, %d survived, %d unclear, %d void\n", n, s, u, v }' \
	"$slips/results"
