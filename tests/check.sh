#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `make check`: everything that is tested, a step at a time. A step that passes prints one
# line, the closing line of its runner; one that fails prints the end of its log. A step
# that make does not know has failed too. The simulator, which computes, and the real
# programs, which mostly wait, go side by side.
#
#   RUNS=n   seeds of the simulator (300)
#   STEPS="tree unit ..."   these steps only
MAKE=${MAKE:-make}
seeds=${RUNS:-300}
logs=${B:-build}/check
most_seconds=900
mkdir -p "$logs" || exit 2
WERROR=1
export WERROR
rm -f "$logs"/*.result
began=$(date +%s)

closing_line() # STEP LOG
{
	case $1 in
	unit)
		awk '/^\[  PASSED  \]/ { ok += $4; programs++ }
			/^\[  FAILED  \] [0-9]+ test/ { bad += $4 }
			/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
			END { printf "unit: %d passed, %d failed, %d skipped in %d programs\n",
				ok, bad, skipped, programs }' "$2"
		;;
	build)
		echo "build: without warnings"
		;;
	*)
		echo "$1: $(sed 's/\r/\n/g' "$2" | grep -v -e '^[ \t]*$' -e '^make[:[]' |
			tail -n 1 | sed "s/^$1: //")"
		;;
	esac
}

# step NAME make-arguments...
step()
{
	name=$1
	shift
	case " ${STEPS:-$name} " in
	*" $name "*) ;;
	*) return 0 ;;
	esac
	log=$logs/$name.log
	start=$(date +%s)
	# A step that hangs has failed; timeout(1) ends it with all that it started.
	timeout --kill-after=10 "$most_seconds" $MAKE --no-print-directory "$@" >"$log" 2>&1 </dev/null
	status=$?
	[ $status -ne 124 ] || echo "$name: not done after $most_seconds s" >>"$log"
	took=$(($(date +%s) - start))
	if [ $status -eq 0 ]; then
		echo ok >"$logs/$name.result"
		printf '%4d s  ok    %s\n' "$took" "$(closing_line "$name" "$log")"
		return 0
	fi
	echo FAIL >"$logs/$name.result"
	# Which tests failed and what they said, wherever that is; then how it ended.
	awk '/^not ok|^VIOLATION|\[  FAILED  \]/ { said = 1; print; next }
	     said && /^#/ { print; next } { said = 0 }' "$log" |
		head -n 120 | sed 's/^/        | /'
	tail -n 20 "$log" | sed 's/^/        | /'
	printf '%4d s  FAIL  %s (all of it: %s)\n' "$took" \
		"$(closing_line "$name" "$log")" "$log"
	return 1
}

trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM

step tree tree & # it reads the sources, and nothing that is built
if step build -j2 all check-programs; then
	# Some of the unit tests wait for real time: one more than there are cores.
	step unit -k -j3 --output-sync=target unit
	{
		step disaster disaster RUNS=3
		step fuzz fuzz-corpus
		step sim sim "RUNS=$seeds"
		step bugs sim-bugs
		step experiments experiments QUICK=1
	} &
	step system system
	step wan wan
fi
wait

passed=$(cat "$logs"/*.result 2>/dev/null | grep -c ok)
broken=$(cd "$logs" && grep -l FAIL -- *.result 2>/dev/null | sed 's/\.result$//' | tr '\n' ' ')
failed=$(echo "$broken" | wc -w)
echo
echo "check: $passed steps passed, $failed failed in $(($(date +%s) - began)) s${broken:+: }$broken"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
