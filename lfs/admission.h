/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_ADMISSION_H
#define LFS_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/write_buffer.h"
#include "rt/list.h"

struct lfs;

/* What clients have appended and the map does not hold yet. */
struct lfs_admission {
	uint64_t lsn, hash; /* the last that was admitted, and history after it */
	uint64_t bytes;	    /* of data, of all LSNs up to it */
	struct lfs_write_buffer write_buffer;
	struct rt_list queue;	  /* lfs_append: in no record yet */
	uint64_t pending_appends; /* not applied */
	uint64_t pending_leaves;  /* that they may dirty, at most */
	uint64_t queued_blocks;	  /* in the queue, heads included, at most */
	uint64_t log_bytes;	  /* of client records, all together */
};

void lfs_append_pump(struct lfs *lfs); /* build what can be built */
bool lfs_append_idle(const struct lfs *lfs);
void lfs_append_fail(struct lfs *lfs);		 /* end everything that is queued */
uint64_t lfs_append_room(const struct lfs *lfs); /* blocks that clients can still take */
/* Those blocks are enough for any one operation. */
bool lfs_append_has_room(const struct lfs *lfs);
/* What is left of map_memory is enough for any one operation. */
bool lfs_append_has_map_memory(const struct lfs *lfs);

#endif
