// SPDX-License-Identifier: BSD-3-Clause
/*
 * Records get their addresses in the order in which they are built and reach the map in
 * that order, whichever write ends first; and none reaches into the next segment. Replay
 * after a crash relies on both.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

static struct lfs_append appends[LFS_RECORDS_IN_FLIGHT];
static struct lfs_op ops[LFS_RECORDS_IN_FLIGHT];
static uint32_t crcs[LFS_RECORDS_IN_FLIGHT];
static unsigned ended_order[LFS_RECORDS_IN_FLIGHT], nended;

static void append_noted(struct lfs_append *a, int res)
{
	assert_int_equal(res, 0);
	ended_order[nended++] = (unsigned)(a - appends);
}

/* Four records over the same block, the youngest write ending first. */
static void records_reach_the_map_in_order(void **state)
{
	struct world *w = *state;
	uint8_t *data = rt_alloc_blocks(LFS_RECORDS_IN_FLIGHT * LFS_BLOCK);

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
	disk.hold[DISK_WRITE] = true;
	nended = 0;
	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		memset(data + i * LFS_BLOCK, (int)i + 1, LFS_BLOCK);
		crcs[i] = rt_crc32c(data + i * LFS_BLOCK, LFS_BLOCK);
		ops[i] = (struct lfs_op){ .kind = LFS_WRITE,
					  .lba = 7,
					  .blocks = 1,
					  .crcs = &crcs[i],
					  .data = data + i * LFS_BLOCK };
		appends[i] = (struct lfs_append){
			.lsn = i + 1, .ops = &ops[i], .nops = 1, .done = append_noted
		};
		assert_int_equal(lfs_append(w->lfs, &appends[i]), 0);
		disk_run();
		assert_int_equal(w->lfs->head.ninflight, i + 1);
		must_hold(w, 7, 1, (uint8_t)(i + 1));
	}
	disk.hold[DISK_WRITE] = false;
	disk.reverse = true;
	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		/* Nothing is written while the first record is not. */
		assert_int_equal(nended, 0);
		assert_int_equal(lfs_lsn(w->lfs).written, 0);
		assert_true(disk_step());
	}
	disk_run();
	assert_int_equal(nended, LFS_RECORDS_IN_FLIGHT);
	for (unsigned i = 0; i < nended; i++)
		assert_int_equal(ended_order[i], i);
	must_hold(w, 7, 1, LFS_RECORDS_IN_FLIGHT);
	disk.reverse = false;
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 7, 1, LFS_RECORDS_IN_FLIGHT);
	assert_int_equal(close_store(w), 0);
	rt_free(data);
}

/* The last record of a segment takes all that is left, or all but one block, or ... */
static void a_segment_is_filled_to_its_end_and_not_beyond(void **state)
{
	struct world *w = *state;
	char why[LFS_WHY_MAX];

	w->checkpoint_every = 64 * MIB;
	assert_int_equal(create(w, 100 * MIB), 0);
	assert_int_equal(open_store(w), 0);
	for (uint32_t left = 0; left < 4; left++) {
		uint32_t segment = w->lfs->head.built.segment, room;

		assert_int_equal(write_blocks(w, 1, 1, 1), 0);
		while ((room = lfs_inflight_room(&w->lfs->head)) > 16)
			assert_int_equal(write_blocks(w, 1, room > 32 ? 16 : 2, 1), 0);
		assert_int_equal(w->lfs->head.built.segment, segment);
		assert_int_equal(write_blocks(w, 2, room - 1 - left, 2), 0);
		assert_int_equal(w->lfs->head.built.segment, segment);
		assert_int_equal(lfs_inflight_room(&w->lfs->head), left);
		/* One that does not fit: seal, and on in the next segment. */
		assert_int_equal(write_blocks(w, 3, 16, 3), 0);
		assert_int_not_equal(w->lfs->head.built.segment, segment);
		assert_int_equal(w->lfs->segs.s[segment].state, LFS_SEGMENT_SEALED);
		assert_true(w->lfs->segs.s[segment].end <= w->lfs->segs.blocks);
		/* Nothing of it lies in another segment's header. */
		assert_int_equal(w->lfs->segs.s[segment].end + left, w->lfs->segs.blocks);
	}
	assert_int_equal(lfs_recount(w->lfs, why), 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 3, 16, 3);
	assert_int_equal(close_store(w), 0);
}

/* What a checkpoint that begins right behind a seal would take for its start. */
static void the_log_goes_on_in_the_next_segment_once_one_is_sealed(void **state)
{
	struct world *w = *state;
	uint8_t *data = rt_alloc_blocks(16 * LFS_BLOCK);
	uint32_t sums[16], segment;
	unsigned looks = 0;

	w->checkpoint_every = 64 * MIB;
	assert_int_equal(create(w, 100 * MIB), 0);
	assert_int_equal(open_store(w), 0);
	segment = w->lfs->head.built.segment;
	while (lfs_inflight_room(&w->lfs->head) > 12)
		assert_int_equal(write_blocks(w, 1, 8, 1), 0);
	memset(data, 2, 16 * LFS_BLOCK);
	for (unsigned i = 0; i < 16; i++)
		sums[i] = rt_crc32c(data, LFS_BLOCK);
	ops[0] = (struct lfs_op){
		.kind = LFS_WRITE, .lba = 3, .blocks = 16, .crcs = sums, .data = data
	};
	appends[0] = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
					  .ops = &ops[0],
					  .nops = 1,
					  .done = append_noted };
	nended = 0;
	assert_int_equal(lfs_append(w->lfs, &appends[0]), 0);
	while (nended == 0) {
		assert_true(disk_step());
		if (w->lfs->segs.s[segment].state != LFS_SEGMENT_SEALED)
			continue;
		assert_int_not_equal(w->lfs->head.applied.segment, segment);
		looks += nended == 0;
	}
	assert_true(looks > 0);
	assert_int_equal(close_store(w), 0);
	rt_free(data);
}

/* Records, slots and superblocks that the disk takes a block at a time. */
static void a_short_write_goes_on(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	disk.at_most[DISK_WRITE] = LFS_BLOCK;
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(write_blocks(w, i * 16, 16, i), 0);
	assert_int_equal(close_store(w), 0);
	disk.at_most[DISK_WRITE] = 0;
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 3; i++)
		must_hold(w, i * 16, 16, i);
	assert_int_equal(close_store(w), 0);
}

/* Neither the record nor what is admitted after it counts as written. */
static void a_failed_write_ends_every_record(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	disk.fail[DISK_WRITE] = 1;
	assert_int_equal(write_blocks(w, 1, 1, 2), -EIO);
	assert_int_equal(lfs_lsn(w->lfs).written, 1);
	must_hold(w, 1, 1, 1);
	assert_int_equal(write_blocks(w, 2, 1, 2), -EIO);
	assert_int_equal(close_store(w), -EIO);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 1, 1, 1);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(records_reach_the_map_in_order),
		TEST(a_segment_is_filled_to_its_end_and_not_beyond),
		TEST(the_log_goes_on_in_the_next_segment_once_one_is_sealed),
		TEST(a_short_write_goes_on),
		TEST(a_failed_write_ends_every_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
