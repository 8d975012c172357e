// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/transport_open.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/redundancy.h"
#include "replicator/conn.h"
#include "replicator/group.h"
#include "replicator/message.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "replicator/transport_tcp.h"
#include "replicator/transport_udp.h"
#include "rt/loop.h"

#define UDP_LABEL "wanmirror datagrams"
#define TCP_LABEL "wanmirror data"
#define PROBES_UNTIL_TIMEOUT 10 /* unanswered ones until the peer counts as timed out */

static enum tunnel_evidence open_evidence(enum group_evidence evidence)
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

/* The goal of the primary's protection; the tunnel finds what that takes. */
static struct tunnel_fec open_fec(const struct group_fec_config *c,
				  const struct message_start *start)
{
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

	memcpy(fec.code.interleave, c->interleave, sizeof(fec.code.interleave));
	return fec;
}

static int open_udp(const struct transport_setup *setup,
		    const struct message_start *start, struct transport **ret)
{
	static const struct rt_addr nowhere = { .kind = RT_ADDR_NONE };
	/* A mirror sends nothing that a code would protect, and takes repairs of every kind. */
	static const struct tunnel_fec none = { .code.code = FEC_NONE };
	const struct group_config *config = setup->config;
	const struct group_peer_config *peer = &config->peer;
	bool by_edge = peer->evidence == GROUP_EV_EDGE && peer->has_edge;
	struct transport_udp_params params = {
		.tunnel = { .id = start->tunnel_id,
			    .dialed = peer->dials,
			    .symbol_size = start->symbol_size,
			    .rate_auto = peer->rate_auto,
			    .rate_bps = peer->rate_bps,
			    .send_memory = config->send_memory,
			    .receive_memory = config->send_memory,
			    .frame_max = (uint32_t)record_len_max(config->max_request),
			    .evidence = open_evidence(peer->evidence),
			    .timeout_ns = config->away_ms * RT_MS },
		.peer = peer->dials ? peer->addr : nowhere,
		.edge = by_edge ? &peer->edge : NULL,
		.edge_key = peer->edge_key,
	};
	struct tunnel_params *tunnel = &params.tunnel;
	int err;

	tunnel->fec = setup->primary ? open_fec(&peer->fec, start) : none;
	err = conn_export(setup->conn, UDP_LABEL, tunnel->secret, sizeof(tunnel->secret));
	if (err == 0)
		err = transport_udp_new(setup->io, &params, rt_now(setup->loop), ret);
	explicit_bzero(tunnel->secret, sizeof(tunnel->secret));
	return err;
}

static int open_tcp(const struct transport_setup *setup,
		    const struct message_start *start, struct transport **ret)
{
	const struct group_config *config = setup->config;
	struct transport_tcp_params params = {
		.id = start->tunnel_id,
		.sends = setup->primary,
		.dials = config->peer.dials,
		.addr = config->peer.addr,
		.group = config->name,
		.key = config->peer.key,
		.congestion = setup->primary ? config->peer.congestion : "",
		.frame_max = (uint32_t)record_len_max(config->max_request),
		.send_memory = config->send_memory,
		.handshake_ns = SESSION_HANDSHAKE_MS * RT_MS,
		.probe_ns = config->away_ms * RT_MS / PROBES_UNTIL_TIMEOUT,
	};
	int err;

	/* Known before the peer is asked: the control connection is TCP, too. */
	if (params.congestion[0] && conn_congestion(setup->conn, params.congestion) < 0)
		return -EPERM;
	err = conn_export(setup->conn, TCP_LABEL, params.proofs[0],
			  sizeof(params.proofs));
	if (err == 0)
		err = transport_tcp_new(setup->loop, &params, setup->events, setup->owner,
					ret);
	explicit_bzero(params.proofs, sizeof(params.proofs));
	return err;
}

int transport_open(const struct transport_setup *setup, const struct message_start *start,
		   struct transport **ret)
{
	return start->transport == MESSAGE_TCP ? open_tcp(setup, start, ret)
					       : open_udp(setup, start, ret);
}

int transport_reconfigure(struct transport *t, const struct group_config *config,
			  const struct message_start *start, bool fec_changed,
			  rt_time now)
{
	const struct tunnel_fec fec = open_fec(&config->peer.fec, start);
	const struct transport_rules rules = {
		.fec = fec_changed ? &fec : NULL,
		.rate_auto = config->peer.rate_auto,
		.rate_bps = config->peer.rate_bps,
	};

	return transport_set_rules(t, &rules, now);
}
