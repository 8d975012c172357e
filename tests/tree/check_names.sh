#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Names at file scope (names.awk, nouns.awk): more static functions of one word, functions
# without a noun of their file, structs of many fields, or files of one name than
# baseline.txt still allows.
. "$(dirname "$0")/lib.sh"

nouns=tests/tree/nouns.txt
[ -f "$nouns" ] || nouns=/dev/null
{
	files "$rooms" c h | xargs -r awk -f "$here/c.awk" -f "$here/names.awk"
	files "$rooms" c h | xargs -r awk -f "$here/c.awk" -f "$here/nouns.awk" \
		mode=nouns "$nouns" mode=code
} | over_baseline
verdict
