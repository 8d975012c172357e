/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_TUNNEL_REDUNDANCY_H
#define REPLICATOR_TUNNEL_TUNNEL_REDUNDANCY_H

#include <stdbool.h>

#include "fec/estimate.h"
#include "fec/fec.h"
#include "fec/redundancy.h"
#include "rt/time.h"

/*
 * How much is sent: the goal, the path as it is estimated, and what follows from both. It
 * is asked again when the estimate or the flight has changed by more than a tenth, and at
 * most every REDUNDANCY_EVERY_NS. The estimate rises at once and falls slowly, and so does
 * what follows from it.
 */
#define REDUNDANCY_EVERY_NS (100 * RT_MS)
#define REDUNDANCY_SHARE_MAX 4.0 /* where it is fixed together with m */

struct tunnel_redundancy {
	struct fec_params code; /* in force */
	struct fec_redundancy now;
	bool unreachable; /* what is in force does not reach the goal */
	struct fec_estimate estimate;
	struct fec_path weighed; /* what it was weighed with, */
	unsigned flight;	 /* and this */
	rt_time weighed_at;
};

#endif
