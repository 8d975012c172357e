// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/control/config_base.h"

/*
 * The keys of the line, which people turn while it runs: together they make a code that
 * exists; `set` and SIGHUP change what may change, and nothing else, and say why not.
 */

/* ---- the codes ------------------------------------------------------------------------ */

static void codes_have_their_defaults(void **state)
{
	const struct group_fec_config *f = &config.group.peer.fec;

	good(25, "};");
	assert_false(f->paper);
	assert_true(f->min == 0.03 && f->max == 0.5);
	assert_true(f->share == 0); /* adapts */
	assert_int_equal(f->r, 8);
	assert_int_equal(f->c, 3);
	assert_int_equal(f->interleave[0], 1);
	assert_int_equal(f->interleave[1], 19);
	assert_int_equal(f->interleave[2], 41);
	assert_int_equal(f->interleave[3], 0);
	assert_false(f->delayed);
	assert_true(f->on_demand);
	assert_false(config.group.peer.tcp);
	assert_string_equal(config.group.peer.congestion, "");
	assert_false(config.group.peer.rate_auto);
	good(25, "interleave = [ 2, 3 ]; r = 7; delayed = true; on_demand = false; };");
	assert_int_equal(f->interleave[1], 3);
	assert_int_equal(f->interleave[2], 0); /* nothing of the default is left */
	assert_int_equal(f->r, 7);
	assert_true(f->delayed);
	assert_false(f->on_demand);
}

static void list_of_integers_is_held(void **state)
{
	bad(25, "interleave = 3; };", "25: groups[0].peer.fec.interleave: ",
	    "it is an integer; allowed: [ ... ] with 1 to 8 integers from 1 to 512");
	bad(25, "interleave = [ ]; };",
	    "25: groups[0].peer.fec.interleave: ", "it is an array");
	bad(25, "interleave = [ 1, 2, 3, 4, 5, 6, 7, 8, 9 ]; };",
	    "25: groups[0].peer.fec.interleave: ", "allowed: [ ... ] with 1 to 8");
	bad(25, "interleave = [ 1.5 ]; };",
	    "25: groups[0].peer.fec.interleave: ", "it is a number");
	bad(25, "interleave = [ \"1\" ]; };",
	    "25: groups[0].peer.fec.interleave: ", "it is a string");
	bad(25, "interleave = \"1, 19, 41\"; };",
	    "25: groups[0].peer.fec.interleave: ", "it is a string");
}

/* What a code cannot be made of is refused before the line depends on it. */
static void keys_of_a_code_go_together(void **state)
{
	line_22 = "      fec: { code = \"layered\";";
	good(25, "interleave = [ 1, 20, 40 ]; };");
	good(25, "c = 0; };");
	good(25, "c = 2; };"); /* the default's first two */
	good(25, "c = 1; interleave = [ 5 ]; };");
	bad(25, "c = 4; };",
	    "25: groups[0].peer.fec.c: ", "c is 4, and interleave has 3 entries");
	bad(25, "interleave = [ 1, 19 ]; };",
	    "25: groups[0].peer.fec.interleave: ", "c is 3, and interleave has 2");
	bad(25, "c = 1; interleave = [ 1, 19 ]; };",
	    "25: groups[0].peer.fec.interleave: ", "c is 1, and interleave has 2");
	bad(25, "c = 9; };",
	    "25: groups[0].peer.fec.c: ", "9 is too many for code = \"layered\"");
	good(25, "r = 64; interleave = [ 65, 1, 1 ]; };"); /* 63 x 65 + 1 = 4096 */
	bad(25, "r = 65; interleave = [ 1, 64, 1 ]; };", /* 64 x 64 + 1 = 4097 */
	    "25: groups[0].peer.fec.interleave: ",
	    "r = 65 with 64 bins spans 4097 symbols");
	bad(25, "r = 101; };", "25: groups[0].peer.fec.r: ",
	    "r = 101 with 41 bins spans 4101 symbols");
	line_22 = "      fec: { code = \"rs\";";
	good(25, "r = 128; c = 127; };");
	good(25, "c = 20; };");
	bad(25, "c = 0; };", "25: groups[0].peer.fec.c: ", "0 is no code = \"rs\"");
	line_22 = NULL;
	bad(25, "min = 0.4; max = 0.3; };",
	    "25: groups[0].peer.fec.min: ", "min (0.4) is more than max (0.3)");
	bad(25, "max = 0.02; };",
	    "25: groups[0].peer.fec.max: ", "min (0.03) is more than max (0.02)");
}

static void policy_paper_asks_for_no_probability(void **state)
{
	bad(24, "policy = \"paper\";",
	    "23: groups[0].peer.fec.safety: ", "it says nothing with policy = \"paper\"");
	good(23, "policy = \"paper\";");
	assert_true(config.group.peer.fec.paper);
	line_22 = "      fec: { code = \"none\";";
	bad(23, "policy = \"paper\";",
	    "23: groups[0].peer.fec.policy: ", "code = \"none\" makes none");
	line_22 = NULL;
}

static void rate_and_transport_are_read(void **state)
{
	good(20, "rate = \"auto\";");
	assert_true(config.group.peer.rate_auto);
	assert_true(config.group.peer.rate_bps > 0); /* it begins somewhere */
	good(20, "rate = \"10Mbit\";");
	assert_false(config.group.peer.rate_auto);
	assert_int_equal(config.group.peer.rate_bps, 10000000);
	good(21, "transport = \"tcp\";");
	assert_true(config.group.peer.tcp);
	good(21, "congestion = \"cubic\";");
	assert_string_equal(config.group.peer.congestion, "cubic");
	bad(21, "congestion = \"bbr but longer than any\";",
	    "21: groups[0].peer.congestion: ", "no name");
	bad(21, "congestion = \"a2345678901234567\";",
	    "21: groups[0].peer.congestion: ", "1 to 15 letters");
}

static void edge_says_where_and_with_which_key(void **state)
{
	bad(21, "edge: { address = \"10.0.0.1:7701\"; key = \"/k\"; };",
	    "21: groups[0].peer.edge: ", "nothing without evidence = \"edge\"");
	bad(21, "edge: { key = \"/k\"; };",
	    "21: groups[0].peer.edge.address: ", "must be set");
	bad(21, "edge: { address = \"10.0.0.1:7701\"; };",
	    "21: groups[0].peer.edge.key: ", "must be set");
}

/* ---- changing --------------------------------------------------------------------------- */

static void set(const char *name, const char *value)
{
	if (config_set(&config, name, value, &errors) < 0)
		fail_msg("refused: %s", errors.text[0]);
}

static void not_set(const char *name, const char *value, const char *part)
{
	static struct config before;

	before = config;
	if (config_set(&config, name, value, &errors) == 0)
		fail_msg("accepted: %s=%s", name, value);
	assert_memory_equal(&config, &before, sizeof(config));
	if (!strstr(errors.text[0], part))
		fail_msg("%s\n  instead of ... %s", errors.text[0], part);
}

static void one_key_is_set(void **state)
{
	const struct group_config *g = &config.group;

	good(0, "");
	set("sync", "local");
	assert_int_equal(g->sync, GROUP_LOCAL);
	assert_int_equal(g->volumes[0].sync, GROUP_LOCAL);  /* it has the group's */
	assert_int_equal(g->volumes[1].sync, GROUP_REMOTE); /* it has its own */
	set("max_exposure", "2GiB");
	assert_int_equal(g->exposure_bytes, UINT64_C(2) << 30);
	set("peer.rate", "auto");
	assert_true(g->peer.rate_auto);
	set("rate", "5Mbit");
	assert_false(g->peer.rate_auto);
	assert_int_equal(g->peer.rate_bps, 5000000);
	set("fec.safety", "1e-3");
	assert_true(g->peer.fec.safety == 1e-3);
	set("fec.assume.loss", "0");
	assert_true(g->peer.fec.assume_loss == 0);
	set("fec.interleave", "1, 7,11");
	assert_int_equal(g->peer.fec.interleave[1], 7);
	assert_int_equal(g->peer.fec.interleave[2], 11);
	set("fec.r", "12");
	set("fec.delayed", "true");
	assert_int_equal(g->peer.fec.r, 12);
	assert_true(g->peer.fec.delayed);
	set("transport", "tcp");
	assert_true(g->peer.tcp);
	set("congestion", "reno");
	assert_string_equal(g->peer.congestion, "reno");
	assert_true(g->peer.dials); /* as it was read */
	set("fec.code", "none");
	assert_string_equal(g->peer.fec.code, "none");
	set("fec.code", "window");
	assert_string_equal(g->peer.fec.code, "window");
}

static void what_cannot_be_set_is_said(void **state)
{
	good(0, "");
	not_set("snyc", "local", "no key of a group");
	not_set("fec", "window", "no key of a group");
	not_set("fec.", "window", "no key of a group");
	not_set("volumes", "1", "no key of a group");
	not_set("", "", "no key of a group");
	not_set("node", "x", "no key of a group");
	not_set("store", "/x", "needs a restart");
	not_set("key", "/x", "needs a restart");
	not_set("sync", "globall", "allowed: \"local\", \"network\" or \"remote\"");
	not_set("rate", "900", "it has no unit");
	not_set("fec.safety", "1e-6x", "it is no number");
	not_set("fec.safety", "0.5", "out of range");
	not_set("fec.safety", "nan", "out of range");
	not_set("fec.r", "8.5", "it is no integer");
	not_set("fec.r", "99999999999999999999", "it is no integer");
	not_set("fec.on_demand", "yes", "neither true nor false");
	not_set("fec.interleave", "1,x", "no list of integers");
	not_set("fec.interleave", "1,2,3,4,5,6,7,8,9", "too long");
	not_set("fec.interleave", "", "too short");
	not_set("fec.interleave", "0", "out of range");
	not_set("evidence", "edge", "needs edge: the address and the key");
	not_set("fec.min", "0.6", "more than max");
	not_set("fec.assume.loss", "0.5", "out of reach");
	not_set("away", "500ms", "away (500 ms) is not more than heartbeat");
}

static void what_is_live_is_taken_over_and_nothing_else(void **state)
{
	static struct config old, fresh;
	const struct group_config *g = &old.group;

	good(0, "");
	old = config;
	good(14, "max_exposure = \"100 writes\"; open_timeout = \"3s\"; "
		 "checkpoint = \"2GiB\";");
	fresh = config;
	assert_int_equal(config_take_live(&old, &fresh, &errors), 0);
	assert_int_equal(g->exposure_writes, 100);
	assert_int_equal(g->open_timeout_ms, 3000);
	assert_int_equal(g->checkpoint_bytes, UINT64_C(1) << 30); /* needs a restart */
	good(12, "{ name = \"wal\"; size = \"20GiB\"; sync = \"local\"; } );");
	assert_int_equal(config_take_live(&old, &config, &errors), 0);
	assert_int_equal(g->volumes[1].sync, GROUP_LOCAL);
	assert_int_equal(g->exposure_writes, 0); /* the file does not say it any more */
	good(12, "{ name = \"log\"; size = \"20GiB\"; sync = \"remote\"; } );");
	assert_int_equal(config_take_live(&old, &config, &errors), 0);
	assert_string_equal(g->volumes[1].name, "wal");
	assert_int_equal(g->volumes[1].sync, GROUP_LOCAL);
	/* Right in itself, but not with what stays: the request is of create only. */
	good(14, "max_request = \"64KiB\";");
	old = config;
	good(21, "heartbeat = \"10ms\"; away = \"100ms\";");
	fresh = config;
	old.group.heartbeat_ms = 1000;
	assert_int_equal(config_take_live(&old, &fresh, &errors), 0);
	assert_int_equal(g->away_ms, 100);
}

static void note_change(void *owner, const char *key, bool live)
{
	char *list = owner;

	(void)snprintf(list + strlen(list), 200 - strlen(list), "%s%s ", key,
		       live ? "!" : "");
}

static void changes_are_named(void **state)
{
	struct config old;
	char list[200] = "";

	good(0, "");
	old = config;
	config_compare(&old, &config, note_change, list);
	assert_string_equal(list, "");
	good(2, "log = \"debug\";");
	config_compare(&old, &config, note_change, list);
	assert_string_equal(list, "control log! ");
	list[0] = 0;
	good(11, "volumes = ( { name = \"data\"; size = \"500GiB\"; },");
	config_compare(&old, &config, note_change, list);
	assert_string_equal(list, "groups[].volumes[].size ");
	list[0] = 0;
	good(20, "rate = \"100Mbit\";");
	config.group.peer.key[3] = 1;
	config_compare(&old, &config, note_change, list);
	assert_string_equal(list, "groups[].peer.rate! the key in groups[].peer.key ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_their_defaults),
		cmocka_unit_test(list_of_integers_is_held),
		cmocka_unit_test(keys_of_a_code_go_together),
		cmocka_unit_test(policy_paper_asks_for_no_probability),
		cmocka_unit_test(rate_and_transport_are_read),
		cmocka_unit_test(edge_says_where_and_with_which_key),
		cmocka_unit_test(one_key_is_set),
		cmocka_unit_test(what_cannot_be_set_is_said),
		cmocka_unit_test(what_is_live_is_taken_over_and_nothing_else),
		cmocka_unit_test(changes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
