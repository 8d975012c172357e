// SPDX-License-Identifier: BSD-3-Clause
/*
 * What `rate = "auto"` promises, over a simulated bottleneck: the line is full whatever it
 * loses by itself, its queue is short, a change of the line is followed, others on it get
 * their part.
 */
#include "tests/unit/tunnel/bottleneck.h"

/* ---- alone --------------------------------------------------------------------------- */

struct line {
	double mbps;
	int64_t rtt_ms;
	double bdps, loss, burst;
};

/* What fills within `within_ns` of the start stays full; *queue_ms is the mean after. */
static double alone(const struct line *l, int64_t within_ns, double *queue_ms)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, l->mbps, l->rtt_ms, l->bdps, l->loss);
	if (l->burst > 1)
		b.burst = l->burst;
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, within_ns);
	bn_measure(&b, 20 * RT_S, share);
	*queue_ms = bn_queue_ms(&b);
	if (bn_verbose())
		printf("%6.1f Mbit/s %3lld ms buffer %.2f loss %.3f burst %.0f: "
		       "%.3f of the line, queue %.1f ms (most %.1f)\n",
		       l->mbps, (long long)l->rtt_ms, l->bdps, l->loss, l->burst,
		       share[0], *queue_ms, (double)b.queue_max_ns / 1e6);
	bn_release(&b);
	return share[0];
}

static void a_line_is_filled_whatever_it_loses(void **state)
{
	static const struct line lines[] = {
		{ 200, 50, 1, 0, 1 },	 { 200, 50, 1, 0.001, 1 },
		{ 200, 50, 1, 0.01, 1 }, { 200, 50, 1, 0.02, 1 },
		{ 200, 50, 1, 0.05, 1 }, { 200, 50, 1, 0.01, 8 },
		{ 200, 50, 1, 0.05, 8 }, { 200, 50, 0.2, 0.01, 1 },
		{ 200, 50, 4, 0.01, 1 }, { 1000, 10, 1, 0.02, 1 },
		{ 10, 100, 1, 0.01, 1 }, { 50, 200, 1, 0.02, 4 },
		{ 1000, 1, 4, 0, 1 },
	};
	double queue_ms;

	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++) {
		const struct line *l = &lines[i];
		double share = alone(l, RT_S + 20 * l->rtt_ms * RT_MS, &queue_ms);

		if (share < 0.95 * (1 - l->loss))
			fail_msg("line %u: %.3f of it", i, share);
		if (queue_ms > (double)l->rtt_ms / 10 + 2)
			fail_msg("line %u: queue of %.1f ms", i, queue_ms);
	}
}

/* Lines of all sorts; each must be nearly full, and its queue far from it. */
static void lines_of_all_sorts_are_filled(void **state)
{
	uint64_t seed = getenv("CC_SEED") ? strtoull(getenv("CC_SEED"), NULL, 0) : 1;
	struct bn draws = { .rng = seed };

	for (unsigned i = 0; i < 40; i++) {
		struct line l = {
			.mbps = pow(10, 0.3 + (double)(bn_draw(&draws) % 220) / 100),
			.rtt_ms = 2 + (int64_t)(bn_draw(&draws) % 150),
			.bdps = 0.3 + (double)(bn_draw(&draws) % 30) / 10,
			.loss = (double)(bn_draw(&draws) % 6) / 100,
			.burst = 1 + (double)(bn_draw(&draws) % 8),
		};
		double bdp_ms = l.mbps * (double)l.rtt_ms / 12, queue_ms, share;

		share = alone(&l, 3 * RT_S + 40 * l.rtt_ms * RT_MS, &queue_ms);
		/* Few datagrams in flight: each one is much. */
		if (share < (bdp_ms < 20 ? 0.7 : 0.85) * (1 - l.loss))
			fail_msg("seed %llu, line %u: %.3f of it",
				 (unsigned long long)seed, i, share);
		if (queue_ms > (double)l.rtt_ms / 2 + 8 * 12 / l.mbps + 4)
			fail_msg("seed %llu, line %u: queue of %.1f ms",
				 (unsigned long long)seed, i, queue_ms);
	}
}

/* Startup takes about a round trip per doubling and does not overrun the queue. */
static void startup_is_quick_and_does_not_overrun(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 200, 50, 1, 0);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 600 * RT_MS);
	bn_measure(&b, 400 * RT_MS, share);
	assert_true(share[0] > 0.8);
	assert_int_equal(b.drops, 0);
	bn_release(&b);
}

static void a_change_of_the_line_is_followed(void **state)
{
	static const double factors[] = { 0.5, 2, 4, 0.25, 3 };
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 50, 1, 0.01);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	for (unsigned i = 0; i < RT_ARRAY_LEN(factors); i++) {
		b.rate_bps *= factors[i];
		bn_run(&b, 5 * RT_S);
		bn_measure(&b, 5 * RT_S, share);
		if (bn_verbose())
			printf("line times %.2f: %.3f of it, queue %.1f ms\n", factors[i],
			       share[0], bn_queue_ms(&b));
		assert_true(share[0] > 0.9);
		assert_true(bn_queue_ms(&b) < 15);
	}
	bn_release(&b);
}

/* A longer way is no queue: within a minute that is understood. */
static void a_longer_route_is_understood(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 20, 2, 0.01);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	b.delay_ns = 40 * RT_MS;
	bn_run(&b, 75 * RT_S);
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.9);
	assert_in_range(b.flow[0].cc.path.base_ns, 79 * RT_MS, 85 * RT_MS);
	bn_release(&b);
}

/* Who has little to send learns nothing from what that little takes. */
static void little_to_send_does_not_lower_the_estimate(void **state)
{
	double share[BN_FLOWS], before;
	struct bn_flow *f;
	struct bn b;

	bn_init(&b, 200, 50, 1, 0.01);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	f = &b.flow[0];
	before = f->cc.path.rate;
	f->offered = 500;
	f->allowed_ns = b.now_ns;
	bn_run(&b, 60 * RT_S);
	assert_true(f->cc.path.rate > 0.97 * before);
	f->offered = 0;
	bn_run(&b, 100 * RT_MS);
	bn_measure(&b, RT_S, share);
	assert_true(share[0] > 0.9);
	bn_release(&b);
}

/* And who never had more is not held to it either: rate and window leave room. */
static void who_always_had_little_is_not_held_to_it(void **state)
{
	struct cc_params params = bn_automatic;
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 200, 50, 1, 0);
	bn_start(&b, 0, BN_OURS, &params);
	b.flow[0].offered = 100;
	bn_run(&b, 30 * RT_S);
	assert_true(cc_rate_bps(&b.flow[0].cc) >= CC_RATE_FIRST);
	assert_true(cc_open(&b.flow[0].cc, 31));
	b.flow[0].offered = 0;
	bn_run(&b, RT_S);
	bn_measure(&b, RT_S, share);
	assert_true(share[0] > 0.9);
	bn_release(&b);
}

/* A host that is busy now and then costs what its lateness costs, and no more. */
static void late_wakeups_do_not_ruin_it(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 30, 1, 0.01);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	b.flow[0].late_ns = RT_MS;
	bn_run(&b, 5 * RT_S);
	bn_measure(&b, 20 * RT_S, share);
	if (bn_verbose())
		printf("wakeups up to 1 ms late: %.3f\n", share[0]);
	assert_true(share[0] > 0.9);
	bn_release(&b);
}

/* ---- with others ---------------------------------------------------------------------- */

static const char *const kinds[] = { "ours", "reno", "cubic" };

/* Ours was there first and full; then another one comes. Over a minute, after 20 s. */
static void shared(const struct line *l, enum bn_kind other, double *share)
{
	struct bn b;

	bn_init(&b, l->mbps, l->rtt_ms, l->bdps, l->loss);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	bn_start(&b, 1, other, &bn_automatic);
	bn_run(&b, 20 * RT_S);
	bn_measure(&b, 60 * RT_S, share);
	if (bn_verbose())
		printf("%6.1f Mbit/s %3lld ms buffer %.2f: ours %.2f, %s %.2f, "
		       "queue %.1f ms\n",
		       l->mbps, (long long)l->rtt_ms, l->bdps, share[0], kinds[other],
		       share[1], bn_queue_ms(&b));
	/* Two of ours see that they are alone, and empty the queue. */
	if (other == BN_OURS)
		assert_true(bn_queue_ms(&b) < (double)l->rtt_ms / 4 + 2);
	bn_release(&b);
}

static void a_line_is_shared(void **state)
{
	static const struct line lines[] = {
		{ 200, 50, 1, 0, 1 }, { 50, 30, 1, 0, 1 },    { 20, 100, 1, 0, 1 },
		{ 500, 10, 1, 0, 1 }, { 100, 50, 0.5, 0, 1 }, { 100, 50, 2, 0, 1 },
	};
	double share[BN_FLOWS];

	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++)
		for (enum bn_kind k = BN_OURS; k <= BN_CUBIC; k++) {
			shared(&lines[i], k, share);
			/* A third of the fair half. */
			if (share[0] < 0.5 / 3 || share[1] < 0.5 / 3)
				fail_msg("line %u, %s: %.3f and %.3f", i, kinds[k],
					 share[0], share[1]);
			if (share[0] + share[1] < 0.9)
				fail_msg("line %u, %s: not full", i, kinds[k]);
			if (k == BN_OURS && (share[0] < 0.35 || share[1] < 0.35))
				fail_msg("line %u: not fair among us", i);
		}
}

/*
 * Of two of ours on a slow and lossy line none is held down. In a queue that is always full
 * the drops fall on one of them for long; when both have emptied it, that must not go on.
 */
static void a_slow_line_is_shared_among_us(void **state)
{
	static const double mbps[] = { 4, 5, 6, 8 }, bdps[] = { 1.5, 2.5, 3.5 };
	static const int64_t rtts_ms[] = { 20, 38, 52, 66 };
	static const double loss = 0.05;

	for (unsigned i = 0; i < 48; i++) {
		struct line l = { .mbps = mbps[i % 4],
				  .rtt_ms = rtts_ms[i / 4 % 4],
				  .bdps = bdps[i / 16] };
		double share[BN_FLOWS];
		struct bn b;

		bn_init(&b, l.mbps, l.rtt_ms, l.bdps, loss);
		b.rng = i + 1;
		bn_start(&b, 0, BN_OURS, &bn_automatic);
		bn_run(&b, 3 * RT_S);
		bn_start(&b, 1, BN_OURS, &bn_automatic);
		bn_run(&b, 20 * RT_S + 100 * l.rtt_ms * RT_MS);
		bn_measure(&b, 20 * RT_S, share);
		if (bn_verbose())
			printf("%6.1f Mbit/s %3lld ms buffer %.2f loss %.3f: ours %.3f, "
			       "ours %.3f, queue %.1f ms\n",
			       l.mbps, (long long)l.rtt_ms, l.bdps, loss, share[0],
			       share[1], bn_queue_ms(&b));
		if (share[0] < 0.25 * (1 - loss) || share[1] < 0.25 * (1 - loss))
			fail_msg("line %u: %.3f and %.3f", i, share[0], share[1]);
		bn_release(&b);
	}
}

/* When the other one has gone, all of the line is ours again, and the queue is short. */
static void what_the_other_one_leaves_is_taken(void **state)
{
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 50, 1, 0);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	bn_start(&b, 1, BN_CUBIC, NULL);
	bn_run(&b, 30 * RT_S);
	b.flow[1].on = false;
	bn_run(&b, 15 * RT_S);
	bn_measure(&b, 10 * RT_S, share);
	assert_true(share[0] > 0.9);
	assert_true(bn_queue_ms(&b) < 10);
	bn_release(&b);
}

/* ---- congestion and non-congestive loss ------------------------------------------------ */

/* Of the time, losses in which would be called our own. */
static double called_congested(struct bn *b, int64_t for_ns)
{
	unsigned n = 0, congested = 0;

	for (int64_t t = 0; t < for_ns; t += 10 * RT_MS, n++) {
		uint64_t from = b->flow[0].largest;

		bn_run(b, 10 * RT_MS);
		congested += cc_congested(&b->flow[0].cc, from, b->flow[0].largest);
	}
	return (double)congested / n;
}

static void the_lines_own_loss_is_not_called_congestion(void **state)
{
	static const struct line lines[] = { { 100, 50, 1, 0.01, 1 },
					     { 100, 50, 1, 0.05, 1 },
					     { 100, 50, 1, 0.02, 8 } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++) {
		double share;
		struct bn b;

		bn_init(&b, 100, 50, 1, lines[i].loss);
		b.burst = lines[i].burst > 1 ? lines[i].burst : b.burst;
		bn_start(&b, 0, BN_OURS, &bn_automatic);
		bn_run(&b, 5 * RT_S);
		share = called_congested(&b, 20 * RT_S);
		if (bn_verbose())
			printf("loss %.2f burst %.0f: congested %.3f of the time\n",
			       lines[i].loss, lines[i].burst, share);
		assert_true(share < 0.02);
		bn_release(&b);
	}
}

/*
 * Nor is congestion called non-congestive loss: who makes way in a full queue counts its
 * drops while it drains. Learned as the line's, they would hide the next ones.
 */
static void what_a_shared_queue_drops_is_not_the_lines_loss(void **state)
{
	static const struct line lines[] = { { 20, 10, 1, 0, 1 },
					     { 10, 30, 1, 0, 1 },
					     { 50, 10, 1, 0, 1 } };

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(lines); i++) {
		const struct line *l = &lines[i / 2];
		double most = 0;
		struct bn b;

		bn_init(&b, l->mbps, l->rtt_ms, l->bdps, l->loss);
		bn_start(&b, 0, BN_OURS, &bn_automatic);
		bn_run(&b, 3 * RT_S);
		bn_start(&b, 1, i % 2 ? BN_CUBIC : BN_OURS, &bn_automatic);
		for (unsigned k = 0; k < 600; k++) {
			bn_run(&b, 100 * RT_MS);
			most = fmax(most, cc_loss_share(&b.flow[0].cc.loss));
		}
		if (bn_verbose())
			printf("%6.1f Mbit/s %3lld ms beside %s: own loss at most %.4f\n",
			       l->mbps, (long long)l->rtt_ms, kinds[i % 2 ? BN_CUBIC : 0],
			       most);
		if (most > 0)
			fail_msg("line %u: %.4f", i, most);
		bn_release(&b);
	}
}

/* What is dropped by a queue that we fill is: here, by a rate that is too high. */
static void drops_of_a_full_queue_are(void **state)
{
	struct cc_params params = { .rate_bps = 100000000, .datagram = BN_DATAGRAM };
	struct bn b;

	bn_init(&b, 101, 50, 0.2, 0.01);
	bn_start(&b, 0, BN_OURS, &params);
	bn_run(&b, 5 * RT_S);
	assert_true(called_congested(&b, RT_S) < 0.05);
	b.rate_bps = 90000000;
	bn_run(&b, 200 * RT_MS);
	assert_true(called_congested(&b, 200 * RT_MS) > 0.9);
	bn_release(&b);
}

/* ---- other settings, and nonsense --------------------------------------------------------- */

/* Of the setting on a running tunnel: what is known of the line stays known. */
static void the_setting_may_change(void **state)
{
	struct cc_params fixed = { .rate_bps = 30000000, .datagram = BN_DATAGRAM };
	double share[BN_FLOWS];
	struct bn b;

	bn_init(&b, 100, 50, 1, 0);
	bn_start(&b, 0, BN_OURS, &bn_automatic);
	bn_run(&b, 5 * RT_S);
	cc_set(&b.flow[0].cc, &fixed, (rt_time){ b.now_ns });
	bn_run(&b, RT_S);
	bn_measure(&b, 5 * RT_S, share);
	assert_true(share[0] > 0.29 && share[0] < 0.31);
	/* The same rate is fewer datagrams where each has longer headers. */
	cc_set_datagram(&b.flow[0].cc, BN_DATAGRAM + 20);
	assert_int_equal(cc_rate_bps(&b.flow[0].cc), 30000000);
	assert_true(b.flow[0].cc.cap < 30000000.0 / (8 * BN_DATAGRAM));
	cc_set(&b.flow[0].cc, &bn_automatic, (rt_time){ b.now_ns });
	bn_run(&b, 2 * RT_S);
	bn_measure(&b, 5 * RT_S, share);
	assert_true(share[0] > 0.9);
	bn_release(&b);
}

/* Acknowledgements of nonsense make nonsense, but no division by it. */
static void nonsense_is_survived(void **state)
{
	struct bn draws = { .rng = 99 };

	for (unsigned run = 0; run < 200; run++) {
		struct cc_params params = { .automatic = run % 2,
					    .rate_bps = bn_draw(&draws) % 1000000000,
					    .datagram = BN_DATAGRAM };
		struct cc_ack a = { .arrived = { RT_S } };
		struct cc c;

		cc_init(&c, &params, a.arrived);
		for (unsigned i = 0; i < 500; i++) {
			a.sent_all += bn_draw(&draws) % 300;
			a.sent += bn_draw(&draws) % 200;
			a.received += (double)(bn_draw(&draws) % 300) - 50;
			a.arrived.ns += (int64_t)(bn_draw(&draws) % (20 * RT_MS));
			a.sent_at.ns = a.arrived.ns - (int64_t)(bn_draw(&draws) % RT_S);
			a.rtt_ns = 1 + (int64_t)(bn_draw(&draws) % RT_S);
			cc_acked(&c, &a);
			assert_true(cc_rate_bps(&c) <= CC_RATE_MAX);
			assert_true(isfinite(c.path.rate) && c.path.rate >= 0);
			assert_true(cc_open(&c, 0));
		}
	}
}

/* ---- events -------------------------------------------------------------------------- */

struct events {
	unsigned count, times[CC_STATES][CC_STATES];
	enum cc_state state;
};

static void events_changed(void *owner, const struct cc_event *event)
{
	struct events *e = owner;

	assert_int_equal(event->from, e->state);
	assert_true(event->from != event->to);
	assert_true(event->rate_bps > 0 && event->rate_bps <= CC_RATE_MAX);
	assert_true(event->loss >= 0 && event->loss <= CC_LOSS_MAX);
	assert_string_not_equal(cc_state_name(event->from), cc_state_name(event->to));
	e->state = event->to;
	e->count++;
	e->times[event->from][event->to]++;
}

struct probes {
	const struct bn *b;
	int64_t last_ns, longest_ns; /* without a probe, and not beside somebody else */
};

static void probes_changed(void *owner, const struct cc_event *event)
{
	struct probes *p = owner;

	if (event->to == CC_UP && p->b->now_ns - p->last_ns > p->longest_ns)
		p->longest_ns = p->b->now_ns - p->last_ns;
	if (event->to != CC_DOWN && event->to != CC_CRUISE)
		p->last_ns = p->b->now_ns;
}

/* Two of ours make way often. Who then never probes loses his part to the one who does. */
static void who_makes_way_often_probes_nevertheless(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		struct probes probes[2];
		struct bn b;

		bn_init(&b, 100, 26, 1.4, 0.01);
		b.burst = 8;
		b.rng = i + 1;
		for (int f = 0; f < 2; f++) {
			struct cc_params params = bn_automatic;

			probes[f] = (struct probes){ .b = &b, .last_ns = b.now_ns };
			params.changed = probes_changed;
			params.owner = &probes[f];
			bn_start(&b, f, BN_OURS, &params);
			bn_run(&b, 3 * RT_S);
		}
		bn_run(&b, 60 * RT_S);
		for (int f = 0; f < 2; f++) {
			int64_t since_ns = b.now_ns - probes[f].last_ns;

			if (bn_verbose())
				printf("seed %u: flow %d without a probe for %.1f s, "
				       "%.1f s at the end\n",
				       i, f, (double)probes[f].longest_ns / 1e9,
				       (double)since_ns / 1e9);
			/* 10 s of cruise, and the time in which we made way. */
			if (probes[f].longest_ns > 15 * RT_S || since_ns > 15 * RT_S)
				fail_msg("seed %u, flow %d", i, f);
		}
		bn_release(&b);
	}
}

/* Whoever reads the log sees each state that the controller was in, and why it sent less. */
static void every_change_of_state_is_an_event(void **state)
{
	struct events e = { .state = CC_STARTUP };
	struct cc_params params = bn_automatic;
	struct bn b;

	params.changed = events_changed;
	params.owner = &e;
	bn_init(&b, 100, 50, 1, 0.01);
	bn_start(&b, 0, BN_OURS, &params);
	for (unsigned i = 0; i < 6000; i++) {
		bn_run(&b, 5 * RT_MS);
		assert_int_equal(e.state, b.flow[0].cc.state);
	}
	assert_int_equal(e.times[CC_STARTUP][CC_DRAIN], 1);
	assert_int_equal(e.times[CC_DRAIN][CC_CRUISE], 1);
	assert_in_range(e.times[CC_CRUISE][CC_UP], 10, 25); /* every 2 s */
	assert_int_equal(e.times[CC_UP][CC_JUDGE],
			 e.times[CC_CRUISE][CC_UP] + e.times[CC_JUDGE][CC_UP]);
	bn_start(&b, 1, BN_CUBIC, NULL);
	for (unsigned i = 0; i < 6000; i++) {
		bn_run(&b, 5 * RT_MS);
		assert_int_equal(e.state, b.flow[0].cc.state);
	}
	assert_true(e.times[CC_DOWN][CC_SHARED] > 0);
	assert_true(e.times[CC_SHARED][CC_YIELD] > 0);
	bn_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_of_state_is_an_event),
		cmocka_unit_test(who_makes_way_often_probes_nevertheless),
		cmocka_unit_test(a_line_is_filled_whatever_it_loses),
		cmocka_unit_test(lines_of_all_sorts_are_filled),
		cmocka_unit_test(startup_is_quick_and_does_not_overrun),
		cmocka_unit_test(a_change_of_the_line_is_followed),
		cmocka_unit_test(a_longer_route_is_understood),
		cmocka_unit_test(little_to_send_does_not_lower_the_estimate),
		cmocka_unit_test(who_always_had_little_is_not_held_to_it),
		cmocka_unit_test(late_wakeups_do_not_ruin_it),
		cmocka_unit_test(a_line_is_shared),
		cmocka_unit_test(a_slow_line_is_shared_among_us),
		cmocka_unit_test(what_the_other_one_leaves_is_taken),
		cmocka_unit_test(the_lines_own_loss_is_not_called_congestion),
		cmocka_unit_test(what_a_shared_queue_drops_is_not_the_lines_loss),
		cmocka_unit_test(drops_of_a_full_queue_are),
		cmocka_unit_test(the_setting_may_change),
		cmocka_unit_test(nonsense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
