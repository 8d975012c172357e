// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "replicator/exposure.h"

/*
 * Exposure is the number that people buy this for: it may be rounded up in a long outage,
 * never down, and the bound that hangs on it holds.
 */

#define AT(ns_) ((rt_time){ (ns_) })

static struct exposure *filled(uint64_t n)
{
	struct exposure *e = malloc(sizeof(*e));

	exposure_init(e, 0);
	for (uint64_t i = 1; i <= n; i++)
		exposure_add(e, i, 4096, AT((int64_t)i * 10));
	return e;
}

static void what_is_beyond_is_counted(void **state)
{
	struct exposure *e = filled(100);
	struct exposure_figures f;

	(void)state;
	exposure_beyond(e, 40, AT(2000), &f);
	assert_int_equal(f.writes, 60);
	assert_int_equal(f.bytes, 60 * 4096);
	assert_int_equal(f.age_ns, 2000 - 410);
	exposure_beyond(e, 100, AT(2000), &f);
	assert_int_equal(f.writes + f.bytes + (uint64_t)f.age_ns, 0);
	free(e);
}

static void forgetting_what_is_safe_changes_no_figure(void **state)
{
	struct exposure *e = filled(100);
	struct exposure_figures f;

	(void)state;
	exposure_safe(e, 40);
	exposure_beyond(e, 40, AT(2000), &f);
	assert_int_equal(f.bytes, 60 * 4096);
	assert_int_equal(f.age_ns, 2000 - 410);
	exposure_safe(e, 100);
	exposure_beyond(e, 100, AT(2000), &f);
	assert_int_equal(f.writes, 0);
	free(e);
}

static void a_long_outage_rounds_up_only(void **state)
{
	const uint64_t n = 100000;
	struct exposure *e = filled(n);
	struct exposure_figures f;

	(void)state;
	for (uint64_t lsn = 0; lsn < n; lsn += 997) {
		exposure_beyond(e, lsn, AT((int64_t)n * 10), &f);
		assert_int_equal(f.writes, n - lsn);
		assert_true(f.bytes >= (n - lsn) * 4096);
		assert_true(f.bytes <= (n - lsn + n / 500) * 4096);
		assert_true(f.age_ns >= (int64_t)((n - lsn - 1) * 10));
	}
	free(e);
}

static void each_bound_holds(void **state)
{
	struct exposure *e = filled(100);

	(void)state;
	assert_int_equal(exposure_allows(e, 10, AT(2000),
					 &(struct exposure_figures){ .writes = 5 }),
			 15);
	assert_int_equal(exposure_allows(e, 10, AT(2000),
					 &(struct exposure_figures){ .bytes = 5 * 4096 }),
			 15);
	assert_int_equal(exposure_allows(e, 10, AT(2000),
					 &(struct exposure_figures){ .age_ns = 100 }),
			 10);
	assert_true(exposure_allows(e, 10, AT(2000),
				    &(struct exposure_figures){ .age_ns = 5000 }) >= 100);
	assert_true(exposure_allows(e, 100, AT(2000),
				    &(struct exposure_figures){ .bytes = 1 }) >= 100);
	free(e);
}

/*
 * After an outage long enough that samples stand for many LSNs each, what is written next
 * begins a sample of its own, wherever in a sample the outage ended: its age is not that of
 * what has long been safe.
 */
static void what_is_safe_ages_nothing_that_comes_later(void **state)
{
	const int64_t later = 1000000000;
	struct exposure *e = filled(100000);
	uint64_t stride = e->stride;
	struct exposure_figures f;

	free(e);
	assert_true(stride > 8);
	for (uint64_t n = 100000; n < 100000 + 2 * stride; n += 3) {
		e = filled(n);
		exposure_safe(e, n);
		exposure_add(e, n + 1, 512, AT(later));
		exposure_beyond(e, n, AT(later + 5), &f);
		assert_int_equal(f.writes, 1);
		assert_int_equal(f.bytes, 512);
		assert_int_equal(f.age_ns, 5);
		free(e);
	}
}

/* The oldest write beyond `safe` is what the bound on age is about, at any rate of writes. */
static void the_oldest_write_reaches_the_bound_on_age(void **state)
{
	const struct exposure_figures bound = { .age_ns = 1000 };
	struct exposure *e = filled(100); /* LSN n at 10 n */

	assert_int_equal(exposure_allows(e, 10, AT(110 + 1000), &bound), UINT64_MAX);
	assert_int_equal(exposure_allows(e, 10, AT(110 + 1001), &bound), 10);
	assert_int_equal(exposure_allows(e, 98, AT(110 + 1001), &bound), UINT64_MAX);
	assert_int_equal(exposure_allows(e, 98, AT(990 + 1001), &bound), 98);
	free(e);
}

/* Never safer than it is: what is not on the wire is lost, and so is it on a silent path. */
static void the_probability_is_never_too_small(void **state)
{
	static const struct {
		struct exposure_risk risk;
		double probability;
	} rows[] = {
		/* completed, onwire, received, proven, modeled */
		{ { 10, 12, 9, true, 1e-6 }, 1e-6 }, { { 10, 10, 9, true, 1e-6 }, 1e-6 },
		{ { 10, 9, 9, true, 1e-6 }, 1 },     { { 10, 12, 10, true, 1e-6 }, 0 },
		{ { 10, 12, 10, false, 1e-6 }, 0 },  { { 10, 12, 9, false, 1e-6 }, 1 },
		{ { 10, 12, 9, true, -1 }, -1 },     { { 10, 9, 9, true, -1 }, 1 },
		{ { 0, 0, 0, false, -1 }, 0 },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++)
		if (exposure_probability(&rows[i].risk) != rows[i].probability)
			fail_msg("row %u: %g", i, exposure_probability(&rows[i].risk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_beyond_is_counted),
		cmocka_unit_test(forgetting_what_is_safe_changes_no_figure),
		cmocka_unit_test(a_long_outage_rounds_up_only),
		cmocka_unit_test(each_bound_holds),
		cmocka_unit_test(what_is_safe_ages_nothing_that_comes_later),
		cmocka_unit_test(the_oldest_write_reaches_the_bound_on_age),
		cmocka_unit_test(the_probability_is_never_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
