// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_guard.h"

/*
 * The guard over a configured rate: one that trips too easily takes the operator's rate
 * away, one that never does keeps a narrower path full for ever.
 */

static rt_time at_ms(int64_t ms)
{
	return (rt_time){ ms * RT_MS };
}

static bool trips(struct cc_guard *g, double offered, int64_t queue_ms, int64_t base_ms,
		  int64_t now_ms)
{
	const struct cc_guard_round r = { .offered = offered,
					  .cap = 1000,
					  .queue_ns = queue_ms * RT_MS,
					  .base_ns = base_ms * RT_MS };

	return cc_guard_trips(g, &r, at_ms(now_ms));
}

static void only_a_lasting_queue_of_ours_trips_it(void **state)
{
	struct cc_guard g = { 0 };

	cc_guard_reset(&g, at_ms(0));
	assert_false(trips(&g, 1000, 21, 10, 249));
	assert_false(trips(&g, 1000, 20, 10, 250));  /* no longer than the bound */
	assert_false(trips(&g, 1000, 25, 10, 499));  /* so it counts from there */
	assert_false(trips(&g, 499, 25, 10, 510));   /* we hardly send */
	assert_false(trips(&g, 1000, 50, 200, 800)); /* a quarter of the round trip */
	assert_false(trips(&g, 1000, 51, 200, 1049));
	assert_true(trips(&g, 1000, 51, 200, 1050));
	assert_true(g.active);
	assert_int_equal(g.trips, 1);
}

/* A path without a queue, or a receiver that is too slow, drops what is too much. */
static void lasting_heavy_loss_trips_it_too(void **state)
{
	struct cc_guard g = { 0 };
	struct cc_guard_round r = { .offered = 10, .cap = 1000, .base_ns = 10 * RT_MS };

	assert_false(cc_guard_heavy(100, 20, 0));
	assert_true(cc_guard_heavy(100, 21, 0));
	assert_false(cc_guard_heavy(100, 45, 0.25)); /* a path that loses so much */
	assert_true(cc_guard_heavy(100, 46, 0.25));
	cc_guard_reset(&g, at_ms(0));
	r.heavy_loss = true;
	assert_false(cc_guard_trips(&g, &r, at_ms(5000))); /* an outage's round */
	r.heavy_loss = false;
	assert_false(cc_guard_trips(&g, &r, at_ms(5100)));
	r.heavy_loss = true;
	assert_false(cc_guard_trips(&g, &r, at_ms(5200))); /* it counts from here */
	assert_false(cc_guard_trips(&g, &r, at_ms(6199)));
	assert_true(cc_guard_trips(&g, &r, at_ms(6200)));
	assert_int_equal(g.trips, 1);
}

static void the_configured_rate_returns_when_it_passes(void **state)
{
	struct cc_guard g = { 0 };

	cc_guard_reset(&g, at_ms(0));
	assert_true(trips(&g, 1000, 100, 10, 300));
	assert_false(cc_guard_clears(&g, 949, 1000, false, at_ms(1000)));
	assert_false(cc_guard_clears(&g, 951, 1000, false, at_ms(10999)));
	assert_false(cc_guard_clears(&g, 1000, 1000, true, at_ms(11000))); /* shared */
	assert_false(cc_guard_clears(&g, 1000, 1000, false, at_ms(20999)));
	assert_true(cc_guard_clears(&g, 1000, 1000, false, at_ms(21000)));
	assert_false(g.active);
	/* And it may trip another time; the count of both stays. */
	assert_false(trips(&g, 1000, 100, 10, 21249));
	assert_true(trips(&g, 1000, 100, 10, 21250));
	cc_guard_reset(&g, at_ms(30000));
	assert_false(g.active);
	assert_int_equal(g.trips, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_lasting_queue_of_ours_trips_it),
		cmocka_unit_test(lasting_heavy_loss_trips_it_too),
		cmocka_unit_test(the_configured_rate_returns_when_it_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
