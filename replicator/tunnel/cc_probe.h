/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_PROBE_H
#define REPLICATOR_TUNNEL_CC_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * How congestion control finds out whether the path passes more: in startup by doubling
 * each round, later by a round of a quarter more now and then. Knows no states and no
 * queue; cc.c says which round it is and what the queue is like.
 */
#define CC_PROBE_STARTUP_GAIN 2.77 /* 4 ln 2: doubles each round (Cardwell et al., BBR) */
#define CC_PROBE_BRAKE_ACKS 4	   /* that show a queue in a row */
#define CC_PROBE_GAIN 1.25
#define CC_PROBE_GAIN_MAX 2.0
#define CC_PROBE_WAIT_MIN 8u /* rounds between two probes */
#define CC_PROBE_WAIT_MAX 32u
#define CC_PROBE_WAIT_NS (2 * RT_S) /* but no longer than this */
#define CC_PROBE_WAIT_LOSS_MAX 128u /* the same where a probe has led to losses */
#define CC_PROBE_WAIT_LOSS_NS (10 * RT_S)

struct cc_probe {
	double full; /* startup: rate that was no longer exceeded by a quarter, */
	unsigned full_rounds;	/* for so many rounds */
	unsigned brake, braked; /* acknowledgements with a queue; rounds since */
	double gain, from;	/* of the probe, and the rate before it */
	unsigned wait;		/* rounds until the next one */
	int64_t waited_ns;	/* in cruise since the last one, before we made way */
};

void cc_probe_init(struct cc_probe *p);

/* Startup: an acknowledgement shows a queue, or none. */
void cc_probe_startup_ack(struct cc_probe *p, bool queued);
/* It has seen a queue: for a round it does not grow, to see what comes out. */
bool cc_probe_braking(const struct cc_probe *p);
/* A round of startup has ended at `rate`; true: startup has, too. */
bool cc_probe_startup_round(struct cc_probe *p, double rate, bool limited, bool queued);

/* To make way in between is no probe: the time goes on, or begins anew. */
void cc_probe_waited(struct cc_probe *p, int64_t waited_ns);
void cc_probe_wait_anew(struct cc_probe *p);
/* `rounds` in a row and `waited_ns` of cruise: the next probe may begin. */
bool cc_probe_ready(const struct cc_probe *p, unsigned rounds, int64_t waited_ns);
void cc_probe_begin(struct cc_probe *p, double rate);

struct cc_probe_outcome {
	double rate;
	bool queued;	     /* there is a queue after it */
	bool limited_before; /* more was not offered in its round */
	bool excess;	     /* more was lost than the path loses by itself */
};
/* The round after the probe is over; true: the path carried more, probe once more at once. */
bool cc_probe_judge(struct cc_probe *p, const struct cc_probe_outcome *o);

#endif
