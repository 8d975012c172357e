// SPDX-License-Identifier: BSD-3-Clause
/*
 * A long unmap is cut up, so that nobody waits for it; what readers see, the order in which
 * appends end and what counts as written are the same as if it had been done at once.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

#define APPENDS 12u
#define TRIMS 250u /* four of these appends fill a record */

static struct lfs_append appends[APPENDS];
static struct lfs_op trims[TRIMS], last_ops[TRIMS];
static uint32_t crc;
static unsigned nended;

static void append_noted(struct lfs_append *a, int res)
{
	assert_int_equal(res, 0);
	assert_int_equal(a - appends, nended);
	/* What is reported as written is below the watermark. */
	assert_true(lfs_lsn(running->lfs).written >= a->lsn);
	nended++;
}

/* Three records of trims of a whole volume; the last operation of all writes block 0. */
static void trims_ask(struct world *w)
{
	for (unsigned i = 0; i < TRIMS; i++)
		trims[i] = (struct lfs_op){ .kind = i % 2 ? LFS_ZERO : LFS_TRIM,
					    .blocks = VOLUME_BLOCKS };
	memcpy(last_ops, trims, sizeof(trims));
	memset(w->buf, 9, LFS_BLOCK);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	last_ops[TRIMS - 1] = (struct lfs_op){
		.kind = LFS_WRITE, .blocks = 1, .crcs = &crc, .data = w->buf
	};
	nended = 0;
	running = w;
	for (unsigned i = 0; i < APPENDS; i++) {
		appends[i] = (struct lfs_append){
			.lsn = lfs_lsn(w->lfs).admitted + 1,
			.ops = i < APPENDS - 1 ? trims : last_ops,
			.nops = TRIMS,
			.done = append_noted,
		};
		assert_int_equal(lfs_append(w->lfs, &appends[i]), 0);
	}
}

static void must_be_idle(struct world *w)
{
	const struct lfs_admission *ad = &w->lfs->admission;

	assert_int_equal(ad->pending_appends, 0);
	assert_int_equal(ad->pending_leaves, 0);
	assert_int_equal(ad->queued_blocks, 0);
	assert_int_equal(ad->write_buffer.unused, LFS_PENDING_BYTES_MAX / LFS_BLOCK);
}

static void must_be_trimmed(struct world *w, uint8_t first)
{
	uint8_t *buf = w->buf;

	/* What is admitted lies in w->buf until it is written. */
	w->buf = rt_alloc_blocks(BLOCKS_MAX * LFS_BLOCK);
	assert_non_null(w->buf);
	must_hold(w, 0, 1, first);
	must_hold(w, 1, 1, 0);
	must_hold(w, 600, 4, 0);
	rt_free(w->buf);
	w->buf = buf;
}

static void a_long_unmap_is_cut_up(void **state)
{
	struct world *w = *state;
	char why[LFS_WHY_MAX];

	w->checkpoint_every = 1024 * MIB;
	assert_int_equal(create(w, 200 * MIB), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 0, 2, 1), 0);
	assert_int_equal(write_blocks(w, 600, 4, 2), 0);
	disk.hold[DISK_WRITE] = true;
	trims_ask(w);
	disk_run();
	assert_int_equal(w->lfs->head.ninflight, 3);
	must_be_trimmed(w, 9);
	disk_run();
	/* The first record is the last one to be written: all three are applied with it. */
	disk.hold[DISK_WRITE] = false;
	disk.reverse = true;
	while (!nended)
		assert_true(disk_step());
	disk.reverse = false;
	/* The budget ends within an unmap of the third. */
	assert_int_equal(w->lfs->head.ninflight, 1);
	assert_true(w->lfs->head.inflight[w->lfs->head.first].op_blocks_done);
	assert_int_equal(nended, 8);
	assert_int_equal(lfs_lsn(w->lfs).written, 2 + 8);
	must_be_trimmed(w, 9);
	disk_run();
	assert_int_equal(nended, APPENDS);
	assert_int_equal(lfs_lsn(w->lfs).written, 2 + APPENDS);
	assert_int_equal(lfs_mapped(w->lfs, 0), 1);
	must_be_trimmed(w, 9);
	must_be_idle(w);
	assert_int_equal(lfs_recount(w->lfs, why), 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	must_be_trimmed(w, 9);
	assert_int_equal(close_store(w), 0);
}

static struct lfs_append failing[2];
static struct lfs_op one_trim = { .kind = LFS_TRIM, .blocks = 1 };
static int failing_res[2];

static void failing_noted(struct lfs_append *a, int res)
{
	failing_res[a - failing] = res;
}

/* A record that fails while older ones wait to be applied takes none of them with it. */
static void what_was_written_before_a_failure_ends_well(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	disk.hold[DISK_WRITE] = true;
	for (unsigned i = 0; i < 2; i++) {
		failing[i] = (struct lfs_append){
			.lsn = 2 + i, .ops = &one_trim, .nops = 1, .done = failing_noted
		};
		failing_res[i] = 1;
		assert_int_equal(lfs_append(w->lfs, &failing[i]), 0);
		disk_run();
	}
	assert_int_equal(w->lfs->head.ninflight, 2);
	disk.hold[DISK_WRITE] = false;
	disk.fail[DISK_WRITE] = 2;
	disk_run();
	assert_int_equal(failing_res[0], 0);
	assert_int_equal(failing_res[1], -EIO);
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(close_store(w), -EIO);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 2);
	must_hold(w, 0, 1, 0);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_long_unmap_is_cut_up),
		TEST(what_was_written_before_a_failure_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
