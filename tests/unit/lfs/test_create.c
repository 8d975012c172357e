// SPDX-License-Identifier: BSD-3-Clause
/*
 * A store is made as a whole or not at all, whenever the power is cut, and never over one
 * that is there: what an operator's typing error names may be the only copy.
 */
#include "lfs/checkpoint_slot.h"
#include "tests/unit/alloc.h"
#include "tests/unit/lfs/world_memory.h"

#define SLOT (LFS_EVENTS_OFF + LFS_EVENT_REGION)

static void opens_empty(struct world *w)
{
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 0);
	must_hold(w, 0, 4, 0);
	assert_int_equal(close_store(w), 0);
}

/* A checkpoint, a flush, both superblocks, a flush, and then the name in its directory. */
static void the_order_on_the_disk(void **state)
{
	static const struct disk_event order[] = {
		{ DISK_WRITE, SLOT, 0 }, { DISK_FLUSH, 0, 0 },
		{ DISK_WRITE, 0, 0 },	 { DISK_WRITE, LFS_SUPERBLOCK_REGION, 0 },
		{ DISK_FLUSH, 0, 0 },
	};
	struct world *w = *state;

	disk.tracing = true;
	assert_int_equal(create(w, 0), 0);
	disk.tracing = false;
	assert_int_equal(disk.ntrace, sizeof(order) / sizeof(*order));
	for (unsigned i = 0; i < disk.ntrace; i++) {
		assert_int_equal(disk.trace[i].kind, order[i].kind);
		assert_int_equal(disk.trace[i].off, order[i].off);
	}
	assert_int_equal(disk.dirs_synced, 1);
	assert_int_equal(w->filled, 0);
	opens_empty(w);
}

static uint8_t *cut_image;
static unsigned cut_seed;

static void cut(void)
{
	cut_image = disk_image_some(cut_seed);
}

/* What is left is a store, or it is none: it is not a damaged one. */
static void a_power_cut_leaves_a_store_or_none(void **state)
{
	struct world *w = *state;
	unsigned stores = 0;

	for (unsigned n = 1; n <= 3; n++) {
		for (cut_seed = 1; cut_seed <= 3; cut_seed++) {
			int res;

			disk_reset();
			disk.cut = cut;
			disk.cut_at = n;
			assert_int_equal(create(w, 0), 0);
			assert_int_equal(disk.cut_at, 0);
			disk_restore(cut_image);
			free(cut_image);
			res = open_store(w);
			assert_true(!res || res == -EMEDIUMTYPE);
			if (res)
				continue;
			stores++;
			assert_int_equal(close_store(w), 0);
		}
	}
	assert_true(stores > 0);
}

/* The file that was begun is taken away again, and so is the memory. */
static void must_leave_nothing(struct world *w, int res, long before)
{
	assert_int_equal(create(w, 0), res);
	assert_true(w->why[0]);
	assert_false(disk.exists);
	assert_false(disk.opened);
	assert_int_equal(held, before);
}

static void a_create_that_fails_leaves_nothing(void **state)
{
	struct world *w = *state;
	long before = held;

	for (unsigned fill = 0; fill < 2; fill++) {
		w->fill = fill;
		for (unsigned n = 1; n <= 3 + fill; n++) {
			w->filled = 0;
			disk_reset();
			disk.fail[DISK_WRITE] = n;
			must_leave_nothing(w, -EIO, before);
		}
	}
	w->fill = false;
	for (unsigned n = 1; n <= 2; n++) {
		disk_reset();
		disk.fail[DISK_FLUSH] = n;
		must_leave_nothing(w, -EIO, before);
	}
	disk_reset();
	disk.sync_dir_res = -EIO;
	must_leave_nothing(w, -EIO, before);
	for (unsigned n = 1; n <= 4; n++) {
		disk_reset();
		asked = 0;
		fail_at = n;
		must_leave_nothing(w, -ENOMEM, before);
		fail_at = 0;
	}
	/* A size that the file system does not have; a right one finds the name free. */
	disk_reset();
	disk.size_most = MIB;
	must_leave_nothing(w, -EFBIG, before);
	disk.size_most = 0;
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(held, before);
	opens_empty(w);
}

/* ---- a device ------------------------------------------------------------------------------ */

static void a_store_on_a_device_is_never_overwritten(void **state)
{
	struct world *w = *state;
	uint8_t *zeros = calloc(1, LFS_SUPERBLOCK_REGION);
	uint64_t size;
	uint8_t *image;

	assert_non_null(zeros);
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	assert_int_equal(close_store(w), 0);
	image = disk_image();
	size = disk.size;
	/* Both superblocks, either of them alone, and one read a block at a time. */
	for (unsigned i = 0; i < 4; i++) {
		uint32_t sum;

		disk_device(size, 0);
		disk_restore(image);
		if (i)
			poke(w, lfs_superblock_off(i == 1), zeros, LFS_SUPERBLOCK_REGION);
		if (i == 3)
			disk.at_most[DISK_READ] = LFS_BLOCK;
		sum = sum_of(w);
		assert_int_equal(create(w, 0), -EEXIST);
		assert_true(w->why[0]);
		assert_int_equal(sum_of(w), sum);
		assert_true(disk.exists);
		assert_false(disk.opened);
	}
	free(image);
	free(zeros);
}

static void a_device_takes_a_store(void **state)
{
	struct world *w = *state;

	disk_device(32 * MIB + 100, 0xa5);
	assert_int_equal(create(w, 0), 0);
	/* A device was there before: its directory has no news. */
	assert_int_equal(disk.dirs_synced, 0);
	opens_empty(w);
	assert_int_equal(create(w, 0), -EEXIST);
	disk_device(4 * MIB, 0xa5);
	assert_int_equal(create(w, 0), -ENOSPC);
	assert_true(disk.exists);
	/* "Could not look" is not "there is none". */
	disk_device(32 * MIB, 0xa5);
	disk.fail[DISK_READ] = 1;
	assert_int_equal(create(w, 0), -EIO);
	assert_true(disk.exists);
	assert_int_equal(disk.submitted[DISK_WRITE], 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_order_on_the_disk),
		TEST(a_power_cut_leaves_a_store_or_none),
		TEST(a_create_that_fails_leaves_nothing),
		TEST(a_store_on_a_device_is_never_overwritten),
		TEST(a_device_takes_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
