#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The tree checks itself: `make tree`. First that each check can fail (selftest.sh), then
# each check over the tree in the working directory.
here=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0
for script in "$here"/selftest.sh "$here"/check_*.sh; do
	name=${script##*/}
	name=${name%.sh}
	if out=$(sh "$script" 2>&1); then
		passed=$((passed + 1))
		[ "${V:-0}" != 1 ] || echo "  ok    $name"
	else
		failed=$((failed + 1))
		echo "  FAIL  $name"
		echo "$out" | head -n 40 | sed 's/^/        /'
	fi
done
echo "tree: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
