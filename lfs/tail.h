/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_TAIL_H
#define LFS_TAIL_H

#include <stdint.h>

#include "lfs/lfs.h"

/* A position in the log and everything that the next record there builds on. */
struct lfs_tail {
	uint32_t segment;    /* LFS_SEGMENT_NONE: the store is used up */
	uint32_t block;	     /* where the next record goes; 0: the header comes first */
	uint64_t generation; /* of the youngest segment opened so far */
	uint64_t seq;	     /* of the last record */
	uint64_t lsn, hash, epoch, epoch_id; /* of the last LSN */
	int64_t wall_ns; /* when a primary admitted that; 0: not known */
	uint64_t bytes;	 /* of data, of all LSNs up to it */
	uint32_t chain;			     /* prev_crc of what comes next */
};

static inline struct lfs_image lfs_tail_image(const struct lfs_tail *t)
{
	return (struct lfs_image){ .lsn = t->lsn,
				   .wall_ns = t->wall_ns,
				   .bytes = t->bytes };
}

#endif
