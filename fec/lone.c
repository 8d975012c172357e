// SPDX-License-Identifier: BSD-3-Clause
#include "fec/lone.h"

/* Of the datagrams so far, how many arrived (LONE_MAX: as many, or more), and whether the
 * last one did. */
struct lone {
	double good[LONE_MAX + 1], bad[LONE_MAX + 1];
};

static void lone_datagram(struct lone *l, const struct busy_line *line)
{
	for (unsigned arrived = LONE_MAX + 1; arrived-- > 0;) {
		double good = l->good[arrived], bad = l->bad[arrived];
		double arrives = good * (1 - line->enter) + bad * line->leave;

		l->bad[arrived] = good * line->enter + bad * (1 - line->leave);
		l->good[arrived] = 0;
		if (arrived < LONE_MAX)
			l->good[arrived + 1] += arrives;
		else
			l->good[arrived] += arrives;
	}
}

/* Probability that fewer than n have arrived. */
static double lone_fewer(const struct lone *l, unsigned n)
{
	double sum = 0;

	for (unsigned arrived = 0; arrived < n; arrived++)
		sum += l->good[arrived] + l->bad[arrived];
	return sum;
}

double lone_repairs(const struct busy_line *line, double limit, unsigned most,
		    uint16_t ret[LONE_MAX + 1])
{
	struct lone l = { 0 };
	double bad = line->enter / (line->enter + line->leave), worst = 0;
	unsigned sent = 0;

	l.bad[0] = bad;
	l.good[0] = 1 - bad;
	ret[0] = 0;
	for (unsigned n = 1; n <= LONE_MAX; n++) {
		double fewer = 1;

		while (sent < n + 1 ||
		       ((fewer = lone_fewer(&l, n)) > limit && sent - n < most)) {
			lone_datagram(&l, line);
			sent++;
		}
		ret[n] = (uint16_t)(sent - n);
		if (fewer <= limit && fewer > worst)
			worst = fewer;
	}
	return worst;
}
