#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make experiments: the evaluation of the paper (FAST 2009, "Smoke and Mirrors") run again;
# docs/experiments.md says what is measured, and how it differs from the paper.
#
#   experiments.sh BUILD
#
#   FIG="carry table1 6 7 8 9 10 11 12 bursts gate staleness"   some of them (all)
#   N=5   runs per point      SECONDS_PER_POINT=2   what a throughput is measured over
#   RATE=200   of the line, Mbit/s     DISASTER_RATE=50   of that of the disasters
#   QUICK=1    few points, short, and the shapes they must show: what `make check` runs
#   NEW=1      forgets the rows of these figures that are there already
B=$1
here=tests/experiments
figures=${FIG:-carry table1 6 7 8 9 10 11 12 bursts gate staleness}
. $here/lib.sh
. $here/throughput.sh
. $here/disaster.sh
. $here/latency.sh
for file in $here/fig_*.sh; do
	. "$file"
done
# QUICK's rows are no part of a full run, and no check passes by those of an earlier one.
if [ "${QUICK:-0}" = 1 ]; then
	xp_out=$xp_out/quick
	NEW=${NEW:-1}
fi

trap xp_down EXIT
trap 'exit 130' INT TERM

failed=
passed=0

# shape "what must be seen" COMMAND ...
shape()
{
	what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "  ok    $what"
	else
		failed="$failed, $what"
		echo "  FAIL  $what"
	fi
}

# point COMMAND ...: one that cannot be run is named, and the others are run all the same.
point()
{
	"$@" && return 0
	xp_down
	failed="$failed, $*"
	echo "  FAIL  $*: could not be run"
	return 1
}

# Rows that were measured in another way are not gone on with.
xp_same_conditions()
{
	with="RATE=$xp_rate DISASTER_RATE=$xp_disaster_rate SECONDS_PER_POINT=$xp_seconds"
	if [ ! -s "$xp_out/$name.with" ]; then
		echo "$with" >"$xp_out/$name.with"
	elif [ "$(cat "$xp_out/$name.with")" != "$with" ]; then
		echo "experiments: the rows of $name are of $(cat "$xp_out/$name.with");" \
			"NEW=1 forgets them"
		return 1
	fi
}

xp_needs || exit 1
mkdir -p "$xp_out"
xp_began=$(date +%s)
for figure in $figures; do
	name=$(echo "$figure" | sed 's/^[0-9]/fig&/')
	command -v "run_$name" >/dev/null || {
		echo "experiments: there is no figure $figure"
		exit 2
	}
	[ "${NEW:-0}" != 1 ] || rm -f "$xp_out/$name"*.csv "$xp_out/$name.with"
	xp_same_conditions || exit 1
	xp_started=$(date +%s)
	echo "== $name"
	xp_conditions >>"$xp_out/conditions"
	for xp_run in $(seq "$xp_runs"); do
		"run_$name"
	done
	echo "   $name: $(($(date +%s) - xp_started)) s"
	"shape_$name"
	B="$B" OUT="$xp_out" sh $here/tables.sh "$name"
done
echo
echo "experiments: $passed shapes seen, $(echo "$failed" | tr -cd ',' | wc -c) not" \
	"in $(($(date +%s) - xp_began)) s${failed:+:${failed#,}}"
[ -z "$failed" ]
