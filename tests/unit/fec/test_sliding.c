// SPDX-License-Identifier: BSD-3-Clause
/*
 * The sender's window: a repair covers what is in it, no more and no less, and is the
 * combination that its head names, wherever the window begins and ends. A block's sum that
 * is out of date, or asked for before it is made, is a repair that rebuilds wrong bytes.
 */
#include <errno.h>

#include "fec/fec.h"
#include "fec/sliding.h"
#include "tests/unit/alloc.h"
#include "tests/unit/fec/line.h"

static const uint16_t windows[] = { 1,
				    2,
				    7,
				    8,
				    9,
				    SLIDING_PLAIN_MAX,
				    SLIDING_PLAIN_MAX + 1,
				    40,
				    61,
				    WINDOW_CAUCHY_MAX,
				    200 };
#define WINDOWS (sizeof(windows) / sizeof(windows[0]))

static void window_init(struct sliding *sl, uint16_t window, uint64_t next)
{
	assert_int_equal(sliding_init(sl, REF_SIZE, window, next), 0);
}

static void add(struct sliding *sl, unsigned n)
{
	uint8_t sym[REF_SIZE];

	while (n--) {
		line_truth(sl->next, sym);
		sliding_add(sl, sym);
	}
}

/* A repair over first .. next - 1, true to its head. Returns its key. */
static uint32_t expect_repair(struct sliding *sl, uint64_t first, uint64_t next)
{
	struct packet p = { .repair = true };

	assert_int_equal(sl->first, first);
	assert_int_equal(sl->next, next);
	sliding_repair(sl, &p.head, p.bytes);
	assert_int_equal(p.head.first, first);
	assert_int_equal(p.head.count, next - first);
	assert_int_equal(p.head.stride, 1);
	assert_int_equal(p.head.kind, FEC_COMBINATION);
	assert_int_equal(p.head.key >> 31, sl->window > SLIDING_PLAIN_MAX);
	line_expect_true(&p);
	assert_int_equal(sl->covered, next);
	return p.head.key;
}

/* Every place in the ring and every cut of the blocks at both ends. */
static void repairs_are_true_wherever_the_window_lies(void **state)
{
	for (unsigned w = 0; w < WINDOWS; w++) {
		uint64_t window = windows[w], next = 1000003;
		struct sliding sl;

		window_init(&sl, windows[w], next);
		for (unsigned i = 0; i < 3 * windows[w] + 20u; i++) {
			uint64_t first;

			add(&sl, 1);
			next++;
			first = next - 1000003 < window ? 1000003 : next - window;
			(void)expect_repair(&sl, first, next);
		}
		sliding_release_memory(&sl);
	}
}

/* Confirmed symbols leave at the front, at every length that is left. */
static void repairs_are_true_whatever_is_confirmed(void **state)
{
	for (unsigned w = 0; w < WINDOWS; w++) {
		struct ref_random r = { 50 + w };
		uint64_t first = 0, next = 0;
		struct sliding sl;

		window_init(&sl, windows[w], 0);
		for (unsigned i = 0; i < 400; i++) {
			unsigned n = 1 + ref_below(&r, i % 3 ? 3 : 2u * windows[w]);

			add(&sl, n);
			next += n;
			if (next - first > windows[w])
				first = next - windows[w];
			(void)expect_repair(&sl, first, next);
			if (ref_chance(&r, 0.3))
				continue;
			first += ref_below(&r, (unsigned)(next - first));
			sliding_confirm(&sl, first);
			(void)expect_repair(&sl, first, next);
		}
		sliding_release_memory(&sl);
	}
}

static void what_the_other_side_confirms(void **state)
{
	static const struct {
		uint64_t below, first; /* of a window of 100 .. 109 */
	} table[] = {
		{ 0, 100 },   { 99, 100 },  { 100, 100 }, { 101, 101 },
		{ 109, 109 }, { 110, 110 }, { 111, 110 }, { UINT64_MAX, 110 },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct sliding sl;

		window_init(&sl, 16, 100);
		add(&sl, 10);
		sliding_confirm(&sl, table[i].below);
		assert_int_equal(sl.first, table[i].first);
		assert_int_equal(sl.next, 110);
		add(&sl, 1);
		(void)expect_repair(&sl, table[i].first, 111);
		sliding_release_memory(&sl);
	}
}

/* A key that two repairs over the same window have makes the second one worth nothing. */
static void keys_count_up_and_stay_in_their_family(void **state)
{
	for (unsigned sums = 0; sums < 2; sums++) {
		uint32_t family = sums ? WINDOW_KEY_BLOCKED : 0;
		struct sliding sl;

		window_init(&sl, sums ? 64 : 16, 0);
		add(&sl, 20);
		for (uint32_t key = 0; key < 300; key++)
			assert_int_equal(expect_repair(&sl, sl.first, 20), key | family);
		sl.key = WINDOW_KEY_BLOCKED - 1;
		assert_int_equal(expect_repair(&sl, sl.first, 20), 0x7fffffff | family);
		assert_int_equal(expect_repair(&sl, sl.first, 20), family);
		sliding_release_memory(&sl);
	}
}

/* From each window to each, with as much in it as fits, or less, or nothing. */
static void another_window_goes_on_with_the_newest(void **state)
{
	struct ref_random r = { 8 };

	for (unsigned i = 0; i < 5 * WINDOWS * WINDOWS; i++) {
		uint16_t from_window = windows[i % WINDOWS];
		uint16_t to_window = windows[i / WINDOWS % WINDOWS];
		uint64_t begin = ref_below(&r, 1000), first, next;
		struct sliding from, to;
		uint32_t key = 0;

		window_init(&from, from_window, begin);
		add(&from, ref_below(&r, 3u * from_window + 1));
		if (from.first < from.next && ref_chance(&r, 0.5))
			key = expect_repair(&from, from.first, from.next) + 1;
		add(&from, ref_below(&r, 3));
		sliding_confirm(&from, from.first + ref_below(&r, from_window));
		first = from.first;
		next = from.next;
		if (next - first > to_window)
			first = next - to_window;

		window_init(&to, to_window, next);
		sliding_inherit(&to, &from);
		assert_int_equal(to.covered, from.covered);
		assert_int_equal(to.key & ~WINDOW_KEY_BLOCKED, key & ~WINDOW_KEY_BLOCKED);
		sliding_release_memory(&from);
		if (first < next)
			(void)expect_repair(&to, first, next);
		for (unsigned n = 0; n < 20; n++) {
			add(&to, 1);
			next++;
			if (next - first > to_window)
				first = next - to_window;
			(void)expect_repair(&to, first, next);
		}
		sliding_release_memory(&to);
	}
	assert_int_equal(held, 0);
}

static void memory_that_runs_out_is_said(void **state)
{
	struct sliding sl;

	for (unsigned n = 1; n <= 2; n++) {
		asked = 0;
		fail_at = n;
		assert_int_equal(sliding_init(&sl, REF_SIZE, 64, 0), -ENOMEM);
		fail_at = 0;
		assert_int_equal(held, 0);
		sliding_release_memory(&sl);
		assert_int_equal(held, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(repairs_are_true_wherever_the_window_lies),
		cmocka_unit_test(repairs_are_true_whatever_is_confirmed),
		cmocka_unit_test(what_the_other_side_confirms),
		cmocka_unit_test(keys_count_up_and_stay_in_their_family),
		cmocka_unit_test(another_window_goes_on_with_the_newest),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
