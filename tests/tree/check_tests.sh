#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A unit test whose name says nothing: tests/unit/ROOM/test_X.c is called as a module X.c or
# X.h of that room (of tests/ROOM for what is tested there), or has a row in behaviours.txt
# that says what it protects.
. "$(dirname "$0")/lib.sh"

table=tests/tree/behaviours.txt
if [ ! -f "$table" ]; then
	echo "$table:1: missing" >"$complaints"
	verdict
fi
files tests/unit c | sed -n 's,^tests/unit/\(.*\)test_\([^/]*\)\.c$,\1\2,p' |
	while read -r test; do
		module=
		name=${test##*/}
		room=${test%%/*}
		for folder in "$room" "replicator/$room" "tests/$room"; do
			[ ! -f "$folder/$name.c" ] && [ ! -f "$folder/$name.h" ] || module=1
		done
		echo "$test ${module:-0}"
	done | awk -v table="$table" '
	FILENAME == table {
		if (/^(#|$)/)
			next
		if (NF < 3)
			print table ":" FNR ": wants a test and what it protects"
		if ($1 in row)
			print table ":" FNR ": " $1 " has two rows"
		row[$1] = FNR
		next
	}
	{
		path = $1
		sub(/[^\/]*$/, "test_&.c", path)
		path = "tests/unit/" path
		tests[$1] = 1
		if ($2 == 1 && $1 in row)
			print table ":" row[$1] ": " $1 " is called as its module"
		if ($2 == 0 && !($1 in row))
			print path ":1: called as no module, and has no row in " table
	}
	END {
		for (test in row)
			if (!(test in tests))
				print table ":" row[test] ": there is no test " test
	}' "$table" - >"$complaints"
verdict
