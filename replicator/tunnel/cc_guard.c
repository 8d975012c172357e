// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_guard.h"

void cc_guard_reset(struct cc_guard *g, rt_time now)
{
	g->active = false;
	g->since = now;
	g->heavy = 0;
}

/* A queue while we hardly send is not ours. */
static bool guard_queue(const struct cc_guard_round *r)
{
	int64_t bound_ns = r->base_ns / 4 > CC_GUARD_NS ? r->base_ns / 4 : CC_GUARD_NS;

	return r->queue_ns > bound_ns && r->offered >= r->cap / 2;
}

/* Round after round loses much; the first may be that of an outage which is over. */
static bool guard_drops(struct cc_guard *g, bool heavy, rt_time now)
{
	if (!heavy) {
		g->heavy = 0;
		return false;
	}
	if (g->heavy++ == 0)
		g->dropping = now;
	return rt_time_since(now, g->dropping) >= CC_GUARD_LOSS_AFTER_NS;
}

bool cc_guard_trips(struct cc_guard *g, const struct cc_guard_round *r, rt_time now)
{
	if (!guard_queue(r))
		g->since = now;
	if (rt_time_since(now, g->since) < CC_GUARD_AFTER_NS &&
	    !guard_drops(g, r->heavy_loss, now))
		return false;
	g->active = true;
	g->trips++;
	g->since = now;
	return true;
}

bool cc_guard_clears(struct cc_guard *g, double rate, double cap, bool shared,
		     rt_time now)
{
	if (rate < 0.95 * cap || shared) {
		g->since = now;
		return false;
	}
	if (rt_time_since(now, g->since) < CC_GUARD_CLEAR_NS)
		return false;
	cc_guard_reset(g, now);
	return true;
}
