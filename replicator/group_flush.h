/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_FLUSH_H
#define REPLICATOR_GROUP_FLUSH_H

#include <stdbool.h>

#include "lfs/lfs.h"

struct group;

/* The flush of the log: one at a time; who comes meanwhile shares the next one. */
struct group_flush {
	struct lfs_flush op;
	bool under_way;
};

/* Flush, where somebody waits for durable and none is under way. */
void group_flush_turn(struct group *g);

#endif
