/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_HISTORY_H
#define REPLICATOR_HISTORY_H

#include <stdint.h>

#include "lfs/lfs.h"

/*
 * What two sites may conclude from their histories, as a pure function. A history is the
 * ascending list of epochs with the first LSN of each; the last is the current one.
 */
struct history_side {
	const struct lfs_epoch *epochs;
	unsigned nepochs; /* >= 1 */
	uint64_t lsn;	  /* last LSN it holds */
	uint64_t hash;	  /* history hash after it */
};

enum history_relation {
	/* The same history up to `theirs`, which is a prefix of ours or equal to it. */
	HISTORY_BEHIND,
	/* The same current epoch, and they hold LSNs beyond ours. */
	HISTORY_AHEAD,
	/* Their current epoch is an old one of ours, and they hold LSNs that our history
	 * gave to others after it: a surplus after a fork. */
	HISTORY_SURPLUS,
	/* Their history contains our current epoch and goes on to a newer one. */
	HISTORY_SUPERSEDED,
	/* Neither history contains the other's current epoch, or one LSN has two hashes. */
	HISTORY_SPLIT,
};

/* How `theirs` stands to `ours`. */
enum history_relation history_compare(const struct history_side *ours,
				      const struct history_side *theirs);

/* The last LSN that belongs to epoch i of the side: its end or the side's own lsn. */
uint64_t history_epoch_end(const struct history_side *side, unsigned i);

/*
 * Append a new epoch {1 + max(number seen), id} that begins at `first_lsn`, folding the
 * oldest one when the list is full.
 */
void history_begin(struct lfs_meta *meta, uint64_t number_seen, uint64_t id,
		   uint64_t first_lsn);

#endif
