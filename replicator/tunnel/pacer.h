/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_PACER_H
#define REPLICATOR_TUNNEL_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * A token bucket in integer nanoseconds, kept as the time at which the line would be
 * empty if it had sent everything at `rate` (the generic cell rate algorithm, ITU-T
 * I.371). Invariant: what was charged in any interval of length T is at most
 * (T + burst_ns) * rate, and one datagram more; unpaced charges come on top and are paid
 * back later. Once the bucket is empty it rests until a part of the burst is there again:
 * a wake-up per datagram would cost more than the datagram.
 *
 * Idle time is not saved up. But when there was something to send all the time and we
 * woke up late, because the host had other work, up to PACER_LATE_NS of the rate are
 * caught up: they add to the T + burst_ns above.
 */
#define PACER_BURST_NS RT_MS
#define PACER_LATE_NS (4 * RT_MS)
#define PACER_REST 4	  /* a quarter of the burst */
#define PACER_OVERHEAD 28 /* IPv4 and UDP headers, per datagram */

struct pacer {
	uint64_t rate_bps; /* 0: not paced */
	int64_t burst_ns;
	rt_time empty_at;
	rt_time ready_at; /* not before: it rests */
	uint64_t rest;	  /* of the division by rate_bps */
	bool idle;	  /* there was nothing to send since the last datagram */
};

void pacer_init(struct pacer *p, uint64_t rate_bps, size_t datagram_max, rt_time now);
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
