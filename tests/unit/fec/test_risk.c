// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the gate promises rests on this number: the share of disasters that cost a
 * completed write. It must never be smaller than what happens, nor so much larger that
 * writes wait for nothing. What happens is drawn here, packet by packet.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "fec/risk.h"
#include "tests/unit/fec/reference.h"

#define WRITE_SYMBOLS 3 /* a 4 KiB block and its head */

static double residual_of(const struct fec_path *line, unsigned repairs, double share)
{
	double ret = -1;

	assert_int_equal(fec_risk_residual(line, repairs, share, &ret), 0);
	assert_true(ret >= 0 && ret <= 1);
	return ret;
}

static double residual(double loss, unsigned repairs, double share)
{
	struct fec_path line = { .loss = loss, .burst = 1 };

	return residual_of(&line, repairs, share);
}

static unsigned repairs_for(double loss, double safety, double share)
{
	struct fec_path line = { .loss = loss, .burst = 1 };
	unsigned ret = 0;

	assert_int_equal(fec_risk_repairs(&line, safety, share, &ret), 0);
	return ret;
}

/*
 * A sender that never stops, an ideal code, and a disaster after every packet: in which
 * share of them is a write that had its m repairs missing from the prefix? What is on the
 * path then still arrives, or is drawn lost.
 */
struct drawn {
	double missing;
	double noise; /* relative standard error */
};

struct line {
	struct ref_random r;
	struct fec_path is;
	bool bad;
};

static bool lost(struct line *l)
{
	double leave = 1 / l->is.burst;

	if (l->is.burst == 1)
		return ref_chance(&l->r, l->is.loss);
	l->bad = l->bad ? !ref_chance(&l->r, leave)
			: ref_chance(&l->r, leave * l->is.loss / (1 - l->is.loss));
	return l->bad;
}

static struct drawn draw(const struct fec_path *is, double share, unsigned repairs,
			 uint64_t seed, unsigned symbols)
{
	struct line line = { { seed }, *is, false };
	uint64_t deficit = 0, repairs_after = 0, bad = 0, total = 0, periods = 0;
	unsigned written =
		0; /* symbols of the write that the hole is in, still to come */
	double due = 0;
	bool counted = false;

	for (unsigned i = 0; i < symbols; i++) {
		bool repair_now;

		if (written)
			written--;
		if (lost(&line) && deficit++ == 0) {
			written = WRITE_SYMBOLS - 1 - i % WRITE_SYMBOLS;
			repairs_after = 0;
			counted = false;
		}
		due += share;
		repair_now = due >= 1;
		for (unsigned packets = 0; packets < 1u + repair_now; packets++) {
			if (packets == 1) {
				due -= 1;
				repairs_after += written == 0;
				if (!lost(&line) && deficit)
					deficit--;
			}
			total++;
			if (deficit && repairs_after >= repairs) {
				bad++;
				periods += !counted;
				counted = true;
			}
		}
	}
	/* periods are independent, packets of one are not; their lengths vary as well */
	return (struct drawn){ (double)bad / (double)total,
			       periods ? 1.5 / sqrt((double)periods) : 1 };
}

/* The whole grid is `make safety-model`; here, what is drawn in seconds. */
static void stated_is_1_to_30_times_what_happens(void **state)
{
	static const struct {
		struct fec_path line;
		double share;
		unsigned repairs, step;
	} draws[] = {
		{ { 0.01, 1 }, 0.10, 1, 1 },   { { 0.01, 1 }, 0.375, 1, 1 },
		{ { 0.05, 1 }, 0.25, 2, 2 },   { { 0.03, 1 }, 0.15, 3, 3 },
		{ { 0.001, 1 }, 0.05, 1, 1 },  { { 0.01, 3 }, 0.20, 4, 8 },
		{ { 0.02, 8 }, 0.30, 20, 20 }, { { 0.01, 16 }, 0.25, 40, 40 },
	};
	unsigned points = 0, before = 0;

	for (unsigned i = 0; i < sizeof(draws) / sizeof(draws[0]); i++, before = points) {
		for (unsigned m = draws[i].repairs; m <= 100; m += draws[i].step) {
			const struct fec_path *line = &draws[i].line;
			double stated = residual_of(line, m, draws[i].share);
			struct drawn d;

			if (stated > 4e-2 || stated < 2.5e-4)
				continue;
			d = draw(line, draws[i].share, m, 100 * i + m, 10000000);
			print_message("loss %.3f burst %2g share %.3f m=%u: stated %.2e, "
				      "drawn %.2e +-%.0f%%, ratio %.2f\n",
				      line->loss, line->burst, draws[i].share, m, stated,
				      d.missing, 100 * d.noise, stated / d.missing);
			assert_true(d.noise < 0.25);
			assert_true(stated >= d.missing);
			assert_true(stated <= 30 * d.missing);
			points++;
		}
		assert_true(points > before);
	}
	assert_true(points >= 12);
}

/* The figures that the design was made with, before the margin. */
static void design_figures(void **state)
{
	assert_true(fabs(residual(0.01, 3, 0.10) / FEC_RISK_MARGIN - 1.4e-4) < 0.1e-4);
	assert_true(fabs(residual(0.01, 6, 0.10) / FEC_RISK_MARGIN - 1.0e-6) < 0.1e-6);
}

/* m = 1 by hand, where it can be done: what is missing after a first repair. */
static void one_repair_by_hand(void **state)
{
	static const double odds[] = { 0, 0.1, 0.25, 0.4, 0.75 };
	const double p = 1e-4;

	for (unsigned i = 0; i < sizeof(odds) / sizeof(odds[0]); i++) {
		/* two lost of ten, or one and the repair; the same of eleven */
		double of_ten = 45 + 10, of_eleven = 55 + 11;
		double expect = (1 - odds[i]) * of_ten + odds[i] * of_eleven;
		double here = residual(p, 1, 1 / (10 + odds[i]));

		/* nothing longer at this loss */
		assert_true(fabs(here / (FEC_RISK_MARGIN * expect * p * p) - 1) < 0.01);
	}
}

/* One more symbol between two repairs, drawn for a part of them: between none and all. */
static void risk_lies_between_whole_gaps(void **state)
{
	static const double odds[] = { 0.1, 0.34, 0.5, 0.67, 0.9 };

	for (unsigned i = 0; i < 5 * 4 * 16; i++) {
		struct fec_path line = { i / 5 % 2 ? 0.02 : 0.005, i / 10 % 2 ? 8 : 1 };
		unsigned gap = 2 + 3 * (i / 20 % 4), m = 3 + 6 * (i / 80);
		double fewer = residual_of(&line, m, 1.0 / gap);
		double more = residual_of(&line, m, 1.0 / (gap + 1));
		double here = residual_of(&line, m, 1 / (gap + odds[i % 5]));

		if (fewer < 1e-12)
			continue; /* nothing to the model */
		/* ages are cut off with a few percent */
		assert_true(here >= 0.95 * fewer && here <= 1.05 * more);
	}
}

static void risk_is_monotonous(void **state)
{
	for (double loss = 0.001; loss < 0.04; loss *= 1.5) {
		for (double burst = 1; burst < 20; burst *= 4) {
			for (unsigned m = 1; m < 64; m += 3) {
				struct fec_path line = { loss, burst };
				struct fec_path worse = { loss * 1.1, burst };
				struct fec_path longer = { loss, burst * 2 };
				double here = residual_of(&line, m, 0.1);

				if (here < 1e-12)
					break;
				assert_true(residual_of(&line, m + 1, 0.1) <= here);
				assert_true(residual_of(&worse, m, 0.1) >= here);
				assert_true(residual_of(&line, m, 0.12) <= here);
				if (m > 8) /* fewer bursts, but longer ones */
					assert_true(residual_of(&longer, m, 0.1) >= here);
			}
		}
	}
}

static void repairs_are_the_fewest_that_do(void **state)
{
	static const double safeties[] = { 1e-2, 1e-3, 1e-4, 1e-6, 1e-9 };

	for (unsigned i = 0; i < sizeof(safeties) / sizeof(safeties[0]); i++) {
		unsigned m = repairs_for(0.01, safeties[i], 0.1);

		assert_true(m >= FEC_RISK_REPAIRS_MIN);
		assert_true(residual(0.01, m, 0.1) <= safeties[i]);
		if (m > FEC_RISK_REPAIRS_MIN)
			assert_true(residual(0.01, m - 1, 0.1) > safeties[i]);
	}
	assert_int_equal(repairs_for(0, 1e-9, 0.03), FEC_RISK_REPAIRS_MIN);
}

/* More loss than repairs: no number of repairs makes it safe, and that is said. */
static void overload_is_refused(void **state)
{
	struct fec_path line = { .loss = 0.05, .burst = 1 };
	unsigned m = 99;

	assert_true(residual(0.05, 5, 0.05) == 1);
	assert_int_equal(fec_risk_repairs(&line, 1e-2, 0.05, &m), -ERANGE);
	line.loss = 0.09; /* just below the load that the repairs can carry */
	assert_int_equal(fec_risk_repairs(&line, 1e-6, 0.1, &m), -ERANGE);
	assert_int_equal(m, 99);
	assert_true(residual(0.09, 64, 0.1) == 1);
	line = (struct fec_path){ 0.02, 64 };
	assert_int_equal(fec_risk_repairs(&line, 1e-6, 0.5, &m), -ERANGE);
	assert_int_equal(m, 99);
}

static void arguments_out_of_range(void **state)
{
	static const struct {
		struct fec_path line;
		unsigned repairs;
		double share, safety;
	} wrong[] = {
		{ { -0.1, 1 }, 3, 0.1, 1e-6 },	     { { 1, 1 }, 3, 0.1, 1e-6 },
		{ { NAN, 1 }, 3, 0.1, 1e-6 },	     { { 0.01, 0.9 }, 3, 0.1, 1e-6 },
		{ { 0.01, 1025 }, 3, 0.1, 1e-6 },    { { 0.01, NAN }, 3, 0.1, 1e-6 },
		{ { 0.01, 1 }, 0, 0, 1e-6 },	     { { 0.01, 1 }, 513, 1.1, 1e-6 },
		{ { 0.01, 1 }, 0, 0.1, 0 },	     { { 0.01, 1 }, 513, 0.1, NAN },
		{ { 0.01, 1 }, 1000, -0.1, 2 },	     { { 0.01, 1 }, 1000, NAN, 1 },
		{ { 0.01, INFINITY }, 3, 0.1, 0.1 }, { { 0.01, 1 }, 3, 0.007, 0.1 },
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		double risk = 42;
		unsigned m = 42;

		assert_int_equal(fec_risk_residual(&wrong[i].line, wrong[i].repairs,
						   wrong[i].share, &risk),
				 -EINVAL);
		assert_int_equal(fec_risk_repairs(&wrong[i].line, wrong[i].safety,
						  wrong[i].share, &m),
				 -EINVAL);
		assert_true(risk == 42);
		assert_int_equal(m, 42);
	}
}

static void window_keeps_a_symbol_for_its_repairs(void **state)
{
	assert_int_equal(fec_risk_window(6, 0.1), 120);
	assert_int_equal(fec_risk_window(3, 0.5), 16);
	assert_int_equal(fec_risk_window(7, 0.3), 47);
	assert_true(fec_risk_window(3, 0) == UINT32_MAX);
	assert_true(fec_risk_window(3, NAN) == UINT32_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(stated_is_1_to_30_times_what_happens),
		cmocka_unit_test(design_figures),
		cmocka_unit_test(one_repair_by_hand),
		cmocka_unit_test(risk_lies_between_whole_gaps),
		cmocka_unit_test(risk_is_monotonous),
		cmocka_unit_test(repairs_are_the_fewest_that_do),
		cmocka_unit_test(overload_is_refused),
		cmocka_unit_test(arguments_out_of_range),
		cmocka_unit_test(window_keeps_a_symbol_for_its_repairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
