// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_share.h"

/*
 * Sharing a queue: who makes way too often loses his part to a TCP, who never does keeps
 * a queue that is his own.
 */

static rt_time at_ms(int64_t ms)
{
	return (rt_time){ 1000 * RT_S + ms * RT_MS };
}

static void a_new_neighbour_gets_room(void **state)
{
	struct cc_share s = { 0 };

	cc_share_enter(&s, 1000, false, at_ms(0));
	assert_true(s.cubic.window == 1000 * CUBIC_BETA);
	assert_int_equal(s.yield_ns, CC_SHARE_YIELD_MIN_NS);
}

/* The window is remembered for a while, and who returns by himself yields less often. */
static void the_same_queue_is_remembered(void **state)
{
	struct cc_share s = { 0 };

	cc_share_enter(&s, 1000, false, at_ms(0));
	cc_share_leave(&s, at_ms(500));
	cc_share_enter(&s, 5000, true, at_ms(800));
	assert_true(s.cubic.window == 700);
	assert_int_equal(s.yield_ns, CC_SHARE_YIELD_MIN_NS);
	cc_share_leave(&s, at_ms(1000));
	cc_share_enter(&s, 5000, false, at_ms(10000));
	assert_true(s.cubic.window == 700);
	assert_int_equal(s.yield_ns, 2 * CC_SHARE_YIELD_MIN_NS);
	cc_share_leave(&s, at_ms(11000));
	cc_share_enter(&s, 5000, false, at_ms(31000)); /* 20 s later */
	assert_true(s.cubic.window == 3500);
	assert_int_equal(s.yield_ns, CC_SHARE_YIELD_MIN_NS);
}

/*
 * Between making way and coming back the queue was empty. Who takes up the window that
 * had filled it fills it in one round trip again, and drives others out. It grows there.
 */
static void an_emptied_queue_is_not_filled_in_one_round_trip(void **state)
{
	struct cc_share s = { 0 };

	cc_share_enter(&s, 1000, false, at_ms(0));
	cc_share_leave(&s, at_ms(500));
	cc_share_enter(&s, 100, true, at_ms(800)); /* the queue did not get empty */
	assert_true(s.cubic.window == 700);
	cc_share_leave(&s, at_ms(1000));
	cc_share_enter(&s, 300, false, at_ms(5000));
	assert_true(s.cubic.window == 300);
	for (int64_t ms = 5100; ms < 17000; ms += 100) {
		double before = s.cubic.window;

		cc_share_round(&s, 100 * RT_MS, at_ms(ms - 100), false, at_ms(ms));
		assert_true(s.cubic.window < before * 1.5 + 1);
	}
	assert_true(s.cubic.window > 690 && s.cubic.window < 720); /* the old plateau */
	cc_share_leave(&s, at_ms(17000));
	cc_share_enter(&s, 1, false, at_ms(18000));
	assert_true(s.cubic.window == CUBIC_MIN);
}

/* All tunnels of a host yield when the clock shows a multiple, at 1, 2, 4, 8 s at most. */
static void yielding_goes_by_the_clock(void **state)
{
	struct cc_share s = { 0 };

	cc_share_enter(&s, 1000, false, at_ms(200));
	assert_false(cc_share_yields(&s, at_ms(200), at_ms(999)));
	assert_true(cc_share_yields(&s, at_ms(200), at_ms(1001)));
	assert_false(cc_share_yields(&s, at_ms(1100), at_ms(1999)));
	assert_true(cc_share_yields(&s, at_ms(1100), at_ms(2001)));
	for (unsigned i = 0; i < 4; i++)
		(void)cc_share_yields(&s, at_ms(0), at_ms(8000 * (i + 1)));
	assert_int_equal(s.yield_ns, CC_SHARE_YIELD_MAX_NS);
}

static void repeated_losses_count_only_if_they_are_many(void **state)
{
	const struct cc_loss_count few = { .sent = 100, .lost = 19 };
	const struct cc_loss_count many = { .sent = 100, .lost = 20 };
	struct cc_share s = { 0 };

	cc_share_enter(&s, 1000, false, at_ms(0));
	cc_share_react(&s, &few, 50 * RT_MS,
		       at_ms(999)); /* 20 round trips are not over */
	assert_true(s.cubic.window == 700);
	cc_share_react(&s, &few, 50 * RT_MS, at_ms(1000));
	assert_true(s.cubic.window < 700);
	s.cubic.window = 700;
	cc_share_react(&s, &many, 50 * RT_MS, at_ms(1100));
	assert_true(s.cubic.window < 700);
	assert_int_equal(s.reacted_at.ns, at_ms(1100).ns);
}

static void an_unused_window_does_not_grow(void **state)
{
	struct cc_share s = { 0 };
	double before;

	cc_share_enter(&s, 1000, false, at_ms(0));
	for (int i = 1; i <= 20; i++)
		cc_share_round(&s, 50 * RT_MS, at_ms(i * 50 - 50), true, at_ms(i * 50));
	assert_true(s.cubic.window == 700);
	before = s.cubic.window;
	for (int i = 21; i <= 40; i++)
		cc_share_round(&s, 50 * RT_MS, at_ms(i * 50 - 50), false, at_ms(i * 50));
	assert_true(s.cubic.window > before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_neighbour_gets_room),
		cmocka_unit_test(the_same_queue_is_remembered),
		cmocka_unit_test(an_emptied_queue_is_not_filled_in_one_round_trip),
		cmocka_unit_test(yielding_goes_by_the_clock),
		cmocka_unit_test(repeated_losses_count_only_if_they_are_many),
		cmocka_unit_test(an_unused_window_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
