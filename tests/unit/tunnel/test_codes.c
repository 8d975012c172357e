// SPDX-License-Identifier: BSD-3-Clause
/*
 * Each code under each policy keeps to what it says: the gate opens on repairs that cover
 * and have left, or it says `mirror` and waits for the receipt; the paper's rule is its
 * own and loses what the paper's rule loses. Redundancy follows the line, and not itself.
 */
#include <math.h>

#include "replicator/tunnel/state.h"
#include "rt/log.h"
#include "tests/unit/tunnel/kills.h"

static struct tunnel_fec layered(unsigned r, unsigned c, unsigned repairs)
{
	struct tunnel_fec fec = params_fec(repairs, 0.125);

	fec.code = (struct fec_params){ .code = FEC_LAYERED,
					.r = (uint16_t)r,
					.c = (uint16_t)c,
					.interleave = { 1, 19, 41, 3, 7 } };
	return fec;
}

static struct tunnel_fec rs(unsigned r, unsigned c, unsigned repairs)
{
	struct tunnel_fec fec = layered(r, c, repairs);

	fec.code.code = FEC_RS;
	return fec;
}

static struct tunnel_fec paper(struct tunnel_fec fec)
{
	fec.policy = TUNNEL_PAPER;
	fec.on_demand = false;
	return fec;
}

/* A goal, and nothing fixed. */
static struct tunnel_fec adaptive(double safety)
{
	struct tunnel_fec fec = params_fec(0, 0);

	fec.repairs_fixed = false;
	fec.code.window = 0;
	fec.goal.safety = safety;
	return fec;
}

/* ---- levels ------------------------------------------------------------------------ */

static enum tunnel_evidence level_of(const struct tunnel_fec *fec)
{
	struct tunnel_params params = pair_params();
	enum tunnel_evidence level;
	struct tunnel *t;

	params.fec = *fec;
	assert_int_equal(tunnel_new(&params, (rt_time){ RT_S }, &t), 0);
	level = tunnel_evidence_level(t);
	tunnel_free(t);
	return level;
}

/* What cannot give m leaves it to the mirror, and says so. */
static void codes_that_cannot_give_m_say_mirror(void **state)
{
	struct tunnel_fec fec = rs(8, 3, 4);

	assert_int_equal(level_of(&fec), TUNNEL_MIRROR);
	fec = rs(8, 3, 3);
	assert_int_equal(level_of(&fec), TUNNEL_DRIVER);
	fec = layered(8, 3, 4);
	assert_int_equal(level_of(&fec), TUNNEL_MIRROR);
	fec = paper(fec);
	assert_int_equal(level_of(&fec), TUNNEL_DRIVER);
	fec = layered(8, 0, 3);
	assert_int_equal(level_of(&fec), TUNNEL_MIRROR);
	fec = paper(fec);
	assert_int_equal(level_of(&fec), TUNNEL_DRIVER);
	/* By the model: a safety of 1e-6 asks for more than three. */
	fec = rs(8, 3, 0);
	fec.repairs_fixed = false;
	assert_int_equal(level_of(&fec), TUNNEL_MIRROR);
	/* Half of everything is lost: no window reaches this. */
	fec = adaptive(1e-9);
	fec.goal.assume.loss = 0.5;
	assert_int_equal(level_of(&fec), TUNNEL_MIRROR);
}

/*
 * From a code without a gate to one with: what was sent before has no evidence and waits
 * to be confirmed; what is sent after does not.
 */
static void evidence_begins_with_the_code(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_fec window = params.fec;
	struct pair p;

	params.fec.code.code = FEC_NONE;
	pair_init(&p, &params, &line, 1);
	assert_true(pair_submit(&p, 0, 3000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_true(pair_submit(&p, 0, 3000));
	pair_run(&p, 10 * RT_MS);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	assert_int_equal(tunnel_set_fec(p.end[0], &window, pair_now(&p)), 0);
	assert_true(pair_submit(&p, 0, 3000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 10 * RT_MS);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	pair_run(&p, 35 * RT_MS); /* the second is confirmed, the third is not */
	assert_int_equal(tunnel_received(p.end[0]), 2);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 3);
	pair_release(&p);
}

/* What a laxer rule has let go is no ground that a stricter one may stand on. */
static void promises_of_another_rule_are_not_safe(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_fec strict = params.fec;
	const struct tunnel *t;
	struct pair p;

	params.fec.policy = TUNNEL_PAPER;
	pair_init(&p, &params, &line, 1);
	t = p.end[0];
	assert_true(pair_submit(&p, 0, 3000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_true(pair_submit(&p, 0, 3000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 10 * RT_MS);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_int_equal(tunnel_set_fec(p.end[0], &strict, pair_now(&p)), 0);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2); /* it stays so */
	assert_true(pair_submit(&p, 0, 3000));
	pair_run(&p, RT_MS);
	assert_true(wire_gate_ready(&t->gate) > t->tx.confirmed);
	assert_int_equal(t->gate.proofs[(t->tx.sent - 1) % t->gate.capacity].base,
			 t->tx.confirmed);
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 9 * RT_MS);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 3);
	pair_release(&p);
}

/* ---- what is promised ----------------------------------------------------------------- */

/* On idle lines and full ones, with and without drops in this host. */
static void kill_some(struct kills k, unsigned *lost)
{
	static const int64_t every[] = { 0, 300 * RT_US, 3 * RT_MS };

	*lost = 0;
	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(every); i++) {
		k.every_ns = every[i / 2];
		k.line.local = i % 2 ? 0.02 : 0;
		k.lost = 0;
		k.ahead = 0;
		kill_many(&k, 5000 + 1000 * i);
		*lost += k.lost;
	}
}

static void kills_with_blocks(void **state)
{
	struct kills k = { .params = pair_params(),
			   .line = pair_line(10 * RT_MS, 0.01),
			   .runs = 40 };
	unsigned lost;

	k.params.fec = rs(8, 4, 4);
	kill_some(k, &lost);
	assert_int_equal(lost, 0);
	k.params.fec = layered(8, 3, 3);
	kill_some(k, &lost);
	assert_true(lost <= 1); /* three sums are not three repairs of a window */
}

/* m(n) and all: the goal is a risk per disaster, and that is what it is. */
static void kills_lose_what_the_goal_allows(void **state)
{
	struct tunnel_fec codes[] = { adaptive(1e-3), adaptive(1e-3), adaptive(1e-3),
				      rs(8, 5, 0), layered(8, 5, 0) };

	static const struct fec_path lines[] = {
		{ 0.01, 1 }, { 0.05, 1 }, { 0.01, 4 }, { 0.01, 1 }, { 0.01, 1 }
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++) {
		struct kills k = { .params = pair_params(),
				   .line = pair_line(10 * RT_MS, lines[i].loss),
				   .runs = 50 };
		unsigned lost;

		k.params.fec = codes[i];
		k.params.fec.repairs_fixed = false;
		k.params.fec.goal.safety = 1e-3;
		k.params.fec.goal.assume = lines[i];
		k.line.burst = lines[i].burst;
		kill_some(k, &lost);
		/* 300 kills; two losses have a chance of 4 % where the goal is just met. */
		assert_true(lost <= 2);
	}
}

/* The same line without what m(n) asks for is found out. */
static void kills_by_the_papers_rule_are_found_out(void **state)
{
	struct kills k = { .params = pair_params(),
			   .line = pair_line(10 * RT_MS, 0.03),
			   .runs = 60 };
	unsigned i, lost[4];

	for (i = 0; i < 4; i++) {
		k.params.fec = paper(layered(8, i, 3));
		k.lost = 0;
		k.ahead = 0;
		kill_many(&k, 9000);
		lost[i] = k.lost;
	}
	assert_true(lost[0] > 40); /* the evidence for the data alone is not much */
	assert_true(lost[3] > 0);  /* one repair that includes it is not enough */
	assert_true(lost[3] < lost[0]);
}

/* ---- the cost of an isolated write ------------------------------------------------------------ */

/* Three symbols and isolated[3] repairs, however many round trips are under way. */
static void lone_writes_cost_little(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_stats before, after;
	struct pair p;

	params.fec = adaptive(1e-6);
	pair_init(&p, &params, &line, 1);
	assert_true(pair_submit(&p, 0, 100));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	tunnel_stats(p.end[0], &before);
	for (unsigned i = 2; i <= 101;
	     i++) { /* each when the one before is on the wire */
		assert_true(pair_submit(&p, 0, 4096 + 123));
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 500 * RT_US);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), i);
	}
	tunnel_stats(p.end[0], &after);
	assert_int_equal(after.sent_data - before.sent_data, 300);
	assert_true(after.sent_repairs - before.sent_repairs <= 310);
	assert_true(after.sent_repairs - before.sent_repairs >= 300);
	pair_release(&p);
}

/* ---- following the line ------------------------------------------------------------------- */

static void load(struct pair *p, int64_t for_ns)
{
	int64_t until_ns = p->now_ns + for_ns;

	while (p->now_ns < until_ns) {
		while (pair_submit(p, 0, 30000))
			;
		pair_run(p, RT_MS);
	}
}

/* Up when the line gets worse, slowly down when it gets better, within min and max. */
static void redundancy_follows_the_line(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.01);
	struct tunnel_stats good, bad, bursty, later;
	struct pair p;

	params.fec = adaptive(1e-3);
	params.rate_bps = 20000000;
	pair_init(&p, &params, &line, 3);
	load(&p, 5 * RT_S);
	tunnel_stats(p.end[0], &good);
	assert_true(good.loss > 0.005 && good.loss < 0.015);
	assert_true(good.loss_upper > good.loss && good.loss_upper < 0.03);
	p.line[0].loss = 0.06;
	load(&p, 5 * RT_S);
	tunnel_stats(p.end[0], &bad);
	assert_true(bad.loss_upper > 0.05);
	assert_true(bad.repairs > good.repairs);
	assert_true(bad.residual <= 1e-3);
	p.line[0].burst = 4;
	load(&p, 5 * RT_S);
	tunnel_stats(p.end[0], &bursty);
	assert_true(bursty.burst_upper > 3);
	assert_true(bursty.repairs > bad.repairs);
	assert_true(bursty.window > bad.window);
	p.line[0].burst = 1;
	p.line[0].loss = 0.01;
	load(&p, RT_S);
	tunnel_stats(p.end[0], &later);
	assert_true(later.repairs * 2 > bursty.repairs); /* not at once */
	load(&p, 150 * RT_S);
	tunnel_stats(p.end[0], &later);
	assert_true(later.repairs <= good.repairs + 2);
	assert_true(later.share >= params.fec.goal.min &&
		    later.share <= params.fec.goal.max);
	assert_true(pair_run_taken(&p, 1, tunnel_submitted(p.end[0]), 60 * RT_S));
	pair_release(&p);
}

/* Repairs for this goal on a path with so much loss, in bursts of one. */
static unsigned repairs_due(const struct tunnel_fec *fec, double loss)
{
	struct fec_path path = { loss, 1 };
	struct fec_goal goal = fec->goal;
	struct fec_redundancy r;

	goal.flight = FEC_FLIGHT_DEFAULT;
	assert_int_equal(fec_redundancy(&goal, &path, &r), 0);
	return r.repairs;
}

/* Other settings are for the path that there is, and not for the one that was assumed. */
static void a_reload_keeps_to_the_path(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.06);
	struct tunnel_stats before, after;
	struct tunnel_fec strict;
	struct pair p;

	params.fec = adaptive(1e-3);
	params.rate_bps = 20000000;
	strict = adaptive(1e-4);
	pair_init(&p, &params, &line, 3);
	load(&p, 5 * RT_S);
	tunnel_stats(p.end[0], &before);
	assert_true(before.repairs > repairs_due(&params.fec, 0.01));
	assert_int_equal(tunnel_set_fec(p.end[0], &params.fec, pair_now(&p)), 0);
	tunnel_stats(p.end[0], &after);
	assert_true(after.repairs >= before.repairs);
	assert_int_equal(tunnel_set_fec(p.end[0], &strict, pair_now(&p)), 0);
	tunnel_stats(p.end[0], &after);
	assert_true(after.repairs >= repairs_due(&strict, 0.06));
	load(&p, RT_S);
	tunnel_stats(p.end[0], &after);
	assert_true(after.repairs >= repairs_due(&strict, 0.06));
	pair_release(&p);
}

static char fec_line[512];
static unsigned fec_lines;

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	if (strncmp(line, "fec-changed ", 12) != 0)
		return;
	fec_lines++;
	(void)snprintf(fec_line, sizeof(fec_line), "%s", line);
}

/* The log has " name=new name-before=old" of each number that a change of settings moves. */
static void line_says(const char *name, double now, double before)
{
	char format[2][64];
	double got[2];

	(void)snprintf(format[0], sizeof(format[0]), " %s=", name);
	(void)snprintf(format[1], sizeof(format[1]), " %s-before=", name);
	for (unsigned i = 0; i < 2; i++) {
		const char *at = strstr(fec_line, format[i]);

		assert_non_null(at);
		got[i] = strtod(at + strlen(format[i]), NULL);
	}
	/* As the log rounds them. */
	assert_true(fabs(got[0] - now) < 1e-4 && fabs(got[1] - before) < 1e-4);
}

static void a_change_says_what_it_was_weighed_with(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.06);
	struct tunnel_fec strict = adaptive(1e-4), bad = adaptive(1e-4);
	struct tunnel_redundancy before;
	const struct tunnel *t;
	struct fec_path upper;
	char measured[64];
	struct pair p;

	params.fec = adaptive(1e-3);
	params.rate_bps = 20000000;
	pair_init(&p, &params, &line, 3);
	t = p.end[0];
	fec_lines = 0;
	rt_log_set_sink(line_keep, NULL);
	bad.repairs_fixed = true;
	bad.repairs = FEC_RISK_REPAIRS_MAX + 1;
	assert_int_equal(tunnel_set_fec(p.end[0], &bad, pair_now(&p)), -EINVAL);
	assert_int_equal(fec_lines, 0); /* nothing changed */
	assert_int_equal(tunnel_set_fec(p.end[0], &params.fec, pair_now(&p)), 0);
	assert_int_equal(fec_lines, 1);
	assert_non_null(strstr(fec_line, " loss=0.01 burst=1 measured=0 ")); /* assumed */
	load(&p, 5 * RT_S);
	before = t->redundancy;
	assert_true(fec_estimate_path(&before.estimate, &upper, NULL));
	assert_int_equal(tunnel_set_fec(p.end[0], &strict, pair_now(&p)), 0);
	rt_log_set_sink(NULL, NULL);
	assert_int_equal(fec_lines, 2);
	assert_true(t->redundancy.now.repairs > before.now.repairs);
	assert_non_null(strstr(fec_line, " code=window code-before=window "
					 "safety=0.0001 safety-before=0.001 "));
	line_says("repairs", t->redundancy.now.repairs, before.now.repairs);
	line_says("share", t->redundancy.now.share, before.now.share);
	line_says("window", t->redundancy.code.window, before.code.window);
	(void)snprintf(measured, sizeof(measured),
		       " loss=%.4g burst=%.4g measured=1 flight=%u ", upper.loss,
		       upper.burst > 1 ? upper.burst : 1, t->redundancy.flight);
	assert_non_null(strstr(fec_line, measured));
	assert_non_null(strstr(fec_line, " reached=1"));
	pair_release(&p);
}

/* What cannot be protected any more is not said to be: the mirror's word decides. */
static void a_line_beyond_the_goal_says_mirror(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.01);
	struct pair p;

	params.fec = adaptive(1e-3);
	params.rate_bps = 20000000;
	pair_init(&p, &params, &line, 3);
	load(&p, RT_S);
	assert_int_equal(tunnel_evidence_level(p.end[0]), TUNNEL_DRIVER);
	p.line[0].loss = 0.6;
	load(&p, 4 * RT_S);
	assert_int_equal(tunnel_evidence_level(p.end[0]), TUNNEL_MIRROR);
	pair_release(&p);
}

/* What our own receiver drops is not the line's, however much it is. */
static void drops_of_the_receiver_are_not_the_lines(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.08);
	struct tunnel_stats stats;
	struct pair p;

	params.fec = adaptive(1e-3);
	params.rate_bps = 50000000;
	pair_init(&p, &params, &line, 4);
	for (unsigned i = 0; i < 3000; i++) {
		while (pair_submit(&p, 0, 30000))
			;
		tunnel_overflowed(p.end[1], p.line[0].lost);
		pair_run(&p, RT_MS);
	}
	tunnel_stats(p.end[0], &stats);
	assert_true(stats.loss >= 0 && stats.loss < 0.005);
	assert_true(stats.loss_upper < 0.01);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_that_cannot_give_m_say_mirror),
		cmocka_unit_test(evidence_begins_with_the_code),
		cmocka_unit_test(promises_of_another_rule_are_not_safe),
		cmocka_unit_test(kills_with_blocks),
		cmocka_unit_test(kills_lose_what_the_goal_allows),
		cmocka_unit_test(kills_by_the_papers_rule_are_found_out),
		cmocka_unit_test(lone_writes_cost_little),
		cmocka_unit_test(redundancy_follows_the_line),
		cmocka_unit_test(a_reload_keeps_to_the_path),
		cmocka_unit_test(a_change_says_what_it_was_weighed_with),
		cmocka_unit_test(a_line_beyond_the_goal_says_mirror),
		cmocka_unit_test(drops_of_the_receiver_are_not_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
