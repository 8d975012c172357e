/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_GUARD_H
#define REPLICATOR_TUNNEL_CC_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * The guard over a configured rate: where the path shows by its queue that it is narrower
 * than configured, or shared, the rate is found as with "auto" until the path takes the
 * configured one for a while. So it is where the path, or the receiver, has no queue and
 * drops much more than it loses by itself.
 */
#define CC_GUARD_NS (20 * RT_MS) /* a queue at a configured rate: this, or RTT/4, */
#define CC_GUARD_AFTER_NS (250 * RT_MS) /* for so long */
#define CC_GUARD_LOSS 0.2		/* a round's loss beyond the non-congestive: this, */
#define CC_GUARD_LOSS_AFTER_NS RT_S	/* for so long */
#define CC_GUARD_CLEAR_NS (10 * RT_S)	/* no queue for so long at the full rate: over */

struct cc_guard {
	bool active;
	rt_time since; /* a queue since then; active: none since then */
	/* Rounds of heavy loss, and when the first was over: an outage makes one. */
	unsigned heavy;
	rt_time dropping;
	uint64_t trips;
};

/* A rate was configured anew. `trips` stays. */
void cc_guard_reset(struct cc_guard *g, rt_time now);

struct cc_guard_round {
	double offered, cap; /* datagrams per second: sent, and configured */
	int64_t queue_ns;    /* that stood through the whole round */
	int64_t base_ns;
	bool heavy_loss;
};

/* Whether a round lost more than a path that loses `share` by itself does by chance. */
static inline bool cc_guard_heavy(double sent, double lost, double share)
{
	return lost > (share + CC_GUARD_LOSS) * sent;
}

/* A round at the configured rate is over; true: the guard has become active. */
bool cc_guard_trips(struct cc_guard *g, const struct cc_guard_round *r, rt_time now);
/*
 * A round with the guard active is over, in which the path passed `rate`; `shared`: the
 * queue is somebody else's. True: it is not active any more.
 */
bool cc_guard_clears(struct cc_guard *g, double rate, double cap, bool shared,
		     rt_time now);

#endif
