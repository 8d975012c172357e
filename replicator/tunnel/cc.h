/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_H
#define REPLICATOR_TUNNEL_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/tunnel/cc_guard.h"
#include "replicator/tunnel/cc_loss.h"
#include "replicator/tunnel/cc_path.h"
#include "replicator/tunnel/cc_probe.h"
#include "replicator/tunnel/cc_round.h"
#include "replicator/tunnel/cc_share.h"
#include "rt/time.h"

/*
 * How fast to send, and how much may be in flight: `rate = "auto"`, and the guard over a
 * rate that was configured. docs/tunnel.md, "Congestion", gives the algorithm and its
 * sources. Here are the states, and what each allows; the parts have a file each.
 *
 * It counts datagrams, all of one size, and knows two totals: how many were sent up to the
 * newest one that is known to have arrived, and how many of those arrived.
 *
 * Alone on a path the rate follows what the path passes per second, and the queue is
 * emptied regularly. Loss alone says nothing: what is lost while there is no queue is
 * non-congestive and is added to what we send. Where a queue stays though we have made way
 * for it, somebody else fills it: then the window of CUBIC decides, and only loss beyond
 * the non-congestive one, while the queue is long, makes it smaller. Every now and then we
 * make way for a moment, to see whether the queue is ours after all.
 */
#define CC_RATE_FIRST UINT64_C(50000000) /* bits per second, where nothing is said */
#define CC_RATE_MIN 100000.0		 /* bits per second, always */
#define CC_RATE_MAX UINT64_C(400000000000)
#define CC_SLACK_NS (4 * RT_MS) /* acknowledgements are late by up to this */
#define CC_FLIGHT_MIN 16.0	/* a burst of losses must not close it */
#define CC_FLIGHT_DOWN 4.0	/* while we make way */
#define CC_FLIGHT_FIRST 32.0

enum cc_state {
	CC_FIXED,   /* the configured rate, as long as the path takes it */
	CC_STARTUP, /* twice as much per round, until more does not come out */
	CC_DRAIN,   /* the queue that startup left */
	CC_CRUISE,  /* what the path passes */
	CC_UP,	    /* for one round more, */
	CC_JUDGE,   /* and in this one it comes out, or does not */
	CC_DOWN,    /* less, until the queue is empty */
	CC_SHARED,  /* it does not get empty: somebody else is there */
	CC_YIELD,   /* or is it ours? */
};
#define CC_STATES 9u

/* A change of state, and what was known then. */
struct cc_event {
	enum cc_state from, to;
	uint64_t rate_bps; /* in force from now on */
	int64_t queue_ns;  /* by the newest round trip */
	double loss;	   /* share, non-congestive */
};

struct cc_params {
	bool automatic;
	/* automatic: where it begins, 0: CC_RATE_FIRST; else the rate */
	uint64_t rate_bps;
	unsigned datagram; /* bytes of one on the path */
	/* Every change of state; it must call nothing here. May be NULL. */
	void (*changed)(void *owner, const struct cc_event *event);
	void *owner;
};

struct cc {
	enum cc_state state; /* only cc_set_state() changes it */
	rt_time since;	     /* in this state */
	unsigned rounds;     /* in this state */
	double datagram_bits;
	double first, cap; /* datagrams per second; cap 0: none */
	struct cc_round round;
	struct cc_path path;
	struct cc_loss loss;
	struct cc_probe probe;
	struct cc_share share;
	struct cc_guard guard;
	void (*changed)(void *owner, const struct cc_event *event);
	void *owner; /* borrowed */
};

void cc_init(struct cc *c, const struct cc_params *params, rt_time now);
/* As if initialised, but what is known of the path stays known. */
void cc_set(struct cc *c, const struct cc_params *params, rt_time now);
const char *cc_state_name(enum cc_state state);

/* A datagram takes `bytes` on the path from now on: its headers have changed. */
void cc_set_datagram(struct cc *c, unsigned bytes);

void cc_acked(struct cc *c, const struct cc_ack *ack);
/* There is nothing to send though it would be allowed. */
static inline void cc_limited(struct cc *c)
{
	c->round.limited = true;
}

/* Whether one more may be sent with `in_flight` not known to have arrived or be lost. */
bool cc_open(const struct cc *c, uint64_t in_flight);
/* For the pacer, in bits per second. */
uint64_t cc_rate_bps(const struct cc *c);
/* What was lost of the datagrams from .. to was lost in a queue that we filled. */
bool cc_congested(const struct cc *c, uint64_t from, uint64_t to);
/* How long that queue is, by the newest round trip. */
int64_t cc_queue_ns(const struct cc *c);

#endif
