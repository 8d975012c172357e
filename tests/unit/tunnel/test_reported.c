// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the other end says of the line is believed. A line that loses in runs is taken for
 * one, however little is sent on it and whatever of it is data; a line that reorders is not
 * taken for one that loses for long; and once the mirror has reported a deficit, nothing
 * completes that could not be decoded there.
 */
#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

#define WRITE 4000

static void reported_init(struct pair *p, uint64_t rate_bps, const struct pair_line *line,
			  uint64_t seed)
{
	struct tunnel_params params = pair_params();

	params.fec.repairs_fixed = false;
	params.fec.code.window = 0;
	params.fec.goal.share = 0;
	params.rate_bps = rate_bps;
	pair_init(p, &params, line, seed);
	p->line[1].loss = 0;
}

static void reported_write(struct pair *p)
{
	(void)pair_submit(p, 0, WRITE);
	tunnel_expedite(p->end[0], pair_now(p));
}

/* Losses in runs of `burst`, under so much of a load. */
static void runs_are_found(double burst, double load)
{
	const uint64_t rate_bps = 100000000;
	const int64_t every_ns = (int64_t)(WRITE * 8e9 / (load * (double)rate_bps));
	struct pair_line line = pair_line(10 * RT_MS, 0.01);
	struct tunnel_stats s;
	struct pair p;
	int64_t until;

	line.burst = burst;
	reported_init(&p, rate_bps, &line, 7);
	until = p.now_ns + (int64_t)(3 / load * RT_S); /* as much on each */
	while (p.now_ns < until) {
		reported_write(&p);
		pair_run(&p, every_ns);
	}
	tunnel_stats(p.end[0], &s);
	if (s.burst < burst * 0.75 || s.burst > burst * 1.4 || s.burst_upper < burst)
		fail_msg("runs of %.0f under a load of %.2f: %.1f, at most %.1f", burst,
			 load, s.burst, s.burst_upper);
	assert_true(s.loss > 0.007 && s.loss < 0.014);
	pair_release(&p);
}

static void runs_are_found_under_any_load(void **state)
{
	static const double loads[] = { 0.6, 0.2, 0.1 };

	for (double burst = 4; burst <= 16; burst *= 2)
		for (unsigned i = 0; i < RT_ARRAY_LEN(loads); i++)
			runs_are_found(burst, loads[i]);
}

#define DELAY_NS (10 * RT_MS)
#define DETOUR_NS (8 * RT_MS) /* more than the reordering window is at first */

/* One datagram in a hundred takes a longer way, and none is lost. */
static void some_take_a_detour(struct pair *p, int end, const uint8_t *dgram, size_t len)
{
	(void)dgram;
	(void)len;
	p->line[end].delay_ns = DELAY_NS;
	if (end == 0 && pair_chance(&p->rng, 0.01))
		p->line[end].delay_ns += DETOUR_NS;
}

static uint64_t retransmitted(struct pair *p, int64_t for_ns)
{
	int64_t until_ns = p->now_ns + for_ns;
	struct tunnel_stats before, after;

	tunnel_stats(p->end[0], &before);
	while (p->now_ns < until_ns) {
		reported_write(p);
		pair_run(p, RT_MS / 2);
	}
	tunnel_stats(p->end[0], &after);
	return after.retransmitted - before.retransmitted;
}

/*
 * What is sent again and has arrived by itself was not lost but late: the next such one is
 * given more time, until no retransmission is spurious.
 */
static void a_line_that_reorders_loses_nothing(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(DELAY_NS, 0);
	struct tunnel_stats s;
	uint64_t first, last;
	struct pair p;

	params.fec.code.code = FEC_NONE; /* no repair spares the retransmission */
	pair_init(&p, &params, &line, 5);
	p.left = some_take_a_detour;
	first = retransmitted(&p, 2 * RT_S);
	last = retransmitted(&p, 2 * RT_S);
	tunnel_stats(p.end[0], &s);
	assert_true(first > 0);
	assert_int_equal(last, 0);
	assert_int_equal(s.spurious, first);
	pair_release(&p);
}

/* The mirror has reported a deficit, and not yet that it is filled. */
static bool has_reported(const struct pair *p)
{
	const struct tunnel *t = p->end[0];

	return t->gate.deficit.missing > 0 && t->gate.deficit.symbol == t->tx.confirmed;
}

/*
 * A line without loss loses one run of `burst` datagrams. The site vanishes when the first
 * write completes after the report: true. All that has completed must be there.
 */
static bool nothing_completes_in_vain(uint64_t rate_bps, int64_t delay_ns, unsigned burst,
				      uint64_t seed)
{
	const int64_t every_ns = (int64_t)(WRITE * 8e9 / (double)rate_bps) * 5 / 4;
	struct pair_line line = pair_line(delay_ns, 0);
	uint64_t lost, onwire = 0, before = 0;
	bool reported = false;
	struct pair p;
	int64_t next, until;

	reported_init(&p, rate_bps, &line, seed);
	until = p.now_ns + RT_S;
	for (next = p.now_ns; p.now_ns < until; next += every_ns) {
		reported_write(&p);
		pair_run(&p, every_ns);
	}
	lost = p.line[0].lost;
	p.line[0].cut = true;
	for (until = p.now_ns + RT_S / 2; p.now_ns < until;) {
		if (p.line[0].lost >= lost + burst)
			p.line[0].cut = false;
		if (p.now_ns >= next) {
			reported_write(&p);
			next += every_ns;
		}
		(void)pair_step(&p, p.now_ns + 50 * RT_US);
		onwire = tunnel_onwire(p.end[0], pair_now(&p));
		if (reported && onwire > before && has_reported(&p))
			break;
		if (!p.line[0].cut && has_reported(&p))
			reported = true;
		before = onwire;
	}
	reported = reported && p.now_ns < until;
	if (reported) {
		p.dead[0] = true;
		pair_run(&p, RT_S);
		if (p.taken[1] < onwire)
			fail_msg("%llu bit/s, run of %u, seed %llu: %llu of %llu",
				 (unsigned long long)rate_bps, burst,
				 (unsigned long long)seed, (unsigned long long)p.taken[1],
				 (unsigned long long)onwire);
	}
	pair_release(&p);
	return reported;
}

static void nothing_completes_that_the_mirror_cannot_decode(void **state)
{
	static const struct {
		uint64_t rate_bps;
		int64_t delay_ns;
	} lines[] = { { 10000000, 10 * RT_MS }, { 20000000, RT_MS } };
	unsigned reported = 0;

	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++)
		for (unsigned burst = 6; burst <= 42; burst += 12)
			for (uint64_t seed = 1; seed <= 6; seed++)
				reported += nothing_completes_in_vain(lines[i].rate_bps,
								      lines[i].delay_ns,
								      burst, seed);
	assert_true(reported > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_found_under_any_load),
		cmocka_unit_test(a_line_that_reorders_loses_nothing),
		cmocka_unit_test(nothing_completes_that_the_mirror_cannot_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
