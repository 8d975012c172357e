/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_AUDIT_H
#define TESTS_UNIT_TUNNEL_AUDIT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/seal.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"

/*
 * An auditor of the gate. It opens the datagrams that have left the sender's host, counts
 * for each symbol the repairs that cover it, and knows nothing else of the sender but its
 * two watermarks. Frames fill one symbol each, so that watermarks count symbols.
 *
 * A symbol may count as on the wire when it is confirmed; or when, for a repair r that has
 * left, so many repairs up to r cover it and have left:
 *
 *	m(n) + symbols below the end of r that are not confirmed and have not left
 *
 * or when m repairs cover it that have left, and all symbols of these.
 */
#define AUDIT_SYMBOL 1408
#define AUDIT_FRAME (AUDIT_SYMBOL - 5) /* fills one symbol */
#define AUDIT_MOST 65536	       /* symbols, and repairs */

struct audit_symbol {
	bool left;
	uint64_t number; /* packet number of its first transmission */
	uint64_t base;	 /* symbols on the wire when that was made */
};

struct audit_repair {
	uint64_t number, first, end; /* end: one above the last symbol covered */
	uint16_t count, stride;
};

struct audit {
	struct seal *seal; /* owned */
	uint64_t id;	   /* of the tunnel: datagrams of others are not looked at */
	unsigned repairs;  /* m */
	const uint16_t *isolated; /* m(n) up to `lone_max`; NULL: m */
	unsigned lone_max;
	uint64_t onwire, received;
	uint64_t seen;		      /* symbols whose number is known */
	struct audit_symbol *symbols; /* owned */
	struct audit_repair *left;    /* owned; by packet number */
	unsigned nleft, front; /* those before `front` cover nothing that matters */
};

/* What the end sends that has these parameters. */
static inline void audit_init(struct audit *a, const struct tunnel_params *params)
{
	*a = (struct audit){ .id = params->id, .repairs = params->fec.repairs };
	rt_assert(params->symbol_size == AUDIT_SYMBOL);
	rt_assert(seal_new(params->secret, params->dialed, &a->seal) == 0);
	a->symbols = calloc(AUDIT_MOST, sizeof(*a->symbols));
	a->left = calloc(AUDIT_MOST, sizeof(*a->left));
	rt_assert(a->symbols != NULL && a->left != NULL);
}

static inline void audit_release(struct audit *a)
{
	seal_free(a->seal);
	free(a->symbols);
	free(a->left);
	*a = (struct audit){ 0 };
}

/* ---- what is seen of datagrams ------------------------------------------------------ */

/* A data or repair datagram: its packet number, else 0. */
static inline uint64_t audit_open(struct audit *a, const uint8_t *dgram, size_t len,
				  enum packet_type *type, struct packet_symbol *ret)
{
	uint8_t payload[TUNNEL_DATAGRAM_MAX];
	struct packet_data data;
	struct packet p;
	struct seal_text text = { .head = dgram,
				  .head_len = sizeof(struct packet_head),
				  .in = dgram + sizeof(struct packet_head),
				  .in_len = len - sizeof(struct packet_head) };

	if (packet_head_decode(dgram, len, AUDIT_SYMBOL, &p) != 0 || p.id != a->id ||
	    (p.type != PACKET_DATA && p.type != PACKET_REPAIR))
		return 0;
	rt_assert(seal_open(a->seal, p.suite, p.number, &text, payload) == 0);
	memcpy(&data, payload, sizeof(data));
	rt_assert(packet_data_decode(p.type, &data, ret) == 0);
	*type = p.type;
	return p.number;
}

/* A datagram is made. Needed for m(n) and audit_must() only. */
static inline void audit_made(struct audit *a, const uint8_t *dgram, size_t len)
{
	struct packet_symbol sym;
	enum packet_type type;
	uint64_t number = audit_open(a, dgram, len, &type, &sym);

	if (number == 0 || type != PACKET_DATA || sym.retransmitted)
		return;
	rt_assert(sym.symbol == a->seen && a->seen < AUDIT_MOST);
	a->symbols[a->seen].number = number;
	a->symbols[a->seen].base = a->onwire;
	a->seen++;
}

static inline void audit_repair_left(struct audit *a, uint64_t number,
				     const struct packet_symbol *sym)
{
	unsigned at = a->nleft++;

	rt_assert(a->nleft <= AUDIT_MOST);
	for (; at > 0 && a->left[at - 1].number > number; at--)
		a->left[at] = a->left[at - 1];
	if (at < a->front)
		a->front = at;
	a->left[at] = (struct audit_repair){
		.number = number,
		.first = sym->symbol,
		.end = sym->symbol + (uint64_t)sym->stride * (sym->count - 1u) + 1,
		.count = sym->count,
		.stride = sym->stride,
	};
}

/* A datagram has left the host. */
static inline void audit_left(struct audit *a, const uint8_t *dgram, size_t len)
{
	struct packet_symbol sym;
	enum packet_type type;
	uint64_t number = audit_open(a, dgram, len, &type, &sym);

	if (number == 0)
		return;
	rt_assert(sym.symbol < AUDIT_MOST);
	if (type == PACKET_DATA)
		a->symbols[sym.symbol].left = true;
	else
		audit_repair_left(a, number, &sym);
}

/* ---- the rule ------------------------------------------------------------------------ */

static inline bool audit_covers(const struct audit_repair *r, uint64_t s)
{
	return s >= r->first && s < r->end && (s - r->first) % r->stride == 0;
}

static inline uint64_t audit_needed(const struct audit *a, uint64_t s, uint64_t end)
{
	uint64_t base = a->symbols[s].base, n;

	if (base < a->received)
		base = a->received;
	n = end > base ? end - base : 1;
	return a->isolated != NULL && n <= a->lone_max ? a->isolated[n] : a->repairs;
}

/* All that a repair covers has left, or is confirmed. */
static inline bool audit_whole(const struct audit *a, const struct audit_repair *r)
{
	for (uint64_t s = r->first; s < r->end; s += r->stride)
		if (s >= a->received && !a->symbols[s].left)
			return false;
	return true;
}

static inline uint64_t audit_missing(const struct audit *a, uint64_t from, uint64_t to)
{
	uint64_t missing = 0;

	for (; from < to; from++)
		missing += !a->symbols[from].left;
	return missing;
}

/* Symbol s, which is not confirmed, may count as on the wire. */
static inline bool audit_may(const struct audit *a, uint64_t s)
{
	uint64_t end = s + 1, missing = audit_missing(a, a->received, end);
	unsigned cover = 0, whole = 0;

	if (audit_needed(a, s, end) + missing == 0)
		return true;
	for (unsigned i = a->front; i < a->nleft; i++) {
		const struct audit_repair *r = &a->left[i];

		if (!audit_covers(r, s))
			continue;
		whole += audit_whole(a, r);
		if (r->end > end) {
			missing += audit_missing(a, end, r->end);
			end = r->end;
		}
		if (++cover >= audit_needed(a, s, end) + missing || whole >= a->repairs)
			return true;
	}
	return false;
}

/*
 * The sender says that so many symbols are on the wire, and so many confirmed. True, or
 * false and *ret is a symbol that must not count yet. Symbols are judged when the watermark
 * passes them; that it may fall again is another rule.
 */
static inline bool audit_watermark(struct audit *a, uint64_t onwire, uint64_t received,
				   uint64_t *ret)
{
	uint64_t s = a->onwire > received ? a->onwire : received;

	a->received = received;
	while (a->front < a->nleft && a->left[a->front].end <= received)
		a->front++;
	for (; s < onwire; s++) {
		if (!audit_may(a, s)) {
			*ret = s;
			return false;
		}
	}
	a->onwire = onwire;
	return true;
}

/*
 * Symbols that must count as on the wire when all up to packet `number` is known to have
 * left: a gate that asks for more costs its users time.
 */
static inline uint64_t audit_must(const struct audit *a, uint64_t number)
{
	uint64_t s = a->onwire > a->received ? a->onwire : a->received, end = s;

	while (end < a->seen && a->symbols[end].number <= number)
		end++;
	for (; s < end; s++) {
		unsigned cover = 0;

		for (unsigned i = a->front; i < a->nleft; i++)
			cover += a->left[i].number <= number &&
				 audit_covers(&a->left[i], s);
		if (cover < audit_needed(a, s, end))
			return s;
	}
	return s;
}

#endif
