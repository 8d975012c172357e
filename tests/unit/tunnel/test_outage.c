// SPDX-License-Identifier: BSD-3-Clause
/*
 * A line that is cut for a while, or a relay that is started again, is not a line that
 * loses hundreds in a row: taken for that, no redundancy would do any more, and writes in
 * `network` would wait for the mirror for minutes. But what redundancy is there for must
 * not hide behind an outage: a burst, a fade before it, an answer that is lost.
 */
#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

#define RTT_NS (20 * RT_MS)
#define PROOF_NS (RTT_NS + 50 * RT_MS) /* as documented */

/* Redundancy follows the line. */
static void run_init(struct pair *p, double loss, uint64_t seed)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RTT_NS / 2, loss);

	params.fec.repairs_fixed = false;
	params.fec.code.window = 0;
	params.fec.goal.share = 0;
	pair_init(p, &params, &line, seed);
}

/* 32 Mbit/s in writes that wait at the gate. */
static void load(struct pair *p, int64_t for_ns)
{
	int64_t until_ns = p->now_ns + for_ns;

	while (p->now_ns < until_ns) {
		(void)pair_submit(p, 0, 4000);
		tunnel_expedite(p->end[0], pair_now(p));
		pair_run(p, RT_MS);
	}
}

static struct tunnel_stats stats(const struct pair *p)
{
	struct tunnel_stats s;

	tunnel_stats(p->end[0], &s);
	return s;
}

/* A write completes before the mirror can have said that it has it. */
static bool by_evidence(struct pair *p)
{
	uint64_t submitted;

	pair_run(p, 2 * RTT_NS);
	assert_true(pair_submit(p, 0, 4000));
	submitted = tunnel_submitted(p->end[0]);
	tunnel_expedite(p->end[0], pair_now(p));
	pair_run(p, RTT_NS / 2);
	return tunnel_onwire(p->end[0], pair_now(p)) == submitted;
}

static void cut(struct pair *p, bool both, bool on)
{
	p->line[0].cut = on;
	p->line[1].cut = both && on;
}

static void an_outage_is_no_burst(void **state)
{
	static const int64_t lengths[] = { 2 * PROOF_NS, 500 * RT_MS, 2 * RT_S };

	for (uint64_t seed = 0; seed < 12; seed++) {
		int64_t length_ns = lengths[seed % RT_ARRAY_LEN(lengths)];
		bool both = seed / 3 % 2;
		struct tunnel_stats before, after;
		uint64_t wire;
		struct pair p;

		run_init(&p, seed / 6 % 2 ? 0.01 : 0, seed);
		load(&p, RT_S);
		before = stats(&p);
		cut(&p, both, true);
		load(&p, PROOF_NS + RT_MS);
		assert_false(tunnel_proven(p.end[0], pair_now(&p)));
		wire = tunnel_onwire(p.end[0], pair_now(&p));
		load(&p, length_ns - PROOF_NS);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), wire);
		cut(&p, both, false);
		load(&p, RT_S);
		after = stats(&p);
		assert_int_equal(after.outages, 1);
		assert_true(after.loss_upper <= 1.3 * before.loss_upper);
		assert_true(after.burst_upper <= 1.3 * before.burst_upper);
		assert_false(p.end[0]->redundancy.unreachable);
		assert_true(by_evidence(&p));
		assert_true(pair_run_taken(&p, 1, tunnel_submitted(p.end[0]), 10 * RT_S));
		pair_release(&p);
	}
}

/* As many as are remembered: no more than these are under way. */
static void an_outage_of_many_thousands(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RTT_NS / 2, 0);
	struct pair p;
	int64_t until_ns;

	params.fec.repairs_fixed = false;
	params.send_memory = params.receive_memory = 64 << 20;
	params.rate_bps = UINT64_C(50000000);
	pair_init(&p, &params, &line, 1);
	load(&p, RT_S);
	cut(&p, false, true);
	until_ns = p.now_ns + 3 * RT_S / 2;
	while (p.now_ns < until_ns) {
		while (pair_submit(&p, 0, 60000) &&
		       p.end[0]->tx.closed - p.end[0]->tx.sent < 1000)
			;
		pair_run(&p, RT_MS);
	}
	cut(&p, false, false);
	load(&p, RT_S);
	assert_in_range(p.end[0]->path.missing, p.end[0]->sent.size / 2,
			p.end[0]->sent.size);
	assert_int_equal(stats(&p).outages, 1);
	assert_true(stats(&p).burst_upper < 2);
	assert_true(stats(&p).loss_upper < 0.01);
	pair_release(&p);
}

/* What the gate does not notice in time is what redundancy is for. */
static void a_burst_is_no_outage(void **state)
{
	for (uint64_t seed = 0; seed < 2; seed++) {
		struct pair p;

		run_init(&p, 0, seed);
		load(&p, RT_S);
		assert_true(stats(&p).burst_upper < 1.1);
		for (unsigned i = 0; i < 3; i++) {
			cut(&p, seed % 2, true);
			load(&p, PROOF_NS / 2 + (int64_t)pair_below(&p.rng, RTT_NS));
			cut(&p, seed % 2, false);
			load(&p, 80 * RT_MS);
		}
		assert_int_equal(stats(&p).outages, 0);
		assert_true(stats(&p).burst_upper > 60);
		pair_release(&p);
	}
}

/* The way back is cut, and this one loses as before, or more: that is its loss. */
static void lost_answers_are_no_outage(void **state)
{
	for (uint64_t seed = 0; seed < 2; seed++) {
		struct pair p;

		run_init(&p, 0, seed);
		load(&p, RT_S);
		p.line[1].cut = true;
		p.line[0].loss = 0.3;
		load(&p, RT_S);
		p.line[1].cut = false;
		p.line[0].loss = 0;
		load(&p, 100 * RT_MS);
		assert_int_equal(stats(&p).outages, 0);
		assert_true(stats(&p).loss_upper > 0.2);
		pair_release(&p);
	}
}

/* A line that fades before it is gone, and comes back slowly, has these losses. */
static void what_is_around_an_outage_counts(void **state)
{
	for (uint64_t seed = 0; seed < 2; seed++) {
		struct pair p;

		run_init(&p, 0, seed);
		load(&p, RT_S);
		p.line[0].loss = 0.3;
		load(&p, seed % 2 ? 200 * RT_MS : 0);
		cut(&p, false, true);
		load(&p, RT_S);
		cut(&p, false, false);
		load(&p, seed % 2 ? 0 : 200 * RT_MS);
		p.line[0].loss = 0;
		load(&p, 80 * RT_MS);
		assert_int_equal(stats(&p).outages, 1);
		assert_in_range(1000 * stats(&p).loss_upper, 50, 600);
		pair_release(&p);
	}
}

/* A long silence, and in its end a write that is lost as a whole: that was a burst. */
static void a_lone_write_is_no_outage(void **state)
{
	struct pair p;

	run_init(&p, 0, 1);
	pair_run(&p, 100 * RT_S);
	cut(&p, true, true);
	assert_true(pair_submit(&p, 0, 60000));
	pair_run(&p, 5 * RT_MS);
	cut(&p, true, false);
	pair_run(&p, 10 * RT_S);
	load(&p, 100 * RT_MS);
	assert_int_equal(stats(&p).outages, 0);
	assert_true(p.end[0]->redundancy.estimate.slow.lost > 30);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_outage_is_no_burst),
		cmocka_unit_test(an_outage_of_many_thousands),
		cmocka_unit_test(a_burst_is_no_outage),
		cmocka_unit_test(lost_answers_are_no_outage),
		cmocka_unit_test(what_is_around_an_outage_counts),
		cmocka_unit_test(a_lone_write_is_no_outage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
