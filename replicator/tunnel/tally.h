/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_TALLY_H
#define REPLICATOR_TUNNEL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

struct replay;

/*
 * What did not come, as the receiving end sees it: for the sender's estimate of how much
 * its line loses and in how long runs. A packet number is settled when a higher or equal
 * one came more than TALLY_SETTLE_NS ago, so a line that reorders within that time loses
 * nothing by it; what comes later than that was of no use and counts as missing.
 *
 *	firsts  = data datagrams with numbers up to `settled` that came in time and were
 *		  sent for the first time
 *	missing = numbers up to `settled`, of all types, that did not come in time
 *	runs	= maximal runs of successive numbers among them; one that has not ended at
 *		  `settled` is counted already, and its rest will not be again
 *	gap	= the longest of those that ended in the newest turn in which one of at least
 *		  TALLY_GAP_MIN numbers did: `gap_end` came again. Only the sender knows
 *		  how long it lasted, and whether the line was rather cut than lossy.
 */
#define TALLY_SETTLE_NS (20 * RT_MS)
#define TALLY_GAP_MIN 8

struct tally {
	uint64_t settled, firsts, missing, runs;
	uint64_t gap_first, gap_end; /* 0, 0: there was none */
	uint64_t mark; /* highest that had come at `turned`: settled by the next turn */
	uint64_t upto; /* firsts up to `mark` */
	uint64_t came; /* firsts */
	rt_time turned;
	bool running; /* `settled` itself is missing, */
	uint64_t run; /* and all from this one on */
};

void tally_init(struct tally *t, rt_time now);
/* A datagram has come. It may be in `replay` or not yet: that settles a leap later. */
void tally_turn(struct tally *t, const struct replay *replay, rt_time now);
/* It was data, for the first time. After tally_turn(). */
void tally_first(struct tally *t, uint64_t number);

#endif
