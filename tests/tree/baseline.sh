#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make baseline: lets tests/tree/baseline.txt shrink to the old uses that are left. It
# never grows: what is new is named by `make tree`.
here=$(cd "$(dirname "$0")" && pwd)
new=$(mktemp) || exit 2
trap 'rm -f "$new" "$new".*' EXIT
for check in retired names; do
	BASELINE="$new.$check" sh "$here/check_$check.sh" >/dev/null
	cat "$new.$check" 2>/dev/null >>"$new"
done
{
	sed -n '/^#/p' "$here/baseline.txt"
	LC_ALL=C sort "$new"
} >"$new.all" && cp "$new.all" "$here/baseline.txt"
