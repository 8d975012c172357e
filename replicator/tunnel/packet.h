/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_PACKET_H
#define REPLICATOR_TUNNEL_PACKET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/bytes.h"

/*
 * The datagrams of a tunnel, byte by byte (docs/tunnel.md). A datagram is a head in the
 * clear, which is the associated data of the seal, then the sealed payload, then the
 * seal's tag:
 *
 *	head (20)  payload (by type)  tag (16)
 */
enum packet_type {
	PACKET_DATA = 1,   /* packet_data, then one symbol */
	PACKET_REPAIR = 2, /* packet_data, then one combination of symbols */
	PACKET_ACK = 3,	   /* packet_ack, then its holes */
	PACKET_PROBE = 4,  /* nothing, or packet_probe: to be acknowledged at once */
};

#define PACKET_TAG 16

struct packet_head {
	uint8_t type;  /* enum packet_type */
	uint8_t suite; /* enum seal_suite */
	le16 epoch;    /* low bits of the key epoch, which follows from the number */
	le64 id;       /* of the tunnel */
	le64 number;   /* 1, 2, 3, ... per direction, over all types; the nonce */
};
static_assert(sizeof(struct packet_head) == 20, "wire size");

/* Data and repair payloads begin alike, so that both have one length. */
struct packet_data {
	le64 symbol; /* data: its number; repair: the first one covered */
	le32 key;    /* combination: of the coefficients; sum: stride; data: 0 */
	le16 count;  /* repair: symbols covered; data: 0 */
	le16 flags; /* data: PACKET_RETRANSMITTED; repair: PACKET_SUM; other bits are 0 */
};
static_assert(sizeof(struct packet_data) == 16, "wire size");

#define PACKET_RETRANSMITTED                                                             \
	1	     /* this symbol was sent before: not for the loss estimator */
#define PACKET_SUM 2 /* the sum of symbols `stride` apart; else a combination */

/* Of a probe that is padded with zeros to a length: does the path carry it? */
struct packet_probe {
	le16 serial; /* 1, 2, 3, ... per direction, modulo 2^16 and never 0 */
	le16 zero;   /* 0, refused otherwise */
};
static_assert(sizeof(struct packet_probe) == 4, "wire size");

struct packet_hole {
	le32 first; /* relative to the acknowledgement's `below` */
	le32 count;
};
static_assert(sizeof(struct packet_hole) == 8, "wire size");

struct packet_ack {
	le64 largest;	 /* highest packet number received, acknowledgements aside */
	le64 decided;	 /* the next three are of the packet numbers up to this one */
	le64 originals;	 /* data datagrams received in time, not PACKET_RETRANSMITTED */
	le64 missing;	 /* numbers not received in time (tally.h) */
	le64 bursts;	 /* runs of successive ones among them */
	le64 overflowed; /* datagrams that the receiver's own socket dropped */
	le64 below;	 /* every symbol below is here, received or rebuilt */
	le64 seen;	 /* one above the highest symbol received, rebuilt or covered */
	le64 rebuilt;	 /* symbols rebuilt so far */
	le64 credit;	 /* symbols below this one may be sent */
	le64 watermark;	 /* tunnel_set_watermark() */
	le32 delay_us;	 /* from the arrival of `largest` to this datagram */
	le32 deficit;	 /* combinations still needed for all symbols below `seen` */
	le16 holes;	 /* that follow */
	le16 probe;	 /* highest serial of a padded probe received; 0: none */
	le32 received;	 /* datagrams received, acknowledgements aside: low 32 bits */
	le64 gap_first;	 /* of the newest long run of missing numbers: its first, */
	le64 gap_end;	 /* and the number behind its last; 0, 0: there was none */
};
static_assert(sizeof(struct packet_ack) == 120, "wire size");

#define PACKET_HOLES_MAX 64
#define PACKET_SYMBOL_MAX (1472 - 20 - 16 - PACKET_TAG)

/* ---- decoded ---------------------------------------------------------------------- */

struct packet {
	enum packet_type type;
	uint8_t suite;
	uint16_t epoch;
	uint64_t id, number;
};

struct packet_symbol {
	uint64_t symbol;
	uint32_t key;	 /* of a combination */
	uint16_t count;	 /* of a repair */
	uint16_t stride; /* of a repair: 1 .. FEC_INTERLEAVE_MAX; of a combination: 1 */
	uint8_t kind;	 /* of a repair: enum fec_kind */
	bool retransmitted; /* of a symbol */
};

struct packet_report {
	uint64_t largest, decided, originals, missing, bursts;
	uint64_t overflowed, below, seen, rebuilt, credit, watermark;
	uint64_t gap_first, gap_end;
	uint32_t delay_us, deficit, received;
	uint16_t probe;
	unsigned nholes;
	struct {
		uint64_t first;
		uint32_t count;
	} holes[PACKET_HOLES_MAX]; /* ascending, apart, within below .. seen */
};

void packet_head_encode(const struct packet *p, struct packet_head *head);
/*
 * 0; -EPROTO for bytes that cannot be a datagram of a tunnel with symbols of
 * `symbol_size`: type, suite, length.
 */
int packet_head_decode(const uint8_t *dgram, size_t len, size_t symbol_size,
		       struct packet *ret);

void packet_data_encode(const struct packet_symbol *s, struct packet_data *data);
/*
 * -EPROTO for unknown flags, a data datagram that names a repair, a repair of nothing or
 * with a stride out of range.
 */
int packet_data_decode(enum packet_type type, const struct packet_data *data,
		       struct packet_symbol *ret);

/* A probe of `len` bytes of payload, at least those of packet_probe. */
void packet_probe_encode(uint16_t serial, uint8_t *payload, size_t len);
/* *serial is 0 for an empty one. -EPROTO for padding that is not zero, serial 0. */
int packet_probe_decode(const uint8_t *payload, size_t len, uint16_t *serial);

/* Room for the longest; returns the payload's length. */
#define PACKET_ACK_MAX                                                                   \
	(sizeof(struct packet_ack) + PACKET_HOLES_MAX * sizeof(struct packet_hole))
size_t packet_ack_encode(const struct packet_report *r, uint8_t out[PACKET_ACK_MAX]);
/* -EPROTO for a wrong length, totals that cannot be, holes out of order or bounds. */
int packet_ack_decode(const uint8_t *payload, size_t len, struct packet_report *ret);

#endif
