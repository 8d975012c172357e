/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_ROUND_H
#define REPLICATOR_TUNNEL_CC_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * The rounds in which congestion control measures: a round ends when a datagram arrived
 * that was sent after the round began.
 */
#define CC_ROUND_MIN_NS (5 * RT_MS)   /* a shorter round would measure the host */
#define CC_ROUND_MIN 8		      /* and one of fewer datagrams, chance, */
#define CC_ROUND_MAX_NS (200 * RT_MS) /* unless there are none */

/* What a new acknowledgement reports, by the newest datagram that arrived. */
struct cc_ack {
	rt_time arrived; /* the acknowledgement may have been sent later */
	rt_time sent_at;
	uint64_t sent_all; /* datagrams sent by now */
	uint64_t sent;	   /* of these up to and with the newest that arrived, */
	double received;   /* and how many of those arrived, as far as is known */
	int64_t rtt_ns;
};

struct cc_round {
	rt_time began, sent_at; /* when `sent` arrived, and when it was sent */
	uint64_t sent;		/* totals when the round began */
	double received;
	uint64_t mark;		   /* it ends when a datagram above this has arrived */
	int64_t rtt_low, rtt_high; /* in it */
	bool limited;		   /* there was a moment with nothing to send */
	bool limited_before;	   /* in the round before */
};

/* What a round has measured. */
struct cc_round_result {
	double sent, lost;
	int64_t sent_ns; /* over which the datagrams were sent, at least 1, */
	int64_t passed_ns; /* and over which they arrived or were sent, if that was longer */
	bool limited;	   /* this round or the one before: more was not offered */
};

/* Whether a round has begun; the first acknowledgement begins one. */
static inline bool cc_round_began(const struct cc_round *r)
{
	return r->sent != 0;
}

void cc_round_begin(struct cc_round *r, const struct cc_ack *ack);
/* Adds the round trip of an acknowledgement that arrived in this round. */
void cc_round_add(struct cc_round *r, const struct cc_ack *ack);
bool cc_round_over(const struct cc_round *r, const struct cc_ack *ack);
void cc_round_measure(const struct cc_round *r, const struct cc_ack *ack,
		      struct cc_round_result *ret);

#endif
