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

	exposure_init(e, 0, 0);
	for (uint64_t i = 1; i <= n; i++)
		exposure_add(e, i, 4096, AT((int64_t)i * 10));
	return e;
}

static void what_is_beyond_is_counted(void **state)
{
	struct exposure *e = filled(100);
	struct exposure_figures f;

	(void)state;
	(void)exposure_beyond(e, 40, AT(2000), &f);
	assert_int_equal(f.writes, 60);
	assert_int_equal(f.bytes, 60 * 4096);
	assert_int_equal(f.age_ns, 2000 - 410);
	assert_true(exposure_beyond(e, 100, AT(2000), &f));
	assert_int_equal(f.writes + f.bytes + (uint64_t)f.age_ns, 0);
	free(e);
}

static void forgetting_what_is_safe_changes_no_figure(void **state)
{
	struct exposure *e = filled(100);
	struct exposure_figures f;

	(void)state;
	exposure_safe(e, 40);
	(void)exposure_beyond(e, 40, AT(2000), &f);
	assert_int_equal(f.bytes, 60 * 4096);
	assert_int_equal(f.age_ns, 2000 - 410);
	exposure_safe(e, 100);
	(void)exposure_beyond(e, 100, AT(2000), &f);
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
		(void)exposure_beyond(e, lsn, AT((int64_t)n * 10), &f);
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
		(void)exposure_beyond(e, n, AT(later + 5), &f);
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

/* At the very beginning, at the end of it all, and when nothing is beyond: no figure at all. */
static void nothing_beyond_is_nothing(void **state)
{
	struct exposure *e = malloc(sizeof(*e));
	const struct exposure_figures bound = { 5, 5 * 4096, 100 };
	struct exposure_figures f;

	exposure_init(e, 40, 0);
	(void)exposure_beyond(e, 40, AT(9000), &f);
	assert_int_equal(f.writes + f.bytes + (uint64_t)f.age_ns, 0);
	assert_int_equal(exposure_allows(e, 40, AT(9000), &bound), 45);
	/* Not known but for their number: that is no leave to go on. */
	assert_false(exposure_beyond(e, 37, AT(9000), &f));
	assert_false(exposure_knows(e, 37));
	assert_int_equal(f.writes, 3);
	assert_int_equal(exposure_allows(e, 37, AT(9000), &bound), 37);
	assert_int_equal(exposure_allows(e, 37, AT(9000),
					 &(struct exposure_figures){ .bytes = 1u << 30 }),
			 37);
	assert_int_equal(exposure_allows(e, 37, AT(9000),
					 &(struct exposure_figures){ .age_ns = 1 << 30 }),
			 37);
	assert_int_equal(exposure_allows(e, 37, AT(9000),
					 &(struct exposure_figures){ .writes = 5 }),
			 42);
	exposure_add(e, 41, 512, AT(9000));
	assert_true(exposure_beyond(e, 40, AT(9001), &f));
	assert_int_equal(f.bytes, 512);
	/* One of this start beside them says nothing of these. */
	assert_false(exposure_beyond(e, 37, AT(9001), &f));
	assert_int_equal(f.writes, 4);
	exposure_safe(
		e, 41); /* its sample is forgotten, and the next one is of its own time */
	assert_int_equal(exposure_allows(e, 41, AT(99000), &bound), 46);
	exposure_add(e, 42, 4096, AT(99000));
	/* Another mirror lacks what was safe at the first one. */
	assert_false(exposure_beyond(e, 40, AT(99001), &f));
	assert_true(exposure_beyond(e, 41, AT(99001), &f));
	assert_int_equal(f.bytes, 4096);
	assert_int_equal(f.age_ns, 1);
	assert_int_equal(exposure_allows(e, 41, AT(99001), &bound), 46);
	assert_int_equal(exposure_allows(e, 42, AT(999999), &bound), 47);
	exposure_init(e, 7, 0); /* of another history */
	assert_int_equal(e->bytes, 0);
	(void)exposure_beyond(e, 7, AT(99001), &f);
	assert_int_equal(f.writes + f.bytes, 0);
	free(e);
}

/* What an earlier start wrote is found in the log: it counts as if it had been written now. */
static void what_is_found_in_the_log_counts(void **state)
{
	const struct exposure_figures bound = { .bytes = 20000, .age_ns = 500 };
	struct exposure *e = malloc(sizeof(*e));
	struct exposure_figures f;
	uint64_t bytes;

	exposure_init(e, 40, 1000000); /* the mirror has 30 */
	exposure_add(e, 41, 4096, AT(9000));
	assert_false(exposure_knows(e, 30));
	exposure_found(e, 42, 1004096, AT(9001)); /* there is no such LSN yet */
	assert_false(exposure_knows(e, 41 - 11));
	exposure_found(e, 31, 990000, AT(8000));
	assert_true(exposure_knows(e, 30));
	assert_false(exposure_knows(e, 29));
	assert_true(exposure_beyond(e, 30, AT(9100), &f));
	assert_int_equal(f.writes, 11);
	assert_int_equal(f.bytes, 1004096 - 990000);
	assert_int_equal(f.age_ns, 1100);
	assert_int_equal(exposure_allows(e, 30, AT(8400), &bound), UINT64_MAX);
	assert_int_equal(exposure_allows(e, 30, AT(8501), &bound), 30);
	exposure_add(e, 42, 8192, AT(9000)); /* 22288 bytes beyond 30 */
	assert_int_equal(exposure_allows(e, 30, AT(8400), &bound), 41);
	/* Until more is found, the mirror's progress is rounded up. */
	assert_true(exposure_beyond(e, 35, AT(9100), &f));
	assert_int_equal(f.writes, 7);
	assert_int_equal(f.bytes, 1012288 - 990000);
	exposure_found(e, 36, 995000, AT(8200));
	assert_true(exposure_beyond(e, 35, AT(9100), &f));
	assert_int_equal(f.bytes, 1012288 - 995000);
	assert_int_equal(f.age_ns, 900);
	assert_true(exposure_bytes_before(e, 36, &bytes));
	assert_int_equal(bytes, 995000);
	/* Once more, and from further on in the same second: nothing changes. */
	exposure_found(e, 36, 995000, AT(8200));
	assert_int_equal(e->count, 4);
	exposure_safe(e, 40);
	assert_true(exposure_beyond(e, 40, AT(9100), &f));
	assert_int_equal(f.bytes, 1012288 - 1000000);
	assert_int_equal(f.age_ns, 100);
	/* A mirror that has lost what it had. */
	assert_false(exposure_knows(e, 20));
	exposure_found(e, 21, 900000, AT(7000));
	assert_true(exposure_beyond(e, 20, AT(9100), &f));
	assert_int_equal(f.bytes, 112288);
	assert_int_equal(f.age_ns, 2100);
	free(e);
}

/* Whatever the wall clock did, and however much is found: in order, and bounded. */
static void what_is_found_is_kept_in_order(void **state)
{
	struct exposure *e = malloc(sizeof(*e));
	const uint64_t n = 100000;

	exposure_init(e, n, n * 4096);
	for (uint64_t lsn = n + 1; lsn <= 2 * n; lsn++)
		exposure_add(e, lsn, 4096, AT((int64_t)lsn));
	for (uint64_t lsn = 1; lsn <= n; lsn++) {
		exposure_found(e, lsn, (lsn - 1) * 4096,
			       AT((int64_t)(lsn % 7 ? lsn : 3 * n - lsn)));
		if (lsn % 1000 == 0)
			exposure_safe(e, lsn / 2);
	}
	assert_true(e->count <= EXPOSURE_SAMPLES && e->count > EXPOSURE_SAMPLES / 4);
	for (unsigned i = 1; i < e->count; i++) {
		const struct exposure_sample *a =
			&e->ring[(e->head + i - 1) % EXPOSURE_SAMPLES];
		const struct exposure_sample *b =
			&e->ring[(e->head + i) % EXPOSURE_SAMPLES];

		assert_true(a->lsn < b->lsn && a->bytes <= b->bytes);
		assert_false(rt_time_before(b->at, a->at));
		assert_int_equal(b->bytes, (b->lsn - 1) * 4096);
	}
	free(e);
}

/* LSNs 1 .. n of the lengths that `bytes` says; LSN i at 10 i. */
static struct exposure *lengths(const uint64_t *bytes, unsigned n)
{
	struct exposure *e = malloc(sizeof(*e));

	exposure_init(e, 0, 0);
	for (unsigned i = 0; i < n; i++)
		exposure_add(e, i + 1, bytes[i], AT(10 * (i + 1)));
	return e;
}

/* The bound on bytes is reached by the write that would pass it, be it the last or the first. */
static void the_bound_on_bytes_is_exact(void **state)
{
	static const uint64_t bytes[] = { 100, 200, 0, 300 };
	static const struct {
		uint64_t safe, bytes, writes, allowed;
	} rows[] = {
		{ 0, 99, 0, 0 },	   { 0, 100, 0, 1 }, { 0, 299, 0, 1 },
		{ 0, 300, 0, 3 },	   { 0, 599, 0, 3 }, { 0, 600, 0, UINT64_MAX },
		{ 0, 600, 2, 2 },	   { 0, 300, 1, 1 }, { 0, 300, 3, 3 },
		{ 0, 599, 2, 2 },	   { 0, 599, 4, 3 }, { 1, 199, 0, 1 },
		{ 1, 200, 0, 3 },	   { 2, 299, 0, 3 }, { 3, 299, 0, 3 },
		{ 3, 300, 0, UINT64_MAX }, { 3, 299, 1, 3 }, { 3, 300, 1, 4 },
		{ 4, 1, 0, UINT64_MAX },
	};
	struct exposure *e = lengths(bytes, RT_ARRAY_LEN(bytes));

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct exposure_figures bound = { rows[i].writes, rows[i].bytes,
							0 };
		uint64_t allowed = exposure_allows(e, rows[i].safe, AT(50), &bound);

		if (allowed != rows[i].allowed)
			fail_msg("row %u: %llu", i, (unsigned long long)allowed);
	}
	free(e);
}

/* Once a long outage is over the figures are exact anew, as they were before it. */
static void after_a_long_outage_the_figures_are_exact_anew(void **state)
{
	const uint64_t n = 100000, more = 40 * n;
	struct exposure *e = filled(n);
	struct exposure_figures f;

	assert_true(e->stride > 8);
	for (uint64_t lsn = n + 1; lsn <= more;
	     lsn++) { /* the mirror is ten writes behind */
		exposure_safe(e, lsn - 10);
		exposure_add(e, lsn, 4096, AT((int64_t)lsn * 10));
		assert_true(e->stride >= 1);
	}
	assert_int_equal(e->stride, 1);
	(void)exposure_beyond(e, more - 5, AT((int64_t)more * 10), &f);
	assert_int_equal(f.writes, 5);
	assert_int_equal(f.bytes, 5 * 4096);
	assert_int_equal(f.age_ns, 40);
	free(e);
}

/* What is safe lets new samples come more often only where there is room for many of them. */
static void the_resolution_stays_where_the_outage_goes_on(void **state)
{
	struct exposure *e = filled(100000);
	uint64_t stride = e->stride;

	for (uint64_t lsn = 0; e->stride == stride; lsn++) {
		assert_true(e->count >= EXPOSURE_SAMPLES / 8);
		exposure_safe(e, lsn);
	}
	assert_int_equal(e->count, EXPOSURE_SAMPLES / 8 - 1);
	assert_int_equal(e->stride, stride / 2);
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
		cmocka_unit_test(nothing_beyond_is_nothing),
		cmocka_unit_test(what_is_found_in_the_log_counts),
		cmocka_unit_test(what_is_found_is_kept_in_order),
		cmocka_unit_test(the_bound_on_bytes_is_exact),
		cmocka_unit_test(after_a_long_outage_the_figures_are_exact_anew),
		cmocka_unit_test(the_resolution_stays_where_the_outage_goes_on),
		cmocka_unit_test(the_probability_is_never_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
