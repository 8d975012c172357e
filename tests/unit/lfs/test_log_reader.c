// SPDX-License-Identifier: BSD-3-Clause
/*
 * A mirror that returns is fed from the log: a log reader gives each LSN once, in order and
 * verified, waits at the end, and never passes over damage.
 */
#include "tests/unit/lfs/world_file.h"

static void follow_done(struct lfs_log_reader_next *n, int res)
{
	ended(res);
}

static int follow_next(struct world *w, struct lfs_log_reader *f,
		       struct lfs_log_reader_next *n)
{
	n->done = follow_done;
	w->waiting = 1;
	lfs_log_reader_next(f, n);
	return wait_for(w, 1);
}

static void a_reader_reads_the_log_and_waits_at_its_end(void **state)
{
	struct world *w = *state;
	struct lfs_log_reader_next n;
	struct lfs_log_reader *f;
	uint64_t hash = 0;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 20; i++)
		assert_int_equal(write_blocks(w, i, 2, i), 0);
	assert_int_equal(lfs_log_reader_new(w->lfs, 22, &f), -ENOENT);
	assert_int_equal(lfs_log_reader_new(w->lfs, 1, &f), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		assert_int_equal(follow_next(w, f, &n), 0);
		assert_int_equal(n.entry.lsn, i);
		assert_int_equal(n.entry.hash_before, hash);
		assert_int_equal(n.entry.nops, 1);
		assert_int_equal(n.entry.ops[0].blocks, 2);
		assert_int_equal(n.entry.ops[0].data[LFS_BLOCK], i);
		hash = n.entry.hash_after;
	}
	assert_int_equal(follow_next(w, f, &n), -ENODATA);
	assert_int_equal(write_blocks(w, 3, 1, 0x77), 0);
	assert_int_equal(follow_next(w, f, &n), 0);
	assert_int_equal(n.entry.lsn, 21);
	assert_int_equal(n.entry.hash_before, hash);
	lfs_log_reader_free(f);
	/* Damage is met, not passed over. */
	flip(w, first_data(w));
	assert_int_equal(lfs_log_reader_new(w->lfs, 1, &f), 0);
	assert_int_equal(follow_next(w, f, &n), -EBADMSG);
	lfs_log_reader_free(f);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_reader_reads_the_log_and_waits_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
