// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/switchover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/promote.h"
#include "replicator/recovery.h"
#include "replicator/session.h"
#include "replicator/verb.h"
#include "rt/bug.h"

/* So long new writes wait for the mirror, and so long who asked waits for the end. */
#define SWITCHOVER_DRAIN_MS 10000
#define SWITCHOVER_ANSWER_MS 30000
/* So often who asked learns what is left of a step that lasts. */
#define SWITCHOVER_PROGRESS_MS 1000
#define SWITCHOVER_TEXT_MAX 192

/* ---- steps ------------------------------------------------------------------------------ */

#define STEP(name) (1u << SWITCHOVER_##name)

bool switchover_may_follow(enum switchover_step from, enum switchover_step to)
{
	static const unsigned followers[] = {
		/* A store that was SEALED by an earlier start goes on from there. */
		[SWITCHOVER_NONE] = STEP(DRAINING) | STEP(ASKING) | STEP(TAKING) |
				    STEP(UNSEALING) | STEP(YIELDING),
		[SWITCHOVER_DRAINING] = STEP(NONE) | STEP(SEALING),
		[SWITCHOVER_SEALING] = STEP(NONE) | STEP(GRANTED) | STEP(UNSEALING),
		[SWITCHOVER_GRANTED] = STEP(NONE) | STEP(UNSEALING) | STEP(YIELDING),
		[SWITCHOVER_UNSEALING] = STEP(NONE),
		[SWITCHOVER_YIELDING] = STEP(NONE),
		[SWITCHOVER_ASKING] = STEP(NONE) | STEP(TAKING),
		[SWITCHOVER_TAKING] = STEP(NONE),
	};

	return followers[from] & 1u << to;
}

/* ---- progress ---------------------------------------------------------------------------- */

/* What the mirror has yet to persist, as far as this site knows: "12 writes, 48 KiB"; or "". */
static void switchover_left(const struct group *g, char *text, size_t size)
{
	struct exposure_figures left;
	struct group_recovery found = { 0 };
	struct recovery r;
	char bytes[RECOVERY_WORD_MAX];
	bool known;

	if (g->role == GROUP_PRIMARY) {
		known = exposure_beyond(&g->backlog.exposure, g->gate.marks.persisted,
					rt_now(g->loop), &left);
	} else {
		promote_recovery(g, &r);
		recovery_find(&r, &found);
		known = found.known;
		left.writes = known ? found.missing_writes : 0;
		left.bytes = found.missing_bytes;
	}
	text[0] = 0;
	if (left.writes > 0)
		(void)snprintf(text, size, "%llu write%s%s%s",
			       (unsigned long long)left.writes,
			       left.writes == 1 ? "" : "s", known ? ", " : "",
			       known ? recovery_bytes_text(left.bytes, bytes) : "");
}

static void switchover_step_text(const struct session *s, char *text, size_t size)
{
	const char *peer = session_peer_node(s, "the other site");
	const struct switchover *sw = &s->switchover;
	char left[SWITCHOVER_TEXT_MAX];

	text[0] = 0;
	switchover_left(s->group, left, sizeof(left));
	switch (sw->step) {
	case SWITCHOVER_NONE:
		break;
	case SWITCHOVER_DRAINING:
		(void)snprintf(text, size,
			       left[0] ? "new writes wait; %s has yet to persist %s"
				       : "new writes wait; %s holds all others",
			       peer, left);
		break;
	case SWITCHOVER_SEALING:
		(void)snprintf(text, size, "%s holds all; this site hands over", peer);
		break;
	case SWITCHOVER_GRANTED:
		(void)snprintf(text, size, "handed over at LSN %llu; waiting for %s",
			       (unsigned long long)sw->lsn, peer);
		break;
	case SWITCHOVER_UNSEALING:
		(void)snprintf(text, size, "%s has not taken over; this site goes on",
			       peer);
		break;
	case SWITCHOVER_YIELDING:
		(void)snprintf(text, size,
			       "%s is the primary; this site becomes its mirror", peer);
		break;
	case SWITCHOVER_ASKING:
		(void)snprintf(text, size,
			       left[0] ? "asked %s to hand over; %s are not here yet"
				       : "asked %s to hand over",
			       peer, left);
		break;
	case SWITCHOVER_TAKING:
		(void)snprintf(text, size,
			       "%s has handed over at LSN %llu; this site becomes the "
			       "primary",
			       peer, (unsigned long long)sw->lsn);
		break;
	}
}

static void switchover_say_step(struct session *s)
{
	struct switchover *sw = &s->switchover;
	char text[2 * SWITCHOVER_TEXT_MAX];

	if (sw->step == SWITCHOVER_NONE || !sw->asked || !sw->asked->progress)
		return;
	sw->shown_at = rt_now(s->group->loop);
	switchover_step_text(s, text, sizeof(text));
	sw->asked->progress(sw->asked, text);
}

static void switchover_set_step(struct switchover *sw, enum switchover_step step)
{
	rt_assert(switchover_may_follow(sw->step, step));
	sw->step = step;
	switchover_say_step(rt_container_of(sw, struct session, switchover));
}

bool switchover_pauses(const struct group *g)
{
	const struct session *s = g->session;

	return switchover_is_sealed(g) || g->promote ||
	       (s && (s->switchover.step == SWITCHOVER_DRAINING ||
		      s->switchover.step == SWITCHOVER_SEALING));
}

bool switchover_forbids_promotion(const struct group *g)
{
	const struct session *s = g->session;

	return s && s->switchover.step != SWITCHOVER_NONE &&
	       s->switchover.step != SWITCHOVER_GRANTED &&
	       s->switchover.step != SWITCHOVER_ASKING;
}

bool switchover_is_sealed(const struct group *g)
{
	return g->lfs && (lfs_meta(g->lfs)->flags & LFS_SEALED);
}

bool switchover_is_taking(const struct session *s)
{
	return s->switchover.step == SWITCHOVER_TAKING;
}

/* ---- who asked ---------------------------------------------------------------------------- */

static void switchover_answer(struct session *s, int res, const char *text)
{
	struct switchover *sw = &s->switchover;
	struct group_switchover *p = sw->asked;

	if (!p)
		return;
	sw->asked = NULL;
	p->lsn = sw->lsn;
	p->pause_ms = rt_time_since(rt_now(s->group->loop), sw->began) / RT_MS;
	verb_text(&p->verb, "%s\n", text);
	verb_reply(s->group, &p->verb, res);
}

/* The present step should have ended by now. */
static bool switchover_is_late(const struct session *s)
{
	return !rt_time_before(rt_now(s->group->loop), s->switchover.until);
}

/* ---- the primary ----------------------------------------------------------------------------- */

static const char *switchover_primary_refusal(const struct group *g)
{
	const struct session *s = g->session;

	if (!s)
		return "the group has no mirror";
	if (switchover_is_sealed(g) &&
	    (s->switchover.step == SWITCHOVER_NONE || switchover_is_late(s)))
		return "this site has handed over already, and waits for the other one";
	if (s->switchover.step != SWITCHOVER_NONE)
		return "a switchover is under way, and is over in a moment";
	if (!group_is_writable(g) || g->standing != GROUP_STANDING_GOOD)
		return "this site does not serve";
	if (s->state != SESSION_STREAMING || !peer_watch_in_sync(&g->watch) ||
	    g->alone != GROUP_NOT_ALONE)
		return "the mirror is not in sync";
	return NULL;
}

static void switchover_begin(struct session *s)
{
	struct switchover *sw = &s->switchover;
	rt_time now = rt_now(s->group->loop);

	switchover_set_step(sw, SWITCHOVER_DRAINING);
	sw->began = now;
	sw->until = rt_time_add(now, SWITCHOVER_DRAIN_MS * RT_MS);
	group_wake(s->group);
}

/* The mirror waits for an answer, if it asked. */
static void switchover_decline(struct session *s, const char *why)
{
	if (s->control.conn && conn_room(s->control.conn))
		(void)conn_send(s->control.conn, MESSAGE_DECLINE, s->scratch,
				message_encode_text(why, s->scratch, MESSAGE_MAX));
}

/* Nothing has happened: what waited goes on. */
static void switchover_abandon(struct session *s, const char *why)
{
	switchover_set_step(&s->switchover, SWITCHOVER_NONE);
	switchover_decline(s, why);
	switchover_answer(s, -EAGAIN, why);
	group_wake(s->group);
}

static void switchover_grant(struct session *s)
{
	struct group *g = s->group;
	struct message_grant grant = { .lsn = lfs_lsn(g->lfs).admitted };

	grant.number = history_next_number(lfs_meta(g->lfs), g->watch.epoch_seen);
	while (grant.id == 0)
		rt_random(g->loop, &grant.id, sizeof(grant.id));
	(void)conn_send(s->control.conn, MESSAGE_GRANT, s->scratch,
			message_encode_grant(&grant, s->scratch, MESSAGE_MAX));
}

static void switchover_sealed(struct group *g, int res)
{
	struct session *s = g->session;

	if (res < 0 || !s || s->switchover.step != SWITCHOVER_SEALING)
		return; /* the log has failed; or a stop has taken the session */
	s->switchover.lsn = lfs_lsn(g->lfs).admitted;
	switchover_set_step(&s->switchover, SWITCHOVER_GRANTED);
	s->switchover.until = rt_time_add(rt_now(g->loop), SWITCHOVER_ANSWER_MS * RT_MS);
	group_event(g, RT_LOG_INFO, "sealed lsn=%llu",
		    (unsigned long long)s->switchover.lsn);
	if (s->state == SESSION_STREAMING) /* else its next HELLO says that it has none */
		switchover_grant(s);
}

static void switchover_drain_turn(struct session *s)
{
	struct group *g = s->group;
	struct lfs_lsn lsn = lfs_lsn(g->lfs);
	struct lfs_meta *meta;

	if (s->state != SESSION_STREAMING || !peer_watch_in_sync(&g->watch) ||
	    group_is_stopping(g) || switchover_is_late(s)) {
		switchover_abandon(s,
				   "the mirror was not in sync long enough; nothing has "
				   "changed");
		return;
	}
	if (lsn.written < lsn.admitted || g->gate.marks.persisted < lsn.admitted ||
	    !rt_list_empty(&g->writes.inflight) || !rt_list_empty(&g->writes.released) ||
	    !facts_can_change(g))
		return;
	meta = facts_edit(g);
	meta->flags |= LFS_SEALED;
	switchover_set_step(&s->switchover, SWITCHOVER_SEALING);
	facts_change(g, switchover_sealed);
}

/* ---- what became of a grant -------------------------------------------------------------------- */

static void switchover_unsealed(struct group *g, int res)
{
	struct session *s = g->session;

	if (res < 0)
		return; /* the log has failed */
	group_event(g, RT_LOG_WARN, "unsealed lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).admitted);
	if (!s)
		return;
	switchover_set_step(&s->switchover, SWITCHOVER_NONE);
	switchover_answer(s, -EAGAIN,
			  "the other site has not taken over; nothing has changed");
	group_wake(g);
}

static void switchover_unseal(struct session *s)
{
	facts_edit(s->group)->flags &= ~LFS_SEALED;
	switchover_set_step(&s->switchover, SWITCHOVER_UNSEALING);
	facts_change(s->group, switchover_unsealed);
}

static void switchover_yielded(struct group *g, int res)
{
	struct session *s = g->session;

	if (res < 0)
		return; /* the log has failed */
	if (!RT_BUG(WAITING_RUNS_LATER))
		write_fail_waiting(g, -EPERM);
	(void)gate_fail(&g->gate, -EPERM);
	if (s)
		session_drop(s); /* as what it was; the next connection is the mirror's */
	if (g->alone != GROUP_NOT_ALONE)
		group_set_alone(g, GROUP_NOT_ALONE);
	g->role = GROUP_MIRROR;
	if (g->life == GROUP_LIFE_STARTING)
		group_begin_serving(g);
	group_set_why(g, "%s", "");
	group_event(g, RT_LOG_INFO, "switched role=mirror lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).admitted);
	if (!s)
		return;
	session_close_transport(s);
	apply_restart(&g->apply);
	switchover_set_step(&s->switchover, SWITCHOVER_NONE);
	s->redial_ms = SESSION_REDIAL_MIN_MS;
	session_dial_later(s);
	switchover_answer(s, 0, "the other site is the primary, and this one its mirror");
	group_wake(g);
}

/* All that is here is there, too: this site follows. */
static void switchover_yield(struct session *s)
{
	struct lfs_meta *meta = facts_edit(s->group);
	const struct lfs_meta *theirs = &s->peer->meta;

	meta->nepochs = theirs->nepochs;
	memcpy(meta->epochs, theirs->epochs, theirs->nepochs * sizeof(meta->epochs[0]));
	meta->named_epoch = meta->epochs[meta->nepochs - 1].id;
	meta->role = LFS_MIRROR;
	meta->flags &= ~(LFS_SEALED | LFS_ALONE | LFS_HOLD);
	s->switchover.lsn = lfs_lsn(s->group->lfs).admitted;
	switchover_set_step(&s->switchover, SWITCHOVER_YIELDING);
	facts_change(s->group, switchover_yielded);
}

bool switchover_decides(struct session *s)
{
	struct group *g = s->group;
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	struct history_side ours = { .epochs = meta->epochs, .nepochs = meta->nepochs };
	const struct history_side theirs = { s->peer->meta.epochs, s->peer->meta.nepochs,
					     s->peer->lsn, s->peer->hash };
	struct lfs_position end;

	if (!switchover_is_sealed(g) || group_is_fenced(g))
		return false;
	if (g->promote)
		return true; /* by force: that decides */
	lfs_position(g->lfs, &end);
	ours.lsn = end.lsn;
	ours.hash = end.hash;
	switch (history_compare(&ours, &theirs)) {
	case HISTORY_SUPERSEDED:
		if (s->peer->role != LFS_PRIMARY || history_has_surplus(&ours, &theirs))
			return false; /* it is fenced, as any primary */
		switchover_yield(s);
		return true;
	case HISTORY_BEHIND:
		if (s->peer->role != LFS_MIRROR)
			return false;
		/*
		 * Who was granted the epoch held exactly this. An older state of its store, or a
		 * new store, knows nothing of what became of the grant.
		 */
		if (theirs.lsn == end.lsn && theirs.hash == end.hash)
			switchover_unseal(s); /* then the next turn decides again */
		else
			session_refuse(s,
				       "this site has handed over, and that mirror holds "
				       "less than it did then: it was put back, or is "
				       "another one");
		return true;
	case HISTORY_AHEAD:
	case HISTORY_SURPLUS:
	case HISTORY_UNWRITTEN:
	case HISTORY_SPLIT:
		return false;
	}
	return false;
}

/* ---- the mirror ------------------------------------------------------------------------------------ */

static const char *switchover_mirror_refusal(const struct group *g)
{
	const struct session *s = g->session;

	if (s->switchover.step != SWITCHOVER_NONE || g->promote)
		return "a switchover or a promotion is under way, and is over in a "
		       "moment";
	if (s->state != SESSION_STREAMING)
		return "no primary is connected; if it is lost: wanmirror promote";
	return NULL;
}

static void switchover_taken(struct group *g, int res)
{
	struct session *s = g->session;
	struct gate_marks marks = g->gate.marks;

	if (res < 0) {
		if (s && !g->failed) /* nothing was written: it is the mirror as before */
			switchover_set_step(&s->switchover, SWITCHOVER_NONE);
		return; /* where the log has failed, no HELLO follows */
	}
	g->role = GROUP_PRIMARY;
	peer_watch_switched(&g->watch, rt_now(g->loop));
	marks.persisted = marks.received = marks.onwire = lfs_lsn(g->lfs).durable;
	gate_set_marks(&g->gate, &marks);
	if (s) {
		switchover_set_step(&s->switchover, SWITCHOVER_NONE);
		session_close_transport(s); /* all that it brought is here */
		session_event(s, SESSION_EV_PROMOTED);
		s->redial_ms = SESSION_REDIAL_MIN_MS;
		session_dial_later(s);
	}
	group_set_why(g, "%s", "");
	group_begin_serving(g);
	group_event(g, RT_LOG_INFO, "switched role=primary lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).durable);
	if (s)
		switchover_answer(s, 0, "this site is the primary");
}

/* Everything that the primary admitted is here, and durable. */
static bool switchover_has_all(struct session *s, const struct message_grant *grant)
{
	struct lfs_lsn lsn = lfs_lsn(s->group->lfs);

	return apply_idle(&s->group->apply) && lsn.admitted == grant->lsn &&
	       lsn.durable == grant->lsn;
}

/*
 * At once or never: a grant that waited here would be taken after the primary has met this
 * site again, and has seen that it was not.
 */
static void switchover_take(struct session *s, const struct message_grant *grant)
{
	struct group *g = s->group;
	struct history_start start = { .number = grant->number,
				       .id = grant->id,
				       .first_lsn = grant->lsn + 1,
				       .store = lfs_store_id(g->lfs) };
	struct lfs_meta *meta = facts_edit(g);

	s->switchover.lsn = grant->lsn;
	if (!history_begin(meta, &start))
		group_say_history_full(g);
	meta->named_epoch = grant->id;
	meta->role = LFS_PRIMARY;
	facts_peer_is_at(meta, grant->lsn);
	meta->flags &= ~(LFS_ALONE | LFS_HOLD);
	facts_boot(g, meta->boot);
	switchover_set_step(&s->switchover, SWITCHOVER_TAKING);
	session_event(s, SESSION_EV_PROMOTE);
	facts_change(g, switchover_taken);
}

static void switchover_granted(struct session *s, const uint8_t *body, size_t len)
{
	struct group *g = s->group;
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	struct message_grant grant;

	if (message_decode_grant(body, len, &grant) < 0 ||
	    s->state != SESSION_STREAMING || !history_may_be_next(meta, grant.number) ||
	    grant.lsn + 1 < meta->epochs[meta->nepochs - 1].first_lsn) {
		session_refuse(s, "a GRANT that is not legal here");
		return;
	}
	if (RT_BUG(GRANT_SURVIVES_CONNECTION)) {
		s->switchover.late = grant;
		s->switchover.until = rt_time_add(rt_now(g->loop), 2 * RT_S);
		return;
	}
	if (!switchover_has_all(s, &grant) || !facts_can_change(g) || g->promote ||
	    group_is_stopping(g)) {
		session_refuse(s, "this mirror cannot take over now");
		return;
	}
	switchover_take(s, &grant);
}

/* ---- both -------------------------------------------------------------------------------------------- */

static void switchover_declined(struct session *s, const uint8_t *body, size_t len)
{
	char why[MESSAGE_TEXT_MAX + 1], text[sizeof(why) + sizeof("refused: ")];

	if (s->switchover.step != SWITCHOVER_ASKING)
		return; /* nobody asks any more */
	message_reason(body, len, why);
	(void)snprintf(text, sizeof(text), "refused: %s", why);
	switchover_set_step(&s->switchover, SWITCHOVER_NONE);
	switchover_answer(s, -EPERM, text);
}

static void switchover_asked(struct session *s)
{
	const char *why = switchover_primary_refusal(s->group);

	if (why)
		switchover_decline(s, why);
	else
		switchover_begin(s);
}

void switchover_message(struct session *s, unsigned type, const uint8_t *body, size_t len)
{
	bool primary = s->group->role == GROUP_PRIMARY;

	if (type == MESSAGE_SWITCHOVER && primary)
		switchover_asked(s);
	else if (type == MESSAGE_GRANT && !primary)
		switchover_granted(s, body, len);
	else if (type == MESSAGE_DECLINE && !primary)
		switchover_declined(s, body, len);
	else
		session_refuse(s, "a message of a switchover from the wrong site");
}

static void switchover_ask_turn(struct session *s)
{
	bool late = switchover_is_late(s);

	if (s->state == SESSION_STREAMING && !late)
		return;
	switchover_set_step(&s->switchover, SWITCHOVER_NONE);
	switchover_answer(s, -EAGAIN,
			  late ? "the primary does not answer"
			       : "the connection to the primary is lost");
}

void switchover_turn(struct session *s)
{
	struct switchover *sw = &s->switchover;
	struct group *g = s->group;

	if (RT_BUG(GRANT_SURVIVES_CONNECTION) && sw->late.id && g->role == GROUP_MIRROR &&
	    !rt_time_before(rt_now(g->loop), sw->until) && facts_can_change(g) &&
	    switchover_has_all(s, &sw->late)) {
		switchover_take(s, &sw->late);
		sw->late.id = 0;
		return;
	}
	if (rt_time_since(rt_now(g->loop), sw->shown_at) >=
	    SWITCHOVER_PROGRESS_MS * RT_MS)
		switchover_say_step(s);
	switch (sw->step) {
	case SWITCHOVER_DRAINING:
		switchover_drain_turn(s);
		return;
	case SWITCHOVER_GRANTED:
		if (!switchover_is_sealed(g)) { /* promoted, by force */
			switchover_set_step(sw, SWITCHOVER_NONE);
			switchover_answer(s, -EAGAIN, "this site was promoted meanwhile");
			return;
		}
		if (sw->asked && switchover_is_late(s))
			switchover_answer(s, -EAGAIN,
					  "handed over, and the other site has not "
					  "answered yet: it is decided when it does");
		return;
	case SWITCHOVER_ASKING:
		switchover_ask_turn(s);
		return;
	case SWITCHOVER_NONE:
	case SWITCHOVER_SEALING:
	case SWITCHOVER_UNSEALING:
	case SWITCHOVER_YIELDING:
	case SWITCHOVER_TAKING:
		return;
	}
}

void switchover_end(struct session *s)
{
	switchover_answer(s, -ESHUTDOWN, VERB_STOPPING);
}

/* ---- the verb --------------------------------------------------------------------------------------- */

static const char *switchover_refusal(const struct group *g)
{
	const char *why;

	if (verb_refusal(g, &why) < 0)
		return why;
	if (!g->session)
		return "the group has no mirror";
	return g->role == GROUP_PRIMARY ? switchover_primary_refusal(g)
					: switchover_mirror_refusal(g);
}

void group_switchover(struct group *g, struct group_switchover *p)
{
	const char *why = switchover_refusal(g);
	struct switchover *sw;

	verb_begin(&p->verb);
	p->lsn = 0;
	p->pause_ms = 0;
	if (why || p->dry_run) {
		verb_text(&p->verb,
			  why ? "refused: %s\n"
			      : "%s would hand over; nothing was changed "
				"(--dry-run)\n",
			  why			     ? why
			  : g->role == GROUP_PRIMARY ? g->config.node
						     : g->session->control.identity.node);
		verb_reply(g, &p->verb, why ? -EPERM : 0);
		return;
	}
	sw = &g->session->switchover;
	sw->asked = p;
	if (g->role == GROUP_PRIMARY) {
		switchover_begin(g->session);
		return;
	}
	switchover_set_step(sw, SWITCHOVER_ASKING);
	sw->began = rt_now(g->loop);
	sw->until = rt_time_add(sw->began, SWITCHOVER_ANSWER_MS * RT_MS);
	(void)conn_send(g->session->control.conn, MESSAGE_SWITCHOVER, NULL, 0);
}
