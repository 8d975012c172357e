# SPDX-License-Identifier: BSD-3-Clause
# A site with a building before its border, for the disasters: two lines of tests/wan/line.sh
# one behind the other, and a border between them.
#
#	primary -- house -- border -- wan -- mirror
#
# house is the building: a queue at the line's rate, and no delay. It dies with the primary,
# with all that is in it. At the border sits the relay of evidence = "edge". The functions
# of line.sh talk to wan; xp_in_house COMMAND ... talks to house.
xp_primary_address=10.81.0.1
xp_mirror_address=10.83.0.2
xp_border_address=10.82.0.2
xp_house_base=
xp_edge_relay=

# The line that was made last, by the name $1: house, wan.
xp_line_save()
{
	eval "xp_$1_base=\$line_base xp_$1_dir=\$line_dir xp_$1_pid=\$line_pid
		xp_$1_a=\$line_a xp_$1_b=\$line_b"
}

xp_line_use()
{
	eval "line_base=\$xp_$1_base line_dir=\$xp_$1_dir line_pid=\$xp_$1_pid
		line_a=\$xp_$1_a line_b=\$xp_$1_b"
}

xp_in_house()
{
	xp_line_use house
	"$@"
	result=$?
	xp_line_use wan
	return $result
}

# A namespace's device of a line gets these addresses instead of line.sh's own.
xp_address() # NAMESPACE OWN PEER
{
	ip -n "$1" addr flush dev wan0 && ip -n "$1" addr add "$2" peer "$3" dev wan0
}

xp_route() # NAMESPACE NETWORK ...
{
	namespace=$1
	shift
	ip -n "$namespace" route add "$@"
}

xp_site_up()
{
	line_name=house
	line_up "seed=$((xp_run * 2003 + xp_try))" || return 1
	xp_line_save house
	line_set ab site.rate="${xp_rate}Mbit" site.queue=50ms || return 1
	line_name=wan
	line_up "seed=$((xp_run * 1009 + xp_try))" || return 1
	xp_line_save wan
	ip link add border0 netns "$xp_house_base-b" type veth \
		peer name border1 netns "$xp_wan_base-a" || return 1
	ip -n "$xp_house_base-b" addr add 10.82.0.1/30 dev border0 &&
		ip -n "$xp_house_base-b" link set border0 up &&
		ip -n "$xp_wan_base-a" addr add $xp_border_address/30 dev border1 &&
		ip -n "$xp_wan_base-a" link set border1 up &&
		xp_address "$xp_house_base-a" $xp_primary_address 10.81.0.2 &&
		xp_address "$xp_house_base-b" 10.81.0.2 $xp_primary_address &&
		xp_address "$xp_wan_base-a" 10.83.0.1 $xp_mirror_address &&
		xp_address "$xp_wan_base-b" $xp_mirror_address 10.83.0.1 || return 1
	for border in "$xp_house_b" "$xp_wan_a"; do
		$border sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' || return 1
	done
	xp_route "$xp_house_base-a" default dev wan0 src $xp_primary_address &&
		xp_route "$xp_house_base-b" 10.83.0.0/24 via $xp_border_address &&
		xp_route "$xp_wan_base-a" 10.81.0.0/24 via 10.82.0.1 &&
		xp_route "$xp_wan_base-b" default dev wan0 src $xp_mirror_address || return 1
	line_a=$xp_house_a
	xp_wan_a=$xp_house_a # where the primary runs
	line_b_address=$xp_mirror_address
}

xp_border_up()
{
	[ $xp_evidence = edge ] || return 0
	"$B/wanmirror" keygen "$pair_dir/edge.key" >/dev/null || return 1
	nsenter --net="/run/netns/$xp_wan_base-a" "$B/wanmirror-edge" \
		-l $xp_border_address:7701 -m $xp_mirror_address:$pair_tun_port \
		-k "$pair_dir/edge.key" >"$pair_dir/edge.log" 2>&1 &
	xp_edge_relay=$!
	pair_until 5 grep -qs relaying "$pair_dir/edge.log" || {
		say "no relay at the border: $(cat "$pair_dir/edge.log")"
		return 1
	}
}

xp_site_down()
{
	[ -n "$xp_house_base" ] || return 0
	[ -z "$xp_edge_relay" ] || kill "$xp_edge_relay" 2>/dev/null
	[ -z "$xp_edge_relay" ] || wait "$xp_edge_relay" 2>/dev/null
	xp_edge_relay=
	xp_line_use house
	line_down
	xp_line_use wan
	line_down
	xp_house_base=
	xp_wan_base=
	line_name=
	line_b_address=10.77.0.2
}
