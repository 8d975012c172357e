/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_COVER_H
#define REPLICATOR_TUNNEL_COVER_H

#include <stdint.h>

/*
 * Which repairs cover a symbol, by the kind of its code.
 *
 * FEC_WINDOW: each repair covers all that was sent before it, as far as the window
 * reaches; so an ordinal per symbol is enough (onwire.h).
 *
 * Blocks (FEC_LAYERED, FEC_RS): each symbol counts the repairs that cover it. The head of
 * a repair is kept until its train is resolved; when that has left, it counts for each
 * symbol it covers, unless one of them is of a train that has failed: such a repair may
 * have to make good what never left.
 */
#define COVER_HEADS 4096u /* of block repairs not resolved; older ones never count */

struct cover_head {
	uint64_t first;
	uint16_t count, stride;
};

struct cover {
	struct cover_head *heads; /* owned; ring by the repair's ordinal */
	uint64_t made;		  /* block repairs sent: the newest one's ordinal */
	uint64_t newest;	  /* one above the newest symbol in a repair that left */
	/* Symbols below were sent when nothing proved their leaving, or under another rule:
	 * what is not on the wire of them waits to be confirmed. */
	uint64_t floor;
};

/* 0 or -ENOMEM. */
int cover_init(struct cover *c);
void cover_release(struct cover *c);

#endif
