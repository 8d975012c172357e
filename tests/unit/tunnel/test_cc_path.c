// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_path.h"

/*
 * The path model: a rate that is forgotten too early starves the sender, one that is kept
 * too long fills queues; a least round trip that is never forgotten takes a longer route
 * for a queue.
 */

static rt_time at_s(double s)
{
	return (rt_time){ (int64_t)(s * (double)RT_S) };
}

static void the_rate_is_the_highest_of_the_last_samples(void **state)
{
	struct cc_path p;

	cc_path_init(&p);
	assert_true(p.rate == 0);
	cc_path_add_rate(&p, 500);
	for (unsigned i = 1; i < CC_PATH_SAMPLES; i++) {
		cc_path_add_rate(&p, 100 + i);
		assert_true(p.rate == 500);
	}
	cc_path_add_rate(&p, 50);
	assert_true(p.rate == 100 + CC_PATH_SAMPLES - 1);
	cc_path_forget_rates(&p);
	assert_true(p.rate == 50);
	cc_path_add_rate(&p, 40);
	assert_true(p.rate == 50);
}

static void a_longer_route_is_believed_within_the_memory(void **state)
{
	double memory_s = (double)CC_PATH_BASE_NS / (double)RT_S;
	struct cc_path p;

	cc_path_init(&p);
	assert_true(p.base_ns < 0);
	cc_path_add_rtt(&p, 20 * RT_MS, at_s(1));
	for (double s = 2; s < 1 + memory_s; s++) {
		cc_path_add_rtt(&p, 40 * RT_MS + (int64_t)s, at_s(s));
		assert_int_equal(p.base_ns, 20 * RT_MS);
		assert_int_equal(cc_path_queue(&p, p.rtt_ns), 20 * RT_MS + (int64_t)s);
	}
	/* The least of the second half takes over, and then counts from there. */
	cc_path_add_rtt(&p, 50 * RT_MS, at_s(1 + memory_s));
	assert_in_range(p.base_ns, 40 * RT_MS + 31, 40 * RT_MS + 32);
	cc_path_add_rtt(&p, 10 * RT_MS, at_s(2 + memory_s));
	assert_int_equal(p.base_ns, 10 * RT_MS);
}

static void jitter_and_batches_are_no_queue(void **state)
{
	static const struct {
		int64_t base_ms;
		double rate;
		int64_t bound_us;
	} rows[] = {
		{ 1, 1e6, 3000 },   /* the host's jitter */
		{ 80, 1e6, 10000 }, /* an eighth of the round trip */
		{ 1, 400, 10000 },  /* four datagrams at 400 a second */
		{ 1, 10, 50000 },   /* which may be 50 ms at most */
		{ 800, 10, 50000 }, /* also where the round trip is long */
		{ 800, 1e6, 100000 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cc_path p;

		cc_path_init(&p);
		cc_path_add_rtt(&p, rows[i].base_ms * RT_MS, at_s(1));
		cc_path_add_rate(&p, rows[i].rate);
		assert_int_equal(cc_path_queue_bound(&p) / RT_US, rows[i].bound_us);
	}
}

static void the_bandwidth_delay_product_needs_both(void **state)
{
	struct cc_path p;

	cc_path_init(&p);
	cc_path_add_rate(&p, 1000);
	assert_true(cc_path_bdp(&p) == 0);
	cc_path_add_rtt(&p, 50 * RT_MS, at_s(1));
	assert_true(cc_path_bdp(&p) > 49.9 && cc_path_bdp(&p) < 50.1);
	/* Queued: above the bound and above a quarter of the round trip. */
	assert_false(cc_path_queued(&p, 60 * RT_MS));
	assert_true(cc_path_queued(&p, 70 * RT_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_the_highest_of_the_last_samples),
		cmocka_unit_test(a_longer_route_is_believed_within_the_memory),
		cmocka_unit_test(jitter_and_batches_are_no_queue),
		cmocka_unit_test(the_bandwidth_delay_product_needs_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
