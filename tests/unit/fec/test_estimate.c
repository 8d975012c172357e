// SPDX-License-Identifier: BSD-3-Clause
/*
 * The redundancy follows these bounds. One that is too low breaks the promise of
 * `safety`, one that does not come down again costs bandwidth for ever, and one that
 * moves with what we send ourselves would feed itself.
 */
#include <math.h>

#include "fec/estimate.h"
#include "fec/redundancy.h"
#include "tests/unit/fec/reference.h"

struct line {
	struct ref_random r;
	struct fec_path is;
	bool bad;
	rt_time now;
};

static bool lost(struct line *l)
{
	double leave = 1 / fmax(l->is.burst, 1 / (1 - l->is.loss));

	l->bad = l->bad ? !ref_chance(&l->r, leave)
			: ref_chance(&l->r, leave * l->is.loss / (1 - l->is.loss));
	return l->bad;
}

/* So many datagrams, reported in pieces, `us` microseconds each. */
static void feed(struct fec_estimate *e, struct line *l, unsigned datagrams, int64_t us)
{
	while (datagrams > 0) {
		struct fec_sample s = { 0 };
		unsigned most = 1 + ref_below(&l->r, 60);

		s.sent = datagrams < most ? datagrams : most;
		datagrams -= (unsigned)s.sent;
		for (unsigned i = 0; i < s.sent; i++) {
			bool before = l->bad;

			if (lost(l)) {
				s.lost++;
				s.bursts += !before;
			}
		}
		l->now = rt_time_add(l->now, us * (int64_t)s.sent * RT_US);
		fec_estimate_add(e, &s, l->now);
	}
}

static struct fec_path upper_of(const struct fec_estimate *e)
{
	struct fec_path upper = { 0 };

	assert_true(fec_estimate_path(e, &upper, NULL));
	assert_true(fec_path_valid(&upper));
	return upper;
}

static void nothing_is_said_too_early(void **state)
{
	struct fec_estimate e;
	struct line l = { .r = { 1 }, .is = { 0, 1 } };
	struct fec_path upper = { 42, 42 }, mean = { 42, 42 };

	fec_estimate_init(&e);
	feed(&e, &l, 900, 100);
	assert_false(fec_estimate_path(&e, &upper, &mean));
	assert_true(upper.loss == 42 && mean.burst == 42);
	feed(&e, &l, 300, 100);
	assert_true(fec_estimate_path(&e, &upper, &mean));
	assert_true(mean.loss == 0 && mean.burst == 1);
	assert_true(upper.loss > 0 && upper.loss < 0.01 && upper.burst == 1);
}

/* In how many of a thousand paths of this kind is the truth above the bound? */
static void bounds_hold(const struct fec_path *is, unsigned datagrams, double *loss,
			double *burst)
{
	const unsigned times = 1000;
	unsigned loss_above = 0, burst_above = 0;
	double sum = 0, sum_burst = 0;

	for (unsigned i = 0; i < times; i++) {
		struct line l = { .r = { i * 77 + 5 }, .is = *is };
		struct fec_estimate e;
		struct fec_path upper;

		fec_estimate_init(&e);
		feed(&e, &l, datagrams, 100);
		upper = upper_of(&e);
		loss_above += is->loss > upper.loss;
		burst_above += is->burst > upper.burst;
		sum += upper.loss;
		sum_burst += upper.burst;
	}
	*loss = loss_above / (double)times;
	*burst = burst_above / (double)times;
	print_message("loss %.3f burst %2g, %u datagrams: too low in %.1f %%, %.1f %%; "
		      "on average %.4f, %.2f\n",
		      is->loss, is->burst, datagrams, 100 * *loss, 100 * *burst,
		      sum / times, sum_burst / times);
}

static void bounds_hold_as_stated(void **state)
{
	static const struct {
		struct fec_path is;
		unsigned datagrams;
	} lines[] = {
		{ { 0.01, 1 }, 2000 },	{ { 0.001, 1 }, 20000 }, { { 0.05, 1 }, 2000 },
		{ { 0.01, 3 }, 10000 }, { { 0.02, 8 }, 20000 },	 { { 0.05, 32 }, 30000 },
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		double loss, burst;

		bounds_hold(&lines[i].is, lines[i].datagrams, &loss, &burst);
		/* 1 % and 5 %, and what a thousand draws may add to it */
		assert_true(loss <= 0.02);
		assert_true(burst <= 0.07);
	}
}

static void rises_at_once(void **state)
{
	static const struct fec_path worse[] = { { 0.05, 1 }, { 0.03, 10 }, { 0.01, 1 } };

	for (unsigned i = 0; i < 3; i++) {
		struct line l = { .r = { i + 1 }, .is = { 0.0005, 1 } };
		struct fec_estimate e;

		fec_estimate_init(&e);
		feed(&e, &l, 3000000, 20);
		assert_true(upper_of(&e).loss < 0.001);
		assert_true(upper_of(&e).burst == 1);
		l.is = worse[i];
		feed(&e, &l, 3000, 20); /* 60 ms */
		assert_true(upper_of(&e).loss > worse[i].loss * 0.9);
		if (worse[i].burst > 1)
			assert_true(upper_of(&e).burst > 4);
	}
}

/*
 * A change is seen in few datagrams, which say little of how bad it is; a second later
 * more is known, and a path of 1 % costs what one of 1 % needs, not what it might have
 * needed. The bound stays one.
 */
static void knows_better_soon_after_a_change(void **state)
{
	const unsigned times = 300;
	unsigned too_low = 0, dear = 0;
	double sum = 0;

	for (unsigned i = 0; i < times; i++) {
		struct fec_goal goal = {
			.safety = 1e-6, .assume = { 0.01, 1 }, .min = 0.03, .max = 0.5
		};
		struct line l = { .r = { i * 31 + 7 }, .is = { 0.001, 1 } };
		struct fec_redundancy r;
		struct fec_estimate e;
		struct fec_path upper;

		fec_estimate_init(&e);
		feed(&e, &l, 100000, 60);
		l.is.loss = 0.01;
		feed(&e, &l, 20000, 60); /* 1.2 s */
		upper = upper_of(&e);
		too_low += upper.loss < l.is.loss;
		sum += upper.loss;
		assert_int_equal(fec_redundancy(&goal, &upper, &r), 0);
		dear += r.share > 0.1;
	}
	print_message(
		"%.4f on average, too low in %.1f %%, more than a tenth in %.1f %%\n",
		sum / times, 100.0 * too_low / times, 100.0 * dear / times);
	assert_true(sum / times < 0.015);
	assert_true(too_low < 0.03 * times);
	assert_true(dear < 0.05 * times);
}

static void falls_slowly(void **state)
{
	struct line l = { .r = { 3 }, .is = { 0.05, 4 } };
	struct fec_estimate e;
	struct fec_path bad, upper;

	fec_estimate_init(&e);
	feed(&e, &l, 100000, 100); /* 10 s */
	bad = upper_of(&e);
	assert_true(bad.loss > 0.05 && bad.burst > 4);
	l.is = (struct fec_path){ 0.001, 1 };
	l.bad = false;
	feed(&e, &l, 20000, 100); /* 2 s later it still counts .. */
	upper = upper_of(&e);
	assert_true(upper.loss > 0.8 * bad.loss && upper.burst > 0.8 * bad.burst);
	feed(&e, &l, 5000000, 100);
	upper = upper_of(&e);
	/* .. and minutes later it is gone */
	assert_true(upper.loss < 0.002);
	assert_true(upper.burst < 1.5);
}

/* Losses of another kind make the path worse in one way; the long bursts may come again. */
static void bursts_count_on_after_a_change(void **state)
{
	struct line l = { .r = { 12 }, .is = { 0.02, 8 } };
	struct fec_estimate e;
	struct fec_path before, after;

	fec_estimate_init(&e);
	feed(&e, &l, 100000, 100); /* 10 s */
	before = upper_of(&e);
	l.is = (struct fec_path){ 0.2, 1 };
	feed(&e, &l, 5000, 100);
	after = upper_of(&e);
	assert_true(before.loss < 0.04 && after.loss > 0.15);
	assert_true(before.burst > 7 && after.burst > 0.75 * before.burst);
}

/* When losses stop the bounds fall, and do not rise because so few are remembered. */
static void fades_without_rising(void **state)
{
	struct line l = { .r = { 9 }, .is = { 0.02, 4 } };
	struct fec_estimate e;
	struct fec_path before, after;

	fec_estimate_init(&e);
	feed(&e, &l, 100000, 100);
	l.is = (struct fec_path){ 0, 1 };
	l.bad = false;
	for (unsigned i = 0; i < 900; i++) { /* a second each */
		before = upper_of(&e);
		feed(&e, &l, 10000, 100);
		after = upper_of(&e);
		assert_true(after.loss <= before.loss && after.burst <= before.burst);
	}
	assert_true(after.burst < 1.2);
}

/* Idle time is no evidence of anything. */
static void silence_changes_nothing(void **state)
{
	struct line l = { .r = { 4 }, .is = { 0.02, 1 } };
	struct fec_estimate e;
	struct fec_path before, after;

	fec_estimate_init(&e);
	feed(&e, &l, 50000, 100);
	before = upper_of(&e);
	l.now = rt_time_add(l.now, 3600 * RT_S);
	feed(&e, &l, 10, 100);
	after = upper_of(&e);
	assert_true(after.loss > 0.9 * before.loss && after.loss < 1.2 * before.loss);
}

/*
 * A path that loses 1 %, whatever is sent: the share goes where that asks for and stays,
 * though each change of it changes how much is sent.
 */
static void does_not_feed_itself(void **state)
{
	struct fec_goal goal = {
		.safety = 1e-6, .assume = { 0.001, 1 }, .min = 0.03, .max = 0.5
	};
	struct line l = { .r = { 6 }, .is = { 0.02, 1 } };
	struct fec_estimate e;
	double share = goal.max, low = 1, high = 0;

	fec_estimate_init(&e);
	for (unsigned second = 0; second < 400; second++) {
		struct fec_redundancy r;
		struct fec_path upper;

		feed(&e, &l, (unsigned)(5000 * (1 + share)),
		     (int64_t)(200 / (1 + share)));
		upper = upper_of(&e);
		assert_int_equal(fec_redundancy(&goal, &upper, &r), 0);
		share = r.share;
		if (second < 100)
			continue;
		low = fmin(low, share);
		high = fmax(high, share);
		assert_true(upper.loss < 0.025);
	}
	print_message("share between %.3f and %.3f\n", low, high);
	assert_true(high <= 0.15 && low >= 0.08);
}

static void congestion_does_not_count(void **state)
{
	struct line l = { .r = { 7 }, .is = { 0.001, 1 } };
	struct fec_sample full = {
		.sent = 1000, .lost = 500, .bursts = 20, .congested = true
	};
	struct fec_estimate e;
	struct fec_path before, after;

	fec_estimate_init(&e);
	feed(&e, &l, 50000, 100);
	before = upper_of(&e);
	for (unsigned i = 0; i < 100; i++)
		fec_estimate_add(&e, &full, l.now);
	after = upper_of(&e);
	assert_true(before.loss == after.loss && before.burst == after.burst);
}

/* Acknowledgements come from outside: counts that cannot be do no harm. */
static void impossible_samples_are_clipped(void **state)
{
	static const struct fec_sample samples[] = {
		{ .sent = 0, .lost = 7, .bursts = 9 },
		{ .sent = 10, .lost = 1000, .bursts = 0 },
		{ .sent = UINT64_MAX, .lost = UINT64_MAX, .bursts = UINT64_MAX },
		{ .sent = 5, .lost = 0, .bursts = 3 },
		{ .sent = 1, .lost = 1, .bursts = 0 },
	};
	struct fec_estimate e;
	struct fec_path upper, mean;

	fec_estimate_init(&e);
	for (unsigned i = 0; i < 1000; i++) {
		rt_time now = { (int64_t)(i % 7) * RT_S }; /* not even in order */

		fec_estimate_add(&e, &samples[i * 31 % 5], now);
		if (fec_estimate_path(&e, &upper, &mean)) {
			assert_true(fec_path_valid(&upper));
			assert_true(mean.loss >= 0 && mean.loss <= 1 && mean.burst >= 1);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_said_too_early),
		cmocka_unit_test(bounds_hold_as_stated),
		cmocka_unit_test(rises_at_once),
		cmocka_unit_test(knows_better_soon_after_a_change),
		cmocka_unit_test(falls_slowly),
		cmocka_unit_test(bursts_count_on_after_a_change),
		cmocka_unit_test(fades_without_rising),
		cmocka_unit_test(silence_changes_nothing),
		cmocka_unit_test(does_not_feed_itself),
		cmocka_unit_test(congestion_does_not_count),
		cmocka_unit_test(impossible_samples_are_clipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
