// SPDX-License-Identifier: BSD-3-Clause
/*
 * The durable facts of a group are replaced as a whole or not at all, survive a reopen,
 * and decide what the store takes.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_file.h"

static void meta_done(struct lfs_set_meta *m, int res)
{
	ended(res);
}

static int set_meta(struct world *w, const struct lfs_meta *meta)
{
	struct lfs_set_meta m = { .done = meta_done };

	w->waiting = 1;
	lfs_set_meta(w->lfs, &m, meta);
	return wait_for(w, 1);
}

static void facts_are_replaced_and_kept(void **state)
{
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));
	struct lfs_position pos;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	*meta = *lfs_meta(w->lfs);
	assert_int_equal(meta->nepochs, 1);
	assert_true(meta->epochs[0].id && meta->volumes[0].id);
	assert_int_equal(meta->flags, 0);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	meta->epochs[meta->nepochs++] =
		(struct lfs_epoch){ .number = 7, .id = 99, .first_lsn = 2 };
	meta->named_epoch = 4711;
	assert_int_equal(set_meta(w, meta), 0);
	assert_int_equal(lfs_meta(w->lfs)->nepochs, 2);
	assert_int_equal(write_blocks(w, 0, 1, 2), 0);
	lfs_position(w->lfs, &pos);
	assert_int_equal(pos.epoch, 7);
	assert_int_equal(pos.lsn, 2);
	/* What cannot be is refused, and changes nothing. */
	meta->epochs[1].number = 1;
	assert_int_equal(set_meta(w, meta), -EINVAL);
	meta->epochs[1].number = 7;
	meta->volumes[0].size -= LFS_BLOCK;
	assert_int_equal(set_meta(w, meta), -EINVAL); /* something was appended */
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->named_epoch, 4711);
	assert_int_equal(lfs_meta(w->lfs)->volumes[0].size, VOLUME_BLOCKS * LFS_BLOCK);
	assert_int_equal(lfs_meta(w->lfs)->epochs[1].id, 99);
	free(meta);
	assert_int_equal(close_store(w), 0);
}

static void a_mirror_adopts_volumes_while_it_is_empty(void **state)
{
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	*meta = *lfs_meta(w->lfs);
	meta->volumes[0].size = 64 * LFS_BLOCK;
	meta->volumes[1] = (struct lfs_volume){ .name = "b", .size = 600 * LFS_BLOCK };
	meta->nvolumes = 2;
	assert_int_equal(set_meta(w, meta), 0);
	assert_int_equal(lfs_mapped(w->lfs, 1), 0);
	meta->volumes[1].size = 64 * MIB;
	assert_int_equal(set_meta(w, meta), -ENOSPC);
	/* The same ones in another order need another map, too. */
	*meta = *lfs_meta(w->lfs);
	meta->volumes[0] = lfs_meta(w->lfs)->volumes[1];
	meta->volumes[1] = lfs_meta(w->lfs)->volumes[0];
	assert_int_equal(set_meta(w, meta), 0);
	assert_true(lfs_map_has(&w->lfs->map, 0, 599, 1));
	assert_false(lfs_map_has(&w->lfs->map, 1, 64, 1));
	assert_int_equal(write_blocks(w, 599, 1, 5), 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->nvolumes, 2);
	must_hold(w, 599, 1, 5);
	free(meta);
	assert_int_equal(close_store(w), 0);
}

static void a_fenced_or_sealed_store_takes_nothing(void **state)
{
	static const uint32_t flags[] = { LFS_FENCED, LFS_SEALED };
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(open_store(w), 0);
		*meta = *lfs_meta(w->lfs);
		meta->flags |= flags[i];
		assert_int_equal(set_meta(w, meta), 0);
		assert_int_equal(write_blocks(w, 0, 1, 1), -EROFS);
		assert_int_equal(close_store(w), 0);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(lfs_meta(w->lfs)->flags, flags[i]);
		assert_int_equal(write_blocks(w, 0, 1, 1), -EROFS);
		assert_int_equal(close_store(w), 0);
		assert_int_equal(unlink(w->path), 0);
	}
	free(meta);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(facts_are_replaced_and_kept),
		TEST(a_mirror_adopts_volumes_while_it_is_empty),
		TEST(a_fenced_or_sealed_store_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
