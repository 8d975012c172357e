/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_TALLY_H
#define REPLICATOR_TUNNEL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

struct replay;

/*
 * The receiving end counts losses for the sender's estimate of loss and burst. A packet
 * number is decided when a higher or equal one was received more than TALLY_REO_WND_NS ago:
 * reordering within that time is no loss, and a datagram that arrives later was of no use
 * and counts as missing.
 *
 *	originals = data datagrams with numbers up to `decided` that were received in time
 *		  and are no retransmissions
 *	missing = numbers up to `decided`, of all types, that were not received in time
 *	bursts	= maximal runs of successive numbers among them; one that has not ended at
 *		  `decided` is counted already, and its rest will not be
 *	gap	= the longest of those that ended in the newest turn in which one of at least
 *		  TALLY_GAP_MIN numbers did: `gap_end` was received. Only the sender knows
 *		  how long it lasted, and whether the path was cut rather than lossy.
 */
#define TALLY_REO_WND_NS (20 * RT_MS)
#define TALLY_GAP_MIN 8

struct tally {
	uint64_t decided, originals, missing, bursts;
	uint64_t gap_first, gap_end; /* 0, 0: there was none */
	uint64_t mark;	   /* highest received at `turned`: decided by the next turn */
	uint64_t upto;	   /* originals up to `mark` */
	uint64_t received; /* originals */
	rt_time turned;
	bool running; /* `decided` itself is missing, */
	uint64_t run; /* and all from this one on */
};

void tally_init(struct tally *t, rt_time now);
/* A datagram was received. `replay` may have it or not yet: that decides a leap later. */
void tally_turn(struct tally *t, const struct replay *replay, rt_time now);
/* It was data, for the first time. After tally_turn(). */
void tally_first(struct tally *t, uint64_t number);

#endif
