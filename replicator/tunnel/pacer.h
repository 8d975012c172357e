/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_PACER_H
#define REPLICATOR_TUNNEL_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * Token buckets in integer nanoseconds, each kept as the time at which the path would be
 * empty if it had sent everything at the bucket's rate (the generic cell rate algorithm,
 * ITU-T I.371). Idle time is not saved up. But when there was something to send all the
 * time and we woke up late, because the host had other work, up to PACER_LATE_NS of the
 * rate are caught up: not at once, since a path's queue may be short, but at a quarter
 * more than the rate. So of what was charged in any interval of length T, two things hold,
 * with a datagram more for each, and unpaced charges on top, which are paid back later:
 *
 *	charged <= rate * (T + burst + PACER_LATE_NS)	  burst alone if never late
 *	charged <= rate * (T * 5/4 + burst)
 *
 * where burst is PACER_BURST_NS, or two datagrams on a slow path. Once a bucket is empty
 * it rests until a part of the burst is there again: a wake-up per datagram would cost
 * more than the datagram.
 */
#define PACER_BURST_NS RT_MS
#define PACER_LATE_NS (4 * RT_MS)
#define PACER_PEAK_NUM 5 /* while catching up: this much of the rate */
#define PACER_PEAK_DEN 4
#define PACER_REST 4  /* a quarter of the burst */
#define PACER_IPV4 28 /* headers of IP and UDP that each datagram has on the path */
#define PACER_IPV6 48

struct pacer {
	uint64_t rate_bps; /* 0: not paced */
	size_t datagram_max;
	unsigned headers; /* PACER_IPV4 at first, PACER_IPV6 */
	int64_t burst_ns;
	rt_time empty_at, peak_at; /* of the rate, and of the peak */
	rt_time ready_at;	   /* not before: it rests */
	uint64_t rest;		   /* of the division by rate_bps */
	bool idle;		   /* nothing to send since the last datagram */
};

void pacer_init(struct pacer *p, uint64_t rate_bps, size_t datagram_max, rt_time now);
/* Go on at another rate: what has been charged in advance stays charged. */
void pacer_set_rate(struct pacer *p, uint64_t rate_bps, rt_time now);
/* What is charged for each datagram besides its length, from now on. */
void pacer_set_headers(struct pacer *p, unsigned headers);
/* Not before p->ready_at may another datagram leave. */
static inline bool pacer_ready(const struct pacer *p, rt_time now)
{
	return !rt_time_before(now, p->ready_at);
}
/* It is ready, and there is nothing to send. */
static inline void pacer_idle(struct pacer *p)
{
	p->idle = true;
}
/* A datagram of `len` bytes leaves now. */
void pacer_charge(struct pacer *p, size_t len, rt_time now);

#endif
