// SPDX-License-Identifier: BSD-3-Clause
/*
 * The map says where each block lies. It agrees with a plain array under random work,
 * counts what is alive in each segment, gives empty leaves back, keeps within its memory,
 * and takes no image that refers to what is not there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/map.h"
#include "lfs/segment.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

#define BLOCKS 3000u
#define SEGMENTS 8u
#define SEGMENT_BLOCKS 2048u
#define BASE 100u

static struct lfs_segments segs;
static struct lfs_map map;
static struct lfs_meta meta;

static int setup(void **state)
{
	meta.nvolumes = 2;
	meta.volumes[0].size = 6 * LFS_BLOCK + LFS_SECTOR; /* 7 of them */
	meta.volumes[1].size = BLOCKS * LFS_BLOCK;
	if (lfs_segments_init(&segs, SEGMENTS, SEGMENT_BLOCKS, BASE))
		return -1;
	for (uint32_t i = 0; i < SEGMENTS; i++)
		lfs_segments_open(&segs, i, i + 1, 1, 1);
	return lfs_map_init(&map, &segs, &meta, 1 << 20);
}

static int teardown(void **state)
{
	lfs_map_release(&map);
	lfs_segments_release(&segs);
	return 0;
}

static void set(uint64_t lba, uint32_t blocks, uint32_t pba, uint64_t lsn)
{
	uint32_t crcs[64];
	struct lfs_op op = {
		.kind = LFS_WRITE, .volume = 1, .lba = lba, .blocks = blocks, .crcs = crcs
	};

	for (uint32_t i = 0; i < blocks; i++)
		crcs[i] = pba + i + 7;
	assert_int_equal(lfs_map_pin(&map, 1, lba, blocks), 0);
	lfs_map_set(&map, &op, pba, lsn);
	lfs_map_unpin(&map, 1, lba, blocks);
}

static void unmap(uint64_t lba, uint64_t blocks)
{
	uint32_t budget = UINT32_MAX;

	assert_int_equal(lfs_map_unmap(&map, 1, lba, blocks, 1, &budget), blocks);
}

static void it_agrees_with_an_array(void **state)
{
	static uint32_t model[BLOCKS], live[SEGMENTS];
	uint64_t x = 1, mapped = 0;

	for (unsigned i = 0; i < 20000; i++) {
		uint32_t lba, n, pba;

		x = rt_mix64(x + i);
		lba = (uint32_t)(x % BLOCKS);
		n = 1 + (uint32_t)(x >> 20) % 64;
		n = n > BLOCKS - lba ? BLOCKS - lba : n;
		pba = BASE + 1 + (uint32_t)(x >> 30) % (SEGMENTS * SEGMENT_BLOCKS - 100);
		/* A run lies in one segment. */
		if ((pba - BASE) % SEGMENT_BLOCKS + n >= SEGMENT_BLOCKS ||
		    (pba - BASE) % SEGMENT_BLOCKS == 0)
			continue;
		if (x >> 60 < 5) {
			unmap(lba, n);
			memset(model + lba, 0, n * sizeof(model[0]));
			continue;
		}
		set(lba, n, pba, i + 1);
		for (uint32_t k = 0; k < n; k++)
			model[lba + k] = pba + k;
	}
	for (uint32_t i = 0; i < BLOCKS; i++) {
		uint32_t crc = 0, pba = lfs_map_get(&map, 1, i, &crc);

		assert_int_equal(pba, model[i]);
		if (!pba)
			continue;
		assert_int_equal(crc, pba + 7);
		mapped++;
		live[(pba - BASE) / SEGMENT_BLOCKS]++;
	}
	assert_int_equal(map.v[1].mapped, mapped);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(segs.s[i].live, live[i]);
	unmap(0, BLOCKS);
	assert_int_equal(map.v[1].mapped, 0);
	assert_int_equal(map.stale, 0);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(segs.s[i].live, 0);
	/* What is empty costs nothing. */
	for (uint32_t i = 0; i < map.v[1].nleaves; i++)
		assert_null(map.v[1].leaves[i].entries);
}

static void a_range_is_checked_at_its_ends(void **state)
{
	assert_true(lfs_map_has(&map, 0, 0, 7));
	assert_true(lfs_map_has(&map, 0, 6, 1));
	assert_false(lfs_map_has(&map, 0, 6, 2));
	assert_false(lfs_map_has(&map, 0, 7, 1));
	assert_false(lfs_map_has(&map, 0, 0, 0));
	assert_false(lfs_map_has(&map, 2, 0, 1));
	assert_false(lfs_map_has(&map, 0, UINT64_MAX, 1));
	assert_false(lfs_map_has(&map, 0, 1, UINT64_MAX));
}

static void unmapping_stops_at_its_budget(void **state)
{
	uint32_t budget = 8;

	set(0, 1, BASE + 1, 1);
	set(600, 1, BASE + 2, 2);
	assert_int_equal(lfs_map_unmap(&map, 1, 0, BLOCKS, 3, &budget), 512);
	assert_int_equal(map.v[1].mapped, 1);
	assert_int_equal(lfs_map_unmap(&map, 1, 512, BLOCKS - 512, 3, &budget), 0);
	unmap(512, BLOCKS - 512);
	assert_int_equal(map.v[1].mapped, 0);
	/* The stub knows when it changed. */
	assert_int_equal(map.v[1].leaves[0].changed, 3);
	assert_int_equal(map.v[1].leaves[2].changed, 0);
}

static void memory_is_a_bound_and_pins_are_all_or_nothing(void **state)
{
	uint64_t before = map.memory;

	map.memory_max = before + 2 * LFS_BLOCK;
	assert_int_equal(lfs_map_pin(&map, 1, 511, 514), -EDQUOT);
	assert_int_equal(map.memory, before);
	assert_int_equal(lfs_map_pin(&map, 1, 511, 513), 0);
	assert_int_equal(map.memory, before + 2 * LFS_BLOCK);
	/* An unmap in between takes nothing away from who has pinned. */
	unmap(0, BLOCKS);
	assert_non_null(map.v[1].leaves[0].entries);
	lfs_map_unpin(&map, 1, 511, 513);
	assert_int_equal(map.memory, before);
	map.memory_max = 1 << 20;
}

static void an_image_is_taken_and_loaded(void **state)
{
	static uint8_t image[LFS_BLOCK];
	struct lfs_leaf *leaf = &map.v[1].leaves[1];
	uint32_t crc;

	set(512, 3, BASE + 1, 5);
	assert_int_equal(map.stale, 1);
	assert_true(lfs_map_capture(&map, leaf, image));
	assert_int_equal(map.stale, 0);
	lfs_map_set_image(&map, leaf, BASE + 50, 1234);
	assert_int_equal(segs.s[0].live, 4);
	lfs_map_release(&map);
	lfs_segments_release(&segs);
	assert_int_equal(setup(NULL), 0);
	leaf = &map.v[1].leaves[1];
	leaf->pba = BASE + 50;
	assert_int_equal(lfs_map_load(&map, 1, 1, image), 0);
	assert_int_equal(lfs_map_get(&map, 1, 514, &crc), BASE + 3);
	assert_int_equal(crc, BASE + 3 + 7);
	assert_int_equal(segs.s[0].live, 4);
	assert_int_equal(map.v[1].mapped, 3);
	unmap(512, 512);
	assert_false(lfs_map_capture(&map, leaf, image));
	assert_int_equal(leaf->pba, 0);
	assert_int_equal(segs.s[0].live, 0);
}

static void an_image_that_cannot_be_is_refused(void **state)
{
	static uint8_t image[LFS_BLOCK];
	struct lfs_leaf_entry e = { .pba = le32_make(BASE) };

	map.v[1].leaves[1].pba = BASE + 50;
	assert_int_equal(lfs_map_load(&map, 1, 1, image), -EUCLEAN); /* nothing in it */
	lfs_map_release(&map);
	lfs_segments_release(&segs);
	assert_int_equal(setup(NULL), 0);
	memcpy(image, &e, sizeof(e)); /* a segment's header */
	assert_int_equal(lfs_map_load(&map, 1, 1, image), -EUCLEAN);
	lfs_map_release(&map);
	lfs_segments_release(&segs);
	assert_int_equal(setup(NULL), 0);
	/* The last leaf ends inside: an entry behind the volume's last block. */
	memset(image, 0, sizeof(image));
	e.pba = le32_make(BASE + 1);
	memcpy(image + BLOCKS % LFS_LEAF_BLOCKS * sizeof(e), &e, sizeof(e));
	assert_int_equal(lfs_map_load(&map, 1, map.v[1].nleaves - 1, image), -EUCLEAN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_agrees_with_an_array),
		TEST(a_range_is_checked_at_its_ends),
		TEST(unmapping_stops_at_its_budget),
		TEST(memory_is_a_bound_and_pins_are_all_or_nothing),
		TEST(an_image_is_taken_and_loaded),
		TEST(an_image_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
