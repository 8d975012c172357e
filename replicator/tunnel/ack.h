/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_ACK_H
#define REPLICATOR_TUNNEL_ACK_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * When the receiver acknowledges: at once for a probe, a new watermark, or credit that the
 * sender may wait for; after ACK_EVERY datagrams; soon behind a gap in the packet numbers,
 * but not for every one of many that come in disorder; at the latest ACK_DELAY_NS after
 * the first datagram that was not acknowledged.
 */
#define ACK_EVERY 16
#define ACK_EVERY_GAP 4
#define ACK_DELAY_NS (2 * RT_MS)

struct ack {
	uint64_t largest; /* highest packet number, acknowledgements aside */
	rt_time largest_at;
	uint32_t received; /* datagrams, acknowledgements aside */
	unsigned waiting;  /* datagrams not acknowledged yet */
	rt_time deadline;  /* RT_NEVER: nothing to say */
	uint64_t credit;   /* as last reported */
};

void ack_init(struct ack *a);
enum ack_why { ACK_PLAIN, ACK_GAP, ACK_ASKED };
/* A received datagram is to be acknowledged: any, one behind a gap, or a probe. */
void ack_add(struct ack *a, uint64_t number, enum ack_why why, rt_time now);
void ack_at_once(struct ack *a, rt_time now);
/* An acknowledgement goes out. */
void ack_done(struct ack *a, uint64_t credit);

#endif
