/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_EDGE_CLIENT_H
#define REPLICATOR_TUNNEL_EDGE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "replicator/tunnel/edge.h"
#include "rt/time.h"

/*
 * The primary's side of the relay at its border: registers the tunnel, again and again,
 * and turns the relay's echoes into the TX timestamps that the tunnel waits for. An echo counts
 * once, and only for a datagram that we sent with that number and those bytes.
 */
#define EDGE_AWAITED 1024	    /* datagrams whose echo is awaited; a power of two */
#define EDGE_HURRY_NS (100 * RT_MS) /* between registrations before the first echo */
#define EDGE_REFRESH_NS RT_S

struct edge_client {
	uint8_t key[EDGE_KEY_LEN];
	uint64_t id;
	uint64_t serial; /* of the last registration */
	rt_time register_at;
	struct edge_seen
		awaited[EDGE_AWAITED]; /* number n at n % EDGE_AWAITED; 0: none */
	uint64_t echoes, forged;
};

void edge_client_init(struct edge_client *c, const uint8_t key[EDGE_KEY_LEN], uint64_t id,
		      rt_time now);
/* It is time to register: the datagram in `out`, its length, or 0: not yet. */
size_t edge_client_register(struct edge_client *c, uint8_t out[EDGE_MESSAGE_MAX],
			    rt_time now);
/* This datagram of the tunnel is sent. */
void edge_client_await(struct edge_client *c, const uint8_t *dgram, size_t len);
/*
 * Bytes that edge_is_message() took for one. What has left the site goes to `numbers`;
 * returns how many, or -EPROTO for one that is forged, counted.
 */
int edge_client_echo(struct edge_client *c, const uint8_t *dgram, size_t len,
		     uint64_t numbers[EDGE_ECHO_ENTRIES]);

#endif
