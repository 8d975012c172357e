# SPDX-License-Identifier: BSD-3-Clause
# What the figures share; sourced with B, the build folder, set. Two sites, each in its
# network namespace, and the line between them; one of the paper's configurations on them;
# the two things that are measured, throughput and disasters; and where results go.
#
# A figure is a file fig_NAME.sh with a function fig_NAME that runs its points, and a
# function shape_NAME that says what must be seen in its results. A row of
# $B/experiments/NAME.csv is one run of one point. A point whose row is there is not run
# again, so that what was interrupted goes on where it was.
. tests/wan/pair.sh
. tests/wan/line.sh
. tests/experiments/site.sh
pair_via=tun

xp_out=$B/experiments
xp_rate=${RATE:-200}		# of the line, Mbit/s
xp_disaster_rate=${DISASTER_RATE:-50}	# one that 64 messages in flight keep full
xp_queue=50ms		# before the line: a round trip's worth at 25 ms
xp_max_void=5
if [ "${QUICK:-0}" = 1 ]; then
	# Beside other tests on the same machine.
	xp_rate=${RATE:-50}
	xp_runs=${N:-1}
	xp_seconds=${SECONDS_PER_POINT:-2}
	xp_settle=0.7
	xp_before=0.5
else
	xp_runs=${N:-5}
	xp_seconds=${SECONDS_PER_POINT:-2}
	xp_settle=1
	xp_before=1.5
fi
# Bytes that `local` may have completed and not brought to the mirror: a socket's buffer.
xp_backlog=4MiB
xp_building=no	# of the primary: see site.sh
xp_assume=0.01
xp_assume_burst=1
xp_told_safety=1e-6

say()
{
	echo "$*" >&2
}

# word NAME: the value of name=value among the words on standard input.
word()
{
	tr ' ' '\n' | sed -n "s/^$1=//p"
}

# calc EXPRESSION of awk
calc()
{
	awk "BEGIN { printf \"%.10g\", ($1) }"
}

# ---- results --------------------------------------------------------------------------

# xp_csv NAME COLUMNS: rows go to this file from here on; the first `key` columns name a
# point.
xp_csv()
{
	mkdir -p "$xp_out" || return 1
	xp_file=$xp_out/$1.csv
	[ -s "$xp_file" ] || echo "$2" >"$xp_file"
}

# xp_has KEY: is there a row that begins with these columns?
xp_has()
{
	grep -q -F -e "$1," "$xp_file"
}

xp_row() # KEY VALUES
{
	xp_has "$1" || echo "$1,$2" >>"$xp_file"
	say "  $(basename "$xp_file" .csv): $1,$2"
}

# xp_point KEY TRY ...: a run of a point, if its row is not there. TRY sets xp_values, leaves
# what it has started to xp_down, and returns 3 if it shows nothing: again, a few times.
xp_point()
{
	key=$1
	shift
	! xp_has "$key" || return 0
	xp_try=0
	while :; do
		xp_try=$((xp_try + 1))
		"$@"
		result=$?
		[ $result -ne 0 ] || xp_row "$key" "$xp_values"
		[ $result -eq 0 ] || [ $result -eq 3 ] || xp_keep
		xp_down
		[ $result -eq 3 ] || return $result
		say "  void; again"
		[ $xp_try -lt $xp_max_void ] || return 1
	done
}

# ---- configurations -------------------------------------------------------------------

# What the names of configurations mean: a mode of the volume, and a transport.
#
#	local/reno    local-sync over TCP, and so cubic, bbr; remote/reno, ...
#	local+fec     local-sync over the paper's code; remote+fec
#	network+fec   network-sync over the paper's code, by the paper's rule
#	network+fec/edge  the same, with evidence from a relay at the site's border
#	network+fec/C so, with C repairs for 8, and none on demand
#	local+window  over our own code; remote+window
#	network       ours: window, by `safety`
#	network/edge  ours with evidence from the border
#	network/SHARE so, with a fixed share of repairs
xp_configuration()
{
	xp_mode=${1%%[/+]*}
	xp_transport=udp
	xp_evidence=driver
	xp_fec='code = "window"; safety = 1e-6;'
	case $1 in
	*/reno | */cubic | */bbr)
		xp_transport=tcp
		xp_congestion=${1#*/}
		;;
	network/edge) xp_evidence=edge ;;
	network/told) xp_fec="code = \"window\"; safety = $xp_told_safety;" ;;
	*+fec/[0-4])
		xp_evidence=edge # only what the line loses is to count
		c=${1##*/}
		vector=$(echo "1 20 40 60" | cut -d ' ' -f "1-$((c ? c : 1))" | sed 's/ /, /g')
		xp_fec="code = \"layered\"; policy = \"paper\"; r = 8; c = $c;
			interleave = [ $vector ]; on_demand = false;"
		;;
	network+fec | network+fec/edge)
		[ "$1" = network+fec ] || xp_evidence=edge
		xp_fec='code = "layered"; policy = "paper"; r = 8; c = 3;
			interleave = [ 1, 20, 40 ];'
		;;
	*+fec)
		xp_fec='code = "layered"; r = 8; c = 3; interleave = [ 1, 20, 40 ];'
		;;
	network/0.*)
		xp_evidence=edge
		xp_fec="code = \"window\"; safety = 1e-6; share = ${1#*/};"
		;;
	network | *+window) ;;
	*)
		say "no configuration is called $1"
		return 1
		;;
	esac
}

# The two sites' configurations, and their stores.
xp_configure()
{
	pair_store_size=$xp_store
	pair_sync=$xp_mode
	pair_rate=$(calc "int($xp_rate * 1000 * 0.98)")kbit
	pair_group_more="max_exposure = \"$xp_backlog\"; hold = \"write\";" # each write counts
	pair_peer="transport = \"$xp_transport\";"
	[ $xp_transport = udp ] || pair_peer="$pair_peer congestion = \"$xp_congestion\";"
	pair_peer_primary="evidence = \"$xp_evidence\";"
	[ $xp_evidence != edge ] || pair_peer_primary="$pair_peer_primary
		edge: { address = \"$xp_border_address:7701\"; key = \"$pair_dir/edge.key\"; };"
	pair_fec=$xp_fec
	pair_assume=$xp_assume
	pair_assume_burst=$xp_assume_burst.0
	pair_config "v:$xp_volume:$xp_mode" && pair_create
}

# xp_up CONFIGURATION DELAY-MS [LINE ...]: both sites run, the mirror is in sync. The delay
# is one-way, in both directions.
xp_up()
{
	xp_configuration "$1" && pair_init || return 1
	xp_delay=$2
	shift 2
	if [ $xp_building = yes ]; then
		xp_site_up || return 1
	else
		line_up "seed=$((xp_run * 1009 + xp_try))" || return 1
	fi
	xp_configure || return 1
	line_set delay="${xp_delay}ms" rate="${xp_rate}Mbit" queue="$xp_queue" &&
		{ [ $# -eq 0 ] || line_set "$@"; } && pair_start mirror && xp_border_up &&
		pair_start primary && pair_wait primary IN_SYNC 30
}

xp_down()
{
	xp_writers_end
	# Nobody is left to be polite to.
	pair_kill primary
	pair_kill mirror
	xp_site_down
	pair_free
}

# The writer that runs in the background, if any.
xp_writer=
xp_writers_end()
{
	[ -z "$xp_writer" ] || kill "$xp_writer" 2>/dev/null
	[ -z "$xp_writer" ] || wait "$xp_writer" 2>/dev/null
	xp_writer=
}

# What is left of a point that could not be run.
xp_keep()
{
	kept=$xp_out/failed
	rm -rf "$kept"
	mkdir -p "$kept" || return 1
	for file in "$pair_dir"/*; do
		case $file in
		*.store) ;;
		*) cp "$file" "$kept" ;;
		esac
	done
	say "  kept: $kept"
}

# Seconds of CPU time of process $1 so far.
xp_cpu()
{
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' \
		"/proc/$1/stat"
}

xp_now()
{
	cut -d ' ' -f 1 /proc/uptime
}

# Whether the figures can be run on this machine. What `make check` runs of them is skipped
# elsewhere, but not by root on a build machine.
xp_needs()
{
	why=$(line_can) && return 0
	if [ "${QUICK:-0}" = 1 ] && { [ "${CI:-}" != true ] || [ "$(id -u)" -ne 0 ]; }; then
		echo "experiments: skipped: $why"
		exit 0
	fi
	echo "experiments: cannot be run here: $why"
	return 1
}

xp_conditions()
{
	cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	echo "$figure: $(date +%F), $(git rev-parse --short HEAD 2>/dev/null || echo 'no git')," \
		"$(nproc) x ${cpu:-unknown processor}, Linux $(uname -r)," \
		"load $(cut -d ' ' -f 1 /proc/loadavg) before," \
		"path ${xp_rate} Mbit/s ($xp_disaster_rate in disasters), $xp_runs runs," \
		"$xp_seconds s a point"
}
