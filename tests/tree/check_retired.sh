#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A new use of a word of words.txt in a name, a comment or a document: more of them than
# baseline.txt still allows.
. "$(dirname "$0")/lib.sh"

files . c h sh awk mk md 1 5 8 |
	xargs -r awk -f "$here/c.awk" -f "$here/retired.awk" mode=words "$here/words.txt" \
		mode=text | over_baseline
verdict
