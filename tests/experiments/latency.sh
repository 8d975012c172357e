# SPDX-License-Identifier: BSD-3-Clause
# Time from primary to mirror: groups of eight 4 kB messages, issued at once, many times a
# second whether or not the ones before are complete. A message is at the mirror when its
# log has it (received), and when it is on its disk (persisted).
xp_groups=20
xp_group=8
xp_latency_columns="configuration,delay_ms,loss_percent,run,messages,\
received_median_ms,received_p99_ms,received_p999_ms,received_max_ms,\
persisted_median_ms,persisted_p99_ms,persisted_p999_ms,\
spread_mean_ms,spread_p99_ms,wait_median_ms,wait_p99_ms,not_arrived"

# A second of the same before: an idle line is not proven, and the first to come waits for
# a round trip.
xp_warm() # GROUPS GROUP
{
	"$B/tests/experiments/writers" "$(pair_uri primary v)" groups="$1" group="$2" \
		bytes=4096 seconds=1 segment=1048576 >"$pair_dir/writer" 2>&1 && return 0
	say "$(cat "$pair_dir/writer")"
	return 1
}

# Writers at work and both watched for $1 seconds. $pair_dir/writes: NUMBER ISSUED
# COMPLETED, in order; $pair_dir/looks: what marks saw at the mirror.
xp_watch() # SECONDS
{
	xp_warm $xp_groups $xp_group || return 1
	xp_base=$(pair_value primary admitted)
	"$B/tests/experiments/marks" "$pair_sock/mirror.control" every_us=500 seconds=600 \
		log="$pair_dir/looks" >"$pair_dir/marks" 2>"$pair_dir/marks.why" &
	marks=$!
	"$B/tests/experiments/writers" "$(pair_uri primary v)" groups=$xp_groups \
		group=$xp_group bytes=4096 seconds="$1" segment=1048576 \
		log="$pair_dir/writes.log" >"$pair_dir/writer" 2>&1 || {
		kill $marks
		say "$(cat "$pair_dir/writer")"
		return 1
	}
	# What is under way may still come, in the time that a slow TCP needs.
	pair_until 20 pair_is_even
	sleep 0.1
	kill $marks
	wait $marks || return 1
	sort -n "$pair_dir/writes.log" >"$pair_dir/writes"
}

# For each message NUMBER RECEIVED_MS PERSISTED_MS WAITED_MS, -1: never.
xp_join()
{
	awk -v base="$xp_base" 'NR == FNR { issued[$1] = $2; done[$1] = $3; n = $1; next }
		{
			while (r < n && base + r + 1 <= $6) at[++r] = $1
			while (p < n && base + p + 1 <= $7) on[++p] = $1
		}
		END { for (i = 1; i <= n; i++)
			if (i in issued)
				printf "%d %.3f %.3f %.3f\n", i,
					i <= r ? (at[i] - issued[i]) / 1e6 : -1,
					i <= p ? (on[i] - issued[i]) / 1e6 : -1,
					(done[i] - issued[i]) / 1e6
		}' "$pair_dir/writes" "$pair_dir/looks"
}

# The quantiles $2 ... of column $1 of standard input, those above 0, each with a comma.
xp_quantiles()
{
	column=$1
	shift
	awk -v c="$column" '$c >= 0 { print $c }' | sort -n | awk -v q="$*" '{ v[NR] = $1 }
		END { k = split(q, at, " ")
			for (i = 1; i <= k; i++) {
				j = int(at[i] * (NR - 1)) + 1
				printf "%s,", NR ? v[j] : "nan"
			} }'
}

# How far apart the first and the last of a group arrive: mean and 99th percentile.
xp_spread()
{
	awk -v g=$xp_group '$2 >= 0 {
			k = int(($1 - 1) / g)
			# Issued at once, so what differs is when they arrive.
			if (!(k in low) || $2 < low[k]) low[k] = $2
			if ($2 > high[k]) high[k] = $2
			n[k]++
		}
		END { for (k in n) if (n[k] == g) print high[k] - low[k] }' "$pair_dir/times" |
		sort -n | awk '{ v[NR] = $1; sum += $1 }
			END { printf "%.3f,%.3f,", NR ? sum / NR : 0,
				v[int(0.99 * (NR - 1)) + 1] }'
}

xp_latency_try() # CONFIGURATION DELAY-MS LOSS-PERCENT
{
	xp_volume=16MiB
	xp_store=2GiB
	xp_up "$1" "$2" ab.loss="$3%" || return 1
	sleep "$xp_settle"
	line_ask reset >/dev/null
	xp_watch "$xp_watch_seconds" || return 1
	if line_is_void; then
		say "  the emulator dropped packets itself"
		return 3
	fi
	xp_join >"$pair_dir/times"
	mkdir -p "$xp_out/times"
	cp "$pair_dir/times" "$xp_out/times/$(echo "$1,$2,$3,$xp_run" | tr '/' '_')"
	xp_values=$(wc -l <"$pair_dir/times" | tr '\n' ',')
	xp_values=$xp_values$(xp_quantiles 2 0.5 0.99 0.999 1 <"$pair_dir/times")
	xp_values=$xp_values$(xp_quantiles 3 0.5 0.99 0.999 <"$pair_dir/times")
	xp_values=$xp_values$(xp_spread)
	xp_values=$xp_values$(xp_quantiles 4 0.5 0.99 <"$pair_dir/times")
	xp_values=$xp_values$(awk '$2 < 0 { n++ } END { print n + 0 }' "$pair_dir/times")
}

xp_latency() # CONFIGURATION DELAY-MS LOSS-PERCENT
{
	xp_point "$1,$2,$3,$xp_run" xp_latency_try "$1" "$2" "$3"
}
