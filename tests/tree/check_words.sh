#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Words that have no place in the tree: paths of somebody's machine, and work left open.
. "$(dirname "$0")/lib.sh"

# Written so that this file does not complain of itself.
paths='/([w]ork|[f]arm|[h]ome|[r]oot)/[a-z]'
open='(^|[^A-Za-z_])([T]ODO|[F]IXME|[X]XX)([^A-Za-z_]|$)'

find . \( -name .git -o -name 'build' -o -name 'build-*' -o -name '*.o' \) -prune -o -type f -print |
	sed 's,^\./,,' | sort | tr '\n' '\0' |
	xargs -0r grep -nIE "$paths|$open" /dev/null | cut -c 1-120 |
	sed 's/$/  <- not in the tree/' >"$complaints"
verdict
