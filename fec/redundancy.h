/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_REDUNDANCY_H
#define FEC_REDUNDANCY_H

#include <stdint.h>

#include "fec/risk.h"

/*
 * How much to send for a goal on a path: what the tunnel's sender and gate follow, what
 * `wanmirror plan` prints. Pure, and bounded in time (see fec_redundancy()).
 */
struct fec_goal {
	double safety;		/* risk per disaster, 0 < safety <= 1 */
	struct fec_path assume; /* the path is never taken for better than this */
	double min, max; /* repairs per data symbol, FEC_SHARE_MIN <= min <= max <= 1 */
	double share;	 /* > 0: fixed at this; 0: adapts between min and max */
	/*
	 * Symbols that leave in the round trip (rate x rtt) that it takes to hear of a hole
	 * that no repair can close any more, and to mend it; 0: FEC_FLIGHT_DEFAULT.
	 */
	unsigned flight;
};

#define FEC_FLIGHT_DEFAULT 4096

#define FEC_ISOLATED_MAX 64 /* symbols */

struct fec_redundancy {
	unsigned repairs; /* m: covering repairs that must have left */
	/*
	 * isolated[n]: the same where the repairs that are counted cover no more than n symbols
	 * that are not safe: symbol s is covered when, for some repair r that has left, at
	 * least isolated[n] repairs sent after s and up to r have left, with
	 *
	 *	n = (first symbol not yet sent when r was made) - (first that is not safe)
	 *
	 * Safe is what is confirmed, or was covered before s was first sent. Symbols behind
	 * s count, when r covers them too. Never above m, rises with n; isolated[0] unused.
	 * docs/fec.md has the proof.
	 */
	uint16_t isolated[FEC_ISOLATED_MAX + 1];
	double share;	 /* repairs per data symbol while data flows */
	unsigned window; /* W: 16 .. FEC_WINDOW_MAX */
	double residual; /* what the model states for all of this; never above safety,
			  * unless -ERANGE */
};

/*
 * For a path that is at worst `measured` (upper bounds; NULL: nothing is known) and at
 * least `goal->assume`. -EINVAL out of range; -ERANGE when neither FEC_RISK_REPAIRS_MAX
 * repairs nor a window of FEC_WINDOW_MAX reach the goal: *ret is then the best there is,
 * and its residual true. Takes 0.1 ms where losses are independent, up to 10 ms for runs of
 * 64; a caller asks again only when the path has changed by more than a tenth.
 */
int fec_redundancy(const struct fec_goal *goal, const struct fec_path *measured,
		   struct fec_redundancy *ret);

#endif
