// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/pairing.h"
#include "replicator/policy.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "rt/bug.h"
#include "rt/mem.h"

/* Frames taken in one turn of the loop. */
#define FRAMES_PER_TURN 256
/* Bytes given back in answer to one PULL. */
#define PULL_BYTES (4u << 20)

/* After the primary's hello: how long the rest of an old tunnel is waited for. */
#define DRAIN_MS 500

#define MIRROR_BAD_FRAMING "what arrived in the tunnel is no legal framing"

/* ---- taking in --------------------------------------------------------------------------- */

/* False when what arrived is no use any more: the connection is refused. */
static bool mirror_take_frames(struct session *s)
{
	struct apply *a = &s->group->apply;
	const uint8_t *frame;
	size_t len;

	if (s->intake.bad_framing)
		return false;
	for (unsigned i = 0; i < FRAMES_PER_TURN && apply_room(a); i++) {
		int got = transport_next_frame(s->transport, &frame, &len);

		if (got == 0)
			return true;
		if (got < 0) {
			session_intake_failed(s, got, MIRROR_BAD_FRAMING);
			s->intake.bad_framing = true;
			session_refuse(s, MIRROR_BAD_FRAMING);
			session_event(s, SESSION_EV_FRAMES_BAD);
			return false;
		}
		peer_watch_primary_rx(&s->group->watch, true, rt_now(s->group->loop));
		if (apply_record(a, frame, len) < 0)
			return true; /* a->err says it */
	}
	if (apply_room(a))
		group_wake(s->group); /* there may be more */
	return true;
}

/* The rest of what arrived. There may be no connection to refuse it on: it is said. */
static void mirror_take_rest(struct session *s)
{
	const struct apply *a = &s->group->apply;
	bool legal = a->err == 0;

	(void)mirror_take_frames(s); /* drained all the same */
	if (legal && a->err < 0)
		group_event(s->group, RT_LOG_WARN, "record-refused why=\"%s\"", a->why);
	if (legal && a->err < 0)
		session_intake_failed(s, a->err, a->why);
}

bool mirror_is_drained(struct session *s)
{
	struct group *g = s->group;
	struct lfs_lsn lsn;

	if (s->transport)
		mirror_take_rest(s);
	if (g->apply.err < 0)
		apply_discard(&g->apply);
	if (!apply_idle(&g->apply))
		return false;
	lsn = lfs_lsn(g->lfs);
	if (lsn.durable < lsn.admitted && !g->failed)
		return false;
	session_close_transport(s);
	apply_restart(&g->apply);
	return true;
}

static void mirror_drain_late(struct rt_timer *timer)
{
	group_wake(rt_container_of(timer, struct session, drain)->group);
}

void mirror_await_rest(struct session *s)
{
	s->drain.fire = mirror_drain_late;
	rt_timer_arm(s->group->loop, &s->drain, RT_NEVER);
}

void mirror_hello_received(struct session *s)
{
	s->drain.fire = mirror_drain_late;
	rt_timer_arm(s->group->loop, &s->drain,
		     rt_time_add(rt_now(s->group->loop), DRAIN_MS * RT_MS));
}

/* ---- what follows from a primary's hello --------------------------------------------------- */

static void mirror_refuse(struct session *s, const char *why)
{
	group_set_why(s->group, "%s", why);
	session_refuse(s, why);
}

static const struct lfs_volume *mirror_volume_named(const struct lfs_meta *meta,
						    const char *name)
{
	for (unsigned i = 0; i < meta->nvolumes; i++)
		if (strcmp(meta->volumes[i].name, name) == 0)
			return &meta->volumes[i];
	return NULL;
}

/*
 * A fresh mirror's volumes are those of its own file: they must be the primary's. False
 * with `why`.
 */
static bool mirror_judge_pairing(const struct session *s, char why[MESSAGE_TEXT_MAX])
{
	const struct lfs_meta *mine = lfs_meta(s->group->lfs), *theirs = &s->peer->meta;

	if (mine->nvolumes != theirs->nvolumes) {
		(void)snprintf(why, MESSAGE_TEXT_MAX,
			       "the mirror has %u volumes, the primary %u",
			       mine->nvolumes, theirs->nvolumes);
		return false;
	}
	if (mine->max_request != theirs->max_request) {
		(void)snprintf(why, MESSAGE_TEXT_MAX,
			       "max_request is %u bytes at the mirror, %u at the primary",
			       mine->max_request, theirs->max_request);
		return false;
	}
	/* Ours have a name each; theirs, as many, then have these and no other. */
	for (unsigned i = 0; i < mine->nvolumes; i++) {
		const struct lfs_volume *own = &mine->volumes[i];
		const struct lfs_volume *found = mirror_volume_named(theirs, own->name);

		if (found && found->size == own->size)
			continue;
		if (!found)
			(void)snprintf(why, MESSAGE_TEXT_MAX,
				       "volume %s of the mirror is not at the primary",
				       own->name);
		else
			(void)snprintf(why, MESSAGE_TEXT_MAX,
				       "volume %s has %llu bytes at the mirror, %llu at "
				       "the primary",
				       own->name, (unsigned long long)own->size,
				       (unsigned long long)found->size);
		return false;
	}
	return true;
}

/* The connection would wait for ever; the next one decides anew. */
static void mirror_refuse_not_durable(struct session *s, const char *fact, int err)
{
	char why[MESSAGE_TEXT_MAX];

	if (s->group->failed) { /* the group's `why` is the log's own */
		session_refuse(s, POLICY_LOG_FAILED);
		return;
	}
	(void)snprintf(why, sizeof(why), "this mirror cannot make %s durable: %s", fact,
		       err == -EDQUOT ? "the map needs more than map_memory"
				      : strerror(-err));
	mirror_refuse(s, why);
}

static void mirror_paired(struct group *g, int res)
{
	struct session *s = g->session;

	if (!s)
		return;
	if (res < 0) {
		if (s->state == SESSION_PAIRING)
			mirror_refuse_not_durable(s, "the pairing", res);
		return;
	}
	group_number_volumes(g);
	session_epochs_seen(s); /* of this group from now on */
	group_event(g, RT_LOG_INFO, "paired primary=%s volumes=%u", s->peer->node,
		    g->nvolumes);
	pairing_say_bound(g);
	if (s->state == SESSION_PAIRING)
		session_event(s, SESSION_EV_PAIRED);
	group_wake(g);
}

static void mirror_pair(struct session *s)
{
	struct group *g = s->group;
	char why[MESSAGE_TEXT_MAX];
	struct lfs_meta *meta;

	if (!mirror_judge_pairing(s, why)) {
		mirror_refuse(s, why);
		return;
	}
	meta = facts_edit(g);
	memcpy(meta->group, s->peer->meta.group, sizeof(meta->group));
	memcpy(meta->peer_store, s->control.identity.store, sizeof(meta->peer_store));
	meta->flags &= ~LFS_UNPAIRED;
	meta->nvolumes = s->peer->meta.nvolumes;
	memcpy(meta->volumes, s->peer->meta.volumes,
	       meta->nvolumes * sizeof(meta->volumes[0]));
	/* START brings the others. The primary may fold any of them before that, but its first. */
	meta->nepochs = 1;
	meta->epochs[0] = s->peer->meta.epochs[0];
	session_event(s, SESSION_EV_PAIR);
	facts_change(g, mirror_paired);
}

static enum history_relation mirror_relation(const struct session *s,
					     const struct history_side *primary)
{
	const struct lfs_meta *meta = lfs_meta(s->group->lfs);
	struct lfs_position end;

	lfs_position(s->group->lfs, &end);
	return history_compare(primary,
			       &(struct history_side){ meta->epochs, meta->nepochs,
						       end.lsn, end.hash });
}

static void mirror_agree(struct session *s)
{
	session_event(s, SESSION_EV_AGREED);
	if (s->state != SESSION_WAITING) /* START or PULL is here: the next turn's */
		group_wake(s->group);
}

/* The primary holds all that is here, or takes it back: its next epoch follows ours. */
static void mirror_agree_to_go_on(struct session *s)
{
	if (!pairing_is_bound(s))
		return; /* the next turn decides again */
	peer_watch_epoch_announced(&s->group->watch, s->peer->next_number,
				   s->peer->next_id);
	session_goes_on(s);
	if (s->peer->flags & HELLO_STARTING) /* from now on it may serve */
		peer_watch_primary_rx(&s->group->watch, true, rt_now(s->group->loop));
	mirror_agree(s);
}

void mirror_is_parted(struct session *s)
{
	peer_watch_parted(&s->group->watch);
	group_set_standing(s->group, GROUP_STANDING_DIVERGED);
	mirror_refuse(s, SESSION_TWO_CONTENTS);
}

/* It takes back what it lacks; up to its last LSN it is what this site is. */
static void mirror_agree_to_give_back(struct session *s)
{
	enum session_same same = session_compare(s);

	if (same == SESSION_NOT_SAME)
		mirror_is_parted(s);
	else if (same == SESSION_SAME)
		mirror_agree_to_go_on(s);
}

/* It takes back what is here of its own later epochs; else it fences itself, by our HELLO. */
static void mirror_supersedes(struct session *s, const struct history_side *primary)
{
	const struct lfs_meta *meta = lfs_meta(s->group->lfs);
	struct history_side ours = { .epochs = meta->epochs, .nepochs = meta->nepochs };

	ours.lsn = lfs_lsn(s->group->lfs).admitted;
	if ((s->peer->flags & HELLO_STARTING) &&
	    history_is_rolled_back(primary, &ours, s->control.identity.store))
		mirror_agree_to_give_back(s);
	else
		mirror_agree(s);
}

static void mirror_decide_with_primary(struct session *s)
{
	const struct message_hello *peer = s->peer;
	const struct history_side primary = { peer->meta.epochs, peer->meta.nepochs,
					      peer->lsn, peer->hash };

	switch (mirror_relation(s, &primary)) {
	case HISTORY_AHEAD:
		if (!(peer->flags & HELLO_STARTING)) {
			group_set_standing(s->group, GROUP_STANDING_DIVERGED);
			mirror_refuse(
				s,
				"this mirror holds more of the epoch than its primary");
			return;
		}
		mirror_agree_to_give_back(s);
		return;
	case HISTORY_BEHIND:
		mirror_agree_to_go_on(s);
		return;
	case HISTORY_SURPLUS:
		peer_watch_parted(&s->group->watch);
		mirror_refuse(
			s, "this mirror holds operations after a fork: it needs rejoin, "
			   "which is not in this version");
		return;
	case HISTORY_SUPERSEDED:
		mirror_supersedes(s, &primary);
		return;
	case HISTORY_SPLIT:
	case HISTORY_UNWRITTEN:
		peer_watch_parted(&s->group->watch);
		group_set_standing(s->group, GROUP_STANDING_DIVERGED);
		mirror_refuse(s,
			      "split brain: the histories of the two sites have parted");
		return;
	}
}

static void mirror_decide(struct session *s)
{
	const char *why;

	if (!facts_can_change(s->group))
		return;
	why = session_judge_hello(s);
	if (!why && s->peer->role != LFS_PRIMARY)
		why = "both sites are mirrors: promote one of them";
	if (why)
		mirror_refuse(s, why);
	else if (lfs_meta(s->group->lfs)->flags & LFS_UNPAIRED)
		mirror_pair(s);
	else if (s->state == SESSION_UNPAIRED_DECIDING) /* paired meanwhile */
		session_event(s, SESSION_EV_PAIRED);
	else
		mirror_decide_with_primary(s);
}

/* ---- START ----------------------------------------------------------------------------------- */

static void mirror_ready(struct session *s)
{
	struct group *g = s->group;
	int err = session_open_transport(s, s->start);

	identity_answered(&s->identity.peer);
	session_number_counts(s);
	if (err < 0) {
		mirror_refuse(s,
			      err == -EINVAL
				      ? "a START whose symbols no tunnel can have"
				      : "the mirror cannot make a tunnel: out of memory");
		return;
	}
	apply_restart(&g->apply);
	transport_set_watermark(s->transport, lfs_lsn(g->lfs).durable, rt_now(g->loop));
	session_event(s, SESSION_EV_FOLLOW);
	session_forget_refusals(s);
	group_is_agreed(g);
	group_set_why(g, "%s", "");
	session_send_number(s, MESSAGE_READY, s->start->tunnel_id);
	transport_begin(s->transport);
	group_event(g, RT_LOG_INFO, "following from-lsn=%llu primary=%s",
		    (unsigned long long)s->start->from_lsn, s->peer->node);
}

static void mirror_history_durable(struct group *g, int res)
{
	struct session *s = g->session;

	if (!s || s->state != SESSION_WRITING_HISTORY)
		return;
	if (res < 0)
		mirror_refuse_not_durable(s, "the history of START", res);
	else if (!RT_BUG(EPOCH_NOT_FLUSHED))
		mirror_ready(s);
	group_wake(g);
}

static bool mirror_same_history(const struct message_start *start,
				const struct lfs_meta *meta)
{
	return start->nepochs == meta->nepochs &&
	       memcmp(start->epochs, meta->epochs,
		      meta->nepochs * sizeof(meta->epochs[0])) == 0;
}

/* The primary's history must contain all of ours before we take anything of it. */
static void mirror_accept_start(struct session *s)
{
	struct group *g = s->group;
	const struct message_start *start = s->start;
	const struct history_side primary = { start->epochs, start->nepochs, UINT64_MAX,
					      0 };
	struct lfs_meta *meta;

	if (start->from_lsn != lfs_lsn(g->lfs).admitted + 1 ||
	    mirror_relation(s, &primary) != HISTORY_BEHIND) {
		mirror_refuse(s,
			      "a START that does not go on from this mirror's position");
		return;
	}
	/* Before READY nothing is sent, so this costs a few messages. */
	if (!session_intake_open(s)) {
		mirror_refuse(s, s->intake.why);
		return;
	}
	if (mirror_same_history(start, lfs_meta(g->lfs))) {
		mirror_ready(s);
		return;
	}
	meta = facts_edit(g);
	meta->nepochs = start->nepochs;
	memcpy(meta->epochs, start->epochs, start->nepochs * sizeof(meta->epochs[0]));
	session_event(s, SESSION_EV_WRITE_HISTORY);
	facts_change(g, mirror_history_durable);
	if (RT_BUG(EPOCH_NOT_FLUSHED))
		mirror_ready(s);
}

/* ---- giving back ------------------------------------------------------------------------------- */

static void mirror_pull_entry(void *owner, int res, const struct lfs_entry *entry)
{
	struct session *s = owner;
	struct group *g = s->group;
	size_t size = record_len_max(g->config.max_request);
	struct record rec;
	uint8_t *buf, *at;

	s->control.pull.reading = false;
	group_wake(g);
	if (res == -ENODATA || (res == 0 && entry->lsn > lfs_lsn(g->lfs).durable)) {
		s->control.pull.at_end = true;
		return;
	}
	buf = res == 0 ? rt_alloc(size) : NULL;
	if (!buf) {
		mirror_refuse(s, res == 0 ? "this mirror is out of memory"
					  : "this mirror cannot read its own log");
		return;
	}
	rec = record_of_entry(entry);
	at = buf + record_encode_head(&rec, buf, size);
	for (unsigned i = 0; i < rec.nops; i++) {
		if (rec.ops[i].kind != LFS_WRITE)
			continue;
		memcpy(at, rec.ops[i].data, (size_t)rec.ops[i].blocks * LFS_BLOCK);
		at += (size_t)rec.ops[i].blocks * LFS_BLOCK;
	}
	if (s->control.conn) /* a failed send ends the connection by its event */
		(void)conn_send(s->control.conn, MESSAGE_ENTRY, buf, (size_t)(at - buf));
	s->control.pull.sent += (uint64_t)(at - buf);
	rt_free(buf);
}

static void mirror_pull_turn(struct session *s)
{
	if (!s->control.pull.reader || s->control.pull.reading || !s->control.conn ||
	    !conn_room(s->control.conn))
		return;
	if (!s->control.pull.at_end && s->control.pull.sent < PULL_BYTES) {
		s->control.pull.reading = true;
		group_log_reader_next(s->control.pull.reader);
		return;
	}
	group_log_reader_free(s->control.pull.reader);
	s->control.pull.reader = NULL;
	session_send_number(s, MESSAGE_PULLED, lfs_lsn(s->group->lfs).durable);
	session_event(s, SESSION_EV_PULL_SERVED);
}

void mirror_serve_pull(struct session *s)
{
	struct session_pull *pull = &s->control.pull;

	if (pull->from == 0 || pull->from > lfs_lsn(s->group->lfs).durable ||
	    group_log_reader_new(s->group, pull->from, mirror_pull_entry, s,
				 &pull->reader) < 0) {
		session_refuse(s, "a PULL that this mirror cannot serve");
		return;
	}
	pull->at_end = false;
	pull->reading = false;
	pull->sent = 0;
}

/* ---- turn ---------------------------------------------------------------------------------------- */

static void mirror_follow_turn(struct session *s)
{
	struct group *g = s->group;
	struct lfs_lsn lsn;

	if (!mirror_take_frames(s))
		return;
	if (g->apply.err < 0) {
		session_intake_failed(s, g->apply.err, g->apply.why);
		mirror_refuse(s, g->apply.why);
		session_event(s, SESSION_EV_FRAMES_BAD);
		return;
	}
	lsn = lfs_lsn(g->lfs);
	transport_set_watermark(
		s->transport, RT_BUG(RECEIVED_AS_PERSISTED) ? lsn.admitted : lsn.durable,
		rt_now(g->loop));
}

/*
 * A new connection, and the primary lives: what it has sent through the old tunnel may be
 * completed already and still be on its way. It closed that tunnel before its hello, which
 * says how far it went; so what is missing comes soon or never.
 */
static bool mirror_old_transport_brings_more(struct session *s)
{
	if (transport_over(s->transport))
		return false; /* what it brought is taken by the last look */
	if (!s->control.hello_received)
		return true;
	if (s->peer->role != LFS_PRIMARY || (s->peer->flags & HELLO_STARTING))
		return false;
	return s->group->apply.next_lsn <= s->peer->lsn && rt_timer_armed(&s->drain);
}

static enum session_event mirror_drain_result(const struct session *s, bool broken)
{
	if (broken)
		return SESSION_EV_DRAINED_BROKEN;
	return lfs_meta(s->group->lfs)->flags & LFS_UNPAIRED ? SESSION_EV_DRAINED_UNPAIRED
							     : SESSION_EV_DRAINED;
}

static void mirror_drain_turn(struct session *s)
{
	bool broken = s->group->apply.err < 0 || s->intake.bad_framing;

	if (!broken && s->transport && s->control.conn &&
	    mirror_old_transport_brings_more(s)) {
		mirror_follow_turn(s);
		return;
	}
	if (!mirror_is_drained(s) || switchover_is_taking(s))
		return;
	if (s->control.conn && s->group->failed) /* it is not durable, nor will be */
		session_refuse(s, POLICY_LOG_FAILED);
	else
		session_event(s, mirror_drain_result(s, broken));
}

void mirror_turn(struct session *s)
{
	switch (s->state) {
	case SESSION_DRAINING:
	case SESSION_DRAINING_DISCONNECTED:
		mirror_drain_turn(s);
		return;
	case SESSION_DECIDING:
	case SESSION_DECIDING_START:
	case SESSION_DECIDING_PULL:
	case SESSION_UNPAIRED_DECIDING:
		mirror_decide(s);
		return;
	case SESSION_SERVING_PULL:
		mirror_pull_turn(s);
		return;
	case SESSION_START_RECEIVED:
		if (facts_can_change(s->group))
			mirror_accept_start(s);
		return;
	case SESSION_STREAMING:
	case SESSION_DATA_ONLY:
		mirror_follow_turn(s);
		return;
	case SESSION_DISCONNECTED:
	case SESSION_HELLO:
	case SESSION_UNPAIRED:
	case SESSION_PAIRING:
	case SESSION_WAITING:
	case SESSION_WRITING_HISTORY:
	case SESSION_REFUSED:
		return;
	case SESSION_PULLING:
	case SESSION_PULLED:
	case SESSION_STARTING:
	case SESSION_STATES:
		rt_assert(!"a state of a mirror");
	}
}

void mirror_message(struct session *s, unsigned type, const uint8_t *body, size_t len)
{
	switch (type) {
	case MESSAGE_START:
		if (!session_takes(s, SESSION_EV_START) ||
		    message_decode_start(body, len, s->start) < 0)
			session_refuse(s, "a START that is not legal here");
		else
			session_event(s, SESSION_EV_START);
		return;
	case MESSAGE_PULL:
		if (!session_takes(s, SESSION_EV_PULL) ||
		    message_decode_number(body, len, &s->control.pull.from) < 0)
			session_refuse(s, "a PULL that is not legal here");
		else
			session_event(s, SESSION_EV_PULL);
		return;
	default:
		session_refuse(s, "a message that a primary does not send");
		return;
	}
}
