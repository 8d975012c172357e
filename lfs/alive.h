/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_ALIVE_H
#define LFS_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "rt/loop.h"

/*
 * The last sign of life: a block of its own, which is written over and over without a flush.
 * It says how long a daemon was down on a machine that has not booted since; so what the
 * kernel has is enough.
 */
struct lfs_alive_block {
	uint8_t *block; /* owned */
	struct rt_op op;
	bool writing;
};

int lfs_alive_init(struct lfs_alive_block *alive); /* 0 or -ENOMEM */
void lfs_alive_release(struct lfs_alive_block *alive);
bool lfs_alive_idle(const struct lfs *lfs);

/* Into LFS_BLOCK bytes; and back: false, and *ret unknown, where it is not of this store. */
void lfs_alive_encode(uint8_t *block, const uint8_t store[LFS_ID_LEN],
		      const struct lfs_alive *alive);
bool lfs_alive_decode(const uint8_t *block, const uint8_t store[LFS_ID_LEN],
		      struct lfs_alive *ret);

#endif
