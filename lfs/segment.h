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
enum lfs_segment_state {
	LFS_SEGMENT_FREE,
	LFS_SEGMENT_RESERVED, /* free, and the open one's header names it as the next */
	LFS_SEGMENT_OPEN,     /* being filled, or being replayed */
	LFS_SEGMENT_SEALED,   /* full; its summary is the last record */
	LFS_SEGMENT_ENDED,    /* a crash or a close ended it: it has no summary */
	LFS_SEGMENT_EMPTY,    /* nothing in it counts, and one checkpoint says so */
};

struct lfs_segment {
	enum lfs_segment_state state; /* lfs_segment_set_state() alone changes it */
	enum lfs_head_kind kind;      /* of the head that has written it */
	uint64_t generation;	      /* 0 while it is not in use */
	uint64_t incarnation;
	uint64_t first_lsn, last_lsn; /* last = first - 1: no client record */
	uint32_t end;		      /* blocks in use, its header included */
	uint32_t live;		      /* blocks that the map refers to */
};

struct lfs_segments {
	struct lfs_segment *s; /* owned */
	uint32_t n;
	uint32_t blocks; /* in each */
	uint32_t base;	 /* pba of segment 0 */
	uint32_t free;	 /* not in use: FREE or RESERVED */
};

/* -ENOMEM, or 0: `n` free segments of `blocks` blocks from pba `base` on. */
int lfs_segments_init(struct lfs_segments *segs, uint32_t n, uint32_t blocks,
		      uint32_t base);
void lfs_segments_release(struct lfs_segments *segs);

/* Its table of transitions is asserted, and `free` is kept. */
void lfs_segment_set_state(struct lfs_segments *segs, uint32_t n,
			   enum lfs_segment_state state);
/* Does it hold a part of the log? */
static inline bool lfs_segment_in_use(const struct lfs_segment *s)
{
	return s->state != LFS_SEGMENT_FREE && s->state != LFS_SEGMENT_RESERVED;
}

/* Is this the pba of a block of data in a segment that is in use? */
bool lfs_segments_has_data(const struct lfs_segments *segs, uint64_t pba);
/* The segment of a pba that lfs_segments_has_data(). */
static inline uint32_t lfs_segments_of(const struct lfs_segments *segs, uint32_t pba)
{
	return (pba - segs->base) / segs->blocks;
}
static inline uint32_t lfs_segments_pba(const struct lfs_segments *segs, uint32_t n,
					uint32_t block)
{
	return segs->base + n * segs->blocks + block;
}

/* Count blocks of the segment of a pba in or out. */
static inline void lfs_segments_live(struct lfs_segments *segs, uint32_t pba, int by)
{
	segs->s[lfs_segments_of(segs, pba)].live += (uint32_t)by;
}

/*
 * Reserve the first free segment after segment `after`, going round. LFS_SEGMENT_NONE:
 * there is none.
 */
uint32_t lfs_segments_reserve(struct lfs_segments *segs, uint32_t after);
/* What the header of a segment says. */
struct lfs_segment_info {
	uint8_t store[LFS_ID_LEN];
	enum lfs_head_kind kind;
	uint32_t number, next; /* next may be LFS_SEGMENT_NONE */
	uint32_t seed, prev_crc;
	uint64_t generation, incarnation;
	uint64_t first_lsn, first_seq;
};

/*
 * A checkpoint counts: the superblock names it. Map segments in which nothing is alive become
 * EMPTY by it, and those that are EMPTY already free: both checkpoint slots say now that
 * nothing in them counts, so whichever an open falls back to, it needs nothing of them.
 */
void lfs_segments_age(struct lfs_segments *segs);
/*
 * A segment whose line in the checkpoint slot says that nothing in it counts: it may have
 * been freed since, and hold something else. Free from here on; false: it counts.
 */
bool lfs_segments_disown(struct lfs_segments *segs, uint32_t n);

/* Open a segment that is not in use: empty but for this header. */
void lfs_segments_open(struct lfs_segments *segs, uint32_t n,
		       const struct lfs_segment_info *info);

/* ---- the header on disk ------------------------------------------------------------------ */

void lfs_segment_encode(uint8_t block[LFS_BLOCK], const struct lfs_segment_info *info);
/* 0, or -EBADMSG. Whether it is the right one is for the caller to say. */
int lfs_segment_decode(const uint8_t block[LFS_BLOCK], struct lfs_segment_info *ret);

#endif
