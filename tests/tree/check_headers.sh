#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A header that does not compile alone, with each compiler that is there.
. "$(dirname "$0")/lib.sh"

alone='log=$(printf "#include \"%s\"\n" "$2" |
	$1 -x c -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Wno-unused-parameter \
		-Wno-unused-function -Werror -fsyntax-only - 2>&1) ||
	echo "$2:1: does not stand alone ($1): $(echo "$log" | grep -m 1 error)"'
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	files . h | xargs -r -P 2 -I {} sh -c "$alone" sh $cc {}
done | sort >"$complaints"
verdict
