// SPDX-License-Identifier: BSD-3-Clause
#include "fec/isolated.h"

/* Of the datagrams so far, how many arrived (ISOLATED_MAX: as many, or more), and whether the
 * last one did. */
struct isolated {
	double good[ISOLATED_MAX + 1], bad[ISOLATED_MAX + 1];
};

static void isolated_datagram(struct isolated *l, const struct busy_period_path *path)
{
	for (unsigned arrived = ISOLATED_MAX + 1; arrived-- > 0;) {
		double good = l->good[arrived], bad = l->bad[arrived];
		double arrives = good * (1 - path->enter) + bad * path->leave;

		l->bad[arrived] = good * path->enter + bad * (1 - path->leave);
		l->good[arrived] = 0;
		if (arrived < ISOLATED_MAX)
			l->good[arrived + 1] += arrives;
		else
			l->good[arrived] += arrives;
	}
}

/* Probability that fewer than n have arrived. */
static double isolated_fewer(const struct isolated *l, unsigned n)
{
	double sum = 0;

	for (unsigned arrived = 0; arrived < n; arrived++)
		sum += l->good[arrived] + l->bad[arrived];
	return sum;
}

double isolated_repairs(const struct busy_period_path *path, double limit, unsigned most,
			uint16_t ret[ISOLATED_MAX + 1])
{
	struct isolated l = { 0 };
	double bad = path->enter / (path->enter + path->leave), worst = 0;
	unsigned sent = 0;

	l.bad[0] = bad;
	l.good[0] = 1 - bad;
	ret[0] = 0;
	for (unsigned n = 1; n <= ISOLATED_MAX; n++) {
		double fewer = 1;

		while (sent < n + 1 ||
		       ((fewer = isolated_fewer(&l, n)) > limit && sent - n < most)) {
			isolated_datagram(&l, path);
			sent++;
		}
		ret[n] = (uint16_t)(sent - n);
		if (fewer <= limit && fewer > worst)
			worst = fewer;
	}
	return worst;
}
