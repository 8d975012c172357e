// SPDX-License-Identifier: BSD-3-Clause
/*
 * A mirror that returns is fed from the log: a log reader gives each LSN once, in order and
 * verified, waits at the end, and never passes over damage.
 */
#include "lfs/log_record.h"
#include "tests/unit/lfs/world_file.h"

static void read_next_done(struct lfs_log_reader_next *n, int res)
{
	ended(res);
}

static int read_next(struct world *w, struct lfs_log_reader *f,
		     struct lfs_log_reader_next *n)
{
	n->done = read_next_done;
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
		assert_int_equal(read_next(w, f, &n), 0);
		assert_int_equal(n.entry.lsn, i);
		assert_int_equal(n.entry.hash_before, hash);
		assert_true(n.entry.wall_ns == world_wall_ns(i));
		assert_int_equal(n.entry.bytes_before, (i - 1) * 2 * LFS_BLOCK);
		assert_int_equal(n.entry.nops, 1);
		assert_int_equal(n.entry.ops[0].blocks, 2);
		assert_int_equal(n.entry.ops[0].data[LFS_BLOCK], i);
		hash = n.entry.hash_after;
	}
	assert_int_equal(read_next(w, f, &n), -ENODATA);
	assert_int_equal(write_blocks(w, 3, 1, 0x77), 0);
	assert_int_equal(read_next(w, f, &n), 0);
	assert_int_equal(n.entry.lsn, 21);
	assert_int_equal(n.entry.hash_before, hash);
	lfs_log_reader_free(f);
	/* Who begins in the middle counts from the beginning. */
	assert_int_equal(lfs_log_reader_new(w->lfs, 20, &f), 0);
	assert_int_equal(read_next(w, f, &n), 0);
	assert_int_equal(n.entry.bytes_before, 19 * 2 * LFS_BLOCK);
	lfs_log_reader_free(f);
	/* Damage is met, not passed over. */
	flip(w, first_data(w));
	assert_int_equal(lfs_log_reader_new(w->lfs, 1, &f), 0);
	assert_int_equal(read_next(w, f, &n), -EBADMSG);
	lfs_log_reader_free(f);
	assert_int_equal(close_store(w), 0);
}

struct forgery {
	const char *name;
	uint64_t lsns, hash, bytes; /* added */
};

static const struct forgery forgeries[] = {
	{ "another history", 0, 1, 0 },
	{ "an LSN is left out", 1, 0, 0 },
	{ "another amount of data", 0, 0, LFS_BLOCK },
};

/*
 * A record that stands where it should, with its checksums right, and does not continue
 * the history is not handed out: the peer would build on it.
 */
static void a_record_of_another_history_is_not_handed_out(void **state)
{
	struct world *w = *state;
	uint64_t off;
	uint8_t *area = rt_alloc_blocks(LFS_BLOCK);

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(write_blocks(w, i, 1, i), 0);
	/* Each record is a head and a block. */
	off = first_data(w) - LFS_BLOCK + (uint64_t)2 * 2 * LFS_BLOCK;
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(*forgeries); i++) {
		struct lfs_log_reader_next n;
		struct lfs_record rec, forged;
		struct lfs_log_reader *r;
		uint32_t blocks;

		print_message("%s\n", forgeries[i].name);
		peek(w, off, area, LFS_BLOCK);
		assert_int_equal(lfs_record_decode(area, LFS_BLOCK, &rec, &blocks), 0);
		assert_int_equal(rec.first_lsn, 3);
		forged = rec;
		forged.first_lsn += forgeries[i].lsns;
		forged.last_lsn += forgeries[i].lsns;
		forged.hash_before += forgeries[i].hash;
		forged.bytes_before += forgeries[i].bytes;
		lfs_record_encode(area, &forged);
		poke(w, off, area, LFS_BLOCK);
		assert_int_equal(lfs_log_reader_new(w->lfs, 1, &r), 0);
		assert_int_equal(read_next(w, r, &n), 0);
		assert_int_equal(read_next(w, r, &n), 0);
		assert_int_equal(n.entry.lsn, 2);
		assert_int_equal(read_next(w, r, &n), -EBADMSG);
		lfs_log_reader_free(r);
		lfs_record_encode(area, &rec);
		poke(w, off, area, LFS_BLOCK);
	}
	rt_free(area);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_record_of_another_history_is_not_handed_out),
		TEST(a_reader_reads_the_log_and_waits_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
