#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Man pages of which mandoc(1), or groff(1) as man(1) calls it, has a warning: a mistake in a
# page, or a line that does not fit into a terminal.
. "$(dirname "$0")/lib.sh"

for page in docs/man/*; do
	[ -f "$page" ] || continue
	! command -v mandoc >/dev/null ||
		mandoc -Tlint -W warning "$page" | grep -v -e ': outdated mandoc.db' \
			-e '\(UNSUPP\|STYLE\):' | sed 's/^mandoc: //'
	! command -v groff >/dev/null ||
		groff -man -mdoc -ww -Tutf8 -z "$page" 2>&1 | sed 's/^troff: //'
done >"$complaints"
verdict
