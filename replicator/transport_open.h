/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TRANSPORT_OPEN_H
#define REPLICATOR_TRANSPORT_OPEN_H

#include <stdbool.h>

#include "rt/time.h"

/*
 * Makes the transport that a START names, as the configuration says, with keys of the
 * control connection that the START belongs to.
 */
struct group_config;
struct conn;
struct message_start;
struct rt_loop;
struct transport;
struct transport_events;
struct tunnel_io;

/* All of it is borrowed; config, io, events and owner for the life of the transport. */
struct transport_setup {
	struct rt_loop *loop;
	const struct group_config *config;
	bool primary;	      /* this end sends the frames */
	struct conn *conn;    /* the control connection */
	struct tunnel_io *io; /* the socket for datagrams, and its events */
	const struct transport_events *events;
	void *owner;
};

/*
 * 0; -EINVAL, -ENOTSUP, -ENOMEM as tunnel_new() and transport_tcp_new(); -EPERM where the
 * kernel does not offer the configured congestion control to this user.
 */
int transport_open(const struct transport_setup *setup, const struct message_start *start,
		   struct transport **ret);
/*
 * Of the primary: go on as the configuration and `start` say now; `fec_changed`: the code
 * or its goal differs from before. 0, or -errno where only a new transport can.
 */
int transport_reconfigure(struct transport *t, const struct group_config *config,
			  const struct message_start *start, bool fec_changed,
			  rt_time now);

#endif
