/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_SCAN_H
#define LFS_SCAN_H

#include <stdint.h>

#include "lfs/log_record.h"
#include "lfs/segment.h"
#include "rt/loop.h"

/*
 * A window over one segment of the log, and the records in it: used by recovery, which
 * goes on until the chain ends, and by log readers, which know where it ends.
 */
struct lfs_scan {
	struct rt_file *file;		 /* borrowed */
	const struct lfs_segments *segs; /* borrowed */
	void (*loaded)(struct lfs_scan *s, int res);
	struct rt_op op;
	uint8_t *buf;		 /* owned */
	uint32_t capacity;	 /* blocks */
	uint32_t segment, block; /* what the window shows */
	uint32_t have;		 /* blocks of it */
	uint32_t want, got;	 /* while loading: blocks, bytes */
};

/* -ENOMEM or 0. The window holds the longest record of a segment of so many blocks. */
int lfs_scan_init(struct lfs_scan *s, struct rt_file *file,
		  const struct lfs_segments *segs);
void lfs_scan_release(struct lfs_scan *s);

/*
 * Show the segment from `block` on, up to `end` at most (both in blocks; block < end).
 * `loaded` gets 0 or -EIO.
 */
void lfs_scan_load(struct lfs_scan *s, uint32_t segment, uint32_t block, uint32_t end);

/* The bytes of a block of the segment; NULL when the window does not show it. */
const uint8_t *lfs_scan_block(const struct lfs_scan *s, uint32_t block);

struct lfs_scanned {
	struct lfs_record rec;
	const uint8_t *area; /* head area */
	const uint8_t *data; /* rec.nblocks blocks */
	uint32_t next;	     /* block behind the record */
};

/*
 * The record at `block`; of a client record the data is checked, too. Images of leaves
 * and segment summaries are not: who reads those has their checksums from elsewhere. 0;
 * -EBADMSG no valid record;
 * -ENODATA the window ends within it: load from `block` on and ask again (a window that
 * begins there and cannot be longer gives -EBADMSG).
 */
int lfs_scan_record(const struct lfs_scan *s, uint32_t block, uint32_t end,
		    struct lfs_scanned *ret);

/*
 * Operations of the next LSN of a client record, whose first descriptor is *desc and whose
 * first block of data is *block; both move behind it. `ops` holds LFS_OPS_MAX, `crcs`
 * LFS_RECORD_BLOCKS_MAX; data points into the window. *wall_ns is when it was admitted.
 * Returns how many.
 */
unsigned lfs_scan_lsn(const struct lfs_scanned *r, uint32_t *desc, uint32_t *block,
		      struct lfs_op *ops, uint32_t *crcs, int64_t *wall_ns);

#endif
