/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_HISTORY_H
#define REPLICATOR_HISTORY_H

#include <stdbool.h>
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

/* An epoch that begins. */
struct history_start {
	uint64_t number, id, first_lsn;
	const uint8_t *store; /* LFS_ID_LEN bytes: the one that begins it */
	bool lossy;	      /* completed writes may be missing from what is before it */
};

enum history_relation {
	/* The same history up to `theirs`, which is a prefix of ours or equal to it. */
	HISTORY_BEHIND,
	/* The same current epoch, and they hold LSNs beyond ours. */
	HISTORY_AHEAD,
	/* Their current epoch is an old one of ours, and they hold LSNs that our history
	 * gave to others after it: a surplus after a fork. */
	HISTORY_SURPLUS,
	/* Their history contains our current epoch, or the one before it if nothing was
	 * written in that, and goes on to a newer one. */
	HISTORY_SUPERSEDED,
	/* The other end of that: they are in an epoch that we do not know and in which they
	 * have written nothing, and ours is newer. */
	HISTORY_UNWRITTEN,
	/* Neither history contains the other's current epoch, or one LSN has two hashes. */
	HISTORY_SPLIT,
};

/* How `theirs` stands to `ours`. */
enum history_relation history_compare(const struct history_side *ours,
				      const struct history_side *theirs);

/*
 * We are SUPERSEDED, by epochs that all were begun by `store`, our own, and hold nothing
 * that they do not: our store was put back to an older state of itself.
 */
bool history_is_rolled_back(const struct history_side *ours,
			    const struct history_side *theirs,
			    const uint8_t store[LFS_ID_LEN]);
/* The same, but we have written since then: a copy of our store was opened, and written. */
bool history_is_of_a_copy(const struct history_side *ours,
			  const struct history_side *theirs,
			  const uint8_t store[LFS_ID_LEN]);

/* We are SUPERSEDED, and hold LSNs that their history gave to others. */
bool history_has_surplus(const struct history_side *ours,
			 const struct history_side *theirs);

/*
 * A mirror whose history fits, and whose store was once known to hold `reached` for good and
 * holds less now: an older copy of it. What a disk has taken for good it does not lose.
 */
bool history_is_older_copy(enum history_relation relation,
			   const struct history_side *theirs, uint64_t reached);

/* The last LSN that belongs to epoch i of the side: its end or the side's own lsn. */
uint64_t history_epoch_end(const struct history_side *side, unsigned i);

/*
 * An epoch that a peer names: its number is above ours, and not so far that no later one could
 * be named to anybody.
 */
#define HISTORY_LEAP_MAX (UINT64_C(1) << 32)
bool history_may_be_next(const struct lfs_meta *meta, uint64_t number);

/*
 * What a peer shows is counted as seen, so that the next epoch here is above it; but for one
 * that leaps so far that the other site may be left behind by it.
 */
#define HISTORY_SEEN_MAX (UINT64_C(1) << 26)
bool history_counts_as_seen(const struct lfs_meta *meta, uint64_t number);

/* The number of the next epoch: above all of these, and above `seen`. */
uint64_t history_next_number(const struct lfs_meta *meta, uint64_t seen);

/*
 * What tells a client of a volume whether its cache may be trusted: it changes with each
 * epoch at whose beginning completed writes may have been lost, is the same at both sites,
 * and survives everything else. Never 0.
 */
uint64_t history_generation(const struct lfs_meta *meta, uint64_t volume_id);

/*
 * Append an epoch. It takes the place of the current one where nothing was written in that and no START can have named it to a mirror
 * (meta->named_epoch); but never of the only one, which a mirror that has just been paired
 * holds. When the list is full its oldest entry goes: false then, since the log can fill no
 * new mirror any more.
 */
bool history_begin(struct lfs_meta *meta, const struct history_start *start);

/*
 * A mirror is promoted: its history holds the epoch `next` that its primary was about to
 * begin, if there is one (id 0: none) and it is not there already, and from then on all that
 * it has not reached as epochs in which nothing was written. None of them is ever folded:
 * the site that began it may have written in it. False as above.
 */
bool history_add_unreached(struct lfs_meta *meta, const struct history_start *next);

/*
 * The mirror's current epoch is `mirror_epoch`: once the list is half full, epochs before it in
 * which nothing was written go. One that holds LSNs never does: their records in the log bear
 * its id, and a new mirror takes them by that. True when some went.
 */
bool history_drop(struct lfs_meta *meta, uint64_t mirror_epoch);

enum history_undo {
	HISTORY_UNDO_MAY,
	HISTORY_UNDO_NONE,    /* it was no mirror before, or the history has forgotten */
	HISTORY_UNDO_WRITTEN, /* it holds LSNs of its own reign */
	HISTORY_UNDO_NAMED,   /* a START may have named its reign to a mirror */
};

/*
 * Whether a promotion may be taken back (docs/decisions/0026-a-promotion-is-undone-by-name.md): this site is `store`, and its
 * last LSN is `lsn`.
 */
enum history_undo history_undo_judge(const struct lfs_meta *meta, uint64_t lsn,
				     const uint8_t store[LFS_ID_LEN]);
/* Where it may: the history ends again with the epoch in which this site was a mirror. */
void history_undo(struct lfs_meta *meta);

/*
 * What fences us: the first epoch that the store `peer` has begun beyond our history. 0: none
 * of those is its own.
 */
uint64_t history_fence(const struct history_side *ours, const struct history_side *theirs,
		       const uint8_t peer[LFS_ID_LEN]);
/*
 * The paired mirror says that it has undone the promotion that began `fence`, and shows a
 * history without it.
 */
bool history_fence_is_over(uint64_t fence, uint64_t undone,
			   const struct history_side *theirs);

#endif
