// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/history.h"

#include <string.h>

#include "rt/bug.h"
#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/hash.h"

static bool history_find(const struct history_side *side, const struct lfs_epoch *epoch,
			 unsigned *at)
{
	for (unsigned i = side->nepochs; i-- > 0;) {
		if (side->epochs[i].id == epoch->id &&
		    side->epochs[i].number == epoch->number) {
			*at = i;
			return true;
		}
	}
	return false;
}

uint64_t history_epoch_end(const struct history_side *side, unsigned i)
{
	if (i + 1 < side->nepochs)
		return side->epochs[i + 1].first_lsn - 1;
	return side->lsn;
}

static const struct lfs_epoch *history_current(const struct history_side *side)
{
	rt_assert(side->nepochs >= 1);
	return &side->epochs[side->nepochs - 1];
}

/* Without the last epochs, in which it has written nothing. */
static struct history_side history_written(const struct history_side *side)
{
	struct history_side written = *side;

	while (written.nepochs > 1 && history_current(&written)->first_lsn > side->lsn)
		written.nepochs--;
	return written;
}

/*
 * Neither knows the other's current epoch. A primary that began one and wrote nothing in it
 * has only what it had before: who is in a newer epoch and knows that has superseded it. Of
 * two with one number, who has written is the newer one.
 */
static enum history_relation history_compare_unknown(const struct history_side *ours,
						     const struct history_side *theirs)
{
	const struct history_side our = history_written(ours);
	const struct history_side their = history_written(theirs);
	bool we_wrote = our.nepochs == ours->nepochs;
	bool they_wrote = their.nepochs == theirs->nepochs;
	uint64_t our_rank = 2 * history_current(ours)->number + we_wrote;
	uint64_t their_rank = 2 * history_current(theirs)->number + they_wrote;
	unsigned at;

	if (their_rank > our_rank && history_find(theirs, history_current(&our), &at))
		return HISTORY_SUPERSEDED;
	if (our_rank > their_rank && history_find(ours, history_current(&their), &at))
		return HISTORY_UNWRITTEN;
	return HISTORY_SPLIT;
}

enum history_relation history_compare(const struct history_side *ours,
				      const struct history_side *theirs)
{
	unsigned at;

	if (history_find(ours, history_current(theirs), &at)) {
		if (at + 1 < ours->nepochs && theirs->lsn > history_epoch_end(ours, at))
			return HISTORY_SURPLUS;
		if (theirs->lsn > ours->lsn)
			return HISTORY_AHEAD;
		if (theirs->lsn == ours->lsn && theirs->hash != ours->hash)
			return HISTORY_SPLIT;
		return HISTORY_BEHIND;
	}
	if (history_find(theirs, history_current(ours), &at))
		return HISTORY_SUPERSEDED;
	return history_compare_unknown(ours, theirs);
}

/*
 * Where in their history our last written epoch is, if all of theirs behind it were begun by
 * `store`.
 */
static bool history_goes_on_by(const struct history_side *ours,
			       const struct history_side *theirs, const uint8_t *store,
			       unsigned *at)
{
	const struct history_side our = history_written(ours);

	if (!history_find(theirs, history_current(&our), at) ||
	    *at + 1 == theirs->nepochs)
		return false;
	for (unsigned i = *at + 1; i < theirs->nepochs; i++)
		if (memcmp(theirs->epochs[i].store, store, LFS_ID_LEN) != 0)
			return false;
	return true;
}

bool history_is_rolled_back(const struct history_side *ours,
			    const struct history_side *theirs,
			    const uint8_t store[LFS_ID_LEN])
{
	unsigned at;

	return history_compare(ours, theirs) == HISTORY_SUPERSEDED &&
	       history_goes_on_by(ours, theirs, store, &at) &&
	       ours->lsn <= history_epoch_end(theirs, at);
}

bool history_is_of_a_copy(const struct history_side *ours,
			  const struct history_side *theirs,
			  const uint8_t store[LFS_ID_LEN])
{
	unsigned at;

	return history_compare(ours, theirs) == HISTORY_SUPERSEDED &&
	       history_goes_on_by(ours, theirs, store, &at) &&
	       ours->lsn > history_epoch_end(theirs, at);
}

bool history_has_surplus(const struct history_side *ours,
			 const struct history_side *theirs)
{
	const struct history_side our = history_written(ours);
	unsigned at;

	return !history_find(theirs, history_current(&our), &at) ||
	       ours->lsn > history_epoch_end(theirs, at);
}

bool history_is_older_copy(enum history_relation relation,
			   const struct history_side *theirs, uint64_t reached)
{
	return (relation == HISTORY_BEHIND || relation == HISTORY_AHEAD) &&
	       theirs->lsn < reached;
}

/* Nothing was written in the current epoch before `first_lsn`, and nobody knows of it. */
static bool history_may_fold(const struct lfs_meta *meta, uint64_t first_lsn)
{
	const struct lfs_epoch *current = &meta->epochs[meta->nepochs - 1];

	return meta->nepochs > 1 && current->first_lsn == first_lsn &&
	       current->id != meta->named_epoch && current->id != meta->promotion.epoch &&
	       !RT_BUG(EMPTY_EPOCHS_KEPT);
}

bool history_may_be_next(const struct lfs_meta *meta, uint64_t number)
{
	uint64_t current = meta->epochs[meta->nepochs - 1].number;

	return number > current && number - current <= HISTORY_LEAP_MAX;
}

bool history_counts_as_seen(const struct lfs_meta *meta, uint64_t number)
{
	uint64_t current = meta->epochs[meta->nepochs - 1].number;

	return number <= current || number - current <= HISTORY_SEEN_MAX;
}

uint64_t history_next_number(const struct lfs_meta *meta, uint64_t seen)
{
	uint64_t number = meta->epochs[meta->nepochs - 1].number;

	return (seen > number ? seen : number) + 1;
}

static void history_remove(struct lfs_meta *meta, unsigned i)
{
	meta->nepochs--;
	memmove(&meta->epochs[i], &meta->epochs[i + 1],
		(meta->nepochs - i) * sizeof(meta->epochs[0]));
}

static bool history_append(struct lfs_meta *meta, const struct history_start *start,
			   uint64_t lossy)
{
	bool full = meta->nepochs == LFS_HISTORY_MAX;
	struct lfs_epoch *epoch;

	if (full)
		history_remove(meta, 0);
	epoch = &meta->epochs[meta->nepochs++];
	*epoch = (struct lfs_epoch){ .number = start->number,
				     .id = start->id,
				     .first_lsn = start->first_lsn,
				     .lossy = start->lossy ? start->id : lossy };
	memcpy(epoch->store, start->store, LFS_ID_LEN);
	return !full;
}

bool history_begin(struct lfs_meta *meta, const struct history_start *start)
{
	uint64_t lossy = meta->epochs[meta->nepochs - 1].lossy;

	if (history_may_fold(meta, start->first_lsn)) {
		meta->nepochs--;
		if (RT_BUG(LOSSY_FOLDED_AWAY))
			lossy = meta->epochs[meta->nepochs - 1].lossy;
	}
	return history_append(meta, start, lossy);
}

bool history_add_unreached(struct lfs_meta *meta, const struct history_start *next)
{
	const struct lfs_epoch *current = &meta->epochs[meta->nepochs - 1];
	bool all = true;

	if (next->id != 0 && next->number > current->number)
		all = history_append(meta, next, current->lossy);
	/* Promoted in the middle of a catch-up: START has named them. */
	for (unsigned i = 0; i < meta->nepochs; i++)
		if (meta->epochs[i].first_lsn > next->first_lsn)
			meta->epochs[i].first_lsn = next->first_lsn;
	meta->named_epoch = meta->epochs[meta->nepochs - 1].id;
	return all;
}

uint64_t history_generation(const struct lfs_meta *meta, uint64_t volume_id)
{
	le64 lossy = le64_make(meta->epochs[meta->nepochs - 1].lossy);
	uint64_t generation = rt_siphash(volume_id, 0, &lossy, sizeof(lossy));

	return generation ? generation : 1;
}

bool history_drop(struct lfs_meta *meta, uint64_t mirror_epoch)
{
	unsigned before = meta->nepochs, mirror = 0;

	while (mirror < before && meta->epochs[mirror].id != mirror_epoch)
		mirror++;
	if (before <= LFS_HISTORY_MAX / 2 || mirror == before)
		return false;
	for (unsigned i = mirror; i-- > 0;)
		if (meta->epochs[i].first_lsn == meta->epochs[i + 1].first_lsn)
			history_remove(meta, i);
	return meta->nepochs < before;
}

/* Entry of the epoch in which this site was a mirror; nepochs: there is none. */
static unsigned history_before_promotion(const struct lfs_meta *meta)
{
	unsigned i = 0;

	if (meta->promotion.before == 0)
		return meta->nepochs;
	while (i < meta->nepochs && meta->epochs[i].id != meta->promotion.before)
		i++;
	return i;
}

enum history_undo history_undo_judge(const struct lfs_meta *meta, uint64_t lsn,
				     const uint8_t store[LFS_ID_LEN])
{
	unsigned before = history_before_promotion(meta);

	/* ALONE ends when a mirror is in sync. */
	if (before + 1 >= meta->nepochs || !(meta->flags & LFS_ALONE))
		return HISTORY_UNDO_NONE;
	if (meta->epochs[before + 1].first_lsn != lsn + 1)
		return HISTORY_UNDO_WRITTEN;
	for (unsigned i = before + 1; i < meta->nepochs; i++)
		if (meta->epochs[i].id == meta->named_epoch &&
		    memcmp(meta->epochs[i].store, store, LFS_ID_LEN) == 0)
			return HISTORY_UNDO_NAMED;
	return HISTORY_UNDO_MAY;
}

void history_undo(struct lfs_meta *meta)
{
	meta->nepochs = history_before_promotion(meta) + 1;
	meta->named_epoch = meta->promotion.before;
	meta->promotion.undone = meta->promotion.epoch;
	meta->promotion.before = meta->promotion.epoch = 0;
}

uint64_t history_fence(const struct history_side *ours, const struct history_side *theirs,
		       const uint8_t peer[LFS_ID_LEN])
{
	uint64_t fence = 0;
	unsigned at;

	for (unsigned i = theirs->nepochs; i-- > 0;) {
		if (history_find(ours, &theirs->epochs[i], &at))
			break;
		if (memcmp(theirs->epochs[i].store, peer, LFS_ID_LEN) == 0)
			fence = theirs->epochs[i].id;
	}
	return fence;
}

bool history_fence_is_over(uint64_t fence, uint64_t undone,
			   const struct history_side *theirs)
{
	if (fence == 0 || fence != undone)
		return false;
	for (unsigned i = 0; i < theirs->nepochs; i++)
		if (theirs->epochs[i].id == fence)
			return false;
	return true;
}
