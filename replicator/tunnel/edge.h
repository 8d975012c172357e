/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_EDGE_H
#define REPLICATOR_TUNNEL_EDGE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/bytes.h"

/*
 * What a primary and the relay at its site's border say to each other (docs/tunnel.md).
 * The datagrams of the tunnel pass the relay unchanged; it cannot open them. What it adds:
 *
 *	REGISTER  primary -> relay   here I am, and this tunnel is mine
 *	ECHO      relay -> primary   these datagrams have left the site
 *
 * Both end with a MAC under the key that the two share, and cannot be mistaken for
 * datagrams of a tunnel, whose first byte is a small number. An echo names a datagram by
 * its packet number and a keyed hash of all its bytes: what an outsider has sent under a
 * number of ours proves nothing, nor does what was damaged on the way to the relay.
 */
enum edge_type {
	EDGE_REGISTER = 0xe0,
	EDGE_ECHO = 0xe1,
};

#define EDGE_KEY_LEN 32
#define EDGE_MAC_LEN 16
#define EDGE_ECHO_ENTRIES 64

struct edge_head {
	uint8_t type;  /* enum edge_type */
	uint8_t count; /* EDGE_ECHO: entries that follow, 1 .. EDGE_ECHO_ENTRIES; else 0 */
	le16 zero;     /* 0, refused otherwise; as zero2 */
	le32 zero2;
	le64 id;     /* of the tunnel */
	le64 serial; /* 1, 2, ... per tunnel and direction */
};
static_assert(sizeof(struct edge_head) == 24, "wire size");

struct edge_echo_entry {
	le64 number;
	le64 hash;
};
static_assert(sizeof(struct edge_echo_entry) == 16, "wire size");

/* One datagram that has left. */
struct edge_seen {
	uint64_t number, hash;
};

struct edge_message {
	enum edge_type type;
	uint64_t id, serial;
	unsigned count;
	struct edge_seen seen[EDGE_ECHO_ENTRIES];
};

#define EDGE_MESSAGE_MAX                                                                 \
	(sizeof(struct edge_head) + EDGE_ECHO_ENTRIES * sizeof(struct edge_echo_entry) + \
	 EDGE_MAC_LEN)

/* Whether these bytes are meant for edge_decode(), and not a datagram of a tunnel. */
bool edge_is_message(const uint8_t *dgram, size_t len);
/* Room for the longest; returns the length, 0 when the MAC cannot be made (no memory). */
size_t edge_encode(const struct edge_message *m, const uint8_t key[EDGE_KEY_LEN],
		   uint8_t out[EDGE_MESSAGE_MAX]);
/* Put the MAC of `len` bytes behind them. 0, or -ENOMEM. */
int edge_seal(uint8_t *bytes, size_t len, const uint8_t key[EDGE_KEY_LEN]);
/* -EPROTO: not of this key, or impossible; *ret is then undefined. */
int edge_decode(const uint8_t *dgram, size_t len, const uint8_t key[EDGE_KEY_LEN],
		struct edge_message *ret);

/*
 * Packet number and hash (SipHash-2-4 under the key's first half) of a datagram of a
 * tunnel; false for one that nobody waits for: too short, an acknowledgement, a probe.
 */
bool edge_recognize(const uint8_t *dgram, size_t len, const uint8_t key[EDGE_KEY_LEN],
		    struct edge_seen *ret);

#endif
