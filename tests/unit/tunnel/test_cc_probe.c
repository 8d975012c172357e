// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_probe.h"

/*
 * Probing: startup that does not end overruns every queue on the path, a probe that comes
 * too often keeps one filled, and one that comes too seldom misses a path that has grown.
 */

static void startup_ends_when_more_does_not_come_out(void **state)
{
	struct cc_probe p = { 0 };
	double rate = 100;

	cc_probe_init(&p);
	for (unsigned i = 0; i < 10; i++, rate *= 1.25)
		assert_false(cc_probe_startup_round(&p, rate, false, true));
	/* Three rounds with less than a quarter more; one in which little was sent is none. */
	assert_false(cc_probe_startup_round(&p, rate * 0.9, false, false));
	assert_false(cc_probe_startup_round(&p, rate * 0.9, true, true));
	assert_false(cc_probe_startup_round(&p, rate * 0.9, false, false));
	assert_true(cc_probe_startup_round(&p, rate * 0.9, false, false));
	/* Or one, and it queues up. */
	cc_probe_init(&p);
	assert_false(cc_probe_startup_round(&p, 100, false, false));
	assert_true(cc_probe_startup_round(&p, 110, false, true));
}

static void a_queue_brakes_startup_for_a_round(void **state)
{
	struct cc_probe p = { 0 };

	cc_probe_init(&p);
	for (unsigned i = 0; i < 3; i++)
		cc_probe_startup_ack(&p, true);
	cc_probe_startup_ack(&p, false); /* not in a row */
	for (unsigned i = 0; i < CC_PROBE_BRAKE_ACKS; i++) {
		assert_false(cc_probe_braking(&p));
		cc_probe_startup_ack(&p, true);
	}
	assert_true(cc_probe_braking(&p));
	cc_probe_startup_ack(&p, false); /* it has decided */
	assert_true(cc_probe_braking(&p));
	assert_false(cc_probe_startup_round(&p, 1000, false, false));
	assert_true(cc_probe_startup_round(&p, 2000, false, false));
}

static bool judge(struct cc_probe *p, double rate, bool queued, bool limited, bool excess)
{
	const struct cc_probe_outcome o = { .rate = rate,
					    .queued = queued,
					    .limited_before = limited,
					    .excess = excess };

	return cc_probe_judge(p, &o);
}

static void success_is_followed_by_larger_steps(void **state)
{
	static const double gains[] = { 1.25, 1.5625, 1.953125, 2, 2 };
	struct cc_probe p = { 0 };
	double rate = 100;

	cc_probe_init(&p);
	cc_probe_begin(&p, rate);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(p.gain == gains[i]);
		rate *= 1.2;
		assert_true(judge(&p, rate, false, false, false));
		assert_true(p.from == rate);
	}
	assert_false(judge(&p, rate * 1.2, true, false, false)); /* into a queue */
	cc_probe_begin(&p, rate);
	assert_true(p.gain == gains[0]);
}

static void failure_means_later(void **state)
{
	struct cc_probe p = { 0 };

	cc_probe_init(&p);
	cc_probe_begin(&p, 100);
	assert_false(cc_probe_ready(&p, CC_PROBE_WAIT_MIN - 1, 2 * RT_S - 1));
	assert_true(cc_probe_ready(&p, CC_PROBE_WAIT_MIN, 0));
	assert_true(cc_probe_ready(&p, 0, 2 * RT_S));
	assert_false(judge(&p, 100, false, true, false)); /* nothing was asked for */
	assert_int_equal(p.wait, CC_PROBE_WAIT_MIN);
	for (unsigned i = 0; i < 5; i++)
		assert_false(judge(&p, 100, false, false, false));
	assert_int_equal(p.wait, CC_PROBE_WAIT_MAX);
	for (unsigned i = 0; i < 5; i++)
		assert_false(judge(&p, 100, false, false, true));
	assert_int_equal(p.wait, CC_PROBE_WAIT_LOSS_MAX);
	assert_false(cc_probe_ready(&p, 0, 2 * RT_S));
	assert_true(cc_probe_ready(&p, 0, 10 * RT_S));
	assert_true(judge(&p, 120, false, false, false));
	assert_int_equal(p.wait, CC_PROBE_WAIT_MIN);
}

/* To make way puts the next probe off by some rounds, but not past the time. */
static void making_way_does_not_put_a_probe_off_for_ever(void **state)
{
	struct cc_probe p = { 0 };

	cc_probe_init(&p);
	cc_probe_begin(&p, 100);
	cc_probe_waited(&p, RT_S);
	assert_false(cc_probe_ready(&p, CC_PROBE_WAIT_MIN - 1, RT_S - 1));
	assert_true(cc_probe_ready(&p, 0, RT_S));
	cc_probe_waited(&p, RT_S);
	assert_true(cc_probe_ready(&p, 0, 0));
	cc_probe_wait_anew(&p);
	assert_false(cc_probe_ready(&p, 0, 2 * RT_S - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(startup_ends_when_more_does_not_come_out),
		cmocka_unit_test(a_queue_brakes_startup_for_a_round),
		cmocka_unit_test(success_is_followed_by_larger_steps),
		cmocka_unit_test(failure_means_later),
		cmocka_unit_test(making_way_does_not_put_a_probe_off_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
