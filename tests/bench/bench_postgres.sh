# SPDX-License-Identifier: BSD-3-Clause
# B10: PostgreSQL on ext4 on a volume, pgbench -N with 8 clients, a line of 200 Mbit/s and
# 50 ms, at 0 and 1 % loss: `network` and `remote` against `local` with the mirror attached,
# and against PostgreSQL's own replication with synchronous_commit = on over the same line,
# by the kernel's cubic. A volume is attached by nbdfuse and a loop device. Needs root,
# postgresql, and 8 GiB of disk.
B=$1
. tests/bench/lib.sh
pair_via=tun
pair_store_size=6GiB
pair_rate=180Mbit
clients=8
scale=10

tools=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
if [ -z "$tools" ] || ! command -v nbdfuse >/dev/null || [ "$(id -u)" -ne 0 ] ||
	[ ! -e /dev/fuse ]; then
	echo "bench: not here: it needs root, postgresql, nbdfuse and FUSE" >&2
	exit 0
fi
trap 'all_down; pair_free' EXIT
trap 'exit 130' INT TERM
rows postgres
running=
attached=
work=

as_postgres()
{
	runuser -u postgres -- "$@"
}

# attach VOLUME: an ext4 on it, at $work/VOLUME.
attach()
{
	mkdir -p "$work/$1.fuse" "$work/$1"
	nbdfuse "$work/$1.fuse/disk" "$(pair_uri primary "$1")" &
	pair_until 10 test -f "$work/$1.fuse/disk" || give_up "nbdfuse does not start"
	loop=$(losetup --show -f "$work/$1.fuse/disk") || give_up "no loop device"
	attached="$1:$loop $attached"
	mke2fs -q -t ext4 "$loop" && mount -o noatime "$loop" "$work/$1" || give_up "no ext4"
}

# database DIR: a new cluster there, owned by postgres.
database()
{
	mkdir -p "$1"
	chown postgres "$1"
	as_postgres "$tools/initdb" -D "$1" -A trust >"$work/initdb.log" 2>&1 ||
		give_up "initdb: $(tail -n 3 "$work/initdb.log")"
}

# database_up DIR [PREFIX] [SETTING ...]: started, its socket in DIR.sock.
database_up()
{
	dir=$1
	prefix=$2
	mkdir -p "$dir.sock"
	chown postgres "$dir.sock"
	shift 2
	settings=
	for setting; do
		settings="$settings -c $setting"
	done
	# shellcheck disable=SC2086 # words
	$prefix runuser -u postgres -- "$tools/pg_ctl" -D "$dir" -w -l "$dir/log" -o \
		"-k $dir.sock -c shared_buffers=256MB -c max_wal_size=4GB -c checkpoint_timeout=1h$settings" \
		start >"$work/pg_ctl.log" 2>&1 ||
		give_up "postgres: $(tail -n 3 "$dir/log" "$work/pg_ctl.log")"
	running="$dir $running"
}

all_down()
{
	for dir in $running; do
		as_postgres "$tools/pg_ctl" -D "$dir" -m immediate stop >/dev/null 2>&1
	done
	running=
	for one in $attached; do
		umount "$work/${one%%:*}"
		losetup -d "${one#*:}"
		# The loop device lets go of its file a moment later.
		pair_until 10 fusermount3 -u "$work/${one%%:*}.fuse" 2>/dev/null
	done
	attached=
	[ -z "$work" ] || rm -rf "$work"
	work=
}

# tps DIR: transactions a second.
tps()
{
	as_postgres "$tools/pgbench" -h "$1.sock" -N -n -c $clients -j 2 -T "$run_seconds" postgres \
		>"$work/pgbench.out" 2>&1 || give_up "pgbench: $(tail -n 3 "$work/pgbench.out")"
	sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/pgbench.out"
}

filled()
{
	as_postgres "$tools/pgbench" -h "$1.sock" -i -q -s $scale postgres >"$work/pgbench.out" 2>&1 ||
		give_up "pgbench -i: $(tail -n 3 "$work/pgbench.out")"
}

# A primary and a standby of PostgreSQL's own at the two ends of the line, for comparison.
replicated()
{
	database "$work/own"
	echo "host all all $line_b_address/32 trust
host replication all $line_b_address/32 trust" >>"$work/own/pg_hba.conf"
	database_up "$work/own" "$line_a" listen_addresses=$line_a_address
	filled "$work/own"
	mkdir -p "$work/standby"
	chown postgres "$work/standby"
	chmod 700 "$work/standby"
	$line_b runuser -u postgres -- "$tools/pg_basebackup" -h $line_a_address -D "$work/standby" \
		-R -X stream -c fast >"$work/basebackup.log" 2>&1 ||
		give_up "pg_basebackup: $(tail -n 3 "$work/basebackup.log")"
	database_up "$work/standby" "$line_b"
	echo "synchronous_standby_names = '*'" >>"$work/own/postgresql.conf"
	as_postgres "$tools/pg_ctl" -D "$work/own" reload >/dev/null
	pair_until 30 is_synchronous || give_up "the standby is not synchronous"
}

is_synchronous()
{
	[ "$(as_postgres psql -h "$work/own.sock" -At -c 'select sync_state from pg_stat_replication' \
		postgres 2>/dev/null)" = sync ]
}

measured() # LOSS
{
	rm -f "$work"/tps.*
	for run in $(seq $runs); do
		for name in local network remote own; do
			dir=$work/$name/pg
			[ $name != own ] || dir=$work/own
			one=$(tps "$dir") || exit 1
			echo "$one" >>"$work/tps.$name"
			echo "  loss $1, run $run, $name: $one/s"
			pair_until 120 pair_is_even || give_up "the mirror does not catch up"
		done
	done
	for name in local network remote own; do
		eval "tps_$name=\$(median <\"\$work/tps.$name\")"
	done
	row B10 "loss $1, network $tps_network/s against local $tps_local/s" \
		"$(ratio "$tps_network" "$tps_local")x" ">=0.9x" ">=0.9x"
	least=12
	[ "$1" = 0 ] || least=18
	row B10 "loss $1, network against PostgreSQL's synchronous $tps_own/s" \
		"$(ratio "$tps_network" "$tps_own")x" ">=${least}x" ">=${least}x"
	row B10 "loss $1, remote $tps_remote/s against the same" \
		"$(ratio "$tps_remote" "$tps_own")x" ">=0.95x" ">=0.95x"
}

pair_init || give_up "no place for the stores"
pair_config "local:640MiB:local network:640MiB:network remote:640MiB:remote" && pair_create ||
	give_up "no pair"
pair_line rtt=50ms rate=200Mbit queue=50ms seed=4 || give_up "no line"
pair_start mirror && pair_start primary && pair_wait primary IN_SYNC 30 ||
	give_up "the pair does not start"
work=$pair_dir/work
mkdir "$work"
chmod 755 "$pair_dir" "$work"
for name in local network remote; do
	attach $name
	database "$work/$name/pg"
	database_up "$work/$name/pg" "" "listen_addresses="
	filled "$work/$name/pg"
	pair_until 300 pair_is_even || give_up "the mirror does not catch up"
done
replicated
for loss in 0 1%; do
	line_set loss=$loss
	measured $loss
done
