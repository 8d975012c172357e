// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/packet.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "replicator/tunnel/seal.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"

static_assert(sizeof(struct packet_head) + sizeof(struct packet_data) +
			      PACKET_SYMBOL_MAX + PACKET_TAG ==
		      TUNNEL_DATAGRAM_MAX,
	      "the longest symbol fills a datagram");

void packet_head_encode(const struct packet *p, struct packet_head *head)
{
	head->type = (uint8_t)p->type;
	head->suite = p->suite;
	head->epoch = le16_make(p->epoch);
	head->id = le64_make(p->id);
	head->number = le64_make(p->number);
}

/* Whether a payload of `len` bytes can be one of this type. */
static bool packet_length_possible(uint8_t type, size_t len, size_t symbol_size)
{
	switch (type) {
	case PACKET_DATA:
	case PACKET_REPAIR:
		return len == sizeof(struct packet_data) + symbol_size;
	case PACKET_ACK:
		return len >= sizeof(struct packet_ack) && len <= PACKET_ACK_MAX &&
		       (len - sizeof(struct packet_ack)) % sizeof(struct packet_hole) ==
			       0;
	case PACKET_PROBE:
		return len == 0 ||
		       (len >= sizeof(struct packet_probe) &&
			len <= sizeof(struct packet_data) + PACKET_SYMBOL_MAX);
	default:
		return false;
	}
}

int packet_head_decode(const uint8_t *dgram, size_t len, size_t symbol_size,
		       struct packet *ret)
{
	struct packet_head head;

	if (len < sizeof(head) + PACKET_TAG)
		return -EPROTO;
	memcpy(&head, dgram, sizeof(head));
	if (!packet_length_possible(head.type, len - sizeof(head) - PACKET_TAG,
				    symbol_size))
		return -EPROTO;
	if (head.suite >= SEAL_SUITES || le64_get(head.number) == 0)
		return -EPROTO;
	ret->type = (enum packet_type)head.type;
	ret->suite = head.suite;
	ret->epoch = le16_get(head.epoch);
	ret->id = le64_get(head.id);
	ret->number = le64_get(head.number);
	return 0;
}

void packet_data_encode(const struct packet_symbol *s, struct packet_data *data)
{
	bool sum = s->kind == FEC_XOR && s->count > 0;

	data->symbol = le64_make(s->symbol);
	data->key = le32_make(sum ? s->stride : s->key);
	data->count = le16_make(s->count);
	data->flags = le16_make((s->retransmitted ? PACKET_RETRANSMITTED : 0) |
				(sum ? PACKET_SUM : 0));
}

int packet_data_decode(enum packet_type type, const struct packet_data *data,
		       struct packet_symbol *ret)
{
	uint16_t flags = le16_get(data->flags);
	uint16_t count = le16_get(data->count);
	uint32_t key = le32_get(data->key);
	bool repair = type == PACKET_REPAIR;
	bool sum = flags & PACKET_SUM;

	if ((flags & ~(repair ? PACKET_SUM : PACKET_RETRANSMITTED)) != 0)
		return -EPROTO;
	if (repair ? count == 0 : count != 0 || key != 0)
		return -EPROTO;
	if (sum && (key == 0 || key > FEC_INTERLEAVE_MAX))
		return -EPROTO;
	*ret = (struct packet_symbol){
		.symbol = le64_get(data->symbol),
		.key = sum ? 0 : key,
		.count = count,
		.stride = sum ? (uint16_t)key : repair,
		.kind = sum ? FEC_XOR : FEC_COMBINATION,
		.retransmitted = flags & PACKET_RETRANSMITTED,
	};
	return 0;
}

void packet_probe_encode(uint16_t serial, uint8_t *payload, size_t len)
{
	struct packet_probe probe = { .serial = le16_make(serial) };

	rt_assert(len >= sizeof(probe) && serial != 0);
	memset(payload, 0, len);
	memcpy(payload, &probe, sizeof(probe));
}

int packet_probe_decode(const uint8_t *payload, size_t len, uint16_t *serial)
{
	struct packet_probe probe = { .serial = le16_make(0) };

	if (len >= sizeof(probe))
		memcpy(&probe, payload, sizeof(probe));
	for (size_t i = sizeof(probe.serial); i < len; i++)
		if (payload[i] != 0)
			return -EPROTO;
	*serial = le16_get(probe.serial);
	return (len > 0) == (*serial != 0) ? 0 : -EPROTO;
}

size_t packet_ack_encode(const struct packet_report *r, uint8_t out[PACKET_ACK_MAX])
{
	struct packet_ack ack = {
		.largest = le64_make(r->largest),
		.decided = le64_make(r->decided),
		.originals = le64_make(r->originals),
		.missing = le64_make(r->missing),
		.bursts = le64_make(r->bursts),
		.overflowed = le64_make(r->overflowed),
		.below = le64_make(r->below),
		.seen = le64_make(r->seen),
		.rebuilt = le64_make(r->rebuilt),
		.credit = le64_make(r->credit),
		.watermark = le64_make(r->watermark),
		.delay_us = le32_make(r->delay_us),
		.deficit = le32_make(r->deficit),
		.holes = le16_make((uint16_t)r->nholes),
		.received = le32_make(r->received),
		.probe = le16_make(r->probe),
		.gap_first = le64_make(r->gap_first),
		.gap_end = le64_make(r->gap_end),
	};
	size_t len = sizeof(ack);

	rt_assert(r->nholes <= PACKET_HOLES_MAX);
	memcpy(out, &ack, sizeof(ack));
	for (unsigned i = 0; i < r->nholes; i++) {
		struct packet_hole hole = {
			.first = le32_make((uint32_t)(r->holes[i].first - r->below)),
			.count = le32_make(r->holes[i].count),
		};

		memcpy(out + len, &hole, sizeof(hole));
		len += sizeof(hole);
	}
	return len;
}

/* The holes of a report whose fixed part is in *ret already. */
static int packet_holes_decode(const uint8_t *bytes, struct packet_report *ret)
{
	uint64_t end = ret->below; /* of the hole before this one */

	for (unsigned i = 0; i < ret->nholes; i++) {
		struct packet_hole hole;
		uint64_t first;
		uint32_t count;

		memcpy(&hole, bytes + i * sizeof(hole), sizeof(hole));
		first = ret->below + le32_get(hole.first);
		count = le32_get(hole.count);
		/* Two holes that touch would be one. */
		if (first < end || (i > 0 && first == end) || count == 0)
			return -EPROTO;
		if (first > ret->seen || count > ret->seen - first)
			return -EPROTO;
		end = first + count;
		ret->holes[i].first = first;
		ret->holes[i].count = count;
	}
	return 0;
}

/* Missing numbers and their runs: up to `decided`, and not more than one another. */
static bool packet_missing_possible(const struct packet_report *r)
{
	if (r->missing > r->decided || r->bursts > r->missing ||
	    (r->bursts == 0 && r->missing > 0))
		return false;
	if (r->gap_end == 0)
		return r->gap_first == 0;
	return r->gap_first > 0 && r->gap_first < r->gap_end &&
	       r->gap_end <= r->decided && r->gap_end - r->gap_first <= r->missing;
}

int packet_ack_decode(const uint8_t *payload, size_t len, struct packet_report *ret)
{
	struct packet_ack ack;

	if (len < sizeof(ack))
		return -EPROTO;
	memcpy(&ack, payload, sizeof(ack));
	ret->nholes = le16_get(ack.holes);
	if (ret->nholes > PACKET_HOLES_MAX ||
	    len != sizeof(ack) + ret->nholes * sizeof(struct packet_hole))
		return -EPROTO;
	ret->probe = le16_get(ack.probe);
	ret->largest = le64_get(ack.largest);
	ret->decided = le64_get(ack.decided);
	ret->originals = le64_get(ack.originals);
	ret->missing = le64_get(ack.missing);
	ret->bursts = le64_get(ack.bursts);
	ret->overflowed = le64_get(ack.overflowed);
	ret->below = le64_get(ack.below);
	ret->seen = le64_get(ack.seen);
	ret->rebuilt = le64_get(ack.rebuilt);
	ret->credit = le64_get(ack.credit);
	ret->watermark = le64_get(ack.watermark);
	ret->delay_us = le32_get(ack.delay_us);
	ret->deficit = le32_get(ack.deficit);
	ret->received = le32_get(ack.received);
	ret->gap_first = le64_get(ack.gap_first);
	ret->gap_end = le64_get(ack.gap_end);
	if (ret->below > ret->seen || ret->seen > UINT64_MAX / 2)
		return -EPROTO;
	if (!packet_missing_possible(ret))
		return -EPROTO;
	return packet_holes_decode(payload + sizeof(ack), ret);
}
