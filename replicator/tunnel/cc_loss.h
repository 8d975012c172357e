/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_LOSS_H
#define REPLICATOR_TUNNEL_CC_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/tunnel/cc_round.h"

/*
 * Which losses mean congestion. What is lost while there is no queue is the path's
 * non-congestive loss; loss beyond that, while a queue is there, is an episode of
 * congestion, once per round trip.
 */
#define CC_LOSS_MAX 0.2 /* of non-congestive loss that is made good by sending more */
#define CC_LOSS_BURST_MAX 32.0
#define CC_LOSS_MEMORY 4000 /* datagrams over which that loss is measured */

struct cc_loss {
	double sent, lost;  /* in rounds without a queue */
	double burst;	    /* variance over mean of that loss, about its mean burst */
	uint64_t from_sent; /* totals where the losses that count began */
	double from_received;
	uint64_t reacted; /* one episode until a datagram sent after it arrives */
	uint64_t congested_from, congested_to; /* losses among these may be our own */
	uint64_t excluded_to;		       /* losses up to here are not learned */
};

struct cc_loss_count {
	double sent, lost;
};

void cc_loss_init(struct cc_loss *l);
/* The share of non-congestive loss, at most CC_LOSS_MAX. */
double cc_loss_share(const struct cc_loss *l);
/* Whether `lost` of `sent` is more than the path itself would lose. */
bool cc_loss_excess(const struct cc_loss *l, double sent, double lost);
/* Datagrams up to `to` were sent into a queue that we share: what they lose is not learned. */
void cc_loss_exclude(struct cc_loss *l, uint64_t to);
bool cc_loss_excluded(const struct cc_loss *l, uint64_t from);
/* A round without a queue has lost so many. */
void cc_loss_learn(struct cc_loss *l, double sent, double lost);

/* Losses count from this acknowledgement on. */
void cc_loss_count_from(struct cc_loss *l, const struct cc_ack *ack);
/*
 * Whether what was lost by this acknowledgement begins an episode of congestion; `queued`:
 * the round has seen a queue. On true *ret is how much was lost.
 */
bool cc_loss_episode(struct cc_loss *l, const struct cc_ack *ack, bool queued,
		     struct cc_loss_count *ret);
/* Losses among the datagrams from .. to belong to an episode. */
bool cc_loss_congested(const struct cc_loss *l, uint64_t from, uint64_t to);

#endif
