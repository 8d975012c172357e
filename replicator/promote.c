// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/promote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/recovery.h"
#include "replicator/session.h"
#include "replicator/verb.h"
#include "rt/bug.h"

/* Its last HELLO says it. */
static const char *promote_peer_name(const struct group *g)
{
	return session_peer_node(g->session, "the primary");
}

void promote_recovery(const struct group *g, struct recovery *ret)
{
	*ret = (struct recovery){
		.watch = &g->watch,
		.now = rt_now(g->loop),
		.wall_ns = rt_wall_ns(g->loop),
		.node = g->config.node,
		.primary = promote_peer_name(g),
	};
	lfs_image(g->lfs, &ret->image);
	ret->epoch = lfs_epoch_of(lfs_meta(g->lfs), ret->image.lsn)->number;
}

/* The promotion, or its undoing, has come to nothing. */
static void promote_fail(struct group *g, int res, const char *how, const char *why)
{
	struct group_promote *p = g->promote;

	g->promote = NULL;
	verb_text(&p->verb, "%s: %s\n", how, why);
	verb_reply(g, &p->verb, res);
}

/* What this site holds, and what it knows that it does not hold. */
static void promote_describe(struct group *g, struct group_promote *p)
{
	size_t used = strlen(p->verb.text);
	struct recovery r;

	promote_recovery(g, &r);
	recovery_find(&r, &p->recovery);
	p->found = true;
	if (g->role == GROUP_MIRROR) {
		recovery_describe(&r, p->verb.text + used, sizeof(p->verb.text) - used);
		return;
	}
	/* Fenced, or it has handed over: what is here is its own. */
	p->recovery.known = false;
	p->recovery.missing_writes = p->recovery.missing_bytes = GROUP_NOT_KNOWN;
	verb_text(&p->verb,
		  "%s holds what it wrote itself, up to LSN %llu of epoch %llu; what %s "
		  "has written as primary is not here, and would be lost\n",
		  g->config.node, (unsigned long long)p->recovery.lsn,
		  (unsigned long long)p->recovery.epoch, promote_peer_name(g));
}

/* A primary that lives is not replaced without force. */
static int promote_judge_silence(const struct group *g, struct group_promote *p)
{
	const struct peer_watch *w = &g->watch;
	rt_time now = rt_now(g->loop);
	int64_t wait_ms =
		peer_watch_primary_wait_ns(w, GROUP_PROMOTE_SILENCE_MS * RT_MS,
					   GROUP_PROMOTE_REDIAL_MS * RT_MS, now) /
		RT_MS;

	if (wait_ms <= 0)
		return 0;
	if (!peer_watch_primary_is_back(w))
		verb_text(&p->verb,
			  "refused: this daemon was started, or stopped, %lld ms ago: "
			  "the primary may live and not be back yet; wait for %lld ms, "
			  "or --force\n",
			  (long long)(rt_time_since(now, w->awake) / RT_MS),
			  (long long)wait_ms);
	else
		verb_text(
			&p->verb,
			"refused: the primary was received %lld ms ago, and serves; stop "
			"it, or wait for %d ms of silence, or --force\n",
			(long long)(peer_watch_primary_served_ns(w, now) / RT_MS),
			GROUP_PROMOTE_SILENCE_MS);
	return -EPERM;
}

/* 0 where a promotion, or its undoing, may begin at all. */
static int promote_judge_busy(const struct group *g, struct group_promote *p)
{
	const char *why = "a promotion is under way";
	int err = g->promote ? -EBUSY : verb_refusal(g, &why);

	if (err == 0 && switchover_forbids_promotion(g)) {
		why = "a switchover is under way, and is over in a moment";
		err = -EBUSY;
	}
	if (err < 0)
		verb_text(&p->verb, "refused: %s\n", why);
	return err;
}

/* 0: go on; else why not. */
static int promote_judge(struct group *g, struct group_promote *p)
{
	struct session *s = g->session;
	bool sealed = lfs_meta(g->lfs)->flags & LFS_SEALED;
	int err = promote_judge_busy(g, p);

	if (err < 0)
		return err;
	if (g->role == GROUP_PRIMARY && !group_is_fenced(g) && !sealed) {
		verb_text(&p->verb, "this site is the primary already\n");
		return -EALREADY;
	}
	if (lfs_meta(g->lfs)->flags & LFS_UNPAIRED) {
		verb_text(&p->verb,
			  "refused: this mirror has never been filled by a primary\n");
		return -EPERM;
	}
	if (p->force || !s)
		return 0;
	if (group_is_fenced(g) || sealed) {
		verb_text(&p->verb,
			  "refused: this site %s; --force makes a second primary\n",
			  sealed ? "has handed over to the other one"
				 : "is fenced, the other one is primary in a newer "
				   "epoch");
		return -EPERM;
	}
	return promote_judge_silence(g, p);
}

/* ---- undo ------------------------------------------------------------------------------ */

static const char *promote_undo_refusal(const struct group *g)
{
	switch (history_undo_judge(lfs_meta(g->lfs), lfs_lsn(g->lfs).admitted,
				   lfs_store_id(g->lfs))) {
	case HISTORY_UNDO_MAY:
		return NULL;
	case HISTORY_UNDO_NONE:
		return "this site was not promoted from a mirror, or its history has "
		       "forgotten that";
	case HISTORY_UNDO_WRITTEN:
		return "writes were taken here since the promotion, and would be lost";
	case HISTORY_UNDO_NAMED:
		return "a mirror of this site has taken up the new epoch";
	}
	rt_assert(!"a verdict");
	return "";
}

/* 0: go on; else why not. */
static int promote_judge_undo(const struct group *g, struct group_promote *p)
{
	const char *why = NULL;
	int err = promote_judge_busy(g, p);

	if (err < 0)
		return err;
	if (g->role == GROUP_MIRROR) {
		verb_text(&p->verb, "this site is a mirror already\n");
		return -EALREADY;
	}
	if (!group_serving(g) || g->start.phase != PRIMARY_RUNNING)
		why = "this site does not serve yet";
	else if (group_is_fenced(g))
		why = "this site is fenced";
	else if (!g->session)
		why = "the group has no peer";
	else
		why = promote_undo_refusal(g);
	if (!why)
		return 0;
	verb_text(&p->verb, "refused: %s\n", why);
	return -EPERM;
}

static void promote_undo(struct group *g, struct group_promote *p)
{
	int err = promote_judge_undo(g, p);

	if (err == 0 && p->dry_run)
		verb_text(&p->verb, "the promotion can be undone; nothing was changed "
				    "(--dry-run)\n");
	if (err < 0 || p->dry_run) {
		verb_reply(g, &p->verb, err);
		return;
	}
	g->promote = p;
	session_drop(g->session);
	group_wake(g);
}

/* It is a mirror, as it was, and nothing of its reign is left but the id of that. */
static void promote_undone(struct group *g, int res)
{
	struct group_promote *p = g->promote;

	if (res < 0) {
		promote_fail(g, res, "failed", "it could not be made durable");
		return;
	}
	g->promote = NULL;
	(void)gate_fail(&g->gate, -EPERM);
	if (g->session) {
		session_drop(g->session); /* made meanwhile, as a primary's */
		rt_assert(g->session->state == SESSION_DISCONNECTED);
	}
	group_set_alone(g, GROUP_NOT_ALONE);
	group_set_standing(g, GROUP_STANDING_GOOD);
	group_set_why(g, "%s", "");
	g->role = GROUP_MIRROR;
	apply_restart(&g->apply);
	group_event(g, RT_LOG_WARN, "promotion-undone lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).durable);
	promote_describe(g, p);
	verb_text(&p->verb,
		  "the promotion is undone: this site is a mirror again, and %s goes on "
		  "as primary when it answers\n",
		  promote_peer_name(g));
	verb_reply(g, &p->verb, 0);
}

/* Nothing is under way that could still be written. */
static void promote_undo_turn(struct group *g)
{
	struct lfs_meta *meta;

	if (!rt_list_empty(&g->writes.waiting) || !rt_list_empty(&g->writes.locks))
		return;
	if (promote_undo_refusal(g)) { /* what was admitted in that very turn */
		promote_fail(g, -EPERM, "refused", promote_undo_refusal(g));
		return;
	}
	meta = facts_edit(g);
	history_undo(meta);
	meta->role = LFS_MIRROR;
	meta->flags &= ~(LFS_ALONE | LFS_HOLD);
	facts_peer_is_at(meta, 0);
	facts_change(g, promote_undone);
}

void group_promote(struct group *g, struct group_promote *p)
{
	int err;

	verb_begin(&p->verb);
	p->found = false;
	if (p->undo) {
		promote_undo(g, p);
		return;
	}
	err = promote_judge(g, p);
	if (err == 0 || err == -EPERM)
		promote_describe(g, p);
	if (err == 0 && p->dry_run)
		verb_text(&p->verb,
			  "nothing was changed (--dry-run); before it is promoted, "
			  "clients of %s must be off\n",
			  promote_peer_name(g));
	if (err < 0 || p->dry_run) {
		verb_reply(g, &p->verb, err);
		return;
	}
	g->promote = p;
	if (g->session)
		session_event(g->session, SESSION_EV_PROMOTE);
	group_wake(g);
}

static void promote_done(struct group *g, int res)
{
	struct group_promote *p = g->promote;

	if (res < 0) {
		promote_fail(g, res, "failed", "the new epoch could not be made durable");
		return;
	}
	g->promote = NULL;
	verb_begin(&p->verb);
	promote_describe(g, p); /* as the mirror that it is until now */
	g->role = GROUP_PRIMARY;
	gate_forget_mirror(&g->gate);
	group_set_standing(g, GROUP_STANDING_GOOD);
	group_set_alone(g, p->hold ? GROUP_ALONE_HOLDING : GROUP_ALONE);
	peer_watch_promoted(&g->watch, rt_now(g->loop));
	if (g->session) {
		session_event(g->session, SESSION_EV_PROMOTED);
		session_forget_refusals(g->session); /* of what it was until now */
	}
	group_set_why(g, "%s", "");
	verb_text(&p->verb,
		  "now primary in epoch %llu, %s until a mirror is in sync; clients of "
		  "%s must be off\n",
		  (unsigned long long)lfs_meta(g->lfs)
			  ->epochs[lfs_meta(g->lfs)->nepochs - 1]
			  .number,
		  p->hold ? "holding what its mode cannot complete"
			  : "alone: every mode counts as local (EXPOSED)",
		  promote_peer_name(g));
	group_event(g, RT_LOG_WARN, "promoted lsn=%llu hold=%d force=%d",
		    (unsigned long long)p->recovery.lsn, p->hold, p->force);
	group_begin_serving(g);
	verb_reply(g, &p->verb, 0);
}

/* What arrived whole is durable: the new epoch begins behind it. */
static void promote_epoch(struct group *g)
{
	struct lfs_meta *meta = facts_edit(g);
	const struct history_start unreached = {
		.number = g->watch.announced_number,
		.id = g->watch.announced_id,
		.store = meta->peer_store,
		.first_lsn = lfs_lsn(g->lfs).admitted + 1,
	};
	struct history_start start = { .store = lfs_store_id(g->lfs),
				       .first_lsn = unreached.first_lsn,
				       .lossy = true };
	const uint64_t before = meta->epochs[meta->nepochs - 1].id;
	bool all = history_add_unreached(meta, &unreached);

	rt_random(g->loop, &start.id, sizeof(start.id));
	start.number = history_next_number(meta, g->watch.epoch_seen);
	if (!history_begin(meta, &start) || !all)
		group_say_history_full(g);
	meta->promotion = (struct lfs_promotion){ 0 };
	if (meta->role == LFS_MIRROR) {
		meta->promotion.before = before;
		meta->promotion.epoch = start.id;
	}
	meta->role = LFS_PRIMARY;
	facts_peer_is_at(meta, 0); /* of what this site writes from now on */
	meta->flags |= LFS_ALONE;
	meta->flags &= ~(LFS_FENCED | LFS_SEALED | LFS_HOLD);
	if (g->promote->hold)
		meta->flags |= LFS_HOLD;
	facts_boot(g, meta->boot);
	facts_change(g, promote_done);
}

void promote_turn(struct group *g)
{
	struct group_promote *p = g->promote;
	const char *why;

	if (!p || facts_changing(g))
		return;
	if (verb_refusal(g, &why) < 0) {
		promote_fail(g, -EIO, "failed", why);
		return;
	}
	if (p->undo) {
		promote_undo_turn(g);
		return;
	}
	if (g->session && g->role == GROUP_MIRROR && !mirror_is_drained(g->session) &&
	    !RT_BUG(PROMOTE_UNDRAINED))
		return;
	promote_epoch(g);
}
