#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A structural change changes no behaviour: RUNS seeds of each scenario give the same trace
# hashes at revision BASE and in this tree. Prints the seeds whose traces differ, and exits
# with 1 if there are any; with 2 if the two could not be compared.
#
#   traces.sh BUILD BASE RUNS SEED
set -u
build=$1
base=$2
runs=$3
seed=$4
make=${MAKE:-make}

refuse()
{
	echo "sim-traces: $1" >&2
	exit 2
}

[ -n "$base" ] || refuse "BASE= names the revision to compare with, e.g. BASE=HEAD~1"
commit=$(git rev-parse --verify --quiet "$base^{commit}") ||
	refuse "no revision is called $base"
folder=$build/traces/$commit
mkdir -p "$build/traces" || refuse "cannot make $build/traces"
here=$(cd "$build/traces" && pwd)

# The other revision's tree and build stay: the next comparison with it is quick.
if [ ! -x "$folder/build/tests/sim/sim" ]; then
	rm -rf "$folder"
	mkdir -p "$folder" && git archive "$commit" | tar -x -C "$folder" ||
		refuse "cannot lay out $commit"
	# Variables of this make (B=, BUGS=) are not meant for that tree.
	(cd "$folder" && MAKEFLAGS= MAKEOVERRIDES= $make -j2 --no-print-directory B=build \
		build/tests/sim/sim) >"$here/build.log" 2>&1 ||
		refuse "$commit does not build: $here/build.log"
fi

hashes() # SIM FILE
{
	"$1" all --seed "$seed" --runs "$runs" --traces >"$2.all"
	status=$?
	grep -E '^[a-z_]+ [0-9]+ [0-9a-f]{16}$' "$2.all" >"$2"
	[ $status -eq 0 ] || refuse "$1 failed: $2.all"
}

# Both at once: two processes, two cores.
(hashes "$folder/build/tests/sim/sim" "$here/base") &
other=$!
hashes "$build/tests/sim/sim" "$here/this"
wait "$other" || exit 2

compared=$(wc -l <"$here/this")
[ "$compared" -gt 0 ] || refuse "no trace was printed"
differ=$(diff "$here/base" "$here/this" | grep '^[<>]' | awk '{ print $2, $3 }' | sort -u)
if [ -n "$differ" ]; then
	echo "$differ" | head -n 40 | sed 's/^/differs: /'
	echo "sim-traces: $(echo "$differ" | wc -l) of $compared traces differ from $base"
	exit 1
fi
echo "sim-traces: $compared traces are those of $base"
