// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is sent and waited for follows from a goal and a path here, and nowhere else: the
 * goal is met or refused, never missed in silence, and a path that needs little gets
 * little.
 */
#include <errno.h>
#include <math.h>

#include "fec/estimate.h"
#include "fec/fec.h"
#include "fec/redundancy.h"
#include "tests/unit/unit.h"

static const struct fec_goal goal = {
	.safety = 1e-6, .assume = { 0.01, 1 }, .min = 0.03, .max = 0.5
};

static struct fec_redundancy weigh(const struct fec_goal *g, const struct fec_path *line,
				   int expect)
{
	struct fec_redundancy r = { 0 };

	assert_int_equal(fec_redundancy(g, line, &r), expect);
	assert_true(r.residual >= 0 && r.residual <= 1);
	assert_int_equal(r.residual > g->safety, expect == -ERANGE);
	assert_true(r.repairs >= FEC_RISK_REPAIRS_MIN);
	assert_true(r.repairs <= FEC_RISK_REPAIRS_MAX);
	assert_true(r.window >= 16 && r.window <= FEC_WINDOW_MAX);
	/* no symbol leaves the window before m repairs cover it */
	assert_true(r.window * r.share >= r.repairs - 1e-9);
	for (unsigned n = 1; n <= FEC_ISOLATED_MAX; n++) {
		assert_true(r.isolated[n] >= r.isolated[n - 1] &&
			    r.isolated[n] <= r.repairs);
		assert_true(r.isolated[n] >= FEC_RISK_REPAIRS_MIN);
	}
	if (g->share > 0)
		assert_true(r.share == g->share);
	else
		assert_true(r.share >= g->min && r.share <= g->max);
	return r;
}

/* Goal C4, with what is assumed when nothing is known. */
static void one_percent_costs_ten_at_most(void **state)
{
	struct fec_redundancy r = weigh(&goal, NULL, 0);

	assert_true(r.share <= 0.10);
	assert_true(r.repairs <= 12);
	assert_int_equal(r.isolated[3], 3);
}

static void every_line_reaches_its_goal_or_is_refused(void **state)
{
	static const double losses[] = { 0, 0.001, 0.01, 0.02, 0.05 };
	static const double bursts[] = { 1, 1.3, 3, 8, 32 };
	static const double safeties[] = { 1e-2, 1e-3, 1e-4 };

	for (unsigned i = 0; i < 75; i++) {
		struct fec_goal g = goal;
		double share = 0;

		g.assume = (struct fec_path){ losses[i % 5], bursts[i / 5 % 5] };
		g.safety = safeties[i / 25];
		share = weigh(&g, NULL, 0).share;
		assert_true(share > g.assume.loss / (1 - g.assume.loss));
	}
}

/* A fixed share is kept; m then follows from it alone. */
static void fixed_share_is_kept(void **state)
{
	struct fec_goal g = goal;
	unsigned repairs;

	for (g.share = 0.05; g.share <= 0.5; g.share += 0.05) {
		struct fec_redundancy r = weigh(&g, NULL, 0);

		assert_int_equal(fec_risk_repairs(&g.assume, g.safety, g.share, &repairs),
				 0);
		assert_true(r.repairs == repairs || r.repairs == repairs + 1);
	}
}

static void worse_lines_get_more(void **state)
{
	double before = 0;

	for (double loss = 0.01; loss <= 0.1; loss += 0.01) {
		struct fec_path line = { loss, 1 };
		struct fec_redundancy r = weigh(&goal, &line, 0);

		assert_true(r.share >= before);
		before = r.share;
	}
	assert_true(before > 0.15);
	for (double burst = 2; burst <= 32; burst *= 2) {
		struct fec_path line = { 0.01, burst };
		struct fec_redundancy r = weigh(&goal, &line, 0);

		assert_true(r.repairs > 2 * burst);
	}
}

/* What is measured better than assumed changes nothing: no estimator sees a path turn. */
static void assumption_is_the_least(void **state)
{
	static const struct fec_path better[] = { { 0.0001, 8 }, { 0.01, 1 }, { 0, 1 } };
	struct fec_path good = { 0.0001, 1 };
	struct fec_redundancy a = weigh(&goal, NULL, 0), b = weigh(&goal, &good, 0);
	struct fec_goal g = goal;

	assert_true(a.share == b.share);
	assert_int_equal(a.repairs, b.repairs);
	g.assume.burst = 8;
	a = weigh(&g, NULL, 0);
	for (unsigned i = 0; i < sizeof(better) / sizeof(better[0]); i++) {
		b = weigh(&g, &better[i], 0);
		assert_true(a.share == b.share);
		assert_int_equal(a.repairs, b.repairs);
		assert_memory_equal(a.isolated, b.isolated, sizeof(a.isolated));
	}
}

/* The search weighs many shares; what it finds is what its share alone asks for. */
static void searched_is_what_its_share_asks_for(void **state)
{
	static const struct fec_path paths[] = {
		{ 0.001, 1 }, { 0.001, 16 }, { 0.01, 1 }, { 0.01, 8 }, { 0.02, 3 },
	};
	static const double safeties[] = { 1e-2, 1e-4, 1e-6 };

	for (unsigned i = 0; i < 15; i++) {
		struct fec_goal g = goal;
		struct fec_redundancy found, alone;

		g.assume = paths[i % 5];
		g.safety = safeties[i / 5];
		g.flight = 20000;
		found = weigh(&g, NULL, 0);
		g.share = found.share;
		alone = weigh(&g, NULL, 0);
		assert_int_equal(found.repairs, alone.repairs);
		assert_int_equal(found.window, alone.window);
		assert_true(fabs(found.residual / alone.residual - 1) < 1e-9);
	}
}

/* Out of reach: the most there is, and the truth about it. */
static void out_of_reach_is_said(void **state)
{
	struct fec_goal g = goal;
	struct fec_redundancy r;
	double alone;

	g.assume = (struct fec_path){ 0.05, 64 };
	r = weigh(&g, NULL, -ERANGE);
	assert_int_equal(r.repairs, FEC_RISK_REPAIRS_MAX);
	assert_int_equal(r.window, FEC_WINDOW_MAX);
	assert_int_equal(fec_risk_residual(&g.assume, r.repairs, r.share, &alone), 0);
	assert_true(r.residual >= alone * 0.99);
	g = goal;
	g.share = 0.03; /* and the repairs cannot even carry the losses */
	g.assume.loss = 0.05;
	r = weigh(&g, NULL, -ERANGE);
	assert_true(r.residual == 1);
	assert_true(r.repairs <= 0.03 * FEC_WINDOW_MAX);
}

/* Outages of thousands in a row: the estimate has a worst, and that can be weighed. */
static void the_worst_estimate_is_out_of_reach_and_no_error(void **state)
{
	const struct fec_sample sample = { .sent = 100000, .lost = 50000, .bursts = 10 };
	struct fec_goal assumed = goal, fixed = goal;
	struct fec_estimate estimate;
	struct fec_path upper;

	fec_estimate_init(&estimate);
	fec_estimate_add(&estimate, &sample, (rt_time){ RT_S });
	assert_true(fec_estimate_path(&estimate, &upper, NULL));
	assert_true(upper.burst == FEC_BURST_MAX);
	(void)weigh(&goal, &upper, -ERANGE);
	assumed.assume = upper;
	(void)weigh(&assumed, NULL, -ERANGE);
	fixed.share = 0.5;
	(void)weigh(&fixed, &upper, -ERANGE);
}

/* A hole that has left the window costs a round trip: longer paths want longer windows. */
static void longer_lines_want_longer_windows(void **state)
{
	struct fec_goal g = goal;
	struct fec_redundancy near, far;

	g.safety = 1e-2; /* few repairs, so that the holes decide */
	g.assume = (struct fec_path){ 0.001, 16 };
	g.flight = 100;
	near = weigh(&g, NULL, 0);
	g.flight = 200000;
	far = weigh(&g, NULL, 0);
	assert_true(far.share > near.share || far.window > near.window);
}

/*
 * What is stated includes the holes; at this point they cost a tenth of the goal, more than
 * isolated writes could add to the busy periods.
 */
static void holes_are_in_what_is_stated(void **state)
{
	const struct fec_goal g = {
		.safety = 1e-3,
		.assume = { 0.01, 8 },
		.min = 0.03,
		.max = 0.5,
		.share = 0.1,
		.flight = 100,
	};
	struct fec_redundancy r = weigh(&g, NULL, 0);
	double alone;

	assert_int_equal(fec_risk_residual(&g.assume, r.repairs, r.share, &alone), 0);
	assert_true(r.residual > 1.08 * alone);
}

static void arguments_out_of_range(void **state)
{
	static const struct fec_goal wrong[] = {
		{ 0, { 0.01, 1 }, 0.03, 0.5, 0, 0 },
		{ NAN, { 0.01, 1 }, 0.03, 0.5, 0, 0 },
		{ 2, { 0.01, 1 }, 0.03, 0.5, 0, 0 },
		{ 1e-6, { 1, 1 }, 0.03, 0.5, 0, 0 },
		{ 1e-6, { 0.01, 0.5 }, 0.03, 0.5, 0, 0 },
		{ 1e-6, { 0.01, 1 }, 0, 0.5, 0, 0 },
		{ 1e-6, { 0.01, 1 }, 0.03, 1.5, 0, 0 },
		{ 1e-6, { 0.01, 1 }, 0.5, 0.03, 0, 0 },
		{ 1e-6, { 0.01, 1 }, 0.03, 0.5, 2, 0 },
		{ 1e-6, { 0.01, 1 }, 0.03, NAN, 0, 0 },
		{ 1e-6, { 0.01, 1 }, 0.03, 0.5, -1, 0 },
	};
	struct fec_path line = { -1, 1 };
	struct fec_redundancy r = { .repairs = 42 };

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fec_redundancy(&wrong[i], NULL, &r), -EINVAL);
	assert_int_equal(fec_redundancy(&goal, &line, &r), -EINVAL);
	assert_int_equal(r.repairs, 42);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_percent_costs_ten_at_most),
		cmocka_unit_test(every_line_reaches_its_goal_or_is_refused),
		cmocka_unit_test(fixed_share_is_kept),
		cmocka_unit_test(worse_lines_get_more),
		cmocka_unit_test(assumption_is_the_least),
		cmocka_unit_test(searched_is_what_its_share_asks_for),
		cmocka_unit_test(out_of_reach_is_said),
		cmocka_unit_test(the_worst_estimate_is_out_of_reach_and_no_error),
		cmocka_unit_test(longer_lines_want_longer_windows),
		cmocka_unit_test(holes_are_in_what_is_stated),
		cmocka_unit_test(arguments_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
