// SPDX-License-Identifier: BSD-3-Clause
/*
 * A checkpoint counts when all that it names is durable, and the one before it stays
 * whole until then. A step taken too early shows only in a power cut at the wrong moment:
 * so the order on the disk is looked at, and the power is cut at each write.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

static struct lfs_wait waiter;

static void waiter_done(struct lfs_wait *wait, int res)
{
	ended(res);
}

static int checkpoint(struct world *w)
{
	waiter.done = waiter_done;
	w->waiting = 1;
	lfs_checkpoint_wait(w->lfs, &waiter);
	return wait_for(w, 1);
}

enum where { SUPER_A, SUPER_B, SLOT_0, SLOT_1, LOG };

static enum where where(struct world *w, uint64_t off)
{
	const struct lfs_geometry *geo = &w->lfs->geo;

	if (off < 2 * LFS_SUPERBLOCK_REGION)
		return off < LFS_SUPERBLOCK_REGION ? SUPER_A : SUPER_B;
	if (off < geo->segments_off)
		return off < lfs_checkpoint_slot_off(geo, 1) ? SLOT_0 : SLOT_1;
	return LOG;
}

/*
 * Images, the slot's body, its head, a flush, the superblock, a flush: in this order, into
 * the slot and the superblock that do not count at the moment.
 */
static void the_order_on_the_disk(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (unsigned round = 0; round < 4; round++) {
		enum where slot =
			w->lfs->superblock.current.checkpoint_slot ? SLOT_0 : SLOT_1;
		enum where superblock = w->lfs->superblock.copy ? SUPER_A : SUPER_B;
		unsigned step = 0;

		assert_int_equal(write_blocks(w, round, 1, 1), 0);
		disk.ntrace = 0;
		disk.tracing = true;
		assert_int_equal(checkpoint(w), 0);
		disk.tracing = false;
		for (unsigned i = 0; i < disk.ntrace; i++) {
			const struct disk_event *e = &disk.trace[i];

			if (e->kind == DISK_FLUSH) {
				assert_true(step == 4 || step == 6);
				step++;
				continue;
			}
			assert_int_equal(e->kind, DISK_WRITE);
			if (where(w, e->off) == LOG) { /* a leaf, its inner node */
				assert_true(step < 2);
				step++;
			} else if (where(w, e->off) == superblock) {
				assert_int_equal(step, 5);
				step = 6;
			} else {
				bool head =
					e->off == lfs_checkpoint_slot_off(&w->lfs->geo,
									  slot == SLOT_1);

				assert_int_equal(where(w, e->off), slot);
				assert_true(head ? step == 3 : step == 2 || step == 3);
				step = head ? 4 : 3;
			}
		}
		assert_int_equal(step, 7);
	}
	assert_int_equal(close_store(w), 0);
}

/* The slot is not written, the superblock not at all, when a step before it fails. */
static void a_failed_step_leaves_the_older_checkpoint(void **state)
{
	struct world *w = *state;

	for (unsigned n = 1; n <= 5; n++) {
		uint32_t slot;

		disk_reset();
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(write_blocks(w, 5, 1, 7), 0);
		assert_int_equal(flush_store(w), 0);
		slot = w->lfs->superblock.current.checkpoint_slot;
		/* Images of the leaf and the inner node, body, head, superblock. */
		disk.fail[DISK_WRITE] = n;
		assert_int_equal(checkpoint(w), -EIO);
		assert_int_equal(disk.fail[DISK_WRITE], 0);
		assert_int_equal(w->lfs->superblock.current.checkpoint_slot, slot);
		assert_int_equal(close_store(w), -EIO);
		assert_int_equal(open_store(w), 0);
		must_hold(w, 5, 1, 7);
		assert_int_equal(close_store(w), 0);
	}
}

/* Who asks while one is under way waits for the next: it does not hold what he wrote. */
static void who_asks_late_waits_for_the_next(void **state)
{
	struct world *w = *state;
	struct lfs_wait late = { .done = waiter_done };
	uint64_t seq;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	seq = w->lfs->superblock.current.checkpoint_slot_seq;
	disk.hold[DISK_FLUSH] = true;
	running = w;
	waiter.done = waiter_done;
	w->waiting = 2;
	lfs_checkpoint_wait(w->lfs, &waiter);
	disk_run();
	assert_int_equal(write_blocks(w, 2, 1, 2), 0);
	w->waiting = 2;
	lfs_checkpoint_wait(w->lfs, &late);
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(w->waiting, 0);
	assert_int_equal(w->lfs->superblock.current.checkpoint_slot_seq, seq + 2);
	assert_int_equal(close_store(w), 0);
}

/*
 * The search for dirty leaves is cut up, and goes on by itself where it found none: here
 * with as many leaves as a volume of more than 128 GiB has.
 */
static void a_search_that_finds_nothing_goes_on(void **state)
{
	enum { LEAVES = 70000 };
	struct world *w = *state;
	struct lfs_map_volume *v, before;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	v = &w->lfs->map.v[0];
	before = *v;
	v->leaves = calloc(LEAVES, sizeof(*v->leaves));
	assert_non_null(v->leaves);
	v->nleaves = LEAVES;
	assert_int_equal(checkpoint(w), 0);
	free(v->leaves);
	*v = before;
	assert_int_equal(close_store(w), 0);
}

/* The timer runs from the opening on, also before any checkpoint of this incarnation. */
static void the_timer_runs_from_the_opening_on(void **state)
{
	struct world *w = *state;
	uint64_t slot;

	w->checkpoint_ms = 500;
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	slot = w->lfs->superblock.current.checkpoint_slot;
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	assert_int_equal(w->lfs->superblock.current.checkpoint_slot, slot);
	disk_sleep(600 * RT_MS);
	assert_int_equal(w->lfs->superblock.current.checkpoint_slot, !slot);
	assert_int_equal(close_store(w), 0);
}

/* ---- records under way while it is written ------------------------------------------------ */

static struct lfs_append under_way;
static struct lfs_op under_way_op;
static uint32_t under_way_crc;
static int under_way_res;

static void under_way_done(struct lfs_append *a, int res)
{
	under_way_res = res;
}

/* Admit a block full of `byte` and do not wait. */
static void write_ask(struct world *w, uint64_t lba, uint8_t byte)
{
	memset(w->buf, byte, LFS_BLOCK);
	under_way_crc = rt_crc32c(w->buf, LFS_BLOCK);
	under_way_op = (struct lfs_op){ .kind = LFS_WRITE,
					.lba = lba,
					.blocks = 1,
					.crcs = &under_way_crc,
					.data = w->buf };
	under_way = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
					 .ops = &under_way_op,
					 .nops = 1,
					 .done = under_way_done };
	under_way_res = 1;
	assert_int_equal(lfs_append(w->lfs, &under_way), 0);
}

static void checkpoint_ask(struct world *w)
{
	running = w;
	waiter.done = waiter_done;
	w->waiting = 1;
	lfs_checkpoint_wait(w->lfs, &waiter);
}

/* A record that is being written when it begins is behind its start: it is replayed. */
static void a_record_under_way_is_replayed(void **state)
{
	struct world *w = *state;
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	disk.hold[DISK_WRITE] = true;
	write_ask(w, 2, 2);
	disk_run();
	assert_int_equal(w->lfs->head.built.lsn, 2);
	checkpoint_ask(w);
	disk_run();
	assert_true(w->lfs->ck.state != LFS_CHECKPOINT_IDLE);
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(w->waiting, 0);
	assert_int_equal(under_way_res, 0);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	disk_restore(image);
	free(image);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 2);
	must_hold(w, 1, 1, 1);
	must_hold(w, 2, 1, 2);
	assert_int_equal(close_store(w), 0);
}

/* With a record behind its images whose write does not end before the power is cut. */
static void cut_with_a_record_under_way(struct world *w, uint32_t *ret_segment)
{
	const struct lfs_tail *t = &w->lfs->head.built;
	uint8_t *image;

	disk.hold[DISK_WRITE] = true;
	checkpoint_ask(w);
	disk_run();
	assert_int_equal(w->lfs->ck.state, LFS_CHECKPOINT_IMAGES);
	disk.hold_from = LFS_BLOCK *
			 (uint64_t)lfs_segments_pba(&w->lfs->segs, t->segment, t->block);
	disk.hold_to =
		LFS_BLOCK * (uint64_t)lfs_segments_pba(&w->lfs->segs, t->segment + 1, 0);
	write_ask(w, 2, 2);
	disk_run();
	assert_true(w->lfs->head.built.seq > w->lfs->head.applied.seq);
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(w->waiting, 0);
	assert_int_equal(under_way_res, 1);
	*ret_segment = w->lfs->head.built.segment;
	image = disk_image();
	disk.hold_from = 0;
	disk_run();
	assert_int_equal(close_store(w), 0);
	disk_restore(image);
	free(image);
}

/* It does not name as durable what is not written: that would be damage after a crash. */
static void a_record_under_way_is_not_named(void **state)
{
	struct world *w = *state;
	uint32_t segment;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	cut_with_a_record_under_way(w, &segment);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 1);
	must_hold(w, 1, 1, 1);
	must_hold(w, 2, 1, 0);
	assert_int_equal(close_store(w), 0);
}

/* Nor does it count a segment that no written record lies in: nobody would free it. */
static void a_segment_under_way_does_not_count(void **state)
{
	struct world *w = *state;
	uint32_t first, segment;
	char why[LFS_WHY_MAX];

	w->checkpoint_every = 64 * MIB;
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	first = w->lfs->head.built.segment;
	/* The next record of a client seals the segment. */
	while (lfs_inflight_room(&w->lfs->head) >= 2)
		assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	cut_with_a_record_under_way(w, &segment);
	assert_int_not_equal(segment, first);
	assert_int_equal(open_store(w), 0);
	/* The full one, and that of this opening when it writes; and the images of this one. */
	assert_int_equal(write_blocks(w, 3, 1, 3), 0);
	assert_int_equal(w->lfs->segs.free, w->lfs->segs.n - 3);
	assert_int_equal(lfs_recount(w->lfs, why), 0);
	assert_int_equal(close_store(w), 0);
}

/* ---- the power is cut ----------------------------------------------------------------- */

#define LSNS 60u
#define LBAS 7u

static struct world *cutting;
static uint8_t *cut_image;
static unsigned cut_seed;
static struct lfs_lsn cut_lsn;

static void cut(void)
{
	cut_image = cut_seed ? disk_image_some(cut_seed) : disk_image();
	cut_lsn = lfs_lsn(cutting->lfs);
}

static uint64_t lba_of(uint64_t lsn)
{
	return lsn % LBAS * LFS_LEAF_BLOCKS / 2;
}

/* Writes, flushes now and then, a checkpoint in between. */
static void history(struct world *w)
{
	for (uint64_t lsn = 1; lsn <= LSNS; lsn++) {
		assert_int_equal(write_blocks(w, lba_of(lsn), 1, (uint8_t)lsn), 0);
		if (lsn % 5 == 0)
			assert_int_equal(flush_store(w), 0);
		if (lsn % 20 == 0)
			assert_int_equal(checkpoint(w), 0);
	}
}

/* The image is that of a prefix, and nothing flushed is missing from it. */
static void must_be_a_prefix(struct world *w)
{
	uint64_t last = lfs_lsn(w->lfs).admitted;
	char why[LFS_WHY_MAX];

	assert_true(last >= cut_lsn.durable && last <= cut_lsn.admitted);
	for (unsigned i = 0; i < LBAS; i++) {
		uint8_t want = 0;

		for (uint64_t lsn = 1; lsn <= last; lsn++)
			if (lba_of(lsn) == lba_of(i))
				want = (uint8_t)lsn;
		must_hold(w, lba_of(i), 1, want);
	}
	assert_int_equal(lfs_recount(w->lfs, why), 0);
}

static void a_power_cut_at_any_write_loses_nothing_flushed(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 1;
	struct world *w = *state;

	print_message("SEED=%u\n", seed);
	cutting = w;
	disk.cut = cut;
	for (unsigned n = 1;; n++) {
		unsigned left;

		cut_seed = n % 3 ? seed + n : 0;
		disk_reset();
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(open_store(w), 0);
		disk.cut = cut;
		disk.cut_at = n;
		history(w);
		left = disk.cut_at;
		disk.cut_at = 0;
		assert_int_equal(close_store(w), 0);
		if (left)
			break;
		disk_restore(cut_image);
		free(cut_image);
		assert_int_equal(open_store(w), 0);
		must_be_a_prefix(w);
		assert_int_equal(close_store(w), 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_order_on_the_disk),
		TEST(a_failed_step_leaves_the_older_checkpoint),
		TEST(who_asks_late_waits_for_the_next),
		TEST(a_search_that_finds_nothing_goes_on),
		TEST(the_timer_runs_from_the_opening_on),
		TEST(a_record_under_way_is_replayed),
		TEST(a_record_under_way_is_not_named),
		TEST(a_segment_under_way_does_not_count),
		TEST(a_power_cut_at_any_write_loses_nothing_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
