/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_ESTIMATE_H
#define FEC_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/risk.h"
#include "rt/time.h"

/*
 * What a line loses, from what acknowledgements say of datagrams that were sent for the
 * first time: upper bounds of loss and burst length that rise at once and fall slowly.
 * Losses that are not the line's are kept apart: what the receiver's socket dropped, and
 * what was lost while our own sending filled a queue.
 */
struct fec_estimate {
	/* private */
	double lost, sent, runs;		/* decayed counts */
	double slow_lost, slow_sent, slow_runs; /* the same over a longer time */
	rt_time at;
	struct fec_line upper;
};

/* What became of the datagrams between two acknowledgements. */
struct fec_sample {
	uint64_t sent;	/* datagrams whose fate is known now */
	uint64_t lost;	/* of these, by the line */
	uint64_t runs;	/* runs of successive losses among them */
	bool congested; /* they were lost while a queue that we fill was long */
};

void fec_estimate_init(struct fec_estimate *e);
void fec_estimate_add(struct fec_estimate *e, const struct fec_sample *sample,
		      rt_time now);
/* Upper bounds of the line; *mean (may be NULL): the plain estimates, for status. False
 * (and nothing written) before there is enough to say anything. */
bool fec_estimate_line(const struct fec_estimate *e, struct fec_line *upper,
		       struct fec_line *mean);

#endif
