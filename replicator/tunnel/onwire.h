/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_ONWIRE_H
#define REPLICATOR_TUNNEL_ONWIRE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The watermark `onwire`, in symbols. With, for a symbol s that is not confirmed,
 *
 *	before(s)  = repairs made before s was first sent
 *	failed     = unconfirmed symbols whose own leaving was not proven
 *	left(q)    = repairs after the q-th that have provably left (evidence.h)
 *	base(s)    = max(wire when s was first sent, confirmed)
 *	n(s)       = symbols that are known to have left or not, from base(s) on
 *
 * s is covered when left(before(s)) >= m(n(s)) + failed: each of its repairs spans the
 * whole window, and each symbol that may still lie in this host eats one. m(n) is m in a
 * busy period, and less while n is small: what is below base(s) was safe by repairs that
 * left before s was sent, so those counted for s have only n symbols to make good, and
 * what little the others leave to be desired.
 *
 * With a code of blocks s is covered when m repairs that cover it have left (cover.h).
 * The paper's policy, for comparison: wire is one above the newest symbol that any repair
 * which has left includes; without repairs, the symbols whose own train has left.
 *
 * A deficit d, reported by the acknowledgement of a datagram behind the last of the
 * repairs that opened for the first missing symbol b, holds every symbol from b on until d + m repairs
 * made after that datagram, while b was in the window, have left; or b is confirmed.
 *
 * `wire` is the count of leading symbols that are covered and not held. `opened` follows
 * it while the line is proven and stands still while it is not: the gate never opens on a
 * timeout.
 */
struct onwire {
	uint64_t wire, opened;
	bool held;
	bool held_passed; /* also what had opened for it is behind what was acknowledged */
	uint64_t held_symbol;	   /* b */
	uint64_t held_repairs;	   /* made up to the datagram that was acknowledged */
	uint64_t held_deficit;	   /* d */
	uint32_t failed;	   /* unconfirmed symbols of failed trains, so far */
	uint32_t failed_confirmed; /* those of them that are confirmed now */
};

#endif
