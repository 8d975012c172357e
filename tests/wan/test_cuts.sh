#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a disaster leaves of the packets that were under way: a cut delivers what the line has
# accepted, a destroying one nothing; a site that dies takes its building's queue with it,
# but not what has reached the line. The disaster tests take all that as given.
#
#   test_cuts.sh BUILD FORM
B=$1
form=$2
. tests/wan/testlib.sh

start rtt=100ms
send_behind 40 60000
until_there delivered 500
ask cut >"$dir/stats"
entered=$(field accepted ab)
holds "packets were in the line at the cut" "$(field in_line ab) > 20"
ask wait >"$dir/stats"
holds "what had entered arrived, and nothing after it" \
	"$(field accepted ab) == $entered && $(field delivered ab) == $entered &&
	 $(field in_line ab) == 0"
until_there shut_out 1
ask restore >"$dir/stats"
ask reset >"$dir/stats"
until_there delivered 100
ask capture-lost "$dir/lost" >"$dir/stats"
ask cut --destroy >"$dir/stats"
holds "destroyed, and nothing of it delivered" \
	"$(field destroyed ab) > 50 && $(field in_line ab) == 0"
delivered=$(field delivered ab)
ask wait >"$dir/stats"
holds "nor later" "$(field delivered ab) == $delivered"
ask capture-lost off >"$dir/stats"
holds "what was lost is in the capture" \
	"$(wc -c <"$dir/lost") >= 24 + $(field destroyed ab) * 1408"
kill $sender
wait $sender 2>/dev/null

# The building lets 20 Mbit/s of 40 to the line; its queue holds 300 ms of that.
ask restore >"$dir/stats"
ask set ab.site.rate=20Mbit ab.site.queue=300ms >"$dir/stats"
ask reset >"$dir/stats"
send_behind 40 60000
until_there in_site 300
ask cut --site a >"$dir/stats"
entered=$(field accepted ab)
died=$(field site_destroyed ab)
holds "the building's queue died" "$died >= 250 && $(field in_site ab) == 0"
holds "the line went on" "$(field in_line ab) > 20"
ask wait >"$dir/stats"
holds "what had reached the line arrived, no more" \
	"$(field delivered ab) == $entered && $(field site_destroyed ab) == $died"
until_there shut_out 1
ask reset >"$dir/stats"
for _ in $(seq 500); do
	ask stats >"$dir/stats"
	[ "$(field destroyed ba)" -lt 1 ] || break
	sleep 0.01
done
holds "nothing arrives at a dead site" \
	"$(field destroyed ba) > 0 && $(field delivered ba) == 0"
ask reset >"$dir/stats"
ask restore >"$dir/stats"
until_there site_overflown 10
holds "a full building" "$(field in_site ab) > 450"
until_there delivered 100

# The process and its building in one moment.
ask cut --site a --kill $sender 50 >"$dir/stats"
wait $sender 2>/dev/null
holds "killed by signal 9" "$? == 137"
holds "with what was asked for in the line" "$(field in_line_at_kill ab) >= 50"
holds "its building's queue died with it" "$(field site_destroyed ab) > 400"
ask wait >"$dir/stats"
holds "what had reached the line arrived" \
	"$(field delivered ab) == $(field accepted ab) && $(field in_line ab) == 0"
holds "an unknown cut is refused" \
	"$(ask cut --site c | grep -c '"ok": false') == 1"
finish cuts
