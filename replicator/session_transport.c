// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/redundancy.h"
#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/heartbeat.h"
#include "replicator/log_sender.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "replicator/transport_open.h"
#include "replicator/tunnel/io.h"

/* The transport of one connection, and the risk that it leaves. */

#define SYMBOL_SIZE 1408
#define SYMBOL_SIZE_IPV6 1376 /* its headers are 20 bytes longer */

void session_choose_code(const struct group *g, struct message_start *start)
{
	enum fec_code code = FEC_WINDOW;

	(void)fec_code_parse(g->config.peer.fec.code, &code); /* checked by control */
	start->transport = g->config.peer.tcp ? MESSAGE_TCP : MESSAGE_UDP;
	start->code = (uint8_t)code;
	start->symbol_size = g->config.peer.addr.kind == RT_ADDR_INET6 ? SYMBOL_SIZE_IPV6
								       : SYMBOL_SIZE;
	if (g->session && g->session->symbol_size > 0)
		start->symbol_size = g->session->symbol_size;
	start->window = FEC_WINDOW_MAX; /* it adapts, and the mirror takes every one */
}

void session_fit_path(struct session *s)
{
	struct transport_path path;
	char why[MESSAGE_TEXT_MAX + 1];

	if (!s->control.conn || !transport_path_differs(s->transport, SYMBOL_SIZE, &path))
		return;
	if (path.symbol_size == 0) {
		(void)snprintf(why, sizeof(why),
			       "the path to the mirror carries no datagrams of %u bytes: "
			       "give it an MTU of %u or more, or let transport be tcp",
			       path.least, path.mtu_least);
		session_refuse(s, why);
		return;
	}
	group_event(s->group, RT_LOG_INFO, "path-mtu datagrams=%u symbols=%u before=%u",
		    path.mtu, (unsigned)path.symbol_size,
		    (unsigned)s->start->symbol_size);
	s->symbol_size = path.symbol_size;
	session_drop(s);
}

/* ---- the transport -------------------------------------------------------------------- */

static void session_changed(void *owner)
{
	struct session *s = owner;

	group_wake(s->group);
}

const struct tunnel_io_events session_io_events = { .changed = session_changed };

int session_open_transport(struct session *s, const struct message_start *start)
{
	static const struct transport_events events = { .changed = session_changed };
	const struct transport_setup setup = {
		.loop = s->group->loop,
		.config = &s->group->config,
		.primary = s->group->role == GROUP_PRIMARY,
		.conn = s->control.conn,
		.io = s->io,
		.events = &events,
		.owner = s,
	};

	session_close_transport(s);
	return transport_open(&setup, start, &s->transport);
}

void session_close_transport(struct session *s)
{
	struct transport_stats stats;

	log_sender_free(s->log_sender);
	s->log_sender = NULL;
	if (!s->transport)
		return;
	transport_stats(s->transport, &stats);
	transport_counters_add(&s->counted, &stats.counters);
	transport_free(s->transport);
	s->transport = NULL;
	s->intake.bad_framing = false;
	if (s->group->role == GROUP_PRIMARY)
		peer_watch_transport_closed(&s->group->watch);
}

/*
 * The transport has ended by itself, which takes the connection with it: a new one goes on
 * from what the mirror holds. What a mirror has taken from it is still drained.
 */
void session_transport_over(struct session *s)
{
	struct group *g = s->group;
	const char *why = transport_over(s->transport);

	if (g->role == GROUP_MIRROR && s->state != SESSION_STREAMING)
		return; /* it ends with what it brought */
	if (strcmp(s->transport_why, why) != 0)
		group_event(g, RT_LOG_WARN, "data-connection-over why=\"%s\"", why);
	(void)snprintf(s->transport_why, sizeof(s->transport_why), "%s", why);
	if (g->role == GROUP_PRIMARY)
		peer_watch_refused(&g->watch); /* a mirror that refuses ends it, too */
	else
		session_intake_failed(s, transport_error(s->transport), s->transport_why);
	session_event(s, SESSION_EV_TRANSPORT_ENDED);
}

/* ---- the transport, and why there is none ---------------------------------------------- */

const char *session_why(const struct session *s)
{
	if (s->refusal[0])
		return s->refusal;
	return s->peer_refusal[0] ? s->peer_refusal : s->transport_why;
}

bool session_streaming(const struct session *s)
{
	return s->state == SESSION_STREAMING || s->state == SESSION_DATA_ONLY;
}

bool session_path_serves(const struct session *s)
{
	const struct group *g = s->group;

	return peer_watch_serves(&g->watch, session_streaming(s),
				 g->config.away_ms * RT_MS, rt_now(g->loop));
}

bool session_path_proven(const struct session *s)
{
	return s->transport && transport_proven(s->transport, rt_now(s->group->loop));
}

void session_weigh_risk(struct group *g)
{
	const struct group_fec_config *fec = &g->config.peer.fec;
	const struct fec_goal goal = {
		.safety = fec->safety,
		.assume = { fec->assume_loss, fec->assume_burst },
		.min = fec->min,
		.max = fec->max,
		.share = fec->share,
	};
	struct fec_redundancy need;
	int err = fec_redundancy(&goal, NULL, &need);
	bool known = err == 0 || err == -ERANGE;

	g->risk.repairs = known ? need.repairs : 0;
	g->risk.left = known ? need.residual : -1;
}

void session_check_heartbeat(struct session *s)
{
	const struct group *g = s->group;
	char why[HEARTBEAT_WHY_MAX];

	if (!s->control.hello_received ||
	    heartbeat_fits(s->peer->heartbeat_ms, g->config.away_ms,
			   g->config.control_timeout_ms, why) ||
	    !refusal_is_news(&s->logged.heartbeat, why, rt_now(g->loop)))
		return;
	group_event(s->group, RT_LOG_WARN, "heartbeat-too-long peer=%s why=\"%s\"",
		    s->peer->node, why);
}

/* Another transport, or what cannot change on the same one: all over, from a new hello. */
static void session_restart(struct session *s)
{
	group_event(s->group, RT_LOG_INFO,
		    "starting-again why=\"the configuration has changed\"");
	s->redial_ms = SESSION_REDIAL_MIN_MS;
	session_drop(s);
}

void session_change(struct session *s, const struct group_peer_config *before)
{
	struct group *g = s->group;
	const struct group_peer_config *peer = &g->config.peer;
	rt_time now = rt_now(g->loop);

	session_weigh_risk(g);
	session_check_heartbeat(s);
	if (g->role != GROUP_PRIMARY || !s->transport)
		return; /* the next START is of the new configuration */
	if (peer->tcp != before->tcp || peer->evidence != before->evidence ||
	    strcmp(peer->congestion, before->congestion) != 0) {
		session_restart(s);
		return;
	}
	session_choose_code(g, s->start);
	if (transport_reconfigure(
		    s->transport, &g->config, s->start,
		    memcmp(&peer->fec, &before->fec, sizeof(peer->fec)) != 0, now) < 0)
		session_restart(s);
}
