#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make demo: the main job on real data, in sentences. Needs no privileges and leaves
# nothing behind.
. tests/wan/pair.sh
. tests/demo/tell.sh

writer=
trap 'clean_up' EXIT
trap 'exit 130' INT TERM
clean_up()
{
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	[ -z "$writer" ] || wait "$writer" 2>/dev/null
	pair_free
}

give_up()
{
	echo
	echo "VERDICT: the demo could not be carried out: $*"
	exit 1
}

PATH=$PATH:/sbin:/usr/sbin
pair_store_size=6GiB
pair_group_more='hold = "write";' # the rate of each mode is that of its writes
volumes="files:768MiB:network local:64MiB:local network:64MiB:network remote:64MiB:remote"
began=$(date +%s)

# ---- two sites ---------------------------------------------------------------------------

pair_init || give_up "no place for the stores"
# shellcheck disable=SC2154 # from pair.sh
work=$pair_dir
say "Two sites on this machine, \"primary\" and \"mirror\", with a line between them that" \
	"takes 50 ms there and back, carries 200 Mbit/s and loses 1 % of all datagrams. They" \
	"mirror a group of four volumes, which share one write order."
{
	pair_config "$volumes" && pair_create &&
		pair_line rtt=50ms rate=200Mbit loss=1% seed=2009 &&
		pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 15
} 2>"$work/why" || give_up "$(cat "$work/why")"
fact "both daemons run, the mirror is IN_SYNC"

# ---- real files --------------------------------------------------------------------------

say "A tree of real files from /usr becomes an ext4 file system (mke2fs -d), and nbdcopy" \
	"writes that into the volume \"files\", whose writes complete in network mode."
sh tests/demo/tree.sh "$work/tree" >"$work/tree.txt" 2>&1 || give_up "$(cat "$work/tree.txt")"
fact "$(cat "$work/tree.txt")"
(cd "$work/tree" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$work/sums"
truncate -s 768M "$work/ext4" &&
	mke2fs -q -t ext4 -d "$work/tree" -E root_owner="$(id -u):$(id -g)" -F "$work/ext4" \
		>"$work/mke2fs.log" 2>&1 || give_up "mke2fs: $(cat "$work/mke2fs.log")"
start=$(milliseconds)
copy_with_progress "$work/ext4" "$(pair_uri primary files)" || give_up "nbdcopy failed"
took=$(($(milliseconds) - start))
used=$(du -k "$work/ext4" | cut -f 1)
fact "$((used / 1024)) MiB copied in $(seconds $took) s"
pair_until 60 pair_is_even || give_up "the mirror does not catch up"
fact "the mirror has all of it $(seconds $(($(milliseconds) - start - took))) s later"
rm -rf "$work/tree" "$work/ext4"

# ---- what a write costs ------------------------------------------------------------------

say "What a 4 KiB write costs in each mode: at 200 writes a second, and as many as one" \
	"client gets done that waits for each."
printf '      %-8s %12s %12s %14s\n' mode 'median' 'p99' 'writes/s'
for mode in local network remote; do
	"$B/tests/bench/load" "$(pair_uri primary $mode)" seconds=2 per_second=200 \
		>"$work/offered" 2>&1 || give_up "$(cat "$work/offered")"
	"$B/tests/bench/load" "$(pair_uri primary $mode)" seconds=2 >"$work/closed" 2>&1 ||
		give_up "$(cat "$work/closed")"
	median=$(word median_us "$work/offered")
	rate=$(word rate "$work/closed")
	printf '      %-8s %9s us %9s us %14s\n' $mode "$median" \
		"$(word p99_us "$work/offered")" "$rate"
	eval "median_$mode=$median rate_$mode=$rate"
	pair_until 60 pair_is_even || give_up "the mirror does not catch up"
done
# shellcheck disable=SC2154 # set by eval
fact "network is $(ratio "$median_network" "$median_local") x the median of local," \
	"and does $(ratio "$rate_network" "$rate_remote") x the writes of remote"

# ---- disaster ----------------------------------------------------------------------------

say "Now the disaster. A writer stamps block after block on the volume \"network\", 64 in" \
	"flight. In the middle of it the primary is killed (kill -9), and when it is dead the" \
	"line is cut behind it: what had left is still on its way, and 1 % of it gets lost."
"$B/tests/disaster/stamper" "$(pair_uri primary network)" network "$work/log" depth=64 \
	>"$work/writer" 2>&1 &
writer=$!
log_is_long()
{
	[ -f "$work/log" ] && [ "$(wc -c <"$work/log")" -gt 40960 ]
}
pair_until 20 log_is_long || give_up "the writer gets nothing done: $(cat "$work/writer")"
pair_disaster 50 >"$work/cut" || give_up "the line does not fill"
in_line=$(pair_line_number in_line_at_kill ab <"$work/cut")
wait $writer
writer=
pair_ask_line wait >"$work/stats"
fact "the primary is dead; $(word completed "$work/writer") writes were completed, $in_line" \
	"datagrams were in the line"
pair_mirror_settles 2>"$work/why" || give_up "$(cat "$work/why")"

say "The mirror is promoted: it becomes a primary in a new epoch, and can be written."
start=$(milliseconds)
"$B/wanmirror" -c "$work/mirror.conf" promote "$pair_group" --force >"$work/promote" 2>&1 ||
	give_up "promote: $(cat "$work/promote")"
fact "promoted in $(seconds $(($(milliseconds) - start))) s"
grep . "$work/promote" | sed 's/^/      | /'

# ---- what is left ------------------------------------------------------------------------

say "What is left at the mirror:"
"$B/tests/disaster/prefixer" "$(pair_uri mirror network)" network "$work/log" \
	>"$work/verdict" 2>&1
holds "the image is a prefix of what was written, up to write $(word last "$work/verdict")" \
	[ "$(word prefix "$work/verdict")" = yes ]
holds "of $(word completed "$work/verdict") completed writes $(word missing "$work/verdict") are missing" \
	[ "$(word missing "$work/verdict")" = 0 ]
holds "at least 50 datagrams were in the line at the kill ($in_line)" [ "$in_line" -ge 50 ]
holds "the relay itself lost nothing" grep -q '"void": false' "$work/stats"
copy_with_progress "$(pair_uri mirror files)" "$work/ext4" || give_up "nbdcopy failed"
e2fsck -fn "$work/ext4" >"$work/e2fsck.log" 2>&1
holds "the file system is clean (e2fsck -fn)" [ $? -eq 0 ]
mkdir "$work/back"
debugfs -R "rdump / $work/back" "$work/ext4" >"$work/debugfs.log" 2>&1
(cd "$work/back" && sha256sum --quiet -c "$work/sums") >"$work/differ" 2>&1
holds "all $(wc -l <"$work/sums") files have their checksums" [ $? -eq 0 ]

rm -rf "$work/back"
clean_up
echo
if [ "$not_held" -eq 0 ]; then
	echo "VERDICT: the site is lost, the data is not. ($held checks held," \
		"$(($(date +%s) - began)) s)"
else
	echo "VERDICT: $not_held of $((held + not_held)) checks FAILED."
fi
[ "$not_held" -eq 0 ]
