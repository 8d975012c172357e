// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/pacer.h"

/* What `len` bytes take on the path, the remainder of the division carried over. */
static int64_t pacer_cost(struct pacer *p, size_t len)
{
	uint64_t bits = (uint64_t)(len + p->headers) * 8;
	uint64_t scaled = bits * (uint64_t)RT_S + p->rest;

	p->rest = scaled % p->rate_bps;
	return (int64_t)(scaled / p->rate_bps);
}

/* The same of the peak, rounded up. */
static int64_t pacer_peak(int64_t ns)
{
	return (ns * PACER_PEAK_DEN + PACER_PEAK_NUM - 1) / PACER_PEAK_NUM;
}

static void pacer_burst(struct pacer *p)
{
	p->rest = 0;
	if (p->rate_bps == 0)
		return;
	/* A couple of datagrams, so that a slow path's timer need not be exact. */
	p->burst_ns = 2 * pacer_cost(p, p->datagram_max);
	if (p->burst_ns < PACER_BURST_NS)
		p->burst_ns = PACER_BURST_NS;
	p->rest = 0;
}

/* The bucket has run empty: rest, from when it would be full to when a part of it is. */
static void pacer_rest(struct pacer *p, rt_time empty_at, int64_t burst_ns, rt_time now)
{
	rt_time at = rt_time_add(empty_at, burst_ns / PACER_REST - burst_ns);

	if (rt_time_since(empty_at, now) > burst_ns && rt_time_before(p->ready_at, at))
		p->ready_at = at;
}

void pacer_init(struct pacer *p, uint64_t rate_bps, size_t datagram_max, rt_time now)
{
	*p = (struct pacer){ .rate_bps = rate_bps,
			     .datagram_max = datagram_max,
			     .headers = PACER_IPV4,
			     .empty_at = now,
			     .peak_at = now,
			     .ready_at = now,
			     .idle = true };
	pacer_burst(p);
}

void pacer_set_headers(struct pacer *p, unsigned headers)
{
	p->headers = headers;
	pacer_burst(p);
}

/* What is owed at the old rate, at the new one. */
static rt_time pacer_convert(rt_time at, double ratio, rt_time now)
{
	double owed = (double)rt_time_since(at, now) * ratio;

	/* A rate that falls to almost nothing must not stop us for good. */
	if (owed > (double)RT_S)
		return rt_time_add(now, RT_S);
	if (owed < -(double)RT_S)
		return rt_time_add(now, -RT_S);
	return rt_time_add(now, (int64_t)owed);
}

void pacer_set_rate(struct pacer *p, uint64_t rate_bps, rt_time now)
{
	double ratio;

	if (rate_bps == p->rate_bps)
		return;
	if (rate_bps == 0 || p->rate_bps == 0) {
		unsigned headers = p->headers;

		pacer_init(p, rate_bps, p->datagram_max, now);
		pacer_set_headers(p, headers);
		return;
	}
	ratio = (double)p->rate_bps / (double)rate_bps;
	p->empty_at = pacer_convert(p->empty_at, ratio, now);
	p->peak_at = pacer_convert(p->peak_at, ratio, now);
	p->rate_bps = rate_bps;
	pacer_burst(p);
	p->ready_at = rt_time_min(p->ready_at, now);
	pacer_rest(p, p->empty_at, p->burst_ns, now);
	pacer_rest(p, p->peak_at, pacer_peak(p->burst_ns), now);
}

void pacer_charge(struct pacer *p, size_t len, rt_time now)
{
	int64_t cost;
	rt_time from;

	if (p->rate_bps == 0)
		return;
	cost = pacer_cost(p, len);
	from = p->idle ? now : rt_time_add(now, -PACER_LATE_NS);
	p->idle = false;
	if (rt_time_before(p->empty_at, from))
		p->empty_at = from;
	p->empty_at = rt_time_add(p->empty_at, cost);
	if (rt_time_before(p->peak_at, now))
		p->peak_at = now;
	p->peak_at = rt_time_add(p->peak_at, pacer_peak(cost));
	pacer_rest(p, p->empty_at, p->burst_ns, now);
	pacer_rest(p, p->peak_at, pacer_peak(p->burst_ns), now);
}
