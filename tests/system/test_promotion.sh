#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The mirror is promoted after the primary was lost: how old its image is, is what a writer knows
# of it, whatever way its writes were sent; and it is written soon.
#
# WRITES=4000 writes as many before; the default is a few.
. "$(dirname "$0")/lib.sh"

writes=${WRITES:-300}
volumes='{ name = "data"; size = "64MiB"; }'
store_size=$((writes / 40 + 192))MiB # nothing is freed before there is a cleaner
sync=network

# dates WRITES [OPTION...]: a writer to near that says when it did what.
dates()
{
	"$tools/dated" write "$(uri near)" "count=$1" every=2 >wrote &
	writer=$!
	later "end $writer"
}

admitted()
{
	[ "$(field near groups.0.lsn.admitted 2>/dev/null || echo 0)" -ge "$1" ]
}

mirror_holds()
{
	[ "$(field far groups.0.recovery.lsn 2>/dev/null || echo 0)" -ge "$1" ]
}

may_promote()
{
	"$build/wanmirror" -c "$T/far.conf" promote g --dry-run >said 2>&1
}

# near A B: they differ by at most a second.
is_near()
{
	awk "BEGIN { d = $1 - $2; exit !(d <= 1 && d >= -1) }" || fail "$3: $1, but the writer says $2"
}

# The status of the mirror and the newest write in its image name one time.
ages_agree()
{
	"$tools/dated" newest "$(uri far)" >newest
	read -r number stamp <newest
	field far groups.0.recovery >recovery
	now=$(date +%s.%N)
	[ "$number" -gt 0 ] || fail "the mirror holds nothing"
	is_near "$("$tools/jget" admitted_at <recovery)" "$stamp" admitted_at
	is_near "$("$tools/jget" age_s <recovery)" "$(echo "$now $stamp" | awk '{ print $1 - $2 }')" age_s
	note "$1: $(awk '{ print $1 }' newest) writes, $(cat recovery)"
}

# What promote says to a person is the same time.
promote_agrees()
{
	at=$(sed -n 's/^far holds .* up to \(.* UTC\), .*/\1/p' said)
	is_near "$(date -d "$at" +%s.%N)" "$(cut -d' ' -f2 newest)" "promote says $at"
}

# From the command to the end of the first write, of a client that was not there before.
promote_and_write()
{
	wait_for 20 may_promote
	promote_agrees
	began=$(date +%s%N)
	"$build/wanmirror" -c "$T/far.conf" promote g >said
	"$tools/dated" write "$(uri far)" count=1 >wrote
	took=$((($(date +%s%N) - began) / 1000000))
	promote_agrees
	read -r number stamp <wrote
	[ "$number" = 1 ] || fail "it cannot be written"
	note "promote to the first write: $took ms"
	[ "$took" -lt 2000 ] || fail "the first write took $took ms"
	stop far
}

# Streamed as it was written; then the mirror is started again, and nobody knows more than its log.
test_the_age_of_what_was_streamed()
{
	pair_in_sync
	dates 1000000
	wait_for 600 admitted "$writes"
	crash near
	wait_for 20 gone $writer
	ages_agree "streamed"
	[ "$("$tools/jget" known <recovery)" = true ] || fail "it is not known what is missing"
	promote_and_write
}

test_the_age_after_a_restart_of_the_mirror()
{
	pair_in_sync
	dates 1000000
	wait_for 600 admitted "$writes"
	crash far
	start far
	# What was written meanwhile is sent from the log, and what is written then is streamed.
	wait_for 600 mirror_holds $((2 * writes))
	crash near
	crash far
	start far
	wait_for 20 gone $writer
	ages_agree "restarted"
	[ "$("$tools/jget" known <recovery)" = false ] || fail "how does it know what is missing?"
	[ "$("$tools/jget" missing_writes <recovery)" = null ] || fail "it guesses"
	promote_and_write
}

# All is written while the mirror is away, and sent from the log, slowly; half way the primary is
# lost. What counts is when it was written, and not when it was sent.
test_the_age_of_what_was_sent_from_the_log()
{
	rate=1Mbit
	pair_in_sync
	stop far
	wait_for 20 in_state near EXPOSED
	dates "$writes"
	wait_for 600 gone $writer
	start far
	wait_for 600 mirror_holds $((writes / 3))
	crash near
	ages_agree "sent from the log"
	[ "$("$tools/jget" missing_writes <recovery)" -gt 0 ] || fail "nothing is missing"
	awk "{ exit !($(date +%s) - \$2 > 2) }" newest || fail "it was sent too soon to show anything"
	crash far
	start far
	ages_agree "and restarted"
	promote_and_write
}

run test_the_age_of_what_was_streamed
run test_the_age_after_a_restart_of_the_mirror
run test_the_age_of_what_was_sent_from_the_log
finish
