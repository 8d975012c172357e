# SPDX-License-Identifier: BSD-3-Clause
# Disasters: 64 messages of 4 kB in flight; the line turns lossy, and half a second later
# the primary dies with what its building still holds. What the line had taken arrives or
# is drawn lost. The mirror is promoted, and an independent reader looks which completed
# messages its image lacks.
xp_disaster_columns="configuration,delay_ms,loss_percent,burst,run,sent,lost,\
prefix,in_line,in_building,promote_ms"
xp_lossy_seconds=0.5
xp_always_lossy=0

# A disaster while nothing travels shows nothing. A window of TCP may be small.
xp_least_in_line()
{
	[ "$xp_transport" = tcp ] && echo 1 || echo 50
}

xp_log_is_longer() # BYTES
{
	[ -f "$pair_dir/log" ] && [ "$(wc -c <"$pair_dir/log")" -gt "$1" ]
}

xp_milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

# The pair, and 64 messages in flight; then all is well for a while.
xp_disaster_begin() # CONFIGURATION DELAY-MS
{
	xp_volume=16MiB
	xp_store=2GiB
	xp_building=yes
	full_rate=$xp_rate
	xp_rate=$xp_disaster_rate
	xp_up "$1" "$2" ab.loss="$xp_always_lossy%"
	result=$?
	xp_building=no
	xp_rate=$full_rate
	[ $result -eq 0 ] || return 1
	"$B/tests/disaster/stamper" "$(pair_uri primary v)" v "$pair_dir/log" depth=64 \
		>"$pair_dir/writer" 2>&1 &
	xp_writer=$!
	pair_until 20 xp_log_is_longer 4096 || {
		say "nothing is completed: $(cat "$pair_dir/writer")"
		return 1
	}
	sleep "$xp_before"
}

# What the mirror's image lacks. Sets xp_values.
xp_disaster_look()
{
	wait "$xp_writer"
	xp_writer=
	line_ask wait >"$pair_dir/line.stats" || return 1
	if line_is_void || xp_in_house line_is_void; then
		say "  the emulator dropped packets itself"
		return 3
	fi
	pair_mirror_settles || return 1
	began=$(xp_milliseconds)
	"$B/wanmirror" -c "$pair_dir/mirror.conf" promote $pair_group --force \
		>"$pair_dir/promote" 2>&1 || {
		say "promote failed: $(cat "$pair_dir/promote")"
		return 1
	}
	promoted=$(($(xp_milliseconds) - began))
	"$B/tests/disaster/prefixer" "$(pair_uri mirror v)" v "$pair_dir/log" \
		>"$pair_dir/verdict" 2>&1
	[ $? -ne 2 ] || {
		say "$(cat "$pair_dir/verdict")"
		return 1
	}
	xp_values=$(for name in completed missing prefix; do
		printf '%s,' "$(word $name <"$pair_dir/verdict")"
	done)
	xp_values="$xp_values$in_line,$in_building,$promoted"
}

# The primary and its building die. How much the line held then: in_line; what the building
# held: in_building.
#
#	cut        what has reached the line goes on
#	partition  the line is destroyed too, with all that is in it
#	mirror     the mirror dies too, and comes back from its disk
xp_disaster_strike() # KIND
{
	case $1 in
	partition)
		xp_strike_line
		;;
	mirror)
		kill -9 "$pair_mirror"
		xp_strike_site || return
		wait "$pair_mirror" 2>/dev/null
		pair_mirror=
		line_ask wait >/dev/null
		pair_start mirror
		;;
	*)
		xp_strike_site
		;;
	esac
}

# What is not in the line at that moment is in the building, and gone.
xp_strike_site()
{
	timeout 10 "$B/tests/wan/wanem" -c "$line_dir/control" cut --site a \
		--kill "$pair_primary" "$(xp_least_in_line)" >"$pair_dir/cut" || {
		say "  nothing is under way"
		return 3
	}
	xp_in_house line_cut --site a
	line_ask stats >"$pair_dir/line"
	wait "$pair_primary" 2>/dev/null
	pair_primary=
	in_line=$(line_number in_line_at_kill ab <"$pair_dir/cut")
	in_building=$(line_number shut_out ab <"$pair_dir/line")
}

# First the line, and with no command in between the primary.
xp_strike_line()
{
	line_ask cut --destroy >"$pair_dir/cut"
	kill -9 "$pair_primary"
	xp_in_house line_cut --site a
	line_ask stats >"$pair_dir/line"
	wait "$pair_primary" 2>/dev/null
	pair_primary=
	in_line=$(line_number destroyed ab <"$pair_dir/cut")
	in_building=$(line_number shut_out ab <"$pair_dir/line")
	[ "$in_line" -ge "$(xp_least_in_line)" ] || {
		say "  nothing was under way"
		return 3
	}
}

# One attempt at a disaster of kind $5 (see table1).
xp_disaster_try() # CONFIGURATION DELAY-MS LOSS-PERCENT BURST KIND
{
	xp_disaster_begin "$1" "$2" &&
		line_set ab loss="$3%" burst="$4" || return 1
	sleep $xp_lossy_seconds
	xp_disaster_strike "$5" || return
	xp_disaster_look
}

# xp_disaster CONFIGURATION DELAY-MS LOSS-PERCENT BURST [KIND]: one run (xp_run).
xp_disaster()
{
	xp_point "$1,$2,$3,$4,$xp_run" xp_disaster_try "$1" "$2" "$3" "$4" "${5:-cut}"
}
