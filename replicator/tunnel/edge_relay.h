/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_EDGE_RELAY_H
#define REPLICATOR_TUNNEL_EDGE_RELAY_H

#include <stdint.h>

#include "replicator/tunnel/edge.h"
#include "rt/addr.h"

struct edge_relay;
struct rt_loop;
struct rt_op;

/*
 * The relay at a site's border, for evidence = "edge": what a registered primary sends
 * goes on to the mirror, what the mirror sends goes back, and every data and repair
 * datagram that the driver here has taken is echoed to the primary. What it keeps is soft:
 * which tunnel is where, learned anew from registrations within a second of a restart.
 * Nothing that is not of a registered tunnel is passed on, in either direction.
 */
struct edge_relay_params {
	struct rt_addr listen; /* primaries send here */
	struct rt_addr mirror;
	uint8_t key[EDGE_KEY_LEN];
};

/* 0, or -errno: an address that cannot be used, no memory. */
int edge_relay_new(struct rt_loop *loop, const struct edge_relay_params *params,
		   struct edge_relay **ret);
/*
 * Two phases: the memory goes when the last send has ended; then `over` (NULL: nobody asks)
 * is done, from the loop. A NULL relay is fine, and is never over.
 */
void edge_relay_free(struct edge_relay *r, struct rt_op *over);
/* Where primaries reach it: the port that was chosen for port 0. */
void edge_relay_addr(const struct edge_relay *r, struct rt_addr *ret);

struct edge_relay_stats {
	uint64_t forwarded;  /* towards the mirror */
	uint64_t returned;   /* towards primaries */
	uint64_t echoed;     /* datagrams that were proven to a primary */
	uint64_t refused;    /* of no registered tunnel, or from elsewhere */
	uint64_t forged;     /* messages whose MAC is wrong */
	uint64_t dropped;    /* no memory to hold them, or the host could not send */
	uint64_t overflowed; /* by our own receive buffers */
	unsigned tunnels;    /* registered now */
};
void edge_relay_stats(const struct edge_relay *r, struct edge_relay_stats *ret);

#endif
