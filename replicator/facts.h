/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_FACTS_H
#define REPLICATOR_FACTS_H

#include <stdbool.h>

#include "lfs/lfs.h"

struct group;

/*
 * What a group must know after a crash, in its superblock: epoch, fence, pairing, alone.
 * One change at a time; its content is the caller's, edited in a copy.
 */
struct facts {
	struct lfs_set_meta set;
	bool changing;
	void (*done)(struct group *g, int res);
	struct lfs_meta *next; /* owned: the copy */
};

int facts_init(struct group *g); /* 0 or -ENOMEM */
void facts_release(struct group *g);

/* No change is under way, and one may begin. */
bool facts_can_change(const struct group *g);
bool facts_changing(const struct group *g);
/* The boot that this machine runs on; one that is not known is another one each time. */
void facts_boot(const struct group *g, uint8_t boot[LFS_ID_LEN]);
/* A fresh copy of the durable facts, to be edited. */
struct lfs_meta *facts_edit(struct group *g);
/* In it: the peer's store is known to hold up to `lsn` for good, and never held more. */
void facts_peer_is_at(struct lfs_meta *meta, uint64_t lsn);
/* Make the edited copy durable, then call `done` with 0 or -errno. */
void facts_change(struct group *g, void (*done)(struct group *g, int res));

#endif
