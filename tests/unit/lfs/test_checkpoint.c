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
		enum where slot = w->lfs->superblock.current.slot ? SLOT_0 : SLOT_1;
		enum where super = w->lfs->superblock.copy ? SUPER_A : SUPER_B;
		unsigned step = 0;

		assert_int_equal(write_blocks(w, round, 1, 1), 0);
		disk.ntrace = 0;
		disk.tracing = true;
		assert_int_equal(checkpoint(w), 0);
		disk.tracing = false;
		for (unsigned i = 0; i < disk.ntrace; i++) {
			const struct disk_event *e = &disk.trace[i];

			if (e->kind == DISK_FLUSH) {
				assert_true(step == 3 || step == 5);
				step++;
				continue;
			}
			assert_int_equal(e->kind, DISK_WRITE);
			if (where(w, e->off) == LOG) {
				assert_int_equal(step, 0);
				step = 1;
			} else if (where(w, e->off) == super) {
				assert_int_equal(step, 4);
				step = 5;
			} else {
				bool head =
					e->off == lfs_checkpoint_slot_off(&w->lfs->geo,
									  slot == SLOT_1);

				assert_int_equal(where(w, e->off), slot);
				assert_true(head ? step == 2 : step == 1 || step == 2);
				step = head ? 3 : 2;
			}
		}
		assert_int_equal(step, 6);
	}
	assert_int_equal(close_store(w), 0);
}

/* The slot is not written, the superblock not at all, when a step before it fails. */
static void a_failed_step_leaves_the_older_checkpoint(void **state)
{
	struct world *w = *state;

	for (unsigned n = 1; n <= 4; n++) {
		uint32_t slot;

		disk_reset();
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(write_blocks(w, 5, 1, 7), 0);
		assert_int_equal(flush_store(w), 0);
		slot = w->lfs->superblock.current.slot;
		/* Images, body, head, superblock. */
		disk.fail[DISK_WRITE] = n;
		assert_int_equal(checkpoint(w), -EIO);
		assert_int_equal(disk.fail[DISK_WRITE], 0);
		assert_int_equal(w->lfs->superblock.current.slot, slot);
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
	seq = w->lfs->superblock.current.slot_seq;
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
	assert_int_equal(w->lfs->superblock.current.slot_seq, seq + 2);
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
		TEST(a_power_cut_at_any_write_loses_nothing_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
