#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Clients that break the rules: each is refused or closed, the daemon lives, and others are
# served beside it and after it.
. "$(dirname "$0")/lib.sh"

# Beyond the end, over the maximum, unknown commands and flags: the errors of docs/nbd.md.
test_bad_requests_are_refused()
{
	need nbdinfo
	one_site
	"$tools/nbdbad" requests "$T/near.nbd" data
	exports near data
	stop near
}

# Clients that stop in the greeting, in a header, in a payload do not keep others waiting.
test_stalled_clients_hold_only_themselves()
{
	need nbdinfo nbdcopy
	one_site
	random_file data 20
	"$tools/nbdbad" hold "$T/near.nbd" 20 nbdcopy --flush data "$(uri near)"
	same_image "$(uri near)" data
	stop near
}

# More connections than the limit are turned away, and slots come back.
test_connection_limit()
{
	need nbdinfo
	nbd_more='connections = 6;'
	one_site
	"$tools/nbdbad" flood "$T/near.nbd" data 6
	exports near data
	stop near
}

# A thousand and more connections of noise.
test_garbage()
{
	need nbdinfo nbdcopy
	one_site
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	"$tools/nbdbad" garbage "$T/near.nbd" 1500 "$$"
	alive near
	same_image "$(uri near)" data
	stop near
}

# A stop while clients sit there in every state is not held up by them.
test_stop_is_not_held_up()
{
	need nbdinfo
	one_site
	pid=$(cat "$T/near.pid")
	"$tools/nbdbad" hold "$T/near.nbd" 5 sh -c "kill $pid
		for i in \$(seq 600); do
			grep -q '^State:.[ZX]' /proc/$pid/status 2>/dev/null && exit 0
			[ -d /proc/$pid ] || exit 0
			sleep 0.05
		done
		exit 1"
	wait "$pid"
}

run test_bad_requests_are_refused
run test_stalled_clients_hold_only_themselves
run test_connection_limit
run test_garbage
run test_stop_is_not_held_up
finish
