#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh BUILD [NAME...]: every tests/system/test_*.sh, or those named, and their sum.
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
passed=0
failed=0
skipped=0
[ $# -gt 0 ] || set -- $(cd "$here" && ls test_*.sh)
for name; do
	name=${name#test_}
	name=${name%.sh}
	echo "== $name"
	sh "$here/test_$name.sh" "$build" >"$build/tests/system/$name.out" 2>&1
	cat "$build/tests/system/$name.out"
	last=$(tail -n 1 "$build/tests/system/$name.out")
	case $last in
	*' passed, '*' failed, '*' skipped')
		passed=$((passed + ${last%% passed*}))
		last=${last#* passed, }
		failed=$((failed + ${last%% failed*}))
		last=${last#* failed, }
		skipped=$((skipped + ${last%% skipped*}))
		;;
	*)
		echo "not ok - $name did not come to its end"
		failed=$((failed + 1))
		;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
