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
 * Datagrams leave in send batches. The first datagram of a send batch asks for a TX
 * timestamp, and so does its last one, the closing datagram; a send batch of one datagram
 * has one timestamp for both. The driver reports the timestamps of what it took. A queue
 * that drops from its tail cannot timestamp the closing datagram of a send batch that it
 * has cut, and one that drops from its head cannot timestamp the first; so a send batch
 * has left when both timestamps are in. A full queue or a socket without room may refuse
 * what lies between the two, and the kernel may send it late when it did not cut the
 * message: so the kernel's result of every send must be in, too. A send batch has failed
 * when one of its sends has, or when its timestamps are not in after a bound: its repairs
 * never count, and each of its symbols takes one repair more.
 *
 * The kernel refuses a message of many datagrams as one and names none of them, so with
 * the message the whole send batch fails. Behind a refusal send batches are short for a
 * while, and what fails with the next one is little more than what was refused.
 *
 * Send batches are decided in the order in which they were sent.
 */
#define EVIDENCE_BATCHES 256
/* Datagrams: 64 KiB in one message, then the closing datagram. */
#define EVIDENCE_BATCH_MAX 45
/* Where 500 us of the rate are more: four messages, then the closing datagram. */
#define EVIDENCE_BATCH_LONG 177
#define EVIDENCE_BATCH_NS (500 * RT_US)
#define EVIDENCE_BATCH_MIN 8 /* behind a refusal; each that leaves adds one again */
#define EVIDENCE_BOUND_NS (10 * RT_MS)
#define EVIDENCE_BOUND_MAX_NS RT_S
#define EVIDENCE_LINGER_NS (200 * RT_US) /* an open send batch with nothing behind it */
#define EVIDENCE_OVERTAKEN 2 /* send batches behind one that are through: it has failed */
/* Send batches that arrived without any timestamp: there are none. */
#define EVIDENCE_BLIND 8
#define EVIDENCE_BLIND_NS RT_S /* and that for so long, of a relay at the border */

struct send_batch {
	rt_time sent; /* of its newest datagram */
	/* Made up to its end. */
	uint64_t symbols, repairs, blocks;
	uint64_t newest;	/* one above the newest symbol in any of its repairs */
	uint64_t first, number; /* of its first and of its newest datagram */
	uint32_t datagrams, echoes, echoed; /* echoes: that are to come */
	uint32_t first_timestamp, closing_timestamp;
	bool first_left, closing_left, closed;
	bool unsent; /* the kernel did not take all of it */
};

struct evidence {
	enum tunnel_evidence level; /* only evidence_choose() changes it */
	struct send_batch batches[EVIDENCE_BATCHES];
	uint64_t head, tail; /* send batches not resolved: head .. tail - 1 */
	uint32_t next_timestamp;
	uint32_t batch_max; /* datagrams of a send batch */
	int64_t bound_ns, delay_ns;
	unsigned failures; /* send batches in a row */
	uint32_t longest;  /* datagrams in a send batch, behind refusals */
	uint64_t resolved; /* number of the newest datagram that is decided */
	uint64_t complete; /* one above the newest send batch with both timestamps */
	uint64_t arrived;  /* highest packet number that the other side has */
	uint64_t lent;	   /* the kernel's word is in on all below this packet number */
	unsigned blind;	   /* failed send batches that arrived */
	rt_time blind_since;
	bool blinded;	  /* there are no timestamps to be had */
	bool timestamped; /* there has been a timestamp */
};

/* What was just sent, in totals. */
struct evidence_sent {
	uint64_t number, symbols, repairs, blocks;
	uint64_t newest; /* a repair: one above the newest symbol in it; else 0 */
	bool last;	 /* nothing follows at once */
	bool probe;	 /* a closing datagram that no relay echoes */
	rt_time now;
};

void evidence_init(struct evidence *e, enum tunnel_evidence level);
/* What counts from now on. TUNNEL_MIRROR for good once there are no timestamps to be had. */
void evidence_choose(struct evidence *e, enum tunnel_evidence level);
/* Something counts, so that batches leave before the other side reports them. */
static inline bool evidence_counts(const struct evidence *e)
{
	return e->level != TUNNEL_MIRROR;
}

/* What is sent from now on is paced at this rate (0: not at all). */
void evidence_set_rate(struct evidence *e, uint64_t rate_bps);

/*
 * A data or repair datagram, or a probe as closing datagram, goes out; returns the
 * timestamp it needs, or 0.
 */
uint32_t evidence_add(struct evidence *e, const struct evidence_sent *sent);
void evidence_timestamp(struct evidence *e, uint32_t timestamp, rt_time now);
/* What the kernel says to sends: as tunnel_lent() and tunnel_unsent(). */
void evidence_lent(struct evidence *e, uint64_t oldest);
void evidence_unsent(struct evidence *e, uint64_t first, uint64_t last);
/*
 * TUNNEL_EDGE, instead of timestamps: the relay at the border has passed on the datagram
 * with this packet number. Each is called for once; a send batch has left when all of its
 * have, but for a probe.
 */
void evidence_echo(struct evidence *e, uint64_t number, rt_time now);
/*
 * The other side has a datagram up to `number`. Where send batches arrive and no
 * timestamp ever comes, the device gives none: the level falls to TUNNEL_MIRROR.
 */
void evidence_arrived(struct evidence *e, uint64_t number);

/* The oldest send batch, if it is now resolved; call until false. */
bool evidence_resolve(struct evidence *e, rt_time now, struct wire_gate_batch *ret);
/* When the oldest send batch will have failed, or RT_NEVER. */
rt_time evidence_deadline(const struct evidence *e);
/* The newest send batch waits for a closing datagram, since long enough ago. */
bool evidence_wants_closing(const struct evidence *e, rt_time now);
/* From when on that will be so, or RT_NEVER. */
rt_time evidence_closing_at(const struct evidence *e);

#endif
