#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A state that is assigned by another function than the one of its row in states.txt.
. "$(dirname "$0")/lib.sh"

table=tests/tree/states.txt
if [ ! -e "$table" ]; then
	echo "$table:1: is not there" >"$complaints"
	verdict
fi
row=0
while read -r pattern lvalue functions; do
	row=$((row + 1))
	case $pattern in
	'' | '#'*) continue ;;
	esac
	# shellcheck disable=SC2086 # a pattern on purpose
	set -- $pattern
	if [ ! -e "$1" ]; then
		echo "$table:$row: no file is called $pattern"
		continue
	fi
	awk -v lvalue="$lvalue" -v allowed="$functions" -v table="$table:$row" \
		-f "$here/c.awk" -f "$here/states.awk" "$@"
done <"$table" >"$complaints"
verdict
