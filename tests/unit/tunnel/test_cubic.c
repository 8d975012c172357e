// SPDX-License-Identifier: BSD-3-Clause
/*
 * The window of CUBIC, held against RFC 9438's formulas, which are written out here with
 * constants of their own. Protects the law itself: the rival of the bottleneck's tests follows
 * the same functions, so an error in them would move both sides there.
 */
#include <math.h>

#include "replicator/tunnel/cubic.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define C 0.4	 /* 4.2 */
#define BETA 0.7 /* 4.6 */
#define LEAST 8.0

static rt_time at(double seconds)
{
	return (rt_time){ 1000 * RT_S + (int64_t)(seconds * (double)RT_S) };
}

static void is_near(double is, double want, double part)
{
	if (fabs(is - want) > part * want)
		fail_msg("%.6f and not %.6f", is, want);
}

/* Figures 1 and 2 of 4.2: `t` seconds after the window was `epoch`, with the plateau `max`. */
static double w_cubic(double t, double epoch, double max)
{
	double k = cbrt((max - epoch) / C);

	return C * (t - k) * (t - k) * (t - k) + max;
}

/* ---- a loss -------------------------------------------------------------------------- */

/* 4.6, and 4.7 if the window had not reached the plateau. */
static void a_loss_takes_three_tenths(void **state)
{
	static const struct {
		double window, max, after, plateau;
	} rows[] = {
		{ 1000, 1000, 700, 1000 },     { 800, 1000, 560, 680 },
		{ 20, 100, 14, 17 },	       { 10, 10, LEAST, 10 },
		{ LEAST, 1000, LEAST, LEAST },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct cubic c;

		cubic_init(&c, rows[i].window, rows[i].max, at(0));
		cubic_lose(&c, at(1));
		is_near(c.window, rows[i].after, 1e-12);
		is_near(c.max, rows[i].plateau, 1e-12);
	}
}

/* ---- growth -------------------------------------------------------------------------- */

/*
 * One round trip is over `t` seconds behind a loss of `window`, none before it: 4.4 and 4.5,
 * where Reno's estimate is far below.
 */
static void growth_follows_the_cubic(void **state)
{
	static const double windows[] = { 500, 1000, 20000 };
	static const double times[] = { 0.5, 2, 5, 9, 12, 30 };
	static const double rtts[] = { 0.01, 0.1, 0.3 };

	for (unsigned i = 0; i < 3 * 6 * 3; i++) {
		double window = windows[i / 18], t = times[i / 3 % 6], rtt = rtts[i % 3];
		double epoch = BETA * window, want = w_cubic(t + rtt, epoch, window);
		struct cubic c;

		cubic_init(&c, window, window, at(0));
		cubic_lose(&c, at(0));
		cubic_grow(&c, (int64_t)(rtt * (double)RT_S), at(t));
		is_near(c.window, want > 1.5 * epoch ? 1.5 * epoch : want, 1e-6);
	}
}

/* At K = cbrt(W_max (1 - beta) / C) it is at the plateau, before that below, then above. */
static void the_plateau_is_reached_at_k(void **state)
{
	const double k = cbrt(1000 * (1 - BETA) / C), rtt = 0.05;
	struct cubic c;

	cubic_init(&c, 1000, 1000, at(0));
	cubic_lose(&c, at(0));
	for (unsigned i = 1; i * rtt < 2 * k; i++) {
		double now = i * rtt;

		cubic_grow(&c, 50 * RT_MS, at(now));
		is_near(c.window, w_cubic(now + rtt, 700, 1000), 1e-6);
		assert_true(now + rtt < k ? c.window < 1000 : c.window >= 1000);
	}
	is_near(c.window, 1300, 0.02); /* as far above as it began below */
}

/*
 * 4.3: where Reno would have more, the window is Reno's: alpha = 3 (1 - beta) / (1 + beta) a
 * round trip, and 1 from the window before the loss on.
 */
static void small_windows_grow_as_reno_would(void **state)
{
	const double alpha = 3 * (1 - BETA) / (1 + BETA), rtt = 0.01;
	double estimate = 70, window = 70, reno = 0;
	struct cubic c;

	cubic_init(&c, 100, 100, at(0));
	cubic_lose(&c, at(0));
	for (unsigned i = 1; i < 200; i++) {
		double t = i * rtt, target = w_cubic(t + rtt, 70, 100);

		estimate += estimate < 100 ? alpha : 1;
		if (w_cubic(t, 70, 100) < estimate) {
			target = estimate;
			reno++;
		}
		if (target > window)
			window = target;
		cubic_grow(&c, 10 * RT_MS, at(t));
		is_near(c.window, window, 1e-9);
	}
	assert_true(reno > 50 && c.window > 100);
}

/* Behind a loss below the plateau, Reno grows by alpha up to where the loss was. */
static void reno_s_pace_changes_where_the_loss_was(void **state)
{
	const double alpha = 3 * (1 - BETA) / (1 + BETA);
	struct cubic c;

	cubic_init(&c, 100, 200, at(0));
	cubic_lose(&c, at(0));
	is_near(c.max, 85, 1e-12);
	while (c.window < 99) {
		double before = c.window;

		cubic_grow(&c, 1, at(0.001));
		is_near(c.window, before + alpha, 1e-6);
	}
	cubic_grow(&c, 1, at(0.001));
	cubic_grow(&c, 1, at(0.001));
	assert_true(c.window > 100);
	cubic_grow(&c, 1, at(0.001));
	is_near(c.window - 1, c.estimate - 1, 1e-12);
}

/* A round trip never adds more than half, and none takes anything. */
static void growth_is_bounded(void **state)
{
	struct cubic c;

	cubic_init(&c, 100, 100000, at(0));
	cubic_grow(&c, 100 * RT_MS, at(1000));
	is_near(c.window, 150, 1e-12);
	cubic_init(&c, 100000, 100000, at(0));
	cubic_lose(&c, at(0));
	c.window = 90000; /* more than the curve has yet */
	cubic_grow(&c, 100 * RT_MS, at(0.1));
	is_near(c.window, 90000, 1e-12);
}

/*
 * 5.1: with a loss behind every 1 / p datagrams the mean window is
 * (C (3 + beta) / (4 (1 - beta)))^(1/4) (RTT / p)^(3/4).
 */
static void the_mean_window_is_the_formula_s(void **state)
{
	static const double ps[] = { 1e-5, 1e-6, 1e-7 };
	const double rtt = 0.1;

	for (unsigned i = 0; i < RT_ARRAY_LEN(ps); i++) {
		double want = pow(C * (3 + BETA) / (4 * (1 - BETA)), 0.25) *
			      pow(rtt / ps[i], 0.75);
		double now = 0, sent = 0, all = 0;
		unsigned rounds = 0, losses = 0;
		struct cubic c;

		cubic_init(&c, want, want, at(0));
		for (; losses < 40; now += rtt) {
			cubic_grow(&c, 100 * RT_MS, at(now));
			sent += c.window;
			if (losses >= 20) { /* the beginning does not matter */
				all += c.window;
				rounds++;
			}
			if (sent < 1 / ps[i])
				continue;
			sent = 0;
			losses++;
			cubic_lose(&c, at(now));
		}
		is_near(all / rounds, want, 0.03);
	}
}

/* ---- time that does not count, windows that were not used ---------------------------------- */

static void a_pause_does_not_count(void **state)
{
	struct cubic c;

	cubic_init(&c, 1000, 1000, at(0));
	cubic_lose(&c, at(0));
	cubic_pause(&c, 3 * RT_S);
	cubic_grow(&c, 100 * RT_MS, at(5));
	is_near(c.window, w_cubic(2.1, 700, 1000), 1e-6);
}

/* It begins at what was used, and grows to the old plateau. */
static void a_confined_window_keeps_its_plateau(void **state)
{
	struct cubic c;

	cubic_init(&c, 1000, 1200, at(0));
	cubic_confine(&c, 1000, at(1));
	is_near(c.window, 1000, 1e-12);
	cubic_confine(&c, 900, at(2));
	is_near(c.window, 900, 1e-12);
	is_near(c.max, 1200, 1e-12);
	cubic_grow(&c, 100 * RT_MS, at(4));
	is_near(c.window, w_cubic(2.1, 900, 1200), 1e-6);
	cubic_confine(&c, 1, at(5));
	is_near(c.window, LEAST, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loss_takes_three_tenths),
		cmocka_unit_test(growth_follows_the_cubic),
		cmocka_unit_test(the_plateau_is_reached_at_k),
		cmocka_unit_test(small_windows_grow_as_reno_would),
		cmocka_unit_test(reno_s_pace_changes_where_the_loss_was),
		cmocka_unit_test(growth_is_bounded),
		cmocka_unit_test(the_mean_window_is_the_formula_s),
		cmocka_unit_test(a_pause_does_not_count),
		cmocka_unit_test(a_confined_window_keeps_its_plateau),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
