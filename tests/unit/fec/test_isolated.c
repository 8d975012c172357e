// SPDX-License-Identifier: BSD-3-Clause
/*
 * A write on an idle path completes after a handful of repairs; that so few are enough
 * rests on this table alone. What it says is counted by hand where that can be done, and
 * drawn where it cannot.
 */
#include <math.h>

#include "fec/isolated.h"
#include "tests/unit/fec/reference.h"

static double choose(unsigned n, unsigned k)
{
	return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0));
}

/* More than k of n + k lost, each with probability p. */
static double by_hand(unsigned n, unsigned k, double p)
{
	double sum = 0;

	for (unsigned lost = k + 1; lost <= n + k; lost++)
		sum += choose(n + k, lost) * pow(p, lost) * pow(1 - p, n + k - lost);
	return sum;
}

static void independent_losses_by_hand(void **state)
{
	static const double losses[] = { 0.001, 0.01, 0.05, 0.3 };
	static const double limits[] = { 1.1e-2, 1.3e-4, 3.3e-7, 1.7e-9 };

	for (unsigned i = 0; i < 16; i++) {
		struct fec_path line = { losses[i / 4], 1 };
		struct busy_period_path is = busy_period_path_of(&line);
		uint16_t isolated[ISOLATED_MAX + 1];
		double worst = 0,
		       said = isolated_repairs(&is, limits[i % 4], 512, isolated);

		for (unsigned n = 1; n <= ISOLATED_MAX; n++) {
			double here = by_hand(n, isolated[n], line.loss);

			assert_true(here <= limits[i % 4] * 1.000001);
			if (isolated[n] > 1)
				assert_true(by_hand(n, isolated[n] - 1u, line.loss) >
					    limits[i % 4]);
			assert_true(isolated[n] >= isolated[n - 1]);
			worst = here > worst ? here : worst;
		}
		assert_true(fabs(said / worst - 1) < 1e-6);
	}
}

/* A 4 KiB write, alone: the case that the design names. */
static void three_symbols_want_three_repairs(void **state)
{
	struct fec_path line = { 0.01, 1 };
	struct busy_period_path is = busy_period_path_of(&line);
	uint16_t isolated[ISOLATED_MAX + 1];

	(void)isolated_repairs(&is, 1e-6, 512, isolated);
	assert_int_equal(isolated[3], 3);
}

static bool lost(struct ref_random *r, const struct busy_period_path *line, bool *bad)
{
	*bad = *bad ? !ref_chance(r, line->leave) : ref_chance(r, line->enter);
	return *bad;
}

/* How often n symbols and k repairs leave fewer than n. */
static double draw(const struct fec_path *line, unsigned n, unsigned k, unsigned times)
{
	struct busy_period_path is = busy_period_path_of(line);
	struct ref_random r = { n * 1000 + k };
	unsigned missing = 0;

	for (unsigned i = 0; i < times; i++) {
		bool bad = ref_chance(&r, line->loss);
		unsigned arrived = 0;

		for (unsigned sent = 0; sent < n + k; sent++)
			arrived += !lost(&r, &is, &bad);
		missing += arrived < n;
	}
	return missing / (double)times;
}

static void bursts_as_drawn(void **state)
{
	static const struct fec_path lines[] = { { 0.02, 3 }, { 0.05, 8 }, { 0.05, 32 } };
	const double limit = 2e-3;

	for (unsigned i = 0; i < 3; i++) {
		struct busy_period_path is = busy_period_path_of(&lines[i]);
		uint16_t isolated[ISOLATED_MAX + 1];

		(void)isolated_repairs(&is, limit, 512, isolated);
		for (unsigned n = 1; n <= ISOLATED_MAX; n = n * 4 - 1) {
			unsigned times = 300000, k = isolated[n];
			double noise = 3.5 * sqrt(limit / times);

			print_message("loss %.2f burst %2g n=%u: %u repairs\n",
				      lines[i].loss, lines[i].burst, n, k);
			assert_true(draw(&lines[i], n, k, times) < limit + noise);
			assert_true(draw(&lines[i], n, k - 1, times) > limit - noise);
		}
	}
}

static void no_more_than_most(void **state)
{
	struct fec_path line = { 0.01, 64 };
	struct busy_period_path is = busy_period_path_of(&line);
	uint16_t isolated[ISOLATED_MAX + 1];

	assert_true(isolated_repairs(&is, 1e-9, 40, isolated) == 0);
	for (unsigned n = 1; n <= ISOLATED_MAX; n++)
		assert_int_equal(isolated[n], 40);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(independent_losses_by_hand),
		cmocka_unit_test(three_symbols_want_three_repairs),
		cmocka_unit_test(bursts_as_drawn),
		cmocka_unit_test(no_more_than_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
