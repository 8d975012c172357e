// SPDX-License-Identifier: BSD-3-Clause
/*
 * `wanmirror plan` is asked before money is spent on a line. It says what the daemon will
 * do there, in words and for scripts alike, and names the option that it cannot follow.
 */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fec/redundancy.h"
#include "tests/unit/control/run.h"

static json_t *answer(const char *line)
{
	json_t *root;

	assert_int_equal(run(line), CONTROL_DONE);
	root = json_loads(said, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	return root;
}

static double number(const json_t *root, const char *name)
{
	const json_t *value = json_object_get(root, name);

	if (!value)
		value = json_object_get(json_object_get(root, "wait"), name);
	if (!json_is_number(value))
		fail_msg("%s is no number", name);
	return json_number_value(value);
}

static void says_what_the_model_says(void **state)
{
	struct fec_goal goal = { .safety = 1e-4,
				 .assume = { 0.02, 3 },
				 .min = 0.03,
				 .max = 0.5,
				 .flight = 834 }; /* 10 ms of 1 Gbit/s in datagrams */
	struct fec_redundancy r;
	json_t *root = answer("plan --json --loss 2% --burst 3 --rtt 10 --rate 1Gbit "
			      "--safety 1e-4");

	assert_int_equal(fec_redundancy(&goal, NULL, &r), 0);
	assert_int_equal(number(root, "repairs"), r.repairs);
	assert_int_equal(number(root, "window"), r.window);
	assert_int_equal(number(root, "lone_repairs"), r.isolated[3]);
	assert_true(fabs(number(root, "share") / r.share - 1) < 1e-5);
	assert_true(fabs(number(root, "risk") / r.residual - 1) < 1e-5);
	/* 12 us each */
	assert_true(fabs(number(root, "lone_ms") - (3 + r.isolated[3]) * 0.012) < 1e-5);
	assert_true(fabs(number(root, "busy_ms") -
			 r.repairs * (1 + 1 / r.share) * 0.012) < 1e-3);
	assert_true(number(root, "goodput_bps") < 1e9 / (1 + r.share));
	json_decref(root);
}

static void a_fixed_share_is_kept(void **state)
{
	json_t *root = answer("plan --json --share 0.2 --rtt 10 --rate 1Gbit");

	assert_true(fabs(number(root, "share") - 0.2) < 1e-9);
	json_decref(root);
}

static void goals_out_of_reach_are_said(void **state)
{
	json_t *root = answer("--json plan --loss 0.05 --burst 64 --rtt 50 --rate 1Gbit");

	assert_true(json_is_false(json_object_get(root, "reached")));
	assert_string_equal(json_string_value(json_object_get(root, "gate")), "received");
	assert_true(
		json_is_null(json_object_get(json_object_get(root, "wait"), "busy_ms")));
	assert_true(number(root, "risk") == 0);
	json_decref(root);
	assert_int_equal(run("plan --loss 0.05 --burst 64 --rtt 50 --rate 1Gbit"),
			 CONTROL_DONE);
	assert_non_null(strstr(said, "out of reach"));
}

static void codes_that_cannot_say_so(void **state)
{
	assert_int_equal(run("plan --code layered --rtt 50 --rate 1Gbit"), CONTROL_DONE);
	assert_non_null(strstr(said, "this code gives 3"));
	assert_null(strstr(said, "share the factor")); /* the file's default */
	assert_int_equal(run("plan --code layered --interleave 1,20,40 --rtt 50 "
			     "--rate 1Gbit"),
			 CONTROL_DONE);
	assert_non_null(strstr(said, "20 and 40 share the factor 20"));
	assert_int_equal(
		run("plan --code layered --interleave 1,19,41 --burst 20 --rtt 50 "
		    "--rate 1Gbit"),
		CONTROL_DONE);
	assert_null(strstr(said, "share the factor"));
	assert_non_null(strstr(said, "1 of the 3 layers"));
	assert_int_equal(run("plan --code none --rtt 50 --rate 1Gbit"), CONTROL_DONE);
	assert_non_null(strstr(said, "when the mirror has received it"));
	assert_int_equal(run("plan --code rs --safety 1e-2 --rtt 50 --rate 1Gbit"),
			 CONTROL_DONE);
	assert_non_null(strstr(said, "not stated"));
}

/* A line so slow that the repairs take longer than the round trip. */
static void slow_lines_are_told(void **state)
{
	assert_int_equal(run("plan --rtt 10 --rate 10Mbit"), CONTROL_DONE);
	assert_non_null(strstr(said, "longer than the round trip"));
	assert_int_equal(run("plan --rtt 50 --rate 1Gbit"), CONTROL_DONE);
	assert_null(strstr(said, "note"));
}

static void wrong_lines_name_the_option(void **state)
{
	static const char *const lines[][2] = {
		{ "plan", "--rate is missing" },
		{ "plan --rate 1Gbit", "--rtt is missing" },
		{ "plan --rate 1Gbit --rtt", "--rtt wants a value" },
		{ "plan --rate 1 --rtt 5", "--rate: 1: it has no unit" },
		{ "plan --rate 0bit --rtt 5", "--rate: 0 is no rate" },
		{ "plan --rate 1Gbit --rtt -5", "--rtt: -5 is not possible" },
		{ "plan --rate 1Gbit --rtt 5s", "--rtt: 5s is not possible" },
		{ "plan --rate 1Gbit --rtt nan", "--rtt: nan is not possible" },
		{ "plan --loss 0.6 --rate 1Gbit --rtt 5", "allowed: 0 to 0.5" },
		{ "plan --loss -1 --rate 1Gbit --rtt 5", "--loss: -1" },
		{ "plan --loss x --rate 1Gbit --rtt 5", "--loss: x" },
		{ "plan --burst 0 --rate 1Gbit --rtt 5", "allowed: 1 to 1024" },
		{ "plan --burst 3% --rate 1Gbit --rtt 5", "--burst: 3%" },
		{ "plan --safety 0 --rate 1Gbit --rtt 5", "--safety: 0" },
		{ "plan --share 0.001 --rate 1Gbit --rtt 5", "--share: 0.001" },
		{ "plan --code turbo --rate 1Gbit --rtt 5", "--code: turbo is no code" },
		{ "plan --r 8 --rate 1Gbit --rtt 5", "--code layered" },
		{ "plan --code rs --r 0 --rate 1Gbit --rtt 5", "--r: 0" },
		{ "plan --code rs --c 9 --rate 1Gbit --rtt 5",
		  "--c: 9 is more than --r" },
		{ "plan --code rs --interleave 1 --rate 1Gbit --rtt 5",
		  "--interleave goes with" },
		{ "plan --code rs --share 0.1 --rate 1Gbit --rtt 5",
		  "--share goes with" },
		{ "plan --code layered --c 2 --rate 1Gbit --rtt 5",
		  "0 given, and --c is 2" },
		{ "plan --code layered --interleave 1,2 --rate 1Gbit --rtt 5",
		  "2 given" },
		{ "plan --code layered --interleave 1,,2 --rate 1Gbit --rtt 5",
		  "--interleave: 1,,2" },
		{ "plan --code layered --interleave 1,513 --rate 1Gbit --rtt 5",
		  "allowed: 1 to 512" },
		{ "plan --code layered --r 64 --interleave 1,65,67 --rate 1Gbit --rtt 5",
		  "67 bins with --r 64 span 4222 symbols" },
		{ "plan --code layered --interleave 1,2,3,4,5,6,7,8,9 --rate 1Gbit --rtt "
		  "5",
		  "more than 8 layers" },
		{ "plan --force --rate 1Gbit --rtt 5", "--force is no option of it" },
		{ "plan db --rate 1Gbit --rtt 5", "takes no argument" },
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(run(lines[i][0]), CONTROL_USAGE);
		if (!strstr(complained, lines[i][1]))
			fail_msg("%s: %s", lines[i][0], complained);
		assert_int_equal(said[0], 0);
	}
}

static void help_is_no_error(void **state)
{
	assert_int_equal(run("plan --help"), CONTROL_DONE);
	assert_non_null(strstr(said, "--interleave"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_the_model_says),
		cmocka_unit_test(a_fixed_share_is_kept),
		cmocka_unit_test(goals_out_of_reach_are_said),
		cmocka_unit_test(codes_that_cannot_say_so),
		cmocka_unit_test(slow_lines_are_told),
		cmocka_unit_test(wrong_lines_name_the_option),
		cmocka_unit_test(help_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
