// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/pairing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/identity.h"
#include "replicator/session.h"
#include "rt/bug.h"

struct pairing_reply {
	struct rt_op op;
	int res;
};
_Static_assert(sizeof(struct pairing_reply) <= sizeof(((struct group_peer *)0)->impl),
	       "fits into the request");

/* ---- binding ---------------------------------------------------------------------------- */

void pairing_say_bound(struct group *g)
{
	char text[IDENTITY_TEXT_MAX];

	group_event(g, RT_LOG_INFO, "peer-bound store=%s",
		    identity_text(lfs_meta(g->lfs)->peer_store, text));
}

static void pairing_bound(struct group *g, int res)
{
	if (res == 0) /* else the log has failed and says so itself */
		pairing_say_bound(g);
}

bool pairing_is_bound(struct session *s)
{
	struct group *g = s->group;
	const uint8_t *peer = s->control.identity.store;
	struct lfs_meta *meta;

	if (memcmp(lfs_meta(g->lfs)->peer_store, peer, LFS_ID_LEN) == 0 ||
	    RT_BUG(MIRROR_UNBOUND))
		return true;
	meta = facts_edit(g);
	memcpy(meta->peer_store, peer, LFS_ID_LEN);
	meta->peer_persisted = 0;
	facts_change(g, pairing_bound);
	return false;
}

/* ---- replace and forget -------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
pairing_text(struct group_peer *p, const char *fmt, ...)
{
	size_t used = strlen(p->text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(p->text + used, sizeof(p->text) - used, fmt, args);
	va_end(args);
}

static void pairing_replied(struct rt_op *op, int res)
{
	struct pairing_reply *reply = rt_container_of(op, struct pairing_reply, op);
	struct group_peer *p = rt_container_of((void **)reply, struct group_peer, impl);

	(void)res; /* rt_defer has no result of its own */
	p->done(p, reply->res);
}

static void pairing_reply(struct group *g, struct group_peer *p, int res)
{
	struct pairing_reply *reply = (struct pairing_reply *)p->impl;

	*reply = (struct pairing_reply){ .op.done = pairing_replied, .res = res };
	rt_defer(g->loop, &reply->op);
}

/* What is so now, and what follows. */
static void pairing_describe(const struct group *g, struct group_peer *p)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	char text[IDENTITY_TEXT_MAX];

	if (meta->flags & LFS_PEER_FORGOTTEN)
		pairing_text(p, "the peer was forgotten\n");
	else if (identity_is_none(meta->peer_store))
		pairing_text(p, "there is no peer yet\n");
	else
		pairing_text(p, "the peer is store %s%s%s\n",
			     identity_text(meta->peer_store, text),
			     g->session->control.conn ? ", connected as " : "",
			     g->session->control.conn
				     ? g->session->control.identity.node
				     : "");
	if (p->change == GROUP_PEER_REPLACE)
		pairing_text(p, "the first store of group %s that connects is the peer, "
				"and no other after it\n",
			     meta->group_name);
	else
		pairing_text(p, "no store is taken for the peer until: wanmirror peer "
				"replace %s\n",
			     meta->group_name);
}

static void pairing_changed(struct group *g, int res)
{
	struct group_peer *p = g->session ? g->session->identity.asked : NULL;

	if (!p)
		return; /* the session ended meanwhile, and said so */
	g->session->identity.asked = NULL;
	if (res < 0) {
		pairing_text(p, "failed: it could not be made durable\n");
		pairing_reply(g, p, res);
		return;
	}
	/* What that store held is no copy of this one's any more, nor what it still takes. */
	if (g->role == GROUP_PRIMARY && g->session->transport)
		session_event(g->session, SESSION_EV_TRANSPORT_ENDED);
	gate_forget_mirror(&g->gate);
	peer_watch_mirror_lost_data(&g->watch);
	group_event(g, RT_LOG_WARN, "%s",
		    p->change == GROUP_PEER_REPLACE ? "peer-replace" : "peer-forget");
	if (g->session->state != SESSION_REFUSED) /* else it is closed in a moment */
		session_drop(g->session);
	pairing_reply(g, p, 0);
}

void pairing_turn(struct session *s)
{
	struct group *g = s->group;
	struct group_peer *p = s->identity.asked;
	struct lfs_meta *meta;

	if (!p || !facts_can_change(g))
		return;
	meta = facts_edit(g);
	memset(meta->peer_store, 0, LFS_ID_LEN);
	meta->peer_persisted = 0;
	meta->flags &= ~LFS_PEER_FORGOTTEN;
	if (p->change == GROUP_PEER_FORGET)
		meta->flags |= LFS_PEER_FORGOTTEN;
	facts_change(g, pairing_changed);
}

void pairing_end(struct session *s)
{
	struct group_peer *p = s->identity.asked;

	if (!p)
		return;
	s->identity.asked = NULL;
	pairing_text(p, "failed: the daemon is stopping\n");
	pairing_reply(s->group, p, -ESHUTDOWN);
}

void group_peer(struct group *g, struct group_peer *p)
{
	int err = 0;

	p->text[0] = 0;
	if (!g->session || g->failed || group_is_stopping(g)) {
		pairing_text(p, "refused: %s\n",
			     g->failed			? "the log of this site has failed"
			     : group_is_stopping(g)	? "the daemon is stopping"
							: "the group has no peer");
		err = g->failed ? -EIO : g->session ? -ESHUTDOWN : -EINVAL;
	} else if (switchover_is_sealed(g) || switchover_forbids_promotion(g)) {
		pairing_text(p, "refused: this site has handed over, or is about to: its "
				"peer is what decides about that\n");
		err = -EBUSY;
	} else if (g->session->identity.asked) {
		pairing_text(p, "refused: another change of the peer is under way\n");
		err = -EBUSY;
	} else {
		pairing_describe(g, p);
	}
	if (err == 0 && p->dry_run)
		pairing_text(p, "nothing was changed (--dry-run)\n");
	if (err < 0 || p->dry_run) {
		pairing_reply(g, p, err);
		return;
	}
	g->session->identity.asked = p;
	group_wake(g);
}
