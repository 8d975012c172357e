/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_CHECKPOINT_SLOT_H
#define LFS_CHECKPOINT_SLOT_H

#include <stdint.h>

#include "lfs/map.h"
#include "lfs/segment.h"
#include "lfs/superblock.h"
#include "lfs/tail.h"

/* A checkpoint slot, to bytes and back. No I/O. */
struct lfs_checkpoint_slot {
	uint64_t seq;
	uint64_t incarnation;
	struct lfs_tail start;
	uint64_t written_seq;
	uint64_t body_length;
	uint32_t body_crc;
	uint32_t ninner, nsegments;
};

void lfs_checkpoint_slot_encode_head(uint8_t block[LFS_BLOCK],
				     const struct lfs_checkpoint_slot *slot,
				     const uint8_t store[LFS_ID_LEN], uint64_t wall_ns);
/* 0 or -EUCLEAN */
int lfs_checkpoint_slot_decode_head(const uint8_t block[LFS_BLOCK],
				    const struct lfs_geometry *geo,
				    const uint8_t store[LFS_ID_LEN],
				    struct lfs_checkpoint_slot *ret);
void lfs_checkpoint_slot_put_inner(uint8_t *at, const struct lfs_inner *inner);
void lfs_checkpoint_slot_put_segment(uint8_t *at, const struct lfs_segment *s);
/* Into empty segments and an empty map. 0, -EUCLEAN. */
int lfs_checkpoint_slot_decode_body(const struct lfs_checkpoint_slot *slot,
				    const uint8_t *body, struct lfs_segments *segs,
				    struct lfs_map *map);

#endif
