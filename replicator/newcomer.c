// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/newcomer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/identity.h"
#include "replicator/session.h"
#include "rt/bytes.h"

static void newcomer_set_stage(struct newcomer *n, enum newcomer_stage stage)
{
	rt_assert(stage > n->stage);
	n->stage = stage;
}

struct newcomer *newcomer_of(struct session *s, const struct conn *conn)
{
	for (unsigned i = 0; i < NEWCOMERS_MAX; i++)
		if (s->newcomers[i].conn == conn)
			return &s->newcomers[i];
	return NULL;
}

void newcomer_left(struct newcomer *n)
{
	*n = (struct newcomer){ .conn = NULL };
}

static void newcomer_close(struct session *s, struct newcomer *n)
{
	conn_close(n->conn);
	newcomer_left(n);
	session_dial_later(s);
}

/* A free place, or that of the one which would be closed first. */
static struct newcomer *newcomer_place(struct session *s)
{
	struct newcomer *first = &s->newcomers[0];

	for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
		struct newcomer *n = &s->newcomers[i];

		if (!n->conn)
			return n;
		if (rt_time_before(n->until, first->until))
			first = n;
	}
	newcomer_close(s, first);
	return first;
}

/* ---- what is said --------------------------------------------------------------------- */

static void newcomer_say(struct session *s, struct newcomer *n, enum message_type type,
			 size_t len)
{
	(void)conn_send(n->conn, type, s->scratch, len); /* a failure has its event */
}

static void newcomer_own_negotiate(const struct group *g, struct message_negotiate *ret)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);

	*ret = (struct message_negotiate){ .min = MESSAGE_PROTOCOL_MIN,
					   .max = MESSAGE_PROTOCOL,
					   .features = MESSAGE_FEATURES };
	memcpy(ret->group, meta->group, sizeof(ret->group));
	(void)snprintf(ret->group_name, sizeof(ret->group_name), "%s", meta->group_name);
}

static void newcomer_say_negotiate(struct session *s, struct newcomer *n)
{
	struct message_negotiate m;

	newcomer_own_negotiate(s->group, &m);
	newcomer_say(s, n, MESSAGE_NEGOTIATE,
		     message_encode_negotiate(&m, s->scratch, MESSAGE_MAX));
}

static void newcomer_say_identity(struct session *s, struct newcomer *n)
{
	struct group *g = s->group;
	struct message_identity m = { .run = s->identity.run,
				      .number = s->identity.number,
				      .giver = s->identity.giver };

	memcpy(m.store, lfs_store_id(g->lfs), sizeof(m.store));
	memcpy(m.paired, lfs_meta(g->lfs)->peer_store, sizeof(m.paired));
	if (rt_boot_id(g->loop, m.boot) < 0)
		memset(m.boot, 0, sizeof(m.boot));
	(void)snprintf(m.node, sizeof(m.node), "%s", g->config.node);
	newcomer_say(s, n, MESSAGE_IDENTITY,
		     message_encode_identity(&m, s->scratch, MESSAGE_MAX));
}

static void __attribute__((format(printf, 3, 4)))
newcomer_refuse(struct session *s, struct newcomer *n, const char *fmt, ...)
{
	rt_time now = rt_now(s->group->loop);
	char why[MESSAGE_TEXT_MAX + 1], address[RT_ADDR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	session_say_refused(s, n->identity.node[0] ? n->identity.node
						   : rt_addr_format(&n->address, address),
			    why);
	newcomer_say(s, n, MESSAGE_REFUSE,
		     message_encode_text(why, s->scratch, MESSAGE_MAX));
	newcomer_set_stage(n, NEWCOMER_REFUSED);
	n->until = rt_time_add(now, SESSION_REFUSED_STAYS_MS * RT_MS);
}

/* The peer's data still arrive, whatever has become of its control connection. */
static bool newcomer_peer_sends(const struct session *s)
{
	const struct group *g = s->group;
	rt_time now = rt_now(g->loop);
	int64_t silence = g->role == GROUP_PRIMARY
				  ? peer_watch_mirror_silence_ns(&g->watch, now)
				  : peer_watch_primary_silence_ns(&g->watch, now);

	return s->transport && session_streaming(s) && silence >= 0 &&
	       silence < g->config.away_ms * RT_MS;
}

/* Its connection has broken a moment ago: it is on its way back, or its data still arrive. */
static bool newcomer_peer_was_here(const struct session *s)
{
	const struct group *g = s->group;

	return s->identity.peer.run != 0 &&
	       (newcomer_peer_sends(s) ||
		rt_time_since(rt_now(g->loop), s->identity.lost) <
			g->config.away_ms * RT_MS);
}

/* ---- who it is -------------------------------------------------------------------------- */

static void newcomer_becomes_peer(struct session *s, struct newcomer *n)
{
	struct newcomer peer = *n;
	uint64_t number = 0;

	newcomer_left(n);
	while (number == 0 || number == peer.identity.number)
		rt_random(s->group->loop, &number, sizeof(number));
	identity_take(&s->identity.peer, &peer.identity, number);
	session_connected(s, peer.conn, &peer.address, &peer.identity);
	if (s->control.conn == peer.conn) /* it ends where there is no memory for HELLO */
		conn_pause(peer.conn, false);
}

/* The peer has a connection: ask on that one whether it lives. */
static void newcomer_wait(struct session *s, struct newcomer *n)
{
	newcomer_set_stage(n, NEWCOMER_WAITING);
	conn_pause(n->conn, true);
	if (s->control.conn)
		n->probe = session_say_ping(s);
}

static void newcomer_refuse_copy(struct session *s, struct newcomer *n)
{
	char address[RT_ADDR_TEXT_MAX];

	newcomer_refuse(s, n, "a copy of this store is connected from %s",
			rt_addr_format(&s->control.address, address));
}

static struct identity_own newcomer_own(const struct session *s)
{
	const struct lfs_meta *meta = lfs_meta(s->group->lfs);

	return (struct identity_own){
		.store = lfs_store_id(s->group->lfs),
		.paired = meta->peer_store,
		.run = s->identity.run,
		.forgotten = meta->flags & LFS_PEER_FORGOTTEN,
		.connected = s->control.conn != NULL,
		.lately = newcomer_peer_was_here(s),
	};
}

static void newcomer_judge(struct session *s, struct newcomer *n)
{
	const struct lfs_meta *meta = lfs_meta(s->group->lfs);
	const struct message_identity *who = &n->identity;
	const struct identity_own own = newcomer_own(s);
	char one[IDENTITY_TEXT_MAX], other[IDENTITY_TEXT_MAX];

	switch (identity_judge(&own, &s->identity.peer, who)) {
	case IDENTITY_FITS:
		newcomer_becomes_peer(s, n);
		return;
	case IDENTITY_ASK:
		newcomer_wait(s, n);
		return;
	case IDENTITY_FORGOTTEN:
		newcomer_refuse(s, n,
				"%s has forgotten its peer; to take one: wanmirror peer "
				"replace %s at %s",
				s->group->config.node, meta->group_name,
				s->group->config.node);
		return;
	case IDENTITY_OURSELVES:
		newcomer_refuse(s, n,
				"%s and %s have the same store %s: one is a copy of the "
				"other, and no mirror of it",
				who->node, s->group->config.node,
				identity_text(own.store, one));
		return;
	case IDENTITY_OTHER_STORE:
		newcomer_refuse(s, n,
				"%s is paired with store %s, %s has %s; to take that one: "
				"wanmirror peer replace %s at %s",
				s->group->config.node, identity_text(own.paired, one),
				who->node, identity_text(who->store, other),
				meta->group_name, s->group->config.node);
		return;
	case IDENTITY_OTHER_PAIR:
		newcomer_refuse(s, n,
				"%s is paired with store %s, %s has %s; to take this one: "
				"wanmirror peer replace %s at %s",
				who->node, identity_text(who->paired, one),
				s->group->config.node, identity_text(own.store, other),
				meta->group_name, who->node);
		return;
	case IDENTITY_CLONE:
		newcomer_refuse(s, n,
				"the daemon of %s was copied while it ran, and the other "
				"of the two has been connected since",
				who->node);
		return;
	}
}

static void newcomer_negotiate(struct session *s, struct newcomer *n, const uint8_t *body,
			       size_t len)
{
	struct message_negotiate ours, theirs;

	if (message_decode_negotiate(body, len, &theirs) < 0) {
		newcomer_refuse(s, n, "a NEGOTIATE that is not legal");
		return;
	}
	newcomer_own_negotiate(s->group, &ours);
	if (identity_version(&ours, &theirs) == 0) {
		newcomer_refuse(s, n,
				"this daemon speaks the protocol versions %u to %u, the "
				"other one %u to %u",
				ours.min, ours.max, theirs.min, theirs.max);
		return;
	}
	if (strcmp(theirs.group_name, ours.group_name) != 0) {
		newcomer_refuse(s, n, "the group is %s here and %s there",
				ours.group_name, theirs.group_name);
		return;
	}
	newcomer_set_stage(n, NEWCOMER_IDENTIFYING);
	newcomer_say_identity(s, n);
}

/* Versions up to 3 begin with HELLO, which begins with the version. */
static void newcomer_of_old(struct session *s, struct newcomer *n, const uint8_t *body,
			    size_t len)
{
	le16 version;

	if (len < sizeof(version)) {
		newcomer_refuse(s, n, "a HELLO before NEGOTIATE");
		return;
	}
	memcpy(&version, body, sizeof(version));
	newcomer_refuse(s, n,
			"this daemon speaks the protocol versions %u to %u, the other "
			"one %u",
			MESSAGE_PROTOCOL_MIN, MESSAGE_PROTOCOL, le16_get(version));
}

void newcomer_message(struct session *s, struct newcomer *n, unsigned type,
		      const uint8_t *body, size_t len)
{
	if (n->stage == NEWCOMER_REFUSED)
		return;
	if (type == MESSAGE_REFUSE) {
		session_refused_by_peer(s, body, len);
		s->identity.refused_us = n->stage == NEWCOMER_IDENTIFYING;
		newcomer_close(s, n);
	} else if (n->stage == NEWCOMER_NEGOTIATING && type == MESSAGE_NEGOTIATE) {
		newcomer_negotiate(s, n, body, len);
	} else if (n->stage == NEWCOMER_NEGOTIATING && type == MESSAGE_HELLO) {
		newcomer_of_old(s, n, body, len);
	} else if (n->stage == NEWCOMER_IDENTIFYING && type == MESSAGE_IDENTITY &&
		   message_decode_identity(body, len, &n->identity) == 0) {
		newcomer_judge(s, n);
	} else {
		newcomer_refuse(s, n, "a connection that does not begin with NEGOTIATE "
				      "and IDENTITY");
	}
}

/* ---- time -------------------------------------------------------------------------------- */

void newcomer_arrived(struct session *s, struct conn *conn, const struct rt_addr *address)
{
	struct newcomer *n = newcomer_place(s);

	*n = (struct newcomer){
		.conn = conn,
		.address = *address,
		.until = rt_time_add(rt_now(s->group->loop),
				     SESSION_HANDSHAKE_MS * RT_MS),
	};
	newcomer_say_negotiate(s, n);
}

void newcomer_peer_lives(struct session *s, uint64_t serial)
{
	for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
		struct newcomer *n = &s->newcomers[i];

		if (n->conn && n->stage == NEWCOMER_WAITING && serial >= n->probe)
			newcomer_refuse_copy(s, n);
	}
}

/*
 * The peer is silent, on its connection and in its data, for as long as one that timed out;
 * or its connection has ended, and there is no reason any more to wait for it.
 */
static void newcomer_reconsider(struct session *s, struct newcomer *n)
{
	const struct group *g = s->group;
	const struct identity_own own = newcomer_own(s);

	if (!s->control.conn) {
		if (identity_judge(&own, &s->identity.peer, &n->identity) != IDENTITY_ASK)
			newcomer_judge(s, n);
	} else if (!newcomer_peer_sends(s) &&
		   rt_time_since(rt_now(g->loop), conn_last_rx(s->control.conn)) >=
			   g->config.away_ms * RT_MS) {
		newcomer_becomes_peer(s, n);
	}
}

void newcomer_turn(struct session *s)
{
	rt_time now = rt_now(s->group->loop);

	for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
		struct newcomer *n = &s->newcomers[i];

		if (!n->conn)
			continue;
		if (n->stage == NEWCOMER_WAITING)
			newcomer_reconsider(s, n);
		if (n->conn && !rt_time_before(now, n->until))
			newcomer_close(s, n);
	}
}

void newcomer_close_all(struct session *s)
{
	for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
		conn_close(s->newcomers[i].conn);
		newcomer_left(&s->newcomers[i]);
	}
}
