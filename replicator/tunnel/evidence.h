/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_EVIDENCE_H
#define REPLICATOR_TUNNEL_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/tunnel/tunnel.h"
#include "rt/time.h"

struct wire_gate_batch;

/*
 * Which symbols and repairs have provably left this host.
 *
 * Datagrams leave in trains. A train's first datagram carries a stamp and its last one,
 * the fence, another (a train of one datagram has one stamp for both). The driver reports
 * the stamps of what it took. A queue that drops from its tail cannot stamp the fence of a
 * train it has cut, one that drops from its head cannot stamp the first; so a train has
 * left when both stamps are in. But what is between the two may be refused on its own, by
 * a queue that is full for a moment or a socket without room, or be sent late, when the
 * kernel did not cut it: so the kernel's word on every send of the train must be in, too.
 * A train with a send that failed has failed, and so has one whose stamps are not in after
 * a bound: its repairs never count, and each of its symbols eats one repair more.
 *
 * The kernel refuses a message of many datagrams as one and names none of them, and with
 * the message fails all of its train. So behind a refusal trains are short for a while:
 * what fails with it is little more than what was refused.
 *
 * Trains are resolved in the order in which they were sent.
 */
#define EVIDENCE_TRAINS 256
#define EVIDENCE_TRAIN_MAX 45 /* datagrams: 64 KiB in one message, then the fence */
/* Where 500 us of the rate are more than that: four messages, then the fence. */
#define EVIDENCE_TRAIN_LONG 177
#define EVIDENCE_TRAIN_NS (500 * RT_US)
#define EVIDENCE_TRAIN_MIN 8 /* behind a refusal; each that leaves adds one again */
#define EVIDENCE_BOUND_NS (10 * RT_MS)
#define EVIDENCE_BOUND_MAX_NS RT_S
#define EVIDENCE_LINGER_NS (200 * RT_US) /* an open train with nothing behind it */
#define EVIDENCE_OVERTAKEN 2   /* trains behind one that are through: it has failed */
#define EVIDENCE_BLIND 8       /* trains that arrived without any stamp: there are none */
#define EVIDENCE_BLIND_NS RT_S /* and that for so long, of a relay at the border */

struct train {
	rt_time sent; /* of its newest datagram */
	/* Made up to its end. */
	uint64_t symbols, repairs, blocks;
	uint64_t newest; /* one above the newest symbol in any of its repairs */
	uint64_t number; /* of its newest datagram */
	uint32_t datagrams, echoes, echoed; /* echoes: that are to come */
	uint32_t first_stamp, fence_stamp;
	bool first_left, fence_left, closed;
	bool unsent; /* the kernel did not take all of it */
};

struct evidence {
	enum tunnel_evidence level;
	struct train trains[EVIDENCE_TRAINS];
	uint64_t head, tail; /* trains not resolved: head .. tail - 1 */
	uint32_t next_stamp;
	uint32_t train_max; /* datagrams of a train */
	int64_t bound_ns, delay_ns;
	unsigned failures; /* trains in a row */
	uint32_t longest;  /* datagrams in a train, behind refusals */
	uint64_t
		resolved; /* number of the newest datagram of the newest train resolved */
	uint64_t complete; /* one above the newest train with both stamps */
	uint64_t arrived;  /* highest packet number that the other side has */
	uint64_t lent;	   /* the kernel's word is in on all below this packet number */
	unsigned blind;	   /* failed trains that arrived */
	rt_time blind_since;
	bool blinded; /* there are no stamps to be had */
	bool stamped; /* there has been a stamp */
};

/* What was just sent, in totals. */
struct evidence_sent {
	uint64_t number, symbols, repairs, blocks;
	uint64_t newest; /* a repair: one above the newest symbol in it; else 0 */
	bool last;	 /* nothing follows at once */
	bool probe;	 /* a fence that no relay echoes */
	rt_time now;
};

void evidence_init(struct evidence *e, enum tunnel_evidence level);

/* What is sent from now on is paced at this rate (0: not at all). */
void evidence_set_rate(struct evidence *e, uint64_t rate_bps);

/* A data or repair datagram, or a probe as fence, goes out; returns the stamp it needs, or 0. */
uint32_t evidence_add(struct evidence *e, const struct evidence_sent *sent);
void evidence_stamp(struct evidence *e, uint32_t stamp, rt_time now);
/* What the kernel says to sends: as tunnel_lent() and tunnel_unsent(). */
void evidence_lent(struct evidence *e, uint64_t oldest);
void evidence_unsent(struct evidence *e, uint64_t first, uint64_t last);
/*
 * TUNNEL_EDGE, instead of stamps: the relay at the border has passed on the datagram with
 * this packet number. Each is called for once; a train has left when all of its have, but
 * for a probe.
 */
void evidence_echo(struct evidence *e, uint64_t number, rt_time now);
/*
 * The other side has a datagram up to `number`. Where trains arrive and no stamp ever
 * comes, the device gives none: the level falls to TUNNEL_MIRROR.
 */
void evidence_arrived(struct evidence *e, uint64_t number);

/* The oldest train, if it is now resolved; call until false. */
bool evidence_resolve(struct evidence *e, rt_time now, struct wire_gate_batch *ret);
/* When the oldest train will have failed, or RT_NEVER. */
rt_time evidence_deadline(const struct evidence *e);
/* The newest train waits for a fence, since long enough ago. */
bool evidence_wants_fence(const struct evidence *e, rt_time now);
/* From when on that will be so, or RT_NEVER. */
rt_time evidence_fence_at(const struct evidence *e);

#endif
