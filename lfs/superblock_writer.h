/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_SUPERBLOCK_WRITER_H
#define LFS_SUPERBLOCK_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/superblock.h"
#include "lfs/wait.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;

struct lfs_superblock_request {
	struct rt_list link;
	void (*done)(struct lfs_superblock_request *req, int res);
	const struct lfs_meta *meta; /* borrowed until done; NULL: as it is */
	bool checkpoint;	     /* the next two count */
	uint32_t checkpoint_slot;
	uint64_t checkpoint_slot_seq;
	uint32_t clear_flags, set_flags;
};

enum lfs_superblock_state {
	LFS_SUPERBLOCK_IDLE,
	LFS_SUPERBLOCK_FLUSH, /* what it refers to */
	LFS_SUPERBLOCK_WRITE,
	LFS_SUPERBLOCK_FLUSH_ITSELF,
};

struct lfs_superblock_writer {
	enum lfs_superblock_state state;
	struct rt_op op;
	struct lfs_wait wait;
	struct rt_list waiting, taken; /* lfs_superblock_request */
	struct lfs_superblock current; /* as in the current superblock */
	struct lfs_superblock next;
	struct lfs_meta *meta_next; /* owned */
	unsigned copy;		    /* where the current one lies */
	uint8_t *buf;		    /* owned, LFS_SUPERBLOCK_REGION */
	uint32_t len, done;
	bool facts; /* what a group must know has changed: both copies are written */
};

/* Memory for it. -ENOMEM. */
int lfs_superblock_writer_init(struct lfs_superblock_writer *sb);
void lfs_superblock_writer_release(struct lfs_superblock_writer *sb);
void lfs_superblock_submit(struct lfs *lfs, struct lfs_superblock_request *req);
void lfs_superblock_advance(struct lfs *lfs);
bool lfs_superblock_idle(const struct lfs *lfs);

#endif
