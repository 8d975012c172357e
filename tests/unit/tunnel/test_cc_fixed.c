// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a configured rate promises, over a simulated bottleneck: it is kept as it was said,
 * unless the line shows that it is narrower; then it is found as with "auto" for as long.
 */
#include "tests/unit/tunnel/bottleneck.h"

static const struct cc_params configured = { .rate_bps = 100000000,
					     .datagram = BN_DATAGRAM };

/* It is kept as it is, lossy line or not, busy host or not. */
static void a_configured_rate_is_kept(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 50, 1, 0.02);
	b.jitter_ns = 2 * RT_MS;
	bn_start(&b, 0, BN_OURS, &configured);
	for (unsigned i = 0; i < 30 * 100; i++) {
		bn_run(&b, 10 * RT_MS);
		assert_true(cc_open(&b.flow[0].cc, 1000000));
		assert_int_equal(cc_rate_bps(&b.flow[0].cc), 100000000);
	}
	bn_measure(&b, 5 * RT_S, share);
	assert_true(share[0] > 0.97);
	assert_int_equal(b.flow[0].cc.guard.trips, 0);
	bn_release(&b);
}

/* Status shows the rate in force: it must not differ from the configured one by rounding. */
static void a_configured_rate_is_told_as_it_is(void **state)
{
	for (unsigned datagram = 100; datagram < 1500; datagram++) {
		struct cc_params fixed = { .rate_bps = 33000000 + datagram,
					   .datagram = datagram };
		struct cc cc;

		cc_init(&cc, &fixed, (rt_time){ 0 });
		assert_true(cc_rate_bps(&cc) == fixed.rate_bps);
	}
}

/* A line that is narrower shows it by its queue; when it has grown again, so do we. */
static void the_guard_backs_off_and_comes_back(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 30, 10, 0.01);
	bn_start(&b, 0, BN_OURS, &configured);
	bn_run(&b, 5 * RT_S);
	assert_int_equal(b.flow[0].cc.guard.trips, 0);
	b.rate_bps = 40000000;
	bn_run(&b, 5 * RT_S);
	assert_int_equal(b.flow[0].cc.guard.trips, 1);
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.9);
	assert_true(bn_queue_ms(&b) < 15);
	b.rate_bps = 110000000;
	bn_run(&b, 30 * RT_S);
	assert_false(b.flow[0].cc.guard.active);
	assert_int_equal(cc_rate_bps(&b.flow[0].cc), 100000000);
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.88);
	bn_release(&b);
}

/* It guards a configured rate: "auto" while it acts leaves nothing to come back to. */
static void the_guard_ends_with_its_rate(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 40, 30, 10, 0.01);
	bn_start(&b, 0, BN_OURS, &configured);
	bn_run(&b, 5 * RT_S);
	assert_true(b.flow[0].cc.guard.active);
	cc_set(&b.flow[0].cc, &bn_automatic, (rt_time){ b.now_ns });
	assert_false(b.flow[0].cc.guard.active);
	for (unsigned i = 0; i < 300; i++) {
		bn_run(&b, 100 * RT_MS);
		assert_int_not_equal(b.flow[0].cc.state, CC_FIXED);
	}
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.9);
	assert_true(bn_queue_ms(&b) < 15);
	bn_release(&b);
}

/* A line without a queue shows it by what it drops. */
static void the_guard_sees_a_line_that_drops(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 20, 50, 0.05, 0.01);
	bn_start(&b, 0, BN_OURS, &configured);
	bn_run(&b, 3 * RT_S);
	assert_int_equal(b.flow[0].cc.guard.trips, 1);
	assert_true(cc_rate_bps(&b.flow[0].cc) < 26000000);
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.8);
	bn_release(&b);
}

/* A path that loses much by itself is no narrower: one look at it is enough. */
static void the_guard_knows_a_path_that_loses_much(void **state)
{
	struct bn b;

	bn_init(&b, 110, 50, 1, 0.3);
	bn_start(&b, 0, BN_OURS, &configured);
	bn_run(&b, 60 * RT_S);
	assert_int_equal(b.flow[0].cc.guard.trips, 1);
	assert_int_equal(b.flow[0].cc.state, CC_FIXED);
	bn_run(&b, 60 * RT_S);
	assert_int_equal(b.flow[0].cc.guard.trips, 1);
	bn_release(&b);
}

/* Beside a TCP that fills the queue the guard does not let us starve either. */
static void the_guard_is_not_starved(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 50, 1, 0);
	bn_start(&b, 0, BN_OURS, &configured);
	bn_start(&b, 1, BN_CUBIC, NULL);
	bn_run(&b, 20 * RT_S);
	bn_measure(&b, 60 * RT_S, share);
	if (bn_verbose())
		printf("guarded %.2f, cubic %.2f\n", share[0], share[1]);
	assert_true(share[0] > 0.5 / 3);
	bn_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configured_rate_is_kept),
		cmocka_unit_test(a_configured_rate_is_told_as_it_is),
		cmocka_unit_test(the_guard_backs_off_and_comes_back),
		cmocka_unit_test(the_guard_ends_with_its_rate),
		cmocka_unit_test(the_guard_sees_a_line_that_drops),
		cmocka_unit_test(the_guard_knows_a_path_that_loses_much),
		cmocka_unit_test(the_guard_is_not_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
