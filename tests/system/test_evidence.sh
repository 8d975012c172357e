#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What "has left" is worth: a queue of this host that drops and dies with it, a relay at
# the border, a card that gives no stamps.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=256MiB
sync=network

# ---- a real queue on this host --------------------------------------------------------

# Two namespaces, a cable, and in front of it a queue of the kernel: 8 Mbit/s, 100 ms
# deep, which drops the rest. The daemons believe that the line has a gigabit: a machine
# that is busy with other things fills this as well.
two_hosts()
{
	[ "$(id -u)" -eq 0 ] || skip "namespaces need root"
	need ip tc
	ns=wm-sys-$$
	ip netns add "$ns-a" 2>"$T/netns" || skip "no namespaces: $(cat "$T/netns")"
	later "ip netns del $ns-a"
	ip netns add "$ns-b"
	later "ip netns del $ns-b"
	ip link add "${ns#wm-}a" netns "$ns-a" type veth peer name "${ns#wm-}b" netns "$ns-b"
	ip -n "$ns-a" addr add 10.77.0.1/24 dev "${ns#wm-}a"
	ip -n "$ns-b" addr add 10.77.0.2/24 dev "${ns#wm-}b"
	ip -n "$ns-a" link set "${ns#wm-}a" up
	ip -n "$ns-b" link set "${ns#wm-}b" up
	ip netns exec "$ns-a" tc qdisc add dev "${ns#wm-}a" root tbf rate 8mbit \
		burst 16kb limit 100kb 2>"$T/tc" || skip "no tbf: $(cat "$T/tc")"
}

launch_at() # NAMESPACE NAME
{
	ip netns exec "$1" "$build/wanmirrord" -c "$T/$2.conf" >>"$T/$2.log" 2>&1 \
		</dev/null &
	echo $! >"$T/$2.pid"
	later "end $!"
}

under_way()
{
	[ -f "$T/log" ] && [ "$(wc -c <"$T/log")" -gt 4096 ]
}

word()
{
	tr ' ' '\n' <"$T/verdict" | sed -n "s/^$1=//p"
}

# missing_after_disaster EVIDENCE: writes that were completed and are not at the mirror
# when the primary dies together with what its host's queue holds.
missing_after_disaster()
{
	rm -f "$T"/*.store "$T"/key "$T"/*.conf "$T/log" "$T"/*.log
	peer_more="evidence = \"$1\";"
	pair
	sed -i 's/127\.0\.0\.1:\([0-9]*\)"; key/10.77.0.2:\1"; key/' near.conf
	sed -i 's/127\.0\.0\.1:\([0-9]*\)"; key/10.77.0.2:\1"; key/' far.conf
	ip -n "$ns-a" link set "${ns#wm-}a" up
	launch_at "$ns-b" far
	launch_at "$ns-a" near
	wait_for 30 in_state near IN_SYNC
	"$build/tests/disaster/stamper" "$(uri near)" data "$T/log" depth=64 \
		>"$T/writer" 2>&1 &
	writer=$!
	later "end $writer"
	wait_for 30 under_way
	ip -n "$ns-a" link set "${ns#wm-}a" down
	crash near
	wait "$writer" || true # it ends with its connection
	"$build/wanmirror" -c far.conf promote g --force >"$T/promote"
	"$build/tests/disaster/prefixer" "$(uri far)" data "$T/log" >"$T/verdict" 2>&1 ||
		true # missing writes are an answer
	cat "$T/verdict"
	[ "$(word prefix)" = yes ] || fail "the mirror's image is no prefix"
	missing=$(word missing)
	crash far
}

# The kernel says yes to every datagram; the driver only to those that it took.
test_driver_tells_the_truth_where_queued_lies()
{
	two_hosts
	lied=0
	for _ in 1 2 3 4 5; do
		[ $lied -eq 0 ] || break
		missing_after_disaster queued
		lied=$missing
	done
	[ "$lied" -gt 0 ] || fail "queued lost nothing: this test shows nothing"
	for _ in 1 2; do
		missing_after_disaster driver
		[ "$missing" -eq 0 ] || fail "driver: $missing completed writes are missing"
	done
}

# ---- the relay at the border ----------------------------------------------------------

launch_edge()
{
	"$build/wanmirror-edge" -l "127.0.0.1:$edge_port" -m "127.0.0.1:$port" \
		-k "$T/edge.key" >>"$T/edge.log" 2>&1 </dev/null &
	echo $! >"$T/edge.pid"
	later "end $!"
}

evidence_is()
{
	[ "$(field near groups.0.link.evidence)" = "$1" ]
}

# Writes complete on the relay's word; when it dies they wait, and go on with the next.
test_writes_complete_on_the_word_of_the_border()
{
	need nbdcopy nbdinfo
	rate=100Mbit # three processes share this machine with whatever else it does
	edge_port=$("$tools/ports" 1)
	! "$build/wanmirror-edge" -l "127.0.0.1:$edge_port" -m "127.0.0.1:1" \
		-k "$T/edge.key" 2>edge.err || fail "an edge without a key"
	grep -q "edge.key: cannot be read" edge.err || fail "which key: $(cat edge.err)"
	"$build/wanmirror" keygen "$T/edge.key"
	pair
	sed -i "s,key = \"$T/key\";,& evidence = \"edge\"; edge: { address = \"127.0.0.1:$edge_port\"; key = \"$T/edge.key\"; };," \
		near.conf
	launch_edge
	both_in_sync
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	evidence_is edge || fail "evidence is $(field near groups.0.link.evidence)"
	[ "$(field near groups.0.link.echoes)" -gt 0 ] || fail "no echo is counted"
	[ "$(field near groups.0.link.forged_echoes)" -eq 0 ] || fail "forged echoes"
	crash edge
	launch_edge
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	# What it did not pass on while it knew nobody looks like a line that loses hundreds
	# in a row: the evidence may be the mirror's for a while.
	wait_for 30 persisted_all
	kill "$(cat edge.pid)"
	wait_for 30 gone "$(cat edge.pid)"
	grep -q 'echoed=[1-9]' edge.log || fail "nothing was echoed"
	grep -q 'forged=0' edge.log || fail "something was forged"
	stop near
	promote far
	same_image "$(uri far)" data
	stop far
}

# A card without stamps of its own: said, and the mirror's word counts instead.
test_no_card_no_evidence_of_it()
{
	need nbdcopy nbdinfo
	peer_more='evidence = "nic";'
	pair_in_sync
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 30 evidence_is mirror
	stop near
	stop far
}

run test_driver_tells_the_truth_where_queued_lies
run test_writes_complete_on_the_word_of_the_border
run test_no_card_no_evidence_of_it
finish
