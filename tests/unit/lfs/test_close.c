// SPDX-License-Identifier: BSD-3-Clause
/*
 * A close gives nothing back before all that is under way has ended, and of the store that
 * it leaves no write is replayed; one that fails says so and loses nothing flushed.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

/* What a checkpoint of one leaf leaves behind its start: a head area and an image. */
#define IMAGES (2 * LFS_BLOCK)

static struct lfs_close closing;
static struct lfs_append append;
static struct lfs_op op;
static uint32_t crc;
static struct lfs_flush flush;
static struct lfs_read reading;
static struct lfs_wait checkpoint;
static struct lfs_set_meta facts;
static int work_res, close_res; /* 1: has not ended */

static void closed(struct lfs_close *c, int res)
{
	close_res = res;
}

static void append_noted(struct lfs_append *a, int res)
{
	work_res = res;
}

static void flush_noted(struct lfs_flush *f, int res)
{
	work_res = res;
}

static void read_noted(struct lfs_read *r, int res)
{
	work_res = res;
}

static void checkpoint_noted(struct lfs_wait *wait, int res)
{
	work_res = res;
}

static void facts_noted(struct lfs_set_meta *s, int res)
{
	work_res = res;
}

static void append_ask(struct world *w)
{
	memset(w->buf, 9, LFS_BLOCK);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	op = (struct lfs_op){
		.kind = LFS_WRITE, .lba = 9, .blocks = 1, .crcs = &crc, .data = w->buf
	};
	append = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
				      .ops = &op,
				      .nops = 1,
				      .done = append_noted };
	assert_int_equal(lfs_append(w->lfs, &append), 0);
}

static void flush_ask(struct world *w)
{
	flush.done = flush_noted;
	lfs_flush(w->lfs, &flush);
}

static void read_ask(struct world *w)
{
	reading = (struct lfs_read){
		.lba = 1, .blocks = 1, .buf = w->buf, .done = read_noted
	};
	lfs_read(w->lfs, &reading);
}

static void checkpoint_ask(struct world *w)
{
	checkpoint.done = checkpoint_noted;
	lfs_checkpoint_wait(w->lfs, &checkpoint);
}

static void facts_ask(struct world *w)
{
	w->meta = *lfs_meta(w->lfs);
	facts.done = facts_noted;
	lfs_set_meta(w->lfs, &facts, &w->meta);
}

static void open_and_write(struct world *w)
{
	disk_reset();
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
}

struct work {
	const char *name;
	void (*ask)(struct world *w);
	enum disk_kind held; /* what it waits for */
};

static const struct work works[] = {
	{ "an append", append_ask, DISK_WRITE },
	{ "a flush", flush_ask, DISK_FLUSH },
	{ "a read", read_ask, DISK_READ },
	{ "a checkpoint's images", checkpoint_ask, DISK_WRITE },
	{ "a checkpoint's flush", checkpoint_ask, DISK_FLUSH },
	{ "other facts", facts_ask, DISK_WRITE },
};

static void a_close_waits_for_what_is_under_way(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		const struct work *work = &works[i];

		print_message("%s\n", work->name);
		open_and_write(w);
		work_res = close_res = 1;
		disk.hold[work->held] = true;
		work->ask(w);
		disk_run();
		closing = (struct lfs_close){ .done = closed };
		lfs_close(w->lfs, &closing);
		disk_run();
		assert_int_equal(work_res, 1);
		assert_int_equal(close_res, 1);
		assert_true(disk.opened);
		disk.hold[work->held] = false;
		while (work_res == 1)
			assert_true(disk_step());
		assert_int_equal(work_res, 0);
		assert_int_equal(close_res, 1);
		disk_run();
		assert_int_equal(close_res, 0);
		assert_false(disk.opened);
		assert_int_equal(open_store(w), 0);
		must_hold(w, 1, 1, 1);
		must_hold(w, 9, 1, work->ask == append_ask ? 9 : 0);
		assert_int_equal(close_store(w), 0);
	}
}

static void no_write_is_replayed_after_a_close(void **state)
{
	struct world *w = *state;

	for (unsigned unclean = 0; unclean < 2; unclean++) {
		open_and_write(w);
		w->unclean = unclean;
		assert_int_equal(close_store(w), 0);
		w->unclean = false;
		assert_int_equal(open_store(w), 0);
		assert_int_equal(w->recovery.was_clean, !unclean);
		assert_int_equal(w->recovery.bytes, 0);
		assert_int_equal(w->recovery.last_lsn, 1);
		must_hold(w, 1, 1, 1);
		/* It is no longer closed in order while it is open. */
		assert_int_equal(lfs_meta(w->lfs)->flags & LFS_CLEAN, 0);
		assert_int_equal(close_store(w), 0);
	}
}

/* Admitted before a checkpoint and written behind its images: its leaf is stale. */
static void no_late_write_is_replayed_after_a_close(void **state)
{
	struct world *w = *state;

	open_and_write(w);
	work_res = 1;
	disk.hold[DISK_WRITE] = true;
	append_ask(w);
	disk_run();
	assert_int_equal(lfs_lsn(w->lfs).written, 1);
	checkpoint_ask(w);
	disk_run();
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(w->recovery.bytes, 0);
	must_hold(w, 9, 1, 9);
	assert_int_equal(close_store(w), 0);
}

/* The last checkpoint knows it all: the superblock alone is written. */
static void a_close_without_news_writes_no_checkpoint(void **state)
{
	struct world *w = *state;
	unsigned writes;

	open_and_write(w);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	writes = disk.submitted[DISK_WRITE];
	assert_int_equal(close_store(w), 0);
	assert_int_equal(disk.submitted[DISK_WRITE], writes + 1);
}

/* Each write, then each flush of a close fails in turn. */
static void a_close_that_fails_says_so(void **state)
{
	static const enum disk_kind kinds[] = { DISK_WRITE, DISK_FLUSH };
	struct world *w = *state;

	for (unsigned k = 0; k < 2; k++) {
		for (unsigned n = 1;; n++) {
			int res;

			open_and_write(w);
			assert_int_equal(flush_store(w), 0);
			disk.fail[kinds[k]] = n;
			res = close_store(w);
			if (disk.fail[kinds[k]]) {
				assert_int_equal(res, 0);
				assert_true(n > 3);
				break;
			}
			assert_int_equal(res, -EIO);
			assert_false(disk.opened);
			assert_int_equal(open_store(w), 0);
			must_hold(w, 1, 1, 1);
			assert_int_equal(close_store(w), 0);
		}
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_close_waits_for_what_is_under_way),
		TEST(no_write_is_replayed_after_a_close),
		TEST(no_late_write_is_replayed_after_a_close),
		TEST(a_close_without_news_writes_no_checkpoint),
		TEST(a_close_that_fails_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
