// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "replicator/history.h"
#include "replicator/internal.h"
#include "rt/bug.h"

/*
 * What a primary does between recovery and its first request: ask the mirror, take back
 * what only the mirror has, make a new epoch durable if the last stop was unclean.
 */

bool opening_waits_for_mirror(const struct group *g)
{
	if (g->config.fua_remote || g->config.on_disconnect == GROUP_STOP)
		return true;
	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume *v = &g->volumes[i];

		if (v->has_policy ? v->policy == GROUP_STOP : v->sync == GROUP_REMOTE)
			return true;
	}
	return false;
}

static void epoch_durable(struct group *g, int res)
{
	if (res < 0)
		return; /* the log has failed and says so itself */
	if (g->phase != PHASE_RUNNING)
		group_begin_serving(g);
}

/* Completed writes may be missing only if the machine lost its memory. */
static bool writes_may_be_missing(const struct group *g, const uint8_t boot[16])
{
	return !g->was_clean && memcmp(boot, lfs_meta(g->lfs)->boot, 16) != 0;
}

static void opening_epoch(struct group *g)
{
	struct lfs_meta *meta;
	uint8_t boot[16];
	uint64_t id;

	if (!group_can_set(g))
		return; /* called again by the next turn */
	if (rt_boot_id(g->loop, boot) < 0)
		rt_random(g->loop, boot, sizeof(boot)); /* unknown counts as changed */
	meta = group_edit_meta(g);
	if (writes_may_be_missing(g, boot))
		for (unsigned i = 0; i < meta->nvolumes; i++)
			rt_random(g->loop, &meta->volumes[i].generation,
				  sizeof(meta->volumes[i].generation));
	memcpy(meta->boot, boot, sizeof(meta->boot));
	if (!g->was_clean && !RT_BUG(LSN_TWICE)) {
		rt_random(g->loop, &id, sizeof(id));
		history_begin(meta, 0, id, lfs_lsn(g->lfs).admitted + 1);
	}
	g->phase = PHASE_EPOCH;
	group_set_meta(g, epoch_durable);
	if (RT_BUG(EPOCH_NOT_FLUSHED))
		group_begin_serving(g);
}

void opening_mirror_fits(struct group *g)
{
	rt_assert(g->phase == PHASE_ASKING);
	opening_epoch(g);
}

void opening_has_time(struct group *g)
{
	g->open_deadline =
		rt_time_add(rt_now(g->loop), g->config.open_timeout_ms * RT_MS);
}

void opening_pulling(struct group *g)
{
	rt_assert(g->phase == PHASE_ASKING);
	g->phase = PHASE_PULLING;
}

void opening_link_gone(struct group *g)
{
	if (g->phase != PHASE_PULLING)
		return;
	g->phase = PHASE_ASKING;
	apply_discard(&g->apply);
	opening_has_time(g); /* we know of writes that only the mirror has */
}

void opening_turn(struct group *g)
{
	if (g->phase != PHASE_ASKING || g->role != GROUP_PRIMARY || g->fenced ||
	    g->stopping)
		return;
	if (g->session && !g->alone) {
		if (opening_waits_for_mirror(g))
			return;
		if (rt_time_before(rt_now(g->loop), g->open_deadline))
			return;
		group_say(g, "opening-without-mirror waited_ms=%lld",
			  (long long)g->config.open_timeout_ms);
	}
	peer_watch_opened_alone(&g->watch);
	opening_epoch(g);
}
