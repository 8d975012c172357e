// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/facts.h"

#include <errno.h>
#include <string.h>

#include "replicator/group_private.h"
#include "rt/mem.h"

int facts_init(struct group *g)
{
	g->facts.next = rt_zalloc(1, sizeof(*g->facts.next));
	return g->facts.next ? 0 : -ENOMEM;
}

void facts_release(struct group *g)
{
	rt_free(g->facts.next);
}

bool facts_changing(const struct group *g)
{
	return g->facts.changing;
}

bool facts_can_change(const struct group *g)
{
	return !g->facts.changing && !g->failed && g->life != GROUP_LIFE_CLOSING;
}

void facts_boot(const struct group *g, uint8_t boot[LFS_ID_LEN])
{
	if (rt_boot_id(g->loop, boot) < 0)
		rt_random(g->loop, boot, LFS_ID_LEN);
}

void facts_peer_is_at(struct lfs_meta *meta, uint64_t lsn)
{
	meta->peer_persisted = meta->peer_reached = lsn;
}

struct lfs_meta *facts_edit(struct group *g)
{
	rt_assert(facts_can_change(g));
	*g->facts.next = *lfs_meta(g->lfs);
	return g->facts.next;
}

static void facts_changed(struct lfs_set_meta *set, int res)
{
	struct group *g = rt_container_of(set, struct group, facts.set);

	g->facts.changing = false;
	if (res < 0)
		group_event(g, RT_LOG_WARN, "superblock-write-failed error=\"%s\"",
			    strerror(-res));
	g->facts.done(g, res);
	group_wake(g);
}

void facts_change(struct group *g, void (*done)(struct group *g, int res))
{
	rt_assert(facts_can_change(g));
	g->facts.changing = true;
	g->facts.done = done;
	g->facts.set.done = facts_changed;
	lfs_set_meta(g->lfs, &g->facts.set, g->facts.next);
}
