#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A source without its SPDX line: the first line, or the second behind a #! line.
. "$(dirname "$0")/lib.sh"

files . c h sh awk mk txt py | { cat; ls Makefile .ci/run 2>/dev/null; } | while read -r file; do
	id='SPDX-License-Identifier: BSD-3-Clause'
	case $file in
	*.c) want="// $id" ;;
	*.h) want="/* $id */" ;;
	*) want="# $id" ;;
	esac
	got=$(head -n 1 "$file")
	case $got in
	'#!'*) got=$(sed -n 2p "$file") ;;
	esac
	[ "$got" = "$want" ] || echo "$file:1: does not begin with \"$want\""
done >"$complaints"
verdict
