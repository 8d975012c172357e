/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_META_H
#define LFS_META_H

#include "lfs/lfs.h"
#include "lfs/map.h"
#include "lfs/superblock_writer.h"

/* The durable facts are being replaced (lfs_set_meta). */
enum lfs_meta_state {
	LFS_META_IDLE,
	LFS_META_WRITING, /* the superblock */
	LFS_META_ENDED,	  /* `res` is to be reported in this turn or the next */
};

struct lfs_meta_change {
	enum lfs_meta_state state;
	int res;
	struct lfs_set_meta *op; /* borrowed until `done` */
	struct lfs_meta *copy;	 /* owned */
	struct lfs_map *map;	 /* owned: for other volumes; or NULL */
	struct lfs_superblock_request req;
};

void lfs_meta_advance(struct lfs *lfs);

#endif
