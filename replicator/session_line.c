// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/redundancy.h"
#include "replicator/carrier.h"
#include "replicator/group_private.h"
#include "replicator/link.h"
#include "replicator/pipe.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "replicator/ship.h"
#include "replicator/tunnel/io.h"
#include "replicator/tunnel/tunnel.h"

/* The line of one connection: its carrier as START and configuration say, and its risk. */

#define SYMBOL_SIZE 1408
#define SYMBOL_SIZE_IPV6 1376 /* its headers are 20 bytes longer */
#define TUNNEL_LABEL "wanmirror datagrams"
#define PIPE_LABEL "wanmirror data"
#define PROBES_WHILE_AWAY 10 /* unanswered ones until the mirror counts as away */

static const struct rt_addr nowhere = { .kind = RT_ADDR_NONE };

static enum tunnel_evidence tunnel_evidence_of(enum group_evidence evidence)
{
	switch (evidence) {
	case GROUP_EV_QUEUED:
		return TUNNEL_QUEUED;
	case GROUP_EV_DRIVER:
		return TUNNEL_DRIVER;
	case GROUP_EV_NIC:
		return TUNNEL_NIC;
	case GROUP_EV_EDGE:
		return TUNNEL_EDGE;
	case GROUP_EV_MIRROR:
		break;
	}
	return TUNNEL_MIRROR;
}

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
	const struct tunnel *t = carrier_tunnel(s->carrier);
	unsigned path = t ? tunnel_path_mtu(t) : 0;
	uint16_t fit = tunnel_symbol_fit(path, SYMBOL_SIZE);
	bool is_short = t && tunnel_mtu_short(t);

	if (!t || !s->control.link ||
	    (is_short ? fit == s->start->symbol_size : fit <= s->start->symbol_size))
		return;
	if (fit == 0) {
		session_refuse(s, "the path to the mirror swallows even short datagrams");
		return;
	}
	group_say(s->group, "path-mtu datagrams=%u symbols=%u before=%u", path,
		  (unsigned)fit, (unsigned)s->start->symbol_size);
	s->symbol_size = fit;
	session_drop(s);
}

/* How this end protects what it sends: the goal; the tunnel finds what it takes. */
static struct tunnel_fec tunnel_fec_of(const struct group *g,
				       const struct message_start *start)
{
	const struct group_fec_config *c = &g->config.peer.fec;
	/* A mirror sends nothing that a code would protect, and takes repairs of every kind. */
	struct tunnel_fec none = { .code.code = FEC_NONE };
	struct tunnel_fec fec = {
		.code = { .code = (enum fec_code)start->code,
			  .r = (uint16_t)c->r,
			  .c = (uint16_t)c->c,
			  .delayed = c->delayed },
		.policy = c->paper ? TUNNEL_PAPER : TUNNEL_SAFETY,
		.goal = { .safety = c->safety,
			  .assume = { c->assume_loss, c->assume_burst },
			  .min = c->min,
			  .max = c->max,
			  .share = c->share },
		.on_demand = c->on_demand,
	};

	if (g->role == GROUP_MIRROR)
		return none;
	memcpy(fec.code.interleave, c->interleave, sizeof(fec.code.interleave));
	return fec;
}

/* ---- the carrier ---------------------------------------------------------------------- */

static int open_tunnel(struct session *s, const struct message_start *start)
{
	const struct group_config *config = &s->group->config;
	struct tunnel_params params = {
		.id = start->tunnel_id,
		.dialed = config->peer.dials,
		.symbol_size = start->symbol_size,
		.rate_auto = config->peer.rate_auto,
		.rate_bps = config->peer.rate_bps,
		.send_memory = config->send_memory,
		.receive_memory = config->send_memory,
		.frame_max = (uint32_t)record_len_max(config->max_request),
		.evidence = tunnel_evidence_of(config->peer.evidence),
		.away_ns = config->away_ms * RT_MS,
	};
	struct tunnel *tunnel = NULL;
	bool by_edge = config->peer.evidence == GROUP_EV_EDGE && config->peer.has_edge;
	const struct rt_addr *edge = by_edge ? &config->peer.edge : NULL;
	int err;

	params.fec = tunnel_fec_of(s->group, start);
	err = link_export(s->control.link, TUNNEL_LABEL, params.secret,
			  sizeof(params.secret));
	if (err == 0)
		err = tunnel_new(&params, rt_now(s->group->loop), &tunnel);
	explicit_bzero(params.secret, sizeof(params.secret));
	if (err == 0)
		err = tunnel_io_set_edge(s->io, edge, config->peer.edge_key);
	if (err == 0)
		err = carrier_of_tunnel(
			tunnel, s->io, config->peer.dials ? &config->peer.addr : &nowhere,
			&s->carrier);
	if (err < 0)
		tunnel_free(tunnel);
	return err;
}

static void session_changed(void *owner)
{
	struct session *s = owner;

	group_wake(s->group);
}

const struct tunnel_io_events session_io_events = { .changed = session_changed };

static int open_pipe(struct session *s, const struct message_start *start)
{
	static const struct pipe_events events = { .changed = session_changed };
	const struct group_config *config = &s->group->config;
	struct pipe_params params = {
		.id = start->tunnel_id,
		.sends = s->group->role == GROUP_PRIMARY,
		.dials = config->peer.dials,
		.addr = config->peer.addr,
		.key = config->peer.key,
		.congestion =
			s->group->role == GROUP_PRIMARY ? config->peer.congestion : "",
		.frame_max = (uint32_t)record_len_max(config->max_request),
		.send_memory = config->send_memory,
		.handshake_ns = SESSION_HANDSHAKE_MS * RT_MS,
		.probe_ns = config->away_ms * RT_MS / PROBES_WHILE_AWAY,
	};
	struct pipe *pipe = NULL;
	int err;

	err = link_export(s->control.link, PIPE_LABEL, params.proofs[0],
			  sizeof(params.proofs));
	if (err == 0)
		err = pipe_new(s->group->loop, &params, &events, s, &pipe);
	explicit_bzero(params.proofs, sizeof(params.proofs));
	if (err == 0)
		err = carrier_of_pipe(pipe, &s->carrier);
	if (err < 0)
		pipe_free(pipe);
	return err;
}

int session_open_carrier(struct session *s, const struct message_start *start)
{
	session_close_carrier(s);
	return start->transport == MESSAGE_TCP ? open_pipe(s, start)
					       : open_tunnel(s, start);
}

void session_close_carrier(struct session *s)
{
	ship_free(s->ship);
	s->ship = NULL;
	if (!s->carrier)
		return;
	carrier_free(s->carrier);
	s->carrier = NULL;
	if (s->group->role == GROUP_PRIMARY)
		peer_watch_transport_closed(&s->group->watch);
}

void session_begin_carrier(struct session *s)
{
	if (carrier_pipe(s->carrier))
		pipe_begin(carrier_pipe(s->carrier));
}

/*
 * The carrier has ended by itself, which takes the connection with it: a new one goes on
 * from what the mirror holds. What a mirror has taken from it is still drained.
 */
void session_carrier_over(struct session *s)
{
	struct group *g = s->group;
	const char *why = carrier_over(s->carrier);

	if (g->role == GROUP_MIRROR && s->state != SESSION_STREAMING)
		return;
	if (strcmp(s->carrier_why, why) != 0)
		group_say(g, "data-connection-over why=\"%s\"", why);
	(void)snprintf(s->carrier_why, sizeof(s->carrier_why), "%s", why);
	if (g->role == GROUP_PRIMARY) {
		peer_watch_refused(
			&g->watch); /* a mirror that refuses ends this connection first */
		session_close_carrier(s);
		session_event(s, SESSION_EV_TRANSPORT_ENDED);
	} else {
		session_drop(s);
	}
}

/* ---- the line, and what is said of it --------------------------------------------------- */

const char *session_why(const struct session *s)
{
	return s->refusal[0] ? s->refusal : s->carrier_why;
}

bool session_streaming(const struct session *s)
{
	return s->state == SESSION_STREAMING || s->state == SESSION_DATA_ONLY;
}

bool session_line_serves(const struct session *s)
{
	const struct group *g = s->group;

	return peer_watch_serves(&g->watch, session_streaming(s),
				 g->config.away_ms * RT_MS, rt_now(g->loop));
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

/* Another carrier, or what cannot change on the same one: all over, from a new hello. */
static void session_start_again(struct session *s)
{
	group_say(s->group, "starting-again why=\"the configuration has changed\"");
	s->redial_ms = SESSION_REDIAL_MIN_MS;
	session_drop(s);
}

void session_change(struct session *s, const struct group_peer_config *before)
{
	struct group *g = s->group;
	const struct group_peer_config *peer = &g->config.peer;
	rt_time now = rt_now(g->loop);
	struct tunnel *tunnel;
	struct tunnel_fec fec;

	session_weigh_risk(g);
	if (g->role != GROUP_PRIMARY || !s->carrier)
		return; /* the next START is of the new configuration */
	if (peer->tcp != before->tcp || peer->evidence != before->evidence ||
	    strcmp(peer->congestion, before->congestion) != 0) {
		session_start_again(s);
		return;
	}
	session_choose_code(g, s->start);
	fec = tunnel_fec_of(g, s->start);
	tunnel = carrier_tunnel(s->carrier);
	if (!tunnel)
		return;
	if ((memcmp(&peer->fec, &before->fec, sizeof(peer->fec)) != 0 &&
	     tunnel_set_fec(tunnel, &fec, now) < 0) ||
	    tunnel_set_rate(tunnel, peer->rate_auto, peer->rate_bps, now) < 0)
		session_start_again(s);
}
