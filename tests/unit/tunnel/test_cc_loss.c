// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/tunnel/cc_loss.h"

/*
 * Which losses mean congestion: a lossy path that is taken for a full one starves the
 * sender, a full one that is taken for a lossy path starves everybody else on it.
 */

static void learn(struct cc_loss *l, double sent, double lost, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		cc_loss_learn(l, sent, lost);
}

static void losses_without_a_queue_are_expected_later(void **state)
{
	struct cc_loss l;

	cc_loss_init(&l);
	assert_true(cc_loss_share(&l) == 0);
	assert_false(cc_loss_excess(&l, 100, 4)); /* 1 % and three datagrams: chance */
	assert_true(cc_loss_excess(&l, 100, 5));
	learn(&l, 100, 5, 100);
	assert_true(cc_loss_share(&l) > 0.049 && cc_loss_share(&l) < 0.051);
	assert_false(cc_loss_excess(&l, 100, 12));
	assert_true(cc_loss_excess(&l, 100, 17));
}

static void the_share_is_bounded_and_an_interruption_is_no_loss(void **state)
{
	struct cc_loss l;

	cc_loss_init(&l);
	learn(&l, 100, 51, 10);
	assert_true(cc_loss_share(&l) == 0);
	learn(&l, 100, 50, 10);
	assert_true(cc_loss_share(&l) == CC_LOSS_MAX);
	learn(&l, 100, 0, 1000); /* and the memory fades */
	assert_true(cc_loss_share(&l) < 1e-3);
	learn(&l, 100, -3, 1);
	assert_true(cc_loss_share(&l) >= 0);
}

/* What was sent into a shared queue says nothing; what was sent after that does again. */
static void losses_may_be_excluded_up_to_a_number(void **state)
{
	struct cc_loss l;

	cc_loss_init(&l);
	assert_false(cc_loss_excluded(&l, 0));
	cc_loss_exclude(&l, 100);
	assert_true(cc_loss_excluded(&l, 99));
	assert_false(cc_loss_excluded(&l, 100));
}

/* The same share in bursts allows for more in one round. */
static void bursts_widen_what_counts_as_chance(void **state)
{
	struct cc_loss even, bursty;

	cc_loss_init(&even);
	cc_loss_init(&bursty);
	for (unsigned i = 0; i < 200; i++) {
		cc_loss_learn(&even, 100, 2);
		cc_loss_learn(&bursty, 100, i % 10 == 0 ? 20 : 0);
	}
	assert_true(cc_loss_excess(&even, 100, 14));
	assert_false(cc_loss_excess(&bursty, 100, 14));
	assert_true(bursty.burst <= CC_LOSS_BURST_MAX);
}

static void an_episode_begins_once_per_round_trip(void **state)
{
	struct cc_ack a = { .sent_all = 200, .sent = 100, .received = 100 };
	struct cc_loss_count count = { 0, 0 };
	struct cc_loss l;

	cc_loss_init(&l);
	cc_loss_count_from(&l, &a);
	a.sent += 50;
	a.received += 30;
	assert_false(cc_loss_episode(&l, &a, false, &count)); /* no queue */
	assert_true(cc_loss_episode(&l, &a, true, &count));
	assert_true(count.sent == 50 && count.lost == 20);
	/* Up to all that was sent by then the losses are the same congestion. */
	assert_true(cc_loss_congested(&l, 100, 150));
	assert_true(cc_loss_congested(&l, 199, 210));
	assert_false(cc_loss_congested(&l, 200, 210));
	assert_false(cc_loss_congested(&l, 50, 100));
	a.sent = 200;
	a.sent_all = 400;
	assert_false(cc_loss_episode(&l, &a, true, &count));
	a.sent = 201; /* the first datagram that was sent after it: count from here */
	assert_false(cc_loss_episode(&l, &a, true, &count));
	assert_int_equal(l.from_sent, 201);
	a.sent = 251;
	a.received += 25;
	assert_true(cc_loss_episode(&l, &a, true, &count));
	assert_true(cc_loss_congested(&l, 399, 401));
	assert_false(cc_loss_congested(&l, 100, 201));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_without_a_queue_are_expected_later),
		cmocka_unit_test(the_share_is_bounded_and_an_interruption_is_no_loss),
		cmocka_unit_test(losses_may_be_excluded_up_to_a_number),
		cmocka_unit_test(bursts_widen_what_counts_as_chance),
		cmocka_unit_test(an_episode_begins_once_per_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
