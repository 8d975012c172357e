// SPDX-License-Identifier: BSD-3-Clause
/*
 * The chain under every stated risk (docs/fec.md). Held against the whole chain, idle
 * looks and ages included, stepped until it stands still: no renewal argument, no cut and
 * no series in it, so what the fast one leaves out must not show.
 */
#include <math.h>

#include "fec/busy_period.h"
#include "tests/unit/fec/reference.h"

/* ---- the whole chain ------------------------------------------------------------------- */

#define AGES 60	     /* older ones count as this old */
#define DEFICITS 120 /* as do larger ones */
#define STEPS 4000   /* at most, until it stands still */

struct weights {
	double good[AGES + 1][DEFICITS + 1]; /* age 0: idle */
	double bad[AGES + 1][DEFICITS + 1];
};

struct whole {
	double leave, enter;
	struct weights now, next;
};

static void whole_datagram(struct whole *w, bool repair)
{
	memset(&w->next, 0, sizeof(w->next));
	for (unsigned k = 0; k <= AGES; k++) {
		for (unsigned d = 0; d <= DEFICITS; d++) {
			double good = w->now.good[k][d], bad = w->now.bad[k][d];
			unsigned less = d > 0 ? d - 1 : 0;
			unsigned more = d < DEFICITS ? d + 1 : DEFICITS;
			double arrives = good * (1 - w->enter) + bad * w->leave;
			double lost = good * w->enter + bad * (1 - w->leave);

			w->next.good[k][repair ? less : d] += arrives;
			w->next.bad[k][repair ? d : more] += lost;
		}
	}
	w->now = w->next;
}

/* A look: what lacks nothing is idle, what lacks something is one repair older. */
static void whole_look(struct whole *w)
{
	memset(&w->next, 0, sizeof(w->next));
	for (unsigned k = 0; k <= AGES; k++) {
		for (unsigned d = 0; d <= DEFICITS; d++) {
			unsigned age = k < AGES ? k + 1 : AGES;

			if (d == 0)
				age = 0;
			w->next.good[age][d] += w->now.good[k][d];
			w->next.bad[age][d] += w->now.bad[k][d];
		}
	}
	w->now = w->next;
}

static void whole_mix(struct weights *to, const struct weights *other, double share)
{
	for (unsigned k = 0; k <= AGES; k++) {
		for (unsigned d = 0; d <= DEFICITS; d++) {
			to->good[k][d] += share * (other->good[k][d] - to->good[k][d]);
			to->bad[k][d] += share * (other->bad[k][d] - to->bad[k][d]);
		}
	}
}

static void whole_step(struct whole *w, double gap)
{
	static struct weights fewer;

	for (unsigned i = 0; i < (unsigned)gap; i++)
		whole_datagram(w, false);
	fewer = w->now;
	whole_datagram(w, false);
	whole_mix(&fewer, &w->now, gap - floor(gap));
	w->now = fewer;
	whole_datagram(w, true);
	whole_look(w);
}

static double whole_at_least(const struct whole *w, unsigned age)
{
	double sum = 0;

	for (unsigned k = age; k <= AGES; k++)
		for (unsigned d = 0; d <= DEFICITS; d++)
			sum += w->now.good[k][d] + w->now.bad[k][d];
	return sum;
}

static void whole_run(struct whole *w, const struct fec_path *path, double gap)
{
	double run = fmax(path->burst, 1 / (1 - path->loss));
	double before = -1, after = 0;

	*w = (struct whole){ .leave = 1 / run,
			     .enter = path->loss / (1 - path->loss) / run };
	w->now.good[0][0] = 1;
	for (unsigned i = 0; i < 2 * AGES || fabs(after - before) > 1e-13 * after; i++) {
		assert_true(i < STEPS);
		before = after;
		whole_step(w, gap);
		after = whole_at_least(w, 1);
	}
}

/* Symbols whose losses are others', then a repair; what lacks nothing is gone. */
static void whole_late(struct whole *w, unsigned symbols)
{
	while (symbols--) {
		whole_datagram(w, false);
		for (unsigned k = 0; k <= AGES; k++) {
			for (unsigned d = 0; d < DEFICITS; d++)
				w->now.bad[k][d] = w->now.bad[k][d + 1];
			w->now.bad[k][DEFICITS] = 0;
		}
	}
	whole_datagram(w, true);
	for (unsigned k = 0; k <= AGES; k++)
		w->now.good[k][0] = w->now.bad[k][0] = 0;
}

/* ---- against it ------------------------------------------------------------------------ */

static const struct {
	struct fec_path path;
	double gap;
} lines[] = {
	{ { 0.01, 1 }, 10 },  { { 0.01, 1 }, 1 },     { { 0.001, 1 }, 20 },
	{ { 0.05, 1 }, 3.4 }, { { 0.02, 1 }, 12.75 }, { { 0.01, 3 }, 5 },
	{ { 0.02, 8 }, 3 },   { { 0.005, 4 }, 6.5 },  { { 0.1, 1.05 }, 2 },
};
#define LINES (sizeof(lines) / sizeof(lines[0]))

static struct busy_period period;
static struct whole whole;

static void expect_near(double got, double want, double within, unsigned line,
			unsigned age)
{
	if (fabs(got - want) > within * want + 1e-13)
		fail_msg("line %u, age %u: %.9e, and by the whole chain %.9e", line, age,
			 got, want);
}

static void every_age_has_its_share(void **state)
{
	for (unsigned i = 0; i < LINES; i++) {
		whole_run(&whole, &lines[i].path, lines[i].gap);
		assert_true(busy_period_run(&period, &lines[i].path, 1 / lines[i].gap,
					    2 * AGES, 1e-14));
		for (unsigned age = 1; age <= AGES; age++)
			expect_near(busy_period_at_least(&period, age),
				    whole_at_least(&whole, age), 1e-3, i, age);
	}
}

/* Cut off early, the series that stands for the rest is right to some percent. */
static void what_is_cut_off_is_continued(void **state)
{
	for (unsigned i = 0; i < LINES; i++) {
		unsigned ages;

		assert_true(busy_period_run(&period, &lines[i].path, 1 / lines[i].gap, 3,
					    1e-14));
		ages = period.ages;
		whole_run(&whole, &lines[i].path, lines[i].gap);
		assert_true(ages < AGES);
		for (unsigned age = 1; age <= ages + 1; age++)
			expect_near(busy_period_at_least(&period, age),
				    whole_at_least(&whole, age), age <= 3 ? 0.01 : 0.3, i,
				    age);
	}
}

/*
 * Symbols sent meanwhile queue behind: the path goes on, and only repairs count. The oldest
 * periods lack most, so they are followed for long.
 */
static void late_looks_are_those_of_the_whole_chain(void **state)
{
	for (unsigned i = 0; i < LINES; i++) {
		struct whole *w = &whole;
		double gap = lines[i].gap;

		if (gap != floor(gap))
			continue; /* passed over as a power there: no whole steps */
		assert_true(busy_period_run(&period, &lines[i].path, 1 / gap, 10 * AGES,
					    1e-14));
		whole_run(w, &lines[i].path, gap);
		busy_period_late_init(&period);
		memset(w->now.good[0], 0, sizeof(w->now.good[0]));
		memset(w->now.bad[0], 0, sizeof(w->now.bad[0]));
		for (unsigned late = 1; late <= 30; late++) {
			whole_late(w, (unsigned)gap);
			expect_near(busy_period_late_next(&period), whole_at_least(w, 0),
				    1e-3, i, late);
		}
	}
}

/* ---- its own rules --------------------------------------------------------------------- */

static void a_path_loses_its_share_in_its_bursts(void **state)
{
	static const struct {
		struct fec_path path;
		double run;
	} table[] = {
		{ { 0, 1 }, 1 },    { { 0.01, 1 }, 1 / 0.99 }, { { 0.5, 1.5 }, 2 },
		{ { 0.5, 2 }, 2 },  { { 0.5, 2.5 }, 2.5 },     { { 0.01, 16 }, 16 },
		{ { 0.9, 1 }, 10 },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct busy_period_path p = busy_period_path_of(&table[i].path);

		assert_true(fabs(p.leave * table[i].run - 1) < 1e-12);
		/* enters as often as it leaves */
		assert_true(fabs(p.enter * (1 - table[i].path.loss) -
				 p.leave * table[i].path.loss) < 1e-12);
	}
}

/* Repairs that losses all but use up: said, and not followed for ever. */
static void overload_is_refused(void **state)
{
	static const struct {
		double loss, gap;
		bool taken;
	} table[] = {
		{ 0.0825, 10, true }, { 0.0826, 10, false }, { 0.47, 1, true },
		{ 0.48, 1, false },   { 0.5, 1, false },     { 0.99, 1, false },
		{ 0, 128, true },     { 0.008, 128, false },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fec_path path = { table[i].loss, 1 };

		assert_int_equal(busy_period_run(&period, &path, 1 / table[i].gap, 3,
						 1e-9),
				 table[i].taken);
		if (!table[i].taken)
			assert_false(busy_period_run_within(&period, &path,
							    1 / table[i].gap, 3, 1e-9));
	}
}

static void nothing_lost_is_never_busy(void **state)
{
	struct fec_path path = { 0, 1 };

	assert_true(busy_period_run(&period, &path, 0.1, 1, 1e-15));
	assert_true(busy_period_at_least(&period, 1) == 0);
	assert_int_equal(busy_period_age_within(&period, 1e-15), 1);
	busy_period_late_init(&period);
	assert_true(busy_period_late_next(&period) == 0);
}

static void the_least_age_that_does(void **state)
{
	for (unsigned i = 0; i < LINES; i++) {
		assert_true(busy_period_run(&period, &lines[i].path, 1 / lines[i].gap,
					    AGES, 1e-12));
		for (double share = 0.3; share > period.older; share /= 2) {
			unsigned age = busy_period_age_within(&period, share);

			if (age > period.ages)
				break;
			assert_true(age >= 1);
			assert_true(busy_period_at_least(&period, age) <=
				    share * (1 + 1e-12));
			if (age > 1)
				assert_true(busy_period_at_least(&period, age - 1) >
					    share * (1 - 1e-12));
		}
		/* less than the series behind the last age says */
		assert_int_equal(busy_period_age_within(&period, period.older / 4),
				 BUSY_PERIOD_STEPS + 1);
	}
}

/* To give up early is for the impossible alone. */
static void within_gives_up_where_the_rest_is_above(void **state)
{
	static const unsigned ages[] = { 1, 4, 12 };
	static struct busy_period bounded;
	unsigned refused = 0, taken = 0;

	for (unsigned i = 0; i < LINES * 3; i++) {
		unsigned age = ages[i % 3];
		const struct fec_path *path = &lines[i / 3].path;
		double share = 1 / lines[i / 3].gap, exact;

		assert_true(busy_period_run(&period, path, share, age, 1e-14));
		exact = busy_period_at_least(&period, age);
		if (exact < 1e-10)
			continue; /* not known so well */
		for (double factor = 1.0 / 64; factor <= 64; factor *= 2) {
			double resolution = exact * factor * 1.1;
			bool within = busy_period_run_within(&bounded, path, share, age,
							     resolution);

			assert_int_equal(within, resolution > exact);
			taken += within;
			refused += !within;
			if (within)
				assert_true(busy_period_at_least(&bounded, age) <=
					    resolution);
		}
	}
	assert_true(refused > 100 && taken > 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_age_has_its_share),
		cmocka_unit_test(what_is_cut_off_is_continued),
		cmocka_unit_test(late_looks_are_those_of_the_whole_chain),
		cmocka_unit_test(a_path_loses_its_share_in_its_bursts),
		cmocka_unit_test(overload_is_refused),
		cmocka_unit_test(nothing_lost_is_never_busy),
		cmocka_unit_test(the_least_age_that_does),
		cmocka_unit_test(within_gives_up_where_the_rest_is_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
