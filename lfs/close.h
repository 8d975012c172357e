/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_CLOSE_H
#define LFS_CLOSE_H

#include <stdbool.h>

#include "lfs/superblock_writer.h"
#include "lfs/wait.h"

struct lfs;
struct lfs_close;

/* Close in order: drain, checkpoint, mark clean. After a failure: drain only. */
enum lfs_closing_state {
	LFS_CLOSING_NOT,
	LFS_CLOSING_DRAIN,
	LFS_CLOSING_CHECKPOINT, /* under way */
	LFS_CLOSING_MARK,
	LFS_CLOSING_MARKING, /* under way */
	LFS_CLOSING_END,
};

struct lfs_closing {
	enum lfs_closing_state state;
	struct lfs_close *op; /* borrowed until `done` */
	struct lfs_wait wait;
	struct lfs_superblock_request req;
};

/* The next step, when nothing is in flight; may free lfs. */
void lfs_close_step(struct lfs *lfs);
/* Begin to close: lfs_close(), and an opening that failed when the log was at work. */
void lfs_close_begin(struct lfs *lfs, struct lfs_close *c);
static inline bool lfs_closing(const struct lfs_closing *c)
{
	return c->state != LFS_CLOSING_NOT;
}

#endif
