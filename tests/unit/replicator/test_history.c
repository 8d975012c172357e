// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "replicator/history.h"

/*
 * What two sites conclude from their histories decides who may write and who must not:
 * one wrong row here is a split brain or a lost write.
 */

#define EPOCH(n, i, from)                                                                \
	{                                                                                \
		.number = (n), .id = (i), .first_lsn = (from)                            \
	}

static const struct lfs_epoch base[] = { EPOCH(1, 11, 1), EPOCH(2, 22, 50) };
static const struct lfs_epoch longer[] = { EPOCH(1, 11, 1), EPOCH(2, 22, 50),
					   EPOCH(3, 33, 101) };
static const struct lfs_epoch other[] = { EPOCH(1, 11, 1), EPOCH(2, 22, 50),
					  EPOCH(3, 44, 101) };
static const struct lfs_epoch newer[] = { EPOCH(1, 11, 1), EPOCH(2, 22, 50),
					  EPOCH(5, 55, 101) };
static const struct lfs_epoch alien[] = { EPOCH(1, 99, 1) };

static const uint8_t ours[LFS_ID_LEN] = { 1 }, theirs[LFS_ID_LEN] = { 2 };
static const uint8_t nobodys[LFS_ID_LEN] = { 3 };

static bool begin(struct lfs_meta *meta, uint64_t number, uint64_t id, uint64_t first_lsn)
{
	return history_begin(meta, &(struct history_start){ .number = number,
							    .id = id,
							    .first_lsn = first_lsn,
							    .store = ours });
}

static bool add_unreached(struct lfs_meta *meta, uint64_t number, uint64_t id,
			  uint64_t first_lsn)
{
	return history_add_unreached(meta,
				     &(struct history_start){ .number = number,
							      .id = id,
							      .first_lsn = first_lsn,
							      .store = theirs });
}

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
		{ { longer, 3, 100, 7 }, { base, 2, 100, 7 }, HISTORY_BEHIND },
		{ { longer, 3, 100, 7 }, { base, 2, 100, 8 }, HISTORY_SPLIT },
		/* and we have not reached its end yet ourselves */
		{ { longer, 3, 90, 7 }, { base, 2, 95, 0 }, HISTORY_AHEAD },
		{ { longer, 3, 100, 7 }, { base, 1, 49, 0 }, HISTORY_BEHIND },
		{ { longer, 3, 100, 7 }, { base, 1, 50, 0 }, HISTORY_SURPLUS },
		/* we are in an old epoch of theirs */
		{ { base, 2, 100, 7 }, { longer, 3, 150, 0 }, HISTORY_SUPERSEDED },
		{ { base, 2, 120, 7 }, { longer, 3, 150, 0 }, HISTORY_SUPERSEDED },
		/* same number, other id; nothing in common */
		{ { longer, 3, 200, 7 }, { other, 3, 200, 7 }, HISTORY_SPLIT },
		{ { longer, 3, 200, 7 }, { alien, 1, 1, 1 }, HISTORY_SPLIT },
		/* each in an epoch of its own; who has written nothing in it, has nothing */
		{ { longer, 3, 100, 7 }, { newer, 3, 200, 7 }, HISTORY_SUPERSEDED },
		{ { longer, 3, 100, 7 }, { newer, 3, 100, 7 }, HISTORY_SUPERSEDED },
		{ { longer, 3, 101, 7 }, { newer, 3, 200, 7 }, HISTORY_SPLIT },
		{ { newer, 3, 200, 7 }, { longer, 3, 100, 7 }, HISTORY_UNWRITTEN },
		{ { newer, 3, 200, 7 }, { longer, 3, 101, 7 }, HISTORY_SPLIT },
		/* of two with the same number, who has written is the newer one */
		{ { longer, 3, 100, 7 }, { other, 3, 100, 7 }, HISTORY_SPLIT },
		{ { longer, 3, 100, 7 }, { other, 3, 101, 7 }, HISTORY_SUPERSEDED },
		{ { longer, 3, 101, 7 }, { other, 3, 100, 7 }, HISTORY_UNWRITTEN },
		/* the newer one has written nothing, and the older one has */
		{ { newer, 3, 100, 7 }, { longer, 3, 150, 7 }, HISTORY_SPLIT },
		{ { longer, 3, 150, 7 }, { newer, 3, 100, 7 }, HISTORY_SPLIT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(history_compare(&rows[i].ours, &rows[i].theirs),
				 rows[i].want);
}

/*
 * A mirror that goes on from less than it has held for good is an older copy of it, and one that
 * is promoted decides by its history: a person has chosen that one.
 */
static void a_mirror_goes_back_to_no_lsn_that_it_held(void **state)
{
	static const struct {
		enum history_relation relation;
		uint64_t lsn, held;
		bool older;
	} rows[] = {
		{ HISTORY_BEHIND, 99, 100, true },
		{ HISTORY_BEHIND, 0, 1, true },
		{ HISTORY_BEHIND, 100, 100, false },
		{ HISTORY_BEHIND, 101, 100, false },
		{ HISTORY_BEHIND, 0, 0, false }, /* another one, or a new one */
		/* We have lost more than it lacks: it is no less old for that. */
		{ HISTORY_AHEAD, 99, 100, true },
		{ HISTORY_AHEAD, 100, 100, false },
		{ HISTORY_SURPLUS, 99, 100, false },
		{ HISTORY_SUPERSEDED, 99, 100, false },
		{ HISTORY_UNWRITTEN, 99, 100, false },
		{ HISTORY_SPLIT, 99, 100, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct history_side side = { base, 2, rows[i].lsn, 7 };

		if (history_is_older_copy(rows[i].relation, &side, rows[i].held) !=
		    rows[i].older)
			fail_msg("row %zu", i);
	}
}

#define BY(n, i, from, s)                                                                \
	{                                                                                \
		.number = (n), .id = (i), .first_lsn = (from), .store = { s }            \
	}

/*
 * Epochs behind our own that this very store began: it was put back to an older state. A
 * row too many and a copy that serves takes the original's epochs for its own.
 */
static void a_store_knows_its_own_later_epochs(void **state)
{
	static const struct lfs_epoch own[] = { BY(1, 11, 1, 1), BY(2, 22, 50, 1),
						BY(3, 33, 101, 1), BY(4, 44, 150, 1) };
	static const struct lfs_epoch promoted[] = { BY(1, 11, 1, 1), BY(2, 22, 50, 1),
						     BY(3, 33, 101, 2),
						     BY(4, 44, 150, 1) };
	static const struct lfs_epoch opened[] = { BY(1, 11, 1, 1), BY(2, 22, 50, 1),
						   BY(3, 77, 91, 1) };
	static const struct {
		struct history_side ours, theirs;
		bool rolled_back, of_a_copy;
	} rows[] = {
		{ { own, 2, 90, 7 }, { own, 4, 200, 7 }, true, false },
		{ { own, 2, 100, 7 }, { own, 4, 200, 7 }, true, false },
		{ { own, 2, 101, 7 }, { own, 4, 200, 7 }, false, true },
		{ { own, 3, 149, 7 }, { own, 4, 149, 7 }, true, false },
		/* the other site was promoted in between, or before the end */
		{ { own, 2, 90, 7 }, { promoted, 4, 200, 7 }, false, false },
		{ { own, 2, 90, 7 }, { promoted, 3, 149, 7 }, false, false },
		{ { own, 2, 120, 7 }, { promoted, 4, 200, 7 }, false, false },
		/* it was opened since, and has written nothing, or has */
		{ { opened, 3, 90, 7 }, { own, 4, 200, 7 }, true, false },
		{ { opened, 3, 91, 7 }, { own, 4, 200, 7 }, false, false },
		/* nothing is newer there */
		{ { own, 4, 200, 7 }, { own, 4, 200, 7 }, false, false },
		{ { own, 4, 200, 7 }, { own, 2, 100, 7 }, false, false },
		{ { own, 4, 160, 7 }, { own, 4, 200, 7 }, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (history_is_rolled_back(&rows[i].ours, &rows[i].theirs, ours) !=
			    rows[i].rolled_back ||
		    history_is_of_a_copy(&rows[i].ours, &rows[i].theirs, ours) !=
			    rows[i].of_a_copy)
			fail_msg("row %zu", i);
		assert_false(
			history_is_rolled_back(&rows[i].ours, &rows[i].theirs, nobodys));
	}
}

static void a_new_epoch_is_above_every_number_seen(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ .number = 4, .id = 1, .first_lsn = 1 };
	assert_int_equal(history_next_number(meta, 0), 5);
	assert_int_equal(history_next_number(meta, 4), 5);
	assert_int_equal(history_next_number(meta, 9), 10);
	assert_false(history_may_be_next(meta, 3));
	assert_false(history_may_be_next(meta, 4));
	assert_true(history_may_be_next(meta, 5));
	assert_true(history_may_be_next(meta, 4 + HISTORY_LEAP_MAX));
	assert_false(history_may_be_next(meta, 5 + HISTORY_LEAP_MAX));
	assert_true(history_counts_as_seen(meta, 0));
	assert_true(history_counts_as_seen(meta, 4 + HISTORY_SEEN_MAX));
	assert_false(history_counts_as_seen(meta, 5 + HISTORY_SEEN_MAX));
	begin(meta, 10, 6, 20);
	assert_int_equal(history_next_number(meta, 9), 11);
	assert_int_equal(meta->epochs[1].number, 10);
	assert_int_equal(meta->epochs[1].id, 6);
	assert_int_equal(meta->epochs[1].first_lsn, 20);
	free(meta);
}

static void an_epoch_never_reached_is_empty_afterwards(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 4;
	meta->epochs[0] = (struct lfs_epoch){ .number = 1, .id = 1, .first_lsn = 1 };
	meta->epochs[1] = (struct lfs_epoch){ .number = 2, .id = 2, .first_lsn = 91 };
	meta->epochs[2] = (struct lfs_epoch){ .number = 3, .id = 3, .first_lsn = 92 };
	meta->epochs[3] = (struct lfs_epoch){ .number = 4, .id = 4, .first_lsn = 100 };
	add_unreached(meta, 0, 0, 91);
	begin(meta, 5, 5, 91);
	assert_int_equal(meta->nepochs, 5);
	assert_int_equal(meta->epochs[0].first_lsn, 1);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(meta->epochs[i].first_lsn, 91);
	assert_int_equal(lfs_epoch_of(meta, 90)->number, 1);
	assert_int_equal(lfs_epoch_of(meta, 91)->number, 5);
	free(meta);
}

/* What a restart after which nothing was written leaves behind. */
static void an_empty_epoch_is_folded_into_the_next(void **state)
{
	static const struct {
		unsigned nepochs; /* of { 1, 11, 1 }, { 2, 22, 50 } */
		uint64_t named, first_lsn;
		unsigned want;
	} rows[] = {
		{ 2, 0, 50, 2 },  /* nobody knows of it */
		{ 2, 11, 50, 2 }, /* nor of it, though of the one before */
		{ 2, 22, 50, 3 }, /* START may have named it */
		{ 2, 0, 51, 3 },  /* something was written in it */
		{ 1, 0, 1, 2 },	  /* the only one: a paired mirror holds it */
	};
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(meta->epochs, base, sizeof(base));
		meta->nepochs = rows[i].nepochs;
		meta->named_epoch = rows[i].named;
		begin(meta, rows[i].nepochs + 1, 33, rows[i].first_lsn);
		assert_int_equal(meta->nepochs, rows[i].want);
		assert_int_equal(meta->epochs[meta->nepochs - 1].id, 33);
		assert_int_equal(meta->epochs[meta->nepochs - 1].number,
				 rows[i].nepochs + 1);
		assert_int_equal(meta->epochs[meta->nepochs - 1].first_lsn,
				 rows[i].first_lsn);
		assert_int_equal(meta->epochs[0].id, 11);
	}
	free(meta);
}

enum { HALF = LFS_HISTORY_MAX / 2 };

/* Entry i is epoch i + 1, id i + 1. Those with an even id hold ten LSNs, the others none. */
static void long_history(struct lfs_meta *meta, unsigned n)
{
	meta->nepochs = n;
	for (unsigned i = 0; i < n; i++)
		meta->epochs[i] = (struct lfs_epoch){ .number = i + 1,
						      .id = i + 1,
						      .first_lsn = i / 2 * 10 + 1 };
}

/* The records of an epoch bear its id: as long as they are in the log, it is in the history. */
static void only_epochs_without_a_write_are_dropped(void **state)
{
	static const struct {
		unsigned n;
		uint64_t mirror; /* its current epoch */
		unsigned gone;
	} rows[] = {
		{ HALF, HALF, 0 }, /* short enough */
		{ HALF + 2, HALF + 2, HALF / 2 + 1 },
		{ HALF + 2, HALF + 1, HALF / 2 }, /* its own stays */
		{ HALF + 2, 1, 0 },		  /* START has named no later one */
		{ HALF + 2, 2, 1 },
		{ HALF + 2, 0, 0 }, /* it is in none of ours */
	};
	struct lfs_meta *meta = calloc(1, sizeof(*meta));
	struct lfs_meta *before = calloc(1, sizeof(*meta));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long_history(meta, rows[i].n);
		*before = *meta;
		assert_int_equal(history_drop(meta, rows[i].mirror), rows[i].gone > 0);
		assert_int_equal(meta->nepochs, rows[i].n - rows[i].gone);
		assert_int_equal(meta->epochs[meta->nepochs - 1].id, rows[i].n);
		for (uint64_t lsn = 1; lsn < 10 * (HALF / 2); lsn++)
			assert_int_equal(lfs_epoch_of(meta, lsn)->id,
					 lfs_epoch_of(before, lsn)->id);
	}
	free(before);
	free(meta);
}

/* The primary has said that it is about to begin an epoch, and START has not come. */
static void an_announced_epoch_is_superseded(void **state)
{
	static const struct {
		uint64_t number, id;
		unsigned want;
	} rows[] = {
		{ 3, 33, 3 }, { 7, 33, 3 }, { 0, 0, 2 }, /* nothing was announced */
		{ 2, 22, 2 },				 /* START has come */
		{ 2, 99, 2 },				 /* none that could follow ours */
	};
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct history_side primary = { NULL, 3, 120, 7 },
				    mirror = { NULL, 0, 70, 8 };
		struct lfs_epoch epochs[] = { base[0], base[1],
					      EPOCH(rows[i].number, rows[i].id, 101) };

		memcpy(meta->epochs, base, sizeof(base));
		meta->nepochs = 2;
		meta->named_epoch = 0;
		add_unreached(meta, rows[i].number, rows[i].id, 71);
		assert_int_equal(meta->nepochs, rows[i].want);
		begin(meta, history_next_number(meta, 0), 55, 71);
		assert_int_equal(meta->nepochs, rows[i].want + 1);
		if (rows[i].want == 2)
			continue;
		assert_int_equal(meta->epochs[2].id, rows[i].id);
		assert_int_equal(meta->epochs[2].first_lsn, 71);
		primary.epochs = epochs;
		mirror.epochs = meta->epochs;
		mirror.nepochs = meta->nepochs;
		assert_int_equal(history_compare(&primary, &mirror), HISTORY_SUPERSEDED);
	}
	free(meta);
}

static void a_full_history_folds_its_oldest(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	(void)state;
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ .number = 1, .id = 1, .first_lsn = 1 };
	for (uint64_t i = 2; i <= LFS_HISTORY_MAX + 5; i++)
		assert_int_equal(begin(meta, i, i, i), i <= LFS_HISTORY_MAX);
	assert_int_equal(meta->nepochs, LFS_HISTORY_MAX);
	assert_int_equal(meta->epochs[LFS_HISTORY_MAX - 1].number, LFS_HISTORY_MAX + 5);
	assert_int_equal(meta->epochs[0].number, 6);
	free(meta);
}

/*
 * Completed writes may be missing from what is before an epoch: a client's cache must not
 * outlive that, at either site, and must outlive everything else.
 */
static void the_generation_is_that_of_the_newest_lossy_epoch(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));
	struct history_start next = { .number = 2, .id = 22, .first_lsn = 50 };
	uint64_t first, second;

	assert_non_null(meta);
	next.store = ours;
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ .number = 1, .id = 11, .first_lsn = 1 };
	meta->epochs[0].lossy = 11;
	first = history_generation(meta, 7);
	assert_true(first != 0 && first != history_generation(meta, 8));
	assert_true(history_begin(meta, &next)); /* nothing is missing */
	assert_true(history_generation(meta, 7) == first);
	assert_memory_equal(meta->epochs[1].store, ours, LFS_ID_LEN);
	next = (struct history_start){ 3, 33, 60, ours, true };
	assert_true(history_begin(meta, &next));
	second = history_generation(meta, 7);
	assert_true(second != first);
	next = (struct history_start){ 4, 44, 60, ours, false };
	assert_true(history_begin(meta, &next)); /* in the place of that one */
	assert_int_equal(meta->nepochs, 3);
	assert_int_equal(meta->epochs[2].id, 44);
	assert_true(history_generation(meta, 7) == second);
	next = (struct history_start){ 5, 55, 60, ours, true };
	assert_true(history_begin(meta, &next));
	assert_true(history_generation(meta, 7) != second);
	assert_true(history_generation(meta, 7) != first);
	second = history_generation(meta, 7);
	assert_true(
		add_unreached(meta, 6, 66, 61)); /* the promotion behind it is lossy */
	assert_true(history_generation(meta, 7) == second);
	assert_memory_equal(meta->epochs[3].store, theirs, LFS_ID_LEN);
	free(meta);
}

static struct lfs_epoch of(uint64_t id, uint64_t first_lsn,
			   const uint8_t store[LFS_ID_LEN])
{
	struct lfs_epoch e = { .number = id, .id = id, .first_lsn = first_lsn };

	memcpy(e.store, store, LFS_ID_LEN);
	return e;
}

/*
 * A promotion is taken back only where nothing can be lost by it: no write was taken, and no
 * mirror may hold an epoch that nobody would know any more.
 */
static void a_promotion_is_undone_where_nothing_is_lost(void **state)
{
	/* It was a mirror in 22 up to LSN 100; 33 was announced, 44 is the promotion's. */
	const struct lfs_epoch epochs[] = { of(11, 1, theirs), of(22, 50, theirs),
					    of(33, 101, theirs), of(44, 101, ours),
					    of(55, 101, ours) };
	static const struct {
		unsigned nepochs;
		uint64_t before, named, lsn;
		enum history_undo want;
	} rows[] = {
		{ 4, 22, 33, 100, HISTORY_UNDO_MAY },
		{ 5, 22, 33, 100, HISTORY_UNDO_MAY }, /* it was restarted since */
		{ 4, 22, 22, 100, HISTORY_UNDO_MAY }, /* nothing had been announced */
		{ 4, 22, 33, 101, HISTORY_UNDO_WRITTEN },
		{ 5, 22, 33, 107, HISTORY_UNDO_WRITTEN },
		{ 4, 22, 44, 100, HISTORY_UNDO_NAMED },
		{ 5, 22, 44, 100, HISTORY_UNDO_NAMED },
		{ 5, 22, 55, 100, HISTORY_UNDO_NAMED },
		{ 4, 0, 33, 100, HISTORY_UNDO_NONE },  /* it was no mirror */
		{ 4, 99, 33, 100, HISTORY_UNDO_NONE }, /* the history has forgotten */
		{ 2, 22, 22, 100, HISTORY_UNDO_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lfs_meta *meta = calloc(1, sizeof(*meta));

		assert_non_null(meta);
		memcpy(meta->epochs, epochs, sizeof(epochs));
		meta->nepochs = rows[i].nepochs;
		meta->named_epoch = rows[i].named;
		meta->flags = LFS_ALONE;
		meta->promotion.before = rows[i].before;
		meta->promotion.epoch = 44;
		if (history_undo_judge(meta, rows[i].lsn, ours) != rows[i].want)
			fail_msg("row %zu", i);
		meta->flags = 0; /* a mirror has been in sync since */
		assert_int_equal(history_undo_judge(meta, rows[i].lsn, ours),
				 HISTORY_UNDO_NONE);
		if (rows[i].want == HISTORY_UNDO_MAY) {
			history_undo(meta);
			assert_int_equal(meta->nepochs, 2);
			assert_memory_equal(meta->epochs, epochs, 2 * sizeof(epochs[0]));
			assert_int_equal(meta->promotion.undone, 44);
			assert_int_equal(meta->promotion.before, 0);
			assert_int_equal(meta->named_epoch, 22);
			assert_int_equal(history_undo_judge(meta, 100, ours),
					 HISTORY_UNDO_NONE);
		}
		free(meta);
	}
}

/* The epoch of a promotion stays in the history: its peer may have been fenced by it. */
static void the_epoch_of_a_promotion_is_not_folded(void **state)
{
	struct lfs_meta *meta = calloc(1, sizeof(*meta));

	assert_non_null(meta);
	meta->epochs[0] = of(22, 50, theirs);
	meta->epochs[1] = of(44, 101, ours);
	meta->nepochs = 2;
	meta->promotion.epoch = 44;
	assert_true(begin(meta, 45, 45, 101));
	assert_true(begin(meta, 46, 46, 101));
	assert_int_equal(meta->nepochs, 3);
	assert_int_equal(meta->epochs[1].id, 44);
	assert_int_equal(meta->epochs[2].id, 46);
	free(meta);
}

/* A fence has the name of the first epoch that the other site began, and ends by that name. */
static void a_fence_ends_by_its_name_alone(void **state)
{
	const struct lfs_epoch mine[] = { of(11, 1, ours), of(22, 50, ours) };
	const struct lfs_epoch promoted[] = { of(11, 1, ours), of(22, 50, ours),
					      of(33, 101, ours), of(44, 101, theirs),
					      of(55, 101, theirs) };
	const struct history_side us = { mine, 2, 100, 7 };
	const struct history_side it = { promoted, 5, 100, 7 };
	const struct history_side back = { promoted, 2, 100, 7 };

	assert_int_equal(history_fence(&us, &it, theirs), 44);
	assert_int_equal(history_fence(&us, &it, nobodys), 0);
	assert_int_equal(history_fence(&us, &back, theirs), 0);
	assert_true(history_fence_is_over(44, 44, &back));
	/* An older copy of the mirror shows that history, too: it has undone nothing. */
	assert_false(history_fence_is_over(44, 0, &back));
	assert_false(history_fence_is_over(44, 43, &back));
	assert_false(history_fence_is_over(0, 0, &back));
	/* It was undone, and is there all the same: somebody plays with copies. */
	assert_false(history_fence_is_over(44, 44, &it));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_the_table),
		cmocka_unit_test(a_mirror_goes_back_to_no_lsn_that_it_held),
		cmocka_unit_test(a_new_epoch_is_above_every_number_seen),
		cmocka_unit_test(an_epoch_never_reached_is_empty_afterwards),
		cmocka_unit_test(an_empty_epoch_is_folded_into_the_next),
		cmocka_unit_test(only_epochs_without_a_write_are_dropped),
		cmocka_unit_test(an_announced_epoch_is_superseded),
		cmocka_unit_test(a_full_history_folds_its_oldest),
		cmocka_unit_test(a_store_knows_its_own_later_epochs),
		cmocka_unit_test(the_generation_is_that_of_the_newest_lossy_epoch),
		cmocka_unit_test(a_promotion_is_undone_where_nothing_is_lost),
		cmocka_unit_test(the_epoch_of_a_promotion_is_not_folded),
		cmocka_unit_test(a_fence_ends_by_its_name_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
