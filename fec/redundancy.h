/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_REDUNDANCY_H
#define FEC_REDUNDANCY_H

#include <stdint.h>

#include "fec/risk.h"

/*
 * How much to send for a goal on a line: what the tunnel's sender and gate follow, what
 * `wanmirror plan` prints. Pure, and bounded in time (see fec_redundancy()).
 */
struct fec_goal {
	double safety;		/* risk per disaster, 0 < safety <= 1 */
	struct fec_line assume; /* the line is never taken for better than this */
	double min, max;	/* repairs per data symbol, 0 < min <= max <= 1 */
	double share;		/* > 0: fixed at this; 0: adapts between min and max */
};

#define FEC_LONE_MAX 64 /* symbols */

struct fec_redundancy {
	unsigned repairs; /* m: covering repairs that must have left, in a busy period */
	/*
	 * lone[n]: the same where only n symbols, the one in question included, are not
	 * confirmed; never above m, lone[0] unused. Rises with n.
	 */
	uint8_t lone[FEC_LONE_MAX + 1];
	/*
	 * The last of these m must leave at least this many datagrams after the symbol, so
	 * that one burst does not take them all; 0 where losses are independent.
	 */
	unsigned spread;
	double share;	 /* repairs per data symbol while data flows */
	unsigned window; /* W */
	double residual; /* what the model states for all of this; never above safety,
			  * unless -ERANGE */
};

/*
 * For a line that is at worst `measured` (upper bounds; NULL: nothing is known) and at
 * least `goal->assume`. -EINVAL out of range; -ERANGE when FEC_RISK_REPAIRS_MAX repairs at
 * this share do not reach the goal: *ret is then the best there is, and its residual true.
 * Takes at most about a millisecond; a caller asks again only when the line has changed by
 * more than a tenth.
 */
int fec_redundancy(const struct fec_goal *goal, const struct fec_line *measured,
		   struct fec_redundancy *ret);

#endif
