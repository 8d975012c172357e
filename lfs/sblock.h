/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_SBLOCK_H
#define LFS_SBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/super.h"
#include "lfs/wait.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;

struct lfs_super_req {
	struct rt_list link;
	void (*done)(struct lfs_super_req *req, int res);
	const struct lfs_meta *meta; /* borrowed until done; NULL: as it is */
	bool checkpoint;	     /* slot and slot_seq count */
	uint32_t slot;
	uint64_t slot_seq;
	uint32_t clear_flags, set_flags;
};

enum lfs_super_state {
	LFS_SUPER_IDLE,
	LFS_SUPER_FLUSH, /* what it refers to */
	LFS_SUPER_WRITE,
	LFS_SUPER_FLUSH_ITSELF,
};

struct lfs_super_writer {
	enum lfs_super_state state;
	struct rt_op op;
	struct lfs_wait wait;
	struct rt_list waiting, taken; /* lfs_super_req */
	struct lfs_super super;	       /* as in the current superblock */
	struct lfs_super next;
	struct lfs_meta *meta_next; /* owned */
	unsigned copy;		    /* where the current one lies */
	uint8_t *buf;		    /* owned, LFS_SUPER_REGION */
	uint32_t len, done;
};

/* Memory for it. -ENOMEM. */
int lfs_super_writer_init(struct lfs_super_writer *sb);
void lfs_super_writer_release(struct lfs_super_writer *sb);
void lfs_super_request(struct lfs *lfs, struct lfs_super_req *req);
void lfs_super_settle(struct lfs *lfs);
bool lfs_super_idle(const struct lfs *lfs);

#endif
