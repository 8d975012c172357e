# SPDX-License-Identifier: BSD-3-Clause
# Two sites and the line between them, for scripts that are sourced with B, the build
# folder, set. The primary dials the relay, the relay talks to the mirror.
#
#   pair_init [DIR]             where stores and logs go; all of it is removed by pair_free
#   pair_config "VOLUMES"       words "name:size:mode"; then two configurations and a key
#   pair_create                 both stores
#   pair_line [NAME=VALUE ...]  starts the relay
#   pair_start SITE             SITE is primary or mirror
#   pair_wait SITE STATE S      waits up to S seconds for a state of the group
#   pair_kill SITE              kill -9, and waits until it is dead
#   pair_disaster [DATAGRAMS]   kill -9 of the primary, and the cut when it is dead
#   pair_uri SITE VOLUME        for NBD clients
#
# With pair_via=tun, before pair_config, the sites are in two network namespaces with the
# line between them (line.sh) instead of a relay: the kernel's TCP crosses it, too. Then
# pair_line comes before pair_start, and pair_prefix SITE is what runs a command at a site.
#
# Set before pair_config, what is in the configurations: pair_store_size, pair_sync (of the
# group), pair_rate, pair_fec, pair_assume, pair_assume_burst; and further settings of the
# group, pair_group_more, of the peer, pair_peer, of the primary's alone, pair_peer_primary.
#
# Every function returns 1 with a sentence on standard error if it cannot.
. tests/wan/line.sh

pair_group=db
pair_tun_port=7700

pair_init()
{
	# Not in /tmp, which may be a memory file system without O_DIRECT; sockets are
	# there, as their paths must be short.
	pair_dir=${1:-$(mktemp -d "$PWD/$B/pair.XXXXXX")} || return 1
	mkdir -p "$pair_dir" || return 1
	pair_sock=$(mktemp -d "${TMPDIR:-/tmp}/wm.XXXXXX") || return 1
	pair_primary=
	pair_mirror=
	pair_relay=
	pair_ports
}

pair_is_tun()
{
	[ "${pair_via:-relay}" = tun ]
}

# Two ports for this run, below those that the system gives out by itself.
pair_ports()
{
	pair_port=$((12000 + ($(date +%N | sed 's/^0*//;s/^$/0/') / 1000 + $$) % 9000 * 2))
}

pair_complain()
{
	echo "$*" >&2
	return 1
}

# The store is larger than what a run writes: nothing is cleaned yet. A site is called after
# its role.
pair_site_config() # SITE PEER-LINE VOLUMES
{
	cat <<END
node = "$1";
control = "$pair_sock/$1.control";
nbd: { listen = [ "unix:$pair_sock/$1.nbd" ]; };
groups: (
  { name = "$pair_group";
    store = "$pair_dir/$1.store";
    store_size = "${pair_store_size:-4GiB}";
    role = "$1";
    sync = "${pair_sync:-network}";
    ${pair_group_more:-}
    volumes = ( $3 );
    peer: {
      $2
      key = "$pair_dir/key";
      rate = "${pair_rate:-180Mbit}";
      ${pair_peer:-}
      $([ "$1" = mirror ] || echo "${pair_peer_primary:-}")
      fec: { ${pair_fec:-safety = 1e-6;}
        assume: { loss = ${pair_assume:-0.01}; burst = ${pair_assume_burst:-1.0}; }; };
    };
  } );
END
}

pair_volume_config() # NAME:SIZE:MODE
{
	IFS=: read -r name size mode <<END
$1
END
	echo "{ name = \"$name\"; size = \"$size\"; sync = \"$mode\"; }"
}

pair_config()
{
	pair_volumes=
	for pair_volume in $1; do
		pair_volumes="$pair_volumes${pair_volumes:+, }$(pair_volume_config "$pair_volume")"
	done
	pair_dials=127.0.0.1:$pair_port
	pair_listens=127.0.0.1:$((pair_port + 1))
	if pair_is_tun; then
		pair_dials=$line_b_address:$pair_tun_port
		pair_listens=$pair_dials
	fi
	pair_site_config primary "address = \"$pair_dials\";" "$pair_volumes" \
		>"$pair_dir/primary.conf" || return 1
	pair_site_config mirror "listen = \"$pair_listens\";" "$pair_volumes" \
		>"$pair_dir/mirror.conf" || return 1
	[ -e "$pair_dir/key" ] || "$B/wanmirror" keygen "$pair_dir/key" >"$pair_dir/keygen.log" 2>&1 ||
		pair_complain "keygen failed: $(cat "$pair_dir/keygen.log")"
}

pair_create()
{
	for site in primary mirror; do
		"$B/wanmirror" create -c "$pair_dir/$site.conf" >"$pair_dir/create.log" 2>&1 ||
			pair_complain "create at the $site failed: $(cat "$pair_dir/create.log")" ||
			return 1
	done
}

# pair_until SECONDS command ...: repeats it every 20 ms until it is true.
pair_until()
{
	tries=$(($1 * 50))
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.02
	done
}

pair_line()
{
	if pair_is_tun; then
		line_up "$@"
		return
	fi
	# As ports are guessed, another process may have one of them: then others.
	for _ in 1 2 3 4 5; do
		rm -f "$pair_dir/line.log"
		"$B/tests/wan/wanem" listen=127.0.0.1:$pair_port \
			to=127.0.0.1:$((pair_port + 1)) control="$pair_sock/line" "$@" \
			>"$pair_dir/line.log" 2>&1 &
		pair_relay=$!
		if pair_until 5 grep -qs -e ready -e 'wanem:' -e usage "$pair_dir/line.log" &&
			grep -q ready "$pair_dir/line.log"; then
			return 0
		fi
		kill $pair_relay 2>/dev/null
		wait $pair_relay 2>/dev/null
		pair_relay=
		grep -q 'in use' "$pair_dir/line.log" || break
		pair_renumber
	done
	pair_complain "the relay does not start: $(cat "$pair_dir/line.log")"
}

pair_renumber()
{
	old=$pair_port
	pair_port=$((pair_port + 2))
	sed -i "s/127\.0\.0\.1:$((old + 1))/127.0.0.1:$((pair_port + 1))/
		s/127\.0\.0\.1:$old/127.0.0.1:$pair_port/" "$pair_dir"/*.conf
}

# One line of JSON; see tests/wan/command.c.
pair_ask_line()
{
	"$B/tests/wan/wanem" -c "$(pair_line_socket)" "$@"
}

pair_line_socket()
{
	if pair_is_tun; then
		echo "$line_dir/control"
	else
		echo "$pair_sock/line"
	fi
}

# The number called $1 in direction $2 (ab: from the primary) of a relay's answer.
pair_line_number()
{
	line_number "$@"
}

pair_prefix() # SITE
{
	pair_is_tun || return 0
	case $1 in
	primary) echo "$line_a" ;;
	mirror) echo "$line_b" ;;
	esac
}

pair_start()
{
	# shellcheck disable=SC2046 # words
	$(pair_prefix "$1") "$B/wanmirrord" -c "$pair_dir/$1.conf" >>"$pair_dir/$1.log" 2>&1 &
	eval "pair_$1=$!"
	pair_until 10 pair_answers "$1" ||
		pair_complain "the $1 does not start: $(tail -n 5 "$pair_dir/$1.log")"
}

pair_answers()
{
	pair_status "$1" >/dev/null 2>&1
}

pair_status() # SITE [--json]
{
	site=$1
	shift
	"$B/wanmirror" -c "$pair_dir/$site.conf" status "$@"
}

# The value of the first "name" in the site's status.
pair_value() # SITE NAME
{
	pair_status "$1" --json 2>/dev/null | tr -d '\n' |
		sed -n "s/^\(.*[,{[:space:]]\)\{0,1\}\"$2\": *\"\{0,1\}\([^\",}]*\).*/\2/p"
}

pair_has() # SITE NAME VALUE
{
	[ "$(pair_value "$1" "$2")" = "$3" ]
}

pair_wait() # SITE STATE SECONDS
{
	pair_until "$3" pair_has "$1" state "$2" ||
		pair_complain "the $1 is $(pair_value "$1" state), not $2: $(tail -n 5 "$pair_dir/$1.log")"
}

# True when the mirror has all that the primary was given.
pair_is_even()
{
	pair_status primary --json 2>/dev/null | tr -d ' \n' |
		awk '{ a = $0; sub(/.*"admitted":/, "", a); p = $0; sub(/.*"persisted":/, "", p)
			exit !(a + 0 == p + 0) }'
}

# Ends once two looks in a row at what the mirror persisted show the same.
pair_mirror_settles()
{
	before=none
	for _ in $(seq 200); do
		now=$(pair_value mirror persisted)
		[ "$now" != "$before" ] || return 0
		before=$now
		sleep 0.05
	done
	pair_complain "the mirror does not settle"
}

# The primary dies by kill -9, with $1 datagrams or more in the line, and when it is dead,
# the line is cut behind it. Prints the relay's numbers at the cut.
pair_disaster() # [DATAGRAMS]
{
	timeout 60 "$B/tests/wan/wanem" -c "$(pair_line_socket)" cut --kill \
		"$pair_primary" "${1:-0}" || return 1
	wait "$pair_primary" 2>/dev/null
	pair_primary=
}

pair_kill()
{
	eval "pid=\$pair_$1"
	[ -n "$pid" ] || return 0
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	eval "pair_$1="
}

pair_uri() # SITE VOLUME
{
	echo "nbd+unix:///$2?socket=$pair_sock/$1.nbd"
}

# Ends what runs, in order, and removes everything.
pair_free()
{
	[ -n "${pair_dir:-}" ] || return 0
	for pid in $pair_primary $pair_mirror $pair_relay; do
		kill "$pid" 2>/dev/null
	done
	for pid in $pair_primary $pair_mirror $pair_relay; do
		pair_until 10 pair_gone "$pid" || kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	pair_primary=
	pair_mirror=
	pair_relay=
	! pair_is_tun || line_down
	rm -rf "$pair_dir" "$pair_sock"
}

# Dead, or waiting to be waited for.
pair_gone()
{
	case $(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null) in
	'' | Z) return 0 ;;
	esac
	return 1
}
