// SPDX-License-Identifier: BSD-3-Clause
#include "fec/busy_period.h"

#include <math.h>
#include <string.h>

#define BUSY_PERIOD_CUT 1e-5   /* of the resolution: smaller differences do not count */
#define BUSY_PERIOD_WHOLE 1e-6 /* nearer to a whole number it is one */
/* Follow no further once older periods weigh this share of the resolution. */
#define BUSY_PERIOD_REMAINS 0.03

struct busy_period_path busy_period_path_of(const struct fec_path *path)
{
	double chance = 1 / (1 - path->loss);
	double run = path->burst > chance ? path->burst : chance;

	return (struct busy_period_path){ .enter = path->loss / (1 - path->loss) / run,
					  .leave = 1 / run };
}

/* One more symbol: a loss makes the deficit one larger. */
static void busy_period_symbol(struct busy_period *b)
{
	double stay = 1 - b->path.enter, leave = b->path.leave;
	double enter = b->path.enter, lost = 1 - b->path.leave;

	for (unsigned d = b->deepest + 1; d-- > 0;) {
		double good = b->good[d], bad = b->bad[d];

		b->good[d] = good * stay + bad * leave;
		b->bad[d + 1] = good * enter + bad * lost;
	}
	b->bad[0] = 0;
	if (b->deepest < BUSY_PERIOD_DEFICITS) {
		b->good[++b->deepest] = 0;
		return;
	}
	b->bad[b->deepest] += b->bad[b->deepest + 1];
	b->bad[b->deepest + 1] = 0;
}

/* One more repair: arriving, it makes the deficit one smaller. Idle is not followed. */
static void busy_period_repair(struct busy_period *b)
{
	double stay = 1 - b->path.enter, leave = b->path.leave;
	double enter = b->path.enter, lost = 1 - b->path.leave;

	for (unsigned d = 1; d <= b->deepest; d++) {
		double good = b->good[d], bad = b->bad[d];

		b->good[d - 1] = good * stay + bad * leave;
		b->bad[d] = good * enter + bad * lost;
	}
	b->good[b->deepest] = 0;
	b->good[0] = b->bad[0] = 0;
	while (b->deepest > 1 && b->good[b->deepest] + b->bad[b->deepest] < b->cut) {
		b->good[b->deepest - 1] += b->good[b->deepest];
		b->bad[b->deepest - 1] += b->bad[b->deepest];
		b->good[b->deepest] = b->bad[b->deepest] = 0;
		b->deepest--;
	}
}

/* now = now * (1 - odd) + (now and one more symbol) * odd */
static void busy_period_odd_symbol(struct busy_period *b)
{
	size_t bytes = (b->deepest + 1) * sizeof(b->good[0]);
	unsigned deepest = b->deepest;

	memcpy(b->extra_good, b->good, bytes);
	memcpy(b->extra_bad, b->bad, bytes);
	busy_period_symbol(b);
	for (unsigned d = 0; d <= b->deepest; d++) {
		b->good[d] *= b->odd;
		b->bad[d] *= b->odd;
	}
	for (unsigned d = 0; d <= deepest; d++) {
		b->good[d] += (1 - b->odd) * b->extra_good[d];
		b->bad[d] += (1 - b->odd) * b->extra_bad[d];
	}
}

/* The symbols between two repairs, the second of them, and a look. Returns the weight. */
static double busy_period_step(struct busy_period *b)
{
	double weight = 0;

	for (unsigned i = 0; i < b->between; i++)
		busy_period_symbol(b);
	if (b->odd > 0)
		busy_period_odd_symbol(b);
	busy_period_repair(b);
	for (unsigned d = 1; d <= b->deepest; d++) {
		weight += b->good[d] + b->bad[d];
		b->sum_good[d] += b->good[d];
		b->sum_bad[d] += b->bad[d];
	}
	if (b->sum_deepest < b->deepest)
		b->sum_deepest = b->deepest;
	return weight;
}

/*
 * An idle decoder's last look was at a repair that arrived, or at one that was lost
 * behind symbols that were not; the second is worth what comes of the first.
 */
static void busy_period_start(struct busy_period *b)
{
	double enter = b->path.enter, leave = b->path.leave;
	double rest = pow(1 - enter, b->between - 1) * (1 - b->odd * enter);
	double lost = (1 - enter) * rest * enter / (1 - leave * rest * enter);

	memset(b->good, 0, sizeof(b->good));
	memset(b->bad, 0, sizeof(b->bad));
	memset(b->sum_good, 0, sizeof(b->sum_good));
	memset(b->sum_bad, 0, sizeof(b->sum_bad));
	b->deepest = b->sum_deepest = 0;
	b->good[0] = 1 / (1 + lost);
	b->bad[0] = lost / (1 + lost);
	b->total = b->older = 0;
	b->ages = 0;
}

/* What is older than the last age, if it goes on to fall as it did last. */
static double busy_period_older(const struct busy_period *b)
{
	double last = b->at[b->ages], before = b->at[b->ages - 1];

	if (last <= 0)
		return 0;
	return last < before ? last * last / (before - last) : INFINITY;
}

static bool busy_period_begin(struct busy_period *b, const struct fec_path *path,
			      double share, double resolution)
{
	double gap = 1 / share;

	if (path->loss * gap > BUSY_PERIOD_LOAD_MAX * (1 - path->loss))
		return false;
	b->path = busy_period_path_of(path);
	b->between = (unsigned)(gap + BUSY_PERIOD_WHOLE);
	b->odd = gap - b->between > BUSY_PERIOD_WHOLE ? gap - b->between : 0;
	b->cut = resolution * BUSY_PERIOD_CUT;
	busy_period_start(b);
	return true;
}

/* Returns the weight of all that were at least `age` repairs old, so far. */
static double busy_period_observe(struct busy_period *b, unsigned age, double asked)
{
	double weight = busy_period_step(b);

	b->at[++b->ages] = weight;
	b->total += weight;
	b->older = b->ages < 2 ? INFINITY : busy_period_older(b);
	return b->ages >= age ? asked + weight : 0;
}

bool busy_period_run(struct busy_period *b, const struct fec_path *path, double share,
		     unsigned age, double resolution)
{
	double asked = 0;

	if (!busy_period_begin(b, path, share, resolution))
		return false;
	while (b->ages < BUSY_PERIOD_STEPS) {
		asked = busy_period_observe(b, age, asked);
		if (b->older <= resolution * BUSY_PERIOD_REMAINS ||
		    (b->ages >= age && b->older <= asked * BUSY_PERIOD_REMAINS))
			return true;
	}
	return b->older < INFINITY;
}

bool busy_period_run_within(struct busy_period *b, const struct fec_path *path,
			    double share, unsigned age, double resolution)
{
	double asked = 0;

	if (!busy_period_begin(b, path, share, resolution))
		return false;
	while (b->ages < BUSY_PERIOD_STEPS) {
		asked = busy_period_observe(b, age, asked);
		if (b->older <= resolution * BUSY_PERIOD_REMAINS)
			return true;
		/* what is still to come counts above and below alike */
		if (asked > resolution * (1 + b->total))
			return false;
	}
	return false;
}

double busy_period_at_least(const struct busy_period *b, unsigned age)
{
	double weight = b->older;

	/* the small ones first */
	for (unsigned k = b->ages; k >= age && k > 0; k--)
		weight += b->at[k];
	return weight / (1 + b->total + b->older);
}

unsigned busy_period_age_within(const struct busy_period *b, double share)
{
	double limit = share * (1 + b->total + b->older), weight = b->older;
	unsigned k = b->ages;

	if (weight > limit)
		return BUSY_PERIOD_STEPS + 1;
	while (k > 0 && weight + b->at[k] <= limit)
		weight += b->at[k--];
	return k + 1;
}

void busy_period_late_init(struct busy_period *b)
{
	memcpy(b->good, b->sum_good, sizeof(b->good));
	memcpy(b->bad, b->sum_bad, sizeof(b->bad));
	b->deepest = b->sum_deepest;
}

/* The symbols sent meanwhile queue behind: only the path goes on. */
static void busy_period_pass(struct busy_period *b, double times)
{
	double enter = b->path.enter, leave = b->path.leave;
	double stays = pow(fabs(1 - enter - leave), times);
	double to_bad = enter / (enter + leave) * (1 - stays);
	double to_good = leave / (enter + leave) * (1 - stays);

	for (unsigned d = 1; d <= b->deepest; d++) {
		double good = b->good[d], bad = b->bad[d];

		b->good[d] = good * (1 - to_bad) + bad * to_good;
		b->bad[d] = good * to_bad + bad * (1 - to_good);
	}
}

double busy_period_late_next(struct busy_period *b)
{
	double weight = 0;

	if (b->path.enter > 0)
		busy_period_pass(b, b->between + b->odd);
	busy_period_repair(b);
	for (unsigned d = 1; d <= b->deepest; d++)
		weight += b->good[d] + b->bad[d];
	return weight / (1 + b->total + b->older);
}
