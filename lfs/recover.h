/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_RECOVER_H
#define LFS_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/checkpoint_slot.h"
#include "lfs/lfs.h"
#include "lfs/map.h"
#include "lfs/scan.h"
#include "lfs/segment.h"
#include "lfs/superblock.h"
#include "lfs/tail.h"
#include "rt/loop.h"

/*
 * From a chosen superblock to a map and the end of the log. Nothing is written.
 * checkpoint_load.c reads a checkpoint slot and the map that it names, log_replay.c
 * reads the log from there and decides where and why it ends.
 */

#define LFS_LOADS 32u /* images read at the same time */

struct lfs_recover;

struct lfs_load_image {
	struct rt_op op;
	struct lfs_recover *rc;
	uint8_t *image; /* borrowed from images */
	uint32_t volume, index;
	bool busy;
};

/* A checkpoint slot, and the map that it names (checkpoint_load.c). */
struct lfs_load {
	struct rt_op op;
	unsigned checkpoint_slot_at; /* 0 or 1 */
	struct lfs_checkpoint_slot slot;
	uint8_t *head; /* owned: one block */
	uint8_t *body; /* owned */
	uint64_t got;
	uint8_t *images; /* owned */
	struct lfs_load_image image[LFS_LOADS];
	unsigned loading;
	/* where the search for images stands: for those of inner nodes, or of leaves */
	bool inner;
	unsigned volume;
	uint32_t index;
	int res;
};

/* The search for evidence behind a break: its place. */
struct lfs_search {
	uint32_t segment, block, next;
	uint32_t searched; /* segments */
	bool found;	   /* a record of this incarnation, in this segment */
};

/* The chain of records (log_replay.c). */
struct lfs_replay {
	struct lfs_scan scan;
	uint32_t load_segment; /* that the scan reads, and what comes then */
	void (*loaded)(struct lfs_recover *rc);
	struct lfs_tail tail;
	uint64_t incarnation; /* of the chain being followed */
	bool header_read;
	uint32_t next;	    /* segment after tail.segment */
	struct lfs_op *ops; /* owned */
	uint32_t *crcs;	    /* owned */
	rt_time reported;
	struct lfs_search search;
};

struct lfs_recover {
	/* The store, and the superblock that counts; all borrowed. */
	struct rt_loop *loop;
	struct rt_file *file;
	const struct lfs_superblock *superblock;
	const struct lfs_meta *meta;
	/* What is filled; borrowed. */
	struct lfs_segments *segs;
	struct lfs_map *map;
	uint64_t map_memory; /* bytes, that it may take */

	void (*done)(struct lfs_recover *rc, int res);
	char why[LFS_WHY_MAX];
	struct lfs_recovery stats;
	rt_time began;
	bool clean;    /* the store was closed in order */
	bool fallback; /* the checkpoint slot is not the one that the superblock names */
	bool cross;    /* it may be older than the newest incarnation */
	/* the highest record that a checkpoint names as durable, and which checkpoint */
	uint64_t written_seq, written_by;
	struct lfs_load load;
	struct lfs_replay replay;
};

/*
 * Starts; `done` gets 0, and replay.tail is where the log goes on; or -EUCLEAN, -EIO,
 * -EDQUOT, -ENOMEM. rc is the caller's.
 */
void lfs_recover_start(struct lfs_recover *rc);
void lfs_recover_release(struct lfs_recover *rc);

void lfs_replay_start(struct lfs_recover *rc);
void lfs_recover_end(struct lfs_recover *rc, int res);
/* The map has ended with `res`: say why. 0 is fine. */
void lfs_recover_map_why(struct lfs_recover *rc, int res);
/* Ends with -ENOMEM, in the next turn: nobody is called back from inside his own call. */
void lfs_recover_starve(struct lfs_recover *rc);

#endif
