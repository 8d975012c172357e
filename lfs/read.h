/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_READ_H
#define LFS_READ_H

#include <stdint.h>

#include "rt/list.h"
#include "rt/loop.h"

struct lfs;
struct lfs_read;

#define LFS_READ_RUN 64u /* blocks of one disk read */
#define LFS_READS_MAX 128u

struct lfs_run {
	struct rt_op op;
	struct rt_list link; /* when free */
	struct lfs_read *read;
	struct lfs *lfs;
	uint8_t *buf;
	uint64_t off;
	uint64_t lba;
	uint32_t blocks;
	uint32_t done; /* bytes */
	uint32_t crcs[LFS_READ_RUN];
};

struct lfs_reader {
	struct lfs_run *runs;	/* owned */
	struct rt_list free;	/* lfs_run */
	struct rt_list waiting; /* lfs_read: those with blocks not asked for yet */
	struct rt_list ready;	/* lfs_read: all done, ended in the next turn */
	uint32_t active;	/* lfs_read that have not ended */
};

int lfs_read_init(struct lfs *lfs);
void lfs_read_advance(struct lfs *lfs);

#endif
