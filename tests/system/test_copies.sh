#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Stores that are copied and started beside their original, or put back from a copy, and a primary
# that returns after its mirror was promoted: never do two sites take writes at once, no epoch
# begins twice, what was acknowledged stays, and no copy fences anybody.
#
# COPIES=20 goes through it as often; the default is once.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=192MiB
sync=network

# It dials the mirror that the original dials.
copy()
{
	cp --sparse=always near.store "$1.store"
	sed "s,$T/near\.,$T/$1.,; s,node = \"near\",node = \"$1\"," near.conf >"$1.conf"
}

may_promote()
{
	"$build/wanmirror" -c "$T/$1.conf" promote g --dry-run >/dev/null 2>&1
}

# written SITE: something new, which the mirror has, too.
written()
{
	random_file data 2
	nbdcopy --flush data "$(uri "$1")"
}

# SITE has what was acknowledged last, whoever acknowledged it.
has_all()
{
	same_image "$(uri "$1")" data
}

# SITE is a copy that its mirror refuses, and when it has waited long enough it still is: it
# serves no client, not even a read.
serves_nothing()
{
	wait_for 20 why_says "$1" 'a copy of this store is connected'
	wait_for 20 in_state "$1" HOLDING
	wait_for 20 log_says "$1" 'waiting .*state=HOLDING'
	! timeout 1 nbdinfo --size "$(uri "$1")" || fail "$1 is served"
}

watch()
{
	"$tools/writable" "$(uri near)" "$(uri far)" "$(uri twin)" >watched &
	watching=$!
	later "end $watching"
}

never_two()
{
	! gone $watching || fail "$(cat watched)"
	end $watching
	note "never two that take writes: $(cat watched)"
}

# Each reign of a primary is an epoch of its own, which begins behind the one before.
no_epoch_twice()
{
	cat near.log twin.log far.log |
		sed -n 's/.*serving role=primary lsn=\([0-9]*\) epoch=\([0-9]*\).*/\2 \1/p
			s/.*promoted lsn=\([0-9]*\) .*epoch=\([0-9]*\).*/\2 \1/p' | sort -n >reigns
	awk '$1 == epoch || $2 < lsn { exit 1 } { epoch = $1; lsn = $2 }' reigns ||
		fail "an epoch or an LSN twice: $(tr '\n' ';' <reigns)"
}

nobody_is_fenced()
{
	! grep -E 'FENCED|DIVERGED| fenced' near.log far.log twin.log ||
		fail "fenced by a copy"
}

# The copy was made from a store that served a moment ago, so that nothing but its mirror's answer
# keeps it from serving.
a_copy_beside_its_original()
{
	stop near
	copy twin
	start near
	wait_for 30 is_primary near
	launch twin
	serves_nothing twin
	written near
	wait_for 30 persisted_all
	serves_nothing twin
}

# The original is stopped: the copy may go on, with all that the original wrote. Now that one is
# the copy.
the_copy_takes_over()
{
	stop near
	wait_for 30 is_primary twin
	has_all twin
	launch near
	serves_nothing near
	written twin
	wait_for 30 all_persisted twin
	crash twin
	wait_for 30 is_primary near
	has_all near
}

all_persisted()
{
	field "$1" groups.0.lsn >"$T/lsn" 2>/dev/null || return 1
	[ "$("$tools/jget" admitted <"$T/lsn")" = "$("$tools/jget" persisted <"$T/lsn")" ]
}

# Put back: the copy, which lacks all of that, in the place of the original.
put_back()
{
	stop near
	cp --sparse=always old.store near.store
	start near
	wait_for 30 is_primary near
	has_all near
}

# The mirror is promoted, and the old primary returns: it is fenced, and so is a copy of it, by the
# site that has superseded both.
a_primary_that_returns()
{
	crash near
	wait_for 30 may_promote far
	promote far
	wait_for 30 in_state far EXPOSED
	has_all far
	written far
	no_epoch_twice # a store that is fenced serves its last one
	launch near
	wait_for 30 in_state near FENCED
	has_all far
	stop near
}

copies_and_returns()
{
	pair
	sed -i 's/sync = "network";/& open_timeout = "1s";/' near.conf far.conf
	both_in_sync
	watch
	written near
	wait_for 30 persisted_all
	stop near
	copy old
	start near
	wait_for 30 is_primary near
	a_copy_beside_its_original
	the_copy_takes_over
	put_back
	nobody_is_fenced
	a_primary_that_returns
	never_two
	stop far
}

test_copies_and_returns()
{
	need nbdcopy nbdinfo
	for round in $(seq "${COPIES:-1}"); do
		copies_and_returns
		rm -f ./*.store ./*.log ./*.conf key
	done
}

run test_copies_and_returns
finish
