// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "replicator/transport.h"

/*
 * Connections until one of them is the control connection: dialed or accepted, with or
 * without the key; and the end of any of them.
 */

#define REDIAL_MAX_MS 2000
#define COMPLAIN_MS 60000

void session_dial_later(struct session *s)
{
	struct rt_loop *loop = s->group->loop;
	uint8_t jitter;

	if (!s->group->config.peer.dials || group_is_stopping(s->group))
		return;
	rt_random(loop, &jitter, sizeof(jitter));
	rt_timer_arm(
		loop, &s->redial,
		rt_time_add(rt_now(loop),
			    s->redial_ms * RT_MS + jitter * s->redial_ms * RT_MS / 512));
	s->redial_ms =
		s->redial_ms * 2 > REDIAL_MAX_MS ? REDIAL_MAX_MS : s->redial_ms * 2;
}

static struct pending_place *session_place(struct session *s, const struct conn *conn)
{
	for (unsigned i = 0; i < SESSION_PENDING_MAX; i++)
		if (s->pending[i].conn == conn)
			return &s->pending[i];
	return NULL;
}

/* Of the other end: of one that we accepted, until it is not pending any more. */
static const struct rt_addr *session_address(struct session *s, const struct conn *conn)
{
	const struct pending_place *place = session_place(s, conn);
	const struct newcomer *newcomer = newcomer_of(s, conn);

	if (conn == s->control.conn)
		return &s->control.address;
	if (newcomer)
		return &newcomer->address;
	return place ? &place->from : &s->group->config.peer.addr;
}

static void session_not_pending(struct session *s, const struct conn *conn)
{
	struct pending_place *place = session_place(s, conn);

	if (place)
		place->conn = NULL;
	if (s->dialing == conn)
		s->dialing = NULL;
}

/* The first message of an accepted data connection: the transport's, or nobody's. */
static void session_data_conn(struct session *s, struct conn *conn, unsigned type,
			      const uint8_t *body, size_t len)
{
	session_not_pending(s, conn);
	if (type != MESSAGE_JOIN || !s->transport ||
	    !transport_join(s->transport, conn, body, len))
		conn_close(conn);
}

static void session_established(void *owner, struct conn *conn)
{
	struct session *s = owner;
	struct rt_addr address;

	if (conn_purpose(conn) == SECURE_DATA)
		return; /* it will say whose data */
	address = *session_address(s, conn);
	session_not_pending(s, conn);
	newcomer_arrived(s, conn, &address);
}

/*
 * Before the key was shown: one line a minute at most, and the reason in status, unless
 * the peer is here and it was a stranger.
 */
static void session_complain(struct session *s, const struct rt_addr *address, int err,
			     const char *why)
{
	rt_time now = rt_now(s->group->loop);
	char text[RT_ADDR_TEXT_MAX];

	if (!s->control.conn && (err == -EBADMSG || err == -ECONNRESET))
		(void)snprintf(
			s->refusal, sizeof(s->refusal),
			"no secured connection: %s; are the key and the group's name the "
			"same at both sites?",
			why);
	if (s->logged.complained.ns &&
	    rt_time_since(now, s->logged.complained) < COMPLAIN_MS * RT_MS)
		return;
	s->logged.complained = now;
	group_event(s->group, RT_LOG_WARN,
		    "connection-failed address=%s why=\"%s\" error=\"%s\" strangers=%llu",
		    rt_addr_format(address, text), why, strerror(-err),
		    (unsigned long long)s->callers.strangers);
}

static void session_stranger(struct session *s, const struct rt_addr *from, int err,
			     const char *why)
{
	s->callers.strangers++;
	session_complain(s, from, err, why);
}

/* One that had shown the key. */
static void session_say_disconnected(struct session *s, const struct rt_addr *address,
				     int err, const char *why)
{
	char text[RT_ADDR_TEXT_MAX];

	(void)rt_addr_format(address, text);
	if (session_is_refused(s))
		rt_log(RT_LOG_DEBUG, "disconnected address=%s group=%s why=\"%s\"", text,
		       s->group->config.name, why);
	else
		group_event(s->group, RT_LOG_INFO,
			    "disconnected address=%s why=\"%s\" error=\"%s\"", text, why,
			    strerror(-err));
}

static void session_closed(void *owner, struct conn *conn, int err, const char *why)
{
	struct session *s = owner;
	const struct rt_addr address = *session_address(s, conn);
	bool accepted = session_place(s, conn) != NULL;
	struct newcomer *newcomer = newcomer_of(s, conn);

	session_not_pending(s, conn);
	if (conn == s->control.conn || newcomer)
		session_say_disconnected(s, &address, err, why);
	else if (accepted && !conn_key_shown(conn))
		session_stranger(s, &address, err, why);
	else
		session_complain(s, &address, err, why);
	if (newcomer)
		newcomer_left(newcomer);
	if (conn == s->control.conn)
		session_drop(s);
	else
		session_dial_later(s);
}

static void session_conn_message(void *owner, struct conn *conn, unsigned type,
				 const uint8_t *body, size_t len)
{
	struct session *s = owner;
	struct newcomer *newcomer = newcomer_of(s, conn);

	if (conn == s->control.conn)
		session_message(s, type, body, len);
	else if (newcomer)
		newcomer_message(s, newcomer, type, body, len);
	else if (conn_purpose(conn) == SECURE_DATA)
		session_data_conn(s, conn, type, body, len);
}

static void session_conn_drained(void *owner, struct conn *conn)
{
	struct session *s = owner;

	if (conn == s->control.conn)
		group_wake(s->group);
}

static const struct conn_events session_events = {
	.established = session_established,
	.message = session_conn_message,
	.closed = session_closed,
	.drained = session_conn_drained,
};

static void session_conn_params(struct session *s, struct conn_params *ret)
{
	size_t entry = record_len_max(s->group->config.max_request);

	*ret = (struct conn_params){
		.group = s->group->config.name,
		.key = s->group->config.peer.key,
		.message_max = entry > MESSAGE_MAX ? entry : MESSAGE_MAX,
		.handshake_ns = SESSION_HANDSHAKE_MS * RT_MS,
		.events = &session_events,
		.owner = s,
	};
}

void session_redial(struct rt_timer *timer)
{
	struct session *s = rt_container_of(timer, struct session, redial);
	struct conn_params params;

	if (s->control.conn || s->dialing || s->newcomers[0].conn)
		return;
	session_conn_params(s, &params);
	if (conn_dial(s->group->loop, &s->group->config.peer.addr, SECURE_CONTROL,
		      &params, &s->dialing) < 0)
		session_dial_later(s);
}

void session_accepted(void *owner, struct rt_sock *sock,
			     const struct rt_addr *peer)
{
	struct session *s = owner;
	struct pending_place *place;
	struct conn_params params;

	session_conn_params(s, &params);
	for (unsigned i = 0; i < SESSION_PENDING_MAX; i++)
		s->pending[i].answered =
			s->pending[i].conn && conn_answered(s->pending[i].conn);
	/* A key proves a peer; an address only says which connection makes room. */
	place = &s->pending[pending_choose(s->pending, SESSION_PENDING_MAX)];
	if (place->conn) {
		conn_close(place->conn);
		session_stranger(s, &place->from, -EUSERS,
				 "more connections than places, and none shows the key");
	}
	*place = (struct pending_place){ .from = *peer, .number = ++s->callers.accepted };
	if (conn_serve(s->group->loop, sock, &params, &place->conn) < 0)
		place->conn = NULL;
}

