// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/primary_start.h"

#include <string.h>

#include "replicator/group_policy.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "rt/bug.h"

static void primary_start_set_phase(struct group *g, enum primary_phase phase)
{
	enum primary_phase from = g->start.phase;

	switch (phase) {
	case PRIMARY_ASKING:
		rt_assert(from == PRIMARY_PULLING);
		break;
	case PRIMARY_PULLING:
	case PRIMARY_EPOCH:
		rt_assert(from == PRIMARY_ASKING);
		break;
	case PRIMARY_RUNNING: /* from ASKING: a mirror, or FENCED */
		rt_assert(from != PRIMARY_PULLING);
		break;
	}
	g->start.phase = phase;
}

enum primary_bound primary_start_bound(const struct group *g)
{
	enum primary_bound bound = PRIMARY_NOT_BOUND;

	if (g->config.fua_remote)
		return PRIMARY_BOUND_FUA;
	if (g->config.on_disconnect == GROUP_STOP)
		return PRIMARY_BOUND_POLICY;
	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume *v = &g->volumes[i];

		if (v->has_policy && v->policy == GROUP_STOP)
			return PRIMARY_BOUND_VOLUME_POLICY;
		if (!v->has_policy && v->sync == GROUP_REMOTE)
			bound = PRIMARY_BOUND_VOLUME_MODE;
	}
	return bound;
}

static void primary_start_epoch_durable(struct group *g, int res)
{
	if (res < 0)
		return; /* the log has failed and says so itself */
	if (g->start.phase != PRIMARY_RUNNING)
		group_begin_serving(g);
}

/* Completed writes may be missing only if the machine lost its memory. */
static bool primary_start_may_miss_writes(const struct group *g, const uint8_t boot[16])
{
	return !g->start.was_clean && memcmp(boot, lfs_meta(g->lfs)->boot, 16) != 0;
}

/*
 * Never: a store that was copied and opened twice would give LSNs of one epoch twice, and
 * nobody could tell the two apart.
 */
static bool primary_start_keeps_epoch(const struct group *g, bool confirmed)
{
	return (!g->start.was_clean && RT_BUG(LSN_TWICE)) ||
	       (g->start.was_clean && RT_BUG(CLEAN_KEEPS_EPOCH)) ||
	       (confirmed && RT_BUG(CONFIRMED_OPEN_KEEPS_EPOCH));
}

void primary_start_next_epoch(struct group *g, uint64_t *number, uint64_t *id)
{
	while (g->start.next_id == 0)
		rt_random(g->loop, &g->start.next_id, sizeof(g->start.next_id));
	*number = history_next_number(lfs_meta(g->lfs), g->watch.epoch_seen);
	*id = g->start.next_id;
}

/* `confirmed`: the mirror has said what it holds, and it fits. */
static void primary_start_epoch(struct group *g, bool confirmed)
{
	struct history_start start = { .store = lfs_store_id(g->lfs),
				       .first_lsn = lfs_lsn(g->lfs).admitted + 1 };
	struct lfs_meta *meta;
	uint8_t boot[16];

	if (!facts_can_change(g))
		return; /* called again by the next turn */
	if (rt_boot_id(g->loop, boot) < 0)
		rt_random(g->loop, boot, sizeof(boot)); /* unknown counts as changed */
	meta = facts_edit(g);
	start.lossy = primary_start_may_miss_writes(g, boot);
	memcpy(meta->boot, boot, sizeof(meta->boot));
	if (!primary_start_keeps_epoch(g, confirmed)) {
		/* It was to take back later epochs of its own, and the mirror is gone. */
		if (meta->epochs[meta->nepochs - 1].first_lsn > start.first_lsn)
			(void)history_add_unreached(meta, &start);
		primary_start_next_epoch(g, &start.number, &start.id);
		if (!history_begin(meta, &start))
			group_say_history_full(g);
	}
	if (confirmed) /* START follows */
		meta->named_epoch = meta->epochs[meta->nepochs - 1].id;
	primary_start_set_phase(g, PRIMARY_EPOCH);
	facts_change(g, primary_start_epoch_durable);
	if (RT_BUG(EPOCH_NOT_FLUSHED))
		group_begin_serving(g);
}

void primary_start_mirror_fits(struct group *g)
{
	rt_assert(g->start.phase == PRIMARY_ASKING);
	primary_start_epoch(g, true);
}

void primary_start_set_deadline(struct group *g)
{
	g->start.deadline =
		rt_time_add(rt_now(g->loop), g->config.open_timeout_ms * RT_MS);
}

void primary_start_pulling(struct group *g)
{
	primary_start_set_phase(g, PRIMARY_PULLING);
}

void primary_start_pulled(struct group *g)
{
	primary_start_set_phase(g, PRIMARY_ASKING);
	primary_start_set_deadline(g);
}

void primary_start_over(struct group *g)
{
	primary_start_set_phase(g, PRIMARY_RUNNING);
}

void primary_start_conn_lost(struct group *g)
{
	if (g->start.phase != PRIMARY_PULLING)
		return;
	primary_start_set_phase(g, PRIMARY_ASKING);
	apply_discard(&g->apply);
	primary_start_set_deadline(g); /* we know of writes that only the mirror has */
}

void primary_start_turn(struct group *g)
{
	if (g->start.phase != PRIMARY_ASKING || g->role != GROUP_PRIMARY ||
	    group_is_fenced(g) || group_is_stopping(g))
		return;
	if (g->session && g->alone == GROUP_NOT_ALONE) {
		if (primary_start_bound(g) != PRIMARY_NOT_BOUND)
			return;
		if (rt_time_before(rt_now(g->loop), g->start.deadline))
			return;
		group_event(g, RT_LOG_WARN, "starting-without-mirror waited_ms=%lld",
			    (long long)g->config.open_timeout_ms);
	}
	peer_watch_opened_alone(&g->watch);
	primary_start_epoch(g, false);
}

void primary_start_say(struct group *g)
{
	char why[GROUP_STATUS_WHY_MAX], quoted[2 * GROUP_STATUS_WHY_MAX];
	struct primary_start *start = &g->start;

	if (start->phase != PRIMARY_ASKING && start->phase != PRIMARY_PULLING)
		return;
	if (!g->session || g->failed || group_is_stopping(g) ||
	    (start->wait_logged && start->wait_state == g->state))
		return;
	start->wait_logged = true;
	start->wait_state = g->state;
	group_policy_why(g, why, sizeof(why));
	group_event(g, group_state_level(g->state), "waiting for=mirror state=%s why=%s",
		    group_state_name(g->state),
		    rt_log_quote(quoted, sizeof(quoted), why));
}
