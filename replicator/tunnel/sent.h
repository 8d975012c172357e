/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_SENT_H
#define REPLICATOR_TUNNEL_SENT_H

#include <stdint.h>

#include "rt/time.h"

/*
 * What was sent under which packet number, for as long as an acknowledgement can say
 * something of use about it: a ring of the newest ones. Each entry carries the totals up
 * to and with itself, so that "how many after that one" is a subtraction.
 */
#define SENT_MIN 4096u
#define SENT_MAX (1u << 18)

struct sent_entry {
	uint64_t number; /* 0: none */
	rt_time at;
	uint64_t originals; /* data datagrams, first transmissions */
	uint64_t repairs;   /* repairs of the window; those of blocks are SENT_BLOCK */
	uint64_t eliciting; /* all but acknowledgements */
	uint64_t full;	    /* of these, all but small probes: as long as data is */
};

struct sent {
	struct sent_entry *ring; /* owned */
	uint64_t size;
	struct sent_entry last; /* totals; number of the newest datagram */
};

/* For at least `want` datagrams, within the bounds above. 0 or -ENOMEM. */
int sent_init(struct sent *s, uint64_t want);
void sent_release(struct sent *s);

enum sent_kind {
	SENT_FIRST,
	SENT_RETRANSMITTED,
	SENT_REPAIR,
	SENT_BLOCK,
	SENT_PROBE,
	SENT_PAD,
	SENT_ACK
};
/* The next datagram leaves now; its number is s->last.number. */
void sent_add(struct sent *s, enum sent_kind kind, rt_time now);
/* NULL when it is not remembered any more. */
const struct sent_entry *sent_find(const struct sent *s, uint64_t number);

#endif
