#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# `wanmirror events`: what a person asks for when it is over. The events of a failover are
# at both sites, with their times and reasons, after stops, starts and kills of either.
. "$(dirname "$0")/lib.sh"

events()
{
	site_name=$1
	shift
	"$build/wanmirror" -c "$T/$site_name.conf" events "$@"
}

# said NAME PATTERN: one of its events looks like this.
said()
{
	events "$1" >"$T/$1.events" || return 1
	grep -q -e "$2" "$T/$1.events"
}

# says NAME PATTERN...: its events have one for each pattern, in this order.
says()
{
	speaker=$1
	events "$speaker" >"$T/$speaker.events"
	shift
	at=0
	for pattern; do
		found=$(tail -n +$((at + 1)) "$T/$speaker.events" | grep -n -m 1 -e "$pattern" |
			cut -d: -f1)
		[ -n "$found" ] || fail "$speaker does not say \"$pattern\" behind line $at"
		at=$((at + found))
	done
}

both_say()
{
	says far 'recovered lsn=' 'LISTENING -> FOLLOWING' \
		'FOLLOWING -> LISTENING: no primary' 'LISTENING -> PROMOTING: ' \
		'promoted lsn=' 'serving role=primary' ' -> EXPOSED: promoted, and no mirror'
	says near 'recovered lsn=' ' -> IN_SYNC' 'recovered lsn=' \
		' fenced ' ' -> FENCED: '
}

numbers()
{
	events "$1" --json | grep '"seq"' | tr -dc '0-9\n'
}

test_a_failover_is_known_after_restarts_and_kills()
{
	sync=network
	pair_in_sync
	crash near
	wait_for 30 in_state far LISTENING
	promote far
	wait_for 30 in_state far EXPOSED
	launch near
	wait_for 30 in_state near FENCED
	both_say

	stop far
	start far
	wait_for 30 said far 'stopping'
	both_say

	for _ in 1 2 3; do
		crash far
		start far
		crash near
		launch near
		wait_for 30 in_state near FENCED
		both_say
	done

	# In order, none twice, none missing.
	for name in near far; do
		numbers "$name" >"$T/numbers"
		seq "$(wc -l <"$T/numbers")" >"$T/expected"
		cmp "$T/numbers" "$T/expected"
	done
	[ "$(field near groups.0.store.lost_events)" = 0 ]
	[ "$(field far groups.0.store.lost_events)" = 0 ]
}

# From when on a completed write was at one site only.
test_a_mirror_that_is_gone_for_a_while_is_known_after()
{
	sync=network
	pair_in_sync
	crash far
	wait_for 30 in_state near EXPOSED
	start far
	wait_for 30 in_state near IN_SYNC
	wait_for 30 said near 'mode-raised'
	says near ' -> IN_SYNC' 'mirror-timed-out' 'mode-lowered from=network to=local' \
		'mode-raised from=local to=network'
	says near ' -> EXPOSED: writes complete without the mirror' ' -> IN_SYNC'
	stop near
}

test_a_time_is_what_it_says()
{
	one_site
	wait_for 30 said near '-> STANDALONE'
	events near --json >all
	[ "$("$tools/jget" group <all)" = g ]
	[ "$("$tools/jget" events.0.seq <all)" = 1 ]
	began=$("$tools/jget" events.0.time <all)
	ago=$(($(date +%s) - $(date -d "$began" +%s)))
	[ "$ago" -ge 0 ] && [ "$ago" -lt 60 ] || fail "it began $ago s ago, at $began"

	events near --since 1h --json >some
	cmp all some
	events near --since "$began" --json >some
	cmp all some
	events near g --since 2100-01-01T00:00:00Z --json >none
	[ "$("$tools/jget" events <none)" = '[]' ] || fail "there is one: $(cat none)"
	[ -z "$(events near --since 2100-01-01T00:00:00Z)" ]
	# The time that it prints is one that it takes.
	printed=$(events near | head -n 1 | cut -d' ' -f1)
	[ "$(events near --since "$printed" | wc -l)" -eq "$(events near | wc -l)" ]

	for bad in 10 10minutes -1h yesterday 2026-11-30 2026-11-30T21:06:00 ''; do
		status=0
		events near --since "$bad" >out 2>err || status=$?
		[ $status -eq 2 ] || fail "--since $bad ended with $status"
		[ ! -s out ]
		grep -q -e "--since $bad: .*10min, 2h or 3d" err || fail "$(cat err)"
	done
	stop near
}

# The newest 1,024 are kept, and one answer brings them all.
test_a_thousand_events_are_one_answer()
{
	pair
	launch near
	wait_for 30 said near 'recovered'
	for _ in $(seq 1050); do
		"$build/wanmirror" -c "$T/near.conf" peer replace g >/dev/null
	done
	numbers near >"$T/numbers"
	[ "$(wc -l <"$T/numbers")" -eq 1024 ] || fail "$(wc -l <"$T/numbers") are kept"
	first=$(head -n 1 "$T/numbers")
	seq "$first" $((first + 1023)) >"$T/expected"
	cmp "$T/numbers" "$T/expected"
	said near 'peer-replace'
	crash near
	launch near
	wait_for 30 said near 'recovered'
	numbers near >"$T/numbers"
	[ "$(wc -l <"$T/numbers")" -eq 1024 ] || fail "$(wc -l <"$T/numbers") after a crash"
}

run test_a_failover_is_known_after_restarts_and_kills
run test_a_mirror_that_is_gone_for_a_while_is_known_after
run test_a_time_is_what_it_says
run test_a_thousand_events_are_one_answer
finish
