// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/log_sender.h"
#include "replicator/pairing.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "rt/bug.h"

struct primary_sides {
	struct history_side ours, theirs;
};

static struct primary_sides primary_sides(const struct session *s)
{
	const struct lfs_meta *meta = lfs_meta(s->group->lfs);
	struct lfs_position end;

	lfs_position(s->group->lfs, &end);
	return (struct primary_sides){
		.ours = { meta->epochs, meta->nepochs, end.lsn, end.hash },
		.theirs = { s->peer->meta.epochs, s->peer->meta.nepochs, s->peer->lsn,
			    s->peer->hash },
	};
}

static enum history_relation primary_relation(const struct session *s)
{
	const struct primary_sides sides = primary_sides(s);

	return history_compare(&sides.ours, &sides.theirs);
}

/* ---- conclusions ------------------------------------------------------------------------ */

static void primary_fenced(struct group *g, int res)
{
	if (res < 0)
		return; /* the log has failed: nothing completes any more either way */
	group_set_standing(g, GROUP_STANDING_FENCED);
	write_fail_waiting(g, -EPERM);
	(void)gate_fail(&g->gate, -EPERM);
	group_event(g, RT_LOG_ERROR,
		    "fenced why=\"the other site is primary in a newer epoch\"");
	if (g->life == GROUP_LIFE_STARTING)
		group_begin_serving(g); /* met while it opened: reads */
	else if (g->start.phase == PRIMARY_ASKING)
		primary_start_over(g); /* of one that was fenced before */
	if (g->session)
		session_refuse(g->session, "this site is fenced: it has been superseded");
}

static void primary_fence(struct session *s)
{
	struct group *g = s->group;
	struct lfs_meta *meta = facts_edit(g);

	meta->flags |= LFS_FENCED;
	meta->promotion.fence =
		history_fence(&(struct history_side){ .epochs = meta->epochs,
						      .nepochs = meta->nepochs },
			      &(struct history_side){ .epochs = s->peer->meta.epochs,
						      .nepochs = s->peer->meta.nepochs },
			      s->control.identity.store);
	group_set_why(g, "%s is primary in epoch %llu, which goes on from ours",
		      s->peer->node,
		      (unsigned long long)s->peer->meta.epochs[s->peer->meta.nepochs - 1]
			      .number);
	facts_change(g, primary_fenced);
}

static void primary_unfenced(struct group *g, int res)
{
	if (res < 0)
		return;
	group_event(g, RT_LOG_WARN,
		    "fence-over why=\"the other site has undone its promotion\"");
	primary_start_unfenced(g);
	if (g->session)
		session_drop(g->session); /* the next HELLO is of one that opens */
}

/* The promotion that fenced us was undone: we open again, as after a start. */
static bool primary_fence_ends(struct session *s)
{
	const struct lfs_meta *mine = lfs_meta(s->group->lfs);
	const struct history_side theirs = { .epochs = s->peer->meta.epochs,
					     .nepochs = s->peer->meta.nepochs };
	enum history_relation relation = primary_relation(s);
	struct lfs_meta *meta;

	if (s->peer->role != LFS_MIRROR || (s->peer->flags & HELLO_UNPAIRED) ||
	    (relation != HISTORY_BEHIND && relation != HISTORY_AHEAD) ||
	    !history_fence_is_over(mine->promotion.fence, s->peer->undone, &theirs))
		return false;
	meta = facts_edit(s->group);
	meta->flags &= ~LFS_FENCED;
	meta->promotion.fence = 0;
	facts_change(s->group, primary_unfenced);
	return true;
}

static void primary_diverge(struct session *s, const char *why)
{
	if (!group_is_fenced(s->group)) /* or it opens again after that */
		group_set_standing(s->group, GROUP_STANDING_DIVERGED);
	group_set_why(s->group, "%s", why);
	session_refuse(s, why);
}

void primary_is_parted(struct session *s)
{
	primary_start_conn_lost(s->group);
	primary_diverge(s, SESSION_TWO_CONTENTS);
}

/* Before START, or that the mirror fits: up to its last LSN it is what this site is. */
static bool primary_mirror_is_same(struct session *s)
{
	enum session_same same = session_compare(s);

	if (same == SESSION_NOT_SAME)
		primary_is_parted(s);
	return same == SESSION_SAME;
}

static void primary_history_taken(struct group *g, int res)
{
	if (res == 0)
		group_event(g, RT_LOG_WARN,
			    "rolled-back why=\"the mirror holds later epochs of this "
			    "store: it was put back to an older state\" lsn=%llu",
			    (unsigned long long)lfs_lsn(g->lfs).admitted);
}

/*
 * What the mirror holds of our own later epochs is ours, too: the next turn finds it ahead,
 * and takes it back.
 */
static void primary_take_history(struct session *s)
{
	struct lfs_meta *meta = facts_edit(s->group);
	const struct lfs_meta *theirs = &s->peer->meta;

	meta->nepochs = theirs->nepochs;
	memcpy(meta->epochs, theirs->epochs, theirs->nepochs * sizeof(meta->epochs[0]));
	meta->named_epoch = meta->epochs[meta->nepochs - 1].id;
	facts_change(s->group, primary_history_taken);
}

/* The mirror has gone on from here: with another primary, or with another state of this one. */
static void primary_superseded(struct session *s)
{
	const struct primary_sides sides = primary_sides(s);
	const uint8_t *store = lfs_store_id(s->group->lfs);
	bool asks = s->group->start.phase == PRIMARY_ASKING ||
		       RT_BUG(ROLLED_BACK_WHILE_SERVING);

	if (asks && history_is_rolled_back(&sides.ours, &sides.theirs, store)) {
		if (pairing_is_bound(s))
			primary_take_history(s);
		return;
	}
	if (history_is_of_a_copy(&sides.ours, &sides.theirs, store))
		primary_diverge(s, "this store and a copy of it have both been written: "
				   "the mirror followed the other one");
	else
		primary_fence(s);
}

static void primary_meets_primary(struct session *s)
{
	const struct lfs_meta *mine = lfs_meta(s->group->lfs), *other = &s->peer->meta;

	if (mine->epochs[mine->nepochs - 1].id == other->epochs[other->nepochs - 1].id) {
		primary_diverge(
			s,
			"both sites are primary in the same epoch: one store is a copy");
		return;
	}
	switch (primary_relation(s)) {
	case HISTORY_SUPERSEDED:
		primary_fence(s);
		return;
	case HISTORY_BEHIND:
		if (s->peer->flags & HELLO_SEALED)
			return; /* it sees that it is the mirror now, and comes back as one */
				/* fall through */
	case HISTORY_AHEAD:
	case HISTORY_SURPLUS:
	case HISTORY_UNWRITTEN:
		primary_start_answered(s->group);
		session_refuse(
			s,
			"two primaries: the older epoch is superseded and needs rejoin");
		return;
	case HISTORY_SPLIT:
		primary_diverge(
			s, "split brain: both sites have been primary since they parted");
		return;
	}
}

/* ---- START ------------------------------------------------------------------------------- */

static const char *primary_start_refusal(int err)
{
	switch (err) {
	case -ENOMEM:
		return "the primary cannot make a tunnel: out of memory";
	case -ENOTSUP:
		return "this fec.code or rate is not in this version";
	case -EPERM:
		return "this kernel does not offer peer.congestion to this user";
	default:
		return "the primary cannot make a tunnel like this";
	}
}

static void primary_epoch_named(struct group *g, int res)
{
	(void)g; /* the next turn decides again */
	(void)res;
}

/*
 * START may reach the mirror whatever happens here: that it names the current epoch is
 * durable first. False while that is being written.
 */
static bool primary_epoch_is_named(struct session *s)
{
	struct lfs_meta *next = facts_edit(s->group);
	uint64_t current = next->epochs[next->nepochs - 1].id;
	bool named = next->named_epoch == current;
	const struct lfs_meta *peer = &s->peer->meta;

	next->named_epoch = current;
	if (!history_drop(next, peer->epochs[peer->nepochs - 1].id) && named)
		return true;
	facts_change(s->group, primary_epoch_named);
	return false;
}

static void primary_send_start(struct session *s)
{
	struct group *g = s->group;
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	struct message_start *start = s->start;
	int err;

	if (s->control.mirror_was_unpaired) {
		gate_forget_mirror(&g->gate);
		peer_watch_mirror_lost_data(&g->watch);
	}
	*start = (struct message_start){ .from_lsn = s->peer->lsn + 1,
					 .nepochs = meta->nepochs };
	rt_random(g->loop, &start->tunnel_id, sizeof(start->tunnel_id));
	memcpy(start->epochs, meta->epochs, meta->nepochs * sizeof(meta->epochs[0]));
	session_choose_code(g, start);
	err = session_open_transport(s, start);
	if (err < 0) {
		session_refuse(s, primary_start_refusal(err));
		return;
	}
	session_number_counts(s);
	session_event(s, SESSION_EV_START_SENT);
	(void)conn_send(s->control.conn, MESSAGE_START, s->scratch,
			message_encode_start(start, s->scratch, MESSAGE_MAX));
}

static void primary_ready_received(struct session *s, const uint8_t *body, size_t len)
{
	struct group *g = s->group;
	struct gate_marks marks = g->gate.marks;
	uint64_t id;

	if (!session_takes(s, SESSION_EV_READY) ||
	    message_decode_number(body, len, &id) < 0 || id != s->start->tunnel_id) {
		session_refuse(s, "a READY that fits no START");
		return;
	}
	if (log_sender_new(g, s->transport, s->start->from_lsn, &s->log_sender) < 0) {
		session_refuse(s, "the primary is out of memory");
		return;
	}
	marks.persisted = marks.received = marks.onwire = s->start->from_lsn - 1;
	gate_set_marks(&g->gate, &marks);
	transport_begin(s->transport);
	identity_answered(&s->identity.peer);
	session_event(s, SESSION_EV_READY);
	peer_watch_streaming(&g->watch, lfs_lsn(g->lfs).admitted, rt_now(g->loop));
	group_is_agreed(g);
	group_set_why(g, "%s", "");
	group_event(g, RT_LOG_INFO, "streaming from-lsn=%llu peer=%s",
		    (unsigned long long)s->start->from_lsn, s->peer->node);
}

/* ---- pull -------------------------------------------------------------------------------- */

static void primary_pull_more(struct session *s)
{
	session_event(s, SESSION_EV_PULL_SENT);
	s->control.pull.from = lfs_lsn(s->group->lfs).admitted + 1;
	session_send_number(s, MESSAGE_PULL, s->control.pull.from);
}

/* What does not fit parts the sites; a want of room or memory here only takes time. */
static void primary_pull_failed(struct session *s)
{
	struct group *g = s->group;
	int err = g->apply.err;

	primary_start_conn_lost(g);
	session_intake_failed(s, err, g->apply.why);
	if (err == -ENOMEM || err == -EDQUOT || err == -ENOSPC || err == -EIO) {
		group_set_why(g, "%s", g->apply.why);
		session_refuse(s, g->apply.why);
	} else {
		primary_diverge(s, g->apply.why);
	}
}

static void primary_pulled_entry(struct session *s, const uint8_t *body, size_t len)
{
	struct apply *a = &s->group->apply;
	bool asked = s->state == SESSION_PULLING && a->next_lsn <= s->peer->lsn;

	if (asked && a->bytes <= APPLY_BYTES_MAX) {
		(void)apply_record(a, body,
				   len); /* primary_pull_turn() looks at its error */
		return;
	}
	a->refused++;
	if (s->state == SESSION_PULLING || s->state == SESSION_PULLED)
		session_refuse(s, "more records than were asked for");
}

static void primary_pull_turn(struct session *s)
{
	struct group *g = s->group;
	struct lfs_lsn lsn = lfs_lsn(g->lfs);

	if (g->apply.err < 0) {
		primary_pull_failed(s);
		return;
	}
	if (s->state != SESSION_PULLED || !apply_idle(&g->apply) ||
	    lsn.durable < lsn.admitted)
		return;
	if (lsn.admitted < s->control.pull.from) {
		session_refuse(s, "the mirror gives back nothing of what it says it has");
		return;
	}
	if (lsn.admitted < s->peer->lsn) {
		primary_pull_more(s);
		return;
	}
	group_event(g, RT_LOG_INFO, "pulled-back to-lsn=%llu",
		    (unsigned long long)lsn.admitted);
	primary_start_pulled(g);
	session_event(s, SESSION_EV_PULL_DONE);
	group_wake(g);
}

/* ---- what follows from a mirror's hello ----------------------------------------------------- */

#define PRIMARY_OUT_OF_LOG                                                               \
	"the mirror holds more than this primary, and its log no longer has all of it: " \
	"promote the mirror"

static void primary_decide_ahead(struct session *s)
{
	struct group *g = s->group;

	if (g->start.phase != PRIMARY_ASKING) {
		primary_diverge(s,
				"the mirror holds more of this epoch than its primary");
		return;
	}
	if (RT_BUG(SKIP_PULL_BACK)) {
		primary_start_mirror_fits(g);
		return;
	}
	if (s->peer->log_floor > lfs_lsn(g->lfs).admitted) {
		group_set_why(g, "%s", PRIMARY_OUT_OF_LOG);
		session_refuse(s, PRIMARY_OUT_OF_LOG);
		return;
	}
	if (!session_intake_open(s)) {
		group_set_why(g, "%s", s->intake.why);
		session_refuse(s, s->intake.why);
		return;
	}
	group_event(g, RT_LOG_INFO, "pulling-back from-lsn=%llu to-lsn=%llu",
		    (unsigned long long)lfs_lsn(g->lfs).admitted + 1,
		    (unsigned long long)s->peer->lsn);
	group_set_why(g, "%s", "");
	primary_start_pulling(g);
	apply_restart(&g->apply);
	primary_pull_more(s);
}

/* What it held for good, as far as this site knows: in this run, and before. */
static uint64_t primary_mirror_reached(const struct group *g)
{
	uint64_t persisted = g->gate.marks.persisted;
	uint64_t reached = lfs_meta(g->lfs)->peer_reached;

	return reached > persisted ? reached : persisted;
}

/*
 * The store that it is a copy of may be on its way, and holds what completed: who answers is
 * the other one.
 */
static void primary_refuse_older_copy(struct session *s)
{
	const struct group *g = s->group;
	char why[MESSAGE_TEXT_MAX + LFS_NAME_MAX];

	(void)snprintf(why, sizeof(why),
		       "the mirror's store is an older copy: it holds LSN %llu, and has "
		       "held LSN %llu; start the newer one, or take this one: wanmirror "
		       "peer replace %s",
		       (unsigned long long)s->peer->lsn,
		       (unsigned long long)primary_mirror_reached(g),
		       lfs_meta(g->lfs)->group_name);
	identity_forget(&s->identity.peer);
	session_refuse(s, why);
}

static void primary_decide_with_mirror(struct session *s)
{
	struct group *g = s->group;
	const struct primary_sides sides = primary_sides(s);
	enum history_relation relation = history_compare(&sides.ours, &sides.theirs);

	if (history_is_older_copy(relation, &sides.theirs, primary_mirror_reached(g))) {
		primary_refuse_older_copy(s);
		return;
	}
	if (relation == HISTORY_BEHIND && !primary_mirror_is_same(s))
		return;
	if ((relation == HISTORY_BEHIND || relation == HISTORY_AHEAD) &&
	    !pairing_is_bound(s))
		return;
	switch (relation) {
	case HISTORY_BEHIND:
		if (g->start.phase == PRIMARY_ASKING)
			primary_start_mirror_fits(g);
		else if (g->start.phase == PRIMARY_RUNNING && primary_epoch_is_named(s))
			primary_send_start(s);
		return;
	case HISTORY_AHEAD:
		primary_decide_ahead(s);
		return;
	case HISTORY_SURPLUS:
		primary_start_answered(g);
		session_refuse(
			s, "the mirror holds operations after a fork: it needs rejoin, "
			   "which is not in this version");
		return;
	case HISTORY_SUPERSEDED:
		primary_superseded(s);
		return;
	case HISTORY_SPLIT:
	case HISTORY_UNWRITTEN: /* no START of ours has named that epoch */
		primary_diverge(
			s, "split brain: the histories of the two sites have parted");
		return;
	}
}

static void primary_decide(struct session *s)
{
	struct group *g = s->group;
	const char *why;

	if (!facts_can_change(g))
		return;
	why = session_judge_hello(s);
	if (why) {
		session_refuse(s, why);
		return;
	}
	if (switchover_decides(s))
		return;
	if (group_is_fenced(g) && g->start.phase == PRIMARY_RUNNING) {
		if (!primary_fence_ends(s))
			session_refuse(s, "this site is fenced: it has been superseded");
		return;
	}
	if (s->peer->role == LFS_PRIMARY) {
		primary_meets_primary(s);
	} else if (s->peer->flags & HELLO_UNPAIRED) {
		session_event(s, SESSION_EV_PEER_UNPAIRED);
	} else {
		primary_decide_with_mirror(s);
	}
}

static void primary_cannot_send(struct session *s)
{
	char why[MESSAGE_TEXT_MAX];

	(void)snprintf(why, sizeof(why), "the primary cannot read LSN %llu of its log",
		       (unsigned long long)log_sender_next(s->log_sender));
	session_refuse(s, why);
}

void primary_false_claim(struct session *s)
{
	session_refuse(s, "the mirror claims to hold what was never sent");
	session_event(s,
		      SESSION_EV_TRANSPORT_ENDED); /* or each turn would find it again */
}

void primary_turn(struct session *s)
{
	struct group *g = s->group;

	switch (s->state) {
	case SESSION_DECIDING:
		primary_decide(s);
		return;
	case SESSION_PULLING:
	case SESSION_PULLED:
		primary_pull_turn(s);
		return;
	case SESSION_STREAMING:
	case SESSION_DATA_ONLY:
		if (group_is_fenced(g))
			return;
		if (log_sender_pump(s->log_sender) < 0) {
			primary_cannot_send(s);
			return;
		}
		if (gate_wants_wire(&g->gate) || gate_wants_mirror(&g->gate))
			transport_expedite(s->transport, rt_now(g->loop));
		session_fit_path(s);
		return;
	case SESSION_DISCONNECTED:
	case SESSION_HELLO:
	case SESSION_STARTING:
	case SESSION_REFUSED:
	case SESSION_DRAINING_DISCONNECTED: /* while it is promoted by force */
		return;
	case SESSION_DRAINING:
	case SESSION_DECIDING_START:
	case SESSION_DECIDING_PULL:
	case SESSION_UNPAIRED:
	case SESSION_UNPAIRED_DECIDING:
	case SESSION_PAIRING:
	case SESSION_WAITING:
	case SESSION_SERVING_PULL:
	case SESSION_START_RECEIVED:
	case SESSION_WRITING_HISTORY:
	case SESSION_STATES:
		rt_assert(!"a state of a primary");
	}
}

void primary_message(struct session *s, unsigned type, const uint8_t *body, size_t len)
{
	uint64_t n;

	switch (type) {
	case MESSAGE_READY:
		primary_ready_received(s, body, len);
		return;
	case MESSAGE_ENTRY:
		primary_pulled_entry(s, body, len);
		return;
	case MESSAGE_PULLED:
		if (message_decode_number(body, len, &n) == 0)
			session_event(s, SESSION_EV_PULLED);
		return;
	default:
		session_refuse(s, "a message that a mirror does not send");
		return;
	}
}
