// SPDX-License-Identifier: BSD-3-Clause
/*
 * An open that does not succeed leaves nothing behind, in memory or on the disk, and one
 * that does begins an incarnation that no open before it can have had.
 */
#include "lfs/open_store.h"
#include "tests/unit/alloc.h"
#include "tests/unit/lfs/world_memory.h"

#define ALLOCATIONS_MAX 200u

/* Each allocation of an open fails in turn. */
static void an_open_without_memory_gives_all_of_it_back(void **state)
{
	struct world *w = *state;
	long before;
	unsigned n;
	int res = 0;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 4, 1), 0);
	assert_int_equal(write_blocks(w, 600, 4, 2), 0);
	assert_int_equal(close_store(w), 0);
	before = held;
	for (n = 1; n < ALLOCATIONS_MAX; n++) {
		asked = 0;
		fail_at = n;
		res = open_store(w);
		fail_at = 0;
		if (!res)
			break;
		assert_int_equal(res, -ENOMEM);
		assert_false(disk.opened);
		assert_int_equal(held, before);
	}
	assert_int_equal(res, 0);
	assert_true(n > 10);
	must_hold(w, 1, 4, 1);
	must_hold(w, 600, 4, 2);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(held, before);
}

#define READ_OF_EVENTS 2u /* the second read of an open */

/* Each read of an open fails in turn: refused, as it was; but events are worth no refusal. */
static void an_open_that_cannot_read_changes_nothing(void **state)
{
	struct world *w = *state;
	unsigned n;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 4, 1), 0);
	assert_int_equal(close_store(w), 0);
	for (n = 1; n < 20; n++) {
		uint32_t sum = sum_of(w);
		int res;

		disk.fail[DISK_READ] = n;
		res = open_store(w);
		if (disk.fail[DISK_READ])
			break;
		assert_int_equal(res, n == READ_OF_EVENTS ? 0 : -EIO);
		if (!res)
			assert_int_equal(close_store(w), 0);
		else
			assert_int_equal(sum_of(w), sum);
	}
	assert_true(n > 3 && n < 20);
	disk.fail[DISK_READ] = 0;
	must_hold(w, 1, 4, 1);
	assert_int_equal(close_store(w), 0);
}

static uint8_t *cut_image;

static void cut(void)
{
	cut_image = disk_image();
}

/* Copy of the superblock with the higher sequence, and its incarnation. */
static unsigned newest_copy(struct world *w, uint64_t *ret_incarnation)
{
	struct lfs_superblock_head h[2];
	unsigned newest;

	for (unsigned i = 0; i < 2; i++)
		peek(w, lfs_superblock_off(i), &h[i], sizeof(h[i]));
	newest = le64_get(h[1].seq) > le64_get(h[0].seq);
	*ret_incarnation = le64_get(h[newest].incarnation);
	return newest;
}

/*
 * The power is cut when an open has written one superblock, which is damaged then. The
 * other one is of the incarnation before: it must not be given twice.
 */
static void a_damaged_superblock_gives_no_incarnation_twice(void **state)
{
	struct world *w = *state;
	uint64_t incarnation;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	assert_int_equal(close_store(w), 0);
	disk.cut = cut;
	disk.cut_at = 2; /* what the open writes next: the first is durable */
	assert_int_equal(open_store(w), 0);
	assert_int_equal(disk.cut_at, 0);
	assert_int_equal(close_store(w), 0);
	disk_restore(cut_image);
	free(cut_image);
	flip(w, lfs_superblock_off(newest_copy(w, &incarnation)) + 600);
	assert_int_equal(open_store(w), 0);
	assert_true(w->lfs->incarnation > incarnation);
	must_hold(w, 1, 1, 1);
	assert_int_equal(close_store(w), 0);
}

/*
 * The superblock that names the checkpoint of the newest opening is damaged: the other
 * one names an older one, from which the log is followed into that opening's segments.
 */
static void a_damaged_superblock_hides_nothing_written_since(void **state)
{
	struct world *w = *state;
	uint64_t incarnation;
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 1), 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 2, 1, 2), 0);
	assert_int_equal(flush_store(w), 0);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	disk_restore(image);
	free(image);
	flip(w, lfs_superblock_off(newest_copy(w, &incarnation)) + 600);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 2);
	must_hold(w, 1, 1, 1);
	must_hold(w, 2, 1, 2);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_open_without_memory_gives_all_of_it_back),
		TEST(an_open_that_cannot_read_changes_nothing),
		TEST(a_damaged_superblock_gives_no_incarnation_twice),
		TEST(a_damaged_superblock_hides_nothing_written_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
