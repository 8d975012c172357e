/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_REPLAY_H
#define REPLICATOR_TUNNEL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The numbers received so far, as a sliding window of bits below the highest one
 * (after RFC 6479). Invariant: every number n with highest - size < n <= highest has its
 * bit; all below count as received.
 */
#define REPLAY_MIN 65536u
#define REPLAY_MAX (1u << 20)

struct replay {
	uint64_t highest;
	uint64_t *bits; /* owned */
	uint64_t size;	/* a power of two */
};

/* At least `want` numbers, within the bounds above. 0 or -ENOMEM. */
int replay_init(struct replay *r, uint64_t want);
void replay_release(struct replay *r);
/* Whether `number` comes for the first time; it has come now. */
bool replay_take(struct replay *r, uint64_t number);

/* Whether `number` has come; of those below highest - size nothing is known. */
bool replay_has(const struct replay *r, uint64_t number);

#endif
