# SPDX-License-Identifier: BSD-3-Clause
# B1, B2, B3: a volume in `local` without a peer against qemu-nbd with cache=none and
# aio=io_uring on a raw file of the same disk, both filled before, by fio's nbd engine, in
# runs that alternate.
B=$1
. tests/bench/lib.sh
trap 'clean_up' EXIT
trap 'exit 130' INT TERM
size=1024 # MiB
ours= theirs=

clean_up()
{
	for pid in $ours $theirs; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	[ -z "${dir:-}" ] || rm -rf "$dir" "$sock"
}

for tool in fio qemu-nbd nbdcopy; do
	command -v $tool >/dev/null || give_up "needs $tool"
done
rows disk
rm -f "$rows".[0-9]*

dir=$(mktemp -d "$PWD/$B/disk.XXXXXX") && sock=$(mktemp -d "${TMPDIR:-/tmp}/wm.XXXXXX") ||
	give_up "no place for the stores"

# Nothing is cleaned yet, so the store holds all that is written while we measure.
cat >"$dir/conf" <<END
node = "bench";
control = "$sock/control";
nbd: { listen = [ "unix:$sock/ours" ]; };
groups: ( { name = "g"; store = "$dir/store"; store_size = "${STORE:-14GiB}";
  role = "primary"; volumes = ( { name = "data"; size = "${size}MiB"; sync = "local"; } ); } );
END
ours_uri="nbd+unix:///data?socket=$sock/ours"
theirs_uri="nbd+unix:///?socket=$sock/theirs"

answers()
{
	nbdinfo --size "$1" >/dev/null 2>&1
}

"$B/wanmirror" create -c "$dir/conf" >"$dir/log" 2>&1 || give_up "$(cat "$dir/log")"
"$B/tests/bench/fill" "$dir/store" || give_up "cannot fill the store"
"$B/wanmirrord" -c "$dir/conf" >>"$dir/log" 2>&1 &
ours=$!
truncate -s ${size}M "$dir/raw"
qemu-nbd --persistent --shared=64 --cache=none --aio=io_uring --format=raw \
	--socket="$sock/theirs" "$dir/raw" >"$dir/qemu.log" 2>&1 &
theirs=$!
for uri in "$ours_uri" "$theirs_uri"; do
	pair_until 20 answers "$uri" || give_up "$uri does not answer: $(tail -n 3 "$dir/log")"
	head -c "$((size << 20))" /dev/urandom | nbdcopy --destination-is-zero - "$uri" ||
		give_up "nbdcopy failed"
done
sync

# fio_run URI SECONDS OPTION...: operations per second.
fio_run()
{
	uri=$1 seconds=$2
	shift 2
	fio --name=x --ioengine=nbd --uri="$uri" --time_based --runtime="$seconds" \
		--group_reporting --output-format=json "$@" >"$dir/fio.json" 2>"$dir/fio.why" ||
		give_up "fio: $(cat "$dir/fio.why")"
	sed -n 's/^ *"iops" : \([0-9.]*\),.*/\1/p' "$dir/fio.json" |
		awk '{ n += $1 } END { print n }'
}

# against ID GOAL FINAL WHAT OPTION...
against()
{
	id=$1 goal=$2 final=$3 what=$4
	shift 4
	rm -f "$dir/our.runs" "$dir/their.runs"
	for _ in $(seq $runs); do
		fio_run "$ours_uri" "$seconds" "$@" >>"$dir/our.runs" || exit 1
		fio_run "$theirs_uri" "$seconds" "$@" >>"$dir/their.runs" || exit 1
	done
	echo "  $what: wanmirror $(beside <"$dir/our.runs"), qemu-nbd $(beside <"$dir/their.runs")"
	a=$(median <"$dir/our.runs") b=$(median <"$dir/their.runs")
	row "$id" "$what, $(printf '%.0f' "$a")/s against qemu-nbd's $(printf '%.0f' "$b")/s" \
		"$(ratio "$a" "$b")x" "$goal" "$final"
}

seconds=$run_seconds
against B1 ">=2x" ">=3x" "4 KiB random writes, 32 in flight" \
	--rw=randwrite --bs=4k --iodepth=32
seconds=2
against B2 - ">=1x" "4 KiB random writes and a flush after each, 1 client" \
	--rw=randwrite --bs=4k --iodepth=1 --fsync=1
against B2 - ">=4x" "the same, 16 clients" \
	--rw=randwrite --bs=4k --iodepth=1 --fsync=1 --numjobs=16
against B3 - ">=0.95x" "4 KiB random reads, 32 in flight" \
	--rw=randread --bs=4k --iodepth=32
[ "${QUICK:-0}" = 1 ] ||
	against B3 - ">=0.5x" "1 MiB sequential reads after random writes" \
		--rw=read --bs=1M --iodepth=4
