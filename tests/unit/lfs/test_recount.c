// SPDX-License-Identifier: BSD-3-Clause
/*
 * The recount that other tests and the simulator rely on sees each count that is wrong: one
 * that sees less makes all of them see less.
 */
#include "lfs/open_store.h"
#include "lfs/recount.h"
#include "tests/unit/lfs/world_memory.h"

static int recount(struct world *w, char why[LFS_WHY_MAX])
{
	return lfs_recount_tables(&w->lfs->map, &w->lfs->segs, true, why);
}

static void more_live(struct lfs *lfs)
{
	lfs->segs.s[0].live++;
}

static void live_in_a_free_one(struct lfs *lfs)
{
	lfs->segs.s[lfs->segs.n - 1].live++;
}

static void fewer_free(struct lfs *lfs)
{
	lfs->segs.free--;
}

static void beyond_its_end(struct lfs *lfs)
{
	lfs->segs.s[0].end = lfs->segs.blocks + 1;
}

static void more_mapped(struct lfs *lfs)
{
	lfs->map.v[0].mapped++;
}

static void more_used(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->state.used++;
}

static void more_stale(struct lfs *lfs)
{
	lfs->map.stale++;
}

static void mapped_to_a_free_segment(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->entries[1] =
		lfs_segments_pba(&lfs->segs, lfs->segs.n - 1, 1);
}

static void mapped_to_another_block(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->entries[9] = lfs->map.v[0].leaves[0]->entries[1];
}

static void not_mapped(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->entries[1] = 0;
}

static void an_image_in_a_free_segment(struct lfs *lfs)
{
	lfs->map.v[0].inner[0].entries[0].pba =
		le32_make(lfs_segments_pba(&lfs->segs, lfs->segs.n - 1, 1));
}

static void an_inner_node_in_a_free_segment(struct lfs *lfs)
{
	lfs->map.v[0].inner[0].pba = lfs_segments_pba(&lfs->segs, lfs->segs.n - 1, 1);
}

static void another_set_hash(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->state.set_hash++;
}

static void another_checksum(struct lfs *lfs)
{
	lfs->map.v[0].leaves[0]->entries[1] ^= UINT64_C(1) << 32;
}

struct falsehood {
	const char *name;
	void (*make)(struct lfs *lfs);
};

static const struct falsehood falsehoods[] = {
	{ "a segment's live blocks", more_live },
	{ "live blocks in a free segment", live_in_a_free_one },
	{ "free segments", fewer_free },
	{ "a segment longer than it can be", beyond_its_end },
	{ "a volume's mapped blocks", more_mapped },
	{ "a leaf's mapped blocks", more_used },
	{ "stale leaves", more_stale },
	{ "a block in a free segment", mapped_to_a_free_segment },
	{ "a block that counts twice", mapped_to_another_block },
	{ "a block that is missing", not_mapped },
	{ "an image in a free segment", an_image_in_a_free_segment },
	{ "an inner node in a free segment", an_inner_node_in_a_free_segment },
	{ "a leaf's set-hash", another_set_hash },
	{ "a block's checksum", another_checksum },
};

static void a_recount_sees_each_wrong_count(void **state)
{
	struct world *w = *state;
	char why[LFS_WHY_MAX];

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 4, 1), 0);
	for (size_t i = 0; i < sizeof(falsehoods) / sizeof(*falsehoods); i++) {
		struct lfs_segment first = w->lfs->segs.s[0],
				   last = w->lfs->segs.s[w->lfs->segs.n - 1];
		static struct lfs_leaf leaf_before;
		static struct lfs_inner inner_before;
		static struct lfs before;
		struct lfs_leaf *leaf = w->lfs->map.v[0].leaves[0];

		leaf_before = *leaf;
		inner_before = w->lfs->map.v[0].inner[0];
		before = *w->lfs;
		print_message("%s\n", falsehoods[i].name);
		assert_int_equal(recount(w, why), 0);
		falsehoods[i].make(w->lfs);
		why[0] = 0;
		assert_int_equal(recount(w, why), -EUCLEAN);
		assert_true(why[0]);
		*w->lfs = before;
		*leaf = leaf_before;
		w->lfs->map.v[0].inner[0] = inner_before;
		w->lfs->segs.s[0] = first;
		w->lfs->segs.s[w->lfs->segs.n - 1] = last;
	}
	assert_int_equal(recount(w, why), 0);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_recount_sees_each_wrong_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
