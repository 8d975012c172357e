#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A file that decodes bytes from outside without a unit test and a fuzz target. Each has
# a row in tests/tree/decoders.txt; a file that defines a function called *_decode* or
# *_parse* for others must have one; two dashes and a comment with the reason say that
# what it takes does not come from outside.
. "$(dirname "$0")/lib.sh"

table=tests/tree/decoders.txt
if [ ! -f "$table" ]; then
	echo "$table:1: missing" >"$complaints"
	verdict
fi
awk '{ reason = sub(/#.*/, "") } NF { print NR, NF + ($2 $3 == "--" && !reason), $0 }' \
	"$table" | while read -r line n source test fuzz; do
	if [ "$n" -ne 3 ]; then
		echo "$table:$line: wants a source, a unit test and a fuzz target"
		continue
	fi
	for file in "$source" "$test" "$fuzz"; do
		[ "$file" = - ] || [ -f "$file" ] || echo "$table:$line: $file does not exist"
	done
done >"$complaints"
files "$rooms" c | xargs -r awk '
	/^[a-z].*[a-z0-9]_(decode|parse)[a-z0-9_]*\(/ && !/^static/ && !/;[ \t]*$/ {
		if (!(FILENAME in seen))
			print FILENAME ":" FNR
		seen[FILENAME] = 1
	}' | while IFS=: read -r file line; do
	sed 's/#.*//' "$table" | awk -v f="$file" '$1 == f { found = 1 } END { exit !found }' ||
		echo "$file:$line: decodes, but has no row in $table"
done >>"$complaints"
verdict
