// SPDX-License-Identifier: BSD-3-Clause
/*
 * Figures are what a person at night and the replication above go by: each watermark is
 * its own, and a position joins what belongs together.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

static struct lfs_append append;
static struct lfs_op op;
static uint32_t crc;

static void append_noted(struct lfs_append *a, int res)
{
}

/* One LSN durable, one written, one admitted. */
static void each_watermark_is_its_own(void **state)
{
	struct world *w = *state;
	struct lfs_position before, pos;
	struct lfs_image image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	assert_int_equal(write_blocks(w, 2, 1, 2), 0);
	lfs_position(w->lfs, &before);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	op = (struct lfs_op){
		.kind = LFS_WRITE, .lba = 3, .blocks = 1, .crcs = &crc, .data = w->buf
	};
	append = (struct lfs_append){
		.lsn = 3, .ops = &op, .nops = 1, .done = append_noted
	};
	disk.hold[DISK_WRITE] = true;
	assert_int_equal(lfs_append(w->lfs, &append), 0);
	disk_run();
	assert_int_equal(lfs_lsn(w->lfs).admitted, 3);
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(lfs_lsn(w->lfs).durable, 1);
	/* lfs_position() describes the last admitted LSN, its hash included. */
	lfs_position(w->lfs, &pos);
	assert_int_equal(before.lsn, 2);
	assert_int_equal(pos.lsn, 3);
	assert_int_equal(pos.hash, append.hash);
	assert_int_not_equal(pos.hash, before.hash);
	assert_int_equal(pos.epoch_id, lfs_meta(w->lfs)->epochs[0].id);
	assert_int_equal(pos.bytes, 3 * LFS_BLOCK);
	assert_int_equal(append.bytes, 3 * LFS_BLOCK);
	/* lfs_image() the last durable one. */
	lfs_image(w->lfs, &image);
	assert_int_equal(image.lsn, 1);
	assert_true(image.wall_ns == world_wall_ns(1));
	assert_int_equal(image.bytes, LFS_BLOCK);
	disk.hold[DISK_WRITE] = false;
	assert_int_equal(close_store(w), 0);
}

static struct lfs_wait waiter;

static void waiter_done(struct lfs_wait *wait, int res)
{
	ended(res);
}

static void what_is_counted(void **state)
{
	struct world *w = *state;
	struct lfs_stats before, after;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
	lfs_stats(w->lfs, &before);
	assert_int_equal(before.store_bytes, disk.size);
	assert_int_equal(before.used_bytes, 0);
	assert_true(before.has_room && before.has_map_memory);
	assert_int_equal(before.checkpoint_age_ns, -1);
	assert_int_equal(write_blocks(w, 1, 3, 1), 0);
	assert_int_equal(write_blocks(w, 1, 2, 1), 0);
	assert_int_equal(flush_store(w), 0);
	lfs_stats(w->lfs, &after);
	assert_int_equal(after.client_bytes - before.client_bytes, 5 * LFS_BLOCK);
	/* A header, two head areas and the data. */
	assert_int_equal(after.disk_bytes - before.disk_bytes, 8 * LFS_BLOCK);
	assert_int_equal(after.records - before.records, 2);
	assert_int_equal(after.flushes - before.flushes, 1);
	assert_int_equal(after.used_bytes, MIB);
	assert_int_equal(after.segments_free, before.segments_free - 1);
	assert_true(after.free_bytes < before.free_bytes);
	assert_int_equal(lfs_mapped(w->lfs, 0), 3);
	w->waiting = 1;
	waiter.done = waiter_done;
	lfs_checkpoint_wait(w->lfs, &waiter);
	assert_int_equal(wait_for(w, 1), 0);
	disk_sleep(3 * RT_S);
	lfs_stats(w->lfs, &after);
	assert_int_equal(after.checkpoint_age_ns, 3 * RT_S);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_watermark_is_its_own),
		TEST(what_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
