// SPDX-License-Identifier: BSD-3-Clause
/*
 * No number is ever taken twice, and none within the window is refused the first time,
 * in whatever order they come.
 */
#include <errno.h>
#include <stdlib.h>

#include "replicator/tunnel/replay.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

static void each_number_once(void **state)
{
	struct replay r;

	assert_int_equal(replay_init(&r, 0), 0);
	for (uint64_t n = 1; n < 3 * REPLAY_MIN; n++) {
		assert_true(replay_take(&r, n));
		assert_false(replay_take(&r, n));
	}
	replay_release(&r);
}

/* A window full of numbers, backwards. */
static void the_whole_window_may_come_late(void **state)
{
	uint64_t high = 10 * REPLAY_MIN + 63;
	struct replay r;

	assert_int_equal(replay_init(&r, 0), 0);
	assert_true(replay_take(&r, high));
	for (uint64_t n = high - 1; n > high - REPLAY_MIN; n--)
		assert_true(replay_take(&r, n));
	assert_false(replay_take(&r, high - REPLAY_MIN - 64));
	assert_false(replay_take(&r, 1));
	for (uint64_t n = high; n > high - REPLAY_MIN; n--)
		assert_false(replay_take(&r, n));
	replay_release(&r);
}

/* Against a table of all numbers. */
static void random_numbers_agree_with_a_table(void **state)
{
	size_t numbers = 8 * REPLAY_MIN;
	uint8_t *seen = calloc(numbers, 1);
	uint64_t high = 0, seed = 1;
	struct replay r;

	assert_non_null(seen);
	assert_int_equal(replay_init(&r, 0), 0);
	for (unsigned i = 0; i < 2000000; i++) {
		uint64_t spread = 1 + rt_mix64(++seed) % (i % 100 == 0 ? 200000 : 300);
		uint64_t n = high + 20 > spread ? high + 20 - spread : 1;
		bool fresh = n > 0 && n < numbers && !seen[n];

		if (n == 0 || n >= numbers)
			continue;
		if (n > high)
			high = n;
		if (high - n < REPLAY_MIN - 64)
			assert_int_equal(replay_take(&r, n), fresh);
		else if (!fresh)
			assert_false(replay_take(&r, n));
		else
			continue;
		seen[n] = 1;
	}
	free(seen);
	replay_release(&r);
}

static void far_jumps_clear_everything(void **state)
{
	struct replay r;

	assert_int_equal(replay_init(&r, UINT64_MAX), 0);
	assert_int_equal(r.size, REPLAY_MAX);
	for (unsigned shift = 0; shift < 64; shift++) {
		uint64_t n = UINT64_C(1) << shift;

		assert_true(replay_take(&r, n));
		assert_false(replay_take(&r, n));
	}
	assert_true(replay_take(&r, UINT64_MAX));
	assert_false(replay_take(&r, UINT64_MAX));
	assert_true(replay_take(&r, UINT64_MAX - 1));
	replay_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_once),
		cmocka_unit_test(the_whole_window_may_come_late),
		cmocka_unit_test(random_numbers_agree_with_a_table),
		cmocka_unit_test(far_jumps_clear_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
