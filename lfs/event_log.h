/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_EVENT_LOG_H
#define LFS_EVENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/wait.h"
#include "rt/loop.h"

struct lfs;

/*
 * The ring of events between the superblocks and the checkpoint slots. One block is written
 * at a time, then a flush makes it durable. The sectors beside the new one are written again
 * as they are, so a torn write can spoil no event but the new one.
 *
 * Nothing waits for it: an event that the disk does not take, or that finds LFS_EVENTS_QUEUE
 * of them waiting, is counted as lost.
 */
struct lfs_event_log {
	uint8_t *image; /* owned: the region as it is to be */
	/*
	 * Owned: a copy of the block of `image` that is being written. Events that are added
	 * meanwhile change `image` only.
	 */
	uint8_t *block;
	uint64_t next;	/* number of the next event */
	uint64_t todo;	/* the first that no write has ended for */
	uint64_t taken; /* the first that was added after that copy was made */
	uint64_t flushing, durable;
	uint64_t lost;
	struct rt_op op;
	struct lfs_wait wait;
	bool writing, waiting;	 /* for the disk; for a flush */
	struct lfs_wait *loaded; /* who waits for the load */
	uint32_t got;		 /* bytes of the region that were read */
	bool single;		 /* a read of more than a block has failed */
};

/*
 * Read the region of a store whose superblock is known; `w` ends with 0, whatever the disk
 * says: what cannot be read is no event. -ENOMEM at once, and then `w` does not end.
 */
int lfs_event_log_load(struct lfs *lfs, struct lfs_wait *w);
void lfs_event_log_release(struct lfs_event_log *log);
bool lfs_event_log_idle(const struct lfs *lfs);

#endif
