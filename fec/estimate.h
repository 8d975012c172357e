/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_ESTIMATE_H
#define FEC_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/risk.h"
#include "rt/time.h"

/*
 * What a path loses, from what acknowledgements say of datagrams that were sent for the
 * first time: upper bounds of loss and burst length that rise at once and fall slowly.
 * Losses that are not the path's do not count: what the receiver's socket dropped, and
 * what was lost while our own sending filled a queue.
 *
 * The bound of the loss holds with 99 %, that of the burst length with 95 % once there
 * were some ten runs (before, it is at most twice the mean seen), both on a path that stays
 * as it is. Burst is 1 while runs are no longer than independent losses make them.
 */
struct fec_counts {
	double sent, lost, bursts;
};

struct fec_estimate {
	/* private */
	struct fec_counts quick,
		slow; /* decayed: of the last thousand, of the last minute */
	rt_time at;
	bool known, decided;
	struct fec_path level; /* the plain estimate; falls slowly */
	struct fec_path upper;
};

/* What became of the datagrams between two acknowledgements. */
struct fec_sample {
	uint64_t sent; /* datagrams whose fate is known now */
	uint64_t lost; /* of these, by the path */
	/* Bursts of losses; one that goes on from the sample before counts there only. */
	uint64_t bursts;
	bool congested; /* they were lost while a queue that we fill was long */
};

void fec_estimate_init(struct fec_estimate *e);
/*
 * Take one in; what cannot be (more lost than sent, more runs than lost) is clipped. A
 * congested sample says nothing of the path: it changes nothing.
 */
void fec_estimate_add(struct fec_estimate *e, const struct fec_sample *sample,
		      rt_time now);
/* Upper bounds of the path; *mean (may be NULL): the plain estimates, for status. False
 * (and nothing written) before there is enough to say anything. */
bool fec_estimate_path(const struct fec_estimate *e, struct fec_path *upper,
		       struct fec_path *mean);

#endif
