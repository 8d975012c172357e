/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_ONWIRE_H
#define REPLICATOR_TUNNEL_ONWIRE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The watermark `onwire`, in symbols. With, for a symbol s that is not confirmed,
 *
 *	before(s)  = repairs made before s was first sent
 *	failed(s)  = unconfirmed symbols up to s whose own leaving was not proven
 *	left(q)    = repairs after the q-th that have provably left (evidence.h)
 *
 * s is covered when left(before(s)) >= m + failed(s): each of its m repairs spans the
 * whole window, and each symbol that may still lie in this host eats one.
 *
 * A deficit d, reported by the acknowledgement of a datagram behind the last of the m
 * repairs of the first missing symbol b, holds every symbol from b on until d + m repairs
 * made after that datagram, while b was in the window, have left; or b is confirmed.
 *
 * `wire` is the count of leading symbols that are covered and not held. `opened` follows
 * it while the line is proven and stands still while it is not: the gate never opens on a
 * timeout.
 */
struct onwire {
	uint64_t wire, opened;
	bool held;
	uint64_t held_symbol;	   /* b */
	uint64_t held_repairs;	   /* made up to the datagram that was acknowledged */
	uint64_t held_deficit;	   /* d */
	uint32_t failed;	   /* unconfirmed symbols of failed trains, so far */
	uint32_t failed_confirmed; /* those of them that are confirmed now */
};

#endif
