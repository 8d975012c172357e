// SPDX-License-Identifier: BSD-3-Clause
/*
 * How many repairs a code of blocks needs. Protects: the goal is of all that is in flight and
 * not of one block; m is the least that reaches it, beside sums made term by term; and on a
 * path that loses in bursts there is none.
 */
#include <math.h>

#include "fec/fec.h"
#include "fec/risk.h"
#include "replicator/tunnel/blocks.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

static double choose(unsigned n, unsigned k)
{
	return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0));
}

static double risk_of(const struct fec_params *code, double p, unsigned m, double flight)
{
	double lost = 0;
	unsigned n = code->r + m;

	if (code->code == FEC_LAYERED)
		return flight * p * pow(1 - pow(1 - p, code->r), m);
	for (unsigned k = m + 1; k <= n; k++)
		lost += choose(n, k) * pow(p, k) * pow(1 - p, n - k);
	return fmax(flight / code->r, 1) * lost;
}

static void the_goal_is_of_all_that_is_in_flight(void **state)
{
	static const double losses[] = { 0.001, 0.01, 0.03 };
	static const double flights[] = { 16, 256, 4096, 65536 };
	static const struct fec_params codes[] = {
		{ .code = FEC_RS, .r = 10 },
		{ .code = FEC_RS, .r = 64 },
		{ .code = FEC_LAYERED, .r = 8 },
	};

	for (unsigned c = 0; c < RT_ARRAY_LEN(codes); c++)
		for (unsigned l = 0; l < RT_ARRAY_LEN(losses); l++)
			for (unsigned f = 0; f < RT_ARRAY_LEN(flights); f++) {
				struct fec_path path = { .loss = losses[l], .burst = 1 };
				unsigned m = blocks_repairs(&codes[c], &path, 1e-6,
							    flights[f]);

				assert_in_range(m, FEC_RISK_REPAIRS_MIN, FEC_BLOCK_MAX);
				assert_true(risk_of(&codes[c], losses[l], m,
						    flights[f]) <= 1e-6);
				/* blocks.c takes all but the lost ones for granted. */
				if (m > FEC_RISK_REPAIRS_MIN)
					assert_true(risk_of(&codes[c], losses[l], m - 1,
							    flights[f]) >
						    0.5e-6 * pow(1 - losses[l],
								 codes[c].r + m));
			}
}

static void bursts_leave_no_number(void **state)
{
	const struct fec_params code = { .code = FEC_RS, .r = 10 };
	struct fec_path path = { .loss = 0.001, .burst = BLOCKS_BURST };

	assert_int_not_equal(blocks_repairs(&code, &path, 1e-6, 256), BLOCKS_NEVER);
	path.burst = 1.1;
	assert_int_equal(blocks_repairs(&code, &path, 1e-6, 256), BLOCKS_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_goal_is_of_all_that_is_in_flight),
		cmocka_unit_test(bursts_leave_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
