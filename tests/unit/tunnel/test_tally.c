// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the receiver counts as missing is what the line lost, in the runs in which it lost
 * it: redundancy follows these figures, so disorder must not look like loss, a burst must
 * not look like many losses, and a sender that leaps must not keep us walking.
 */
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/path.h"
#include "replicator/tunnel/replay.h"
#include "replicator/tunnel/sent.h"
#include "replicator/tunnel/tally.h"
#include "tests/unit/tunnel/pair.h"

struct run {
	struct replay replay;
	struct tally tally;
	int64_t now_ns;
};

static void run_init(struct run *r)
{
	*r = (struct run){ .now_ns = RT_S };
	assert_int_equal(replay_init(&r->replay, 0), 0);
	tally_init(&r->tally, (rt_time){ r->now_ns });
}

static void come(struct run *r, uint64_t number, bool first)
{
	if (!replay_take(&r->replay, number))
		return;
	tally_turn(&r->tally, &r->replay, (rt_time){ r->now_ns });
	if (first)
		tally_first(&r->tally, number);
}

/* Two more turns, so that all up to `number` is decided. */
static void settle(struct run *r, uint64_t number)
{
	for (unsigned i = 1; i <= 3; i++) {
		r->now_ns += TALLY_REO_WND_NS;
		come(r, number + i, false);
	}
}

static void nothing_lost_is_nothing_missing(void **state)
{
	struct run r;

	run_init(&r);
	for (uint64_t n = 1; n <= 5000; n++) {
		come(&r, n, n % 10 != 0);
		r.now_ns += 50 * RT_US;
		assert_int_equal(r.tally.missing, 0);
		assert_true(r.tally.decided <= n);
		assert_true(r.tally.decided + 801 >= n || n < 801);
		assert_int_equal(r.tally.originals,
				 r.tally.decided - r.tally.decided / 10);
	}
	replay_release(&r.replay);
}

/* Against the definition, number by number: a datagram received within 20 ms counts. */
static void losses_and_their_runs_are_counted(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct pair_line line = { .loss = 0.05, .burst = 1 + (double)(seed % 5) };
		struct pair p = { .rng = { seed } };
		uint64_t missing = 0, runs = 0, firsts = 0;
		bool lost_before = false;
		struct run r;

		run_init(&r);
		for (uint64_t n = 1; n <= 20000; n++) {
			bool lost = pair_lost(&p, &line), first = pair_below(&p.rng, 3);

			missing += lost;
			runs += lost && !lost_before;
			firsts += !lost && first;
			lost_before = lost;
			if (!lost)
				come(&r, n, first);
			r.now_ns += 20 * RT_US;
		}
		come(&r, 20001, false);
		settle(&r, 20001);
		assert_true(r.tally.decided >= 20001);
		assert_int_equal(r.tally.missing, missing);
		assert_int_equal(r.tally.bursts, runs);
		assert_int_equal(r.tally.originals, firsts);
		replay_release(&r.replay);
	}
}

/* Disorder of thousands of datagrams within the time is no loss. */
static void disorder_is_not_loss(void **state)
{
	struct run r;

	run_init(&r);
	for (uint64_t n = 1; n < 20000; n += 2000) {
		for (uint64_t i = 2000; i-- > 0; r.now_ns += 9 * RT_US)
			come(&r, n + i, true);
	}
	settle(&r, 20000);
	assert_int_equal(r.tally.missing, 0);
	assert_int_equal(r.tally.originals, 20000);
	replay_release(&r.replay);
}

/* What comes when nobody waits for it any more was lost, and is not counted twice. */
static void what_comes_late_was_missing(void **state)
{
	struct run r;

	run_init(&r);
	for (uint64_t n = 1; n <= 1000; n++)
		if (n != 500)
			come(&r, n, true);
	settle(&r, 1000);
	assert_int_equal(r.tally.missing, 1);
	come(&r, 500, true);
	settle(&r, 1003);
	assert_int_equal(r.tally.missing, 1);
	assert_int_equal(r.tally.bursts, 1);
	assert_int_equal(r.tally.originals, 999);
	replay_release(&r.replay);
}

/* The longest of the runs that a turn ends, and that one until there is another. */
static void a_gap_is_told_as_it_was(void **state)
{
	struct run r;

	run_init(&r);
	for (uint64_t n = 1; n <= 2000; n++) {
		bool lost = (n > 100 && n < 108) || (n > 500 && n < 509) ||
			    (n > 520 && n < 560) || (n > 700 && n < 720);

		if (!lost)
			come(&r, n, true);
	}
	assert_int_equal(r.tally.gap_end, 0);
	settle(&r, 2000);
	assert_int_equal(r.tally.gap_first, 521);
	assert_int_equal(r.tally.gap_end, 560);
	assert_int_equal(r.tally.bursts, 4);
	for (uint64_t n = 2010; n <= 2100; n++)
		if (n != 2050)
			come(&r, n, true);
	settle(&r, 2100);
	assert_int_equal(r.tally.gap_first, 521); /* too short, both of them */
	come(&r, 2112, true);
	settle(&r, 2112);
	assert_int_equal(r.tally.gap_first, 2104);
	assert_int_equal(r.tally.gap_end, 2112);
	replay_release(&r.replay);
}

/* A number far away is one run, at the price of one window. */
static void a_leap_is_bounded(void **state)
{
	struct run r;

	run_init(&r);
	come(&r, 1, true);
	for (uint64_t n = UINT64_C(1) << 20; n < UINT64_C(1) << 62; n <<= 7) {
		r.now_ns += TALLY_REO_WND_NS;
		come(&r, n, false);
		assert_true(r.tally.bursts <= r.tally.missing);
		assert_true(r.tally.missing <= r.tally.decided);
	}
	replay_release(&r.replay);
}

static uint64_t lost_by_path(struct path *p, const struct packet_report *report,
			     uint64_t originals_sent)
{
	struct sent_entry entry = { .originals = originals_sent };
	struct fec_sample sample;

	assert_true(path_decided(p, report, &entry, NULL, &sample));
	return sample.lost;
}

/* What the receiver's own buffer dropped is not the line's loss; no more than that. */
static void what_a_buffer_drops_is_no_loss(void **state)
{
	struct packet_report r = { .decided = 1000, .originals = 900, .overflowed = 60 };
	struct path p;

	path_init(&p);
	assert_int_equal(lost_by_path(&p, &r, 1000), 40);
	/* Its count is ahead of `decided`, by one sample. */
	r = (struct packet_report){ .decided = 2000,
				    .originals = 1900,
				    .overflowed = 160 };
	assert_int_equal(lost_by_path(&p, &r, 2000), 0);
	r.decided = 3000;
	r.originals = 2780;
	assert_int_equal(lost_by_path(&p, &r, 3000), 20);
	r.decided = 4000;
	r.originals = 3680;
	assert_int_equal(lost_by_path(&p, &r, 4000), 100);
	/* One that falls is no news, and gives nothing away. */
	r = (struct packet_report){ .decided = 5000, .originals = 4580, .overflowed = 7 };
	assert_int_equal(lost_by_path(&p, &r, 5000), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost_is_nothing_missing),
		cmocka_unit_test(losses_and_their_runs_are_counted),
		cmocka_unit_test(disorder_is_not_loss),
		cmocka_unit_test(what_comes_late_was_missing),
		cmocka_unit_test(a_gap_is_told_as_it_was),
		cmocka_unit_test(a_leap_is_bounded),
		cmocka_unit_test(what_a_buffer_drops_is_no_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
