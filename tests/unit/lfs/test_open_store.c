// SPDX-License-Identifier: BSD-3-Clause
/*
 * A log that has failed says so once, with the first reason, and whatever waits for it
 * ends with an error: nobody waits for ever, and nothing is called good afterwards.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

#define APPENDS 8u

static struct lfs_append appends[APPENDS];
static struct lfs_op ops[APPENDS];
static uint32_t crc;
static int append_res[APPENDS], flush_res[2], checkpoint_res, facts_res;
static struct lfs_flush flushes[2];
static struct lfs_wait checkpoint;
static struct lfs_set_meta facts;

static void append_noted(struct lfs_append *a, int res)
{
	append_res[a - appends] = res;
}

static void flush_noted(struct lfs_flush *f, int res)
{
	flush_res[f - flushes] = res;
}

static void checkpoint_noted(struct lfs_wait *wait, int res)
{
	checkpoint_res = res;
}

static void facts_noted(struct lfs_set_meta *s, int res)
{
	facts_res = res;
}

static void append_ask(struct world *w, unsigned i)
{
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	ops[i] = (struct lfs_op){
		.kind = LFS_WRITE, .lba = i, .blocks = 1, .crcs = &crc, .data = w->buf
	};
	appends[i] = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
					  .ops = &ops[i],
					  .nops = 1,
					  .done = append_noted };
	append_res[i] = 1;
	assert_int_equal(lfs_append(w->lfs, &appends[i]), 0);
}

static void flush_ask(struct world *w, unsigned i)
{
	flushes[i].done = flush_noted;
	flush_res[i] = 1;
	lfs_flush(w->lfs, &flushes[i]);
}

static void open_and_write(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 20, 1, 1), 0);
}

/* A write fails first, the flush under way after it. */
static void a_failure_is_reported_once(void **state)
{
	struct world *w = *state;

	open_and_write(w);
	disk.hold[DISK_FLUSH] = true;
	flush_ask(w, 0);
	append_ask(w, 0);
	disk.fail[DISK_WRITE] = 1;
	disk_run();
	assert_int_equal(append_res[0], -EIO);
	assert_int_equal(w->failures, 1);
	assert_non_null(strstr(w->failed_why, "write"));
	disk.fail[DISK_FLUSH] = 1;
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(disk.fail[DISK_FLUSH], 0);
	assert_int_equal(flush_res[0], -EIO);
	assert_int_equal(w->failures, 1);
	assert_non_null(strstr(w->lfs->why, "write"));
	assert_int_equal(close_store(w), -EIO);
	assert_int_equal(w->failures, 1);
}

/* Records under way and queued, flushes under way and waiting, a checkpoint, facts. */
static void all_that_waits_ends_with_the_log(void **state)
{
	struct world *w = *state;

	open_and_write(w);
	disk.hold[DISK_FLUSH] = true;
	disk.hold[DISK_WRITE] = true;
	flush_ask(w, 0);
	for (unsigned i = 0; i < APPENDS; i++) {
		append_ask(w, i);
		disk_run();
	}
	assert_int_equal(w->lfs->head.ninflight, LFS_RECORDS_IN_FLIGHT);
	assert_false(rt_list_empty(&w->lfs->admission.queue));
	flush_ask(w, 1);
	checkpoint_res = facts_res = 1;
	checkpoint.done = checkpoint_noted;
	lfs_checkpoint_wait(w->lfs, &checkpoint);
	w->meta = *lfs_meta(w->lfs);
	w->meta.named_epoch++;
	facts.done = facts_noted;
	lfs_set_meta(w->lfs, &facts, &w->meta);
	disk_run();
	disk.fail[DISK_WRITE] = 1;
	disk.hold[DISK_WRITE] = false;
	disk_run();
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	for (unsigned i = 0; i < APPENDS; i++)
		assert_int_equal(append_res[i], -EIO);
	assert_int_equal(flush_res[0], -EIO);
	assert_int_equal(flush_res[1], -EIO);
	assert_int_equal(checkpoint_res, -EIO);
	assert_int_equal(facts_res, -EIO);
	assert_int_equal(w->failures, 1);
	assert_int_equal(lfs_lsn(w->lfs).written, 1);
	assert_int_not_equal(lfs_meta(w->lfs)->named_epoch, w->meta.named_epoch);
	/* Nothing begins any more, and what is there can be read. */
	flush_ask(w, 0);
	checkpoint_res = 1;
	lfs_checkpoint_wait(w->lfs, &checkpoint);
	disk_run();
	assert_int_equal(flush_res[0], -EIO);
	assert_int_equal(checkpoint_res, -EIO);
	must_hold(w, 20, 1, 1);
	assert_int_equal(close_store(w), -EIO);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 20, 1, 1);
	assert_int_equal(close_store(w), 0);
}

/* Who waits for room or for a watermark is called when it moves. */
static void the_owner_is_called_when_a_watermark_moves(void **state)
{
	struct world *w = *state;

	open_and_write(w);
	disk_run();
	running = w;
	append_ask(w, 0);
	w->held = true;
	w->waiting = 1;
	disk_run();
	assert_int_equal(append_res[0], 0);
	assert_false(w->held);
	flush_ask(w, 0);
	w->held = true;
	w->waiting = 1;
	disk_run();
	assert_int_equal(flush_res[0], 0);
	assert_false(w->held);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_failure_is_reported_once),
		TEST(all_that_waits_ends_with_the_log),
		TEST(the_owner_is_called_when_a_watermark_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
