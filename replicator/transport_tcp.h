/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TRANSPORT_TCP_H
#define REPLICATOR_TRANSPORT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/message.h"
#include "rt/addr.h"
#include "rt/time.h"

/*
 * The transport over TCP: whole frames in order over a secured connection of its own. One
 * end sends frames, the other takes them and reports how many. A frame that was taken was
 * received; nothing else proves it.
 *
 * Memory: at the end that sends, frames that were not taken yet are at most send_memory
 * (or one frame), of which the connection holds a bounded part and the sockets the rest; at the
 * end that takes, TRANSPORT_TCP_TAKE_BYTES and one frame, and then its socket stops the
 * sender.
 */
struct rt_loop;
struct transport;
struct transport_events;

#define TRANSPORT_TCP_TAKE_BYTES (4u << 20)

struct transport_tcp_params {
	uint64_t id;
	/* What the end that dials says, and the other. */
	uint8_t proofs[2][MESSAGE_PROOF_LEN];
	bool sends; /* frames; the other end takes them */
	bool dials;
	struct rt_addr addr;	/* to be dialed */
	const char *group;	/* whose key it is; borrowed */
	const uint8_t *key;	/* SECURE_KEY_LEN bytes, borrowed */
	const char *congestion; /* of what this end sends, copied; "": the system's */
	uint32_t frame_max;
	size_t send_memory;
	int64_t handshake_ns;
	int64_t probe_ns; /* between probes of the end that sends */
};

/* 0 or -ENOMEM. */
int transport_tcp_new(struct rt_loop *loop, const struct transport_tcp_params *params,
		      const struct transport_events *events, void *owner,
		      struct transport **ret);

#endif
