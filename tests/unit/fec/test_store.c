// SPDX-License-Identifier: BSD-3-Clause
/*
 * A decoder's symbols by number, in a ring: what is held, what is missing and what is done
 * with follow from the numbers alone, and a slot that comes round again is empty. Held
 * against a list of all numbers that there ever were.
 */
#include <errno.h>

#include "fec/store.h"
#include "tests/unit/alloc.h"
#include "tests/unit/fec/reference.h"

#define NUMBERS 3000

/* By the book: each number's state, for ever. */
struct book {
	enum store_state state[NUMBERS];
	uint64_t released, seen;
};

static uint64_t book_missing_first(const struct book *b)
{
	uint64_t n = 0;

	while (n < b->seen && b->state[n] != STORE_MISSING)
		n++;
	return n;
}

static void compare(const struct store *st, const struct book *b)
{
	uint64_t known = 0, rebuilt = 0, first = book_missing_first(b);
	uint64_t held_from = b->released < st->history ? 0 : b->released - st->history;

	for (uint64_t n = 0; n < b->seen; n++) {
		known += b->state[n] != STORE_MISSING;
		rebuilt += b->state[n] == STORE_REBUILT;
	}
	assert_int_equal(st->released, b->released);
	assert_int_equal(st->seen, b->seen);
	assert_int_equal(st->missing_first, first);
	assert_int_equal(st->known, known);
	assert_int_equal(st->rebuilt, rebuilt);
	for (uint64_t n = held_from; n < b->released + st->capacity; n++) {
		assert_int_equal(store_state(st, n), b->state[n]);
		if (b->state[n] != STORE_MISSING)
			assert_int_equal(store_slot(st, n)[0], n % 251);
	}
}

static void draw_knowledge(struct store *st, struct book *b, struct ref_random *r)
{
	uint64_t n = b->released + ref_below(r, st->capacity);
	enum store_state how = ref_chance(r, 0.3) ? STORE_REBUILT : STORE_RECEIVED;

	if (ref_chance(r, 0.6))
		n = book_missing_first(b);
	if (n >= b->released + st->capacity || b->state[n] != STORE_MISSING)
		return;
	memset(store_slot(st, n), (int)(n % 251), st->symbol_size);
	store_know(st, n, how);
	b->state[n] = how;
	if (n >= b->seen)
		b->seen = n + 1;
}

static void draw_step(struct store *st, struct book *b, struct ref_random *r)
{
	uint64_t first = book_missing_first(b);

	if (ref_chance(r, 0.8)) {
		draw_knowledge(st, b, r);
	} else if (ref_chance(r, 0.5)) {
		uint64_t end = b->released + ref_below(r, st->capacity + 1);

		store_name(st, end);
		if (end > b->seen)
			b->seen = end;
	} else {
		uint64_t below = first - ref_below(r, (unsigned)first + 1) % 4;

		store_release(st, below);
		if (below > b->released)
			b->released = below;
	}
}

static void numbers_are_kept_as_by_the_book(void **state)
{
	static const struct {
		uint32_t capacity, history;
	} sizes[] = { { 1, 0 }, { 2, 1 }, { 8, 0 }, { 8, 3 }, { 8, 40 }, { 50, 16 } };
	static struct book b;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ref_random r = { 70 + i };
		struct store st;

		memset(&b, 0, sizeof(b));
		assert_int_equal(store_init(&st, REF_SIZE, sizes[i].capacity,
					    sizes[i].history),
				 0);
		assert_int_equal(st.slots, sizes[i].capacity + sizes[i].history);
		for (unsigned n = 0; n < 1500; n++) {
			draw_step(&st, &b, &r);
			compare(&st, &b);
		}
		assert_true(b.released > sizes[i].capacity + sizes[i].history);
		store_release_memory(&st);
	}
	assert_int_equal(held, 0);
}

/* What fits does, to the last number, also where numbers come close to their end. */
static void reach_ends_with_the_capacity(void **state)
{
	struct store st = { .capacity = 10, .released = 100 };

	assert_true(store_reaches(&st, 0));
	assert_true(store_reaches(&st, 100));
	assert_true(store_reaches(&st, 110));
	assert_false(store_reaches(&st, 111));
	assert_false(store_reaches(&st, UINT64_MAX));
	st.released = UINT64_MAX - 5;
	assert_true(store_reaches(&st, UINT64_MAX));
	assert_true(store_reaches(&st, 3));
}

static void memory_that_runs_out_is_said(void **state)
{
	struct store st;

	for (unsigned n = 1; n <= 2; n++) {
		asked = 0;
		fail_at = n;
		assert_int_equal(store_init(&st, REF_SIZE, 5, 5), -ENOMEM);
		fail_at = 0;
		assert_int_equal(held, 0);
		store_release_memory(&st);
		assert_int_equal(held, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_kept_as_by_the_book),
		cmocka_unit_test(reach_ends_with_the_capacity),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
