/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_BLOCKS_H
#define REPLICATOR_TUNNEL_BLOCKS_H

struct fec_path;
struct fec_params;

/*
 * m for a code of blocks (FEC_LAYERED, FEC_RS), from above. `flight` symbols may be on the
 * path when the path is cut, and a symbol that cannot be rebuilt hides all behind it. On a
 * path that loses each datagram with probability p,
 *
 *	rs:	 a block is lost if more than m of its r + m are: flight / r blocks
 *	layered: a symbol is lost if it is, and in each of its m sums one of the others, or the
 *		 sum: p (1 - (1 - p)^r)^m, flight times. Peeling further does better.
 *
 * Neither spreads its repairs over a burst by design, so on a path with bursts m is
 * BLOCKS_NEVER, and onwire is what was received.
 */
#define BLOCKS_NEVER 65535u
#define BLOCKS_BURST 1.05 /* mean length up to which losses pass for independent */
unsigned blocks_repairs(const struct fec_params *code, const struct fec_path *path,
			double safety, double flight);

#endif
