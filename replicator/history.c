// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/history.h"

#include <stdbool.h>
#include <string.h>

#include "rt/check.h"

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

enum history_relation history_compare(const struct history_side *ours,
				      const struct history_side *theirs)
{
	unsigned at;

	if (history_find(ours, history_current(theirs), &at)) {
		if (at + 1 < ours->nepochs)
			return theirs->lsn > history_epoch_end(ours, at) ? HISTORY_SURPLUS
									 : HISTORY_BEHIND;
		if (theirs->lsn > ours->lsn)
			return HISTORY_AHEAD;
		if (theirs->lsn == ours->lsn && theirs->hash != ours->hash)
			return HISTORY_SPLIT;
		return HISTORY_BEHIND;
	}
	if (history_find(theirs, history_current(ours), &at))
		return HISTORY_SUPERSEDED;
	return HISTORY_SPLIT;
}

void history_begin(struct lfs_meta *meta, uint64_t number_seen, uint64_t id,
		   uint64_t first_lsn)
{
	uint64_t number = meta->epochs[meta->nepochs - 1].number;

	if (number_seen > number)
		number = number_seen;
	if (meta->nepochs == LFS_HISTORY_MAX) {
		memmove(meta->epochs, meta->epochs + 1,
			(LFS_HISTORY_MAX - 1) * sizeof(meta->epochs[0]));
		meta->nepochs--;
	}
	/* A mirror promoted in the middle of a catch-up knows of epochs that it never
	 * reached: they are empty in the history that goes on from here. */
	for (unsigned i = 0; i < meta->nepochs; i++)
		if (meta->epochs[i].first_lsn > first_lsn)
			meta->epochs[i].first_lsn = first_lsn;
	meta->epochs[meta->nepochs++] = (struct lfs_epoch){ number + 1, id, first_lsn };
}
