/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_CHECKPOINT_H
#define LFS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/superblock_writer.h"
#include "lfs/tail.h"
#include "lfs/wait.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;
struct lfs_inflight;

enum lfs_checkpoint_state {
	LFS_CHECKPOINT_IDLE,
	LFS_CHECKPOINT_SEARCH, /* for dirty leaves */
	LFS_CHECKPOINT_IMAGES, /* a record of images is in flight; search on after it */
	LFS_CHECKPOINT_LAST_IMAGES, /* the same, and there are no more dirty leaves */
	LFS_CHECKPOINT_SEARCHED,    /* all images are in the log */
	LFS_CHECKPOINT_BODY,	    /* of the checkpoint slot */
	LFS_CHECKPOINT_HEAD,
	LFS_CHECKPOINT_SUPERBLOCK, /* the superblock is to name it */
};

#define LFS_CHECKPOINT_BATCH 64u /* leaves in one record */
#define LFS_CHECKPOINT_PIECE (UINT32_C(256) << 10)

struct lfs_checkpoint_leaf {
	uint32_t volume, index;
	uint32_t crc;
};

/* The checkpoint slot that is being written: the body in pieces, then the head. */
struct lfs_checkpoint_slot_writer {
	struct rt_op op;
	uint8_t *piece; /* owned: LFS_CHECKPOINT_PIECE */
	uint32_t piece_len, piece_done;
	uint64_t off;	 /* in the store */
	unsigned number; /* 0 or 1 */
	uint64_t seq;
	uint32_t body_crc, nleaves, nsegments;
};

struct lfs_checkpoint {
	enum lfs_checkpoint_state state; /* checkpoint_set_state() alone changes it */
	struct lfs_tail start;
	uint64_t start_bytes; /* of admission.log_bytes */
	uint64_t base_bytes;  /* the same of the last one that ended */
	uint64_t every_bytes;
	bool changed; /* something was appended since it began */
	/* where the search, or the body, stands */
	unsigned volume;
	uint32_t index;
	uint64_t captured; /* leaves, since it began: in the log, and not named yet */
	struct lfs_checkpoint_leaf leaves[LFS_CHECKPOINT_BATCH];
	unsigned nleaves;
	uint8_t *images; /* owned */
	struct lfs_checkpoint_slot_writer slot;
	struct lfs_superblock_request req;
	struct rt_list waiting, taken; /* lfs_wait: for the one after, for this one */
	struct rt_timer timer;
	bool asked; /* by the timer */
	int64_t every_ms;
};

/* Memory for it. -ENOMEM. */
int lfs_checkpoint_init(struct lfs_checkpoint *ck);
void lfs_checkpoint_release(struct lfs_checkpoint *ck);
void lfs_checkpoint_wait(struct lfs *lfs, struct lfs_wait *w); /* one from now on */
void lfs_checkpoint_advance(struct lfs *lfs);
/* Build a record of dirty leaves: true when one was built. */
bool lfs_checkpoint_build(struct lfs *lfs);
void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_inflight *f);
void lfs_checkpoint_arm(struct lfs *lfs);

#endif
