// SPDX-License-Identifier: BSD-3-Clause
#include "fec/estimate.h"

#include <math.h>

/* Memory: a count of datagrams; the slow one also keeps what was sent in a minute. */
#define ESTIMATE_QUICK_SENT 1000.0
#define ESTIMATE_SLOW_NS (60 * RT_S)
#define ESTIMATE_SLOW_SENT 20000.0
/* A bound falls towards what is measured by this time constant. */
#define ESTIMATE_FALL_NS (30 * RT_S)

/* Enough to say something. */
#define ESTIMATE_SENT_MIN 1000.0
#define ESTIMATE_BURSTS_MIN 5.0
/* Before so many were sent a bound falls because more is known, not because the path is
 * better than it was; such a fall need not be slow. */
#define ESTIMATE_SENT_DECIDED 10000.0

/* One-sided quantiles of the normal distribution. */
#define ESTIMATE_LOSS_Z 2.326	/* 99 % */
#define ESTIMATE_BURST_Z 1.645	/* 95 % */
#define ESTIMATE_CHANGE_Z 3.719 /* 99.99 %: this is not the path that it was */

#define ESTIMATE_LOSS_MAX 0.9

void fec_estimate_init(struct fec_estimate *e)
{
	*e = (struct fec_estimate){ 0 };
}

/*
 * Bounds of the mean of a Poisson count (Wilson and Hilferty's cube root): above for
 * z > 0, below for z < 0.
 */
static double estimate_poisson_bound(double count, double z)
{
	double n = z > 0 ? count + 1 : count, root;

	if (n <= 0)
		return 0;
	root = 1 - 1 / (9 * n) + z / (3 * sqrt(n));
	return root > 0 ? n * root * root * root : 0;
}

/* Bounds of a probability of which `hits` of n trials speak (Wilson's score). */
static double estimate_wilson_bound(double hits, double n, double z)
{
	double p = hits / n, z2 = z * z / n;
	double width = z * sqrt(p * (1 - p) / n + z2 / (4 * n));

	return (p + z2 / 2 + width) / (1 + z2);
}

static double counts_burst(const struct fec_counts *c)
{
	return c->bursts > 0 && c->lost > c->bursts ? c->lost / c->bursts : 1;
}

/*
 * Runs are independent, the losses of one are not. With geometric lengths of mean b the
 * number lost varies as if (2 - 1/b) times fewer runs had each been that much longer.
 */
static double counts_loss(const struct fec_counts *c, double z)
{
	double burst = counts_burst(c), clump = 2 - 1 / burst;

	return burst * clump * estimate_poisson_bound(c->bursts / clump, z) / c->sent;
}

/* More losses that follow a loss than chance explains, if each were lost for itself? */
static bool counts_bursty(const struct fec_counts *c)
{
	double following = c->lost - c->bursts;
	double loss = fmin(estimate_poisson_bound(c->lost, ESTIMATE_LOSS_Z) / c->sent, 1);

	return estimate_poisson_bound(following, -ESTIMATE_LOSS_Z) > c->lost * loss;
}

/* Each lost datagram is the last of its run with probability 1 / burst. */
static double counts_burst_above(const struct fec_counts *c)
{
	double above = 1 / estimate_wilson_bound(c->bursts, c->lost, -ESTIMATE_BURST_Z);

	return fmin(fmin(above, 2 * counts_burst(c)), FEC_BURST_MAX);
}

static struct fec_path counts_above(const struct fec_counts *c)
{
	struct fec_path path = { 0, 1 };

	path.loss = fmin(counts_loss(c, ESTIMATE_LOSS_Z), ESTIMATE_LOSS_MAX);
	if (counts_bursty(c))
		path.burst = counts_burst_above(c);
	return path;
}

/* What was just seen is more than the bound allows. */
static bool counts_exceed(const struct fec_counts *c, const struct fec_path *upper)
{
	double ends;

	if (c->bursts <= 0)
		return false;
	if (counts_loss(c, -ESTIMATE_CHANGE_Z) > upper->loss)
		return true;
	if (!counts_bursty(c))
		return false;
	ends = estimate_wilson_bound(c->bursts, c->lost, ESTIMATE_CHANGE_Z);
	return 1 / ends > upper->burst;
}

static void counts_add(struct fec_counts *c, const struct fec_counts *more,
		       double elapsed)
{
	double keep = exp(-elapsed);

	c->sent = c->sent * keep + more->sent;
	c->lost = c->lost * keep + more->lost;
	c->bursts = c->bursts * keep + more->bursts;
}

static double estimate_bound_fall(double from, double to, double elapsed)
{
	return to >= from ? to : to + (from - to) * exp(-elapsed);
}

static bool counts_suffice(const struct fec_counts *c)
{
	return c->sent >= ESTIMATE_SENT_MIN || c->bursts >= ESTIMATE_BURSTS_MIN;
}

static struct fec_path counts_mean(const struct fec_counts *c)
{
	return (struct fec_path){ c->lost / c->sent, counts_burst(c) };
}

/* What the path was seen to be: worse at once, better slowly. */
static void estimate_level(struct fec_estimate *e, double elapsed)
{
	struct fec_path mean = counts_mean(&e->slow);

	mean.loss = fmin(mean.loss, ESTIMATE_LOSS_MAX);
	mean.burst = e->upper.burst > 1 ? fmin(mean.burst, FEC_BURST_MAX) : 1;
	if (!e->decided) {
		e->level = mean;
		return;
	}
	e->level.loss = estimate_bound_fall(e->level.loss, mean.loss, elapsed);
	e->level.burst = estimate_bound_fall(e->level.burst, mean.burst, elapsed);
}

/*
 * The bound is above what the path was seen to be by as much as is not known, and that
 * may become less at once: after a change it is large, of the few datagrams since.
 */
static void estimate_bound(struct fec_estimate *e, bool news, double elapsed_ns)
{
	struct fec_path before = e->upper;

	if (!counts_suffice(&e->slow))
		return;
	if (e->known && counts_exceed(&e->quick, &e->upper)) {
		e->slow = e->quick; /* the path has changed: forget the older samples */
		e->decided = true;
	}
	e->upper = counts_above(&e->slow);
	estimate_level(e, elapsed_ns / (double)ESTIMATE_FALL_NS);
	e->upper.loss = fmax(e->upper.loss, e->level.loss);
	e->upper.burst = fmax(e->upper.burst, e->level.burst);
	/*
	 * As losses of long ago fade from the counts the bounds of so few grow wider; that
	 * is no news of the path, and only losses are.
	 */
	if (e->decided && !news) {
		e->upper.loss = fmin(e->upper.loss, before.loss);
		e->upper.burst = fmin(e->upper.burst, before.burst);
	}
	e->known = true;
	e->decided = e->decided || e->slow.sent >= ESTIMATE_SENT_DECIDED;
}

void fec_estimate_add(struct fec_estimate *e, const struct fec_sample *sample,
		      rt_time now)
{
	struct fec_counts more = { .sent = (double)sample->sent };
	double elapsed = (double)rt_time_since(now, e->at);

	more.lost = fmin((double)sample->lost, more.sent);
	more.bursts = fmin((double)sample->bursts, more.lost);
	if (more.lost > 0 && more.bursts + e->slow.bursts <= 0)
		more.bursts = 1;
	if (sample->sent == 0 || sample->congested)
		return;
	if (elapsed < 0)
		elapsed = 0;
	e->at = now;
	counts_add(&e->quick, &more, more.sent / ESTIMATE_QUICK_SENT);
	counts_add(&e->slow, &more,
		   fmin(elapsed / (double)ESTIMATE_SLOW_NS,
			more.sent / ESTIMATE_SLOW_SENT));
	estimate_bound(e, more.lost > 0, elapsed);
}

bool fec_estimate_path(const struct fec_estimate *e, struct fec_path *upper,
		       struct fec_path *mean)
{
	if (!e->known)
		return false;
	*upper = e->upper;
	if (mean)
		*mean = counts_mean(&e->slow);
	return true;
}
