# SPDX-License-Identifier: BSD-3-Clause
# Throughput: 512 KiB appends by 64 writers over 8 connections, or by one, counted where
# they arrive, at the mirror. One pair runs through all losses of a configuration; a run is
# a pair of its own.
xp_append=524288
xp_throughput_columns="configuration,delay_ms,writers,loss_percent,run,mbit,share,\
repairs,seconds,cpu_line,cpu_primary,cpu_mirror"

# One measurement while the writers write. Sets xp_values; 3 when it shows nothing, as the
# emulator itself dropped something or more arrived than the line can have carried.
xp_measure()
{
	line_ask reset >/dev/null || return 1
	"$B/tests/experiments/marks" "$pair_sock/primary.control" every_us=20000 \
		seconds=60 >"$pair_dir/primary.marks" 2>"$pair_dir/primary.marks.why" &
	marks=$!
	cpu_line=$(xp_cpu "$line_pid")
	cpu_primary=$(xp_cpu "$pair_primary")
	cpu_mirror=$(xp_cpu "$pair_mirror")
	began=$(xp_now)
	"$B/tests/experiments/marks" "$pair_sock/mirror.control" every_us=5000 \
		seconds="$xp_seconds" least=8 most=$((xp_seconds * 4)) bytes=$xp_append \
		>"$pair_dir/mirror.marks" || return 1
	took=$(calc "$(xp_now) - $began")
	cpu_line=$(calc "($(xp_cpu "$line_pid") - $cpu_line) / $took")
	cpu_primary=$(calc "($(xp_cpu "$pair_primary") - $cpu_primary) / $took")
	cpu_mirror=$(calc "($(xp_cpu "$pair_mirror") - $cpu_mirror) / $took")
	kill $marks 2>/dev/null
	wait $marks || return 1
	! line_is_void || return 3
	mbit=$(word mbit <"$pair_dir/mirror.marks")
	# More than the line takes has waited at the mirror, say for its disk, from before.
	[ "$(calc "$mbit > 1.05 * $xp_rate")" = 0 ] || return 3
	sent=$(word sent <"$pair_dir/primary.marks")
	repair=$(word repair <"$pair_dir/primary.marks")
	xp_values=$(awk -v m="$mbit" -v r="$xp_rate" -v s="$sent" -v p="$repair" \
		-v t="$(word seconds <"$pair_dir/mirror.marks")" -v a="$cpu_line" \
		-v b="$cpu_primary" -v c="$cpu_mirror" 'BEGIN {
		printf "%.3f,%.4f,%s,%.1f,%.2f,%.2f,%.2f", m, m / r,
			(s > p && p > 0) ? sprintf("%.4f", p / (s - p)) : 0, t, a, b, c }')
}

# xp_throughput CONFIGURATION DELAY-MS WRITERS "LOSSES": one run (xp_run) through all of
# them, in per cent, as far as they are not there.
xp_throughput()
{
	todo=
	for loss in $4; do
		xp_has "$1,$2,$3,$loss,$xp_run" || todo="$todo $loss"
	done
	[ -n "$todo" ] || return 0
	configuration=$1
	writers=$3
	way=$2
	xp_volume=$((writers * 100 + 64))MiB
	xp_store=$((writers * 100 + 64 + 4096))MiB
	xp_try=1
	xp_up "$configuration" "$way" || return 1
	"$B/tests/experiments/writers" "$(pair_uri primary v)" writers="$writers" \
		connections=$((writers < 8 ? writers : 8)) bytes=$xp_append seconds=3600 \
		>"$pair_dir/writer" 2>&1 &
	xp_writer=$!
	for loss in $todo; do
		void=0
		while :; do
			line_set ab loss="$loss%" || return 1
			sleep "$xp_settle"
			xp_measure
			result=$?
			[ $result -eq 3 ] || break
			void=$((void + 1))
			say "  void: drops of the emulator itself, or a backlog that was counted; again"
			[ $void -lt $xp_max_void ] || return 1
		done
		[ $result -eq 0 ] || return 1
		xp_row "$configuration,$way,$writers,$loss,$xp_run" "$xp_values"
	done
	xp_down
}
