/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_MAP_H
#define LFS_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/format.h"

struct lfs_segments;

/*
 * Where each block of each volume lies, and its checksum. A volume is a table of leaves;
 * a leaf is LFS_LEAF_BLOCKS entries in one block of memory, and is not there when nothing
 * in it is mapped. Live counts of segments are kept here as well. No I/O.
 */
struct lfs_leaf {
	uint64_t *entries; /* owned: pba | crc << 32, as on disk; NULL: none mapped */
	uint64_t changed;  /* LSN of the last change */
	uint32_t pba;	   /* of the image on disk; 0: none */
	uint32_t crc;	   /* of the image */
	uint32_t pins;	   /* admitted writes that are not in the map yet */
	uint16_t used;	   /* mapped entries */
	bool dirty;	   /* changed since its image was taken */
};

struct lfs_map_volume {
	struct lfs_leaf *leaves; /* owned */
	uint64_t blocks;
	uint64_t mapped;
	uint32_t nleaves;
};

struct lfs_map {
	struct lfs_segments *segs; /* borrowed */
	struct lfs_map_volume v[LFS_VOLUMES_MAX];
	unsigned nvolumes;
	uint64_t memory, memory_max; /* bytes in use, and allowed */
	uint64_t stale;		     /* leaves whose next image takes a block */
};

/* Volumes as in `meta`, nothing mapped. 0, -EDQUOT beyond memory_max, or -ENOMEM. */
int lfs_map_init(struct lfs_map *map, struct lfs_segments *segs,
		 const struct lfs_meta *meta, uint64_t memory_max);
void lfs_map_release(struct lfs_map *map);

/* Is this a run of blocks of a volume? For numbers that come from outside. */
bool lfs_map_has(const struct lfs_map *map, uint64_t volume, uint64_t lba,
		 uint64_t blocks);

/*
 * Make sure that lfs_map_set() will find memory for these blocks, until lfs_map_unpin().
 * 0; or -EDQUOT beyond memory_max, -ENOMEM, with nothing pinned.
 */
int lfs_map_pin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks);
void lfs_map_unpin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks);

/* The blocks of a write lie at `pba` onward, written by `lsn`. They must be pinned. */
void lfs_map_set(struct lfs_map *map, const struct lfs_op *op, uint32_t pba,
		 uint64_t lsn);

/*
 * Unmap blocks, as many as *budget allows (LFS_UNMAP_BUDGET is about a millisecond).
 * Returns how many are done; *budget is what remains of it.
 */
#define LFS_UNMAP_BUDGET 8192u
uint64_t lfs_map_unmap(struct lfs_map *map, uint32_t volume, uint64_t lba,
		       uint64_t blocks, uint64_t lsn, uint32_t *budget);

/* 0 when not mapped. */
uint32_t lfs_map_get(const struct lfs_map *map, uint32_t volume, uint64_t lba,
		     uint32_t *ret_crc);

/* ---- images ------------------------------------------------------------------------------ */

/*
 * A leaf whose image is `image`, which lies at leaf->pba: -EUCLEAN if it cannot be; -EDQUOT
 * and -ENOMEM as lfs_map_pin().
 */
int lfs_map_load(struct lfs_map *map, uint32_t volume, uint32_t index,
		 const uint8_t *image);
/*
 * Take the image of a dirty leaf, which is clean from now on. Returns true when there is
 * one; false when nothing is mapped, and the old image is dropped.
 */
bool lfs_map_capture(struct lfs_map *map, struct lfs_leaf *leaf, uint8_t *image);
/* The image that was captured lies at `pba`; the one before is dead. */
void lfs_map_set_image(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t pba,
		       uint32_t crc);

/* Leaves that `blocks` blocks from `lba` on touch. */
static inline uint32_t lfs_map_leaves(uint64_t lba, uint64_t blocks)
{
	return (uint32_t)((lba + blocks - 1) / LFS_LEAF_BLOCKS - lba / LFS_LEAF_BLOCKS +
			  1);
}

#endif
