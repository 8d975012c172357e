// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is admitted is bounded by memory, log and map, is refused before anything of it
 * has happened, and ends once: all of a record's appends well or none of them. What is
 * counted while it is under way is zero when nothing is.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

#define APPENDS 1100u

static struct lfs_append appends[APPENDS];
static struct lfs_op ops[APPENDS];
static uint32_t crcs[BLOCKS_MAX];
static int results[APPENDS];

static void append_noted(struct lfs_append *a, int res)
{
	results[a - appends] = res;
}

static void data_init(struct world *w)
{
	memset(w->buf, 0x5a, BLOCKS_MAX * LFS_BLOCK);
	for (unsigned i = 0; i < BLOCKS_MAX; i++)
		crcs[i] = rt_crc32c(w->buf, LFS_BLOCK);
}

static struct lfs_op write_op(struct world *w, uint64_t lba, uint32_t blocks)
{
	return (struct lfs_op){ .kind = LFS_WRITE,
				.lba = lba,
				.blocks = blocks,
				.crcs = crcs,
				.data = w->buf };
}

/* Ask for append `i` of ops[first .. first + n - 1] and do not wait. */
static int append_ask(struct world *w, unsigned i, unsigned first, unsigned n)
{
	appends[i] = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
					  .ops = &ops[first],
					  .nops = n,
					  .done = append_noted };
	results[i] = 1;
	return lfs_append(w->lfs, &appends[i]);
}

static void must_be_idle(struct world *w)
{
	struct lfs_admission *ad = &w->lfs->admission;

	assert_int_equal(ad->pending_appends, 0);
	assert_int_equal(ad->pending_leaves, 0);
	assert_int_equal(ad->queued_blocks, 0);
	assert_int_equal(ad->write_buffer.unused, LFS_PENDING_BYTES_MAX / LFS_BLOCK);
	for (uint32_t i = 0; i < w->lfs->map.v[0].nleaves; i++) {
		const struct lfs_leaf *leaf = w->lfs->map.v[0].leaves[i];

		assert_true(!leaf || !leaf->pins);
	}
}

static void open_fresh(struct world *w, uint64_t size)
{
	assert_int_equal(create(w, size), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
	data_init(w);
}

/* The write buffer is full: held, not failed; and it goes on when there is room again. */
static void more_than_the_write_buffer_waits(void **state)
{
	struct world *w = *state;
	unsigned n = LFS_PENDING_BYTES_MAX / (BLOCKS_MAX * LFS_BLOCK);

	w->checkpoint_every = 1024 * MIB;
	open_fresh(w, 100 * MIB);
	disk.hold[DISK_WRITE] = true;
	for (unsigned i = 0; i < n; i++) {
		ops[i] = write_op(w, i * BLOCKS_MAX % VOLUME_BLOCKS, BLOCKS_MAX);
		assert_int_equal(append_ask(w, i, i, 1), 0);
	}
	ops[n] = write_op(w, 0, 1);
	assert_int_equal(append_ask(w, n, n, 1), -EAGAIN);
	assert_int_equal(lfs_lsn(w->lfs).admitted, n);
	/* A trim needs no room in it. */
	ops[n + 1] = (struct lfs_op){ .kind = LFS_TRIM, .blocks = 1 };
	assert_int_equal(append_ask(w, n + 1, n + 1, 1), 0);
	running = w;
	w->held = true;
	w->waiting = 1;
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(w->waiting, 0);
	assert_int_equal(append_ask(w, n, n, 1), 0);
	disk_run();
	for (unsigned i = 0; i < n + 2; i++)
		assert_int_equal(results[i], 0);
	must_be_idle(w);
	assert_int_equal(close_store(w), 0);
}

/* Of each kind, several operations under one LSN, and over a boundary of leaves. */
static void nothing_is_counted_when_nothing_is_pending(void **state)
{
	struct world *w = *state;

	open_fresh(w, 0);
	ops[0] = write_op(w, LFS_LEAF_BLOCKS - 2, 4);
	ops[1] = (struct lfs_op){ .kind = LFS_ZERO, .lba = 3, .blocks = 7 };
	ops[2] = (struct lfs_op){ .kind = LFS_TRIM, .lba = 100, .blocks = 1000 };
	ops[3] = write_op(w, 5, 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(append_ask(w, i, i, 4 - i), 0);
	disk_run();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(results[i], 0);
	must_be_idle(w);
	assert_int_equal(close_store(w), 0);
}

/* Each of several unmaps begins at its own first block. */
static void two_trims_under_one_lsn(void **state)
{
	struct world *w = *state;

	open_fresh(w, 0);
	assert_int_equal(write_blocks(w, 0, 16, 1), 0);
	assert_int_equal(write_blocks(w, 20, 16, 2), 0);
	ops[0] = (struct lfs_op){ .kind = LFS_TRIM, .lba = 0, .blocks = 10 };
	ops[1] = (struct lfs_op){ .kind = LFS_ZERO, .lba = 20, .blocks = 12 };
	assert_int_equal(append_ask(w, 0, 0, 2), 0);
	disk_run();
	assert_int_equal(results[0], 0);
	must_hold(w, 0, 10, 0);
	must_hold(w, 10, 6, 1);
	must_hold(w, 20, 12, 0);
	must_hold(w, 32, 4, 2);
	assert_int_equal(close_store(w), 0);
}

/* No memory for the second leaf: the first one is given back. */
static void a_refused_append_pins_nothing(void **state)
{
	struct world *w = *state;
	uint64_t memory;

	w->map_memory = map_memory_of(1);
	open_fresh(w, 0);
	memory = w->lfs->map.memory;
	ops[0] = write_op(w, 0, 1);
	ops[1] = write_op(w, LFS_LEAF_BLOCKS, 1);
	assert_int_equal(append_ask(w, 0, 0, 2), -EDQUOT);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 0);
	assert_int_equal(w->lfs->map.memory, memory);
	must_be_idle(w);
	assert_int_equal(append_ask(w, 0, 1, 1), 0);
	disk_run();
	assert_int_equal(results[0], 0);
	assert_int_equal(close_store(w), 0);
}

/* A part of the record is in the map when the log fails: none of it has been written. */
static void a_record_that_fails_fails_as_a_whole(void **state)
{
	struct world *w = *state;
	struct lfs_inflight *f;

	open_fresh(w, 0);
	disk.hold[DISK_WRITE] = true;
	for (unsigned i = 0; i < 3; i++) {
		ops[i] = write_op(w, i, 1);
		assert_int_equal(append_ask(w, i, i, 1), 0);
	}
	disk_run();
	f = &w->lfs->head.inflight[w->lfs->head.first];
	assert_int_equal(w->lfs->head.ninflight, 1);
	/* As apply leaves it when an unmap behind this append is cut up. */
	rt_list_push_back(&f->in_map, rt_list_pop(&f->appends));
	lfs_write_buffer_remove(&w->lfs->admission.write_buffer, &appends[0]);
	disk.fail[DISK_WRITE] = 1;
	disk.hold[DISK_WRITE] = false;
	disk_run();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i], -EIO);
	assert_int_equal(lfs_lsn(w->lfs).written, 0);
	assert_int_equal(close_store(w), -EIO);
}

/* ---- the log is nearly full ----------------------------------------------------------------- */

/* Write until `want` blocks of room are left, in leaves that are dirty already. */
static bool room_left(struct world *w, uint64_t want)
{
	uint64_t room;

	while ((room = lfs_append_room(w->lfs)) > want) {
		uint64_t n = room - want > 1 ? room - want - 1 : 1;

		n = n < BLOCKS_MAX ? n : BLOCKS_MAX;
		if (write_blocks(w, 0, (uint32_t)n, 1))
			break;
	}
	return room == want;
}

/* An append is refused when the images of its leaves would not find room any more. */
static void the_images_of_its_leaves_must_find_room(void **state)
{
	struct world *w = *state;
	unsigned n = 0;

	w->checkpoint_every = 1024 * MIB;
	w->volume_blocks = 64 * LFS_LEAF_BLOCKS;
	open_fresh(w, 0);
	/* The images of one more leaf begin another segment. */
	do
		assert_int_equal(write_blocks(w, n++ * LFS_LEAF_BLOCKS, 1, 1), 0);
	while (lfs_images_segments(1 + LFS_CHECKPOINT_BATCH + n, w->lfs->segs.blocks) ==
	       lfs_images_segments(2 + LFS_CHECKPOINT_BATCH + n, w->lfs->segs.blocks));
	assert_true(n > 1 && n < 64);
	/* The record of one block would fit still, and that segment would not. */
	assert_false(room_left(w, 2));
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(close_store(w), 0);
}

/* What comes in one turn is in no record yet: each append sees what those before it take. */
static void what_is_queued_takes_its_room(void **state)
{
	struct world *w = *state;

	w->checkpoint_every = 1024 * MIB;
	open_fresh(w, 0);
	assert_true(room_left(w, 15));
	/* Nine blocks of record: once, but not twice. */
	ops[0] = write_op(w, 0, 8);
	assert_int_equal(append_ask(w, 0, 0, 1), 0);
	assert_int_equal(append_ask(w, 1, 0, 1), -ENOSPC);
	disk_run();
	assert_int_equal(results[0], 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(close_store(w), 0);
}

static struct lfs_wait waiter;

static void waiter_done(struct lfs_wait *wait, int res)
{
	results[0] = res;
}

/* Images that a checkpoint has written are dirty again if it never counts. */
static void images_under_way_give_no_room(void **state)
{
	struct world *w = *state;
	uint64_t room;

	w->checkpoint_every = 1024 * MIB;
	open_fresh(w, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(write_blocks(w, i * LFS_LEAF_BLOCKS, 1, 1), 0);
	room = lfs_append_room(w->lfs);
	waiter.done = waiter_done;
	results[0] = 1;
	disk.hold[DISK_FLUSH] = true;
	lfs_checkpoint_wait(w->lfs, &waiter);
	disk_run();
	assert_int_equal(w->lfs->ck.state, LFS_CHECKPOINT_SUPERBLOCK);
	assert_true(lfs_append_room(w->lfs) <= room);
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(results[0], 0);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(more_than_the_write_buffer_waits),
		TEST(nothing_is_counted_when_nothing_is_pending),
		TEST(two_trims_under_one_lsn),
		TEST(a_refused_append_pins_nothing),
		TEST(a_record_that_fails_fails_as_a_whole),
		TEST(the_images_of_its_leaves_must_find_room),
		TEST(what_is_queued_takes_its_room),
		TEST(images_under_way_give_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
