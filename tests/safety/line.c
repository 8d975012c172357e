// SPDX-License-Identifier: BSD-3-Clause
#include <math.h>

#include "tests/safety/safety.h"

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"). */
static uint64_t draw(struct safety_line *l)
{
	l->random ^= l->random >> 12;
	l->random ^= l->random << 25;
	l->random ^= l->random >> 27;
	return l->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* Length of a run that goes on with probability exp(stays) after each datagram. */
static uint64_t draw_run(struct safety_line *l, double stays)
{
	double x = (double)((draw(l) >> 11) + 1) * 0x1p-53; /* 0 < x <= 1 */
	double more = stays < 0 ? log(x) / stays : 1e18;

	return more < 1e18 ? 1 + (uint64_t)more : UINT64_MAX;
}

void safety_line_init(struct safety_line *l, const struct fec_path *is, uint64_t seed)
{
	double run = fmax(is->burst, 1 / (1 - is->loss));
	double enter = is->loss / (1 - is->loss) / run;

	*l = (struct safety_line){ .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
	l->stays_good = log1p(-enter);
	l->stays_bad = log1p(-1 / run);
	l->run = draw_run(l, l->stays_good);
}

bool safety_line_loses(struct safety_line *l)
{
	if (l->run == 0) {
		l->bad = !l->bad;
		l->run = draw_run(l, l->bad ? l->stays_bad : l->stays_good);
	}
	l->run--;
	return l->bad;
}

uint64_t safety_below(struct safety_line *l, uint64_t n)
{
	return (draw(l) >> 16) % n;
}

double safety_share(const struct safety_drawn *d)
{
	return d->disasters ? (double)d->fatal / (double)d->disasters : 0;
}

/* Runs come as Poisson has it, and differ in length. */
double safety_noise(const struct safety_drawn *d)
{
	return d->fatal ? sqrt(d->squares) / (double)d->fatal : 1;
}
