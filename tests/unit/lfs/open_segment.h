/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_LFS_OPEN_SEGMENT_H
#define TESTS_UNIT_LFS_OPEN_SEGMENT_H

#include "lfs/segment.h"

/* A segment of the log, as its header would say it. */
static inline void open_segment(struct lfs_segments *segs, uint32_t n,
				uint64_t generation, uint64_t first_lsn)
{
	struct lfs_segment_info info = {
		.kind = LFS_HEAD_CLIENT,
		.generation = generation,
		.incarnation = 1,
		.first_lsn = first_lsn,
	};

	lfs_segments_open(segs, n, &info);
}

#endif
