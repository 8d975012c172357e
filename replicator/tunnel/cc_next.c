// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_next.h"

#define CC_DOWN_ROUNDS 4 /* make way for so long before we believe in somebody else */
#define CC_YIELD_ROUNDS 4

/* The queue that stood through the whole round. */
static int64_t next_queue(const struct cc *c)
{
	return cc_path_queue(&c->path, c->round.rtt_low);
}

static enum cc_state next_of_fixed(struct cc *c, const struct cc_round_result *r,
				   rt_time now)
{
	const struct cc_guard_round round = {
		.offered = r->sent / cc_seconds(r->sent_ns),
		.cap = c->cap,
		.queue_ns = next_queue(c),
		.base_ns = c->path.base_ns,
		.heavy_loss = cc_guard_heavy(r->sent, r->lost, cc_loss_share(&c->loss)),
	};

	return cc_guard_trips(&c->guard, &round, now) ? CC_DOWN : CC_FIXED;
}

static enum cc_state next_of_startup(struct cc *c, bool limited)
{
	bool queued = cc_path_queued(&c->path, c->round.rtt_low);

	return cc_probe_startup_round(&c->probe, c->path.rate, limited, queued)
		       ? CC_DRAIN
		       : CC_STARTUP;
}

static enum cc_state next_of_cruise(const struct cc *c, rt_time now)
{
	if (c->rounds > 1 && next_queue(c) > cc_path_queue_bound(&c->path))
		return CC_DOWN;
	if (cc_probe_ready(&c->probe, c->rounds, rt_time_since(now, c->since)))
		return CC_UP;
	return CC_CRUISE;
}

/* More was offered in the round before: did it come out? */
static enum cc_state next_of_judge(struct cc *c, bool excess)
{
	const struct cc_probe_outcome outcome = {
		.rate = c->path.rate,
		.queued = next_queue(c) > cc_path_queue_bound(&c->path),
		.limited_before = c->round.limited_before,
		.excess = excess,
	};

	return cc_probe_judge(&c->probe, &outcome) ? CC_UP : CC_DOWN;
}

static enum cc_state next_of_down(const struct cc *c)
{
	if (next_queue(c) <= cc_path_queue_bound(&c->path) / 2)
		return CC_CRUISE;
	return c->rounds >= CC_DOWN_ROUNDS ? CC_SHARED : c->state;
}

static enum cc_state next_of_yield(const struct cc *c)
{
	if (c->rounds < 2)
		return CC_YIELD;
	if (next_queue(c) <= cc_path_queue_bound(&c->path))
		return CC_CRUISE;
	return c->rounds >= CC_YIELD_ROUNDS ? CC_SHARED : CC_YIELD;
}

static enum cc_state next_of_shared(struct cc *c, bool limited, rt_time now)
{
	if (cc_share_yields(&c->share, c->since, now))
		return CC_YIELD;
	cc_share_round(&c->share, c->round.rtt_low, c->round.began, limited, now);
	return CC_SHARED;
}

enum cc_state cc_next_state(struct cc *c, const struct cc_round_result *r, bool excess,
			    rt_time now)
{
	switch (c->state) {
	case CC_FIXED:
		return next_of_fixed(c, r, now);
	case CC_STARTUP:
		return next_of_startup(c, r->limited);
	case CC_CRUISE:
		return next_of_cruise(c, now);
	case CC_UP:
		return CC_JUDGE;
	case CC_JUDGE:
		return next_of_judge(c, excess);
	case CC_DRAIN:
	case CC_DOWN:
		return next_of_down(c);
	case CC_SHARED:
		return next_of_shared(c, r->limited, now);
	case CC_YIELD:
		return next_of_yield(c);
	}
	return c->state;
}
