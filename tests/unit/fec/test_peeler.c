// SPDX-License-Identifier: BSD-3-Clause
/*
 * Plain sums that wait. A sum must give its last symbol, right, as soon as the others are
 * known and not before; it must not outlive what it says, nor count a symbol twice.
 */
#include <errno.h>

#include "fec/fec.h"
#include "fec/peeler.h"
#include "fec/store.h"
#include "tests/unit/alloc.h"
#include "tests/unit/fec/line.h"

#define NUMBERS 400

struct bench {
	struct store store;
	struct peeler peeler;
	struct fec_repair sum[PEELER_ROWS_MAX]; /* all that was added */
	unsigned nsums;
};

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(store_init(&b->store, REF_SIZE, NUMBERS, 0), 0);
	assert_int_equal(peeler_init(&b->peeler, &b->store), 0);
	store_name(&b->store, NUMBERS);
}

static void bench_release(struct bench *b)
{
	peeler_release_memory(&b->peeler);
	store_release_memory(&b->store);
	assert_int_equal(held, 0);
}

static bool known(const struct bench *b, uint64_t number)
{
	return store_state(&b->store, number) != STORE_MISSING;
}

/* Symbols of the sum that are missing; *which: the last of them. */
static unsigned missing(const struct bench *b, const struct fec_repair *head,
			uint64_t *which)
{
	unsigned n = 0;

	for (unsigned i = 0; i < head->count; i++) {
		uint64_t number = head->first + (uint64_t)i * head->stride;

		if (!known(b, number)) {
			*which = number;
			n++;
		}
	}
	return n;
}

static int add(struct bench *b, uint64_t first, unsigned count, unsigned stride)
{
	struct fec_repair head = { .first = first,
				   .count = (uint16_t)count,
				   .stride = (uint16_t)stride,
				   .kind = FEC_XOR };
	uint8_t sum[REF_SIZE] = { 0 }, sym[REF_SIZE];
	int res;

	for (unsigned i = 0; i < count; i++) {
		line_truth(first + (uint64_t)i * stride, sym);
		for (unsigned j = 0; j < REF_SIZE; j++)
			sum[j] ^= sym[j];
	}
	res = peeler_add(&b->peeler, &head, sum);
	if (res == 0)
		b->sum[b->nsums++] = head;
	return res;
}

static void receive(struct bench *b, uint64_t number)
{
	line_truth(number, store_slot(&b->store, number));
	store_know(&b->store, number, STORE_RECEIVED);
	peeler_known(&b->peeler, number);
}

static void expect_right(const struct bench *b, uint64_t number)
{
	uint8_t want[REF_SIZE];

	line_truth(number, want);
	assert_memory_equal(store_slot(&b->store, number), want, REF_SIZE);
}

/*
 * Rebuild all that is determined: what is the only missing symbol of some sum, and nothing
 * else. Returns how many.
 */
static unsigned step_all(struct bench *b)
{
	unsigned n = 0;

	for (;; n++) {
		bool only[NUMBERS] = { false }, some = false;
		unsigned waiting = 0;
		uint64_t number;

		for (unsigned i = 0; i < b->nsums; i++) {
			unsigned unknowns = missing(b, &b->sum[i], &number);

			waiting += unknowns > 0;
			if (unknowns == 1)
				only[number] = some = true;
		}
		assert_int_equal(b->peeler.active, waiting);
		assert_int_equal(peeler_step(&b->peeler, &number), some);
		if (!some)
			return n;
		assert_true(number < NUMBERS && only[number]);
		assert_int_equal(store_state(&b->store, number), STORE_REBUILT);
		expect_right(b, number);
	}
}

static void the_last_symbol_is_the_sum(void **state)
{
	struct bench b;

	bench_init(&b);
	receive(&b, 13);
	assert_int_equal(add(&b, 10, 4, 3), 0); /* 10, 13, 16, 19 */
	assert_int_equal(step_all(&b), 0);
	receive(&b, 11); /* between them, and none of them */
	receive(&b, 20);
	receive(&b, 7);
	receive(&b, 22);
	assert_int_equal(step_all(&b), 0);
	receive(&b, 10);
	assert_int_equal(step_all(&b), 0);
	receive(&b, 19);
	assert_int_equal(step_all(&b), 1);
	assert_true(known(&b, 16));
	assert_int_equal(b.peeler.active, 0);
	bench_release(&b);
}

/* What is known of it when it arrives is out of it already: also all but one. */
static void a_sum_that_is_ready_waits_for_nothing(void **state)
{
	struct bench b;

	bench_init(&b);
	receive(&b, 0);
	receive(&b, 2);
	assert_int_equal(add(&b, 0, 3, 1), 0);
	assert_int_equal(step_all(&b), 1);
	assert_true(known(&b, 1));
	assert_int_equal(add(&b, 7, 1, 1), 0); /* a sum of one is that one */
	assert_int_equal(step_all(&b), 1);
	bench_release(&b);
}

/*
 * Two sums wait for the same symbol and it arrives, or is rebuilt from a third: both have
 * nothing left to say. The one that was last takes the place of the first.
 */
static void sums_that_say_the_same_go_together(void **state)
{
	for (unsigned rebuilt = 0; rebuilt < 2; rebuilt++) {
		struct bench b;
		uint64_t number;

		bench_init(&b);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(add(&b, 50, 2, 5), 0);
		assert_int_equal(add(&b, 60, 2, 5), 0);
		receive(&b, 50);
		assert_int_equal(b.peeler.ready, 3);
		if (rebuilt) {
			assert_int_equal(step_all(&b), 1);
		} else {
			receive(&b, 55);
			assert_false(peeler_step(&b.peeler, &number));
		}
		assert_int_equal(b.peeler.ready, 0);
		assert_int_equal(b.peeler.active, 1);
		receive(&b, 65);
		assert_int_equal(step_all(&b), 1);
		assert_true(known(&b, 60));
		bench_release(&b);
	}
}

static void as_many_wait_as_may_and_no_more(void **state)
{
	struct bench b;

	bench_init(&b);
	for (unsigned i = 0; i < PEELER_ROWS_MAX; i++)
		assert_int_equal(add(&b, i % 100, 2 + i % 9, 1 + i / 100), 0);
	assert_int_equal(b.peeler.active, PEELER_ROWS_MAX);
	assert_int_equal(add(&b, 3, 2, 1), -ENOBUFS);
	assert_int_equal(add(&b, 3, 1, 1), -ENOBUFS);
	assert_int_equal(b.peeler.active, PEELER_ROWS_MAX);
	receive(&b, 200); /* nothing waits for the refused ones */
	for (uint64_t n = 0; n < 190; n++)
		if (!known(&b, n)) {
			receive(&b, n);
			(void)step_all(&b);
		}
	assert_int_equal(b.peeler.active, 0);
	b.nsums = 0;
	assert_int_equal(add(&b, 300, 2, 1), 0);
	bench_release(&b);
}

/* Drawn sums, and symbols in any order: each is rebuilt when the book says so. */
static void drawn_sums_peel_as_by_the_book(void **state)
{
	unsigned rebuilt = 0;

	for (unsigned run = 0; run < 20; run++) {
		struct ref_random r = { 900 + run };
		struct bench b;

		bench_init(&b);
		for (unsigned i = 0; i < 150; i++) {
			unsigned stride = 1 + ref_below(&r, 1 + run);
			unsigned count = 1 + ref_below(&r, 8);
			uint64_t first = ref_below(&r, NUMBERS - stride * count), which;
			struct fec_repair head = { .first = first,
						   .count = (uint16_t)count,
						   .stride = (uint16_t)stride };

			if (missing(&b, &head, &which) > 0)
				assert_int_equal(add(&b, first, count, stride), 0);
			which = ref_below(&r, NUMBERS);
			rebuilt += step_all(&b);
			if (!known(&b, which))
				receive(&b, which);
			rebuilt += step_all(&b);
		}
		bench_release(&b);
	}
	assert_true(rebuilt > 500);
}

static void memory_that_runs_out_is_said(void **state)
{
	struct store store = { .symbol_size = REF_SIZE };
	struct peeler peeler;

	for (unsigned n = 1; n <= 2; n++) {
		asked = 0;
		fail_at = n;
		assert_int_equal(peeler_init(&peeler, &store), -ENOMEM);
		fail_at = 0;
		assert_int_equal(held, 0);
		peeler_release_memory(&peeler);
		assert_int_equal(held, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_symbol_is_the_sum),
		cmocka_unit_test(a_sum_that_is_ready_waits_for_nothing),
		cmocka_unit_test(sums_that_say_the_same_go_together),
		cmocka_unit_test(as_many_wait_as_may_and_no_more),
		cmocka_unit_test(drawn_sums_peel_as_by_the_book),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
