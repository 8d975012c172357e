// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is promised of disasters, held against disasters by the hundred thousand: short
 * versions of `make safety`, `make safety-model` and `make safety-mixed`, in seconds.
 */
#include "tests/safety/safety.h"
#include "tests/unit/unit.h"

#define FLIGHT 4096

static struct fec_goal goal(double loss, double burst, double safety)
{
	return (struct fec_goal){ .safety = safety,
				  .assume = { loss, burst },
				  .min = 0.03,
				  .max = 0.5,
				  .flight = FLIGHT };
}

static void stated_is_1_to_30_times_what_is_drawn(void **state)
{
	static const struct {
		double loss, burst, safety;
	} points[] = {
		{ 0.01, 1, 1e-3 }, { 0.05, 1, 1e-4 },  { 0.01, 4, 1e-3 },
		{ 0.02, 8, 1e-2 }, { 0.05, 16, 1e-3 }, { 0.02, 64, 1e-2 },
	};

	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct fec_goal g =
			goal(points[i].loss, points[i].burst, points[i].safety);
		struct fec_redundancy r;
		struct safety_ideal c = { .line = g.assume, .flight = FLIGHT };
		struct safety_drawn d;
		double ratio;

		assert_int_equal(fec_redundancy(&g, NULL, &r), 0);
		c.share = r.share;
		c.repairs = r.repairs;
		c.window = r.window;
		safety_ideal_draw(&c, 100, 200000000, i + 1, &d);
		ratio = r.residual / safety_share(&d);
		print_message(
			"loss %.2f burst %2g: m %u, stated %.1e, drawn %.1e +-%.0f%%, "
			"ratio %.2f\n",
			g.assume.loss, g.assume.burst, r.repairs, r.residual,
			safety_share(&d), 100 * safety_noise(&d), ratio);
		assert_true(d.losses == 100);
		assert_true(ratio > 1 && ratio < 30);
	}
}

/* The window alone: kill often enough and a window that is too short is found out. */
static void short_windows_show(void **state)
{
	struct fec_goal g = goal(0.02, 8, 1e-2);
	struct fec_redundancy r;
	struct safety_ideal c = { .line = g.assume, .flight = FLIGHT };
	struct safety_drawn d;

	assert_int_equal(fec_redundancy(&g, NULL, &r), 0);
	c.share = r.share;
	c.repairs = r.repairs;
	c.window = r.window / 3;
	safety_ideal_draw(&c, 100, 200000000, 1, &d);
	assert_true(safety_share(&d) > g.safety);
}

static void real_codes(const struct fec_goal *g, uint64_t kills)
{
	struct fec_redundancy r;
	struct safety_codec c = { .code = { .code = FEC_WINDOW },
				  .line = g->assume,
				  .flight = FLIGHT };
	struct safety_drawn enough, few;

	assert_int_equal(fec_redundancy(g, NULL, &r), 0);
	c.share = r.share;
	c.code.window = (uint16_t)r.window;
	c.repairs = r.repairs;
	c.isolated = r.isolated;
	assert_int_equal(safety_codec_draw(&c, kills, 1, &enough), 0);
	c.repairs = r.repairs / 3;
	c.isolated = NULL;
	assert_int_equal(safety_codec_draw(&c, kills, 1, &few), 0);
	print_message("loss %.2f burst %g: m %u lost %.1e of the kills, m %u %.1e\n",
		      g->assume.loss, g->assume.burst, r.repairs, safety_share(&enough),
		      c.repairs, safety_share(&few));
	assert_true(safety_share(&enough) <= g->safety);
	assert_true(safety_share(&few) > g->safety);
}

static void real_codes_keep_the_promise(void **state)
{
	struct fec_goal chance = goal(0.05, 1, 1e-3), burst = goal(0.02, 8, 1e-2);

	real_codes(&chance, 60000);
	real_codes(&burst, 20000);
}

/* The same with batches that fail, deficits that are reported and a path in doubt. */
static void real_codes_keep_the_promise_in_trouble(void **state)
{
	struct fec_goal g = goal(0.02, 1, 1e-3);
	struct fec_redundancy r;
	struct safety_codec codes[2] = {
		{ .code = { .code = FEC_WINDOW },
		  .line = g.assume,
		  .flight = 600,
		  .fails = 50 },
		{ .code = { .code = FEC_RS, .r = 4, .c = 2 },
		  .line = { 0.005, 1 },
		  .repairs = 2,
		  .flight = 100,
		  .fails = 25 },
	};
	const double most[] = { g.safety, 2e-4 };
	struct safety_drawn d, failures_ignored;

	assert_int_equal(fec_redundancy(&g, NULL, &r), 0);
	codes[0].share = r.share;
	codes[0].code.window = (uint16_t)r.window;
	codes[0].repairs = r.repairs;
	codes[0].isolated = r.isolated;
	for (unsigned i = 0; i < 2; i++) {
		struct safety_codec *c = &codes[i];

		assert_int_equal(safety_codec_draw(c, 20000, 1, &d), 0);
		c->failures_ignored = true;
		assert_int_equal(safety_codec_draw(c, 20000, 1, &failures_ignored), 0);
		print_message("code %d: lost %.1e of the kills, failures ignored %.1e\n",
			      (int)c->code.code, safety_share(&d),
			      safety_share(&failures_ignored));
		assert_true(safety_share(&d) <= most[i]);
		assert_true(safety_share(&failures_ignored) > 2 * most[i]);
	}
}

/* The prototype's rule passes symbols that no repair covers: it must show. */
static void papers_rule_loses(void **state)
{
	struct safety_codec c = { .code = { .code = FEC_LAYERED,
					    .r = 8,
					    .c = 3,
					    .interleave = { 1, 20, 40 } },
				  .line = { 0.01, 1 },
				  .paper = true,
				  .flight = FLIGHT };
	struct safety_drawn d;

	assert_int_equal(safety_codec_draw(&c, 10000, 1, &d), 0);
	assert_true(safety_share(&d) > 0.01 && safety_share(&d) < 0.05);
}

/* Goes well where the rule is followed, and badly where it is followed carelessly. */
static void lone_writes_keep_the_promise(void **state)
{
	struct fec_goal g = goal(0.05, 1, 1e-4);
	struct fec_redundancy r;
	struct safety_mixed c = { .line = g.assume, .redundancy = &r };
	struct safety_drawn d;

	assert_int_equal(fec_redundancy(&g, NULL, &r), 0);
	for (unsigned i = 0; i < 4; i++) {
		c.flight = i % 2 ? 30 : 500;
		c.load = i / 2 ? 0.6 : 0.05;
		c.careless = false;
		assert_int_equal(safety_mixed_draw(&c, 50, 5000000, i, &d), 0);
		assert_true(d.disasters > 10000);
		assert_true(safety_share(&d) <= g.safety);
	}
	c.careless = true;
	assert_int_equal(safety_mixed_draw(&c, 50, 5000000, 1, &d), 0);
	assert_true(safety_share(&d) > 3 * g.safety);
}

/*
 * Batches fail, the path is cut and comes back, and deficits are reported. Goes well where the
 * gate hears of it, and badly where all counts as having left, or no deficit is reported.
 */
static void lone_writes_keep_the_promise_in_trouble(void **state)
{
	struct fec_goal g = goal(0.05, 1, 1e-3);
	struct fec_redundancy r;
	struct safety_mixed c = { .line = g.assume,
				  .redundancy = &r,
				  .flight = 100,
				  .fails = 5,
				  .cuts = 2000 };
	struct safety_drawn d, failures_ignored, deficits_ignored;

	assert_int_equal(fec_redundancy(&g, NULL, &r), 0);
	for (unsigned i = 0; i < 2; i++) {
		c.load = i ? 0.5 : 0.05;
		c.failures_ignored = c.deficits_ignored = false;
		assert_int_equal(safety_mixed_draw(&c, 1000, 1000000, i, &d), 0);
		c.failures_ignored = true;
		assert_int_equal(
			safety_mixed_draw(&c, 1000, 1000000, i, &failures_ignored), 0);
		c.failures_ignored = false;
		c.deficits_ignored = true;
		assert_int_equal(
			safety_mixed_draw(&c, 1000, 1000000, i, &deficits_ignored), 0);
		print_message("load %.2f: lost %.1e; failures ignored %.1e; deficits "
			      "ignored %.1e\n",
			      c.load, safety_share(&d), safety_share(&failures_ignored),
			      safety_share(&deficits_ignored));
		assert_true(d.disasters > 10000);
		assert_true(safety_share(&d) <= g.safety);
		assert_true(safety_share(&failures_ignored) > g.safety);
		assert_true(safety_share(&deficits_ignored) > g.safety);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#ifdef QUICK
		cmocka_unit_test(real_codes_keep_the_promise_in_trouble),
		cmocka_unit_test(lone_writes_keep_the_promise_in_trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
int more(void)
{
	static const struct CMUnitTest tests[] = {
#endif
		cmocka_unit_test(stated_is_1_to_30_times_what_is_drawn),
		cmocka_unit_test(short_windows_show),
		cmocka_unit_test(real_codes_keep_the_promise),
		cmocka_unit_test(real_codes_keep_the_promise_in_trouble),
		cmocka_unit_test(papers_rule_loses),
		cmocka_unit_test(lone_writes_keep_the_promise),
		cmocka_unit_test(lone_writes_keep_the_promise_in_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
