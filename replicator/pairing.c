// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/pairing.h"

#include <errno.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/identity.h"
#include "replicator/session.h"
#include "replicator/verb.h"
#include "rt/bug.h"

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
	facts_peer_is_at(meta, 0);
	facts_change(g, pairing_bound);
	return false;
}

/* ---- replace and forget -------------------------------------------------------------------- */

/* Nothing else keeps this primary from its first request than that the peer does not answer. */
static bool pairing_is_awaited(const struct group *g)
{
	return g->role == GROUP_PRIMARY &&
	       (g->start.phase == PRIMARY_ASKING || g->start.phase == PRIMARY_PULLING) &&
	       !group_is_fenced(g) && !g->session->identity.refused_us;
}

/* What is so now, and what follows. */
static void pairing_describe(const struct group *g, struct group_peer *p)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	char text[IDENTITY_TEXT_MAX];

	if (meta->flags & LFS_PEER_FORGOTTEN)
		verb_text(&p->verb, "the peer was forgotten\n");
	else if (identity_is_none(meta->peer_store))
		verb_text(&p->verb, "there is no peer yet\n");
	else
		verb_text(&p->verb, "the peer is store %s%s%s\n",
			  identity_text(meta->peer_store, text),
			  g->session->control.conn ? ", connected as " : "",
			  g->session->control.conn ? g->session->control.identity.node
						   : "");
	if (p->change == GROUP_PEER_REPLACE)
		verb_text(&p->verb,
			  "the first store of group %s that connects %s the peer, and no "
			  "other after it\n",
			  meta->group_name, p->dry_run ? "would be" : "is");
	else
		verb_text(&p->verb,
			  "no store %s taken for the peer until: wanmirror peer replace "
			  "%s\n",
			  p->dry_run ? "would be" : "is", meta->group_name);
	if (p->change == GROUP_PEER_FORGET && pairing_is_awaited(g))
		verb_text(&p->verb,
			  "this site waits for that one, and %s without it; if that one "
			  "was promoted, there %s two primaries\n",
			  p->dry_run ? "would open" : "opens",
			  p->dry_run ? "would be" : "are");
}

static void pairing_changed(struct group *g, int res)
{
	struct group_peer *p = g->session ? g->session->identity.asked : NULL;

	if (!p)
		return; /* the session ended meanwhile, and said so */
	g->session->identity.asked = NULL;
	if (res < 0) {
		verb_text(&p->verb, "failed: it could not be made durable\n");
		verb_reply(g, &p->verb, res);
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
	verb_reply(g, &p->verb, 0);
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
	facts_peer_is_at(meta, 0);
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
	verb_text(&p->verb, "failed: %s\n", VERB_STOPPING);
	verb_reply(s->group, &p->verb, -ESHUTDOWN);
}

static int pairing_refusal(const struct group *g, const char **why)
{
	int err = verb_refusal(g, why);

	if (err < 0)
		return err;
	if (!g->session) {
		*why = "the group has no peer";
		return -EINVAL;
	}
	if (switchover_is_sealed(g) || switchover_forbids_promotion(g)) {
		*why = "this site has handed over, or is about to: its peer is what "
		       "decides about that";
		return -EBUSY;
	}
	if (g->session->identity.asked) {
		*why = "another change of the peer is under way";
		return -EBUSY;
	}
	return 0;
}

void group_peer(struct group *g, struct group_peer *p)
{
	const char *why;
	int err = pairing_refusal(g, &why);

	verb_begin(&p->verb);
	if (err < 0)
		verb_text(&p->verb, "refused: %s\n", why);
	else
		pairing_describe(g, p);
	if (err == 0 && p->dry_run)
		verb_text(&p->verb, "nothing was changed (--dry-run)\n");
	if (err < 0 || p->dry_run) {
		verb_reply(g, &p->verb, err);
		return;
	}
	g->session->identity.asked = p;
	group_wake(g);
}
