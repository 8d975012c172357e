// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc.h"

#include <math.h>

#include "rt/check.h"

#define CC_STARTUP_GAIN 2.77 /* 4 ln 2: doubles each round (Cardwell et al., BBR) */
#define CC_STARTUP_FLIGHT 2.0
#define CC_BRAKE_ACKS 4 /* that show a queue in a row */
#define CC_DRAIN_GAIN 0.5
#define CC_UP_GAIN 1.25
#define CC_UP_GAIN_MAX 2.0
#define CC_DOWN_GAIN 0.75
#define CC_YIELD_FLIGHT 0.5
#define CC_FLIGHT 2.0 /* times rate and least round trip */
#define CC_SHARED_PACE 1.1
#define CC_DOWN_ROUNDS 4 /* make way for so long before we believe in somebody else */
#define CC_YIELD_ROUNDS 4
#define CC_WAIT_MIN 8u /* rounds between two UPs */
#define CC_WAIT_MAX 32u
#define CC_WAIT_NS (2 * RT_S) /* but no longer than this */
#define CC_WAIT_LOSS_MAX 128u /* the same where UP has led to losses */
#define CC_WAIT_LOSS_NS (10 * RT_S)
#define CC_YIELD_MIN_NS RT_S
#define CC_YIELD_MAX_NS (8 * RT_S)
#define CC_REACT_ROUNDS 20
#define CC_REACT_LOSS 0.2
#define CC_SHARED_MEMORY_NS (20 * RT_S)

/* ---- the line ------------------------------------------------------------------------ */

static double cc_seconds(int64_t ns)
{
	return (double)ns / (double)RT_S;
}

/* The line's own loss. */
static double cc_loss(const struct cc *c)
{
	double loss;

	if (c->loss_sent < 1)
		return 0;
	loss = c->loss_lost / c->loss_sent;
	return loss < CC_LOSS_MAX ? loss : CC_LOSS_MAX;
}

/* Longer than this is a queue: the host's own jitter, or a train of our own, is none. */
static int64_t cc_queue_bound(const struct cc *c)
{
	int64_t bound_ns = c->base_ns / 8 > CC_QUEUE_NS ? c->base_ns / 8 : CC_QUEUE_NS;
	double train = CC_QUEUE_TRAIN * (double)RT_S;

	if (train > c->rate * (double)bound_ns)
		bound_ns = train > c->rate * (double)CC_QUEUE_MAX_NS
				   ? CC_QUEUE_MAX_NS
				   : (int64_t)(train / c->rate);
	return bound_ns;
}

/* The queue that stood through the whole round. */
static int64_t cc_round_queue(const struct cc *c)
{
	return c->round.rtt_low - c->base_ns;
}

/* In flight where there is no queue. */
static double cc_bdp(const struct cc *c)
{
	return c->base_ns < 0 ? 0 : c->rate * cc_seconds(c->base_ns);
}

/*
 * The least round trip, forgotten after CC_BASE_NS at the latest, since routes change. A
 * second minimum is kept from half of that time on, so that there is always one.
 */
static void cc_base(struct cc *c, int64_t rtt_ns, rt_time now)
{
	int64_t age_ns = rt_time_since(now, c->base_at);

	if (c->base_ns < 0 || rtt_ns <= c->base_ns) {
		c->base_ns = rtt_ns;
		c->base_next_ns = -1;
		c->base_at = now;
		return;
	}
	if (age_ns < CC_BASE_NS / 2)
		return;
	if (c->base_next_ns < 0 || rtt_ns < c->base_next_ns)
		c->base_next_ns = rtt_ns;
	if (age_ns < CC_BASE_NS)
		return;
	c->base_ns = c->base_next_ns;
	c->base_next_ns = -1;
	c->base_at = rt_time_add(now, -CC_BASE_NS / 2);
}

static void cc_sample_add(struct cc *c, double rate)
{
	c->newest = (c->newest + 1) % CC_FILTER;
	c->samples[c->newest] = rate;
	if (c->nsamples < CC_FILTER)
		c->nsamples++;
	c->rate = 0;
	for (unsigned i = 0; i < CC_FILTER; i++)
		if (c->samples[i] > c->rate)
			c->rate = c->samples[i];
}

/* ---- losses ---------------------------------------------------------------------------- */

/* Whether `lost` of `sent` is more than the line itself would lose. */
static bool cc_excess(const struct cc *c, double sent, double lost)
{
	double own = sent * cc_loss(c);

	return lost > own + 3 * sqrt(own * c->loss_runs) + sent / 100 + 3;
}

/*
 * What was lost while we sent less than the line passes and there was no queue is the
 * line's own. With a fixed rate we never send less: no queue must do.
 */
static void cc_own_loss(struct cc *c, double sent, double lost, double offered)
{
	int64_t bound_ns = cc_queue_bound(c);
	bool quiet = c->state == CC_FIXED
			     ? c->round.rtt_high - c->base_ns <= bound_ns
			     : offered <= 0.85 * c->rate && cc_round_queue(c) <= bound_ns;

	/* That is no loss but an interruption. */
	if (!quiet || c->state == CC_STARTUP || lost > sent / 2)
		return;
	if (c->loss_sent > sent) {
		double own = sent * cc_loss(c), off = lost - own;

		off = off * off / (own > 1 ? own : 1);
		c->loss_runs += (off - c->loss_runs) / 16;
		c->loss_runs = fmin(fmax(c->loss_runs, 1), CC_LOSS_RUNS_MAX);
	}
	c->loss_sent += sent;
	c->loss_lost += lost > 0 ? lost : 0;
	if (c->loss_sent > CC_LOSS_MEMORY) {
		c->loss_sent /= 2;
		c->loss_lost /= 2;
	}
}

/* ---- in flight ------------------------------------------------------------------------- */

static double cc_bound(const struct cc *c)
{
	double bound = c->rate * cc_seconds(CC_SLACK_NS), flight = cc_bdp(c);
	double least = CC_FLIGHT_MIN;

	switch (c->state) {
	case CC_STARTUP:
		bound += CC_STARTUP_FLIGHT * flight;
		least = CC_FLIGHT_FIRST;
		break;
	case CC_SHARED:
		return c->cubic.window;
	case CC_YIELD:
		bound += CC_YIELD_FLIGHT * flight;
		least = CC_FLIGHT_DOWN;
		break;
	case CC_DRAIN:
	case CC_DOWN:
		bound += flight;
		least = CC_FLIGHT_DOWN;
		break;
	case CC_FIXED:
	case CC_CRUISE:
	case CC_UP:
	case CC_JUDGE:
		/* Some acknowledgements in a row may be lost, too. */
		bound += bound + CC_FLIGHT * flight;
		break;
	}
	return bound > least ? bound : least;
}

/* ---- states ------------------------------------------------------------------------------ */

static void cc_set_state(struct cc *c, enum cc_state state, rt_time now)
{
	if (c->state == CC_SHARED || c->state == CC_YIELD)
		c->shared_left = now;
	c->state = state;
	c->since = now;
	c->rounds = 0;
}

static void cc_enter_shared(struct cc *c, rt_time now)
{
	double flight = c->rate * cc_seconds(c->rtt_ns);
	int64_t away_ns = rt_time_since(now, c->shared_left);

	if (c->shared_left.ns != 0 && away_ns < CC_SHARED_MEMORY_NS) {
		/* It was the same queue all the time. */
		cubic_pause(&c->cubic, away_ns);
		if (c->state != CC_YIELD && c->yield_ns < CC_YIELD_MAX_NS)
			c->yield_ns *= 2;
	} else {
		/* Somebody has come: leave room, which CUBIC takes long to find. */
		flight *= CUBIC_BETA;
		cubic_init(&c->cubic, flight, flight, now);
		c->reacted_at = now;
		c->yield_ns = CC_YIELD_MIN_NS;
	}
	cc_set_state(c, CC_SHARED, now);
}

static double cc_gain(const struct cc *c)
{
	switch (c->state) {
	case CC_STARTUP:
		return c->brake >= CC_BRAKE_ACKS ? 1 : CC_STARTUP_GAIN;
	case CC_DRAIN:
		return CC_DRAIN_GAIN;
	case CC_UP:
		return c->up_gain;
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

/* A queue that is not the least one any more: what is under way will fill it further. */
static bool cc_queued(const struct cc *c, int64_t rtt_ns)
{
	int64_t queue_ns = rtt_ns - c->base_ns;

	return queue_ns > cc_queue_bound(c) && queue_ns > c->base_ns / 4;
}

/*
 * Startup ends when more does not come out: three times, or once and it queues up. At the
 * first sign of a queue it stops to grow, for a round in which to see what comes out.
 */
static void cc_startup_round(struct cc *c, rt_time now)
{
	if (c->brake >= CC_BRAKE_ACKS) {
		if (c->braked++ > 0)
			cc_set_state(c, CC_DRAIN, now);
		return;
	}
	if (c->rate >= 1.25 * c->full) {
		c->full = c->rate;
		c->full_rounds = 0;
		return;
	}
	if (c->limited_before || c->round.limited)
		return;
	c->full_rounds++;
	if (c->full_rounds >= 3 || cc_queued(c, c->round.rtt_low))
		cc_set_state(c, CC_DRAIN, now);
}

static void cc_startup_ack(struct cc *c, const struct cc_ack *a)
{
	if (c->brake >= CC_BRAKE_ACKS)
		return;
	c->brake = cc_queued(c, a->rtt_ns) ? c->brake + 1 : 0;
}

static void cc_cruise_round(struct cc *c, rt_time now)
{
	int64_t wait_ns = c->wait > CC_WAIT_MAX ? CC_WAIT_LOSS_NS : CC_WAIT_NS;

	if (c->rounds > 1 && cc_round_queue(c) > cc_queue_bound(c)) {
		cc_set_state(c, CC_DOWN, now);
	} else if (c->rounds >= c->wait || rt_time_since(now, c->since) >= wait_ns) {
		c->up_gain = CC_UP_GAIN;
		c->up_from = c->rate;
		cc_set_state(c, CC_UP, now);
	}
}

/* More was offered in the round before: did it come out? */
static void cc_judge_round(struct cc *c, bool excess, rt_time now)
{
	if (c->rate > c->up_from * 1.1 && cc_round_queue(c) <= cc_queue_bound(c)) {
		c->wait = CC_WAIT_MIN;
		c->up_from = c->rate;
		c->up_gain = c->up_gain * 1.25 < CC_UP_GAIN_MAX ? c->up_gain * 1.25
								: CC_UP_GAIN_MAX;
		cc_set_state(c, CC_UP, now);
		return;
	}
	/* Nothing was asked for, so nothing was learnt. */
	if (!c->limited_before && c->rate < c->up_from * 1.1) {
		unsigned max = excess ? CC_WAIT_LOSS_MAX : CC_WAIT_MAX;

		if (c->wait < max)
			c->wait *= 2;
	}
	cc_set_state(c, CC_DOWN, now);
}

static void cc_down_round(struct cc *c, rt_time now)
{
	if (cc_round_queue(c) <= cc_queue_bound(c) / 2)
		cc_set_state(c, CC_CRUISE, now);
	else if (c->rounds >= CC_DOWN_ROUNDS)
		cc_enter_shared(c, now);
}

static void cc_yield_round(struct cc *c, rt_time now)
{
	if (c->rounds < 2)
		return;
	if (cc_round_queue(c) <= cc_queue_bound(c))
		cc_set_state(c, CC_CRUISE, now);
	else if (c->rounds >= CC_YIELD_ROUNDS)
		cc_enter_shared(c, now);
}

static void cc_shared_round(struct cc *c, rt_time now)
{
	/*
	 * When the clock shows a multiple of it: the tunnels of one host yield together,
	 * and see that they are alone.
	 */
	if (now.ns / c->yield_ns > c->since.ns / c->yield_ns) {
		if (c->yield_ns < CC_YIELD_MAX_NS)
			c->yield_ns *= 2;
		cc_set_state(c, CC_YIELD, now);
	} else if (c->limited_before || c->round.limited) {
		cubic_pause(&c->cubic, rt_time_since(now, c->round.began));
	} else {
		cubic_grow(&c->cubic, c->round.rtt_low, now);
	}
}

/* ---- the guard over a fixed rate --------------------------------------------------------- */

static void cc_guard_fixed(struct cc *c, double offered, rt_time now)
{
	int64_t bound_ns = c->base_ns / 4 > CC_GUARD_NS ? c->base_ns / 4 : CC_GUARD_NS;

	/* A queue while we hardly send is not ours. */
	if (cc_round_queue(c) <= bound_ns || offered < c->cap / 2) {
		c->guard_since = now;
		return;
	}
	if (rt_time_since(now, c->guard_since) < CC_GUARD_AFTER_NS)
		return;
	c->guarded = true;
	c->guard_trips++;
	c->guard_since = now;
	/* What is passed now is what counts, not what was when there was more. */
	for (unsigned i = 0; i < CC_FILTER; i++)
		if (i != c->newest)
			c->samples[i] = 0;
	c->rate = c->samples[c->newest];
	cc_set_state(c, CC_DOWN, now);
}

/* The line takes the configured rate again. */
static void cc_guard_clear(struct cc *c, rt_time now)
{
	if (c->rate < 0.95 * c->cap || c->state == CC_SHARED || c->state == CC_YIELD) {
		c->guard_since = now;
		return;
	}
	if (rt_time_since(now, c->guard_since) < CC_GUARD_CLEAR_NS)
		return;
	c->guarded = false;
	c->guard_since = now;
	cc_set_state(c, CC_FIXED, now);
}

/* ---- rounds -------------------------------------------------------------------------------- */

static void cc_round_begin(struct cc *c, const struct cc_ack *a)
{
	c->limited_before = c->round.limited;
	c->round = (struct cc_round){
		.began = a->arrived,
		.sent_at = a->sent_at,
		.sent = a->sent,
		.came = a->came,
		.mark = c->sent,
		.rtt_low = a->rtt_ns,
		.rtt_high = a->rtt_ns,
	};
	c->from_sent = a->sent;
	c->from_came = a->came;
}

/* How the line passed what arrived in this round. */
static void cc_round_sample(struct cc *c, const struct cc_ack *a)
{
	int64_t sent_ns = rt_time_since(a->sent_at, c->round.sent_at);
	int64_t passed_ns = rt_time_since(a->arrived, c->round.began);
	double sent = (double)(a->sent - c->round.sent);
	double came = a->came - c->round.came;
	double passed = came / (1 - cc_loss(c)), rate;
	bool queued = cc_round_queue(c) > cc_queue_bound(c) / 2;
	bool limited = c->round.limited || c->limited_before;
	bool quiet = c->round.rtt_high - c->base_ns <= cc_queue_bound(c);

	/* Chance, and runs of losses, are no less rate. */
	if (passed > sent || (quiet && !cc_excess(c, sent, sent - came)))
		passed = sent;
	rate = passed / cc_seconds(passed_ns > sent_ns ? passed_ns : sent_ns);
	cc_own_loss(c, sent, sent - came, sent / cc_seconds(sent_ns > 0 ? sent_ns : 1));
	/*
	 * The maximum is given up only where the line held something back: what was not
	 * offered, or was offered late, says nothing.
	 */
	if (rate > c->rate || (!limited && (queued || passed < 0.95 * sent)))
		cc_sample_add(c, rate);
}

static void cc_round_end(struct cc *c, const struct cc_ack *a)
{
	double sent = (double)(a->sent - c->round.sent);
	int64_t sent_ns = rt_time_since(a->sent_at, c->round.sent_at);
	bool excess = cc_excess(c, sent, sent - (a->came - c->round.came));
	rt_time now = a->arrived;

	cc_round_sample(c, a);
	c->rounds++;
	/* Making way begins when what was too much is no longer under way. */
	if ((c->state == CC_DOWN || c->state == CC_DRAIN || c->state == CC_YIELD) &&
	    (double)(a->sent_all - a->sent) > 1.5 * cc_bound(c))
		c->rounds = 0;
	switch (c->state) {
	case CC_FIXED:
		cc_guard_fixed(c, sent / cc_seconds(sent_ns > 0 ? sent_ns : 1), now);
		break;
	case CC_STARTUP:
		cc_startup_round(c, now);
		break;
	case CC_CRUISE:
		cc_cruise_round(c, now);
		break;
	case CC_UP:
		cc_set_state(c, CC_JUDGE, now);
		break;
	case CC_JUDGE:
		cc_judge_round(c, excess, now);
		break;
	case CC_DRAIN:
	case CC_DOWN:
		cc_down_round(c, now);
		break;
	case CC_SHARED:
		cc_shared_round(c, now);
		break;
	case CC_YIELD:
		cc_yield_round(c, now);
		break;
	}
	if (c->guarded)
		cc_guard_clear(c, now);
	cc_round_begin(c, a);
}

/* Loss beyond the line's own while there is a queue: once per round trip. */
static void cc_react(struct cc *c, const struct cc_ack *a)
{
	double sent = (double)(a->sent - c->from_sent);
	double lost = sent - (a->came - c->from_came);

	if (a->sent <= c->reacted)
		return;
	/* What was sent before the reaction was lost to the same congestion. */
	if (c->from_sent < c->reacted) {
		c->from_sent = a->sent;
		c->from_came = a->came;
		return;
	}
	if (c->round.rtt_high - c->base_ns <= cc_queue_bound(c) ||
	    !cc_excess(c, sent, lost))
		return;
	if (c->congested_to < c->from_sent)
		c->congested_from = c->from_sent;
	c->congested_to = c->reacted = c->sent;
	if (c->state != CC_SHARED)
		return;
	/*
	 * Who overflows the queue again so soon after we have made way for him does not
	 * make way himself: BBR, each time it probes. Only if much is lost we do again.
	 */
	if (rt_time_since(a->arrived, c->reacted_at) < CC_REACT_ROUNDS * a->rtt_ns &&
	    lost < CC_REACT_LOSS * sent)
		return;
	c->reacted_at = a->arrived;
	cubic_lose(&c->cubic, a->arrived);
}

static bool cc_round_over(const struct cc *c, const struct cc_ack *a)
{
	int64_t took_ns = rt_time_since(a->arrived, c->round.began);

	if (a->sent <= c->round.mark || took_ns < CC_ROUND_MIN_NS)
		return false;
	return a->sent - c->round.sent >= CC_ROUND_MIN || took_ns >= CC_ROUND_MAX_NS;
}

void cc_acked(struct cc *c, const struct cc_ack *a)
{
	struct cc_round *r = &c->round;

	c->sent = a->sent_all;
	c->rtt_ns = a->rtt_ns;
	cc_base(c, a->rtt_ns, a->arrived);
	if (r->sent == 0) {
		cc_round_begin(c, a);
		return;
	}
	if (a->rtt_ns < r->rtt_low)
		r->rtt_low = a->rtt_ns;
	if (a->rtt_ns > r->rtt_high)
		r->rtt_high = a->rtt_ns;
	cc_react(c, a);
	if (c->state == CC_STARTUP)
		cc_startup_ack(c, a);
	if (cc_round_over(c, a))
		cc_round_end(c, a);
}

/* ---- what follows ---------------------------------------------------------------------------- */

bool cc_open(const struct cc *c, uint64_t in_flight)
{
	return c->state == CC_FIXED || (double)in_flight < cc_bound(c);
}

uint64_t cc_rate_bps(const struct cc *c)
{
	double rate = cc_gain(c) * c->rate, bps;

	if (c->state == CC_FIXED)
		rate = c->cap;
	else if (c->state == CC_SHARED)
		rate = CC_SHARED_PACE * c->cubic.window / cc_seconds(c->rtt_ns);
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

bool cc_congested(const struct cc *c, uint64_t from, uint64_t to)
{
	return from < c->congested_to && to > c->congested_from;
}

int64_t cc_queue_ns(const struct cc *c)
{
	return c->base_ns < 0 ? 0 : c->rtt_ns - c->base_ns;
}

void cc_set(struct cc *c, const struct cc_params *p, rt_time now)
{
	double per_second = (double)p->rate_bps / (8.0 * p->datagram);

	rt_assert(p->datagram > 0);
	c->datagram_bits = 8.0 * p->datagram;
	c->automatic = p->automatic;
	c->guarded = false;
	c->guard_since = now;
	c->cap = p->automatic ? 0 : per_second;
	c->first =
		p->rate_bps > 0 ? per_second : (double)CC_RATE_FIRST / c->datagram_bits;
	c->full = 0;
	c->full_rounds = c->brake = c->braked = 0;
	c->wait = CC_WAIT_MIN;
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
	*c = (struct cc){
		.base_ns = -1, .base_next_ns = -1, .rtt_ns = RT_MS, .loss_runs = 1
	};
	cc_set(c, p, now);
}
