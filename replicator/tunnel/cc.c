// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc.h"

#include "replicator/tunnel/cc_next.h"
#include "rt/check.h"

#define CC_STARTUP_FLIGHT 2.0
#define CC_DRAIN_GAIN 0.5
#define CC_DOWN_GAIN 0.75
#define CC_YIELD_FLIGHT 0.5
#define CC_FLIGHT 2.0 /* times rate and least round trip */
#define CC_SHARED_PACE 1.1

/* ---- states ------------------------------------------------------------------------------ */

#define CC_BIT(state) (1u << (state))

/*
 * Which states may follow. FIXED and STARTUP come with new parameters, and FIXED when the guard
 * clears.
 */
static const unsigned cc_follows[CC_STATES] = {
	[CC_FIXED] = CC_BIT(CC_DOWN), /* the guard */
	[CC_STARTUP] = CC_BIT(CC_DRAIN),
	[CC_DRAIN] = CC_BIT(CC_CRUISE) | CC_BIT(CC_SHARED),
	[CC_CRUISE] = CC_BIT(CC_UP) | CC_BIT(CC_DOWN),
	[CC_UP] = CC_BIT(CC_JUDGE),
	[CC_JUDGE] = CC_BIT(CC_UP) | CC_BIT(CC_DOWN),
	[CC_DOWN] = CC_BIT(CC_CRUISE) | CC_BIT(CC_SHARED),
	[CC_SHARED] = CC_BIT(CC_YIELD),
	[CC_YIELD] = CC_BIT(CC_CRUISE) | CC_BIT(CC_SHARED),
};

const char *cc_state_name(enum cc_state state)
{
	static const char *const names[CC_STATES] = {
		[CC_FIXED] = "fixed",	[CC_STARTUP] = "startup", [CC_DRAIN] = "drain",
		[CC_CRUISE] = "cruise", [CC_UP] = "up",		  [CC_JUDGE] = "judge",
		[CC_DOWN] = "down",	[CC_SHARED] = "shared",	  [CC_YIELD] = "yield",
	};

	return names[state];
}

static bool cc_is_sharing(const struct cc *c)
{
	return c->state == CC_SHARED || c->state == CC_YIELD;
}

/* What a state needs when it begins; the old one is still in c->state. */
static void cc_enter(struct cc *c, enum cc_state state, rt_time now)
{
	if (state == CC_UP && c->state == CC_CRUISE)
		cc_probe_begin(&c->probe, c->path.rate);
	if (state == CC_DOWN && c->state == CC_CRUISE)
		cc_probe_waited(&c->probe, rt_time_since(now, c->since));
	else if (state != CC_CRUISE || c->state != CC_DOWN)
		cc_probe_wait_anew(&c->probe);
	if (state == CC_SHARED)
		cc_share_enter(&c->share, c->path.rate * cc_seconds(c->path.rtt_ns),
			       c->state == CC_YIELD, now);
	/* What is passed now is what counts, not what was when there was more. */
	if (state == CC_DOWN && c->state == CC_FIXED)
		cc_path_forget_rates(&c->path);
}

static void cc_set_state(struct cc *c, enum cc_state state, rt_time now)
{
	struct cc_event event = { .from = c->state, .to = state };

	rt_assert(state == CC_FIXED || state == CC_STARTUP ||
		  (cc_follows[c->state] & CC_BIT(state)));
	cc_enter(c, state, now);
	if (cc_is_sharing(c))
		cc_share_leave(&c->share, now);
	c->state = state;
	c->since = now;
	c->rounds = 0;
	if (!c->changed || event.from == event.to)
		return;
	event.rate_bps = cc_rate_bps(c);
	event.queue_ns = cc_queue_ns(c);
	event.loss = cc_loss_share(&c->loss);
	c->changed(c->owner, &event);
}

/* ---- what a state allows ------------------------------------------------------------------ */

/* The most that may be in flight. */
static double cc_window(const struct cc *c)
{
	double bound = c->path.rate * cc_seconds(CC_SLACK_NS);
	double bdp = cc_path_bdp(&c->path), least = CC_FLIGHT_MIN;

	switch (c->state) {
	case CC_STARTUP:
		bound += CC_STARTUP_FLIGHT * bdp;
		least = CC_FLIGHT_FIRST;
		break;
	case CC_SHARED:
		return c->share.cubic.window;
	case CC_YIELD:
		bound += CC_YIELD_FLIGHT * bdp;
		least = CC_FLIGHT_DOWN;
		break;
	case CC_DRAIN:
	case CC_DOWN:
		bound += bdp;
		least = CC_FLIGHT_DOWN;
		break;
	case CC_FIXED:
	case CC_CRUISE:
	case CC_UP:
	case CC_JUDGE:
		/* Some acknowledgements in a row may be lost, too. */
		bound += bound + CC_FLIGHT * bdp;
		break;
	}
	return bound > least ? bound : least;
}

static double cc_gain(const struct cc *c)
{
	switch (c->state) {
	case CC_STARTUP:
		return cc_probe_braking(&c->probe) ? 1 : CC_PROBE_STARTUP_GAIN;
	case CC_DRAIN:
		return CC_DRAIN_GAIN;
	case CC_UP:
		return c->probe.gain;
	case CC_DOWN:
	case CC_YIELD:
		return CC_DOWN_GAIN;
	case CC_FIXED:
	case CC_CRUISE:
	case CC_JUDGE:
	case CC_SHARED:
		break;
	}
	return 1;
}

bool cc_open(const struct cc *c, uint64_t in_flight)
{
	return c->state == CC_FIXED || (double)in_flight < cc_window(c);
}

uint64_t cc_rate_bps(const struct cc *c)
{
	double rate = cc_gain(c) * c->path.rate, bps;

	if (c->state == CC_FIXED)
		rate = c->cap;
	else if (c->state == CC_SHARED)
		rate = CC_SHARED_PACE * c->share.cubic.window /
		       cc_seconds(c->path.rtt_ns);
	else if (c->state == CC_STARTUP && rate < c->first)
		rate = c->first;
	if (c->cap > 0 && rate > c->cap)
		rate = c->cap;
	bps = rate * c->datagram_bits;
	if (bps > (double)CC_RATE_MAX)
		return CC_RATE_MAX;
	if (c->state != CC_FIXED && bps < CC_RATE_MIN)
		bps = CC_RATE_MIN;
	return (uint64_t)(bps + 0.5); /* a configured rate is given back as it was */
}

/* ---- rounds -------------------------------------------------------------------------------- */

/*
 * What was lost while we sent less than the path passes and there was no queue is
 * non-congestive. With a fixed rate we never send less: no queue must do, and what the
 * guard looks at is not learned.
 */
static void cc_learn_loss(struct cc *c, const struct cc_round_result *r)
{
	int64_t bound_ns = cc_path_queue_bound(&c->path);
	bool quiet;

	if (c->state == CC_FIXED)
		quiet = cc_path_queue(&c->path, c->round.rtt_high) <= bound_ns &&
			!cc_guard_heavy(r->sent, r->lost, cc_loss_share(&c->loss));
	else
		quiet = r->sent / cc_seconds(r->sent_ns) <= 0.85 * c->path.rate &&
			cc_path_queue(&c->path, c->round.rtt_low) <= bound_ns;
	if (quiet && c->state != CC_STARTUP && !cc_loss_excluded(&c->loss, c->round.sent))
		cc_loss_learn(&c->loss, r->sent, r->lost);
}

/* How the path passed what arrived in this round. */
static void cc_sample_round(struct cc *c, const struct cc_round_result *r)
{
	int64_t bound_ns = cc_path_queue_bound(&c->path);
	double passed = (r->sent - r->lost) / (1 - cc_loss_share(&c->loss)), rate;
	bool queued = cc_path_queue(&c->path, c->round.rtt_low) > bound_ns / 2;
	bool quiet = cc_path_queue(&c->path, c->round.rtt_high) <= bound_ns;

	/* Chance, and bursts of losses, are no less rate. */
	if (passed > r->sent || (quiet && !cc_loss_excess(&c->loss, r->sent, r->lost)))
		passed = r->sent;
	rate = passed / cc_seconds(r->passed_ns);
	cc_learn_loss(c, r);
	/*
	 * The maximum is given up only where the path held something back: what was not
	 * offered, or was offered late, says nothing.
	 */
	if (rate > c->path.rate || (!r->limited && (queued || passed < 0.95 * r->sent)))
		cc_path_add_rate(&c->path, rate);
}

static void cc_round_end(struct cc *c, const struct cc_ack *a)
{
	struct cc_round_result r;
	enum cc_state next;
	bool excess;

	cc_round_measure(&c->round, a, &r);
	excess = cc_loss_excess(&c->loss, r.sent, r.lost);
	/* When we make way, the queue drains, and what it dropped is counted after that. */
	if (c->state == CC_SHARED)
		cc_loss_exclude(&c->loss, a->sent_all);
	cc_sample_round(c, &r);
	c->rounds++;
	/* Making way begins when what was too much is no longer under way. */
	if ((c->state == CC_DOWN || c->state == CC_DRAIN || c->state == CC_YIELD) &&
	    (double)(a->sent_all - a->sent) > 1.5 * cc_window(c))
		c->rounds = 0;
	next = cc_next_state(c, &r, excess, a->arrived);
	if (next != c->state)
		cc_set_state(c, next, a->arrived);
	if (c->guard.active && cc_guard_clears(&c->guard, c->path.rate, c->cap,
					       cc_is_sharing(c), a->arrived))
		cc_set_state(c, CC_FIXED, a->arrived);
	cc_round_begin(&c->round, a);
	cc_loss_count_from(&c->loss, a);
}

void cc_acked(struct cc *c, const struct cc_ack *a)
{
	struct cc_loss_count count;
	bool queued;

	cc_path_add_rtt(&c->path, a->rtt_ns, a->arrived);
	if (!cc_round_began(&c->round)) {
		cc_round_begin(&c->round, a);
		cc_loss_count_from(&c->loss, a);
		return;
	}
	cc_round_add(&c->round, a);
	queued = cc_path_queue(&c->path, c->round.rtt_high) >
		 cc_path_queue_bound(&c->path);
	if (cc_loss_episode(&c->loss, a, queued, &count) && c->state == CC_SHARED)
		cc_share_react(&c->share, &count, a->rtt_ns, a->arrived);
	if (c->state == CC_STARTUP)
		cc_probe_startup_ack(&c->probe, cc_path_queued(&c->path, a->rtt_ns));
	if (cc_round_over(&c->round, a))
		cc_round_end(c, a);
}

bool cc_congested(const struct cc *c, uint64_t from, uint64_t to)
{
	return cc_loss_congested(&c->loss, from, to);
}

int64_t cc_queue_ns(const struct cc *c)
{
	return c->path.base_ns < 0 ? 0 : cc_path_queue(&c->path, c->path.rtt_ns);
}

/* ---- parameters ------------------------------------------------------------------------------ */

void cc_set(struct cc *c, const struct cc_params *p, rt_time now)
{
	double per_second = (double)p->rate_bps / (8.0 * p->datagram);

	rt_assert(p->datagram > 0);
	c->datagram_bits = 8.0 * p->datagram;
	c->changed = p->changed;
	c->owner = p->owner;
	c->cap = p->automatic ? 0 : per_second;
	c->first =
		p->rate_bps > 0 ? per_second : (double)CC_RATE_FIRST / c->datagram_bits;
	cc_guard_reset(&c->guard, now);
	cc_probe_init(&c->probe);
	cc_set_state(c, p->automatic ? CC_STARTUP : CC_FIXED, now);
}

void cc_set_datagram(struct cc *c, unsigned bytes)
{
	double fewer = c->datagram_bits / (8.0 * bytes);

	rt_assert(bytes > 0);
	c->datagram_bits = 8.0 * bytes;
	c->first *= fewer;
	c->cap *= fewer; /* none stays none */
}

void cc_init(struct cc *c, const struct cc_params *p, rt_time now)
{
	*c = (struct cc){ .state = p->automatic ? CC_STARTUP : CC_FIXED };
	cc_path_init(&c->path);
	cc_loss_init(&c->loss);
	cc_set(c, p, now);
}
