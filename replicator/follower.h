/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_FOLLOWER_H
#define REPLICATOR_FOLLOWER_H

#include <stdint.h>

#include "lfs/lfs.h"

struct group;

/*
 * A reader of the log that may be dropped while it reads: the memory then goes when the
 * read has ended. The group counts those that read (group.reading) and does not close the
 * log before they are gone.
 */
struct follower;

/* One LSN (res 0, lent until follower_next), -ENODATA for nothing written yet, -errno. */
typedef void follower_fn(void *owner, int res, const struct lfs_entry *entry);

int follower_new(struct group *g, uint64_t from, follower_fn *fn, void *owner,
		 struct follower **ret);
/* Read the next LSN; not while one is being read. */
void follower_next(struct follower *f);
void follower_free(struct follower *f); /* NULL is fine */

#endif
