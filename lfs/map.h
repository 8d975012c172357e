/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_MAP_H
#define LFS_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/format.h"
#include "rt/list.h"

struct lfs_segments;

/*
 * Where each block of each volume lies, and its checksum. A leaf is LFS_LEAF_BLOCKS entries,
 * and is in memory when anything in it is mapped, pinned, or not in an image yet. An inner
 * node says of LFS_INNER_LEAVES leaves where their images lie, and is always in memory, as
 * it is on the disk. Live counts of segments are kept here as well. No I/O.
 *
 * A checkpoint is exact: lfs_map_freeze() marks the leaves that it has to write, and who
 * changes one of them before it has been captured leaves a copy behind.
 */

/* Of a leaf, what stands beside it. */
struct lfs_leaf_state {
	uint64_t changed;  /* LSN of the last change */
	uint64_t set_hash; /* sum of lfs_map_block_hash() over its mapped blocks */
	uint16_t used;	   /* mapped entries */
};

/* A leaf as a checkpoint has to write it, since it has changed. */
struct lfs_leaf_copy {
	struct lfs_leaf_state state;
	uint64_t entries[LFS_LEAF_BLOCKS];
};

struct lfs_leaf {
	uint64_t entries[LFS_LEAF_BLOCKS]; /* pba | crc << 32, as on disk */
	struct lfs_leaf_state state;
	struct lfs_leaf_copy *copy; /* owned: of a frozen one that has changed; or NULL */
	struct rt_list dirty;	    /* changed since it was captured or frozen */
	struct rt_list frozen;	    /* to be captured by the checkpoint under way */
	uint32_t volume, index;
	uint32_t pins; /* admitted writes that are not in the map yet */
	bool writing;  /* its image is on its way */
};

struct lfs_inner {
	struct lfs_inner_entry entries[LFS_INNER_LEAVES]; /* as of their last images */
	struct rt_list dirty;				  /* changed since its image */
	uint32_t volume, index;
	uint32_t pba, crc; /* of its image; 0: none */
};

struct lfs_map_volume {
	struct lfs_leaf **leaves; /* owned, and so is each; NULL: nothing is mapped */
	struct lfs_inner *inner;  /* owned */
	uint64_t id;
	uint64_t blocks;
	uint64_t mapped;
	uint32_t nleaves, ninner;
};

struct lfs_map {
	struct lfs_segments *segs; /* borrowed */
	struct lfs_map_volume v[LFS_VOLUMES_MAX];
	unsigned nvolumes;
	uint64_t key[2];	     /* of the set-hashes: the group's id */
	uint64_t memory, memory_max; /* bytes in use, and allowed */
	struct rt_list dirty;	     /* lfs_leaf.dirty */
	struct rt_list frozen;	     /* lfs_leaf.frozen */
	struct rt_list inner_dirty;  /* lfs_inner.dirty */
	/* Leaves that have an image to be written: of the dirty ones, of the frozen ones. */
	uint64_t stale, stale_frozen;
	uint64_t ninner; /* all there are */
};

/* Volumes as in `meta`, nothing mapped. 0, -EDQUOT beyond memory_max, or -ENOMEM. */
int lfs_map_init(struct lfs_map *map, struct lfs_segments *segs,
		 const struct lfs_meta *meta, uint64_t memory_max);
void lfs_map_release(struct lfs_map *map);
/* In the place of `from`, which is gone then. */
void lfs_map_move(struct lfs_map *map, struct lfs_map *from);

/* Is this a run of blocks of a volume? For numbers that come from outside. */
bool lfs_map_has(const struct lfs_map *map, uint64_t volume, uint64_t lba,
		 uint64_t blocks);

/* What a mapped block adds to the set-hash of its leaf: the same at both sites. */
uint64_t lfs_map_block_hash(const struct lfs_map *map, uint32_t volume, uint64_t lba,
			    uint32_t crc);

/*
 * Make sure that lfs_map_set() will find memory for these blocks, until lfs_map_unpin().
 * 0; or -EDQUOT beyond memory_max, -ENOMEM, with nothing pinned.
 */
int lfs_map_pin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks);
void lfs_map_unpin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks);

/*
 * May these pinned blocks be set? False: one of their leaves is frozen, and there is no
 * memory for a copy; once it has been captured they may.
 */
bool lfs_map_may_set(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks);
/* The blocks of a write lie at `pba` onward, written by `lsn`: pinned, and may be set. */
void lfs_map_set(struct lfs_map *map, const struct lfs_op *op, uint32_t pba,
		 uint64_t lsn);

/*
 * Unmap blocks, as many as *budget allows (LFS_UNMAP_BUDGET is about a millisecond), up to
 * the first leaf that may not be changed now. Returns how many are done; *budget is what
 * remains of it.
 */
#define LFS_UNMAP_BUDGET 8192u
#define LFS_UNMAP_LEAF 8u /* what a leaf takes of it, at most */
uint64_t lfs_map_unmap(struct lfs_map *map, uint32_t volume, uint64_t lba,
		       uint64_t blocks, uint64_t lsn, uint32_t *budget);

/* 0 when not mapped. */
uint32_t lfs_map_get(const struct lfs_map *map, uint32_t volume, uint64_t lba,
		     uint32_t *ret_crc);

/* Images that checkpoints have to write of what the map holds now, at most. */
uint64_t lfs_map_images_max(const struct lfs_map *map);
/* Is there anything for lfs_map_capture()? */
bool lfs_map_has_images(const struct lfs_map *map);
/* Is all of it in images? */
bool lfs_map_is_clean(const struct lfs_map *map);

/* Leaves that `blocks` blocks from `lba` on touch. */
static inline uint32_t lfs_map_leaves(uint64_t lba, uint64_t blocks)
{
	return (uint32_t)((lba + blocks - 1) / LFS_LEAF_BLOCKS - lba / LFS_LEAF_BLOCKS +
			  1);
}

/* Of leaves, for map_image.c: one that is there, or made; given back; without its copy. */
int lfs_map_leaf_get(struct lfs_map *map, uint32_t volume, uint32_t index,
		     struct lfs_leaf **ret);
void lfs_map_leaf_put(struct lfs_map *map, struct lfs_leaf *leaf);
void lfs_map_copy_drop(struct lfs_map *map, struct lfs_leaf *leaf);

/* map_image.c */

/* A leaf or an inner node that has been captured. */
struct lfs_map_image {
	bool inner;
	uint32_t volume, index;
	uint32_t crc;		     /* of the image */
	struct lfs_leaf_state state; /* of a leaf, when it was captured */
};

/* What is dirty now is to be captured. Nothing may be frozen from before. */
void lfs_map_freeze(struct lfs_map *map);
/*
 * The next image of what was frozen, and when there is no more of it, of the inner nodes
 * that are dirty; but none of these while `leaves_out`: images of leaves are on their way.
 * False: there is none.
 */
bool lfs_map_capture(struct lfs_map *map, bool leaves_out, uint8_t *bytes,
		     struct lfs_map_image *ret);
/* The image lies at `pba`; the one before is dead. */
void lfs_map_written(struct lfs_map *map, const struct lfs_map_image *image,
		     uint32_t pba);

/*
 * For recovery, in this order: inner nodes, whose image lies where inner->pba says, then
 * leaves, where the inner node says. Live counts stay as they are. -EUCLEAN if it cannot be,
 * -EDQUOT, -ENOMEM.
 */
int lfs_map_load_inner(struct lfs_map *map, uint32_t volume, uint32_t index,
		       const uint8_t *bytes);
int lfs_map_load_leaf(struct lfs_map *map, uint32_t volume, uint32_t index,
		      const uint8_t *bytes);

static inline struct lfs_inner_entry *lfs_map_entry(struct lfs_map *map, uint32_t volume,
						    uint32_t index)
{
	return &map->v[volume]
			.inner[index / LFS_INNER_LEAVES]
			.entries[index % LFS_INNER_LEAVES];
}

#endif
