/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_CHECKPOINT_H
#define LFS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/map.h"
#include "lfs/segment.h"
#include "lfs/superblock_writer.h"
#include "lfs/tail.h"
#include "lfs/wait.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;
struct lfs_inflight;

enum lfs_checkpoint_state {
	LFS_CHECKPOINT_IDLE,
	LFS_CHECKPOINT_CAPTURE,	 /* the next images */
	LFS_CHECKPOINT_IMAGES,	 /* a record of them is in flight */
	LFS_CHECKPOINT_CAPTURED, /* all are written */
	LFS_CHECKPOINT_BODY,	 /* of the checkpoint slot */
	LFS_CHECKPOINT_HEAD,
	LFS_CHECKPOINT_SUPERBLOCK, /* the superblock is to name it */
};

#define LFS_CHECKPOINT_BATCH 64u /* images in one record */
#define LFS_CHECKPOINT_PIECE (UINT32_C(256) << 10)

/* The checkpoint slot that is being written: the body in pieces, then the head. */
struct lfs_checkpoint_slot_writer {
	struct rt_op op;
	uint8_t *piece; /* owned: LFS_CHECKPOINT_PIECE */
	uint32_t piece_len, piece_done;
	uint64_t off;	 /* in the store */
	unsigned number; /* 0 or 1 */
	uint64_t seq;
	uint32_t body_crc, ninner, nsegments;
};

struct lfs_checkpoint {
	enum lfs_checkpoint_state state; /* checkpoint_set_state() alone changes it */
	struct lfs_tail start;
	struct lfs_segment *segments; /* owned: the table at the start */
	uint64_t start_bytes;	      /* of admission.log_bytes */
	uint64_t base_bytes;  /* the same of the last one that ended */
	uint64_t every_bytes;
	bool changed; /* something was appended since it began */
	/* where the body stands */
	unsigned volume;
	uint32_t index;
	uint64_t captured; /* images, since it began: written, and not named yet */
	struct lfs_map_image batch[LFS_CHECKPOINT_BATCH];
	unsigned nbatch;
	uint8_t *images; /* owned */
	struct lfs_checkpoint_slot_writer slot;
	unsigned next_checkpoint_slot; /* 0 or 1: where the next one goes */
	struct lfs_superblock_request req;
	struct rt_list waiting, taken; /* lfs_wait: for the one after, for this one */
	struct rt_timer timer;
	bool asked; /* by the timer */
	int64_t every_ms;
};

/* Memory for it. -ENOMEM. */
int lfs_checkpoint_init(struct lfs_checkpoint *ck, uint32_t nsegments);
void lfs_checkpoint_release(struct lfs_checkpoint *ck);
void lfs_checkpoint_wait(struct lfs *lfs, struct lfs_wait *w); /* one from now on */
void lfs_checkpoint_advance(struct lfs *lfs);
/* Between two records of the log: here one may begin, if one is wanted. */
void lfs_checkpoint_boundary(struct lfs *lfs);
void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_inflight *f);
void lfs_checkpoint_arm(struct lfs *lfs);

#endif
