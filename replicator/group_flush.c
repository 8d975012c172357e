// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_flush.h"

#include "replicator/group_private.h"

static void group_flushed(struct lfs_flush *op, int res)
{
	struct group *g = rt_container_of(op, struct group, flush.op);

	(void)res; /* a failed flush is the log's failure, and has its event */
	g->flush.under_way = false;
	group_wake(g);
}

/* A mirror, and a primary that pulls, make durable whatever there is. */
static uint64_t group_flush_target(const struct group *g)
{
	if (g->role == GROUP_MIRROR || g->start.phase == PRIMARY_PULLING)
		return lfs_lsn(g->lfs).written;
	return gate_wants_durable(&g->gate);
}

void group_flush_turn(struct group *g)
{
	struct lfs_lsn lsn = lfs_lsn(g->lfs);

	if (g->flush.under_way || g->failed || g->life == GROUP_LIFE_CLOSING)
		return;
	if (group_flush_target(g) <= lsn.durable || lsn.written <= lsn.durable)
		return;
	g->flush.under_way = true;
	g->flush.op.done = group_flushed;
	lfs_flush(g->lfs, &g->flush.op);
}
