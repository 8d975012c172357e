/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_WIRE_GATE_H
#define REPLICATOR_TUNNEL_WIRE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/fec.h"
#include "fec/redundancy.h"

/*
 * Which symbols count as safely under way. Pure: events in, queries out; it knows neither
 * the tunnel nor the time. Nobody else touches its fields.
 *
 * With repairs of the window numbered as they are made, and for a symbol s that is not
 * confirmed:
 *
 *	before(s)  = repairs made before s was first sent
 *	failed     = unconfirmed symbols of send batches that have failed
 *	left(q)    = repairs after the q-th that have provably left (evidence.h)
 *	base(s)    = max(symbols that were ready when s was first sent, confirmed)
 *	n(s)       = symbols of resolved batches from base(s) on
 *
 * A window's symbol s is covered when its batch is resolved and
 *
 *	left(before(s)) >= m(n(s)) + failed
 *
 * where only repairs count that were made while s was in the window. Each of these spans
 * the whole window, and each symbol that may still lie in this host takes one of them.
 * What lies below base(s) was safe by repairs that had left before s was sent, so the
 * repairs counted for s have only n(s) symbols to make good (docs/fec.md has the proof).
 *
 * A symbol of blocks (layered, rs) is covered when m repairs that cover it have left. A
 * block repair counts only if none of its symbols is of a batch that has failed.
 *
 * The paper's policy, for comparison: up to the newest symbol that any repair which has left
 * includes; without repairs, up to the first symbol whose own batch has not left.
 *
 * `ready` counts the leading symbols that are covered and not blocked by a deficit. The
 * watermark follows it while the path is proven and stands still while it is not: the gate
 * never opens on a timeout.
 */
#define WIRE_GATE_REPAIRS 4096u /* whose leaving is remembered one by one */
#define WIRE_GATE_HEADS 4096u /* of block repairs not resolved; older ones never count */

/* What is asked for, by the code and the goal in force. */
struct wire_gate_rule {
	enum fec_code code;
	bool paper;				 /* the prototype's policy */
	unsigned repairs;			 /* m */
	uint16_t isolated[FEC_ISOLATED_MAX + 1]; /* m(n) */
	unsigned covers; /* blocks: repairs that each symbol gets, */
	uint64_t span;	 /* within so many symbols behind it at most */
};

/* The proof half of a symbol. */
struct wire_gate_proof {
	uint64_t repairs;  /* of the window, made before it was first sent */
	uint64_t left_at;  /* the same when it left the window; `repairs`: never in one */
	uint64_t base;	   /* symbols below this were safe when it was first sent */
	uint64_t promised; /* packet number up to which all was resolved when it was first
			    * covered, with all before it; or 0 */
	uint64_t covering; /* packet number of the newest block repair that covers it, */
	uint64_t enough;   /* and of the one with which it had m; or of the newest */
	uint32_t failed;   /* symbols of failed batches up to this one, in total */
	uint16_t covers_made, covers_left; /* block repairs that cover it */
	bool unproven;			   /* its batch has failed */
};

struct wire_gate_head {
	uint64_t first;
	uint16_t count, stride;
};

/* What is remembered of repairs, each in a ring by its ordinal. */
struct wire_gate_memory {
	struct wire_gate_head heads[WIRE_GATE_HEADS]; /* of blocks */
	uint64_t left[WIRE_GATE_REPAIRS]; /* of the window's 1 .. q, how many left */
};

/* Combinations are missing at the other side: symbols from `symbol` on are blocked. */
struct wire_gate_deficit {
	bool blocks;
	bool promised;	  /* also all that made `symbol` ready was acknowledged */
	uint64_t symbol;  /* the first one that is missing */
	uint64_t repairs; /* made up to the datagram that was acknowledged */
	uint64_t missing; /* combinations */
};

struct wire_gate {
	struct wire_gate_rule rule;
	bool evidence;	   /* there is some; else the watermark is `confirmed` */
	uint32_t capacity; /* symbols sent and not confirmed, at most */
	struct wire_gate_proof *proofs;	 /* owned; ring by the symbol's number */
	struct wire_gate_memory *memory; /* owned */
	uint64_t confirmed, sent;	 /* symbols */
	uint64_t window;		 /* first symbol in the window; `sent`: none is */
	uint64_t repairs, blocks;	 /* made, of the window and of blocks */
	/* Resolved: */
	uint64_t number; /* the newest datagram */
	uint64_t resolved_symbols, resolved_repairs, resolved_blocks;
	uint64_t left;	 /* repairs of the window that have left */
	uint64_t newest; /* one above the newest symbol in a repair that has left */
	/* Symbols below were sent when nothing proved their leaving, or under another rule:
	 * those of them that are not ready wait to be confirmed. */
	uint64_t floor;
	uint64_t ready, watermark;
	uint64_t reached; /* leading symbols that were covered, also behind a hole */
	uint32_t failed;  /* symbols of failed batches, so far */
	uint32_t failed_confirmed; /* those of them that are confirmed now */
	struct wire_gate_deficit deficit;
};

/* For so many symbols under way. 0 or -ENOMEM. */
int wire_gate_init(struct wire_gate *g, uint32_t capacity);
void wire_gate_release(struct wire_gate *g);

/* ---- events ------------------------------------------------------------------------- */

/* m, m(n) or the code follow the path: what is not ready is judged by this from now on. */
void wire_gate_follow(struct wire_gate *g, const struct wire_gate_rule *rule);
/* Another rule was chosen: what is sent and not ready has its repairs by the old one. */
void wire_gate_choose(struct wire_gate *g);
/* Whether leaving is proven at all. */
void wire_gate_set_evidence(struct wire_gate *g, bool evidence);

/* The next symbol is sent for the first time; `window` is the first one in the window. */
void wire_gate_sent(struct wire_gate *g, uint64_t window);
/* Symbols below `window` are in the window no more: no repair covers them from now on. */
void wire_gate_window(struct wire_gate *g, uint64_t window);
/* A repair of the window is made; a block repair is, and leaves in packet `number`. */
void wire_gate_repair(struct wire_gate *g);
void wire_gate_block(struct wire_gate *g, const struct fec_repair *repair,
		     uint64_t number);

/* The next send batch is resolved: totals up to its end. */
struct wire_gate_batch {
	uint64_t number; /* of its newest datagram */
	uint64_t symbols, repairs, blocks;
	uint64_t newest; /* one above the newest symbol in any of its repairs; or 0 */
	bool left;	 /* or it has failed */
};
void wire_gate_resolved(struct wire_gate *g, const struct wire_gate_batch *batch);

/* The other side has all symbols below `below`. */
void wire_gate_confirmed(struct wire_gate *g, uint64_t below);
/* An acknowledgement that none has overtaken, after wire_gate_confirmed(). */
struct wire_gate_report {
	uint64_t largest; /* packet number */
	uint64_t repairs; /* of the window, made up to that one */
	uint64_t deficit; /* combinations that are missing there */
	uint64_t outside; /* missing symbols that are in no window */
	bool lost;	  /* a datagram of what is missing must be lost */
};
void wire_gate_acknowledged(struct wire_gate *g, const struct wire_gate_report *report);

/* After events: move the watermark. `proven`: the path is. */
void wire_gate_update(struct wire_gate *g, bool proven);

/* ---- queries ------------------------------------------------------------------------ */

/* Leading symbols that are on the wire. */
static inline uint64_t wire_gate_watermark(const struct wire_gate *g)
{
	return g->watermark;
}
/* Leading symbols that are covered and not blocked, whether the path is proven or not. */
static inline uint64_t wire_gate_ready(const struct wire_gate *g)
{
	return g->ready;
}
/* A repair made now covers symbol `number`, which is not confirmed. */
static inline bool wire_gate_in_window(const struct wire_gate *g, uint64_t number)
{
	return number >= g->window && number < g->sent;
}
/* Block repairs made so far. */
static inline uint64_t wire_gate_blocks(const struct wire_gate *g)
{
	return g->blocks;
}
/* Symbol `number` has left with its repairs: it may leave the window. */
bool wire_gate_covered(const struct wire_gate *g, uint64_t number);
/* Repairs that must still be made so that every symbol below `below` can have its m. */
uint64_t wire_gate_lacking(const struct wire_gate *g, uint64_t below);
/*
 * A repair that covers symbol `number`, which is in no window, may still arrive: the other
 * side has only what was sent up to the window's repair `repairs`; or data follows that will
 * fill its block.
 */
bool wire_gate_coming(const struct wire_gate *g, uint64_t number, uint64_t repairs,
		      bool data_follows);
/* Packet number of the newest block repair that covers symbol `number`; 0: none. */
uint64_t wire_gate_covering(const struct wire_gate *g, uint64_t number);
/* Repairs of the window after the q-th that have left; and those not resolved besides. */
uint64_t wire_gate_left(const struct wire_gate *g, uint64_t after);
uint64_t wire_gate_promised(const struct wire_gate *g, uint64_t after);

#endif
