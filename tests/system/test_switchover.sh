#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Primary and mirror change roles on command, at either site, with clients that write, and
# with a daemon that is killed meanwhile. SWITCHOVERS=200 for more of them.
. "$(dirname "$0")/lib.sh"

switchover() # SITE: prints what the command prints
{
	"$build/wanmirror" -c "$T/$1.conf" switchover g
}

is_mirror()
{
	[ "$(field "$1" groups.0.role 2>/dev/null)" = mirror ] && in_state "$1" FOLLOWING
}

# Whichever it is: one site is the primary, in sync, and the other its mirror.
settled()
{
	if is_primary near; then
		primary=near mirror=far
	else
		primary=far mirror=near
	fi
	is_primary $primary && is_mirror $mirror
}

# changed OLD NEW: NEW is the primary, in sync, and OLD its mirror.
changed()
{
	wait_for 20 is_primary "$2"
	wait_for 20 is_mirror "$1"
}

generation()
{
	field "$1" groups.0.volumes.0.generation
}

all_persisted() # SITE
{
	field "$1" groups.0.lsn >"$T/lsn" 2>/dev/null || return 1
	[ "$("$tools/jget" admitted <"$T/lsn")" = "$("$tools/jget" persisted <"$T/lsn")" ]
}

attached() # SITE NUMBER
{
	[ "$(field "$1" nbd.connections 2>/dev/null)" = "$2" ]
}

# Who is attached at near is named, before anything is changed; a script gets one object.
clients_are_named()
{
	mkfifo held
	qemu-io -r -f raw "$(uri near)" <held >/dev/null &
	holding=$!
	exec 7>held
	wait_for 10 attached near 1
	"$build/wanmirror" -c "$T/near.conf" switchover g --dry-run >said
	grep -q "1 client is attached here:" said
	grep -q "near would hand over" said
	"$build/wanmirror" -c "$T/near.conf" --json switchover g --dry-run >said 2>steps
	[ "$("$tools/jget" exit <said)" = 0 ] && [ "$("$tools/jget" clients.0.client <said)" = unix ] &&
		[ "$("$tools/jget" clients.0.export <said)" = data ] || fail "no client in $(cat said)"
	grep -q "is attached here" steps
	exec 7>&-
	wait "$holding" || true
}

# There and back, with data, asked at either site.
test_there_and_back()
{
	need nbdcopy qemu-io
	sync=network
	times='heartbeat = "200ms"; away = "2s"; control_timeout = "4s";'
	pair_in_sync
	random_file one 32
	random_file two 32
	nbdcopy --flush one "$(uri near)"
	before=$(generation near)
	switchover near | tee said
	changed near far
	grep -q "new writes wait; " said
	grep -q "handed over at LSN .*; waiting for far" said
	grep -q "the other site is the primary" said
	pause=$(sed -n 's/.*pause: \([0-9]*\) ms.*/\1/p' said)
	note "pause, with the answer of the other site: $pause ms"
	[ "$pause" -le 1000 ] || fail "it took $pause ms"
	same_image "$(uri far)" one
	[ "$(generation far)" = "$before" ] || fail "another generation at far"
	! qemu-io -f raw -c "write 0 4096" "$(uri near)" 2>/dev/null ||
		fail "the old primary was written"
	nbdcopy --flush two "$(uri far)"
	wait_for 30 all_persisted far
	same_image "$(uri near)" two
	switchover near | tee said # the mirror is asked
	changed far near
	grep -q "this site is the primary" said
	[ "$(generation near)" = "$before" ] || fail "another generation at near"
	same_image "$(uri near)" two
	grep -q "asked far to hand over" said || fail "the steps are not shown"
	clients_are_named
	is_primary near || fail "a dry run has changed something"
	stop far
	wait_for 10 in_state near EXPOSED
	status=0
	switchover near 2>said || status=$?
	[ $status -eq 3 ] || fail "without a mirror it ended with $status"
	grep -q "the mirror is not in sync" said
	stop near
}

# Nobody writes, and the sites are 100 ms apart: a second and a round trip, at most.
test_the_pause_over_a_long_path()
{
	sync=network
	times='heartbeat = "200ms"; away = "2s"; control_timeout = "4s";'
	pair_over_line 100ms
	both_in_sync
	: >ran
	for asked in near far far near near far; do
		switchover $asked >said || fail "$(cat said)"
		sed -n 's/.*pause: \([0-9]*\) ms.*/\1/p' said >>ran
		wait_for 20 settled
	done
	note "$(pauses)"
	[ "$(sort -n ran | tail -n 1)" -le 1100 ] || fail "it took longer"
	stop near
	stop far
}

# writer: to whichever site takes it, block after block, each flushed, and each attempt with a
# pattern of its own, so that one which failed and appears later is seen. What was acknowledged
# stands in the file acked, as "BLOCK PATTERN", and "BLOCK ?" where nobody said what became of it.
writer()
{
	n=0
	while [ ! -e "$T/enough" ]; do
		n=$((n + 1))
		block=$((n % 500))
		pattern=$((n % 120 + 1))
		echo "$block ?" >>acked
		for to in near far; do
			pattern=$((pattern + 120))
			timeout 5 qemu-io -f raw -c "write -P $((pattern % 240)) $((block * 4096)) 4096" \
				-c flush "$(uri $to)" >wrote 2>&1 || continue
			grep -q "failed\|error" wrote && continue
			echo "$block $((pattern % 240))" >>acked
			break
		done
	done
}

# The pauses of switchovers that nobody disturbed, in ms: "ran" has one a line.
pauses()
{
	sort -n ran | awk '{ at[NR] = $1 } END { print NR " undisturbed, pause " \
		at[int((NR + 1) / 2)] " ms (median), " at[NR] " ms (max)" }'
}

# verify SITE: each block has what was acknowledged for it last.
verify()
{
	awk '{ last[$1] = $2 } END { for (b in last) if (last[b] != "?") print b, last[b] }' acked >expected
	while read -r block pattern; do
		echo "read -P $pattern $((block * 4096)) 4096"
	done <expected >reads
	qemu-io -r -f raw "$(uri "$1")" <reads >read 2>&1 || true
	! grep "Pattern verification failed" read || fail "something acknowledged is lost"
}

test_switchovers_under_load_with_kills()
{
	need qemu-io
	sync=network
	times='heartbeat = "200ms"; away = "1s"; control_timeout = "2s";'
	pair_in_sync
	: >acked
	: >ran
	writer &
	writing=$!
	later "end $writing"
	"$tools/writable" "$(uri near)" "$(uri far)" >watched &
	watching=$!
	later "end $watching"
	done=0 kills=0
	for i in $(seq "${SWITCHOVERS:-9}"); do
		asked=near
		[ $((i % 2)) -eq 0 ] || asked=far
		switchover $asked >said 2>&1 &
		asking=$!
		if [ $((i % 3)) -eq 0 ]; then # some instant of it
			victim=near
			[ $((i / 3 % 2)) -eq 0 ] || victim=far
			sleep "0.0$(printf %02d $((i / 3 * 7 % 25)))"
			crash $victim
			kills=$((kills + 1))
			wait $asking || true
			start $victim
		else
			wait $asking || { cat said; echo "switchover $i came to nothing"; }
			sed -n 's/.*pause: \([0-9]*\) ms.*/\1/p' said >>ran
		fi
		wait_for 30 settled
		grep -q "primary" said && done=$((done + 1))
	done
	touch "$T/enough"
	wait_for 20 gone $writing
	count=$(grep -c -v "?" acked)
	note "$count writes acknowledged; $done switchovers of ${SWITCHOVERS:-9}, $kills kills"
	note "$(pauses)"
	! gone $watching || fail "$(cat watched)"
	end $watching
	note "never two that take writes: $(cat watched)"
	[ "$count" -gt "${SWITCHOVERS:-9}" ] || fail "hardly anything was written"
	verify $primary
	stop $mirror
	stop $primary
}

run test_there_and_back
run test_the_pause_over_a_long_path
run test_switchovers_under_load_with_kills
finish
