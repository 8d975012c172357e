// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/control/config_base.h"

/*
 * What an operator meant is what runs, or the daemon says where the file is wrong and what
 * may stand there: each kind of mistake is refused with file, line and key; what this
 * version does not have is never ignored.
 */

static void a_whole_file_is_read(void **state)
{
	const struct group_config *g = &config.group;

	good(0, "");
	assert_string_equal(config.node, "nyc");
	assert_string_equal(g->node, "nyc");
	assert_string_equal(config.control, "/run/wm/control.sock");
	assert_int_equal(config.nbd.nlisten, 2);
	assert_string_equal(config.nbd.listen[0].path, "/run/wm/nbd.sock");
	assert_int_equal(config.nbd.listen[1].port, 10809);
	assert_int_equal(config.nbd.connections, 100);
	assert_string_equal(g->name, "db");
	assert_string_equal(g->store, "/dev/vg0/wm-db");
	assert_int_equal(g->store_size, UINT64_C(600) << 30);
	assert_int_equal(g->role, GROUP_PRIMARY);
	assert_int_equal(g->nvolumes, 2);
	assert_string_equal(g->volumes[1].name, "wal");
	assert_int_equal(g->volumes[0].size, UINT64_C(400) << 30);
	assert_int_equal(g->volumes[0].sync, GROUP_NETWORK);
	assert_int_equal(g->volumes[1].sync, GROUP_REMOTE);
	assert_true(g->has_peer);
	assert_true(g->peer.dials);
	assert_int_equal(g->peer.addr.port, 7700);
	assert_string_equal(config.key_path, "/etc/wm/db.key");
	assert_int_equal(g->peer.rate_bps, 900000000);
	assert_int_equal(g->peer.evidence, GROUP_EV_DRIVER);
	assert_string_equal(g->peer.fec.code, "window");
	assert_true(g->peer.fec.safety == 1e-6);
	assert_true(g->peer.fec.assume_loss == 0.01);
	assert_true(g->peer.fec.assume_burst == 1);
	assert_true(g->peer.fec.share == 0.10);
}

static void what_is_left_out_has_its_default(void **state)
{
	static const char text[] =
		"node = \"a\"; groups: ( { name = \"g\"; store = \"/s\"; "
		"role = \"primary\"; volumes = ( { name = \"v\"; "
		"size = \"1GiB\"; } ); } );";
	const struct group_config *g = &config.group;

	assert_int_equal(config_parse("t", text, strlen(text), 0, &config, &errors), 0);
	assert_string_equal(config.control, "/run/wanmirror/control.sock");
	assert_int_equal(config.log, RT_LOG_INFO);
	assert_int_equal(config.nbd.nlisten, 1);
	assert_string_equal(config.nbd.listen[0].path, "/run/wanmirror/nbd.sock");
	assert_int_equal(config.nbd.connections, 1024);
	assert_false(g->has_peer);
	assert_int_equal(g->store_size, 0);
	assert_int_equal(g->sync, GROUP_LOCAL); /* without a peer */
	assert_int_equal(g->volumes[0].sync, GROUP_LOCAL);
	assert_false(g->volumes[0].has_on_disconnect);
	assert_int_equal(g->hold, GROUP_HOLD_BY_MODE);
	assert_false(g->fua_remote);
	assert_int_equal(g->on_disconnect, GROUP_CONTINUE);
	assert_int_equal(g->segment_size, 64u << 20);
	assert_int_equal(g->max_request, 1u << 20);
	assert_int_equal(g->checkpoint_bytes, 1u << 30);
	assert_int_equal(g->map_memory, 1u << 30);
	assert_int_equal(g->hold_timeout_ms, 0);
	assert_int_equal(g->open_timeout_ms, 10000);
	assert_int_equal(g->exposure_ms, 0);
	assert_int_equal(g->exposure_bytes, 0);
	assert_int_equal(g->exposure_writes, 0);

	good(16, "");
	assert_int_equal(g->sync, GROUP_NETWORK);
	assert_int_equal(g->send_memory, 64u << 20);
	assert_int_equal(g->control_timeout_ms, 10000);
	assert_int_equal(g->heartbeat_ms, 1000);
	assert_int_equal(g->away_ms, 5000);
	good(22, "fec: {");
	assert_string_equal(g->peer.fec.code, "window");
	good(24, "");
	assert_true(g->peer.fec.assume_loss == 0.01);
	good(13, ""); /* with a peer */
	assert_int_equal(g->sync, GROUP_NETWORK);
}

static void unknown_key_is_refused_with_the_nearest_one(void **state)
{
	bad(1, "node = \"nyc\"; nodes = 1;", "1: nodes: ", "did you mean node?");
	bad(4, "  tsl = \"off\";", "4: nbd.tsl: ", "did you mean tls?");
	bad(13, "    snyc = \"network\";", "13: groups[0].snyc: ", "did you mean sync?");
	bad(12, "{ name = \"w\"; siez = \"1GiB\"; } );",
	    "12: groups[0].volumes[1].siez: ", "did you mean size?");
	bad(24, "assume: { los = 0.01; };",
	    "24: groups[0].peer.fec.assume.los: ", "loss?");
	bad(15, "    safety = 0.1;",
	    "15: groups[0].safety: ", "did you mean safety of groups[].peer.fec?");
	bad(20, "rate = \"1Mbit\"; frobnicate = 1;",
	    "20: groups[0].peer.frobnicate: ", "allowed: address, listen, key");
}

static void key_set_twice_is_refused(void **state)
{
	bad(2, "control = \"/a\";\nnode = \"b\";", "3: node: ", "first on line 1");
	bad(16, "    sync = \"local\";", "16: sync: ", "first on line 13");
	bad(12, "{ name = \"w\"; size = \"1GiB\"; size = \"2GiB\"; } );",
	    "12: size: ", "first on line 12");
	/* The same name in another section is another key. */
	good(12, "{ name = \"w\"; size = \"1GiB\"; } );");
}

static void wrong_type_is_refused(void **state)
{
	bad(1, "node = 5;", "1: node: ", "it is an integer; allowed: 1 to 63 letters");
	bad(5, "connections = \"100\"; };", "5: nbd.connections: ",
	    "it is a string; allowed: an integer from 1 to 65536");
	bad(5, "connections = 1.5; };", "5: nbd.connections: ", "it is a number");
	bad(5, "allow_plaintext = 1; };",
	    "5: nbd.allow_plaintext: ", "allowed: true or false");
	bad(9, "store_size = 600;", "9: groups[0].store_size: ",
	    "it is an integer; allowed: a size from \"16MiB\"");
	bad(13, "sync = true;", "13: groups[0].sync: ",
	    "it is true or false; allowed: \"local\", \"network\" or \"remote\"");
	bad(20, "rate = 900.0;",
	    "20: groups[0].peer.rate: ", "it is a number; allowed: a rate");
	bad(23, "safety = \"1e-6\";", "23: groups[0].peer.fec.safety: ",
	    "it is a string; allowed: a number from 1e-12 to 0.1");
	bad(24, "assume = 3;",
	    "24: groups[0].peer.fec.assume: ", "it is an integer; allowed: a section");
	bad(3, "nbd: { listen = \"unix:/x\";",
	    "3: nbd.listen: ", "it is a string; allowed: [ ... ]");
	bad(3, "nbd: { listen = [ 1, 2 ];",
	    "3: nbd.listen: ", "it is an integer; allowed");
	bad(11, "volumes = ( 1,",
	    "11: groups[0].volumes[0]: ", "it is an integer; allowed: a section");
	bad(3, "nbd = { }; x = {", "3: x: ", "unknown key");
	bad(14, "fua = { };", "14: groups[0].fua: ", "it is a section");
}

static void wrong_unit_is_refused(void **state)
{
	bad(9, "store_size = \"600\";",
	    "9: groups[0].store_size: ", "\"600\": it has no unit; allowed: a size from");
	bad(9, "store_size = \"600GB\";", "9: groups[0].store_size: ", "unknown unit");
	bad(9, "store_size = \"600 Mbit\";",
	    "9: groups[0].store_size: ", "units TiB, GiB, MiB, KiB, B");
	bad(20, "rate = \"900MB\";",
	    "20: groups[0].peer.rate: ", "units Gbit, Mbit, kbit, bit");
	bad(20, "rate = \"fast\";", "20: groups[0].peer.rate: ", "whole number");
	bad(21, "heartbeat = \"1\";",
	    "21: groups[0].peer.heartbeat: ", "units h, min, s, ms");
	bad(14, "max_exposure = \"100\";", "14: groups[0].max_exposure: ", "100 writes");
}

/* Two times that do not go together drop a connection that is well, or a peer. */
static void times_that_contradict_each_other_are_refused(void **state)
{
	bad(21, "heartbeat = \"2s\"; away = \"2s\";", "21: groups[0].peer.away: ",
	    "away (2000 ms) is not more than heartbeat (2000 ms)");
	bad(21, "heartbeat = \"2s\"; away = \"2s\";", "21: groups[0].peer.away: ",
	    "allowed: away above 2000 ms, or heartbeat below 2000 ms");
	bad(21, "control_timeout = \"1999ms\";", "21: groups[0].peer.control_timeout: ",
	    "control_timeout (1999 ms) is not more than 2 times heartbeat (1000 ms)");
	bad(21, "control_timeout = \"1999ms\";", "21: groups[0].peer.control_timeout: ",
	    "allowed: control_timeout above 2000 ms, or heartbeat below 1000 ms");
	bad(21, "control_timeout = \"2s\";",
	    "21: groups[0].peer.control_timeout: ", "dropped between two heartbeats");
	good(21, "control_timeout = \"2001ms\";");
}

/* A write must not fail before the policy for a mirror that is away may let it go. */
static void writes_do_not_fail_before_the_policy_acts(void **state)
{
	bad(14, "hold_timeout = \"5s\";", "14: groups[0].hold_timeout: ",
	    "hold_timeout (5000 ms) is not more than away (5000 ms)");
	bad(14, "hold_timeout = \"5s\";", "14: groups[0].hold_timeout: ",
	    "allowed: hold_timeout above 5000 ms, or away below 5000 ms");
	good(14, "hold_timeout = \"5001ms\";");
	good(14, "hold_timeout = \"none\";");
}

/*
 * `promote` takes 5 s of silence for the end of a primary: one that has nothing to say must
 * give signs of life more often than that, also when one of them is lost.
 */
static void an_idle_primary_is_heard_before_it_may_be_replaced(void **state)
{
	bad(21, "heartbeat = \"8s\"; away = \"20s\"; control_timeout = \"20s\";",
	    "21: groups[0].peer.heartbeat: ", "2s");
	good(21, "heartbeat = \"2s\"; away = \"20s\"; control_timeout = \"20s\";");
	assert_true(2 * config.group.heartbeat_ms < GROUP_PROMOTE_SILENCE_MS);
}

/* What an address cannot mean is said, and what would be right. */
static void addresses_that_lead_nowhere_are_refused(void **state)
{
	bad(18, "address = \"[fe80::2]:7700\";",
	    "18: groups[0].peer.address: ", "valid on one link only");
	bad(3, "nbd: { listen = [ \"tcp:[fe80::2]:10809\" ];",
	    "3: nbd.listen: ", "valid on one link only");
	bad(18, "address = \"203.0.113.7:77000\";",
	    "18: groups[0].peer.address: ", "ports end with 65535");
	bad(3, "nbd: { listen = [ \"tcp:127.0.0.1:65536\" ];",
	    "3: nbd.listen: ", "ports end with 65535");
	bad(18, "address = \"203.0.113.7\";",
	    "18: groups[0].peer.address: ", "it is no HOST:PORT");
	good(18, "address = \"[fc80::2]:65535\";");
}

/* One socket serves the peer and the relay at the border: IPv4 does not reach IPv6. */
static void a_relay_that_the_socket_cannot_reach_is_refused(void **state)
{
	good(21, "evidence = \"edge\"; "
		 "edge: { address = \"10.0.0.1:7701\"; key = \"/etc/wm/edge.key\"; };");
	bad(21,
	    "evidence = \"edge\"; "
	    "edge: { address = \"[::1]:7701\"; key = \"/etc/wm/edge.key\"; };",
	    "21: groups[0].peer.edge.address: ", "of IPv6 and the peer's of IPv4");
}

struct limit {
	unsigned line;
	const char *before, *low, *under, *high, *over, *after;
	const char *key;
};

/* Each range at both of its ends, and one step beyond them. */
static void limits_are_where_they_are_said_to_be(void **state)
{
	static const struct limit limits[] = {
		{ 5, "connections = ", "1", "0", "65536", "65537", "; };",
		  "nbd.connections" },
		{ 14, "checkpoint = ", "\"1MiB\"", "\"1048575B\"", "\"1TiB\"",
		  "\"1099511627777B\"", ";", "groups[0].checkpoint" },
		{ 14, "map_memory = ", "\"1MiB\"", "\"1048575B\"", "\"4TiB\"",
		  "\"4398046511105B\"", ";", "groups[0].map_memory" },
		{ 14, "max_request = ", "\"64KiB\"", "\"60KiB\"", "\"16MiB\"",
		  "\"16388KiB\"", ";", "groups[0].max_request" },
		{ 14, "max_request = \"64KiB\"; segment = ", "\"1MiB\"", "\"512KiB\"",
		  "\"256MiB\"", "\"512MiB\"", ";", "groups[0].segment" },
		{ 14, "hold_timeout = ", "\"5001ms\"", "\"999ms\"", "\"24h\"",
		  "\"86400001ms\"", ";", "groups[0].hold_timeout" },
		{ 14, "open_timeout = ", "\"100ms\"", "\"99ms\"", "\"1h\"",
		  "\"3600001ms\"", ";", "groups[0].open_timeout" },
		{ 21, "heartbeat = \"10ms\"; control_timeout = ", "\"100ms\"", "\"99ms\"",
		  "\"10min\"", "\"600001ms\"", ";", "groups[0].peer.control_timeout" },
		{ 21, "heartbeat = ", "\"10ms\"", "\"9ms\"", "\"2s\"", "\"2001ms\"", ";",
		  "groups[0].peer.heartbeat" },
		{ 21, "heartbeat = \"10ms\"; away = ", "\"100ms\"", "\"99ms\"",
		  "\"10min\"", "\"600001ms\"", ";", "groups[0].peer.away" },
		{ 21, "send_memory = ", "\"2MiB\"", "\"2097151B\"", "\"64GiB\"",
		  "\"68719476737B\"", ";", "groups[0].peer.send_memory" },
		{ 20, "rate = ", "\"100kbit\"", "\"99999bit\"", "\"400Gbit\"",
		  "\"400000000001bit\"", ";", "groups[0].peer.rate" },
		{ 12, "{ name = \"w\"; size = ", "\"4KiB\"", "\"0B\"", "\"200GiB\"",
		  "\"65TiB\"", "; } );", "groups[0].volumes[1].size" },
		{ 9, "store_size = ", "\"420GiB\"", "\"16380KiB\"", "\"128TiB\"",
		  "\"129TiB\"", ";", "groups[0].store_size" },
		{ 23, "safety = ", "1e-12", "0.9e-12", "0.1", "0.11", ";",
		  "groups[0].peer.fec.safety" },
		{ 24, "assume: { loss = ", "0", "-0.01", "0.5", "0.51", "; };",
		  "groups[0].peer.fec.assume.loss" },
		{ 24, "assume: { burst = ", "1", "0.99", "1000", "1000.5", "; };",
		  "groups[0].peer.fec.assume.burst" },
		{ 25, "share = ", "0.01", "0.0099", "1", "1.01", "; };",
		  "groups[0].peer.fec.share" },
		{ 25, "max = 1.0; min = ", "0.01", "0.0099", "1", "1.01", "; };",
		  "groups[0].peer.fec.min" },
		{ 25, "min = 0.01; max = ", "0.01", "0.0099", "1", "1.01", "; };",
		  "groups[0].peer.fec.max" },
		{ 25, "r = ", "1", "0", "128", "129", "; };", "groups[0].peer.fec.r" },
		{ 25, "c = ", "0", "-1", "127", "128", "; };", "groups[0].peer.fec.c" },
		{ 25, "interleave = ", "[ 1 ]", "[ 0 ]", "[ 512, 1 ]", "[ 1, 513 ]",
		  "; };", "groups[0].peer.fec.interleave" },
	};

	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		const struct limit *l = &limits[i];
		const char *const values[] = { l->low, l->high, l->under, l->over };
		char text[200], start[100];

		(void)snprintf(start, sizeof(start), "%u: %s: ", l->line, l->key);
		line_22 = l->line == 24 || l->line == 25 ? "      fec: { code = \"none\";"
							 : NULL;
		for (unsigned j = 0; j < 4; j++) {
			(void)snprintf(text, sizeof(text), "%s%s%s", l->before, values[j],
				       l->after);
			if (j < 2)
				good(l->line, text);
			else
				bad(l->line, text, start, "");
		}
	}
	line_22 = NULL;
}

/* A safety that no number of repairs reaches is refused before a write relies on it. */
static void safety_must_be_in_reach(void **state)
{
	bad(24, "assume: { loss = 0.5; };",
	    "23: groups[0].peer.fec.safety: ", "out of reach at a loss of 0.5");
}

static void shapes_of_sizes_are_held(void **state)
{
	bad(12, "{ name = \"w\"; size = \"513B\"; } );",
	    "12: groups[0].volumes[1].size: ", "it is no multiple; allowed");
	bad(14, "segment = \"65MiB\";", "14: groups[0].segment: ", "power of two");
	bad(14, "segment = \"2MiB\";",
	    "14: groups[0].segment: ", "quarter of segment (2MiB)");
	bad(9, "store_size = \"419GiB\";",
	    "9: groups[0].store_size: ", "420GiB together");
}

/* libconfig 1.5 wraps them silently: 4294967297 would be 1. */
static void integer_beyond_32_bits_is_refused(void **state)
{
	good(5, "connections = 0x400; };");
	assert_int_equal(config.nbd.connections, 1024);
	good(5, "connections = 100L; };");
	assert_int_equal(config.nbd.connections, 100);
	bad(5, "connections = 4294967297; };", "5: 4294967297 is beyond 32 bits",
	    "strings with a unit");
	bad(5, "connections = 2147483648; };", "5: 2147483648 is beyond 32 bits", "");
	bad(5, "connections = 2147483647; };",
	    "5: nbd.connections: 2147483647 is out of range", "");
	bad(5, "connections = -2147483649; };", "5: -2147483649 is beyond 32 bits", "");
	bad(5, "connections = 0x100000064; };", "5: 0x100000064 is beyond 32 bits", "");
	bad(5, "connections = 18446744073709551716L; };",
	    "5: 18446744073709551716L is beyond 64 bits", "");
	bad(12, "{ name = \"w\"; size = 21474836480; } );",
	    "12: 21474836480 is beyond 32 bits", "\"400GiB\"");
	/* Not in comments, not in strings. */
	good(1, "node = \"n4294967297\"; # 4294967297");
	good(1, "node = \"nyc\"; // 4294967297\n");
	good(1, "/* 4294967297\n \" */ node = \"nyc\";");
	bad(1, "node = \"n\\\"4294967297\";\nx = 4294967297;", "2: 4294967297 is beyond",
	    "");
}

static void zero_is_a_number(void **state)
{
	good(24, "assume: { loss = 0; burst = 1; };");
	assert_true(config.group.peer.fec.assume_loss == 0);
	good(25, "share = 1; };");
	assert_true(config.group.peer.fec.share == 1);
}

static void what_is_not_in_this_version_is_said(void **state)
{
	static const struct {
		unsigned line;
		const char *text, *key;
	} later[] = {
		{ 2, "metrics = \"tcp:127.0.0.1:9810\";", "2: metrics: " },
		{ 4, "tls = \"allow\";", "4: nbd.tls: " },
		{ 4, "tls = \"require\";", "4: nbd.tls: " },
		{ 15, "retention = \"1h\";", "15: groups[0].retention: " },
		{ 27, "}, { name = \"two\"; } );", "6: groups: " },
		{ 1, "@include \"/etc/hostname\"", "1: @include: " },
	};

	for (unsigned i = 0; i < sizeof(later) / sizeof(*later); i++)
		bad(later[i].line, later[i].text, later[i].key, "not in this version");
	good(21, "transport = \"udp\";");
	good(21, "evidence = \"mirror\";");
	good(22, "fec: { code = \"none\";");
}

static void missing_keys_are_said(void **state)
{
	bad(1, "", " node: it must be set", ""); /* the file as a whole: no line */
	bad(7, "{", "7: groups[0].name: it must be set", "");
	bad(8, "", "7: groups[0].store: it must be set", "");
	bad(10, "", "7: groups[0].role: it must be set", "");
	bad(12, "{ size = \"20GiB\"; } );",
	    "12: groups[0].volumes[1].name: it must be set", "");
	bad(12, "{ name = \"wal\"; } );", "12: groups[0].volumes[1].size: it must be set",
	    "");
	bad(19, "", "17: groups[0].peer.key: it must be set", "");
	bad(20, "", "17: groups[0].peer.rate: it must be set", "");
	bad(18, "", "17: groups[0].peer: it has neither address nor listen", "");
}

static void addresses_are_held(void **state)
{
	good(18, "listen = \"0.0.0.0:7700\";");
	assert_false(config.group.peer.dials);
	good(18, "listen = \"*:7700\";");
	good(18, "address = \"[2001:db8::7]:7700\";");
	bad(18, "address = \"0.0.0.0:7700\";",
	    "18: groups[0].peer.address: ", "none to dial");
	bad(18, "address = \"203.0.113.7\";",
	    "18: groups[0].peer.address: ", "HOST:PORT");
	bad(18, "address = \"203.0.113.7:0\";", "18: groups[0].peer.address: ", "port 0");
	bad(18, "address = \"203.0.113.7:65536\";",
	    "18: groups[0].peer.address: ", "HOST:PORT");
	bad(18, "address = \"tcp:203.0.113.7:7700\";",
	    "18: groups[0].peer.address: ", "HOST:PORT");
	bad(18, "address = \"db.example:7700\";",
	    "18: groups[0].peer.address: ", "numeric");
	bad(18, "address = \"unix:/x\";", "18: groups[0].peer.address: ", "HOST:PORT");
	bad(18, "address = \"1.2.3.4:7700\"; listen = \"*:7700\";",
	    "18: groups[0].peer.listen: ", "address is set too");
	good(3, "nbd: { listen = [ ];");
	assert_int_equal(config.nbd.nlisten, 0);
	bad(3, "nbd: { listen = [ \"127.0.0.1:10809\" ];",
	    "3: nbd.listen: ", "unix:PATH");
	bad(3, "nbd: { listen = [ \"udp:127.0.0.1:10809\" ];",
	    "3: nbd.listen: ", "unix:PATH");
	bad(3, "nbd: { listen = [ \"unix:/a\",\n\"tcp:1:1:1\" ];",
	    "4: nbd.listen: ", "unix:PATH");
	bad(3, "nbd: { listen = [ \"unix:/a\", \"unix:/a\" ];",
	    "3: nbd.listen: ", "twice");
	bad(3, "nbd: { listen = [ \"unix:/run/wm/control.sock\" ];",
	    "3: nbd.listen: ", "control socket");
}

static void plaintext_beyond_this_host_is_asked_for(void **state)
{
	good(3, "nbd: { listen = [ \"tcp:127.9.9.9:1\", \"tcp:[::1]:1\" ];");
	good(3, "nbd: { listen = [ \"tcp:[::ffff:127.0.0.1]:1\" ];");
	bad(3, "nbd: { listen = [ \"tcp:10.0.0.1:10809\" ];",
	    "3: nbd.listen: ", "allow_plaintext = true");
	bad(3, "nbd: { listen = [ \"tcp:*:10809\" ];",
	    "3: nbd.listen: ", "allow_plaintext = true");
	bad(3, "nbd: { listen = [ \"tcp:[::]:10809\" ];",
	    "3: nbd.listen: ", "allow_plaintext = true");
	bad(3, "nbd: { listen = [ \"tcp:[::ffff:10.0.0.1]:10809\" ];",
	    "3: nbd.listen: ", "allow_plaintext");
	good(3, "nbd: { listen = [ \"tcp:10.0.0.1:10809\" ]; allow_plaintext = true;");
	bad(3, "nbd: { listen = [ \"tcp:10.0.0.1:10809\" ]; allow_plaintext = false;",
	    "3: nbd.listen: ", "allow_plaintext");
}

static void names_and_paths_are_held(void **state)
{
	good(1, "node = "
		"\"a23456789012345678901234567890123456789012345678901234567890123\";");
	bad(1,
	    "node = "
	    "\"a234567890123456789012345678901234567890123456789012345678901234\";",
	    "1: node: ", "too long");
	bad(1, "node = \"\";", "1: node: ", "empty");
	bad(1, "node = \"n yc\";", "1: node: ", "no name");
	bad(1, "node = \"-nyc\";", "1: node: ", "no name");
	bad(12, "{ name = \"data@now\"; size = \"1GiB\"; } );",
	    "12: groups[0].volumes[1].name: ", "no name");
	bad(12, "{ name = \"data\"; size = \"1GiB\"; } );",
	    "12: groups[0].volumes[1].name: ", "name of volume 0 already");
	bad(2, "control = \"control.sock\";", "2: control: ", "absolute");
	bad(8, "store = \"\";", "8: groups[0].store: ", "absolute");
	bad(2,
	    "control = "
	    "\"/"
	    "2345678901234567890123456789012345678901234567890123456789012345678901234567"
	    "8901234567890123456789012345678\";",
	    "2: control: ", "at most 107 bytes");
}

static void mode_needs_a_peer(void **state)
{
	static const char head[] =
		"node = \"a\"; groups: ( { name = \"g\"; store = \"/s\";\n";
	static const char tail[] =
		"\nvolumes = ( { name = \"v\"; size = \"1GiB\"; } ); } );";
	static const char *const wrong[][2] = {
		{ "role = \"primary\"; sync = \"network\";", "t:2: groups[0].sync: " },
		{ "role = \"primary\"; sync = \"remote\";", "t:2: groups[0].sync: " },
		{ "role = \"primary\"; fua = \"remote\";", "t:2: groups[0].fua: " },
		{ "role = \"primary\"; on_disconnect = \"hold\";",
		  "t:2: groups[0].on_disconnect: " },
		{ "role = \"primary\"; max_exposure = \"3s\";",
		  "t:2: groups[0].max_exposure: " },
		{ "role = \"mirror\";", "t:2: groups[0].role: " },
	};
	char text[1000];

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		(void)snprintf(text, sizeof(text), "%s%s%s", head, wrong[i][0], tail);
		assert_int_equal(config_parse("t", text, strlen(text), 0, &config,
					      &errors),
				 -EINVAL);
		if (strncmp(errors.text[0], wrong[i][1], strlen(wrong[i][1])) != 0)
			fail_msg("%s", errors.text[0]);
	}
	(void)snprintf(text, sizeof(text), "%srole = \"primary\"; sync = \"local\";%s",
		       head, tail);
	assert_int_equal(config_parse("t", text, strlen(text), 0, &config, &errors), 0);
}

static void exposure_has_three_forms(void **state)
{
	good(14, "max_exposure = \"30s\";");
	assert_int_equal(config.group.exposure_ms, 30000);
	assert_int_equal(config.group.exposure_bytes, 0);
	good(14, "max_exposure = \"2GiB\";");
	assert_int_equal(config.group.exposure_ms, 0);
	assert_int_equal(config.group.exposure_bytes, UINT64_C(2) << 30);
	good(14, "max_exposure = \"100 writes\";");
	assert_int_equal(config.group.exposure_bytes, 0);
	assert_int_equal(config.group.exposure_writes, 100);
	bad(14, "max_exposure = \"0s\";", "14: groups[0].max_exposure: ", "too small");
	bad(14, "max_exposure = \"9223372036854775808ms\";",
	    "14: groups[0].max_exposure: ", "too large");
}

static void what_a_volume_says_itself_is_kept(void **state)
{
	good(12, "{ name = \"w\"; size = \"1GiB\"; on_disconnect = \"hold\"; } );");
	assert_false(config.group.volumes[0].has_on_disconnect);
	assert_true(config.group.volumes[1].has_on_disconnect);
	assert_int_equal(config.group.volumes[1].on_disconnect, GROUP_STOP);
}

/* `wanmirrord -n` says what `hold` comes to for each volume. */
static void hold_means_this(const char *line, enum group_hold hold, const char *data,
			    const char *wal)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	good(15, line);
	assert_int_equal(config.group.hold, hold);
	config_describe(&config, out);
	assert_int_equal(fclose(out), 0);
	if (!strstr(text, data) || !strstr(text, wal))
		fail_msg("%s: %s", line, text);
}

static void hold_is_by_the_mode_where_it_is_left_out(void **state)
{
	hold_means_this("", GROUP_HOLD_BY_MODE, "network, hold = \"write\"\n",
			"remote, hold = \"flush\"\n");
	hold_means_this("hold = \"write\";", GROUP_HOLD_WRITE,
			"network, hold = \"write\"\n", "remote, hold = \"write\"\n");
	hold_means_this("hold = \"flush\";", GROUP_HOLD_FLUSH,
			"network, hold = \"flush\"\n", "remote, hold = \"flush\"\n");
}

static void broken_text_is_refused_at_its_line(void **state)
{
	bad(5, "connections 100; };", "5: ", "syntax error");
	bad(12, "{ name = \"wal\"; size = \"20GiB\"; }, );",
	    "12: ", "a comma before the closing ')'");
	bad(3, "nbd: { listen = [ \"unix:/a\", ];",
	    "3: ", "a comma before the closing ']'");
	bad(1, "node = \"nyc;", "1: ", "a string that does not end on its line");
	bad(8, "store = \"/dev/vg0/wm-db;",
	    "8: ", "a string that does not end on its line");
	assert_int_equal(config_parse("t", "\xef\xbb\xbfnode = \"a\";", 14, 0, &config,
				      &errors),
			 -EINVAL);
	assert_non_null(strstr(errors.text[0], "t:1: it begins with a byte order mark"));
	bad(1, "((((((((((((((((((", "1: ", "more than 16 brackets");
	assert_int_equal(config_parse("t", "a\0b", 3, 0, &config, &errors), -EINVAL);
	assert_non_null(strstr(errors.text[0], "bytes of 0"));
	assert_int_equal(config_parse("t", "", 0, 0, &config, &errors), -EINVAL);
	assert_string_equal(errors.text[0], "t: node: it must be set");
}

static void all_errors_are_told_up_to_a_bound(void **state)
{
	char text[4000] = "";

	(void)parse_with(1, "node = 1; nodes = 2; nbdd = 3;");
	assert_int_equal(errors.n, 3);
	for (unsigned i = 0; i < 20; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "k%u = 1;\n", i);
	assert_int_equal(config_parse("t", text, strlen(text), 0, &config, &errors),
			 -EINVAL);
	assert_int_equal(errors.n, CONFIG_ERRORS_MAX);
	assert_int_equal(errors.dropped, 20 + 2 - CONFIG_ERRORS_MAX);
}

static void nothing_is_given_back_on_error(void **state)
{
	struct config before;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	assert_int_equal(parse_with(13, "sync = 1;"), -EINVAL);
	assert_memory_equal(&config, &before, sizeof(config));
}

/* Cut anywhere, the file is refused or means something whole; it never crashes. */
static void every_truncation_is_survived(void **state)
{
	char file[8192];
	size_t len = 0;

	for (unsigned i = 0; i < LINES; i++)
		len += (size_t)snprintf(file + len, sizeof(file) - len, "%s\n", base[i]);
	/* All of it up to the last bracket is needed; what follows is ';' and a newline. */
	for (size_t cut = 0; cut < len - 2; cut++)
		assert_int_equal(config_parse("t", file, cut, 0, &config, &errors),
				 -EINVAL);
	assert_int_equal(config_parse("t", file, len - 2, 0, &config, &errors), 0);
}

static void a_file_that_is_not_there_is_said(void **state)
{
	assert_int_equal(config_load("/nonexistent/wm.conf", 0, &config, &errors),
			 -EINVAL);
	assert_string_equal(
		errors.text[0],
		"/nonexistent/wm.conf: cannot be read: No such file or directory");
	assert_int_equal(config_load("/", 0, &config, &errors), -EINVAL);
}

static void key_file_is_checked_at_its_line(void **state)
{
	static char file[16384];
	size_t len = 0;

	for (unsigned i = 0; i < LINES; i++)
		len += (size_t)snprintf(file + len, sizeof(file) - len, "%s\n",
					i == 18 ? "key = \"/nonexistent/key\";"
						: base[i]);
	assert_int_equal(config_parse("t", file, len, CONFIG_READ_KEYS, &config, &errors),
			 -EINVAL);
	assert_string_equal(errors.text[0],
			    "t:19: groups[0].peer.key: /nonexistent/key cannot be "
			    "read: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(unknown_key_is_refused_with_the_nearest_one),
		cmocka_unit_test(key_set_twice_is_refused),
		cmocka_unit_test(wrong_type_is_refused),
		cmocka_unit_test(wrong_unit_is_refused),
		cmocka_unit_test(times_that_contradict_each_other_are_refused),
		cmocka_unit_test(writes_do_not_fail_before_the_policy_acts),
		cmocka_unit_test(an_idle_primary_is_heard_before_it_may_be_replaced),
		cmocka_unit_test(addresses_that_lead_nowhere_are_refused),
		cmocka_unit_test(a_relay_that_the_socket_cannot_reach_is_refused),
		cmocka_unit_test(limits_are_where_they_are_said_to_be),
		cmocka_unit_test(safety_must_be_in_reach),
		cmocka_unit_test(shapes_of_sizes_are_held),
		cmocka_unit_test(integer_beyond_32_bits_is_refused),
		cmocka_unit_test(zero_is_a_number),
		cmocka_unit_test(what_is_not_in_this_version_is_said),
		cmocka_unit_test(missing_keys_are_said),
		cmocka_unit_test(addresses_are_held),
		cmocka_unit_test(plaintext_beyond_this_host_is_asked_for),
		cmocka_unit_test(names_and_paths_are_held),
		cmocka_unit_test(mode_needs_a_peer),
		cmocka_unit_test(exposure_has_three_forms),
		cmocka_unit_test(what_a_volume_says_itself_is_kept),
		cmocka_unit_test(hold_is_by_the_mode_where_it_is_left_out),
		cmocka_unit_test(broken_text_is_refused_at_its_line),
		cmocka_unit_test(all_errors_are_told_up_to_a_bound),
		cmocka_unit_test(nothing_is_given_back_on_error),
		cmocka_unit_test(every_truncation_is_survived),
		cmocka_unit_test(a_file_that_is_not_there_is_said),
		cmocka_unit_test(key_file_is_checked_at_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
