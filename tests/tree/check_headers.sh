#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A header that does not compile alone, with each compiler that is there.
. "$(dirname "$0")/lib.sh"

log=$(mktemp) || exit 2
trap 'rm -f "$complaints" "$log"' EXIT
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	for header in $(files ". " h); do
		printf '#include "%s"\n' "$header" |
			$cc -x c -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra \
				-Wno-unused-parameter -Wno-unused-function -Werror \
				-fsyntax-only - 2>"$log" ||
			echo "$header:1: does not stand alone ($cc): $(grep -m 1 'error' "$log")"
	done
done >"$complaints"
verdict
