// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/blocks.h"

#include <math.h>

#include "fec/fec.h"
#include "fec/risk.h"

/* More than m of r + m are lost: the first terms of the sum, the rest from above. */
static double blocks_rs(double r, unsigned m, double p)
{
	double n = r + m, term = 1, sum = 0;

	for (unsigned k = 1; k <= m; k++)
		term *= (n - k + 1) / k * p;
	for (unsigned k = m + 1; k <= n; k++) {
		term *= (n - k + 1) / k * p;
		sum += term;
	}
	return sum;
}

unsigned blocks_repairs(const struct fec_params *code, const struct fec_path *path,
			double safety, double flight)
{
	double p = path->loss, r = code->r, risk;
	unsigned m;

	if (path->burst > BLOCKS_BURST)
		return BLOCKS_NEVER;
	for (m = FEC_RISK_REPAIRS_MIN; m <= FEC_BLOCK_MAX; m++) {
		if (code->code == FEC_RS)
			risk = fmax(flight / r, 1) * blocks_rs(r, m, p);
		else
			risk = flight * p * pow(1 - pow(1 - p, r), m);
		if (risk <= safety)
			return m;
	}
	return BLOCKS_NEVER;
}
