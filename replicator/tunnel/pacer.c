// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/pacer.h"

/* What `len` bytes take on the line, the remainder of the division carried over. */
static int64_t pacer_cost(struct pacer *p, size_t len)
{
	uint64_t bits = (uint64_t)(len + PACER_OVERHEAD) * 8;
	uint64_t scaled = bits * (uint64_t)RT_S + p->rest;

	p->rest = scaled % p->rate_bps;
	return (int64_t)(scaled / p->rate_bps);
}

void pacer_init(struct pacer *p, uint64_t rate_bps, size_t datagram_max, rt_time now)
{
	*p = (struct pacer){
		.rate_bps = rate_bps, .empty_at = now, .ready_at = now, .idle = true
	};
	if (rate_bps == 0)
		return;
	/* A couple of datagrams, so that a slow line's timer need not be exact. */
	p->burst_ns = 2 * pacer_cost(p, datagram_max);
	if (p->burst_ns < PACER_BURST_NS)
		p->burst_ns = PACER_BURST_NS;
	p->rest = 0;
}

void pacer_charge(struct pacer *p, size_t len, rt_time now)
{
	rt_time from;

	if (p->rate_bps == 0)
		return;
	from = p->idle ? now : rt_time_add(now, -PACER_LATE_NS);
	p->idle = false;
	if (rt_time_before(p->empty_at, from))
		p->empty_at = from;
	p->empty_at = rt_time_add(p->empty_at, pacer_cost(p, len));
	if (rt_time_since(p->empty_at, now) > p->burst_ns)
		p->ready_at =
			rt_time_add(p->empty_at, p->burst_ns / PACER_REST - p->burst_ns);
}
