#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Clients whose host has vanished, without a word: their places among nbd.connections are
# free again after the time that docs/nbd.md has, 60 s.
#
# VANISHED=1 waits for it; else only that the kernel was asked to find out.
. "$(dirname "$0")/lib.sh"

silence=60 # NBDS_SILENCE_MS

# in_background COMMAND...: standard input says nothing, and nobody reads standard output.
in_background()
{
	"$@" <&8 >&7 2>client.log &
	client=$!
	later "end $client"
}

# served ADDRESS: a daemon at TCP there, for two clients at once.
served()
{
	address=$1
	port=$("$tools/ports" 1)
	nbd_listen="\"tcp:$address:$port\""
	nbd_more='connections = 2; allow_plaintext = true;'
	mkfifo hold full
	exec 8<>hold 7<>full
	one_site
	tcp="nbd://$address:$port/data"
}

clients()
{
	[ "$(grep -c nbd-attached near.log)" -ge "$1" ]
}

# The daemon's end of each connection has a timer, of half of the time at most.
watched()
{
	ss -Htno state established "( sport = :$port )" >timers
	cat timers
	grep -q 'timer:(keepalive,' timers || return 1
	awk -F'timer:\\(keepalive,' '{ sub(/sec.*/, "", $2); sub(/ms.*|min.*/, "", $2)
		if ($2 + 0 > '$((silence / 2))') exit 1 }' timers
}

test_the_kernel_watches_over_clients()
{
	need qemu-io nbdinfo ss
	served 127.0.0.1
	in_background qemu-io -f raw "$tcp"
	wait_for 20 clients 1
	wait_for 5 watched
	! grep -q 'min' timers || fail "minutes"
	stop near
}

# A network namespace whose only link ends here.
far_away()
{
	[ "$(id -u)" -eq 0 ] || skip "not root"
	need ip
	ns=wm-vanished-$$
	ip netns add $ns 2>/dev/null || skip "no right to make network namespaces"
	later "ip netns del $ns"
	ip link add wmv$$ type veth peer name eth0 netns $ns || skip "no veth"
	ip addr add 10.78.19.1/24 dev wmv$$
	ip link set wmv$$ up
	ip -n $ns addr add 10.78.19.2/24 dev eth0
	ip -n $ns link set eth0 up
}

vanished()
{
	[ "$(grep -c nbd-detached near.log)" -ge $((gone_before + $1)) ]
}

there_is_room()
{
	nbdinfo --size "$(uri near)" >/dev/null 2>&1
}

# One that does nothing, and one that has stopped reading in the middle of an answer.
test_vanished_clients_give_their_places_back()
{
	need qemu-io nbdinfo nbdcopy
	far_away
	served 10.78.19.1
	random_file data 64
	nbdcopy data "$(uri near)"
	before=$(grep -c nbd-attached near.log)
	gone_before=$(grep -c nbd-detached near.log)
	in_background ip netns exec $ns qemu-io -f raw "$tcp"
	wait_for 20 clients $((before + 1))
	in_background ip netns exec $ns nbdcopy --connections=1 "$tcp" -
	wait_for 20 clients $((before + 2))
	! there_is_room || fail "a third client"
	ip -n $ns link set eth0 down
	began=$(date +%s)
	! there_is_room || fail "they were not seen to be there"
	wait_for $((silence + 5)) vanished 2
	echo "after $(($(date +%s) - began)) s"
	there_is_room || fail "their places are not free"
	stop near
}

run test_the_kernel_watches_over_clients
if [ -n "${VANISHED:-}" ]; then # a minute
	run test_vanished_clients_give_their_places_back
fi
finish
