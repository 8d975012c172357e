/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_LOG_READER_H
#define REPLICATOR_GROUP_LOG_READER_H

#include <stdint.h>

#include "lfs/lfs.h"

struct group;

/*
 * A reader of the log that may be dropped while it reads: the memory then goes when the
 * read has ended. The group counts those that read (group.reading) and does not close the
 * log before they are gone.
 */
struct group_log_reader;

/* One LSN (res 0, lent until group_log_reader_next), -ENODATA for nothing written yet, -errno. */
typedef void group_log_reader_fn(void *owner, int res, const struct lfs_entry *entry);

int group_log_reader_new(struct group *g, uint64_t from, group_log_reader_fn *fn,
			 void *owner, struct group_log_reader **ret);
/* Read the next LSN; not while one is being read. */
void group_log_reader_next(struct group_log_reader *f);
void group_log_reader_free(struct group_log_reader *f); /* NULL is fine */

#endif
