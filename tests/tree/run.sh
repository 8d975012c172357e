#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The tree checks itself: `make tree`. That each check can fail (selftest.sh), and each
# check over the tree in the working directory, two at a time.
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d) || exit 2
trap 'rm -rf "$out"' EXIT
trap 'exit 2' INT TERM

# shellcheck disable=SC2016 # for the inner shell
printf "%s\n" "$here"/selftest.sh "$here"/check_*.sh |
	xargs -P 2 -I {} sh -c 'name=$(basename "$1" .sh)
		sh "$1" >"$2/$name" 2>&1 && mv "$2/$name" "$2/$name.passed"' sh {} "$out"
passed=0
failed=0
for script in "$here"/selftest.sh "$here"/check_*.sh; do
	name=${script##*/}
	name=${name%.sh}
	if [ -f "$out/$name.passed" ]; then
		passed=$((passed + 1))
		[ "${V:-0}" != 1 ] || echo "  ok    $name"
	else
		failed=$((failed + 1))
		echo "  FAIL  $name"
		head -n 40 "$out/$name" | sed 's/^/        /'
	fi
done
echo "tree: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
