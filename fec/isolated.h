/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_ISOLATED_H
#define FEC_ISOLATED_H

#include <stdint.h>

#include "fec/busy_period.h"

#define ISOLATED_MAX 64 /* symbols */

/*
 * ret[n], n = 1 .. ISOLATED_MAX: the fewest repairs, 1 .. most, such that n symbols and as
 * many repairs behind them, in one row on the path, arrive in fewer than n datagrams with
 * probability `limit` at most: only then is one of the n symbols missing. `most` where
 * even that many are not enough. Returns the largest such probability of those that are.
 */
double isolated_repairs(const struct busy_period_path *path, double limit, unsigned most,
			uint16_t ret[ISOLATED_MAX + 1]);

#endif
