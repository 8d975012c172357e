// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/lfs/world_memory.h"

#include "lfs/alive.h"
#include "lfs/format.h"

/*
 * The last sign of life says how long a daemon was down. Whatever is not one of this store,
 * whole, says nothing: then it counts as down for long, which is the safe side.
 */

static const uint8_t ours[LFS_ID_LEN] = { 1, 2, 3 }, others[LFS_ID_LEN] = { 1, 2, 4 };
static uint8_t block[LFS_BLOCK];

static struct lfs_alive sample(int64_t ns)
{
	struct lfs_alive alive = { .since_boot_ns = ns };

	memset(alive.boot, 7, sizeof(alive.boot));
	return alive;
}

static void what_is_written_is_read_back(void **state)
{
	static const int64_t times[] = { 0, 1, RT_S, INT64_MAX };

	for (unsigned i = 0; i < RT_ARRAY_LEN(times); i++) {
		const struct lfs_alive in = sample(times[i]);
		struct lfs_alive out;

		lfs_alive_encode(block, ours, &in);
		assert_true(lfs_alive_decode(block, ours, &out));
		assert_memory_equal(&in, &out, sizeof(in));
		assert_false(lfs_alive_decode(block, others, &out));
		assert_true(out.since_boot_ns < 0);
	}
}

static void any_damage_makes_it_none(void **state)
{
	const struct lfs_alive in = sample(RT_S);
	struct lfs_alive out;

	lfs_alive_encode(block, ours, &in);
	for (unsigned bit = 0; bit < 8 * LFS_BLOCK; bit += bit < 8 * 64 ? 1 : 61) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(lfs_alive_decode(block, ours, &out));
		assert_true(out.since_boot_ns < 0);
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(lfs_alive_decode(block, ours, &out));
}

static void open_fresh(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
}

/* Without a flush, beside the superblock and behind the largest one. */
static void the_next_open_finds_it(void **state)
{
	struct world *w = *state;
	struct lfs_alive in = sample(5 * RT_S);

	open_fresh(w);
	assert_true(w->recovery.alive.since_boot_ns < 0);
	lfs_alive_leave(w->lfs, &in);
	in.since_boot_ns++;
	lfs_alive_leave(w->lfs, &in); /* while that is being written: for the next time */
	disk_run();
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(w->recovery.alive.since_boot_ns, 5 * RT_S);
	assert_memory_equal(w->recovery.alive.boot, in.boot, sizeof(in.boot));
	lfs_alive_leave(w->lfs, &in);
	disk_run();
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(w->recovery.alive.since_boot_ns, 5 * RT_S + 1);
	assert_int_equal(close_store(w), 0);
}

/* No error of it counts, and a close waits for the one that is under way. */
static void a_disk_that_does_not_take_it_harms_nothing(void **state)
{
	struct world *w = *state;
	struct lfs_alive in = sample(5 * RT_S);

	open_fresh(w);
	disk.fail[DISK_WRITE] = 1;
	lfs_alive_leave(w->lfs, &in);
	disk_run();
	assert_int_equal(w->failures, 0);
	lfs_alive_leave(w->lfs, &in);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(w->recovery.alive.since_boot_ns, 5 * RT_S);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(any_damage_makes_it_none),
		cmocka_unit_test_setup_teardown(the_next_open_finds_it, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(
			a_disk_that_does_not_take_it_harms_nothing, world_setup,
			world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
