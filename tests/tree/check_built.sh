#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A source that nothing builds: make does not know it, under any target.
. "$(dirname "$0")/lib.sh"

known=$(mktemp) || exit 2
trap 'rm -f "$complaints" "$known"' EXIT
# A build folder of its own, so that the dependency files of an earlier build do not
# speak for a source whose rule is gone.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -pnqrR B=build/none 2>/dev/null |
	tr -s ' \t:()' '\n\n\n\n\n' | sed -n 's,^.*build[^/]*/none[^/]*/,,;s/\.o$/.c/p;s/\.c$/.c/p' | sort -u >"$known"
if [ ! -s "$known" ]; then
	echo "Makefile:1: make says nothing" >"$complaints"
	verdict
fi
files . c | grep -vxFf "$known" | sed 's/$/:1: nothing builds this/' >"$complaints"
verdict
