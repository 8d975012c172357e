#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A header that does not compile alone, with each compiler that is there.
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
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	files . h | xargs -r -n 40 -P 2 sh -c "$alone" sh $cc
done | sort >"$complaints"
verdict
