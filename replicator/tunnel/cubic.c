// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cubic.h"

#include <math.h>

void cubic_init(struct cubic *c, double window, double max, rt_time now)
{
	*c = (struct cubic){ .epoch = now };
	c->window = window < CUBIC_MIN ? CUBIC_MIN : window;
	c->max = max < c->window ? c->window : max;
	c->begin = c->estimate = c->window;
	c->prior = c->max;
}

void cubic_grow(struct cubic *c, int64_t rtt_ns, rt_time now)
{
	/* Where Reno with our factor of decrease would grow (RFC 9438, 4.3). */
	double alpha =
		c->estimate < c->prior ? 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA) : 1;
	double k = cbrt((c->max - c->begin) / CUBIC_C), t, target;

	t = (double)(rt_time_since(now, c->epoch) + rtt_ns) / (double)RT_S - k;
	target = CUBIC_C * t * t * t + c->max;
	c->estimate += alpha;
	if (target < c->estimate)
		target = c->estimate;
	/* A round trip never adds more than half. */
	if (target > 1.5 * c->window)
		target = 1.5 * c->window;
	if (target > c->window)
		c->window = target;
}

void cubic_lose(struct cubic *c, rt_time now)
{
	double reached = c->window;

	/* Fast convergence: who is shrinking leaves room for whoever is new. */
	c->max = reached < c->max ? reached * (1 + CUBIC_BETA) / 2 : reached;
	c->prior = reached;
	c->window = reached * CUBIC_BETA;
	if (c->window < CUBIC_MIN)
		c->window = CUBIC_MIN;
	if (c->max < c->window)
		c->max = c->window;
	c->begin = c->estimate = c->window;
	c->epoch = now;
}

void cubic_confine(struct cubic *c, double used, rt_time now)
{
	if (c->window <= used || c->window <= CUBIC_MIN)
		return;
	if (c->max < c->window)
		c->max = c->window;
	c->prior = c->max;
	c->window = used < CUBIC_MIN ? CUBIC_MIN : used;
	c->begin = c->estimate = c->window;
	c->epoch = now;
}

void cubic_pause(struct cubic *c, int64_t ns)
{
	c->epoch = rt_time_add(c->epoch, ns);
}
