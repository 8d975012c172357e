// SPDX-License-Identifier: BSD-3-Clause
#include "fec/risk.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/*
 * The chain steps from repair to repair; docs/fec.md derives it. DEFICITS bounds its
 * state (deeper ones are counted as the deepest), LOSSES the symbols lost in one step,
 * STEPS the length of a busy period, beyond which it is continued as a geometric series.
 */
#define RISK_DEFICITS 256
#define RISK_LOSSES 64
#define RISK_STEPS 4096
#define RISK_NEGLIGIBLE 1e-18
#define RISK_WINDOW_MIN 16

struct risk_chain {
	/* probability that one step changes the deficit by i - 1 */
	double step[RISK_LOSSES + 2];
	unsigned steps; /* those that are not negligible */
	/* weight of a busy period that has seen k repairs; [k][0] is unused */
	double now[RISK_DEFICITS + 1], next[RISK_DEFICITS + 1];
	/* after a repair: busy for at least m repairs, per visit to the idle state */
	double at_least[FEC_RISK_REPAIRS_MAX + 1];
	double busy;
};

static bool risk_valid(const struct fec_line *line, double share)
{
	return line->loss >= 0 && line->loss < 1 && line->burst == 1 && share > 0 &&
	       share <= 1;
}

/* Probability that `lost` of n symbols are lost, for lost = 0 .. RISK_LOSSES. */
static void risk_binomial(double *ret, unsigned n, double loss, double weight)
{
	double p = weight * pow(1 - loss, n);

	for (unsigned lost = 0; lost <= RISK_LOSSES && lost <= n; lost++) {
		ret[lost] += p;
		p *= loss / (1 - loss) * (n - lost) / (lost + 1);
	}
}

/*
 * Between two repairs lie 1 / share symbols; when that is no whole number, drawn from the
 * two next to it, which varies more than the sender's even spacing does.
 */
static void risk_set_step(struct risk_chain *c, double loss, double share)
{
	double lost[RISK_LOSSES + 1] = { 0 }, between = 1 / share, whole = floor(between);

	risk_binomial(lost, (unsigned)whole, loss, 1 - (between - whole));
	if (between > whole)
		risk_binomial(lost, (unsigned)whole + 1, loss, between - whole);
	memset(c->step, 0, sizeof(c->step));
	for (unsigned i = 0; i <= RISK_LOSSES; i++) {
		c->step[i] += lost[i] * (1 - loss);
		c->step[i + 1] += lost[i] * loss;
	}
	c->steps = RISK_LOSSES + 2;
	while (c->steps > 1 && c->step[c->steps - 1] < RISK_NEGLIGIBLE)
		c->steps--;
}

/* One more repair: next = what of now stays busy. Returns its weight. */
static double risk_advance(struct risk_chain *c, unsigned deepest)
{
	double weight = 0;

	memset(c->next, 0, sizeof(c->next));
	for (unsigned d = 1; d <= deepest; d++) {
		if (c->now[d] < RISK_NEGLIGIBLE * RISK_NEGLIGIBLE)
			continue;
		for (unsigned i = 0; i < c->steps; i++) {
			unsigned to = d + i - 1;

			to = to > RISK_DEFICITS ? RISK_DEFICITS : to;
			c->next[to] += c->now[d] * c->step[i];
		}
	}
	c->next[0] = 0; /* the busy period ended here */
	memcpy(c->now, c->next, sizeof(c->now));
	for (unsigned d = 1; d <= RISK_DEFICITS; d++)
		weight += c->now[d];
	return weight;
}

/* Count busy periods that have reached age k into each m <= k. */
static void risk_count(struct risk_chain *c, unsigned k, double weight)
{
	c->busy += weight;
	for (unsigned m = 1; m <= k && m <= FEC_RISK_REPAIRS_MAX; m++)
		c->at_least[m] += weight;
}

/* False when losses arrive faster than repairs can answer them. */
static bool risk_run(struct risk_chain *c, double loss, double share)
{
	double weight = 0, before = 0;
	unsigned k, deepest;

	if (loss / share >= 1 - loss || 1 / share > INT_MAX)
		return false;
	risk_set_step(c, loss, share);
	memset(c->now, 0, sizeof(c->now));
	memset(c->at_least, 0, sizeof(c->at_least));
	c->busy = 0;
	for (unsigned i = 2; i < c->steps; i++) {
		c->now[i - 1] = c->step[i];
		weight += c->step[i];
	}
	deepest = c->steps;
	for (k = 1; k < RISK_STEPS; k++) {
		risk_count(c, k, weight);
		if (k > FEC_RISK_REPAIRS_MAX && weight <= RISK_NEGLIGIBLE)
			return true;
		if (weight == 0)
			return true;
		before = weight;
		deepest = deepest + c->steps < RISK_DEFICITS ? deepest + c->steps
							     : RISK_DEFICITS;
		weight = risk_advance(c, deepest);
	}
	if (weight >= before)
		return false;
	risk_count(c, k, weight / (1 - weight / before));
	return true;
}

int fec_risk_residual(const struct fec_line *line, unsigned repairs, double share,
		      double *ret)
{
	struct risk_chain c;

	if (!risk_valid(line, share) || repairs == 0 || repairs > FEC_RISK_REPAIRS_MAX)
		return -EINVAL;
	*ret = risk_run(&c, line->loss, share) ? c.at_least[repairs] / (1 + c.busy) : 1;
	return 0;
}

int fec_risk_repairs(const struct fec_line *line, double safety, double share,
		     unsigned *ret)
{
	struct risk_chain c;

	if (!risk_valid(line, share) || !(safety > 0 && safety <= 1))
		return -EINVAL;
	if (!risk_run(&c, line->loss, share))
		return -ERANGE;
	for (unsigned m = FEC_RISK_REPAIRS_MIN; m <= FEC_RISK_REPAIRS_MAX; m++) {
		if (c.at_least[m] / (1 + c.busy) <= safety) {
			*ret = m;
			return 0;
		}
	}
	return -ERANGE;
}

unsigned fec_risk_window(unsigned repairs, double share)
{
	double window = ceil(2 * repairs / share);

	if (!(window < UINT_MAX)) /* also no number at all */
		return UINT_MAX;
	return window < RISK_WINDOW_MIN ? RISK_WINDOW_MIN : (unsigned)window;
}
