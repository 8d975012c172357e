// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_path.h"

void cc_path_init(struct cc_path *p)
{
	*p = (struct cc_path){ .base_ns = -1, .base_next_ns = -1, .rtt_ns = RT_MS };
}

/*
 * The least round trip is forgotten after CC_PATH_BASE_NS at the latest, since routes
 * change. A second minimum is kept from half of that time on, so that there is always one.
 */
void cc_path_add_rtt(struct cc_path *p, int64_t rtt_ns, rt_time now)
{
	int64_t age_ns = rt_time_since(now, p->base_at);

	p->rtt_ns = rtt_ns;
	if (p->base_ns < 0 || rtt_ns <= p->base_ns) {
		p->base_ns = rtt_ns;
		p->base_next_ns = -1;
		p->base_at = now;
		return;
	}
	if (age_ns < CC_PATH_BASE_NS / 2)
		return;
	if (p->base_next_ns < 0 || rtt_ns < p->base_next_ns)
		p->base_next_ns = rtt_ns;
	if (age_ns < CC_PATH_BASE_NS)
		return;
	p->base_ns = p->base_next_ns;
	p->base_next_ns = -1;
	p->base_at = rt_time_add(now, -CC_PATH_BASE_NS / 2);
}

void cc_path_add_rate(struct cc_path *p, double rate)
{
	p->newest = (p->newest + 1) % CC_PATH_SAMPLES;
	p->samples[p->newest] = rate;
	p->rate = 0;
	for (unsigned i = 0; i < CC_PATH_SAMPLES; i++)
		if (p->samples[i] > p->rate)
			p->rate = p->samples[i];
}

void cc_path_forget_rates(struct cc_path *p)
{
	for (unsigned i = 0; i < CC_PATH_SAMPLES; i++)
		if (i != p->newest)
			p->samples[i] = 0;
	p->rate = p->samples[p->newest];
}

int64_t cc_path_queue_bound(const struct cc_path *p)
{
	int64_t bound_ns = p->base_ns / 8 > CC_QUEUE_NS ? p->base_ns / 8 : CC_QUEUE_NS;
	double batch = CC_QUEUE_BATCH * (double)RT_S;

	if (batch > p->rate * (double)bound_ns)
		bound_ns = batch > p->rate * (double)CC_QUEUE_MAX_NS
				   ? CC_QUEUE_MAX_NS
				   : (int64_t)(batch / p->rate);
	return bound_ns;
}

bool cc_path_queued(const struct cc_path *p, int64_t rtt_ns)
{
	int64_t queue_ns = cc_path_queue(p, rtt_ns);

	return queue_ns > cc_path_queue_bound(p) && queue_ns > p->base_ns / 4;
}

double cc_path_bdp(const struct cc_path *p)
{
	return p->base_ns < 0 ? 0 : p->rate * cc_seconds(p->base_ns);
}
