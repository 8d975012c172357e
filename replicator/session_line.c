// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/risk.h"
#include "replicator/internal.h"
#include "replicator/link.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "replicator/ship.h"
#include "replicator/tunnel/io.h"
#include "replicator/tunnel/tunnel.h"

/* The line of one connection: the tunnel as START and configuration say, and its risk. */

#define SYMBOL_SIZE 1408
#define SHARE_BEGIN 0.10
#define TUNNEL_LABEL "wanmirror datagrams"

static const struct rt_addr nowhere = { .kind = RT_ADDR_NONE };

static enum tunnel_evidence tunnel_evidence_of(enum group_evidence evidence)
{
	switch (evidence) {
	case GROUP_EV_QUEUED:
		return TUNNEL_QUEUED;
	case GROUP_EV_DRIVER:
		return TUNNEL_DRIVER;
	case GROUP_EV_NIC:
	case GROUP_EV_EDGE:
	case GROUP_EV_MIRROR:
		break;
	}
	return TUNNEL_MIRROR;
}

/* Repairs per data symbol; an adaptive share stays where it begins, for now. */
static double share_of(const struct group *g)
{
	const struct group_fec_config *fec = &g->config.peer.fec;

	if (fec->share > 0)
		return fec->share;
	return fec->min > SHARE_BEGIN ? fec->min
				      : (fec->max < SHARE_BEGIN ? fec->max : SHARE_BEGIN);
}

void session_choose_code(const struct group *g, struct message_start *start)
{
	enum fec_code code = FEC_WINDOW;
	unsigned window = fec_risk_window(g->repairs, share_of(g));

	(void)fec_code_parse(g->config.peer.fec.code, &code); /* checked by control */
	start->code = (uint8_t)code;
	start->symbol_size = SYMBOL_SIZE;
	start->window = (uint16_t)(window > FEC_WINDOW_MAX ? FEC_WINDOW_MAX : window);
}

/* How this end protects what it sends; m as it was weighed, until it adapts. */
static struct tunnel_fec tunnel_fec_of(const struct group *g,
				       const struct message_start *start)
{
	const struct group_fec_config *c = &g->config.peer.fec;
	/* A mirror sends nothing that a code would protect, and takes repairs of every kind. */
	struct tunnel_fec none = { .code.code = FEC_NONE };
	struct tunnel_fec fec = {
		.code = { .code = (enum fec_code)start->code,
			  .window = start->window,
			  .r = (uint16_t)c->r,
			  .c = (uint16_t)c->c,
			  .delayed = c->delayed },
		.policy = c->paper ? TUNNEL_PAPER : TUNNEL_SAFETY,
		.goal = { .safety = c->safety,
			  .assume = { c->assume_loss, c->assume_burst },
			  .min = c->min,
			  .max = c->max,
			  .share = share_of(g) },
		.on_demand = c->on_demand,
		.repairs_fixed = true,
		.repairs = g->repairs,
	};

	if (g->role == GROUP_MIRROR)
		return none;
	memcpy(fec.code.interleave, c->interleave, sizeof(fec.code.interleave));
	return fec;
}

int session_open_tunnel(struct session *s, const struct message_start *start)
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
	int err;

	params.fec = tunnel_fec_of(s->group, start);
	session_close_tunnel(s);
	err = link_export(s->link, TUNNEL_LABEL, params.secret, sizeof(params.secret));
	if (err == 0)
		err = tunnel_new(&params, rt_now(s->group->loop), &s->tunnel);
	explicit_bzero(params.secret, sizeof(params.secret));
	if (err < 0)
		return err;
	tunnel_io_attach(s->io, s->tunnel,
			 config->peer.dials ? &config->peer.addr : &nowhere);
	return 0;
}

void session_close_tunnel(struct session *s)
{
	ship_free(s->ship);
	s->ship = NULL;
	if (!s->tunnel)
		return;
	tunnel_io_attach(s->io, NULL, &nowhere);
	tunnel_free(s->tunnel);
	s->tunnel = NULL;
	if (s->group->role == GROUP_PRIMARY)
		s->group->synced = false;
}

bool session_streaming(const struct session *s)
{
	return s->state == SESSION_STREAMING;
}

bool session_line_serves(const struct session *s)
{
	const struct group *g = s->group;
	rt_time now = rt_now(g->loop);

	if (s->state != SESSION_STREAMING ||
	    rt_time_since(now, s->proven_at) >= g->config.away_ms * RT_MS)
		return false;
	return rt_time_since(now, g->held_since) < g->config.away_ms * RT_MS;
}

void session_weigh_risk(struct group *g)
{
	const struct group_fec_config *fec = &g->config.peer.fec;
	const struct fec_line line = { fec->assume_loss, fec->assume_burst };

	if (fec_risk_repairs(&line, fec->safety, share_of(g), &g->repairs) < 0)
		g->repairs = FEC_RISK_REPAIRS_MAX;
	if (fec_risk_residual(&line, g->repairs, share_of(g), &g->risk) < 0)
		g->risk = -1;
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
	struct tunnel_fec fec;

	session_weigh_risk(g);
	if (g->role != GROUP_PRIMARY || !s->tunnel)
		return; /* the next START is of the new configuration */
	if (peer->tcp != before->tcp || peer->evidence != before->evidence ||
	    strcmp(peer->congestion, before->congestion) != 0) {
		session_start_again(s);
		return;
	}
	session_choose_code(g, s->start);
	fec = tunnel_fec_of(g, s->start);
	if ((memcmp(&peer->fec, &before->fec, sizeof(peer->fec)) != 0 &&
	     tunnel_set_fec(s->tunnel, &fec, now) < 0) ||
	    tunnel_set_rate(s->tunnel, peer->rate_auto, peer->rate_bps, now) < 0)
		session_start_again(s);
}
