/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_SUPERBLOCK_H
#define LFS_SUPERBLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "lfs/format.h"

/* The superblock and the geometry it holds: bytes, numbers and rules. No I/O. */

struct lfs_geometry {
	uint64_t store_size;
	uint64_t segments_off; /* bytes */
	uint64_t checkpoint_slot_size;
	uint64_t checkpoint_every;
	uint32_t segment_size;
	uint32_t segments;
};

struct lfs_superblock {
	uint64_t seq;
	uint8_t store[LFS_ID_LEN], node[LFS_ID_LEN];
	struct lfs_geometry geo;
	uint64_t incarnation;
	uint64_t checkpoint_slot_seq;
	uint32_t checkpoint_slot;
};

static inline uint64_t lfs_superblock_off(unsigned copy)
{
	return (uint64_t)copy * LFS_SUPERBLOCK_REGION;
}

static inline uint64_t lfs_checkpoint_slot_off(const struct lfs_geometry *geo,
					       unsigned slot)
{
	return LFS_EVENTS_OFF + LFS_EVENT_REGION + slot * geo->checkpoint_slot_size;
}

/* Inner nodes that a slot of this geometry has room for. */
uint64_t lfs_geometry_inner(const struct lfs_geometry *geo);

/*
 * Lay out a store of `size` bytes. -EINVAL segment size or checkpoint distance out of
 * bounds, -ENOSPC too small for LFS_SEGMENTS_MIN, -EFBIG beyond LFS_PBA_MAX; `why`.
 */
int lfs_geometry_make(uint64_t size, uint32_t segment_size, uint64_t checkpoint_every,
		      struct lfs_geometry *ret, char why[LFS_WHY_MAX]);
/* Bytes of a store whose volumes are as in `meta`; 0 when the segment size is wrong. */
uint64_t lfs_geometry_size_min(const struct lfs_meta *meta, uint32_t segment_size);

/* Facts that fit this store: 0, -EINVAL, or -ENOSPC for the volumes; `why`. */
int lfs_meta_check(const struct lfs_meta *meta, const struct lfs_geometry *geo,
		   char why[LFS_WHY_MAX]);

/* Into `buf` of LFS_SUPERBLOCK_REGION bytes. Returns how many of them are to be written. */
uint32_t lfs_superblock_encode(uint8_t *buf, const struct lfs_superblock *superblock,
			       const struct lfs_meta *meta);
/*
 * From LFS_SUPERBLOCK_REGION bytes. 0; -EMEDIUMTYPE it is not one; -EUCLEAN damaged;
 * -EPROTONOSUPPORT a newer version or an unknown feature; `why`.
 */
int lfs_superblock_decode(const uint8_t *buf, struct lfs_superblock *superblock,
			  struct lfs_meta *meta, char why[LFS_WHY_MAX]);

#endif
