#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# corpus.sh BUILD MUTATIONS NAME...: run each target's replay, add up what they say.
build=$1 mutations=$2
shift 2
passed=0 failed=0
for name; do
	last=$("$build/tests/fuzz/replay_$name" "tests/fuzz/corpus/$name" "$mutations" \
		"$build/tests/fuzz/$name-" | tail -n 1)
	echo "fuzz_$name: $last"
	case $last in
	*' passed, '*' failed')
		passed=$((passed + ${last%% passed*}))
		last=${last##*passed, }
		failed=$((failed + ${last%% failed*}))
		;;
	*)
		failed=$((failed + 1))
		;;
	esac
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0
