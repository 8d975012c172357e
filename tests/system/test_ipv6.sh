#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Two daemons over IPv6, whose headers are longer: datagrams, TCP, and a relay at the
# border; and a mirror that listens for both kinds and is dialed by the older one.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=256MiB
sync=network
rate=200Mbit

# pair_at NEAR FAR: dials NEAR, listens at FAR.
pair_at()
{
	[ -f /proc/net/if_inet6 ] || skip "no IPv6"
	grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on loopback"
	pair
	sed -i "s/\"127\.0\.0\.1:\([0-9]*\)\"; key/\"$1:\1\"; key/" near.conf
	sed -i "s/\"127\.0\.0\.1:\([0-9]*\)\"; key/\"$2:\1\"; key/" far.conf
}

follows()
{
	need nbdcopy nbdinfo
	start far
	start near
	wait_for 30 in_state near IN_SYNC
	random_file data 16
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri far)" data
}

evidence_is()
{
	[ "$(field near groups.0.link.evidence)" = "$1" ]
}

test_datagrams_over_ipv6()
{
	pair_at '[::1]' '[::1]'
	follows
	evidence_is driver || fail "evidence is $(field near groups.0.link.evidence)"
	stop near
	stop far
}

test_tcp_over_ipv6()
{
	peer_more='transport = "tcp";'
	pair_at '[::1]' '[::1]'
	follows
	stop near
	stop far
}

test_a_mirror_for_both_is_dialed_over_ipv4()
{
	pair_at '127.0.0.1' '[::]'
	follows
	evidence_is driver || fail "evidence is $(field near groups.0.link.evidence)"
	stop near
	stop far
}

test_a_border_over_ipv6()
{
	edge_port=$("$tools/ports" 1)
	"$build/wanmirror" keygen "$T/edge.key"
	pair_at '[::1]' '[::1]'
	sed -i "s,key = \"$T/key\";,& evidence = \"edge\"; edge: { address = \"[::1]:$edge_port\"; key = \"$T/edge.key\"; };," \
		near.conf
	"$build/wanmirror-edge" -l "[::1]:$edge_port" -m "[::1]:$port" -k "$T/edge.key" \
		>>"$T/edge.log" 2>&1 </dev/null &
	later "end $!"
	follows
	evidence_is edge || fail "evidence is $(field near groups.0.link.evidence)"
	stop near
	stop far
}

run test_datagrams_over_ipv6
run test_tcp_over_ipv6
run test_a_mirror_for_both_is_dialed_over_ipv4
run test_a_border_over_ipv6
finish
