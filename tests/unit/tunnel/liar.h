/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_LIAR_H
#define TESTS_UNIT_TUNNEL_LIAR_H

#include <string.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/seal.h"
#include "replicator/tunnel/tunnel.h"

/* A peer that has the right keys and says whatever it likes. */
struct liar {
	struct seal *seal;
	uint64_t id, number;
	uint8_t dgram[2048];
	size_t len;
};

/* The other end of the tunnel that `params` makes. */
static inline int liar_init(struct liar *l, const struct tunnel_params *params)
{
	*l = (struct liar){ .id = params->id };
	return seal_new(params->secret, !params->dialed, &l->seal);
}

/* Seal `len` bytes as the payload of a datagram, into l->dgram. */
static inline void liar_seal(struct liar *l, uint8_t type, const void *payload,
			     size_t len)
{
	struct packet p = { .type = (enum packet_type)type,
			    .suite = SEAL_AES_128_GCM,
			    .id = l->id,
			    .number = ++l->number };
	struct seal_text text = { .head = l->dgram,
				  .head_len = sizeof(struct packet_head),
				  .in = payload,
				  .in_len = len };
	struct packet_head head;

	p.epoch = (uint16_t)(p.number / SEAL_EPOCH_LEN);
	packet_head_encode(&p, &head);
	memcpy(l->dgram, &head, sizeof(head));
	(void)seal_close(l->seal, SEAL_AES_128_GCM, p.number, &text,
			 l->dgram + sizeof(head)); /* a test notices soon enough */
	l->len = sizeof(head) + len + PACKET_TAG;
}

static inline void liar_ack(struct liar *l, const struct packet_report *report)
{
	uint8_t payload[PACKET_ACK_MAX];

	liar_seal(l, PACKET_ACK, payload, packet_ack_encode(report, payload));
}

/* A data or repair datagram with `size` bytes behind its head. */
static inline void liar_symbol(struct liar *l, enum packet_type type,
			       const struct packet_symbol *sym, const uint8_t *bytes,
			       size_t size)
{
	uint8_t payload[sizeof(struct packet_data) + PACKET_SYMBOL_MAX];
	struct packet_data data;

	packet_data_encode(sym, &data);
	memcpy(payload, &data, sizeof(data));
	memcpy(payload + sizeof(data), bytes, size);
	liar_seal(l, (uint8_t)type, payload, sizeof(data) + size);
}

#endif
