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
#include "tests/unit/lfs/open_segment.h"
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
		open_segment(&segs, i, i + 1, 1);
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
	assert_true(lfs_map_may_set(&map, 1, lba, blocks));
	lfs_map_set(&map, &op, pba, lsn);
	lfs_map_unpin(&map, 1, lba, blocks);
}

static void unmap(uint64_t lba, uint64_t blocks)
{
	uint32_t budget = UINT32_MAX;

	assert_int_equal(lfs_map_unmap(&map, 1, lba, blocks, 1, &budget), blocks);
}

/* A checkpoint: all images, side by side. */
static void capture_all(void)
{
	static uint8_t bytes[LFS_BLOCK];
	struct lfs_map_image image;
	uint32_t pba = BASE + 7 * SEGMENT_BLOCKS + 1;

	lfs_map_freeze(&map);
	while (lfs_map_capture(&map, false, bytes, &image))
		lfs_map_written(&map, &image, pba++);
	assert_true(lfs_map_is_clean(&map));
}

static void it_agrees_with_an_array(void **state)
{
	static uint32_t model[BLOCKS], live[SEGMENTS];
	uint64_t x = 1, mapped = 0, memory = map.memory;

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
	/* What is empty costs nothing, once a checkpoint has noted that it changed. */
	capture_all();
	assert_int_equal(map.memory, memory);
	for (uint32_t i = 0; i < map.v[1].nleaves; i++)
		assert_null(map.v[1].leaves[i]);
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
	/* That it changed outlives the leaf. */
	capture_all();
	assert_null(map.v[1].leaves[0]);
	assert_int_equal(le64_get(lfs_map_entry(&map, 1, 0)->changed), 3);
	assert_int_equal(le64_get(lfs_map_entry(&map, 1, 2)->changed), 0);
}

static void memory_is_a_bound_and_pins_are_all_or_nothing(void **state)
{
	uint64_t before = map.memory;

	map.memory_max = before + 2 * sizeof(struct lfs_leaf);
	assert_int_equal(lfs_map_pin(&map, 1, 511, 514), -EDQUOT);
	assert_int_equal(map.memory, before);
	assert_int_equal(lfs_map_pin(&map, 1, 511, 513), 0);
	assert_int_equal(map.memory, before + 2 * sizeof(struct lfs_leaf));
	/* An unmap in between takes nothing away from who has pinned. */
	unmap(0, BLOCKS);
	assert_non_null(map.v[1].leaves[0]);
	lfs_map_unpin(&map, 1, 511, 513);
	assert_int_equal(map.memory, before);
	map.memory_max = 1 << 20;
}

/* Empty tables: as recovery has them. */
static void begin_again(void)
{
	lfs_map_release(&map);
	lfs_segments_release(&segs);
	assert_int_equal(setup(NULL), 0);
}

static void images_are_taken_and_loaded(void **state)
{
	static uint8_t leaf_bytes[LFS_BLOCK], inner_bytes[LFS_BLOCK];
	struct lfs_map_image leaf, inner;
	uint64_t set_hash;
	uint32_t crc;

	set(512, 3, BASE + 1, 5);
	assert_int_equal(map.stale, 1);
	set_hash = map.v[1].leaves[1]->state.set_hash;
	lfs_map_freeze(&map);
	assert_true(lfs_map_capture(&map, false, leaf_bytes, &leaf));
	assert_int_equal(map.stale + map.stale_frozen, 0);
	assert_true(!leaf.inner && leaf.volume == 1 && leaf.index == 1);
	/* Nothing to be said of the leaf before it is written. */
	assert_false(lfs_map_capture(&map, true, inner_bytes, &inner));
	lfs_map_written(&map, &leaf, BASE + 50);
	assert_true(lfs_map_capture(&map, false, inner_bytes, &inner));
	assert_true(inner.inner && inner.volume == 1 && inner.index == 0);
	lfs_map_written(&map, &inner, BASE + 51);
	assert_int_equal(segs.s[0].live, 5);
	assert_true(lfs_map_is_clean(&map));

	begin_again();
	map.v[1].inner[0].pba = BASE + 51;
	assert_int_equal(lfs_map_load_inner(&map, 1, 0, inner_bytes), 0);
	assert_int_equal(map.v[1].mapped, 3);
	assert_int_equal(lfs_map_load_leaf(&map, 1, 1, leaf_bytes), 0);
	assert_int_equal(lfs_map_get(&map, 1, 514, &crc), BASE + 3);
	assert_int_equal(crc, BASE + 3 + 7);
	assert_int_equal(map.v[1].leaves[1]->state.changed, 5);
	assert_true(map.v[1].leaves[1]->state.set_hash == set_hash);
	/* Without a mapped block there is no image, and the old one is dead. */
	segs.s[0].live = 5; /* as the slot says */
	unmap(512, 512);
	capture_all();
	assert_int_equal(segs.s[0].live, 0);
	assert_true(!le64_get(lfs_map_entry(&map, 1, 1)->set_hash));
}

/* What changes after the freeze goes into the next image, whatever the order. */
static void an_image_is_as_of_the_freeze(void **state)
{
	static uint8_t bytes[LFS_BLOCK];
	struct lfs_leaf_entry e;
	struct lfs_map_image image;
	uint64_t memory, set_hash;

	set(0, 1, BASE + 1, 1);
	set(512, 1, BASE + 2, 2);
	set_hash = map.v[1].leaves[0]->state.set_hash;
	memory = map.memory;
	lfs_map_freeze(&map);
	set(0, 1, BASE + 3, 3);
	set(1, 1, BASE + 4, 4);
	unmap(512, 1);
	assert_true(map.memory > memory);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(lfs_map_capture(&map, i, bytes, &image));
		memcpy(&e, bytes, sizeof(e));
		assert_int_equal(le32_get(e.pba), BASE + 1 + i);
		assert_int_equal(image.state.used, 1);
		assert_int_equal(image.state.changed, 1 + i);
		assert_true(i || image.state.set_hash == set_hash);
		lfs_map_written(&map, &image, BASE + 50 + i);
	}
	assert_int_equal(map.memory, memory);
	assert_int_equal(map.stale, 1); /* of the two, one has an image */
	while (lfs_map_capture(&map, false, bytes, &image))
		lfs_map_written(&map, &image, BASE + 60);
	capture_all();
	assert_int_equal(le64_get(lfs_map_entry(&map, 1, 0)->changed), 4);
	assert_int_equal(le16_get(lfs_map_entry(&map, 1, 0)->used), 2);
	assert_int_equal(le32_get(lfs_map_entry(&map, 1, 1)->pba), 0);
}

/* Where there is no memory for a copy, who wants to change a frozen leaf waits. */
static void a_frozen_leaf_without_a_copy_does_not_change(void **state)
{
	static uint8_t bytes[LFS_BLOCK];
	struct lfs_map_image image;
	uint32_t budget = UINT32_MAX;

	set(0, 1, BASE + 1, 1);
	lfs_map_freeze(&map);
	map.memory_max = map.memory;
	assert_false(lfs_map_may_set(&map, 1, 0, 1));
	assert_int_equal(lfs_map_unmap(&map, 1, 0, 8, 2, &budget), 0);
	assert_true(lfs_map_capture(&map, false, bytes, &image));
	assert_true(lfs_map_may_set(&map, 1, 0, 1));
	assert_int_equal(lfs_map_unmap(&map, 1, 0, 8, 2, &budget), 8);
	lfs_map_written(&map, &image, BASE + 50);
	map.memory_max = 1 << 20;
}

static int load_inner_with(uint32_t i, struct lfs_inner_entry e)
{
	static struct lfs_inner_entry entries[LFS_INNER_LEAVES];

	begin_again();
	memset(entries, 0, sizeof(entries));
	entries[i] = e;
	return lfs_map_load_inner(&map, 1, 0, (const uint8_t *)entries);
}

static void an_inner_node_that_cannot_be_is_refused(void **state)
{
	struct lfs_inner_entry good = { .pba = le32_make(BASE + 50),
					.used = le16_make(512) },
			       e = good;

	assert_int_equal(load_inner_with(1, good), 0);
	assert_int_equal(load_inner_with(map.v[1].nleaves, good), -EUCLEAN);
	e.used = le16_make(0);
	assert_int_equal(load_inner_with(1, e), -EUCLEAN);
	e.used = le16_make(513);
	assert_int_equal(load_inner_with(1, e), -EUCLEAN);
	e = good;
	e.pba = le32_make(BASE); /* a segment's header */
	assert_int_equal(load_inner_with(1, e), -EUCLEAN);
	e = good;
	e.pba = le32_make(0); /* mapped blocks and no image */
	assert_int_equal(load_inner_with(1, e), -EUCLEAN);
	e = good;
	e.zero[5] = 1;
	assert_int_equal(load_inner_with(1, e), -EUCLEAN);
	e = (struct lfs_inner_entry){ .changed = le64_make(7) };
	assert_int_equal(load_inner_with(1, e), 0);
	assert_int_equal(load_inner_with(map.v[1].nleaves, e), -EUCLEAN);
}

static uint64_t
	hash_off; /* so far is the set-hash of the inner node from the right one */

/* The leaf `index` with this entry at `at`; its inner node counts one mapped block. */
static int load_leaf_with(uint32_t index, uint32_t at, struct lfs_leaf_entry e)
{
	static struct lfs_leaf_entry entries[LFS_LEAF_BLOCKS];

	begin_again();
	*lfs_map_entry(&map, 1, index) = (struct lfs_inner_entry){
		.pba = le32_make(BASE + 50),
		.set_hash = le64_make(
			lfs_map_block_hash(&map, 1,
					   (uint64_t)index * LFS_LEAF_BLOCKS + at,
					   le32_get(e.crc)) +
			hash_off),
		.used = le16_make(1),
	};
	memset(entries, 0, sizeof(entries));
	entries[at] = e;
	return lfs_map_load_leaf(&map, 1, index, (const uint8_t *)entries);
}

static void a_leaf_that_cannot_be_is_refused(void **state)
{
	struct lfs_leaf_entry good = { .pba = le32_make(BASE + 1) };

	assert_int_equal(load_leaf_with(1, 0, good), 0);
	assert_int_equal(load_leaf_with(1, 0, (struct lfs_leaf_entry){ 0 }), -EUCLEAN);
	hash_off = 1;
	assert_int_equal(load_leaf_with(1, 0, good), -EUCLEAN);
	hash_off = 0;
	assert_int_equal(
		load_leaf_with(1, 0, (struct lfs_leaf_entry){ .pba = le32_make(BASE) }),
		-EUCLEAN);
	/* The last leaf ends inside: an entry behind the volume's last block. */
	assert_int_equal(load_leaf_with(map.v[1].nleaves - 1,
					BLOCKS % LFS_LEAF_BLOCKS - 1, good),
			 0);
	assert_int_equal(load_leaf_with(map.v[1].nleaves - 1, BLOCKS % LFS_LEAF_BLOCKS,
					good),
			 -EUCLEAN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_agrees_with_an_array),
		TEST(a_range_is_checked_at_its_ends),
		TEST(unmapping_stops_at_its_budget),
		TEST(memory_is_a_bound_and_pins_are_all_or_nothing),
		TEST(images_are_taken_and_loaded),
		TEST(an_image_is_as_of_the_freeze),
		TEST(a_frozen_leaf_without_a_copy_does_not_change),
		TEST(an_inner_node_that_cannot_be_is_refused),
		TEST(a_leaf_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
