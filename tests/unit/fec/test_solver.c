// SPDX-License-Identifier: BSD-3-Clause
/*
 * Combinations that wait, as linear equations: a symbol must be rebuilt, right, as soon as
 * all that has arrived determines it, and not before; what says nothing new must take no
 * room. Held against Gauss over all that was ever given, and against the rows themselves.
 */
#include <errno.h>

#include "fec/fec.h"
#include "fec/solver.h"
#include "fec/store.h"
#include "tests/unit/alloc.h"
#include "tests/unit/fec/line.h"

struct bench {
	struct store store;
	struct solver solver;
	struct ref_decoder ref;
};

static struct bench *bench_new(uint16_t window)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(store_init(&b->store, REF_SIZE, REF_SYMBOLS, window), 0);
	assert_int_equal(solver_init(&b->solver, &b->store, window), 0);
	return b;
}

static void bench_free(struct bench *b)
{
	solver_release_memory(&b->solver);
	store_release_memory(&b->store);
	free(b);
	assert_int_equal(held, 0);
}

static bool known(const struct bench *b, uint64_t number)
{
	return store_state(&b->store, number) != STORE_MISSING;
}

static int add(struct bench *b, unsigned first, unsigned count, uint32_t key)
{
	uint8_t bytes[REF_SIZE] = { 0 }, sym[REF_SIZE];
	int res;

	for (unsigned n = first; n < first + count; n++) {
		line_truth(n, sym);
		for (unsigned i = 0; i < REF_SIZE; i++)
			bytes[i] ^= ref_mul(ref_coefficient(key, n), sym[i]);
	}
	store_name(&b->store, first + count);
	res = solver_add(&b->solver, first, count, key, bytes);
	if (res == 0)
		ref_repair(&b->ref, first, count, key, bytes);
	return res;
}

static void receive(struct bench *b, unsigned number)
{
	uint8_t *slot = store_slot(&b->store, number);

	line_truth(number, slot);
	store_know(&b->store, number, STORE_RECEIVED);
	ref_symbol(&b->ref, number, slot);
	solver_known(&b->solver, number);
}

/*
 * Rebuild what is determined, and compare with Gauss: the same symbols are known, and of
 * the rows that are left each brings one combination that the others do not. Returns how
 * many were rebuilt.
 */
static unsigned step_all(struct bench *b)
{
	unsigned n = 0, unknown = 0;
	uint64_t number;

	while (solver_step(&b->solver, &number)) {
		uint8_t want[REF_SIZE];

		n++;
		assert_int_equal(store_state(&b->store, number), STORE_REBUILT);
		line_truth(number, want);
		assert_memory_equal(store_slot(&b->store, number), want, REF_SIZE);
	}
	ref_solve(&b->ref);
	for (unsigned i = 0; i < b->ref.seen; i++) {
		assert_int_equal(known(b, i), b->ref.known[i]);
		unknown += !known(b, i);
	}
	assert_int_equal(b->solver.active, b->ref.rank - (b->ref.seen - unknown));
	return n;
}

static void as_many_combinations_as_symbols_rebuild_them(void **state)
{
	for (unsigned lost = 1; lost <= 16; lost++) {
		struct bench *b = bench_new(16);

		for (unsigned n = 0; n < 16; n++)
			if (n >= lost)
				receive(b, n);
		for (unsigned k = 1; k <= lost; k++) {
			assert_int_equal(add(b, 0, 16, k), 0);
			assert_int_equal(b->solver.solved > 0, k == lost);
			assert_int_equal(step_all(b), k == lost ? lost : 0);
		}
		assert_int_equal(b->solver.active, 0);
		bench_free(b);
	}
}

/* The two symbols at one end are determined before the others, and at once. */
static void a_determined_part_does_not_wait_for_the_rest(void **state)
{
	struct bench *b = bench_new(16);

	assert_int_equal(add(b, 4, 6, 1), 0); /* 4 .. 9 */
	assert_int_equal(add(b, 8, 2, 2), 0); /* 8, 9 */
	assert_int_equal(step_all(b), 0);
	assert_int_equal(add(b, 8, 2, 3), 0);
	assert_int_equal(step_all(b), 2);
	assert_int_equal(b->solver.active, 1);
	assert_int_equal(add(b, 2, 3, 4), 0); /* 2, 3, 4 */
	receive(b, 2);
	receive(b, 3);
	assert_int_equal(step_all(b), 1); /* 4 */
	for (unsigned n = 5; n < 7; n++)
		receive(b, n);
	assert_int_equal(step_all(b), 1); /* 7 */
	assert_int_equal(b->solver.active, 0);
	bench_free(b);
}

/* The same once more, and a sum of what is there, take no room. */
static void what_says_nothing_new_is_given_back(void **state)
{
	struct bench *b = bench_new(16);

	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(add(b, 0, 8, 5), 0);
		assert_int_equal(add(b, 3, 8, 6), 0);
		assert_int_equal(b->solver.active, 2);
	}
	/* eleven unknowns, and more equations than that */
	for (uint32_t key = 10; key < 22; key++)
		assert_int_equal(add(b, 0, 11, key), 0);
	assert_int_equal(step_all(b), 11);
	assert_int_equal(b->solver.active, 0);
	bench_free(b);
}

/* Each waiting row is one: as many as there are rows, in small windows and in large. */
static void as_many_wait_as_may_and_no_more(void **state)
{
	static const uint16_t sizes[] = { 2, SOLVER_ROWS_MIN - 1, SOLVER_ROWS_MIN + 1 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint16_t window = sizes[i];
		unsigned rows = window > SOLVER_ROWS_MIN ? window : SOLVER_ROWS_MIN;
		struct bench *b = bench_new(window);

		assert_int_equal(b->solver.rows, rows);
		for (unsigned n = 0; n < rows; n++)
			assert_int_equal(add(b, n, 2, n), 0);
		assert_int_equal(b->solver.active, rows);
		assert_int_equal(add(b, rows, 2, 9), -ENOBUFS);
		assert_int_equal(add(b, 0, 2, 200), -ENOBUFS);
		receive(b, 0); /* brings down the chain */
		b->ref.seen = rows + 2;
		assert_int_equal(step_all(b), rows);
		assert_int_equal(add(b, rows, 2, 9), 0);
		assert_int_equal(step_all(b), 1);
		bench_free(b);
	}
}

/* Minimal-span form: no two rows begin or end with the same unknown. */
static void expect_minimal_span(struct bench *b)
{
	unsigned leads = 0, ends = 0;
	bool used[1024] = { false };

	for (uint64_t i = 0; i < b->store.slots; i++) {
		leads += b->solver.by_lead[i] != 0;
		ends += b->solver.by_end[i] != 0;
		if (b->solver.by_lead[i] != 0) {
			assert_true(b->solver.by_lead[i] <= b->solver.rows);
			assert_false(used[b->solver.by_lead[i]]);
			used[b->solver.by_lead[i]] = true;
		}
	}
	assert_int_equal(leads, b->solver.active);
	assert_int_equal(ends, b->solver.active);
}

/* Drawn combinations of both families, and symbols, in any order. */
static void drawn_equations_are_solved_as_by_gauss(void **state)
{
	static const uint16_t sizes[] = { 1, 3, 8, 20, 33, 64 };
	unsigned rebuilt = 0;

	for (unsigned run = 0; run < 3 * sizeof(sizes) / sizeof(sizes[0]); run++) {
		uint16_t window = sizes[run / 3];
		struct ref_random r = { 40 + run };
		struct bench *b = bench_new(window);

		for (unsigned i = 0; i < 150; i++) {
			unsigned count = 1 + ref_below(&r, window);
			unsigned first = ref_below(&r, 100), n;
			bool some = false;

			for (n = first; n < first + count; n++)
				some |= !known(b, n);
			if (some) {
				int res = add(b, first, count, (uint32_t)ref_random(&r));

				assert_true(res == 0 || res == -ENOBUFS);
				b->ref.seen = (unsigned)b->store.seen;
			}
			rebuilt += step_all(b);
			expect_minimal_span(b);
			n = ref_below(&r, 164);
			if (ref_chance(&r, 0.5) && !known(b, n))
				receive(b, n);
			rebuilt += step_all(b);
			expect_minimal_span(b);
		}
		bench_free(b);
	}
	assert_true(rebuilt > 300);
}

static void memory_that_runs_out_is_said(void **state)
{
	struct solver solver;
	struct store store;

	assert_int_equal(store_init(&store, REF_SIZE, 32, 16), 0);
	for (unsigned n = 1; n <= 6; n++) {
		long before = held;

		asked = 0;
		fail_at = n;
		assert_int_equal(solver_init(&solver, &store, 16), -ENOMEM);
		fail_at = 0;
		assert_int_equal(held, before);
		solver_release_memory(&solver);
		assert_int_equal(held, before);
	}
	store_release_memory(&store);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_combinations_as_symbols_rebuild_them),
		cmocka_unit_test(a_determined_part_does_not_wait_for_the_rest),
		cmocka_unit_test(what_says_nothing_new_is_given_back),
		cmocka_unit_test(as_many_wait_as_may_and_no_more),
		cmocka_unit_test(drawn_equations_are_solved_as_by_gauss),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
