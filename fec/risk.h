/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_RISK_H
#define FEC_RISK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A path as the risk model sees it (Gilbert, "Capacity of a burst-noise channel", 1960):
 * two states, each datagram of the bad one is lost.
 */
struct fec_path {
	double loss;  /* probability that a datagram is lost, 0 <= loss < 1 */
	double burst; /* mean length of a run of losses, in datagrams, 1 .. FEC_BURST_MAX;
		       * up to 1 / (1 - loss) each is lost independently */
};

#define FEC_BURST_MAX 1024.0
#define FEC_SHARE_MIN (1.0 / 128) /* repairs per data symbol that can be modelled */

#define FEC_RISK_REPAIRS_MIN 3
/* A window of FEC_WINDOW_MAX symbols has no more repairs at a share of a half. */
#define FEC_RISK_REPAIRS_MAX 512
/* What is stated is this many times what the model finds: docs/fec.md says why. */
#define FEC_RISK_MARGIN 1.5

bool fec_path_valid(const struct fec_path *path);

/*
 * The share of disasters in which at least one completed `network` write is missing from
 * the mirror's prefix, when a write completes once `repairs` fresh repairs that cover it
 * have left and `share` repairs are sent per data symbol while data flows. A disaster:
 * the site and what is not on the path yet vanish at a random instant of a busy period.
 * Model: age of the decoder's busy period on a Gilbert path (Markov chain, window
 * unlimited), times FEC_RISK_MARGIN. Repairs that leave sooner than the share asks for,
 * back to back when the queue runs dry, leave no more. -EINVAL for arguments out of range;
 * else 0 and *ret in 0..1: 1 where losses come nearly as fast as repairs.
 */
int fec_risk_residual(const struct fec_path *path, unsigned repairs, double share,
		      double *ret);

/*
 * The smallest number of covering repairs (at least FEC_RISK_REPAIRS_MIN) whose residual
 * risk is at most `safety`. -EINVAL as above, -ERANGE when FEC_RISK_REPAIRS_MAX would
 * not reach it.
 */
int fec_risk_repairs(const struct fec_path *path, double safety, double share,
		     unsigned *ret);

/*
 * The window that keeps each symbol until its repairs have left while data flows:
 * W >= 2 * repairs / share (see docs), at least 16.
 */
unsigned fec_risk_window(unsigned repairs, double share);

#endif
