/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_BUSY_PERIOD_H
#define FEC_BUSY_PERIOD_H

#include <stdbool.h>

#include "fec/risk.h"

/*
 * Busy periods of an ideal decoder whose window does not end, behind a Gilbert path: the
 * chain that docs/fec.md derives. It steps from datagram to datagram and is looked at
 * just after each repair.
 *
 *	good[d], bad[d]  weight of "the period is k repairs old, d combinations are
 *			 lacking, and the last datagram arrived, was lost", per look at
 *			 which no period was under way
 *	at[k]		 their sum: weight of periods that reach an age of k repairs
 */
#define BUSY_PERIOD_DEFICITS 1024 /* deeper ones are counted as this */
#define BUSY_PERIOD_STEPS 4096	  /* ages; a geometric series stands for older ones */
#define BUSY_PERIOD_LOAD_MAX 0.9  /* beyond it periods are too long to be followed */

/* The path from one datagram to the next: from good to bad, from bad to good. */
struct busy_period_path {
	double enter, leave;
};

struct busy_period {
	struct busy_period_path path;
	unsigned between; /* whole symbols between two repairs */
	double odd;	  /* probability of one more */
	double cut;	  /* weights below it do not count */
	unsigned deepest, ages;
	double at[BUSY_PERIOD_STEPS + 2];
	double total, older; /* of at[]; of the ages beyond */
	double good[BUSY_PERIOD_DEFICITS + 2], bad[BUSY_PERIOD_DEFICITS + 2];
	double extra_good[BUSY_PERIOD_DEFICITS + 2], extra_bad[BUSY_PERIOD_DEFICITS + 2];
	/* over all ages: where a look finds the decoder */
	double sum_good[BUSY_PERIOD_DEFICITS + 2], sum_bad[BUSY_PERIOD_DEFICITS + 2];
	unsigned sum_deepest;
};

/* Runs of losses are never shorter than chance makes them. */
struct busy_period_path busy_period_path_of(const struct fec_path *path);

/*
 * Follow the periods until what is older weighs little, a thirtieth of `resolution` or
 * of all that are at least `age` repairs old; the rest is continued as a geometric series.
 * True; false when losses come (nearly) as fast as repairs can answer them.
 */
bool busy_period_run(struct busy_period *b, const struct fec_path *path, double share,
		     unsigned age, double resolution);
/*
 * The same, but give up as soon as it is sure that busy_period_at_least(b, age) is above
 * `resolution`: false.
 */
bool busy_period_run_within(struct busy_period *b, const struct fec_path *path,
			    double share, unsigned age, double resolution);
/* Share of the looks that find a period at least `age` >= 1 repairs old. */
double busy_period_at_least(const struct busy_period *b, unsigned age);
/* The least age at which that is no more than `share`. */
unsigned busy_period_age_within(const struct busy_period *b, double share);
/*
 * Share of the looks at which some lost symbol is still missing `late` repairs after it
 * was sent: those received in between went to older ones. Uses up what busy_period_run() left
 * for it: ask with rising `late`, and start from busy_period_late_init().
 */
void busy_period_late_init(struct busy_period *b);
double busy_period_late_next(struct busy_period *b);

#endif
