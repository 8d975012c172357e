/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_RISK_H
#define FEC_RISK_H

#include <stdint.h>

/* A line as the risk model sees it. */
struct fec_line {
	double loss;  /* probability that a datagram is lost, 0 <= loss < 1 */
	double burst; /* mean length of a run of losses, >= 1; 1 = independent */
};

#define FEC_RISK_REPAIRS_MIN 3
#define FEC_RISK_REPAIRS_MAX 64

/*
 * The share of disasters in which at least one completed `network` write is missing from
 * the mirror's prefix, when a write completes once `repairs` fresh repairs that cover it
 * have left and `share` repairs are sent per data symbol while data flows. A disaster:
 * the site and what is not on the line yet vanish at a random instant of a busy period.
 * Model: distribution of the decoder's deficit over a busy period (Markov chain, window
 * unlimited, independent loss). -EINVAL for arguments out of range or burst > 1, which
 * this version does not model; else 0 and *ret in 0..1.
 */
int fec_risk_residual(const struct fec_line *line, unsigned repairs, double share,
		      double *ret);

/*
 * The smallest number of covering repairs (at least FEC_RISK_REPAIRS_MIN) whose residual
 * risk is at most `safety`. -EINVAL as above, -ERANGE when FEC_RISK_REPAIRS_MAX would
 * not reach it.
 */
int fec_risk_repairs(const struct fec_line *line, double safety, double share,
		     unsigned *ret);

/*
 * The window that keeps each symbol until its repairs have left while data flows:
 * W >= 2 * repairs / share (see docs), at least 16.
 */
unsigned fec_risk_window(unsigned repairs, double share);

#endif
