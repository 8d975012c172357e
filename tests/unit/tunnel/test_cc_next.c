// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which state follows when a round has ended: to the round and to the nanosecond of queue.
 * Who leaves a state too early takes somebody else's queue for his own or his own for
 * somebody else's; who stays too long keeps a queue filled, or a path empty.
 */
#include "replicator/tunnel/cc_next.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define BASE_NS (40 * RT_MS)
#define BOUND_NS (BASE_NS / 8) /* a queue is none up to here */
#define RATE 10000.0	       /* that the path passes, in datagrams per second */
#define CAP 8000.0	       /* configured */
#define ROUND_NS (50 * RT_MS)

static const rt_time now = { 1000 * RT_S + RT_S / 2 };

/* In `state` for so many rounds; in the one that has ended the queue was never shorter. */
static struct cc in_state(enum cc_state state, unsigned rounds, int64_t queue_ns)
{
	struct cc c = {
		.state = state,
		.since = rt_time_add(now, -RT_S / 10),
		.rounds = rounds,
		.cap = CAP,
		.round = { .began = rt_time_add(now, -ROUND_NS),
			   .rtt_low = BASE_NS + queue_ns,
			   .rtt_high = BASE_NS + RT_S },
	};

	cc_path_init(&c.path);
	cc_path_add_rtt(&c.path, BASE_NS, now);
	cc_path_add_rate(&c.path, RATE);
	cc_loss_init(&c.loss);
	cc_guard_reset(&c.guard, now);
	cc_probe_init(&c.probe);
	cc_probe_begin(&c.probe, RATE);
	cc_share_enter(&c.share, 1000, false, c.since);
	assert_int_equal(cc_path_queue_bound(&c.path), BOUND_NS);
	return c;
}

/* A round in which the path took what was sent, and that was as much as it passes. */
static const struct cc_round_result plain = { .sent = RATE / 20,
					      .sent_ns = ROUND_NS,
					      .passed_ns = ROUND_NS };

static enum cc_state next_of(struct cc *c)
{
	return cc_next_state(c, &plain, false, now);
}

/* ---- by rounds and queue -------------------------------------------------------------- */

struct row {
	enum cc_state from;
	unsigned rounds;
	int64_t queue_ns;
	enum cc_state to;
};

static const struct row rows[] = {
	/* The first round of cruise still sees what was there before it. */
	{ CC_CRUISE, 1, 0, CC_CRUISE },
	{ CC_CRUISE, 1, 10 * BOUND_NS, CC_CRUISE },
	{ CC_CRUISE, 2, 0, CC_CRUISE },
	{ CC_CRUISE, 2, BOUND_NS, CC_CRUISE },
	{ CC_CRUISE, 2, BOUND_NS + 1, CC_DOWN },
	{ CC_CRUISE, CC_PROBE_WAIT_MIN - 1, 0, CC_CRUISE },
	{ CC_CRUISE, CC_PROBE_WAIT_MIN, 0, CC_UP },
	{ CC_CRUISE, CC_PROBE_WAIT_MIN, BOUND_NS, CC_UP },
	/* Who has a queue makes way for it and does not ask for more. */
	{ CC_CRUISE, CC_PROBE_WAIT_MIN, BOUND_NS + 1, CC_DOWN },
	{ CC_CRUISE, 100, BOUND_NS + 1, CC_DOWN },
	/* What is asked for in one round is judged in the next, come what may. */
	{ CC_UP, 1, 0, CC_JUDGE },
	{ CC_UP, 1, 10 * BOUND_NS, CC_JUDGE },
	{ CC_UP, 5, 0, CC_JUDGE },
	/* No more comes out. */
	{ CC_JUDGE, 1, 0, CC_DOWN },
	{ CC_JUDGE, 1, BOUND_NS + 1, CC_DOWN },
	/* Less until half of what is no queue is left; after four rounds it is not ours. */
	{ CC_DOWN, 1, BOUND_NS / 2, CC_CRUISE },
	{ CC_DOWN, 1, BOUND_NS / 2 + 1, CC_DOWN },
	{ CC_DOWN, 3, BOUND_NS / 2 + 1, CC_DOWN },
	{ CC_DOWN, 4, BOUND_NS / 2 + 1, CC_SHARED },
	{ CC_DOWN, 4, BOUND_NS / 2, CC_CRUISE },
	{ CC_DOWN, 40, 10 * BOUND_NS, CC_SHARED },
	{ CC_DRAIN, 1, BOUND_NS / 2, CC_CRUISE },
	{ CC_DRAIN, 1, BOUND_NS / 2 + 1, CC_DRAIN },
	{ CC_DRAIN, 3, 10 * BOUND_NS, CC_DRAIN },
	{ CC_DRAIN, 4, 10 * BOUND_NS, CC_SHARED },
	/* Two rounds must show that the queue is gone, and four that it is not. */
	{ CC_YIELD, 1, 0, CC_YIELD },
	{ CC_YIELD, 1, 10 * BOUND_NS, CC_YIELD },
	{ CC_YIELD, 2, BOUND_NS, CC_CRUISE },
	{ CC_YIELD, 2, BOUND_NS + 1, CC_YIELD },
	{ CC_YIELD, 3, BOUND_NS + 1, CC_YIELD },
	{ CC_YIELD, 4, BOUND_NS + 1, CC_SHARED },
	{ CC_YIELD, 4, BOUND_NS, CC_CRUISE },
	/* A window that is shared does not go by the queue. */
	{ CC_SHARED, 1, 0, CC_SHARED },
	{ CC_SHARED, 100, 10 * BOUND_NS, CC_SHARED },
	{ CC_FIXED, 1, 0, CC_FIXED },
	{ CC_FIXED, 1000, 0, CC_FIXED },
	{ CC_FIXED, 1000, 10 * BOUND_NS, CC_FIXED }, /* not for long enough */
	{ CC_STARTUP, 1, 0, CC_STARTUP },
	{ CC_STARTUP, 50, 10 * BOUND_NS, CC_STARTUP }, /* more than before comes out */
};

static void each_state_by_rounds_and_queue(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct cc c = in_state(row->from, row->rounds, row->queue_ns);
		enum cc_state got = next_of(&c);

		if (got != row->to)
			fail_msg("row %u: %s after %s, not %s", i, cc_state_name(got),
				 cc_state_name(row->from), cc_state_name(row->to));
		assert_int_equal(c.state, row->from); /* only cc.c assigns it */
	}
}

/* ---- by what else there is ------------------------------------------------------------ */

/* In long rounds the time decides when more is asked for, and not their number. */
static void cruise_ends_by_time_too(void **state)
{
	struct cc c = in_state(CC_CRUISE, 3, 0);

	c.since = rt_time_add(now, -CC_PROBE_WAIT_NS + 1);
	assert_int_equal(next_of(&c), CC_CRUISE);
	c.since = rt_time_add(now, -CC_PROBE_WAIT_NS);
	assert_int_equal(next_of(&c), CC_UP);
}

static void more_is_asked_for_where_it_comes_out(void **state)
{
	struct cc c = in_state(CC_JUDGE, 1, BOUND_NS);

	c.probe.from = RATE / 1.2;
	assert_int_equal(next_of(&c), CC_UP);
	assert_true(c.probe.from == RATE && c.probe.gain > CC_PROBE_GAIN);
	c = in_state(CC_JUDGE, 1, BOUND_NS + 1); /* but out of a queue */
	c.probe.from = RATE / 1.2;
	assert_int_equal(next_of(&c), CC_DOWN);
}

/* What the judgement is made of reaches it: what was not asked for, and what was lost. */
static void a_judgement_knows_its_round(void **state)
{
	static const struct {
		bool limited_before, limited, excess;
		unsigned wait; /* after judgements without end */
	} table[] = {
		{ false, false, false, CC_PROBE_WAIT_MAX },
		{ false, true, false, CC_PROBE_WAIT_MAX }, /* in the round after */
		{ true, false, false, CC_PROBE_WAIT_MIN },
		{ false, false, true, CC_PROBE_WAIT_LOSS_MAX },
		{ true, false, true, CC_PROBE_WAIT_MIN },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(table); i++) {
		struct cc c = in_state(CC_JUDGE, 1, 0);
		struct cc_round_result r = plain;

		c.round.limited_before = table[i].limited_before;
		c.round.limited = table[i].limited;
		r.limited = table[i].limited || table[i].limited_before;
		for (unsigned n = 0; n < 10; n++)
			assert_int_equal(cc_next_state(&c, &r, table[i].excess, now),
					 CC_DOWN);
		assert_int_equal(c.probe.wait, table[i].wait);
	}
}

/* Three rounds without more, or one and a queue of a quarter of the round trip. */
static void startup_ends_when_no_more_comes_out(void **state)
{
	struct cc c = in_state(CC_STARTUP, 1, 0);
	struct cc_round_result few = plain;

	few.limited = true;
	assert_int_equal(next_of(&c), CC_STARTUP); /* the first rate that is seen */
	assert_int_equal(next_of(&c), CC_STARTUP);
	assert_int_equal(cc_next_state(&c, &few, false, now), CC_STARTUP);
	assert_int_equal(next_of(&c), CC_STARTUP);
	assert_int_equal(next_of(&c), CC_DRAIN);

	c = in_state(CC_STARTUP, 1, BASE_NS / 4);
	assert_int_equal(next_of(&c), CC_STARTUP);
	assert_int_equal(next_of(&c), CC_STARTUP);
	c = in_state(CC_STARTUP, 1, BASE_NS / 4 + 1);
	assert_int_equal(next_of(&c), CC_STARTUP);
	assert_int_equal(next_of(&c), CC_DRAIN);
}

/* By the clock, once; until then the window is CUBIC's, if it is used. */
static void sharing_ends_by_the_clock(void **state)
{
	struct cc c = in_state(CC_SHARED, 1, 10 * BOUND_NS);
	struct cc_round_result few = plain;
	double window;

	few.limited = true;
	window = c.share.cubic.window;
	assert_int_equal(cc_next_state(&c, &few, false, now), CC_SHARED);
	assert_true(c.share.cubic.window == window);
	assert_int_equal(next_of(&c), CC_SHARED);
	assert_true(c.share.cubic.window > window);
	window = c.share.cubic.window;
	c.since = rt_time_add(now, -RT_S); /* the clock has struck since */
	assert_int_equal(next_of(&c), CC_YIELD);
	assert_true(c.share.cubic.window == window);
	assert_int_equal(c.share.yield_ns, 2 * RT_S);
}

/* How a configured rate does, round by round, until the guard trips or for `rounds`. */
static unsigned rounds_until_down(int64_t queue_ns, double sent, double lost)
{
	struct cc c = in_state(CC_FIXED, 1, queue_ns);
	struct cc_round_result r = plain;
	rt_time at = now;
	unsigned rounds = 0;

	r.sent = sent;
	r.lost = lost;
	do {
		at = rt_time_add(at, ROUND_NS);
		rounds++;
	} while (rounds < 100 && cc_next_state(&c, &r, false, at) == CC_FIXED);
	assert_int_equal(c.guard.active, rounds < 100);
	assert_int_equal(c.guard.trips, rounds < 100);
	return rounds;
}

static void a_configured_rate_is_guarded(void **state)
{
	const double all = CAP / 20; /* in one round */
	const unsigned never = 100;
	const unsigned queue = CC_GUARD_AFTER_NS / ROUND_NS;
	const unsigned loss = CC_GUARD_LOSS_AFTER_NS / ROUND_NS + 1;
	static const struct {
		int64_t queue_ns;
		double sent, lost; /* of what is configured; of what is sent */
		int trips;	   /* by what */
	} table[] = {
		{ CC_GUARD_NS, 1, 0, 0 },
		{ CC_GUARD_NS + 1, 1, 0, 'q' },
		{ CC_GUARD_NS + 1, 0.5, 0, 'q' },
		{ CC_GUARD_NS + 1, 0.49, 0, 0 },
		{ 0, 1, 0.2, 0 },
		{ 0, 1, 0.21, 'l' },
		{ 0, 0.1, 0.21, 'l' },
		{ CC_GUARD_NS + 1, 1, 0.21, 'q' },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(table); i++) {
		double sent = table[i].sent * all;
		unsigned want = table[i].trips == 'q'	? queue
				: table[i].trips == 'l' ? loss
							: never;

		assert_int_equal(rounds_until_down(table[i].queue_ns, sent,
						   table[i].lost * sent),
				 want);
	}
}

/* What the path loses by itself is no reason to go below a configured rate. */
static void the_guard_knows_the_paths_own_loss(void **state)
{
	struct cc c = in_state(CC_FIXED, 1, 0);
	struct cc_round_result r = plain;
	rt_time at = now;

	cc_loss_learn(&c.loss, 100000, 10000);
	r.lost = 0.29 * r.sent;
	for (unsigned i = 0; i < 100; i++) {
		at = rt_time_add(at, ROUND_NS);
		assert_int_equal(cc_next_state(&c, &r, false, at), CC_FIXED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_by_rounds_and_queue),
		cmocka_unit_test(cruise_ends_by_time_too),
		cmocka_unit_test(more_is_asked_for_where_it_comes_out),
		cmocka_unit_test(a_judgement_knows_its_round),
		cmocka_unit_test(startup_ends_when_no_more_comes_out),
		cmocka_unit_test(sharing_ends_by_the_clock),
		cmocka_unit_test(a_configured_rate_is_guarded),
		cmocka_unit_test(the_guard_knows_the_paths_own_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
