/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CUBIC_H
#define REPLICATOR_TUNNEL_CUBIC_H

#include <stdint.h>

#include "rt/time.h"

/*
 * The window of CUBIC (RFC 9438), in datagrams: how much is in flight while we share a
 * queue with somebody who fills it. It is the law by which today's TCP shares, so that is
 * what a TCP beside us meets. What counts as a loss is the caller's business.
 */
#define CUBIC_C 0.4
#define CUBIC_BETA 0.7
#define CUBIC_MIN 8.0

struct cubic {
	double window;
	double max;	 /* where the last loss was, after fast convergence */
	double prior;	 /* where it was, whatever fast convergence says */
	double begin;	 /* where it began to grow */
	double estimate; /* what Reno would have by now */
	rt_time epoch;	 /* since when it grows */
};

/* Begin at `window` with the plateau at `max`. */
void cubic_init(struct cubic *c, double window, double max, rt_time now);
/* A round trip of `rtt_ns` is over in which the window was used. */
void cubic_grow(struct cubic *c, int64_t rtt_ns, rt_time now);
/* Congestion; call it once per round trip. */
void cubic_lose(struct cubic *c, rt_time now);
/* The window was not used for `ns`: that time does not count. */
void cubic_pause(struct cubic *c, int64_t ns);
/*
 * No more than `used` was in flight of late: a larger window is not valid any more (as in
 * RFC 2861). It begins there, and grows to the old plateau as after a loss.
 */
void cubic_confine(struct cubic *c, double used, rt_time now);

#endif
