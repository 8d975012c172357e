// SPDX-License-Identifier: BSD-3-Clause
/*
 * A read gives each block as it was last admitted, wherever it lies: in memory, on the
 * disk in runs, or nowhere. Every block from the disk is verified, and the first bad one
 * is named; whoever mends a block from the mirror asks for that one.
 */
#include "lfs/read.h"
#include "tests/unit/lfs/world_memory.h"

/* Neighbours in the volume that are none in the log. */
static void write_scattered(struct world *w, uint32_t blocks)
{
	for (uint32_t i = blocks; i-- > 0;)
		assert_int_equal(write_blocks(w, i, 1, (uint8_t)(i + 1)), 0);
}

static void must_be_scattered(const uint8_t *buf, uint32_t first, uint32_t blocks)
{
	for (uint32_t i = 0; i < blocks; i++)
		for (uint32_t k = 0; k < LFS_BLOCK; k++)
			assert_int_equal(buf[i * LFS_BLOCK + k],
					 (uint8_t)(first + i + 1));
}

static void open_fresh(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
}

static void a_short_read_goes_on(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 10, 16, 7), 0);
	memset(w->buf, 0, BLOCKS_MAX * LFS_BLOCK);
	disk.at_most[DISK_READ] = LFS_BLOCK;
	must_hold(w, 10, 16, 7);
	disk.at_most[DISK_READ] = 512;
	must_hold(w, 10, 16, 7);
	disk.at_most[DISK_READ] = LFS_BLOCK;
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 10, 16, 7);
	assert_int_equal(close_store(w), 0);
}

static void blocks_that_are_no_neighbours(void **state)
{
	struct world *w = *state;
	uint64_t bad;

	open_fresh(w);
	write_scattered(w, 16);
	assert_int_equal(read_blocks(w, 0, 16, &bad), 0);
	must_be_scattered(w->buf, 0, 16);
	/* With one that is mapped nowhere in between. */
	assert_int_equal(read_blocks(w, 14, 4, &bad), 0);
	must_be_scattered(w->buf, 14, 2);
	for (uint32_t i = 2 * LFS_BLOCK; i < 4 * LFS_BLOCK; i++)
		assert_int_equal(w->buf[i], 0);
	assert_int_equal(close_store(w), 0);
}

static void the_first_bad_block_is_named(void **state)
{
	struct world *w = *state;
	struct lfs_stats stats;
	uint64_t bad = 0;

	open_fresh(w);
	write_scattered(w, 8);
	/* Block 7 lies first in the log, each in a record of two blocks. */
	flip(w, first_data(w) + 2 * LFS_BLOCK * (7 - 5) + 99);
	flip(w, first_data(w) + 2 * LFS_BLOCK * (7 - 3) + 99);
	assert_int_equal(read_blocks(w, 0, 8, &bad), -EBADMSG);
	assert_int_equal(bad, 3);
	assert_int_equal(read_blocks(w, 4, 4, &bad), -EBADMSG);
	assert_int_equal(bad, 5);
	assert_int_equal(read_blocks(w, 0, 3, &bad), 0);
	/* What the disk refuses is another error. */
	disk.fail[DISK_READ] = 2;
	assert_int_equal(read_blocks(w, 0, 3, &bad), -EIO);
	assert_int_equal(bad, 1);
	lfs_stats(w->lfs, &stats);
	assert_int_equal(stats.read_errors, 1);
	assert_int_equal(stats.checksum_errors, 3);
	/* What the disk says stays known to whoever tells people. */
	assert_int_equal(w->disk_err, -EIO);
	disk.fail[DISK_READ] = 2;
	disk.error = -EREMOTEIO;
	assert_int_equal(read_blocks(w, 0, 3, &bad), -EIO);
	assert_int_equal(w->disk_err, -EREMOTEIO);
	assert_int_equal(read_blocks(w, 0, 3, &bad), 0);
	assert_int_equal(close_store(w), 0);
}

/* A file that was cut off behind our back: its blocks are missing, not zero. */
static void the_end_of_the_file_is_an_error(void **state)
{
	struct world *w = *state;
	uint64_t bad = 0, size;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 10, 8, 7), 0);
	size = disk.size;
	disk.size = first_data(w) + 5 * LFS_BLOCK;
	assert_int_equal(read_blocks(w, 10, 8, &bad), -EIO);
	assert_int_equal(bad, 15);
	assert_int_equal(w->disk_err, -ENODATA);
	must_hold(w, 10, 5, 7);
	disk.size = size;
	must_hold(w, 10, 8, 7);
	assert_int_equal(close_store(w), 0);
}

#define LONG 5u /* appends of BLOCKS_MAX blocks, in one record */

static void append_noted(struct lfs_append *a, int res)
{
	assert_int_equal(res, 0);
}

/* More neighbours than a run has checksums for are read in two. */
static void a_run_has_its_most(void **state)
{
	struct world *w = *state;
	uint8_t *buf = rt_alloc_blocks(LONG * BLOCKS_MAX * LFS_BLOCK);
	struct lfs_read r = { .blocks = LONG * BLOCKS_MAX,
			      .buf = buf,
			      .done = read_done };
	struct lfs_append appends[LONG];
	struct lfs_op ops[LONG];
	uint32_t crcs[BLOCKS_MAX];

	open_fresh(w);
	memset(w->buf, 7, BLOCKS_MAX * LFS_BLOCK);
	for (unsigned i = 0; i < BLOCKS_MAX; i++)
		crcs[i] = rt_crc32c(w->buf, LFS_BLOCK);
	for (unsigned i = 0; i < LONG; i++) {
		ops[i] = (struct lfs_op){ .kind = LFS_WRITE,
					  .lba = i * BLOCKS_MAX,
					  .blocks = BLOCKS_MAX,
					  .crcs = crcs,
					  .data = w->buf };
		appends[i] = (struct lfs_append){
			.lsn = i + 1, .ops = &ops[i], .nops = 1, .done = append_noted
		};
		assert_int_equal(lfs_append(w->lfs, &appends[i]), 0);
	}
	disk_run();
	disk.tracing = true;
	w->waiting = 1;
	lfs_read(w->lfs, &r);
	assert_int_equal(wait_for(w, 1), 0);
	disk.tracing = false;
	assert_int_equal(disk.ntrace, 2);
	assert_int_equal(disk.trace[0].len, LFS_READ_RUN * LFS_BLOCK);
	assert_int_equal(disk.trace[1].len, 16 * LFS_BLOCK);
	for (uint32_t i = 0; i < LONG * BLOCKS_MAX * LFS_BLOCK; i++)
		assert_int_equal(buf[i], 7);
	rt_free(buf);
	assert_int_equal(close_store(w), 0);
}

#define READS 20u

static struct lfs_read reads[READS];
static int results[READS];

static void read_noted(struct lfs_read *r, int res)
{
	results[r - reads] = res;
}

/* More runs than there are: a read waits and goes on where it stood. */
static void more_runs_than_there_are(void **state)
{
	struct world *w = *state;
	uint8_t *bufs = rt_alloc_blocks(READS * BLOCKS_MAX * LFS_BLOCK);

	open_fresh(w);
	assert_true(READS * BLOCKS_MAX > 2 * LFS_READS_MAX);
	write_scattered(w, BLOCKS_MAX);
	disk.hold[DISK_READ] = true;
	for (unsigned i = 0; i < READS; i++) {
		results[i] = 1;
		reads[i] = (struct lfs_read){ .blocks = BLOCKS_MAX,
					      .buf = bufs + i * BLOCKS_MAX * LFS_BLOCK,
					      .done = read_noted };
		lfs_read(w->lfs, &reads[i]);
	}
	disk_run();
	assert_int_equal(disk.nops, LFS_READS_MAX);
	disk.hold[DISK_READ] = false;
	disk_run();
	for (unsigned i = 0; i < READS; i++) {
		assert_int_equal(results[i], 0);
		must_be_scattered(reads[i].buf, 0, BLOCKS_MAX);
	}
	assert_int_equal(close_store(w), 0);
	rt_free(bufs);
}

/*
 * A read that has one run and waits for more: when that comes back first, it is not at its end.
 */
static void a_read_that_waits_for_runs_is_not_over(void **state)
{
	enum { BEFORE = LFS_READS_MAX / BLOCKS_MAX };
	struct world *w = *state;
	uint8_t *bufs = rt_alloc_blocks((BEFORE + 1) * BLOCKS_MAX * LFS_BLOCK);
	struct disk_op last;

	open_fresh(w);
	write_scattered(w, BLOCKS_MAX);
	memset(bufs, 0xee, (BEFORE + 1) * BLOCKS_MAX * LFS_BLOCK);
	disk.hold[DISK_READ] = true;
	for (unsigned i = 0; i <= BEFORE; i++) {
		results[i] = 1;
		reads[i] = (struct lfs_read){ .blocks = BLOCKS_MAX - (i == 0),
					      .buf = bufs + i * BLOCKS_MAX * LFS_BLOCK,
					      .done = read_noted };
		lfs_read(w->lfs, &reads[i]);
	}
	disk_run();
	assert_int_equal(disk.nops, LFS_READS_MAX);
	last = disk.ops[LFS_READS_MAX - 1];
	assert_ptr_equal(last.one.iov_base, reads[BEFORE].buf);
	memmove(disk.ops + 1, disk.ops, (LFS_READS_MAX - 1) * sizeof(last));
	disk.ops[0] = last;
	disk.hold[DISK_READ] = false;
	disk_run();
	for (unsigned i = 0; i <= BEFORE; i++) {
		assert_int_equal(results[i], 0);
		must_be_scattered(reads[i].buf, 0, reads[i].blocks);
	}
	assert_int_equal(close_store(w), 0);
	rt_free(bufs);
}

/*
 * A read of what is in memory, or nowhere, that waits behind others: its turn is its end,
 * as no run will come back to end it.
 */
static void a_read_that_waited_may_need_no_disk(void **state)
{
	enum { BEFORE = LFS_READS_MAX / BLOCKS_MAX, NOWHERE = BEFORE + 1, MEMORY };
	struct world *w = *state;
	uint8_t *bufs = rt_alloc_blocks((MEMORY + 1) * BLOCKS_MAX * LFS_BLOCK);
	uint32_t crc;
	struct lfs_op op = { .kind = LFS_WRITE, .lba = 100, .blocks = 1, .crcs = &crc };
	struct lfs_append a = { .ops = &op, .nops = 1, .done = append_noted };

	open_fresh(w);
	write_scattered(w, BLOCKS_MAX);
	disk.hold[DISK_READ] = disk.hold[DISK_WRITE] = true;
	memset(w->buf, 7, LFS_BLOCK);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	op.data = w->buf;
	a.lsn = lfs_lsn(w->lfs).admitted + 1;
	assert_int_equal(lfs_append(w->lfs, &a), 0);
	memset(bufs, 0xee, (MEMORY + 1) * BLOCKS_MAX * LFS_BLOCK);
	for (unsigned i = 0; i <= MEMORY; i++) {
		results[i] = 1;
		reads[i] = (struct lfs_read){ .lba = i == MEMORY    ? 100
						     : i == NOWHERE ? 200
								    : 0,
					      .blocks = i == MEMORY ? 1 : BLOCKS_MAX,
					      .buf = bufs + i * BLOCKS_MAX * LFS_BLOCK,
					      .done = read_noted };
		lfs_read(w->lfs, &reads[i]);
	}
	disk_run();
	disk.hold[DISK_READ] = false;
	disk_run();
	for (unsigned i = 0; i <= MEMORY; i++)
		assert_int_equal(results[i], 0);
	must_be_scattered(reads[BEFORE].buf, 0, BLOCKS_MAX);
	for (uint32_t k = 0; k < BLOCKS_MAX * LFS_BLOCK; k++)
		assert_int_equal(reads[NOWHERE].buf[k], 0);
	for (uint32_t k = 0; k < LFS_BLOCK; k++)
		assert_int_equal(reads[MEMORY].buf[k], 7);
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(close_store(w), 0);
	rt_free(bufs);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_short_read_goes_on),
		TEST(blocks_that_are_no_neighbours),
		TEST(the_first_bad_block_is_named),
		TEST(the_end_of_the_file_is_an_error),
		TEST(a_run_has_its_most),
		TEST(more_runs_than_there_are),
		TEST(a_read_that_waits_for_runs_is_not_over),
		TEST(a_read_that_waited_may_need_no_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
