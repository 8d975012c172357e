#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A running group whose line is changed under load: nothing that was written is lost,
# whatever carries it and whatever protects it.
. "$(dirname "$0")/lib.sh"

set_near()
{
	"$build/wanmirror" -c "$T/near.conf" set "$@" >>"$T/set.log" || fail "set $*"
}

carried_by()
{
	[ "$(field near groups.0.link.transport)" = "$1" ] && in_state near IN_SYNC
}

has_code()
{
	[ "$(field near groups.0.fec.code)" = "$1" ]
}

# Each change while a copy runs; then everything is at the mirror, byte by byte.
test_code_transport_and_rate_change_under_load()
{
	need nbdcopy
	sync=network
	rate=100Mbit
	pair_in_sync
	random_file data 96
	nbdcopy --flush data "$(uri near)" &
	copy=$!
	rounds=0
	while ! gone $copy || [ $rounds -eq 0 ]; do
		rounds=$((rounds + 1))
		for change in fec.code=layered fec.code=rs fec.r=16 fec.code=none \
			fec.code=window fec.share=0.2 rate=150Mbit transport=tcp \
			sync=remote sync=network transport=udp fec.code=layered \
			evidence=mirror evidence=driver fec.r=8 rate=auto rate=100Mbit \
			fec.code=window; do
			set_near "$change"
			case $change in
			fec.code=*) has_code "${change#*=}" || fail "no $change" ;;
			esac
		done
		wait_for 30 in_state near IN_SYNC CATCHING_UP
	done
	wait $copy || fail "the copy ended with $?"
	[ $rounds -ge 2 ] || echo "only $rounds rounds of changes while the copy ran"
	wait_for 60 persisted_all
	wait_for 30 carried_by udp
	same_image "$(uri far)" data
	stop near
	stop far
}

# TCP alone, from the start: the same promises, another connection; and back.
test_tcp_carries_a_group()
{
	need nbdcopy
	sync=remote
	peer_more='transport = "tcp"; congestion = "reno";'
	pair_in_sync
	wait_for 10 carried_by tcp
	[ "$(field near groups.0.link.evidence)" = mirror ] || fail "evidence over tcp"
	random_file data 64
	nbdcopy --flush data "$(uri near)"
	crash near
	promote far
	same_image "$(uri far)" data
	stop far
}

# A mirror that is killed and comes back, and a primary, too, over TCP.
test_tcp_survives_both_sides()
{
	need nbdcopy
	sync=network
	peer_more='transport = "tcp";'
	pair_in_sync
	random_file data 24
	nbdcopy --flush data "$(uri near)"
	crash far
	random_file data 32
	nbdcopy --flush data "$(uri near)"
	start far
	wait_for 60 persisted_all
	wait_for 30 carried_by tcp
	crash near
	start near
	wait_for 30 carried_by tcp
	same_image "$(uri near)" data
	random_file data 24
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

says_why()
{
	field near groups.0.why | grep -q "$1"
}

# What the kernel does not have is said where people look, and mended by another setting.
test_congestion_control_that_is_not_there()
{
	need nbdcopy
	sync=local
	peer_more='transport = "tcp"; congestion = "nosuchthing";'
	pair
	start far
	start near
	wait_for 30 says_why "does not offer peer.congestion"
	set_near congestion=reno
	wait_for 30 carried_by tcp
	stop near
	stop far
}

# SIGHUP takes over what may change, names what needs a restart, and refuses a file that
# is wrong as a whole.
test_the_file_is_read_again()
{
	sync=network
	pair_in_sync
	sed -i 's/rate = "1Gbit"/rate = "300Mbit"; transport = "tcp"/; s/1GiB/2GiB/' near.conf
	kill -HUP "$(cat near.pid)"
	wait_for 10 carried_by tcp
	wait_for 10 grep -q "configuration-applied key=groups\[\].peer.rate" near.log
	grep -q "configuration-needs-restart key=groups\[\].store_size" near.log
	cp near.conf right.conf
	sed -i 's/300Mbit/300Megabit/' near.conf
	kill -HUP "$(cat near.pid)"
	wait_for 10 grep -q configuration-refused near.log
	cp right.conf near.conf
	carried_by tcp
	stop near
	stop far
}

wrong_usage()
{
	status=0
	"$build/wanmirror" -c "$T/near.conf" set "$1" 2>"$T/err" || status=$?
	[ $status -eq 2 ] || fail "set $1 ended with $status"
	grep -q "$2" "$T/err" || fail "set $1: $(cat "$T/err")"
}

test_what_cannot_be_set_is_refused()
{
	sync=network
	pair_in_sync
	wrong_usage store=/x "needs a restart"
	wrong_usage fec.code=turbo "none of the words"
	wrong_usage fec.c=200 "out of range"
	wrong_usage fec.min=0.9 "more than max"
	set_near fec.code=rs
	wrong_usage fec.c=0 "no code"
	wrong_usage frobnicate=1 "no key"
	set_near --dry-run transport=tcp
	carried_by udp
	stop near
	stop far
}

run test_code_transport_and_rate_change_under_load
run test_tcp_carries_a_group
run test_tcp_survives_both_sides
run test_congestion_control_that_is_not_there
run test_the_file_is_read_again
run test_what_cannot_be_set_is_refused
finish
