// SPDX-License-Identifier: BSD-3-Clause
/*
 * The promise of a tunnel: whatever the line does short of losing everything, each frame
 * comes out whole, once and in order; and a frame that counts as on the wire is rebuilt
 * at the other end when the sender dies at that very moment, as far as the line keeps to
 * the loss that was assumed.
 */
#include <errno.h>

#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

/* Frames of all sizes in a steady stream, both ways, until all are through. */
static void run_stream(struct pair *p, unsigned frames, int64_t every_ns)
{
	uint64_t submitted[2] = { 0, 0 };
	int64_t begin_ns = p->now_ns;

	while (submitted[0] < frames) {
		for (int end = 0; end < 2; end++) {
			size_t len = 1 + pair_below(&p->rng, end == 0 ? 12000 : 200);

			if (!pair_submit(p, end, len))
				continue;
			submitted[end]++;
			if (pair_chance(&p->rng, 0.3))
				tunnel_expedite(p->end[end], pair_now(p));
		}
		pair_run(p, every_ns);
	}
	for (int end = 0; end < 2; end++)
		if (!pair_run_taken(p, !end, submitted[end], 600 * RT_S))
			fail_msg("seed %llu: %llu of %llu frames",
				 (unsigned long long)p->seed,
				 (unsigned long long)p->taken[!end],
				 (unsigned long long)submitted[end]);
	if (getenv("PAIR_VERBOSE") != NULL) {
		struct tunnel_stats s;

		tunnel_stats(p->end[0], &s);
		printf("seed %llu: %.3f s, data %llu repairs %llu again %llu acks %llu "
		       "deficits %llu loss %.4f rtt %.3f ms\n",
		       (unsigned long long)p->seed, (double)(p->now_ns - begin_ns) / 1e9,
		       (unsigned long long)s.sent_data,
		       (unsigned long long)s.sent_repairs,
		       (unsigned long long)s.retransmitted,
		       (unsigned long long)s.sent_acks, (unsigned long long)s.deficits,
		       s.loss, (double)s.rtt_ns / 1e6);
	}
	/* And the sender learns of it. */
	pair_run(p, 10 * RT_S);
	assert_int_equal(tunnel_received(p->end[0]), submitted[0]);
	assert_int_equal(tunnel_onwire(p->end[0], pair_now(p)), submitted[0]);
}

static void stream_on(const struct pair_line *line, uint64_t seed, unsigned frames)
{
	struct tunnel_params params = pair_params();
	struct pair p;

	pair_init(&p, &params, line, seed);
	run_stream(&p, frames, 500 * RT_US);
	pair_release(&p);
}

static void frames_come_out_in_order_without_loss(void **state)
{
	struct pair_line line = pair_line(25 * RT_MS, 0);

	stream_on(&line, 1, 2000);
}

static void frames_come_out_at_every_loss(void **state)
{
	static const double losses[] = { 0.001, 0.01, 0.05, 0.2, 0.5 };

	for (unsigned i = 0; i < RT_ARRAY_LEN(losses); i++) {
		struct pair_line line = pair_line(25 * RT_MS, losses[i]);

		stream_on(&line, 10 + i, 500);
	}
}

static void frames_come_out_of_a_bad_line(void **state)
{
	for (uint64_t seed = 20; seed < 28; seed++) {
		struct pair_line line = pair_line(10 * RT_MS, 0.05);

		line.burst = 1 + (double)(seed % 4) * 4;
		line.jitter_ns = 3 * RT_MS;
		line.again = 0.05;
		line.corrupt = 0.02;
		line.local = seed % 2 ? 0.05 : 0;
		stream_on(&line, seed, 400);
	}
}

/* An isolated block with its record fills three symbols and leaves at once with its m. */
static void lone_write_leaves_at_once(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_stats before, after;
	struct pair p;

	pair_init(&p, &params, &line, 40);
	assert_true(pair_submit(&p, 0, 100));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_true(tunnel_proven(p.end[0], pair_now(&p)));
	tunnel_stats(p.end[0], &before);
	assert_true(pair_submit(&p, 0, 4096 + 123));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 0);
	tunnel_stats(p.end[0], &after);
	assert_int_equal(after.sent_data - before.sent_data, 3);
	assert_int_equal(after.sent_repairs - before.sent_repairs, 3);
	/* Not before the driver's word, and with it at once. */
	pair_run(&p, 19 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	pair_run(&p, 2 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_int_equal(tunnel_received(p.end[0]), 1);
	pair_release(&p);
}

/*
 * A line that is cut under load swallows all that credit allows. When it heals, that is
 * sent again at the line's rate: not once per round trip, and not several times over.
 */
static void a_cut_is_made_good_at_the_lines_rate(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0.01);
	struct tunnel_stats before, after;
	int64_t began_ns, took_ns;
	uint64_t frames;
	struct pair p;

	pair_init(&p, &params, &line, 50);
	(void)pair_submit(&p, 0, 1000);
	pair_run(&p, RT_S);
	p.line[0].cut = p.line[1].cut = true;
	while (pair_submit(&p, 0, 60000))
		;
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 3 * RT_S);
	frames = tunnel_submitted(p.end[0]);
	tunnel_stats(p.end[0], &before);
	p.line[0].cut = p.line[1].cut = false;
	began_ns = p.now_ns;
	assert_true(pair_run_taken(&p, 1, frames, 10 * RT_S));
	took_ns = p.now_ns - began_ns;
	tunnel_stats(p.end[0], &after);
	if (getenv("PAIR_VERBOSE") != NULL)
		printf("8 MB after a cut: %.3f s, data %llu again %llu repairs %llu\n",
		       (double)took_ns / 1e9,
		       (unsigned long long)(after.sent_data - before.sent_data),
		       (unsigned long long)(after.retransmitted - before.retransmitted),
		       (unsigned long long)(after.sent_repairs - before.sent_repairs));
	/* 8 MB take 0.35 s at 200 Mbit/s. */
	assert_true(took_ns < RT_S);
	assert_true(after.sent_data - before.sent_data < 8000);
	pair_release(&p);
}

/*
 * All that credit allows is there and acknowledged, and the one acknowledgement with new
 * credit is lost: who has more to send asks, and does not wait as an idle end does. Nobody
 * waits for these writes, so nothing else asks.
 */
static void lost_credit_is_asked_for(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct pair p;

	params.receive_memory = 256 << 10;
	pair_init(&p, &params, &line, 51);
	p.not_read[1] = true;
	while (tunnel_submitted(p.end[0]) < 400)
		if (!pair_submit(&p, 0, 10000))
			pair_run(&p, RT_MS);
	pair_run(&p, RT_S);
	assert_int_equal(p.end[0]->tx.sent, p.end[0]->peer.credit);
	assert_int_equal(p.end[0]->tx.confirmed, p.end[0]->tx.sent);
	p.line[1].cut = true;
	p.not_read[1] = false;
	pair_take(&p, 1);
	pair_run(&p, 30 * RT_MS);
	p.line[1].cut = false;
	assert_true(p.taken[1] < 400);
	assert_true(pair_run_taken(&p, 1, 399, params.timeout_ns / 8));
	pair_release(&p);
}

/* ---- swarm: each seed draws its own tunnels and line ------------------------------- */

/* Any code, policy and goal, also such as nobody would choose. */
static struct tunnel_fec swarm_fec(struct pair_rng *rng)
{
	static const double shares[] = { 0, 0.03, 0.125, 0.5 };
	static const double safeties[] = { 1e-9, 1e-6, 1e-2, 1 };
	struct tunnel_fec f =
		params_fec((unsigned)pair_below(rng, 9), shares[pair_below(rng, 4)]);

	f.code.window = (uint16_t)(1 + pair_below(rng, pair_chance(rng, 0.5) ? 16 : 300));
	if (pair_chance(rng, 0.4)) {
		f.code.code = (enum fec_code)pair_below(rng, FEC_WINDOW);
		f.code.r = (uint16_t)(1 + pair_below(rng, 16));
		f.code.c = (uint16_t)pair_below(rng, 5);
		f.code.delayed = pair_chance(rng, 0.3);
		for (unsigned i = 0; i < 5; i++)
			f.code.interleave[i] = (uint16_t)(1 + pair_below(rng, 40));
	} else if (pair_chance(rng, 0.5)) {
		f.code.window = 0;
	}
	f.repairs_fixed = pair_chance(rng, 0.5);
	f.goal.safety = safeties[pair_below(rng, 4)];
	f.goal.assume.burst = pair_chance(rng, 0.3) ? 3 : 1;
	f.policy = pair_chance(rng, 0.3) ? TUNNEL_PAPER : TUNNEL_SAFETY;
	f.on_demand = pair_chance(rng, 0.8);
	return f;
}

static struct tunnel_params swarm_params(struct pair_rng *rng)
{
	static const uint16_t sizes[] = { 64, 256, 1408 };
	struct tunnel_params p = pair_params();

	p.symbol_size = sizes[pair_below(rng, 3)];
	p.fec = swarm_fec(rng);
	p.rate_bps = UINT64_C(1000000) << pair_below(rng, 10);
	p.frame_max = 1u << (8 + pair_below(rng, 9));
	p.send_memory = p.frame_max * (1 + pair_below(rng, 8));
	p.receive_memory = p.frame_max * (1 + pair_below(rng, 8));
	p.evidence = (enum tunnel_evidence)pair_below(rng, 3);
	return p;
}

static struct pair_line swarm_line(struct pair_rng *rng)
{
	static const double losses[] = { 0, 0.01, 0.1, 0.3 };
	struct pair_line l = pair_line((int64_t)pair_below(rng, 100 * RT_MS),
				       losses[pair_below(rng, 4)]);

	if (pair_chance(rng, 0.3))
		l.burst = 1 + (double)pair_below(rng, 20);
	if (pair_chance(rng, 0.3))
		l.jitter_ns = 1 + (int64_t)pair_below(rng, 20 * RT_MS);
	if (pair_chance(rng, 0.2))
		l.again = 0.1;
	if (pair_chance(rng, 0.2))
		l.corrupt = 0.1;
	if (pair_chance(rng, 0.2))
		l.local = 0.2;
	l.queue_ns = (int64_t)pair_below(rng, pair_chance(rng, 0.2) ? 50 * RT_MS
								    : 200 * RT_US);
	l.no_timestamps = pair_chance(rng, 0.1);
	return l;
}

/* Cut, stop reading, heal, at random moments, under random load. */
static void swarm_disturb(struct pair *p, bool faults)
{
	for (int end = 0; end < 2; end++) {
		p->line[end].cut = faults && pair_chance(&p->rng, 0.15);
		p->not_read[end] = faults && pair_chance(&p->rng, 0.1);
		pair_take(p, end);
	}
}

static void swarm_print(const struct pair *p)
{
	const struct tunnel_params *q = &p->params[0];
	struct tunnel_stats s;

	if (getenv("PAIR_VERBOSE") == NULL)
		return;
	tunnel_stats(p->end[0], &s);
	printf("seed %llu: size %u m %u W %u share %.2f code %d rate %llu level %d loss "
	       "%.2f/%.0f local %.2f stamps %d: symbols %llu data %llu repairs %llu "
	       "again "
	       "%llu probes+acks %llu\n",
	       (unsigned long long)p->seed, q->symbol_size, q->fec.repairs,
	       q->fec.code.window, q->fec.goal.share, (int)q->fec.code.code,
	       (unsigned long long)q->rate_bps, (int)q->evidence, p->line[0].loss,
	       p->line[0].burst, p->line[0].local, !p->line[0].no_timestamps,
	       (unsigned long long)(s.sent_data - s.retransmitted),
	       (unsigned long long)s.sent_data, (unsigned long long)s.sent_repairs,
	       (unsigned long long)s.retransmitted, (unsigned long long)s.sent_acks);
}

/* Another code, policy, goal while it runs: what was on the wire stays so. */
static void swarm_change(struct pair *p, int end)
{
	struct tunnel_fec fec = swarm_fec(&p->rng);
	uint64_t before = tunnel_onwire(p->end[end], pair_now(p));

	assert_int_equal(tunnel_set_fec(p->end[end], &fec, pair_now(p)), 0);
	assert_true(tunnel_onwire(p->end[end], pair_now(p)) >= before);
	p->params[end].fec = fec;
}

static void swarm_one(uint64_t seed)
{
	struct pair_rng rng = { seed * 1000003 };
	struct tunnel_params params = swarm_params(&rng);
	struct pair_line line = swarm_line(&rng);
	bool faults = pair_chance(&rng, 0.5);
	struct pair p;

	pair_init(&p, &params, &line, seed);
	p.line[1] = swarm_line(&rng);
	for (unsigned i = 0; i < 60; i++) {
		int end = pair_chance(&rng, 0.2);
		unsigned n = (unsigned)pair_below(&rng, 20);

		while (n-- > 0 &&
		       pair_submit(&p, end, 1 + pair_below(&rng, params.frame_max)))
			if (pair_chance(&rng, 0.2))
				tunnel_expedite(p.end[end], pair_now(&p));
		if (i % 6 == 0)
			swarm_disturb(&p, faults);
		if (pair_chance(&rng, 0.05))
			swarm_change(&p, end);
		assert_true(tunnel_onwire(p.end[end], pair_now(&p)) >=
			    tunnel_received(p.end[end]));
		pair_run(&p, (int64_t)pair_below(&rng, 20 * RT_MS));
	}
	swarm_disturb(&p, false);
	for (int end = 0; end < 2; end++) {
		uint64_t all = tunnel_submitted(p.end[end]);

		if (!pair_run_taken(&p, !end, all, 1000 * RT_S))
			fail_msg("seed %llu: end %d: %llu of %llu",
				 (unsigned long long)seed, end,
				 (unsigned long long)p.taken[!end],
				 (unsigned long long)all);
		tunnel_expedite(p.end[end], pair_now(&p));
		pair_run(&p, 60 * RT_S);
		assert_int_equal(tunnel_received(p.end[end]), all);
	}
	swarm_print(&p);
	pair_release(&p);
}

static void swarm_of_tunnels(void **state)
{
	const char *runs = getenv("PAIR_RUNS"), *first = getenv("PAIR_SEED");
	uint64_t seed = first != NULL ? strtoull(first, NULL, 0) : 1;
	uint64_t end = seed + (runs != NULL ? strtoull(runs, NULL, 0) : 25);

	for (; seed < end; seed++)
		swarm_one(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_in_order_without_loss),
		cmocka_unit_test(frames_come_out_at_every_loss),
		cmocka_unit_test(frames_come_out_of_a_bad_line),
		cmocka_unit_test(lone_write_leaves_at_once),
		cmocka_unit_test(a_cut_is_made_good_at_the_lines_rate),
		cmocka_unit_test(lost_credit_is_asked_for),
		cmocka_unit_test(swarm_of_tunnels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
