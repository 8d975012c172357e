// SPDX-License-Identifier: BSD-3-Clause
/*
 * A window over a segment gives recovery and log readers their records: whole ones only, and
 * it tells "load further" from "no record here". Mixed up, recovery would end the log too
 * early or run for ever.
 */
#include "lfs/scan.h"
#include "rt/crc.h"
#include "tests/unit/lfs/memory_loop.h"

#define BLOCKS 4096u
#define FIRST 1u /* block of the first record */

static struct lfs_segments segs;
static struct lfs_scan scan;
static struct rt_file *file;
static int loaded_res;

static void loaded(struct lfs_scan *s, int res)
{
	loaded_res = res;
}

static int setup(void **state)
{
	disk_reset();
	assert_int_equal(rt_file_open(&disk_loop, "store", RT_FILE_CREATE, &file), 0);
	assert_int_equal(rt_file_set_size(file, (uint64_t)BLOCKS * LFS_BLOCK), 0);
	assert_int_equal(lfs_segments_init(&segs, 1, BLOCKS, 0), 0);
	assert_int_equal(lfs_scan_init(&scan, file, &segs), 0);
	scan.loaded = loaded;
	return 0;
}

static int teardown(void **state)
{
	lfs_scan_release(&scan);
	lfs_segments_release(&segs);
	rt_file_close(file);
	disk_reset();
	return 0;
}

static void load(uint32_t block, uint32_t end)
{
	loaded_res = 1;
	lfs_scan_load(&scan, 0, block, end);
	disk_run();
}

/* A client record of one LSN with `n` blocks at `block`. Returns the block behind it. */
static uint32_t record_put(uint32_t block, uint32_t n)
{
	static uint8_t area[LFS_HEAD_BLOCKS_MAX * LFS_BLOCK], data[LFS_BLOCK];
	struct lfs_desc desc = {
		.kind = LFS_DESC_WRITE,
		.last = true,
		.lba = block,
		.blocks = n,
		.wall_ns = 4711,
	};
	struct lfs_record rec = {
		.kind = LFS_RECORD_CLIENT,
		.address = block,
		.first_lsn = 1,
		.last_lsn = 1,
		.ndescs = 1,
		.nblocks = n,
	};
	uint32_t head = lfs_record_head_blocks(1, n);

	memset(area, 0, sizeof(area));
	lfs_record_put_desc(area, 0, &desc);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t crc;

		memset(data, (int)i + 1, sizeof(data));
		crc = rt_crc32c(data, sizeof(data));
		lfs_record_put_crcs(area, 1, i, &crc, 1);
		disk_poke((uint64_t)(block + head + i) * LFS_BLOCK, data, sizeof(data));
	}
	lfs_record_encode(area, &rec);
	disk_poke((uint64_t)block * LFS_BLOCK, area, (size_t)head * LFS_BLOCK);
	return block + head + n;
}

static void a_record_is_found_whole(void **state)
{
	uint32_t next = record_put(FIRST, 3), desc = 0, block = 0, crcs[4];
	int64_t wall_ns;
	struct lfs_op ops[LFS_OPS_MAX];
	struct lfs_scanned r;

	load(FIRST, BLOCKS);
	assert_int_equal(loaded_res, 0);
	assert_int_equal(lfs_scan_record(&scan, FIRST, BLOCKS, &r), 0);
	assert_int_equal(r.next, next);
	assert_int_equal(r.rec.nblocks, 3);
	assert_int_equal(r.data[2 * LFS_BLOCK], 3);
	assert_int_equal(lfs_scan_lsn(&r, &desc, &block, ops, crcs, &wall_ns), 1);
	assert_true(wall_ns == 4711);
	assert_int_equal(desc, 1);
	assert_int_equal(block, 3);
	assert_int_equal(ops[0].blocks, 3);
	assert_int_equal(ops[0].crcs[1], rt_crc32c(r.data + LFS_BLOCK, LFS_BLOCK));
	assert_ptr_equal(ops[0].data, r.data);
	assert_int_equal(lfs_scan_record(&scan, next, BLOCKS, &r), -EBADMSG);
}

/* Whichever block the window ends with. */
static void a_record_that_the_window_cuts_is_loaded_again(void **state)
{
	uint32_t next = record_put(FIRST + 1, 3);
	struct lfs_scanned r;

	for (uint32_t end = FIRST + 2; end < next; end++) {
		load(FIRST, end);
		/* It may be whole further on, for who may look further. */
		assert_int_equal(lfs_scan_record(&scan, FIRST + 1, BLOCKS, &r), -ENODATA);
		/* It cannot be, where the segment ends. */
		assert_int_equal(lfs_scan_record(&scan, FIRST + 1, end, &r), -EBADMSG);
		/* Nor is it longer than what was loaded from its first block on. */
		load(FIRST + 1, end);
		assert_int_equal(lfs_scan_record(&scan, FIRST + 1, BLOCKS, &r), -EBADMSG);
	}
	load(FIRST, next);
	assert_int_equal(lfs_scan_record(&scan, FIRST + 1, next, &r), 0);
	/* Behind the window, and behind the end. */
	assert_int_equal(lfs_scan_record(&scan, next, BLOCKS, &r), -ENODATA);
	assert_int_equal(lfs_scan_record(&scan, next, next, &r), -EBADMSG);
}

/* The same for a head area of more than a block. */
static void a_long_head_area_that_the_window_cuts(void **state)
{
	uint32_t next = record_put(FIRST + 1, 1025);
	struct lfs_scanned r;

	assert_int_equal(next, FIRST + 1 + 2 + 1025);
	load(FIRST, FIRST + 2);
	assert_int_equal(lfs_scan_record(&scan, FIRST + 1, BLOCKS, &r), -ENODATA);
	load(FIRST + 1, FIRST + 2);
	assert_int_equal(lfs_scan_record(&scan, FIRST + 1, BLOCKS, &r), -EBADMSG);
	load(FIRST + 1, BLOCKS);
	assert_int_equal(lfs_scan_record(&scan, FIRST + 1, BLOCKS, &r), 0);
	assert_int_equal(r.next, next);
}

static void a_bad_block_of_a_client_is_no_record(void **state)
{
	struct lfs_scanned r;
	uint8_t byte = 0xff;

	(void)record_put(FIRST, 3);
	for (uint32_t i = 1; i <= 3; i++) {
		(void)record_put(FIRST, 3);
		disk_poke((uint64_t)(FIRST + i) * LFS_BLOCK + 4095, &byte, 1);
		load(FIRST, BLOCKS);
		assert_int_equal(lfs_scan_record(&scan, FIRST, BLOCKS, &r), -EBADMSG);
	}
}

static void a_failed_read_shows_nothing(void **state)
{
	struct lfs_scanned r;

	(void)record_put(FIRST, 3);
	disk.fail[DISK_READ] = 1;
	load(FIRST, BLOCKS);
	assert_int_equal(loaded_res, -EIO);
	assert_int_equal(scan.segment, LFS_SEGMENT_NONE);
	assert_null(lfs_scan_block(&scan, FIRST));
	assert_int_equal(lfs_scan_record(&scan, FIRST, BLOCKS, &r), -ENODATA);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_record_is_found_whole),
		TEST(a_record_that_the_window_cuts_is_loaded_again),
		TEST(a_long_head_area_that_the_window_cuts),
		TEST(a_bad_block_of_a_client_is_no_record),
		TEST(a_failed_read_shows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
