/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_RECOVER_H
#define LFS_RECOVER_H

#include "lfs/scan.h"
#include "lfs/state.h"

/*
 * From a chosen superblock to a map and the place where the log goes on. Nothing is
 * written. In two parts: load.c reads a slot and the leaves that it names, replay.c
 * follows the log from there and decides where and why it ends.
 */

#define LFS_LOADS 32u /* leaves read at the same time */

struct lfs_recover;

struct lfs_load_leaf {
	struct rt_op op;
	struct lfs_recover *rc;
	uint8_t *image; /* borrowed from images */
	uint32_t volume, index;
	bool busy;
};

struct lfs_recover {
	struct lfs *lfs; /* borrowed; its map and segments are filled */
	void (*done)(struct lfs_recover *rc, int res);
	char why[LFS_WHY_MAX];
	struct lfs_recovery stats;
	bool clean;    /* the store was closed in order */
	bool fallback; /* the slot is not the one that the superblock names */
	bool cross;    /* it may be older than the newest incarnation */

	/* load.c */
	struct rt_op op;
	unsigned slot_at;
	struct lfs_slot slot;
	uint8_t *head; /* owned: one block */
	uint8_t *body; /* owned */
	uint64_t got;
	uint8_t *images; /* owned */
	struct lfs_load_leaf loads[LFS_LOADS];
	unsigned loading;
	unsigned volume;
	uint32_t index;
	int load_res;
	/* the highest record that a checkpoint names as durable, and which checkpoint */
	uint64_t written_seq, written_by;

	/* replay.c */
	struct lfs_scan scan;
	struct lfs_tail tail;
	uint64_t incarnation; /* of the chain being followed */
	bool header_read;
	uint32_t next; /* segment after tail.segment */
	struct lfs_op *ops;
	uint32_t *crcs;
	rt_time began, reported;
	/* evidence */
	uint32_t look_segment, look_block, look_next;
	uint32_t looked; /* segments */
	bool look_found;
};

/* Starts; `done` gets 0, -EUCLEAN, -EIO, -ENOMEM. rc is the caller's. */
void lfs_recover_start(struct lfs_recover *rc);
void lfs_recover_release(struct lfs_recover *rc);

void lfs_replay_start(struct lfs_recover *rc);
void lfs_recover_end(struct lfs_recover *rc, int res);
/* Ends with -ENOMEM, in the next turn: nobody is called back from inside his own call. */
void lfs_recover_starve(struct lfs_recover *rc);

#endif
