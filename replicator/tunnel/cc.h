/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_H
#define REPLICATOR_TUNNEL_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/tunnel/cubic.h"
#include "rt/time.h"

/*
 * How fast to send, and how much may be in flight: `rate = "auto"`, and the guard over a
 * rate that was configured. docs/tunnel.md, "Congestion", gives the algorithm and its
 * sources.
 *
 * It counts datagrams, all of one size, and knows two totals: how many were sent up to the
 * newest one that is known to have arrived, and how many of those came. Time goes in
 * rounds: a round ends when something arrived that was sent after it began.
 *
 * Alone on a line the rate follows what the line passes per second (a maximum, since what
 * was not offered was not refused), and the queue is emptied again and again. Loss alone
 * says nothing: what is lost while there is no queue is the line's own loss and is added
 * to what we send. Where a queue stays though we have made way for it, somebody else fills
 * it: then the window of CUBIC decides, and only loss beyond the line's own, while the
 * queue is long, makes it smaller. Every now and then we make way for a moment, to see
 * whether the queue is ours after all.
 */
#define CC_RATE_FIRST UINT64_C(50000000) /* bits per second, where nothing is said */
#define CC_RATE_MIN 100000.0		 /* bits per second, always */
#define CC_RATE_MAX UINT64_C(400000000000)
#define CC_ROUND_MIN_NS (5 * RT_MS)   /* a shorter round would measure the host */
#define CC_ROUND_MIN 8		      /* and one of fewer datagrams, chance, */
#define CC_ROUND_MAX_NS (200 * RT_MS) /* unless there are none */
#define CC_SLACK_NS (4 * RT_MS)	      /* acknowledgements are late by up to this */
#define CC_QUEUE_NS (3 * RT_MS)	      /* a queue is none below this, or RTT/8 */
#define CC_QUEUE_TRAIN 4.0	      /* nor below the time of so many datagrams, */
#define CC_QUEUE_MAX_NS (50 * RT_MS)  /* which may be this at most */
#define CC_FLIGHT_MIN 16.0	      /* a run of losses must not close it */
#define CC_FLIGHT_DOWN 4.0	      /* while we make way */
#define CC_FLIGHT_FIRST 32.0
#define CC_FILTER 10	       /* rounds that a maximum is remembered */
#define CC_BASE_NS (60 * RT_S) /* that the least round trip is */
#define CC_LOSS_MAX 0.2	       /* of the line's own that is made good by sending more */
#define CC_LOSS_RUNS_MAX 32.0
#define CC_LOSS_MEMORY 4000	 /* datagrams over which that is measured */
#define CC_GUARD_NS (20 * RT_MS) /* a queue on a line of known rate: this, or RTT/4, */
#define CC_GUARD_AFTER_NS (250 * RT_MS) /* for so long */
#define CC_GUARD_CLEAR_NS (10 * RT_S)	/* no queue for so long at the full rate: over */

enum cc_state {
	CC_FIXED,   /* the configured rate, as long as the line takes it */
	CC_STARTUP, /* twice as much per round, until it stops coming out */
	CC_DRAIN,   /* the queue that startup left */
	CC_CRUISE,  /* what the line passes */
	CC_UP,	    /* for one round more, */
	CC_JUDGE,   /* and in this one it comes out, or does not */
	CC_DOWN,    /* less, until the queue is empty */
	CC_SHARED,  /* it does not get empty: somebody else is there */
	CC_YIELD,   /* or is it ours? */
};

struct cc_params {
	bool automatic;
	uint64_t
		rate_bps; /* automatic: where it begins, 0: CC_RATE_FIRST; else the rate */
	unsigned datagram; /* bytes of one on the line */
};

/* A round that is going on, or the one before. */
struct cc_round {
	rt_time began, sent_at;	   /* when `sent` arrived, and when it was sent */
	uint64_t sent;		   /* totals when it began */
	double came;		   /* */
	uint64_t mark;		   /* it ends when one above this has arrived */
	int64_t rtt_low, rtt_high; /* in it */
	bool limited;		   /* there was a moment with nothing to send */
};

struct cc {
	enum cc_state state;
	bool automatic, guarded;
	double datagram_bits;
	double first, cap; /* datagrams per second; cap 0: none */
	uint64_t sent;	   /* total of all that was sent */
	struct cc_round round;
	bool limited_before; /* the round before was */
	/* The line. */
	double samples[CC_FILTER]; /* datagrams per second that it passed */
	unsigned nsamples, newest;
	double rate;	      /* the highest of them */
	int64_t base_ns;      /* least round trip, < 0: unknown */
	int64_t base_next_ns; /* since base_at + CC_BASE_NS / 2 */
	rt_time base_at;
	int64_t rtt_ns;	  /* newest */
	double loss_runs; /* variance over mean of that loss, about its mean run */
	double loss_sent, loss_lost; /* of the line's own */
	/* States. */
	rt_time since;	 /* in this state */
	unsigned rounds; /* in this state */
	double full;	 /* STARTUP: rate that was no longer exceeded by a quarter */
	unsigned full_rounds, brake, braked;
	double up_gain, up_from; /* UP */
	unsigned wait;		 /* rounds until the next UP */
	struct cubic cubic;
	rt_time shared_left; /* when that window was last in force; 0 never */
	int64_t yield_ns;    /* SHARED: until the next YIELD */
	uint64_t reacted;    /* one reaction until something sent after it arrives */
	rt_time reacted_at;  /* of the window */
	uint64_t from_sent;  /* totals where the losses that count began */
	double from_came;
	uint64_t congested_from, congested_to; /* losses among these may be our own */
	rt_time guard_since; /* FIXED: a queue since then; guarded: none since then */
	uint64_t guard_trips;
};

void cc_init(struct cc *c, const struct cc_params *params, rt_time now);
/* As if initialised, but what is known of the line stays known. */
void cc_set(struct cc *c, const struct cc_params *params, rt_time now);

/* A datagram takes `bytes` on the line from now on: its headers have changed. */
void cc_set_datagram(struct cc *c, unsigned bytes);

/* What a new acknowledgement says, by the newest datagram that came. */
struct cc_ack {
	rt_time arrived; /* it may have been acknowledged later */
	rt_time sent_at;
	uint64_t sent_all; /* datagrams sent by now */
	uint64_t sent;	   /* of these up to and with it */
	double came;	   /* and how many of those came, as far as is known */
	int64_t rtt_ns;
};
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
