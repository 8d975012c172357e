// SPDX-License-Identifier: BSD-3-Clause
#include "fec/busy.h"

#include <math.h>
#include <string.h>

#define BUSY_CUT 1e-5	  /* of the resolution: smaller differences do not count */
#define BUSY_WHOLE 1e-6	  /* nearer to a whole number it is one */
#define BUSY_REMAINS 0.03 /* what is not followed any further, of what was asked for */

struct busy_line busy_line_of(const struct fec_line *line)
{
	double chance = 1 / (1 - line->loss);
	double run = line->burst > chance ? line->burst : chance;

	return (struct busy_line){ .enter = line->loss / (1 - line->loss) / run,
				   .leave = 1 / run };
}

/* One more symbol: a loss makes the deficit one larger. */
static void busy_symbol(struct busy *b)
{
	double stay = 1 - b->line.enter, leave = b->line.leave;
	double enter = b->line.enter, lost = 1 - b->line.leave;

	for (unsigned d = b->deepest + 1; d-- > 0;) {
		double good = b->good[d], bad = b->bad[d];

		b->good[d] = good * stay + bad * leave;
		b->bad[d + 1] = good * enter + bad * lost;
	}
	b->bad[0] = 0;
	if (b->deepest < BUSY_DEFICITS) {
		b->good[++b->deepest] = 0;
		return;
	}
	b->bad[b->deepest] += b->bad[b->deepest + 1];
	b->bad[b->deepest + 1] = 0;
}

/* One more repair: arriving, it makes the deficit one smaller. Idle is not followed. */
static void busy_repair(struct busy *b)
{
	double stay = 1 - b->line.enter, leave = b->line.leave;
	double enter = b->line.enter, lost = 1 - b->line.leave;

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
static void busy_odd_symbol(struct busy *b)
{
	size_t bytes = (b->deepest + 1) * sizeof(b->good[0]);
	unsigned deepest = b->deepest;

	memcpy(b->extra_good, b->good, bytes);
	memcpy(b->extra_bad, b->bad, bytes);
	busy_symbol(b);
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
static double busy_step(struct busy *b)
{
	double weight = 0;

	for (unsigned i = 0; i < b->between; i++)
		busy_symbol(b);
	if (b->odd > 0)
		busy_odd_symbol(b);
	busy_repair(b);
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
static void busy_start(struct busy *b)
{
	double enter = b->line.enter, leave = b->line.leave;
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
static double busy_older(const struct busy *b)
{
	double last = b->at[b->ages], before = b->at[b->ages - 1];

	if (last <= 0)
		return 0;
	return last < before ? last * last / (before - last) : INFINITY;
}

static bool busy_begin(struct busy *b, const struct fec_line *line, double share,
		       double resolution)
{
	double gap = 1 / share;

	if (line->loss * gap > BUSY_LOAD_MAX * (1 - line->loss))
		return false;
	b->line = busy_line_of(line);
	b->between = (unsigned)(gap + BUSY_WHOLE);
	b->odd = gap - b->between > BUSY_WHOLE ? gap - b->between : 0;
	b->cut = resolution * BUSY_CUT;
	busy_start(b);
	return true;
}

/* Returns the weight of all that were at least `age` repairs old, so far. */
static double busy_look(struct busy *b, unsigned age, double asked)
{
	double weight = busy_step(b);

	b->at[++b->ages] = weight;
	b->total += weight;
	b->older = b->ages < 2 ? INFINITY : busy_older(b);
	return b->ages >= age ? asked + weight : 0;
}

bool busy_run(struct busy *b, const struct fec_line *line, double share, unsigned age,
	      double resolution)
{
	double asked = 0;

	if (!busy_begin(b, line, share, resolution))
		return false;
	while (b->ages < BUSY_STEPS) {
		asked = busy_look(b, age, asked);
		if (b->older <= resolution * BUSY_REMAINS ||
		    (b->ages >= age && b->older <= asked * BUSY_REMAINS))
			return true;
	}
	return b->older < INFINITY;
}

bool busy_run_within(struct busy *b, const struct fec_line *line, double share,
		     unsigned age, double resolution)
{
	double asked = 0;

	if (!busy_begin(b, line, share, resolution))
		return false;
	while (b->ages < BUSY_STEPS) {
		asked = busy_look(b, age, asked);
		if (b->older <= resolution * BUSY_REMAINS)
			return true;
		/* what is still to come counts above and below alike */
		if (asked > resolution * (1 + b->total))
			return false;
	}
	return false;
}

double busy_at_least(const struct busy *b, unsigned age)
{
	double weight = b->older;

	/* the small ones first */
	for (unsigned k = b->ages; k >= age && k > 0; k--)
		weight += b->at[k];
	return weight / (1 + b->total + b->older);
}

unsigned busy_age_within(const struct busy *b, double share)
{
	double limit = share * (1 + b->total + b->older), weight = b->older;
	unsigned k = b->ages;

	if (weight > limit)
		return BUSY_STEPS + 1;
	while (k > 0 && weight + b->at[k] <= limit)
		weight += b->at[k--];
	return k + 1;
}

void busy_late_init(struct busy *b)
{
	memcpy(b->good, b->sum_good, sizeof(b->good));
	memcpy(b->bad, b->sum_bad, sizeof(b->bad));
	b->deepest = b->sum_deepest;
}

/* The symbols sent meanwhile queue behind: only the path goes on. */
static void busy_pass(struct busy *b, double times)
{
	double enter = b->line.enter, leave = b->line.leave;
	double stays = pow(fabs(1 - enter - leave), times);
	double to_bad = enter / (enter + leave) * (1 - stays);
	double to_good = leave / (enter + leave) * (1 - stays);

	for (unsigned d = 1; d <= b->deepest; d++) {
		double good = b->good[d], bad = b->bad[d];

		b->good[d] = good * (1 - to_bad) + bad * to_good;
		b->bad[d] = good * to_bad + bad * (1 - to_good);
	}
}

double busy_late_next(struct busy *b)
{
	double weight = 0;

	if (b->line.enter > 0)
		busy_pass(b, b->between + b->odd);
	busy_repair(b);
	for (unsigned d = 1; d <= b->deepest; d++)
		weight += b->good[d] + b->bad[d];
	return weight / (1 + b->total + b->older);
}
