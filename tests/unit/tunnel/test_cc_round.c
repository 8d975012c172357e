// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_round.h"

/*
 * Rounds are the clock of congestion control: one that ends too early measures the host
 * or chance, one that forgets idle time takes a slow application for a slow path.
 */

static const struct cc_ack first = {
	.arrived = { 100 * RT_MS },
	.sent_at = { 50 * RT_MS },
	.sent_all = 120,
	.sent = 100,
	.received = 98,
	.rtt_ns = 50 * RT_MS,
};

static struct cc_ack later(int64_t ms, uint64_t sent, double received)
{
	struct cc_ack a = first;

	a.arrived = rt_time_add(a.arrived, ms * RT_MS);
	a.sent_at = rt_time_add(a.sent_at, ms * RT_MS);
	a.sent += sent;
	a.received += received;
	a.sent_all += sent;
	return a;
}

static void a_round_ends_with_what_was_sent_after_it_began(void **state)
{
	static const struct {
		int64_t ms;
		uint64_t sent;
		bool over;
	} rows[] = {
		{ 50, 20, false },		     /* sent before the round began */
		{ 50, 21, true },  { 4, 30, false }, /* too short */
		{ 5, 30, true },   { 199, 21, true },
	};
	struct cc_round r = { 0 };

	assert_false(cc_round_began(&r));
	cc_round_begin(&r, &first);
	assert_true(cc_round_began(&r));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cc_ack a = later(rows[i].ms, rows[i].sent, 0);

		assert_int_equal(cc_round_over(&r, &a), rows[i].over);
	}
}

/* Where little is in flight, eight datagrams or 200 ms make a round. */
static void few_datagrams_are_chance_unless_there_are_no_more(void **state)
{
	struct cc_ack begin = first, a;
	struct cc_round r = { 0 };

	begin.sent_all = begin.sent;
	cc_round_begin(&r, &begin);
	a = later(100, CC_ROUND_MIN - 1, 0);
	assert_false(cc_round_over(&r, &a));
	a = later(100, CC_ROUND_MIN, 0);
	assert_true(cc_round_over(&r, &a));
	a = later(200, 1, 0);
	assert_true(cc_round_over(&r, &a));
}

static void a_round_measures_losses_times_and_round_trips(void **state)
{
	struct cc_ack a = later(40, 50, 45), fast = later(10, 1, 1), slow = fast;
	struct cc_round_result result;
	struct cc_round r = { 0 };

	cc_round_begin(&r, &first);
	fast.rtt_ns = 49 * RT_MS;
	slow.rtt_ns = 70 * RT_MS;
	cc_round_add(&r, &slow);
	cc_round_add(&r, &fast);
	assert_int_equal(r.rtt_low, 49 * RT_MS);
	assert_int_equal(r.rtt_high, 70 * RT_MS);
	a.sent_at = rt_time_add(a.sent_at, 5 * RT_MS); /* sent over 45 ms, passed in 40 */
	cc_round_measure(&r, &a, &result);
	assert_true(result.sent == 50 && result.lost == 5);
	assert_int_equal(result.sent_ns, 45 * RT_MS);
	assert_int_equal(result.passed_ns, 45 * RT_MS);
	assert_false(result.limited);
	a.sent_at = first.sent_at; /* all at once */
	cc_round_measure(&r, &a, &result);
	assert_int_equal(result.sent_ns, 1);
	assert_int_equal(result.passed_ns, 40 * RT_MS);
}

static void a_limited_round_counts_in_the_next_one_too(void **state)
{
	struct cc_ack a = later(50, 30, 30);
	struct cc_round_result result;
	struct cc_round r = { 0 };

	cc_round_begin(&r, &first);
	r.limited = true;
	cc_round_begin(&r, &first);
	cc_round_measure(&r, &a, &result);
	assert_true(r.limited_before && !r.limited && result.limited);
	cc_round_begin(&r, &first);
	cc_round_measure(&r, &a, &result);
	assert_false(result.limited);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_ends_with_what_was_sent_after_it_began),
		cmocka_unit_test(few_datagrams_are_chance_unless_there_are_no_more),
		cmocka_unit_test(a_round_measures_losses_times_and_round_trips),
		cmocka_unit_test(a_limited_round_counts_in_the_next_one_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
