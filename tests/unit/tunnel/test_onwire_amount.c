// SPDX-License-Identifier: BSD-3-Clause
/*
 * The amount that the gate asks for. Protects: that a symbol counts as on the wire with the
 * m(n)-th repair that covers it and has left, and one more for each symbol that has not
 * left; not a repair earlier, which is a promise that a disaster breaks, and not a repair
 * later, which is time that every write loses. In a flow, for isolated writes, with blocks, and
 * with a host that refuses sends. An auditor counts from the datagrams alone.
 */
#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/audit.h"
#include "tests/unit/tunnel/pair.h"

struct amount {
	struct audit audit;
	bool loose;	  /* the sender's host drops: only the lower bound is exact */
	uint64_t early;	  /* symbols that were promised before they were confirmed */
	uint64_t crossed; /* times that the watermark moved by evidence */
};

static void amount_made(struct pair *p, int end, const uint8_t *dgram, size_t len)
{
	struct amount *a = p->watcher;

	if (end == 0)
		audit_made(&a->audit, dgram, len);
}

static void amount_left(struct pair *p, int end, const uint8_t *dgram, size_t len)
{
	struct amount *a = p->watcher;

	if (end == 0)
		audit_left(&a->audit, dgram, len);
}

static void amount_look(struct pair *p)
{
	struct amount *a = p->watcher;
	const struct tunnel *t = p->end[0];
	uint64_t onwire = tunnel_onwire(t, pair_now(p)), received = tunnel_received(t);
	uint64_t before = a->audit.onwire > received ? a->audit.onwire : received;
	uint64_t must, s;

	if (!audit_watermark(&a->audit, onwire, received, &s))
		fail_msg("seed %llu: symbol %llu counts too early",
			 (unsigned long long)p->seed, (unsigned long long)s);
	if (onwire > before) {
		a->early += onwire - before;
		a->crossed++;
	}
	if (a->loose || !tunnel_proven(t, pair_now(p)))
		return;
	must = audit_must(&a->audit, t->evidence.resolved);
	if (must > onwire)
		fail_msg("seed %llu: symbol %llu has its repairs and does not count",
			 (unsigned long long)p->seed, (unsigned long long)onwire);
}

static void amount_init(struct pair *p, struct amount *a,
			const struct tunnel_params *params, const struct pair_line *line,
			uint64_t seed)
{
	pair_init(p, params, line, seed);
	audit_init(&a->audit, &p->params[0]);
	p->watch = amount_made;
	p->left = amount_left;
	p->look = amount_look;
	p->watcher = a;
	assert_true(pair_submit(p, 0, AUDIT_FRAME));
	tunnel_expedite(p->end[0], pair_now(p));
	pair_run(p, 500 * RT_MS); /* the line is proven, and is kept so */
}

static void amount_release(struct pair *p, struct amount *a)
{
	if (getenv("PAIR_VERBOSE") != NULL)
		printf("seed %llu: %llu symbols counted early, at %llu times\n",
		       (unsigned long long)p->seed, (unsigned long long)a->early,
		       (unsigned long long)a->crossed);
	pair_release(p);
	audit_release(&a->audit);
}

/* So many frames, so many at a time, each time after up to `every_ns`. */
static void amount_submit(struct pair *p, uint64_t frames, unsigned at_once,
			  int64_t every_ns)
{
	while (tunnel_submitted(p->end[0]) < frames) {
		for (unsigned i = 0; i < at_once; i++)
			(void)pair_submit(p, 0, AUDIT_FRAME);
		tunnel_expedite(p->end[0], pair_now(p));
		pair_run(p, 1 + (int64_t)pair_below(&p->rng, (uint64_t)every_ns));
	}
	pair_run(p, RT_S);
	assert_int_equal(p->taken[1], tunnel_submitted(p->end[0]));
}

static struct tunnel_params amount_params(unsigned m, bool on_demand)
{
	struct tunnel_params params = pair_params();

	params.fec.repairs = m;
	params.fec.on_demand = on_demand;
	return params;
}

/* m fixed; a queue that is never dry, and one that often is. */
static void a_flow_counts_with_the_mth_repair(void **state)
{
	static const unsigned ms[] = { 1, 2, 3, 8, 12 };

	for (unsigned i = 0; i < 4 * RT_ARRAY_LEN(ms); i++) {
		struct tunnel_params params = amount_params(ms[i / 4], i % 2 == 0);
		struct pair_line line = pair_line(10 * RT_MS, 0);
		struct amount a = { 0 };
		struct pair p;

		amount_init(&p, &a, &params, &line, 100 + i);
		amount_submit(&p, 4000, i / 2 % 2 ? 100 : 7, RT_MS);
		assert_true(a.crossed > 50);
		assert_true(a.early > 3000);
		amount_release(&p, &a);
	}
}

/* m and m(n) by the goal, from writes one at a time to a flow. */
static void every_load_has_its_own_amount(void **state)
{
	static const int64_t every[] = { RT_MS / 10, RT_MS, 5 * RT_MS, 40 * RT_MS };
	static const double losses[] = { 0.01, 0.05 };

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(every); i++) {
		struct tunnel_params params = amount_params(0, true);
		struct pair_line line = pair_line(10 * RT_MS, 0);
		struct fec_goal *goal = &params.fec.goal;
		struct fec_redundancy r;
		struct tunnel_stats s;
		struct amount a = { 0 };
		struct pair p;

		params.fec.repairs_fixed = false;
		params.fec.code.window = 0;
		goal->share = 0;
		goal->flight = 4096;
		goal->assume.loss = losses[i % 2];
		assert_int_equal(fec_redundancy(goal, NULL, &r), 0);
		assert_true(r.repairs >= 8 && r.isolated[3] < r.repairs);
		amount_init(&p, &a, &params, &line, 200 + i);
		a.audit.repairs = r.repairs;
		a.audit.isolated = r.isolated;
		a.audit.lone_max = FEC_ISOLATED_MAX;
		amount_submit(&p, 1500, 3, every[i / 2]);
		tunnel_stats(p.end[0], &s);
		assert_int_equal(s.repairs, r.repairs);
		assert_true(a.early > 1000);
		amount_release(&p, &a);
	}
}

/*
 * An isolated write on an idle line: as many repairs are made as the gate asks for, and with
 * these it counts, long before an answer can have come.
 */
static void a_lone_write_has_what_is_asked_for(void **state)
{
	struct tunnel_params params = amount_params(0, true);
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_stats before, after;
	struct fec_redundancy r;
	struct amount a = { 0 };
	struct pair p;

	params.fec.repairs_fixed = false;
	params.fec.code.window = 0;
	params.fec.goal.share = 0;
	params.fec.goal.flight = 4096;
	assert_int_equal(fec_redundancy(&params.fec.goal, NULL, &r), 0);
	amount_init(&p, &a, &params, &line, 1);
	a.audit.repairs = r.repairs;
	a.audit.isolated = r.isolated;
	a.audit.lone_max = FEC_ISOLATED_MAX;
	for (unsigned n = 1; n <= 40; n++) {
		tunnel_stats(p.end[0], &before);
		for (unsigned i = 0; i < n; i++)
			assert_true(pair_submit(&p, 0, AUDIT_FRAME));
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 20 * RT_MS);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)),
				 tunnel_submitted(p.end[0]));
		tunnel_stats(p.end[0], &after);
		/* Paced ones that were made before its last symbol do not cover that. */
		assert_in_range(after.sent_repairs - before.sent_repairs, r.isolated[n],
				r.isolated[n] + n / 8 + 1);
		pair_run(&p, RT_S);
	}
	amount_release(&p, &a);
}

/* Of m repairs of blocks that cover it, too, and all of them. */
static void blocks_count_with_the_mth_repair(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		unsigned m = 1 + i % 4;
		struct tunnel_params params = amount_params(m, i / 4 != 1);
		struct pair_line line = pair_line(10 * RT_MS, 0);
		struct amount a = { 0 };
		struct pair p;

		params.fec.code = (struct fec_params){
			.code = i / 4 == 2 ? FEC_RS : FEC_LAYERED,
			.r = 8,
			.c = 4,
			.interleave = { 1, 19, 41, 7 },
		};
		amount_init(&p, &a, &params, &line, 300 + i);
		amount_submit(&p, 3000, i % 2 ? 60 : 5, RT_MS);
		assert_true(a.early > 400);
		amount_release(&p, &a);
	}
}

/* Each symbol that has not left this host needs a repair of its own. */
static void what_has_not_left_needs_one_more(void **state)
{
	uint64_t early = 0;

	for (unsigned i = 0; i < 30; i++) {
		struct tunnel_params params = amount_params(i % 3 * 2, i % 5 != 0);
		struct pair_line line = pair_line(10 * RT_MS, 0);
		struct amount a = { .loose = true };
		struct pair p;

		if (i >= 20)
			params.fec.code = (struct fec_params){
				.code = i % 2 ? FEC_RS : FEC_LAYERED,
				.r = 6,
				.c = 4,
				.interleave = { 1, 5, 11, 7 },
			};
		line.local = 0.05;
		line.refuses = true;
		amount_init(&p, &a, &params, &line, 400 + i);
		amount_submit(&p, 2000, 1 + i % 20, RT_MS);
		early += a.early;
		amount_release(&p, &a);
	}
	assert_true(early > 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_counts_with_the_mth_repair),
		cmocka_unit_test(every_load_has_its_own_amount),
		cmocka_unit_test(a_lone_write_has_what_is_asked_for),
		cmocka_unit_test(blocks_count_with_the_mth_repair),
		cmocka_unit_test(what_has_not_left_needs_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
