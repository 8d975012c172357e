#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Which store is the peer's: one that was made anew waits for `wanmirror peer replace`, and a copy
# of either store touches nothing of the pair, though it has the key.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB
sync=network

peer()
{
	peer_of=$1
	shift
	"$build/wanmirror" -c "$T/$peer_of.conf" peer "$@"
}

# says NAME TEXT: in its log.
# The stores of both sites, each named by the other one when they paired.
paired_stores()
{
	far_id=$(sed -n 's/.*peer-bound store=\([0-9a-f]*\).*/\1/p' near.log | tail -n 1)
	near_id=$(sed -n 's/.*peer-bound store=\([0-9a-f]*\).*/\1/p' far.log | tail -n 1)
	[ ${#far_id} -eq 16 ] && [ ${#near_id} -eq 16 ] && [ "$far_id" != "$near_id" ] ||
		fail "not two stores"
}

written_pair()
{
	need nbdcopy nbdinfo
	pair_in_sync
	paired_stores
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 30 persisted_all
}

# twin NAME: a copy of that site's store, with its configuration, which dials the pair's port or
# listens at a port of its own.
twin()
{
	cp --sparse=always "$1.store" twin.store
	sed "s,$T/$1\.,$T/twin.,; s,node = \"$1\",node = \"twin\"," "$1.conf" >twin.conf
}

# What the pair says of itself, and which connection it has.
pair_is()
{
	echo "$(field near groups.0.epoch_id) $(field far groups.0.state)"
	echo "$(grep -c 'info connected' near.log) $(grep -c 'info connected' far.log)"
}

# The pair works as before, with the same connection, and nobody is fenced.
pair_goes_on()
{
	in_state near IN_SYNC || fail "near is $(field near groups.0.state)"
	random_file more 8
	nbdcopy --flush more "$(uri near)"
	wait_for 30 persisted_all
	same_image "$(uri far)" more
	[ "$(pair_is)" = "$before" ] || fail "it was $before, and is $(pair_is)"
	! log_says near 'disconnected|FENCED|DIVERGED' || fail "near was disturbed"
	! log_says far 'disconnected|FENCED|DIVERGED' || fail "far was disturbed"
}

# A mirror whose store was lost: refused with both stores and the verb, at both sites, until
# somebody says that it shall be the peer. Then it is filled.
test_a_new_store_waits_for_peer_replace()
{
	written_pair
	stop far
	rm far.store
	create far
	launch far
	refused="near is paired with store $far_id, far has [0-9a-f]{16}; .*wanmirror peer replace g at near"
	wait_for 20 why_says near "$refused"
	wait_for 20 why_says far "$refused"
	log_says near "refused peer=far why=\"$refused" || fail "not in the log of near"
	log_says far "refused .*$refused" || fail "not in the log of far"
	peer near replace g --dry-run >answer
	grep -q "the peer is store $far_id" answer || fail "$(cat answer)"
	grep -q 'nothing was changed' answer || fail "$(cat answer)"
	why_says near "$refused" || fail "a dry run changed something"
	peer near replace g
	wait_for 30 in_state near IN_SYNC
	wait_for 30 persisted_all
	same_image "$(uri far)" data
	old=$far_id
	paired_stores
	[ "$far_id" != "$old" ] || fail "the same store"
	stop near
	start near
	wait_for 30 in_state near IN_SYNC
	stop near
	stop far
}

# A virtual machine with a copy of the primary is started beside it: it is turned away by the
# mirror, and the pair does not notice.
test_a_copy_of_the_primary_touches_nothing()
{
	written_pair
	stop near
	twin near
	sed -i 's/sync = "network";/& open_timeout = "500ms";/' twin.conf
	start near
	wait_for 30 in_state near IN_SYNC
	: >near.log
	: >far.log
	before=$(pair_is)
	launch twin
	wait_for 20 log_says far 'refused peer=twin why="a copy of this store is connected from 127'
	wait_for 20 log_says twin 'peer-refused why="a copy of this store is connected from 127'
	wait_for 20 in_state twin HOLDING # its open_timeout has run out, and it was warm
	! timeout 1 nbdinfo "$(uri twin)" || fail "the copy is served"
	pair_goes_on
	stop twin
	pair_goes_on
	stop near
	stop far
}

# A copy of the mirror, which dials the primary where the mirror does.
test_a_copy_of_the_mirror_touches_nothing()
{
	written_pair
	stop near
	stop far
	# The primary listens from now on, so that two can dial it.
	sed -i "s/listen = \"127/address = \"127/" far.conf
	sed -i "s/address = \"127/listen = \"127/" near.conf
	twin far
	both_in_sync
	: >near.log
	: >far.log
	before=$(pair_is)
	launch twin
	wait_for 20 log_says near 'refused peer=twin why="a copy of this store is connected from 127'
	wait_for 20 why_says twin 'a copy of this store is connected from 127'
	pair_goes_on
	stop twin
	pair_goes_on
	stop near
	stop far
}

# `peer forget` keeps the mirror away, over a restart, until `peer replace`.
test_a_forgotten_peer_stays_away()
{
	written_pair
	peer near forget g
	wait_for 20 in_state near EXPOSED
	refused='near has forgotten its peer; to take one: wanmirror peer replace g at near'
	forgotten='the peer was forgotten, and writes complete without a mirror; '
	wait_for 20 why_says near "$forgotten"
	wait_for 20 why_says far "$refused"
	random_file more 8
	nbdcopy --flush more "$(uri near)"
	! persisted_all || fail "it was mirrored"
	sed -i 's/sync = "network";/& open_timeout = "600s";/' near.conf
	stop near
	start near
	wait_for 20 in_state near EXPOSED # at once: there is nobody to ask
	wait_for 20 why_says near "$forgotten"
	same_image "$(uri far)" data
	peer near replace
	wait_for 30 in_state near IN_SYNC
	wait_for 30 persisted_all
	same_image "$(uri far)" more
	stop near
	stop far
}

# Of a group without a peer there is none to replace.
test_no_peer()
{
	sync=local
	one_site
	! peer near replace g 2>answer || fail "it did"
	grep -q 'the group has no peer' answer || fail "$(cat answer)"
	stop near
}

run test_a_new_store_waits_for_peer_replace
run test_a_copy_of_the_primary_touches_nothing
run test_a_copy_of_the_mirror_touches_nothing
run test_a_forgotten_peer_stays_away
run test_no_peer
finish
