#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A host with several addresses listens on any of them and is dialed at one that it does
# not send from by itself: its answers leave from there, or no firewall before the dialing
# site passes them. The same for the relay at the border.
. "$(dirname "$0")/lib.sh"

volumes='{ name = "data"; size = "64MiB"; }'
store_size=256MiB
sync=network
rate=200Mbit

# listen_at NEAR FAR: near dials NEAR, far listens at FAR, both a whole address.
listen_at()
{
	pair
	sed -i "s/address = \"127\.0\.0\.1:[0-9]*\"; key/address = \"$1\"; key/" near.conf
	sed -i "s/listen = \"127\.0\.0\.1:\([0-9]*\)\"; key/listen = \"$2:\1\"; key/" far.conf
}

# firewall PORT ADDRESS: what is sent to PORT goes on to ADDRESS, and back only what comes
# from there: its socket is connected.
firewall()
{
	"$build/tests/wan/wanem" listen="127.0.0.1:$1" to="$2" control="$T/$1.wanem" \
		>>"$T/wanem.log" 2>&1 </dev/null &
	later "end $!"
	wait_for 10 test -S "$T/$1.wanem"
}

evidence_is()
{
	[ "$(field near groups.0.link.evidence)" = "$1" ]
}

follows()
{
	wait_for 30 in_state near IN_SYNC
	wait_for 30 evidence_is "$1"
	random_file data 8
	nbdcopy --flush data "$(uri near)"
	wait_for 60 persisted_all
	same_image "$(uri far)" data
	stop near
	stop far
}

passes_a_firewall()
{
	need nbdcopy nbdinfo
	relay_port=$("$tools/ports" 1)
	listen_at "127.0.0.1:$relay_port" "$1"
	firewall "$relay_port" "127.0.0.2:$port"
	start far
	start near
	follows driver
}

test_answers_of_a_mirror_on_any_address_of_ipv4()
{
	passes_a_firewall 0.0.0.0
}

test_answers_of_a_mirror_on_any_address()
{
	passes_a_firewall '*'
}

# The relay, too, takes answers of the mirror only from where it sends to.
test_answers_of_a_relay_on_any_address()
{
	need nbdcopy nbdinfo
	edge_port=$("$tools/ports" 1)
	relay_port=$("$tools/ports" 1)
	"$build/wanmirror" keygen "$T/edge.key"
	listen_at 127.0.0.2:PORT '*'
	sed -i "s,:PORT\"; key = \"$T/key\";,:$port\"; key = \"$T/key\"; evidence = \"edge\"; edge: { address = \"127.0.0.1:$relay_port\"; key = \"$T/edge.key\"; };," \
		near.conf
	firewall "$relay_port" "127.0.0.2:$edge_port"
	"$build/wanmirror-edge" -l "*:$edge_port" -m "127.0.0.2:$port" -k "$T/edge.key" \
		>>"$T/edge.log" 2>&1 </dev/null &
	later "end $!"
	start far
	start near
	follows edge
}

# ---- two hosts with two addresses each ---------------------------------------------------

# two_hosts FAMILY NET: a has NET1 and NET5, b has NET2 and NET3.
two_hosts()
{
	[ "$(id -u)" -eq 0 ] || skip "namespaces need root"
	need ip
	ns=wm-adr-$$
	ip netns add "$ns-a" 2>"$T/netns" || skip "no namespaces: $(cat "$T/netns")"
	later "ip netns del $ns-a"
	ip netns add "$ns-b"
	later "ip netns del $ns-b"
	ip link add wan netns "$ns-a" type veth peer name wan netns "$ns-b"
	host "$ns-a" "$1" "${2}1" "${2}5"
	host "$ns-b" "$1" "${2}2" "${2}3"
}

# host NAMESPACE FAMILY ADDRESS ADDRESS
host()
{
	more=
	[ "$2" = -4 ] || more=nodad
	ip -n "$1" "$2" addr add "$3/$netmask" dev wan $more ||
		skip "no addresses of family $2"
	ip -n "$1" "$2" addr add "$4/$netmask" dev wan $more
	ip -n "$1" link set lo up
	ip -n "$1" link set wan up
}

# choose NAMESPACE FAMILY TO ADDRESS ADDRESS: of the two, which one it sends from (chosen),
# and which one not (spare).
choose()
{
	chosen=$4
	spare=$5
	ip -n "$1" "$2" route get "$3" >"$T/route"
	grep -q "src $chosen " "$T/route" && return
	chosen=$5
	spare=$4
	grep -q "src $chosen " "$T/route"
}

# keep_out NAMESPACE FAMILY ADDRESS: what comes from there is dropped before all else.
keep_out()
{
	ip -n "$1" "$2" rule add pref 100 lookup local
	ip -n "$1" "$2" rule del pref 0
	ip -n "$1" "$2" rule add pref 50 from "$3" blackhole
}

start_at() # NAMESPACE NAME
{
	ip netns exec "$1" "$build/wanmirrord" -c "$T/$2.conf" >>"$T/$2.log" 2>&1 \
		</dev/null &
	echo $! >"$T/$2.pid"
	later "end $!"
	wait_for 30 came_up "$2" data
}

# between_hosts FAMILY NET OPEN CLOSE: the brackets that an address is written in.
between_hosts()
{
	need nbdcopy nbdinfo
	two_hosts "$1" "$2"
	choose "$ns-b" "$1" "${2}1" "${2}2" "${2}3"
	keep_out "$ns-a" "$1" "$chosen"
	dialed=$spare
	choose "$ns-a" "$1" "$dialed" "${2}1" "${2}5"
	keep_out "$ns-b" "$1" "$spare" # the end that dials does as its routes say
	listen_at "$3$dialed$4:PORT" '*'
	sed -i "s/:PORT\"/:$port\"/" near.conf
	start_at "$ns-b" far
	start_at "$ns-a" near
	follows driver
}

test_two_hosts_with_two_addresses_each()
{
	netmask=24
	between_hosts -4 10.77.0.
}

test_two_hosts_with_two_addresses_each_of_ipv6()
{
	[ -f /proc/net/if_inet6 ] || skip "no IPv6"
	netmask=64
	between_hosts -6 fd00:77:: '[' ']'
}

run test_answers_of_a_mirror_on_any_address_of_ipv4
run test_answers_of_a_mirror_on_any_address
run test_answers_of_a_relay_on_any_address
run test_two_hosts_with_two_addresses_each
run test_two_hosts_with_two_addresses_each_of_ipv6
finish
