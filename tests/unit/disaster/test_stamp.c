// SPDX-License-Identifier: BSD-3-Clause
/*
 * The judge of the disaster runs is right: a block that differs by a bit is noticed, and a
 * write that is missing, out of order or completed and lost is counted.
 */
#include "tests/disaster/stamp.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define BLOCKS 64

static void a_block_comes_back(void **state)
{
	struct stamp stamp = { stamp_volume("network"), 17, 4711, 4700 };
	struct stamp back;
	uint8_t block[STAMP_BLOCK];

	stamp_encode(&stamp, block);
	assert_int_equal(stamp_decode(block, &back), 0);
	assert_memory_equal(&stamp, &back, sizeof(stamp));
	memset(block, 0, sizeof(block));
	assert_int_equal(stamp_decode(block, &back), -ENOENT);
}

static void a_block_with_any_bit_flipped_is_refused(void **state)
{
	struct stamp stamp = { stamp_volume("network"), 17, 4711, 4700 };
	struct stamp back;
	uint8_t block[STAMP_BLOCK];

	stamp_encode(&stamp, block);
	for (int bit = 0; bit < STAMP_BLOCK * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(stamp_decode(block, &back), -EBADMSG);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* A torn write: half of it is another one, or nothing. */
	memset(block + STAMP_BLOCK / 2, 0, STAMP_BLOCK / 2);
	assert_int_equal(stamp_decode(block, &back), -EBADMSG);
}

static void each_round_writes_each_block_once(void **state)
{
	for (uint64_t round = 0; round < 5; round++) {
		uint8_t hit[BLOCKS] = { 0 };

		for (uint64_t i = 1; i <= BLOCKS; i++)
			hit[stamp_lba(round * BLOCKS + i, BLOCKS)]++;
		for (int lba = 0; lba < BLOCKS; lba++)
			assert_int_equal(hit[lba], 1);
	}
}

struct image {
	uint64_t seen[BLOCKS], below[BLOCKS];
	uint64_t completed[1000];
};

/* The image after writes 1 to `last`, eight in flight, all of them completed. */
static struct image image_of(uint64_t last)
{
	struct image image = { 0 };

	for (uint64_t n = 1; n <= last; n++) {
		image.seen[stamp_lba(n, BLOCKS)] = n;
		image.below[stamp_lba(n, BLOCKS)] = n > 8 ? n - 8 : 0;
		image.completed[n - 1] = n;
	}
	return image;
}

static struct stamp_verdict judge(const struct image *image, uint64_t n_completed)
{
	struct stamp_verdict verdict;

	stamp_judge(image->seen, image->below, BLOCKS, image->completed, n_completed,
		    &verdict);
	return verdict;
}

static void a_prefix_is_a_prefix(void **state)
{
	for (uint64_t last = 0; last < 300; last += 7) {
		struct image image = image_of(last);
		struct stamp_verdict verdict = judge(&image, last);

		assert_int_equal(verdict.last, last);
		assert_int_equal(verdict.absent, last + 1);
		assert_int_equal(verdict.holes + verdict.broken + verdict.missing, 0);
	}
}

static void a_completed_write_beyond_the_prefix_is_missing(void **state)
{
	struct image image = image_of(200);
	struct image longer = image_of(205);
	struct stamp_verdict verdict;

	memcpy(image.completed, longer.completed, sizeof(image.completed));
	verdict = judge(&image, 205);
	assert_int_equal(verdict.missing, 5);
	assert_int_equal(verdict.broken, 0);
}

/* The write that the block of `number` shows if `number` itself was not done. */
static uint64_t before(uint64_t number)
{
	uint64_t earlier = number - 1;

	while (earlier > 0 && stamp_lba(earlier, BLOCKS) != stamp_lba(number, BLOCKS))
		earlier--;
	return earlier;
}

/* One of those that were in flight together may be absent, one from before may not. */
static void a_hole_is_broken_order_only_before_what_had_completed(void **state)
{
	struct image image = image_of(200);
	struct stamp_verdict verdict;
	uint64_t late = 0;

	image.seen[stamp_lba(197, BLOCKS)] = before(197);
	verdict = judge(&image, 196);
	assert_int_equal(verdict.holes, 1);
	assert_int_equal(verdict.absent, 197);
	assert_int_equal(verdict.broken, 0);
	assert_int_equal(verdict.missing, 0);
	assert_int_equal(judge(&image, 197).missing, 1);

	image = image_of(200);
	image.seen[stamp_lba(150, BLOCKS)] = before(150);
	verdict = judge(&image, 140);
	assert_int_equal(verdict.absent, 150);
	for (uint64_t n = 150 + 8; n <= 200; n++)
		late += image.seen[stamp_lba(n, BLOCKS)] == n;
	assert_true(late > 30);
	assert_int_equal(verdict.broken, late);
}

static void a_block_that_went_back_is_noticed(void **state)
{
	struct image image = image_of(200);
	struct stamp_verdict verdict;
	uint64_t writes = 0;

	image.seen[stamp_lba(160, BLOCKS)] = STAMP_NONE;
	verdict = judge(&image, 200);
	assert_true(verdict.broken > 0);
	/* Everything that this block ever had. */
	for (uint64_t n = 1; n <= 200; n++)
		writes += stamp_lba(n, BLOCKS) == stamp_lba(160, BLOCKS);
	assert_true(writes >= 3);
	assert_int_equal(verdict.missing, writes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_comes_back),
		cmocka_unit_test(a_block_with_any_bit_flipped_is_refused),
		cmocka_unit_test(each_round_writes_each_block_once),
		cmocka_unit_test(a_prefix_is_a_prefix),
		cmocka_unit_test(a_completed_write_beyond_the_prefix_is_missing),
		cmocka_unit_test(a_hole_is_broken_order_only_before_what_had_completed),
		cmocka_unit_test(a_block_that_went_back_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
