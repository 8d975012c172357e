/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_PATH_H
#define REPLICATOR_TUNNEL_CC_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * The model of the path that congestion control keeps: how much the path passes per
 * second (a maximum, since what was not offered was not refused), its least round trip,
 * and how much longer than that a round trip must be before it shows a queue.
 */
#define CC_PATH_SAMPLES 10	     /* rounds that the maximum is remembered */
#define CC_PATH_BASE_NS (60 * RT_S)  /* that the least round trip is */
#define CC_QUEUE_NS (3 * RT_MS)	     /* a queue is none below this, or RTT/8, */
#define CC_QUEUE_BATCH 4.0	     /* nor below the time of so many datagrams, */
#define CC_QUEUE_MAX_NS (50 * RT_MS) /* which may be this at most */

struct cc_path {
	double samples[CC_PATH_SAMPLES]; /* datagrams per second */
	unsigned newest;
	double rate;	      /* the highest of them */
	int64_t base_ns;      /* least round trip, < 0: unknown */
	int64_t base_next_ns; /* since base_at + CC_PATH_BASE_NS / 2 */
	rt_time base_at;
	int64_t rtt_ns; /* newest */
};

static inline double cc_seconds(int64_t ns)
{
	return (double)ns / (double)RT_S;
}

void cc_path_init(struct cc_path *p);
void cc_path_add_rtt(struct cc_path *p, int64_t rtt_ns, rt_time now);
/* A round has shown that the path passes `rate` datagrams per second. */
void cc_path_add_rate(struct cc_path *p, double rate);
/* The path has changed: only the newest sample counts. */
void cc_path_forget_rates(struct cc_path *p);

/* The queue that a round trip shows; and what is no queue: the host's own jitter, a batch. */
static inline int64_t cc_path_queue(const struct cc_path *p, int64_t rtt_ns)
{
	return rtt_ns - p->base_ns;
}
int64_t cc_path_queue_bound(const struct cc_path *p);
/* A queue that is not the least one any more: what is under way will fill it further. */
bool cc_path_queued(const struct cc_path *p, int64_t rtt_ns);
/* Datagrams in flight where there is no queue. */
double cc_path_bdp(const struct cc_path *p);

#endif
