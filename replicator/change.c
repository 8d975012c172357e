// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/session.h"

/*
 * A configuration that changes under a running group. Most keys are read where they are
 * used, so taking them over is all; the session looks at those of the path, and the gate
 * asks its waiters anew. What has completed keeps what it was promised.
 */

static void change_volumes(struct group *g, const struct group_config *config)
{
	for (unsigned i = 0; i < g->nvolumes && i < config->nvolumes; i++) {
		struct group_volume_config *v = &g->config.volumes[i];

		v->sync = config->volumes[i].sync;
		v->has_on_disconnect = config->volumes[i].has_on_disconnect;
		v->on_disconnect = config->volumes[i].on_disconnect;
		g->volumes[i].sync = v->sync;
		g->volumes[i].has_policy = v->has_on_disconnect;
		g->volumes[i].policy = v->on_disconnect;
	}
}

void group_change(struct group *g, const struct group_config *config)
{
	struct group_peer_config before = g->config.peer, *peer = &g->config.peer;
	struct group_config *c = &g->config;

	change_volumes(g, config);
	c->sync = config->sync;
	c->hold = config->hold;
	c->fua_remote = config->fua_remote;
	c->on_disconnect = config->on_disconnect;
	c->cold_serve = config->cold_serve;
	c->hold_timeout_ms = config->hold_timeout_ms;
	c->open_timeout_ms = config->open_timeout_ms;
	c->control_timeout_ms = config->control_timeout_ms;
	c->heartbeat_ms = config->heartbeat_ms;
	c->away_ms = config->away_ms;
	c->exposure_ms = config->exposure_ms;
	c->exposure_bytes = config->exposure_bytes;
	c->exposure_writes = config->exposure_writes;
	peer->tcp = config->peer.tcp;
	memcpy(peer->congestion, config->peer.congestion, sizeof(peer->congestion));
	peer->rate_auto = config->peer.rate_auto;
	peer->rate_bps = config->peer.rate_bps;
	peer->evidence = config->peer.evidence;
	peer->fec = config->peer.fec;
	gate_follow_rules(&g->gate);
	if (g->session)
		session_change(g->session, &before);
	explicit_bzero(&before, sizeof(before)); /* it holds keys */
	group_wake(g);
}
