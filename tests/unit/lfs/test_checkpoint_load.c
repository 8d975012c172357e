// SPDX-License-Identifier: BSD-3-Clause
/*
 * One bad block in the newest checkpoint costs nothing: opening falls back to the older
 * checkpoint and the log, and reads all that was flushed. Where the log cannot be read
 * past the damage the store is refused with -EUCLEAN and not changed. No open may show a
 * part of the image, or an older one.
 */
#include "lfs/checkpoint.h"
#include "lfs/checkpoint_slot.h"
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

#define LEAVES (VOLUME_BLOCKS / LFS_LEAF_BLOCKS)
#define STEP 256u /* blocks between two that are written */

/* What each block must hold; 0: never written. */
static uint8_t expected[VOLUME_BLOCKS];

static void put(struct world *w, uint64_t lba, uint8_t byte)
{
	assert_int_equal(write_blocks(w, lba, 1, byte), 0);
	expected[lba] = byte;
}

/* Something in every leaf. */
static void put_all(struct world *w, uint8_t byte)
{
	for (uint64_t lba = 0; lba < VOLUME_BLOCKS; lba += STEP)
		put(w, lba, byte);
}

static void must_hold_all(struct world *w)
{
	char why[LFS_WHY_MAX];

	for (uint64_t lba = 0; lba < VOLUME_BLOCKS; lba++)
		if (expected[lba])
			must_hold(w, lba, 1, expected[lba]);
	assert_int_equal(lfs_recount(w->lfs, why), 0);
}

/* The superblock that counts. */
static struct lfs_superblock super_now(struct world *w)
{
	static uint8_t buf[2][LFS_SUPERBLOCK_REGION];
	static struct lfs_meta meta;
	struct lfs_superblock superblock[2];
	char why[LFS_WHY_MAX];

	for (unsigned i = 0; i < 2; i++) {
		peek(w, lfs_superblock_off(i), buf[i], LFS_SUPERBLOCK_REGION);
		assert_int_equal(
			lfs_superblock_decode(buf[i], &superblock[i], &meta, why), 0);
	}
	return superblock[superblock[1].seq > superblock[0].seq];
}

/*
 * Byte offsets of the images that the newest checkpoint names: of the inner node, which is
 * the only one, and of the leaves. Returns how many leaves.
 */
static unsigned images_of(struct world *w, uint64_t *ret_inner, uint64_t off[LEAVES])
{
	struct lfs_superblock superblock = super_now(w);
	uint64_t at =
		lfs_checkpoint_slot_off(&superblock.geo, superblock.checkpoint_slot);
	struct lfs_inner_entry entries[LFS_INNER_LEAVES];
	struct lfs_checkpoint_slot_inner inner;
	struct lfs_checkpoint_slot slot;
	uint8_t head[LFS_BLOCK];
	unsigned n = 0;

	peek(w, at, head, sizeof(head));
	assert_int_equal(lfs_checkpoint_slot_decode_head(head, &superblock.geo,
							 superblock.store, &slot),
			 0);
	assert_int_equal(slot.seq, superblock.checkpoint_slot_seq);
	assert_int_equal(slot.ninner, 1);
	peek(w, at + LFS_BLOCK, &inner, sizeof(inner));
	*ret_inner = (uint64_t)le32_get(inner.pba) * LFS_BLOCK;
	peek(w, *ret_inner, entries, sizeof(entries));
	for (uint32_t i = 0; i < LFS_INNER_LEAVES; i++)
		if (le32_get(entries[i].pba))
			off[n++] = (uint64_t)le32_get(entries[i].pba) * LFS_BLOCK;
	return n;
}

/* ---- histories -------------------------------------------------------------------------- */

/* Closed in order: the newest checkpoint is the end of the log. */
static uint8_t *history_closed(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	put_all(w, 1);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	put_all(w, 2);
	assert_int_equal(close_store(w), 0);
	return disk_image();
}

/* A crash, an opening whose checkpoint writes all leaves, writes after it, a crash. */
static uint8_t *history_crashed_twice(struct world *w)
{
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	put_all(w, 1);
	assert_int_equal(flush_store(w), 0);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	disk_restore(image);
	free(image);
	assert_int_equal(open_store(w), 0);
	put(w, 7, 2);
	assert_int_equal(flush_store(w), 0);
	put(w, 8, 3);
	assert_int_equal(flush_store(w), 0);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	return image;
}

static struct lfs_append appends[2];
static struct lfs_op ops[2];
static uint32_t crc;
static int append_res[2];

static void append_noted(struct lfs_append *a, int res)
{
	append_res[a - appends] = res;
}

/* Admit a block and do not wait. */
static void put_async(struct world *w, unsigned i, uint64_t lba)
{
	appends[i] = (struct lfs_append){ .lsn = lfs_lsn(w->lfs).admitted + 1,
					  .ops = &ops[i],
					  .nops = 1,
					  .done = append_noted };
	ops[i] = (struct lfs_op){
		.kind = LFS_WRITE, .lba = lba, .blocks = 1, .crcs = &crc, .data = w->buf
	};
	assert_int_equal(lfs_append(w->lfs, &appends[i]), 0);
	expected[lba] = 9;
}

static uint64_t last_block; /* where the last block that was written lies, in bytes */
static struct lfs_wait checkpoint_wait;
static int checkpoint_res;

static void checkpoint_noted(struct lfs_wait *wait, int res)
{
	checkpoint_res = res;
}

/*
 * Clients write while the checkpoint's leaves are on their way: what they wrote lies
 * behind its start, and the checkpoint makes it durable. No record names it.
 */
static uint8_t *history_written_meanwhile(struct world *w)
{
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	put_all(w, 1);
	memset(w->buf, 9, LFS_BLOCK);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	disk.hold[DISK_WRITE] = true;
	checkpoint_res = 1;
	checkpoint_wait.done = checkpoint_noted;
	lfs_checkpoint_wait(w->lfs, &checkpoint_wait);
	disk_run();
	put_async(w, 0, 3);
	disk_run();
	put_async(w, 1, 4);
	disk_run();
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(append_res[0], 0);
	assert_int_equal(append_res[1], 0);
	assert_int_equal(checkpoint_res, 0);
	assert_int_equal(lfs_lsn(w->lfs).durable, lfs_lsn(w->lfs).admitted);
	last_block = LFS_BLOCK * ((uint64_t)lfs_segments_pba(&w->lfs->segs,
							     w->lfs->head.applied.segment,
							     w->lfs->head.applied.block) -
				  1);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	return image;
}

/* ---- the tests -------------------------------------------------------------------------- */

/* Whole, or refused and not touched. Returns whether it was opened. */
static bool open_whole(struct world *w, uint64_t last_lsn)
{
	uint32_t sum = sum_of(w);
	int res = open_store(w);

	if (res) {
		assert_int_equal(res, -EUCLEAN);
		assert_int_equal(sum_of(w), sum);
		return false;
	}
	assert_int_equal(lfs_lsn(w->lfs).admitted, last_lsn);
	must_hold_all(w);
	assert_int_equal(close_store(w), 0);
	/* And it stays so. */
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, last_lsn);
	must_hold_all(w);
	assert_int_equal(close_store(w), 0);
	return true;
}

static uint64_t last_lsn_of(struct world *w, const uint8_t *image)
{
	uint64_t ret;

	disk_restore(image);
	assert_int_equal(open_store(w), 0);
	ret = lfs_lsn(w->lfs).admitted;
	must_hold_all(w);
	assert_int_equal(close_store(w), 0);
	return ret;
}

static void damage_each_leaf(struct world *w, uint8_t *image)
{
	uint64_t last = last_lsn_of(w, image), off[LEAVES], inner;
	unsigned n;

	disk_restore(image);
	n = images_of(w, &inner, off);
	assert_int_equal(n, LEAVES);
	flip(w, inner + 70);
	assert_true(open_whole(w, last));
	for (unsigned i = 0; i < n; i++) {
		disk_restore(image);
		flip(w, off[i] + 100 * i);
		assert_true(open_whole(w, last));
	}
	free(image);
}

static void a_leaf_of_a_closed_store_is_read_from_the_older_one(void **state)
{
	damage_each_leaf(*state, history_closed(*state));
}

static void a_leaf_that_an_opening_wrote_is_read_from_the_older_one(void **state)
{
	damage_each_leaf(*state, history_crashed_twice(*state));
}

/* The records behind the images are durable, and no record says so: the checkpoint does. */
static void a_leaf_with_records_behind_it_is_read_from_the_older_one(void **state)
{
	damage_each_leaf(*state, history_written_meanwhile(*state));
}

/* The older checkpoint names the same image: there is nothing to fall back to. */
static void a_leaf_that_both_checkpoints_name_is_refused(void **state)
{
	struct world *w = *state;
	uint64_t off[LEAVES], inner;
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	for (uint8_t i = 1; i <= 3; i++) {
		assert_int_equal(open_store(w), 0);
		put(w, i < 3 ? (i - 1) * LFS_LEAF_BLOCKS : 0, i);
		assert_int_equal(close_store(w), 0);
	}
	image = disk_image();
	assert_int_equal(images_of(w, &inner, off), 2);
	flip(w, off[1]);
	must_refuse(w, -EUCLEAN);
	/* The one that is only in the newest is read from the older. */
	disk_restore(image);
	flip(w, off[0]);
	assert_true(open_whole(w, 3));
	free(image);
}

/* A damaged image, and damage to a record that its checkpoint says was durable. */
static void a_leaf_and_a_record_are_refused(void **state)
{
	struct world *w = *state;
	uint8_t *image = history_written_meanwhile(w);
	uint64_t off[LEAVES], inner;

	disk_restore(image);
	assert_int_equal(images_of(w, &inner, off), LEAVES);
	flip(w, off[0]);
	flip(w, last_block);
	must_refuse(w, -EUCLEAN);
	assert_non_null(strstr(w->why, "checkpoint"));
	free(image);
}

/* "Could not look" is no reason to fall back: what an older checkpoint says may be less. */
static void a_leaf_that_cannot_be_read_is_an_error_of_the_disk(void **state)
{
	struct world *w = *state;
	uint8_t *image = history_closed(w);

	disk_restore(image);
	/* Superblocks, head, body, and then the leaves. */
	for (unsigned i = 0; i < LEAVES; i++) {
		disk.fail[DISK_READ] = 4 + i;
		must_refuse(w, -EIO);
	}
	disk.fail[DISK_READ] = 0;
	assert_int_equal(open_store(w), 0);
	must_hold_all(w);
	assert_int_equal(close_store(w), 0);
	free(image);
}

/*
 * Every block that is in use, one at a time: all is there, but for the damaged block
 * itself, if it was a client's; or the store is refused.
 */
static void damage_each_block(struct world *w, uint8_t *image)
{
	uint64_t last = last_lsn_of(w, image), bad;

	for (uint64_t off = 0; off < disk.size; off += LFS_BLOCK) {
		unsigned lost = 0;
		int res;

		if (!memcmp(image + off, image + disk.size - LFS_BLOCK, LFS_BLOCK))
			continue; /* nothing was ever written there */
		disk_restore(image);
		flip(w, off + 1000);
		res = open_store(w);
		if (res) {
			assert_int_equal(res, -EUCLEAN);
			continue;
		}
		assert_int_equal(lfs_lsn(w->lfs).admitted, last);
		for (uint64_t lba = 0; lba < VOLUME_BLOCKS; lba++) {
			if (!expected[lba])
				continue;
			res = read_blocks(w, lba, 1, &bad);
			assert_true(!res || res == -EBADMSG);
			assert_true(res || *w->buf == expected[lba]);
			lost += res != 0;
		}
		assert_true(lost <= 1);
		assert_int_equal(close_store(w), 0);
	}
	free(image);
}

static void any_damaged_block_of_a_closed_store(void **state)
{
	damage_each_block(*state, history_closed(*state));
}

static void any_damaged_block_after_a_crash(void **state)
{
	damage_each_block(*state, history_written_meanwhile(*state));
}

static int setup(void **state)
{
	memset(expected, 0, sizeof(expected));
	return world_setup(state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_leaf_of_a_closed_store_is_read_from_the_older_one),
		TEST(a_leaf_that_an_opening_wrote_is_read_from_the_older_one),
		TEST(a_leaf_with_records_behind_it_is_read_from_the_older_one),
		TEST(a_leaf_that_both_checkpoints_name_is_refused),
		TEST(a_leaf_and_a_record_are_refused),
		TEST(a_leaf_that_cannot_be_read_is_an_error_of_the_disk),
		TEST(any_damaged_block_of_a_closed_store),
		TEST(any_damaged_block_after_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
