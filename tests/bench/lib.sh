# SPDX-License-Identifier: BSD-3-Clause
# What the benches of the whole program share; sourced with B, the build folder, set. Each
# prints its runs as they come, and its results as rows of $B/bench/NAME, which
# tests/bench/table.sh makes a table of:
#
#	ID | what, against what, conditions | figure | this issue's goal | final goal
#
# QUICK=1 takes 3 short runs for 5 longer ones, and leaves some of the conditions out.
# BENCH_DIR=FOLDER puts the stores of a pair there, say into memory to leave the disk out.
. tests/wan/pair.sh
PATH=$PATH:/sbin:/usr/sbin

if [ "${QUICK:-0}" = 1 ]; then
	runs=3
	run_seconds=2
else
	runs=5
	run_seconds=5
fi
tries=0
max_tries=5

give_up()
{
	echo "bench: $*" >&2
	exit 1
}

# rows NAME: from here on rows go to this file.
rows()
{
	mkdir -p "$B/bench" || exit 1
	rows=$B/bench/$1
	rm -f "$rows"
	conditions >"$B/bench/conditions"
	cat "$B/bench/conditions"
}

conditions()
{
	cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	echo "$(nproc) x ${cpu:-unknown processor}, Linux $(uname -r)," \
		"load $(cut -d ' ' -f 1 /proc/loadavg) before," \
		"store on $(df --output=fstype "$B" | tail -n 1), $runs runs of $run_seconds s"
}

# row ID WHAT FIGURE ISSUE-GOAL FINAL-GOAL; a goal is ">=2x", "<=1.5x" or "-".
row()
{
	echo "$1|$2|$3|$4|$5" >>"$rows"
}

# The median of the numbers on standard input.
median()
{
	sort -n | awk '{ v[NR] = $1 } END {
		if (NR == 0) print "nan"
		else print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# The numbers on standard input, side by side.
beside()
{
	tr '\n' ' ' | sed 's/ $//'
}

# ratio A B
ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
}

# word NAME: the value of name=value among the words on standard input.
word()
{
	tr ' ' '\n' | sed -n "s/^$1=//p"
}

# two_sites VOLUMES [LINE ...]: a pair whose stores are filled, so that no file system looks
# for room while we measure; with line parameters the relay is between them, else they
# talk over loopback directly.
two_sites()
{
	volumes=$1
	shift
	pair_init ${BENCH_DIR:+"$(mktemp -d "$BENCH_DIR/pair.XXXXXX")"} || give_up "no place for the stores"
	pair_config "$volumes" && pair_create || give_up "no pair"
	for site in primary mirror; do
		"$B/tests/bench/fill" "$pair_dir/$site.store" || give_up "cannot fill the $site"
	done
	if [ $# -gt 0 ]; then
		pair_line "$@" || give_up "no line"
	else
		sed -i "s/127\.0\.0\.1:$pair_port\"/127.0.0.1:$((pair_port + 1))\"/" \
			"$pair_dir/primary.conf"
	fi
	pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 30 ||
		give_up "the pair does not start"
}

# Fill a volume through NBD and wait until the mirror has it.
fill_volume() # NAME MIB
{
	head -c "$(($2 << 20))" /dev/urandom |
		nbdcopy --destination-is-zero - "$(pair_uri primary "$1")" ||
		give_up "nbdcopy failed"
	pair_until 120 pair_is_even || give_up "the mirror does not catch up"
}

# on_line FILE COMMAND ...: its output goes to FILE; repeated when the relay itself dropped
# something, as that run shows nothing.
on_line()
{
	out=$1
	shift
	while :; do
		pair_ask_line reset >"$pair_dir/line.reset"
		"$@" >"$out" 2>"$pair_dir/load.why" || give_up "$(cat "$pair_dir/load.why")"
		pair_until 60 pair_is_even || give_up "the mirror does not catch up"
		pair_ask_line stats >"$pair_dir/line.stats"
		grep -q '"void": true' "$pair_dir/line.stats" || return 0
		tries=$((tries + 1))
		[ $tries -lt $max_tries ] || give_up "the relay drops: the machine is too busy"
		echo "  void: the relay dropped datagrams itself; again"
	done
}
