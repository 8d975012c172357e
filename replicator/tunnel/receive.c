// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "replicator/tunnel/state.h"

static_assert(SEAL_TAG == PACKET_TAG && SEAL_SECRET == TUNNEL_SECRET_LEN, "one size");

/* Data and repairs, opened, in t->scratch. */
static int receive_symbol(struct tunnel *t, const struct packet *p)
{
	const uint8_t *payload = tunnel_payload(t);
	struct packet_symbol sym;
	struct packet_data data;
	int res;

	memcpy(&data, payload, sizeof(data));
	res = packet_data_decode(p->type, &data, &sym);
	if (res != 0)
		return res;
	payload += sizeof(data);
	if (p->type == PACKET_REPAIR) {
		struct fec_repair repair = { .first = sym.symbol,
					     .count = sym.count,
					     .key = sym.key,
					     .stride = sym.stride,
					     .kind = sym.kind };

		t->stats.received_repairs++;
		res = fec_decoder_repair(t->rx.decoder, &repair, payload);
		/* One that has no room is as good as lost. */
		return res == -ENOBUFS ? 0 : res;
	}
	if (sym.symbol >= stream_rx_credit(&t->rx))
		return -EPROTO;
	t->stats.received_data++;
	if (!sym.retransmitted)
		tally_first(&t->tally, p->number);
	t->stats.duplicates += sym.symbol < fec_decoder_missing_first(t->rx.decoder) ||
			       fec_decoder_get(t->rx.decoder, sym.symbol, NULL) != NULL;
	res = fec_decoder_symbol(t->rx.decoder, sym.symbol, payload);
	return res == -ENOBUFS ? 0 : res;
}

static int receive_ack(struct tunnel *t, const struct packet *p, size_t len, rt_time now)
{
	struct packet_report report;
	int res = packet_ack_decode(tunnel_payload(t), len, &report);

	return res != 0 ? res : tunnel_confirm(t, p, &report, now);
}

/* A padded one has made it through the path: the sender wants to know the longest. */
static int receive_probe(struct tunnel *t, size_t len)
{
	uint16_t serial;
	int res = packet_probe_decode(tunnel_payload(t), len, &serial);

	if (res == 0 && serial != 0 &&
	    (t->probe == 0 || (int16_t)(serial - t->probe) > 0))
		t->probe = serial;
	return res;
}

/* What an authentic, new datagram says. */
static int receive_packet(struct tunnel *t, const struct packet *p, size_t len,
			  rt_time now, bool gap)
{
	int res;

	switch (p->type) {
	case PACKET_ACK:
		return receive_ack(t, p, len, now);
	case PACKET_PROBE:
		res = receive_probe(t, len);
		if (res != 0)
			return res;
		ack_add(&t->ack, p->number, ACK_ASKED, now);
		return 0;
	case PACKET_DATA:
	case PACKET_REPAIR:
		res = receive_symbol(t, p);
		if (res == 0)
			ack_add(&t->ack, p->number, gap ? ACK_GAP : ACK_PLAIN, now);
		return res;
	}
	return -EPROTO;
}

int tunnel_take(struct tunnel *t, const uint8_t *dgram, size_t len, rt_time now,
		bool *newest)
{
	struct seal_text text = {
		.head = dgram,
		.head_len = sizeof(struct packet_head),
		.in = dgram + sizeof(struct packet_head),
		.in_len = len - sizeof(struct packet_head),
	};
	struct packet p;
	uint64_t highest = t->replay.highest;
	int res;

	*newest = false;
	if (tunnel_broken(t))
		return -EPROTO;
	if (packet_head_decode(dgram, len, t->params.symbol_size, &p) != 0 ||
	    p.id != t->params.id || p.epoch != (uint16_t)(p.number / SEAL_EPOCH_LEN) ||
	    seal_open(t->seal_rx, p.suite, p.number, &text, tunnel_payload(t)) != 0) {
		t->stats.unauthentic++;
		return -EPROTO;
	}
	/* First: a leap in the numbers makes the window forget earlier datagrams. */
	tally_turn(&t->tally, &t->replay, now);
	if (!replay_take(&t->replay, p.number)) {
		t->stats.replayed++;
		return 0;
	}
	t->peer.last_rx = now;
	t->stats.received_bytes += len;
	res = receive_packet(t, &p, text.in_len - SEAL_TAG, now, p.number > highest + 1);
	if (res != 0) {
		/* The key is right and the content is not: the peer is broken or lies. */
		t->stats.malformed++;
		return -EPROTO;
	}
	*newest = p.number > highest;
	return 0;
}

int tunnel_receive(struct tunnel *t, const uint8_t *dgram, size_t len, rt_time now)
{
	bool newest;

	return tunnel_take(t, dgram, len, now, &newest);
}

bool tunnel_datagram_id(const uint8_t *dgram, size_t len, uint64_t *id)
{
	struct packet_head head;

	if (len < sizeof(head) + PACKET_TAG)
		return false;
	memcpy(&head, dgram, sizeof(head));
	*id = le64_get(head.id);
	return true;
}
