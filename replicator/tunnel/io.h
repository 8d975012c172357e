/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_IO_H
#define REPLICATOR_TUNNEL_IO_H

#include <stddef.h>
#include <stdint.h>

struct rt_addr;
struct rt_loop;
struct tunnel;
struct tunnel_io;

/*
 * Joins a tunnel to a datagram socket and the clock of a loop: the only file of tunnel/
 * that does I/O. The socket outlives tunnels: each new set of keys brings a new one.
 */
struct tunnel_io_events {
	/* Something arrived, left, was acknowledged, or time has passed: look at frames and
	 * watermarks. Called from the loop, never from inside a tunnel_io_ call. */
	void (*changed)(void *owner);
};

int tunnel_io_new(struct rt_loop *loop, const struct rt_addr *local,
		  const struct tunnel_io_events *events, void *owner,
		  struct tunnel_io **ret);
/*
 * Two phases: no event is called any more after this; the memory goes when the last send
 * has ended. NULL is fine. The tunnel is not freed.
 */
void tunnel_io_free(struct tunnel_io *io);
void tunnel_io_local(const struct tunnel_io *io, struct rt_addr *ret);

/*
 * Run this tunnel (borrowed until replaced; NULL: none) towards `peer`. With peer->kind
 * RT_ADDR_NONE nothing is sent until the first authentic datagram shows where from; later
 * ones from elsewhere move it. An address that is given stays: if both ends followed the
 * other, somebody on the way could lead both astray, and neither would find back.
 *
 * An end that follows also answers from the address of this host that the newest datagram
 * was sent to. The one that dials leaves its own to the kernel.
 */
void tunnel_io_attach(struct tunnel_io *io, struct tunnel *t, const struct rt_addr *peer);
/*
 * From the next attach on, everything goes by the relay at the site's border: to `edge`
 * instead of the peer, under `key` (EDGE_KEY_LEN bytes, copied). For evidence
 * TUNNEL_EDGE. NULL: straight to the peer again. -ENOMEM, else 0.
 */
int tunnel_io_set_edge(struct tunnel_io *io, const struct rt_addr *edge,
		       const uint8_t *key);
/* The owner has called the tunnel: send what is to be sent, look at its deadline. */
void tunnel_io_schedule(struct tunnel_io *io);

struct tunnel_io_stats {
	uint64_t datagrams, sends; /* sent; and in how many messages */
	uint64_t longest;	   /* bytes in one message */
	uint64_t foreign;	   /* datagrams of no tunnel that is attached */
	uint64_t refused;	   /* datagrams that the tunnel refused */
	uint64_t echoes, forged;   /* from the relay at the border; not from it */
	uint64_t enobufs;	   /* sends that this host dropped */
	uint64_t errors;	   /* other failed sends */
	uint64_t overflow;	   /* dropped by our own receive buffer */
};
void tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret);

#endif
