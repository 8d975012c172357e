// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/primary_start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_policy.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/identity.h"
#include "replicator/session.h"
#include "replicator/verb.h"
#include "rt/bug.h"

static void primary_start_set_phase(struct group *g, enum primary_phase phase)
{
	enum primary_phase from = g->start.phase;

	switch (phase) {
	case PRIMARY_ASKING:
		rt_assert(from == PRIMARY_PULLING || group_is_fenced(g));
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

/* There is a store that may have been promoted. */
static bool primary_start_is_paired(const struct group *g)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);

	return !identity_is_none(meta->peer_store) && !(meta->flags & LFS_PEER_FORGOTTEN);
}

bool primary_start_has_nobody(const struct group *g)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);

	return (meta->flags & LFS_PEER_FORGOTTEN) && identity_is_none(meta->peer_store) &&
	       !g->session->identity.refused_us;
}

bool primary_start_is_warm(const struct lfs_alive *alive, const struct lfs_alive *now)
{
	int64_t down = now->since_boot_ns - alive->since_boot_ns;

	return alive->since_boot_ns >= 0 && now->since_boot_ns >= 0 && down >= 0 &&
	       down < PRIMARY_WARM_MS * RT_MS &&
	       memcmp(alive->boot, now->boot, LFS_ID_LEN) == 0;
}

static void primary_start_now(struct group *g, struct lfs_alive *ret)
{
	ret->since_boot_ns = rt_loop_since_boot_ns(g->loop);
	if (rt_boot_id(g->loop, ret->boot) < 0)
		ret->since_boot_ns = -1;
}

void primary_start_begin(struct group *g, const struct lfs_recovery *recovery)
{
	struct lfs_alive now;

	primary_start_now(g, &now);
	g->start.was_clean = recovery->was_clean;
	g->start.cold = !primary_start_is_warm(&recovery->alive, &now);
}

void primary_start_leave_alive(struct group *g)
{
	struct lfs_alive now;

	if (g->role != GROUP_PRIMARY || g->start.phase != PRIMARY_RUNNING ||
	    group_is_fenced(g) || g->failed || !g->lfs)
		return;
	primary_start_now(g, &now);
	if (now.since_boot_ns >= 0)
		lfs_alive_leave(g->lfs, &now);
}

void primary_start_answered(struct group *g)
{
	if (g->start.phase == PRIMARY_ASKING)
		g->start.answered = true;
}

enum primary_bound primary_start_bound(const struct group *g)
{
	/* Who is refused by its mirror is a copy, or was left: warm or not, it is not the one. */
	bool refused = g->session && g->session->identity.refused_us;
	bool may_be_promoted =
		((g->start.cold && primary_start_is_paired(g) && !g->config.cold_serve) ||
		 refused) &&
		!RT_BUG(COLD_OPENS_ALONE);
	enum primary_bound bound =
		may_be_promoted ? PRIMARY_BOUND_COLD : PRIMARY_NOT_BOUND;

	if (switchover_is_sealed(g) && !RT_BUG(SEAL_FORGOTTEN))
		return PRIMARY_BOUND_SEALED;
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
	if (group_is_fenced(g)) /* until now: what fenced it was undone */
		group_set_standing(g, GROUP_STANDING_GOOD);
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
	facts_boot(g, boot);
	meta = facts_edit(g);
	start.lossy = primary_start_may_miss_writes(g, boot);
	if (RT_BUG(SEAL_FORGOTTEN))
		meta->flags &= ~LFS_SEALED;
	memcpy(meta->boot, boot, sizeof(meta->boot));
	if (meta->peer_persisted >= start.first_lsn) /* what was lost is given again */
		meta->peer_persisted = start.first_lsn - 1;
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

void primary_start_unfenced(struct group *g)
{
	g->start.next_id = 0; /* that one was begun, or is not to be */
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

/* Why it may not open without its mirror, whoever says so; or NULL. */
static const char *primary_start_alone_refusal(const struct group *g)
{
	if (group_is_fenced(g))
		return "this site is fenced, the other one is primary in a newer epoch; "
		       "to make it a second primary: wanmirror promote --force";
	if (switchover_is_sealed(g))
		return "this site has handed over, and the other one may be primary; if "
		       "that one is destroyed: wanmirror promote --force";
	if (g->role != GROUP_PRIMARY)
		return "this site is the mirror; to make it the primary: wanmirror "
		       "promote";
	if (g->session->identity.refused_us)
		return "the other site answers, and refuses this store: status says why";
	if (g->start.phase == PRIMARY_PULLING)
		return "the mirror has answered, and this site takes back what only that "
		       "one holds; it opens when that is here";
	if (g->session->control.conn && g->session->control.hello_received &&
	    g->session->peer->role == LFS_PRIMARY)
		return "the other site answers, and is primary";
	return NULL;
}

int group_open_alone(struct group *g, bool dry_run, char text[GROUP_OPEN_TEXT_MAX])
{
	const char *why;
	int err = verb_refusal(g, &why);

	if (err < 0) {
		(void)snprintf(text, GROUP_OPEN_TEXT_MAX, "%s", why);
		return err;
	}
	if (!g->session) {
		(void)snprintf(text, GROUP_OPEN_TEXT_MAX, "the group has no mirror");
		return -EINVAL;
	}
	why = primary_start_alone_refusal(g);
	if (why) {
		(void)snprintf(text, GROUP_OPEN_TEXT_MAX, "refused: %s", why);
		return -EPERM;
	}
	if (g->start.phase != PRIMARY_ASKING) {
		(void)snprintf(text, GROUP_OPEN_TEXT_MAX, "this site serves already");
		return -EALREADY;
	}
	(void)snprintf(text, GROUP_OPEN_TEXT_MAX,
		       "%s %s from LSN %llu on without its mirror; if that one was "
		       "promoted, there are two primaries from now on%s",
		       g->config.node, dry_run ? "would open" : "opens",
		       (unsigned long long)lfs_lsn(g->lfs).admitted + 1,
		       dry_run ? "; nothing was changed (--dry-run)" : "");
	if (dry_run)
		return 0;
	group_event(g, RT_LOG_WARN, "open-alone lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).admitted);
	g->start.person_opens = true;
	group_wake(g);
	return 0;
}

void primary_start_turn(struct group *g)
{
	if (g->start.phase != PRIMARY_ASKING || g->role != GROUP_PRIMARY ||
	    group_is_fenced(g) || group_is_stopping(g))
		return;
	if (switchover_is_sealed(g) && !RT_BUG(SEAL_FORGOTTEN))
		return; /* whatever a person or another site says: it is not the primary now */
	if (g->session && g->alone == GROUP_NOT_ALONE && !g->start.answered &&
	    !primary_start_has_nobody(g)) {
		if (primary_start_bound(g) != PRIMARY_NOT_BOUND && !g->start.person_opens)
			return;
		if (rt_time_before(rt_now(g->loop), g->start.deadline) &&
		    !g->start.person_opens)
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
