/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_BACKLOG_H
#define REPLICATOR_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/exposure.h"
#include "rt/time.h"

/*
 * What a primary's mirror lacks, over restarts: the position that the mirror has persisted is
 * kept in the superblock, and the first record behind it is looked up in the log, which says
 * since when and how much the mirror lacks (exposure.h).
 */
struct group;
struct group_log_reader;
struct lfs_entry;

struct backlog {
	struct exposure exposure;
	struct group_log_reader *reader; /* owned, while it looks one up */
	bool over;			 /* and has; the next turn frees it */
	uint64_t tried;			 /* the LSN that was looked up last */
	rt_time kept;			 /* when the position was last made durable, */
	uint64_t kept_bytes;		 /* and the data before it, as far as known */
};

/* Once, when the log is open and the role is known. */
void backlog_begin(struct group *g);
void backlog_turn(struct group *g);
void backlog_end(struct group *g);
/* What the log says of the LSN with which `entry` begins. */
void backlog_found(struct group *g, const struct lfs_entry *entry);

/* What is known of a position that has moved, and of the bounds of max_exposure (0: none). */
struct backlog_step {
	uint64_t kept, persisted; /* LSNs: durable here, and as the mirror says */
	uint64_t bytes;		  /* of data between the two, as far as known */
	int64_t since_ns;	  /* that it was last kept */
	int64_t bound_ns;
	uint64_t bound_bytes, bound_writes;
	bool stopping;
};
/* Whether it is to be kept now: pure. */
bool backlog_is_due(const struct backlog_step *step);

#endif
