// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "replicator/history.h"

/*
 * What two sites conclude from their histories decides who may write and who must not:
 * one wrong row here is a split brain or a lost write.
 */

static const struct lfs_epoch base[] = { { 1, 11, 1 }, { 2, 22, 50 } };
static const struct lfs_epoch longer[] = { { 1, 11, 1 }, { 2, 22, 50 }, { 3, 33, 101 } };
static const struct lfs_epoch other[] = { { 1, 11, 1 }, { 2, 22, 50 }, { 3, 44, 101 } };
static const struct lfs_epoch alien[] = { { 1, 99, 1 } };

static void rows_of_the_table(void **state)
{
	static const struct {
		struct history_side ours, theirs;
		enum history_relation want;
	} rows[] = {
		/* the same epoch */
		{ { base, 2, 100, 7 }, { base, 2, 100, 7 }, HISTORY_BEHIND },
		{ { base, 2, 100, 7 }, { base, 2, 99, 3 }, HISTORY_BEHIND },
		{ { base, 2, 100, 7 }, { base, 2, 0, 0 }, HISTORY_BEHIND },
		{ { base, 2, 100, 7 }, { base, 2, 101, 3 }, HISTORY_AHEAD },
		{ { base, 2, 100, 7 }, { base, 2, 100, 8 }, HISTORY_SPLIT },
		/* they are in an old epoch of ours */
		{ { longer, 3, 200, 7 }, { base, 2, 100, 0 }, HISTORY_BEHIND },
		{ { longer, 3, 200, 7 }, { base, 2, 101, 0 }, HISTORY_SURPLUS },
		{ { longer, 3, 100, 7 }, { base, 1, 49, 0 }, HISTORY_BEHIND },
		{ { longer, 3, 100, 7 }, { base, 1, 50, 0 }, HISTORY_SURPLUS },
		/* we are in an old epoch of theirs */
		{ { base, 2, 100, 7 }, { longer, 3, 150, 0 }, HISTORY_SUPERSEDED },
		{ { base, 2, 120, 7 }, { longer, 3, 150, 0 }, HISTORY_SUPERSEDED },
		/* same number, other id; nothing in common */
		{ { longer, 3, 200, 7 }, { other, 3, 200, 7 }, HISTORY_SPLIT },
		{ { longer, 3, 200, 7 }, { alien, 1, 1, 1 }, HISTORY_SPLIT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(history_compare(&rows[i].ours, &rows[i].theirs),
				 rows[i].want);
}

static void a_new_epoch_is_above_every_number_seen(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ 4, 1, 1 };
	history_begin(meta, 0, 5, 10);
	assert_int_equal(meta->epochs[1].number, 5);
	history_begin(meta, 9, 6, 20);
	assert_int_equal(meta->epochs[2].number, 10);
	assert_int_equal(meta->epochs[2].first_lsn, 20);
	free(meta);
}

static void an_epoch_never_reached_is_empty_afterwards(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 4;
	meta->epochs[0] = (struct lfs_epoch){ 1, 1, 1 };
	meta->epochs[1] = (struct lfs_epoch){ 2, 2, 91 };
	meta->epochs[2] = (struct lfs_epoch){ 3, 3, 92 };
	meta->epochs[3] = (struct lfs_epoch){ 4, 4, 100 };
	history_begin(meta, 0, 5, 91);
	assert_int_equal(meta->nepochs, 5);
	assert_int_equal(meta->epochs[0].first_lsn, 1);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(meta->epochs[i].first_lsn, 91);
	assert_int_equal(lfs_epoch_of(meta, 90)->number, 1);
	assert_int_equal(lfs_epoch_of(meta, 91)->number, 5);
	free(meta);
}

static void a_full_history_folds_its_oldest(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ 1, 1, 1 };
	for (uint64_t i = 2; i <= LFS_HISTORY_MAX + 5; i++)
		history_begin(meta, 0, i, i);
	assert_int_equal(meta->nepochs, LFS_HISTORY_MAX);
	assert_int_equal(meta->epochs[LFS_HISTORY_MAX - 1].number, LFS_HISTORY_MAX + 5);
	assert_int_equal(meta->epochs[0].number, 6);
	free(meta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_the_table),
		cmocka_unit_test(a_new_epoch_is_above_every_number_seen),
		cmocka_unit_test(an_epoch_never_reached_is_empty_afterwards),
		cmocka_unit_test(a_full_history_folds_its_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
