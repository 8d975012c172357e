#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A header that does not compile alone, with each compiler that is there; or whose guard is
# not its path, which two headers could come to share.
. "$(dirname "$0")/lib.sh"

# Many at once; one after the other, to name the one, only where that fails.
# shellcheck disable=SC2016 # for the inner shell
alone='cc=$1; shift
flags="-x c -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Wno-unused-parameter
	-Wno-unused-function -Werror -fsyntax-only"
$cc $flags "$@" 2>/dev/null && exit 0
for h; do
	log=$(printf "#include \"%s\"\n" "$h" | $cc $flags - 2>&1) ||
		echo "$h:1: does not stand alone ($cc): $(echo "$log" | grep -m 1 error)"
done'
guards()
{
	files . h | xargs -r awk '
	FNR == 1 { guard = toupper(FILENAME); gsub(/[^A-Z0-9]/, "_", guard); seen = 0 }
	/^#ifndef / && !seen {
		seen = 1
		if ($2 != guard)
			print FILENAME ":" FNR ": its guard is " $2 ", not " guard
	}'
}

{
	guards
	for cc in gcc clang; do
		command -v $cc >/dev/null || continue
		files . h | xargs -r -n 40 -P 2 sh -c "$alone" sh $cc
	done
} | sort >"$complaints"
verdict
