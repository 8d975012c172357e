#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What somebody does wrong with two sites: two primaries, two mirrors, three sites, a switchover
# asked at both, a start alone beside a primary, a store put back to what it was. Each is refused
# with a sentence that says what to do; nobody is fenced by it, and nothing is lost.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB
sync=network

nobody_is_fenced()
{
	! grep -E 'FENCED|DIVERGED| fenced' ./*.log || fail "somebody is fenced"
}

# at STATUS TEXT SITE VERB...: it ends so, and says that.
at()
{
	expected=$1 text=$2 site_name=$3
	shift 3
	status=0
	"$build/wanmirror" -c "$T/$site_name.conf" "$@" >said 2>&1 || status=$?
	[ $status -eq "$expected" ] || fail "$* ended with $status: $(cat said)"
	grep -q -E "$text" said || fail "$(cat said)"
}

written_pair()
{
	need nbdcopy nbdinfo
	pair
	sed -i 's/sync = "network";/& open_timeout = "1s";/' near.conf far.conf
	both_in_sync
	written near
}

all_persisted() # SITE
{
	field "$1" groups.0.lsn >"$T/lsn" 2>/dev/null || return 1
	[ "$("$tools/jget" admitted <"$T/lsn")" = "$("$tools/jget" persisted <"$T/lsn")" ]
}

# Something new at that site, which is at both then.
written()
{
	random_file data 4
	nbdcopy --flush data "$(uri "$1")"
	wait_for 30 all_persisted "$1"
}

# Near is the primary, and far has all of it, what is written now, too.
pair_goes_on()
{
	wait_for 20 is near primary IN_SYNC
	wait_for 20 is far mirror FOLLOWING
	same_image "$(uri near)" data
	written near
	same_image "$(uri far)" data
	stop near
	stop far
}

roles() # the same one in both files
{
	sed -i "s/role = \"[a-z]*\"/role = \"$1\"/" near.conf far.conf
}

# Two new sites: each is a group of its own. Both say so, and go on with what is theirs.
test_two_new_primaries()
{
	need nbdcopy nbdinfo
	pair
	roles primary
	sed -i 's/sync = "network";/& open_timeout = "1s";/' near.conf far.conf
	rm far.store
	create far
	launch far
	launch near
	rule='both sites are primaries, .* one must be the mirror, with a new store: wanmirror create'
	wait_for 20 why_says near "$rule"
	wait_for 20 why_says far "$rule"
	wait_for 20 exports near
	random_file data 4
	nbdcopy --flush data "$(uri near)"
	nobody_is_fenced
	# What the sentence says, done at far.
	stop far
	rm far.store
	sed -i 's/role = "primary"/role = "mirror"/' far.conf
	create far
	launch far
	pair_goes_on
}

test_two_new_mirrors()
{
	need nbdcopy nbdinfo
	pair
	roles mirror
	rm near.store
	create near
	launch far
	launch near
	wait_for 20 why_says near 'both sites are mirrors: promote one of them'
	wait_for 20 why_says far 'both sites are mirrors: promote one of them'
	nobody_is_fenced
	stop near
	stop far
}

# Who is what stands in the stores of a pair, and not in the files.
test_both_files_say_the_same_of_a_pair()
{
	written_pair
	for role in primary mirror; do
		stop near
		stop far
		roles $role
		both_in_sync
		nobody_is_fenced
		is far mirror FOLLOWING || fail "far is no mirror"
	done
	pair_goes_on
}

# third ROLE: another site with the key of the pair, which dials its mirror.
third()
{
	site third "$1" "peer: { address = \"127.0.0.1:$port\"; $options };"
	create third
	launch third
	rule='far is paired with store [0-9a-f]{16}, third has [0-9a-f]{16}; to take .* one: wanmirror peer replace g at far'
	wait_for 20 why_says third "$rule"
	wait_for 20 log_says far "refused peer=third why=\"$rule"
	! log_says near 'peer=third|disconnected' || fail "near was disturbed"
	stop third
	rm third.store third.log
}

test_three_sites()
{
	written_pair
	third primary
	third mirror
	nobody_is_fenced
	[ "$(grep -c 'following from-lsn' far.log)" -eq 1 ] || fail "far was disturbed"
	pair_goes_on
}

one_primary()
{
	if is near primary IN_SYNC; then
		primary=near mirror=far
	else
		primary=far mirror=near
	fi
	is $primary primary IN_SYNC && is $mirror mirror FOLLOWING
}

# asking SITE: in the background; what it said, and how it ended. Who is refused because the
# mirror is not back in sync has asked behind the end of the other's switchover: once more.
asking()
{
	while
		status=0
		"$build/wanmirror" -c "$T/$1.conf" switchover g >"$1.said" 2>&1 || status=$?
		[ $status -eq 3 ] && grep -q 'refused: the mirror is not in sync' "$1.said"
	do
		wait_for 30 in_state "$1" IN_SYNC
	done
	echo "status $status" >>"$1.said"
}

# One is done, and the other one refused, or both are done, one after the other.
test_a_switchover_asked_at_both_sites()
{
	written_pair
	for round in $(seq "${SWITCHOVERS:-4}"); do
		asking near &
		one=$!
		asking far &
		wait $one
		wait $!
		wait_for 30 one_primary
		for asked in near far; do
			grep -q -E 'is the primary|refused: .* under way, and is over' $asked.said ||
				fail "at $asked: $(cat $asked.said)"
			! grep -q refused $asked.said || grep -q 'status 3' $asked.said ||
				fail "at $asked: $(cat $asked.said)"
		done
		grep -q 'is the primary' near.said far.said || fail "it came to nothing"
		same_image "$(uri $primary)" data
		written $primary
	done
	nobody_is_fenced
	stop $primary
	stop $mirror
}

# Far was promoted and written. Near, which is opened in spite of it, is fenced by that
# promotion, and keeps what it has; far goes on.
test_a_start_alone_beside_a_primary()
{
	written_pair
	cp data old
	crash near
	at 0 'now primary' far promote --force g
	random_file data 4
	nbdcopy --flush data "$(uri far)"
	launch near
	wait_for 20 in_state near FENCED
	at 3 'refused: .*the other one is primary in a newer epoch; .*wanmirror promote --force' \
		near open g --alone
	at 3 'refused: .*the other one is primary in a newer epoch' near open g --alone --dry-run
	is far primary EXPOSED || fail "far does not go on"
	same_image "$(uri near)" old
	same_image "$(uri far)" data
	stop near
	stop far
}

# put_back SITE: the store as it was when it was copied, behind a kill.
put_back()
{
	crash "$1"
	cp --sparse=always "old.$1" "$1.store"
	launch "$1"
}

# A copy of a site that was stopped in order, and writes that it lacks.
copy()
{
	stop "$1"
	cp --sparse=always "$1.store" "old.$1"
	start "$1"
	wait_for 30 is near primary IN_SYNC
}

test_a_site_goes_back_in_time()
{
	written_pair
	copy far
	written near
	for back in far far; do # the second time from what it was given
		put_back $back
		wait_for 30 why_says near 'store is an older copy: it holds LSN [0-9]+, and has held'
		wait_for 30 why_says far 'start the newer one, or take this one: wanmirror peer replace g'
		at 0 'the first store of group g that connects is the peer' near peer replace g
		wait_for 30 is near primary IN_SYNC
		wait_for 30 is far mirror FOLLOWING
		wait_for 30 all_persisted near
		same_image "$(uri far)" data
		written near
	done
	copy near
	written near
	put_back near
	wait_for 30 is near primary IN_SYNC
	same_image "$(uri near)" data
	written near
	nobody_is_fenced
	pair_goes_on
}

# The copy is older than what counts as a short restart, and nobody is there who has what it
# lacks: it waits for its mirror, and takes it back when that one answers.
test_a_primary_goes_back_and_its_mirror_is_away()
{
	written_pair
	copy near
	written near
	stop far
	sleep 6 # the length of a wait, and not a guess
	put_back near
	wait_for 20 in_state near HOLDING
	! timeout 2 nbdinfo --size "$(uri near)" || fail "it serves what is old"
	why_says near 'the mirror does not answer.*wanmirror open --alone' ||
		fail "$(field near groups.0.why)"
	start far
	nobody_is_fenced
	pair_goes_on
}

run test_two_new_primaries
run test_two_new_mirrors
run test_both_files_say_the_same_of_a_pair
run test_three_sites
run test_a_switchover_asked_at_both_sites
run test_a_start_alone_beside_a_primary
run test_a_site_goes_back_in_time
run test_a_primary_goes_back_and_its_mirror_is_away
finish
