/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_SEGMENT_H
#define LFS_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/format.h"

/*
 * The segments of a store: which are in use, what they hold, and the order in which they
 * were opened (their generations). Pure but for its memory.
 */
struct lfs_segment {
	uint64_t generation; /* 0: free */
	uint64_t incarnation;
	uint64_t first_lsn, last_lsn; /* last = first - 1: no client record */
	uint32_t end;		      /* blocks in use, its header included */
	uint32_t live;		      /* blocks that the map refers to */
	bool sealed;
};

struct lfs_segments {
	struct lfs_segment *s; /* owned */
	uint32_t n;
	uint32_t blocks;   /* in each */
	uint32_t base;	   /* place of segment 0 */
	uint32_t free;	   /* of generation 0 */
	uint32_t reserved; /* the next one, still free; or LFS_SEGMENT_NONE */
};

/* -ENOMEM, or 0: `n` free segments of `blocks` blocks from place `base` on. */
int lfs_segments_init(struct lfs_segments *segs, uint32_t n, uint32_t blocks,
		      uint32_t base);
void lfs_segments_release(struct lfs_segments *segs);

/* Is this the place of a block of data in some segment that is in use? */
bool lfs_segments_holds(const struct lfs_segments *segs, uint64_t place);
/* The segment of a place that lfs_segments_holds(). */
static inline uint32_t lfs_segments_of(const struct lfs_segments *segs, uint32_t place)
{
	return (place - segs->base) / segs->blocks;
}
static inline uint32_t lfs_segments_place(const struct lfs_segments *segs, uint32_t n,
					  uint32_t block)
{
	return segs->base + n * segs->blocks + block;
}

/* Count blocks of a place in or out. */
static inline void lfs_segments_live(struct lfs_segments *segs, uint32_t place, int by)
{
	segs->s[lfs_segments_of(segs, place)].live += (uint32_t)by;
}

/* The free segment to take after segment `after`, going round; LFS_SEGMENT_NONE: none. */
uint32_t lfs_segments_next_free(const struct lfs_segments *segs, uint32_t after);
/* Take a free segment into use: empty but for its header. */
void lfs_segments_use(struct lfs_segments *segs, uint32_t n, uint64_t generation,
		      uint64_t incarnation, uint64_t first_lsn);
/* The segment opened first after `generation`; LFS_SEGMENT_NONE: none. */
uint32_t lfs_segments_after(const struct lfs_segments *segs, uint64_t generation);

/* ---- the header on disk ------------------------------------------------------------------ */

struct lfs_segment_info {
	uint8_t store[LFS_ID_LEN];
	uint32_t number, next; /* next may be LFS_SEGMENT_NONE */
	uint32_t seed, prev_crc;
	uint64_t generation, incarnation;
	uint64_t first_lsn, first_seq;
};

void lfs_segment_encode(uint8_t block[LFS_BLOCK], const struct lfs_segment_info *info);
/* 0, or -EBADMSG. Whether it is the right one is for the caller to say. */
int lfs_segment_decode(const uint8_t block[LFS_BLOCK], struct lfs_segment_info *ret);

#endif
