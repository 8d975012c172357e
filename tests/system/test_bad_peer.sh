#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Two daemons that do not belong together, and a line that lets only TCP through: each says
# why, neither touches what it has, and the rest goes on.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB

# says NAME TEXT: in its log.
says()
{
	grep -q -i -E "$2" "$1.log"
}

# The mirror's store as it is on the disk, with the daemon stopped.
sum_of_far()
{
	sha256sum <far.store
}

not_in_sync()
{
	in_state near EXPOSED STARTING HOLDING || fail "near is $(field near groups.0.state)"
	[ "$(field near groups.0.lsn.persisted)" = 0 ] || fail "something was mirrored"
}

# Who has another key is nobody: neither site takes the other for its peer, and the
# primary goes on alone.
test_wrong_key()
{
	need nbdcopy nbdinfo
	pair
	"$build/wanmirror" keygen "$T/key2"
	sed -i "s,$T/key\",$T/key2\"," far.conf
	launch far
	launch near
	wait_for 20 says far "does not have our key"
	wait_for 20 says near "connection-failed"
	wait_for 30 exports near data
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	not_in_sync
	alive far
	stop near
	stop far
}

# A primary whose store was made anew is no peer of the mirror that it had. Nor is it one after
# `peer replace`: what that mirror holds is of another group, and stays as it is.
test_group_of_the_same_name()
{
	need nbdcopy nbdinfo
	sync=network
	pair_in_sync
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	stop near
	rm near.store
	create near
	launch near
	wait_for 20 says far 'refused .*wanmirror peer replace g at far'
	wait_for 20 says near 'refused .*wanmirror peer replace g at far'
	"$build/wanmirror" -c far.conf peer replace g
	wait_for 20 says far 'another group of the same name'
	wait_for 20 says near 'another group of the same name'
	wait_for 30 exports near data
	not_in_sync
	same_image "$(uri far)" data
	stop near
	stop far
}

test_group_of_another_name()
{
	pair
	rm far.store
	sed -i 's/name = "g"/name = "h"/' far.conf
	create far
	launch far
	launch near
	wait_for 20 says far 'connection-failed .*names another group'
	wait_for 20 why_says near 'the group.s name the same at both sites'
	not_in_sync
	stop near
	stop far
}

test_volume_of_another_size()
{
	pair
	rm far.store
	sed -i 's/64MiB"; }/32MiB"; }/' far.conf
	create far
	launch far
	launch near
	wait_for 20 says near '33554432 bytes at the mirror, 67108864 at the primary'
	not_in_sync
	stop near
	stop far
}

# A firewall that knows TCP only. The control connection alone proves nothing: the primary
# is EXPOSED, not in sync, and all comes right when datagrams pass again.
test_udp_is_swallowed()
{
	need nbdcopy nbdinfo
	sync=network
	pair_over_line 10ms
	both_in_sync
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	"$build/tests/wan/wanem" -c line set loss=100%
	random_file other 4
	nbdcopy --flush other "$(uri near)"
	wait_for 10 in_state near EXPOSED
	! persisted_all || fail "persisted without a line"
	same_image "$(uri far)" data
	"$build/tests/wan/wanem" -c line set loss=0%
	wait_for 30 in_state near IN_SYNC
	wait_for 30 persisted_all
	same_image "$(uri far)" other
	stop near
	stop far
}

strangers_seen()
{
	seen=$(field far groups.0.link.strangers 2>/dev/null) && [ "$seen" -ge "$1" ]
}

# A thousand strangers a second do not keep the peer out, though its handshake takes a tenth
# of a second. The rest of the words: how they are called.
strangers_call()
{
	need nbdcopy nbdinfo
	sync=network
	pair_over_line 100ms
	launch far
	"$tools/strangers" "$1" "$port" 1000 ${2:+"$2"} &
	later "end $!"
	wait_for 10 strangers_seen 1000
	launch near
	wait_for 2 says far 'connected address=[^ ]* peer-key=verified'
	wait_for 30 in_state near IN_SYNC
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

# One host, that says nothing.
test_strangers()
{
	strangers_call 127.0.0.2
}

# More hosts than there are places, each with a hello that is answered without the key.
test_answered_strangers()
{
	strangers_call 127.0.1.1 100
}

run test_wrong_key
run test_group_of_the_same_name
run test_group_of_another_name
run test_volume_of_another_size
run test_udp_is_swallowed
run test_strangers
run test_answered_strangers
finish
