// SPDX-License-Identifier: BSD-3-Clause
#include "fec/redundancy.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "fec/busy_period.h"
#include "fec/fec.h"
#include "fec/isolated.h"
#include "rt/check.h"

_Static_assert(ISOLATED_MAX == FEC_ISOLATED_MAX, "one table");

/* What an isolated write may cost of the goal; the rest is for those in a flow of data. */
#define REDUNDANCY_ISOLATED (1.0 / 3)
/* Of the rest, what symbols that grew too old for the window may cost: sought, most. */
#define REDUNDANCY_HOLES 0.1
#define REDUNDANCY_HOLES_MAX 0.5
/*
 * What redundancy costs the path and what waiting for it costs a write, in one currency:
 * so many symbols of wait are worth as much as all of the path. docs/fec.md.
 */
#define REDUNDANCY_WAIT 2000.0
#define REDUNDANCY_WORSE 2 /* so many shares that cost more end the search */

/* The shares that are tried, one in ... symbols; whole numbers keep the chain short. */
static const uint8_t gaps[] = {
	1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 33, 50, 64, 100
};

struct redundancy {
	const struct fec_goal *goal;
	struct fec_path path;
	double flight;
	double cost;	/* of *best */
	unsigned worse; /* shares in a row that were no better */
	bool reached;	/* *best reaches the goal */
	struct fec_redundancy *best;
	struct busy_period busy;
};

static bool goal_valid(const struct fec_goal *g)
{
	return g->safety > 0 && g->safety <= 1 && fec_path_valid(&g->assume) &&
	       g->min >= FEC_SHARE_MIN && g->min <= g->max && g->max <= 1 &&
	       (g->share == 0 || (g->share >= FEC_SHARE_MIN && g->share <= 1));
}

/* Repairs that cover a symbol before it leaves the largest window. */
static unsigned redundancy_most_repairs(double share)
{
	double most = floor(FEC_WINDOW_MAX * share);

	return most < FEC_RISK_REPAIRS_MAX ? (unsigned)most : FEC_RISK_REPAIRS_MAX;
}

/*
 * The shortest window, in repairs, with which holes cost no more than `sought`; `most` if
 * none does, and then *cost says what they do cost.
 *
 * A symbol that is still missing when it leaves the window is a hole until the other side
 * has reported it, for `flight` symbols. Holes come in groups, one for each burst: a symbol
 * is found too old as long as the burst it was lost in is long in symbols.
 */
static unsigned redundancy_window_repairs(struct redundancy *r, double share,
					  double sought, unsigned most, double *cost)
{
	double run = 1 / r->busy.path.leave, late = 0;
	double group = fmax(1, run / (1 + share));
	double heal = 1 + r->flight * share / group;
	unsigned age;

	busy_period_late_init(&r->busy);
	for (age = 1; age <= most; age++) {
		late = FEC_RISK_MARGIN * heal * busy_period_late_next(&r->busy);
		if (late <= sought)
			break;
	}
	*cost = late;
	return age > most ? most : age;
}

static unsigned redundancy_window_symbols(unsigned repairs, unsigned age, double share)
{
	unsigned two = fec_risk_window(repairs, share),
		 holes = (unsigned)ceil(age / share);
	unsigned window = two > holes ? two : holes;

	return window < FEC_WINDOW_MAX ? window : FEC_WINDOW_MAX;
}

static double redundancy_repairs_cost(double share, unsigned repairs)
{
	return share + repairs / share / REDUNDANCY_WAIT;
}

/* Weigh one share; it becomes the best if it reaches the goal at less cost. */
static void redundancy_try(struct redundancy *r, double share)
{
	double safety = r->goal->safety, holes;
	unsigned most = redundancy_most_repairs(share), repairs, age;
	double affordable = (r->cost - share) * share * REDUNDANCY_WAIT;

	r->worse++; /* unless it is found better, below */
	if (r->reached && affordable < most)
		most = affordable < 0 ? 0 : (unsigned)affordable;
	if (most < FEC_RISK_REPAIRS_MIN ||
	    !busy_period_run_within(&r->busy, &r->path, share, most,
				    safety / FEC_RISK_MARGIN))
		return;
	if (redundancy_repairs_cost(
		    share, busy_period_age_within(&r->busy, safety / FEC_RISK_MARGIN)) >=
	    r->cost)
		return;
	age = redundancy_window_repairs(r, share, REDUNDANCY_HOLES * safety,
					(unsigned)(FEC_WINDOW_MAX * share), &holes);
	if (holes > REDUNDANCY_HOLES_MAX * safety)
		return;
	repairs = busy_period_age_within(&r->busy, (safety - holes) / FEC_RISK_MARGIN);
	if (repairs > most)
		return;
	if (repairs < FEC_RISK_REPAIRS_MIN)
		repairs = FEC_RISK_REPAIRS_MIN;
	r->reached = true;
	r->cost = redundancy_repairs_cost(share, repairs);
	r->worse = 0;
	r->best->share = share;
	r->best->repairs = repairs;
	r->best->window = redundancy_window_symbols(repairs, age, share);
	r->best->residual =
		FEC_RISK_MARGIN * busy_period_at_least(&r->busy, repairs) + holes;
}

/* The goal is out of reach: everything there is, and what it leaves. */
static void redundancy_best(struct redundancy *r, double share)
{
	unsigned most = redundancy_most_repairs(share);
	double holes;

	if (most < FEC_RISK_REPAIRS_MIN)
		most = FEC_RISK_REPAIRS_MIN;
	r->best->share = share;
	r->best->repairs = most;
	r->best->window = FEC_WINDOW_MAX;
	r->best->residual = 1;
	if (!busy_period_run(&r->busy, &r->path, share, most, r->goal->safety))
		return;
	(void)redundancy_window_repairs(r, share, 0, (unsigned)(FEC_WINDOW_MAX * share),
					&holes);
	r->best->residual =
		fmin(1, FEC_RISK_MARGIN * busy_period_at_least(&r->busy, most) + holes);
}

static void redundancy_isolated(struct redundancy *r)
{
	struct fec_redundancy *best = r->best;
	struct busy_period_path path = busy_period_path_of(&r->path);
	double worst = isolated_repairs(&path, REDUNDANCY_ISOLATED * r->goal->safety,
					best->repairs, best->isolated);

	for (unsigned n = 1; n <= FEC_ISOLATED_MAX; n++)
		if (best->isolated[n] < FEC_RISK_REPAIRS_MIN)
			best->isolated[n] = FEC_RISK_REPAIRS_MIN;
	/* with the margin, or with the isolated ones beside it: whichever says more */
	best->residual =
		fmin(1, fmax(best->residual, best->residual / FEC_RISK_MARGIN + worst));
}

static void redundancy_search(struct redundancy *r)
{
	const struct fec_goal *g = r->goal;

	if (g->share > 0) {
		redundancy_try(r, g->share);
		return;
	}
	redundancy_try(r, g->max);
	for (unsigned i = 0; i < RT_ARRAY_LEN(gaps); i++) {
		double share = 1.0 / gaps[i];

		if (r->worse >= REDUNDANCY_WORSE)
			return; /* cost falls with the share, and then rises */
		if (share < g->max && share > g->min)
			redundancy_try(r, share);
	}
	if (g->min < g->max)
		redundancy_try(r, g->min);
}

int fec_redundancy(const struct fec_goal *goal, const struct fec_path *measured,
		   struct fec_redundancy *ret)
{
	struct redundancy r = { .goal = goal, .cost = INFINITY };
	struct fec_redundancy best = { 0 };

	if (!goal_valid(goal) || (measured && !fec_path_valid(measured)))
		return -EINVAL;
	r.path = goal->assume;
	if (measured) {
		r.path.loss = fmax(r.path.loss, measured->loss);
		r.path.burst = fmax(r.path.burst, measured->burst);
	}
	r.flight = goal->flight ? goal->flight : FEC_FLIGHT_DEFAULT;
	r.best = &best;
	redundancy_search(&r);
	if (!r.reached)
		redundancy_best(&r, goal->share > 0 ? goal->share : goal->max);
	redundancy_isolated(&r);
	*ret = best;
	return r.reached ? 0 : -ERANGE;
}
