/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TRANSPORT_UDP_H
#define REPLICATOR_TRANSPORT_UDP_H

#include "replicator/tunnel/tunnel.h"
#include "rt/addr.h"

/*
 * The transport over UDP: a tunnel, joined to a datagram socket that outlives it
 * (replicator/tunnel/io.h). Its events are those of the socket.
 */
struct transport;
struct tunnel_io;

struct transport_udp_params {
	struct tunnel_params tunnel;
	struct rt_addr peer;	    /* RT_ADDR_NONE: as tunnel_io_attach() says */
	const struct rt_addr *edge; /* as tunnel_io_set_edge() says; NULL: none */
	const uint8_t *edge_key;    /* EDGE_KEY_LEN bytes, copied */
};

/*
 * `io` is borrowed for the life of the transport. 0, -ENOMEM, or what tunnel_new() says of
 * the parameters.
 */
int transport_udp_new(struct tunnel_io *io, const struct transport_udp_params *params,
		      rt_time now, struct transport **ret);

#endif
