// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "replicator/tunnel/state.h"
#include "rt/bug.h"
#include "rt/check.h"

/*
 * What goes out next. First what the other side is waiting for, then the repairs that
 * are owed for data already sent, then data, and when no data can go, the repairs that
 * somebody at the gate waits for: idle capacity is free, and under load the paced ones
 * suffice.
 */

/* A fresh repair over the window can be made. */
static bool send_can_repair(const struct tunnel *t)
{
	return t->redundancy.code.code == FEC_WINDOW &&
	       fec_encoder_first(t->encoder) < fec_encoder_next(t->encoder);
}

/*
 * The next symbol would push the oldest one out of the window, and that one is neither
 * confirmed nor has it left with its repairs. As long as send batches do get through it
 * is enough that its repairs are under way: should they fail after all, it waits to be
 * confirmed.
 */
static bool send_window_full(const struct tunnel *t)
{
	uint64_t first = fec_encoder_first(t->encoder);

	if (t->redundancy.code.code != FEC_WINDOW ||
	    fec_encoder_next(t->encoder) - first < t->redundancy.code.window)
		return false;
	if (t->params.fec.policy == TUNNEL_PAPER)
		return false;
	if (t->evidence.failures == 0 && wire_gate_lacking(&t->gate, first + 1) == 0)
		return false;
	return !wire_gate_covered(&t->gate, first);
}

/* Repairs that who waits at the gate lacks. */
static bool send_is_demanded(const struct tunnel *t)
{
	uint64_t urgent = t->repairs.urgent < t->tx.sent ? t->repairs.urgent : t->tx.sent;

	return send_can_repair(t) && t->params.fec.on_demand &&
	       wire_gate_lacking(&t->gate, urgent) > 0;
}

/*
 * Repairs on demand wait until then: following data brings paced repairs. A time in the
 * past where the tunnel does not coalesce.
 */
static rt_time send_coalesce_until(const struct tunnel *t)
{
	if (!t->repairs.coalescing ||
	    t->tx.sent - wire_gate_ready(&t->gate) < TUNNEL_COALESCE_SYMBOLS)
		return (rt_time){ INT64_MIN };
	return rt_time_add(t->repairs.data_at, TUNNEL_COALESCE_NS);
}

bool tunnel_coalesces(const struct tunnel *t, rt_time now)
{
	return rt_time_before(now, send_coalesce_until(t)) && send_is_demanded(t);
}

static bool send_wants_repair(const struct tunnel *t, rt_time now)
{
	if (!send_can_repair(t) || !t->params.fec.on_demand)
		return false;
	if (evidence_wants_closing(&t->evidence, now))
		return true;
	if (send_is_demanded(t) && !rt_time_before(now, send_coalesce_until(t)))
		return true;
	return send_window_full(t) &&
	       wire_gate_lacking(&t->gate, fec_encoder_first(t->encoder) + 1) > 0;
}

/* From when on what is partial is not waited for: at once when somebody waits. */
static rt_time send_flush_at(const struct tunnel *t)
{
	if (!t->params.fec.on_demand || !fec_encoder_partial(t->encoder))
		return RT_NEVER;
	if (t->repairs.urgent > wire_gate_ready(&t->gate))
		return t->repairs.data_at;
	return rt_time_add(t->repairs.data_at, EVIDENCE_LINGER_NS);
}

/* The same for an open send batch behind which no repair can go. */
static rt_time send_closing_at(const struct tunnel *t)
{
	if (!evidence_counts(&t->evidence) || t->tx.confirmed >= t->tx.sent)
		return RT_NEVER;
	return evidence_closing_at(&t->evidence);
}

enum tunnel_next tunnel_next(const struct tunnel *t, rt_time now)
{
	if (t->resend.count > 0)
		return TUNNEL_RESEND;
	if (fec_encoder_queued(t->encoder) > 0)
		return TUNNEL_REPAIR;
	if ((t->repairs.answers > 0 || t->repairs.share_owed >= TUNNEL_SHARE_ONE) &&
	    send_can_repair(t))
		return TUNNEL_REPAIR;
	if (stream_tx_unsent(&t->tx) && t->tx.sent < t->peer.credit &&
	    !send_window_full(t))
		return TUNNEL_DATA;
	if (send_wants_repair(t, now))
		return TUNNEL_REPAIR;
	if (!rt_time_before(now, send_flush_at(t)))
		return TUNNEL_FLUSH;
	if (!rt_time_before(now, send_closing_at(t)))
		return TUNNEL_CLOSE;
	return TUNNEL_NOTHING;
}

/* Seal a payload and count it. */
static size_t send_packet(struct tunnel *t, uint8_t *buf, enum packet_type type,
			  const uint8_t *payload, size_t payload_len)
{
	uint64_t number = t->sent.last.number;
	struct packet p = {
		.type = type,
		.suite = (uint8_t)t->suite,
		.epoch = (uint16_t)(number / SEAL_EPOCH_LEN),
		.id = t->params.id,
		.number = number,
	};
	struct seal_text text = {
		.head = buf,
		.head_len = sizeof(struct packet_head),
		.in = payload,
		.in_len = payload_len,
	};
	struct packet_head head;
	size_t len = sizeof(head) + payload_len + PACKET_TAG;

	packet_head_encode(&p, &head);
	memcpy(buf, &head, sizeof(head));
	pacer_charge(&t->pacer, len, t->sent.last.at);
	/* No memory for a cipher: the datagram counts as sent and lost. */
	if (seal_close(t->seal_tx, t->suite, number, &text, buf + sizeof(head)) != 0) {
		memset(buf + sizeof(head), 0, len - sizeof(head));
		t->unsealed = number;
	}
	t->stats.sent_bytes += len;
	if (type != PACKET_ACK)
		t->probing.eliciting_at = t->sent.last.at;
	return len;
}

static size_t send_ack(struct tunnel *t, uint8_t *buf, rt_time now)
{
	int64_t delay_us = rt_time_since(now, t->ack.largest_at) / RT_US;
	struct packet_report report = {
		.largest = t->ack.largest,
		.decided = t->tally.decided,
		.originals = t->tally.originals,
		.missing = t->tally.missing,
		.bursts = t->tally.bursts,
		.gap_first = t->tally.gap_first,
		.gap_end = t->tally.gap_end,
		.overflowed = t->overflowed,
		.received = t->ack.received,
		.watermark = t->watermark,
		.delay_us = delay_us < UINT32_MAX ? (uint32_t)delay_us : UINT32_MAX,
		.probe = t->probe,
	};
	size_t len;

	stream_rx_report(&t->rx, &report);
	len = packet_ack_encode(&report, tunnel_payload(t));
	ack_done(&t->ack, report.credit);
	sent_add(&t->sent, SENT_ACK, now);
	t->stats.sent_acks++;
	return send_packet(t, buf, PACKET_ACK, tunnel_payload(t), len);
}

static size_t send_probe(struct tunnel *t, uint8_t *buf, rt_time now)
{
	t->probing.at_once = false;
	t->probing.probed_at = now;
	t->probing.probed_full = t->sent.last.full;
	sent_add(&t->sent, SENT_PROBE, now);
	return send_packet(t, buf, PACKET_PROBE, tunnel_payload(t), 0);
}

/* One of `len` bytes, its head and tag among them. */
static size_t send_padded(struct tunnel *t, uint8_t *buf, uint16_t serial, size_t len,
			  rt_time now)
{
	enum sent_kind kind = len == t->mtu.size ? SENT_PAD : SENT_PROBE;

	len -= sizeof(struct packet_head) + PACKET_TAG;
	packet_probe_encode(serial, tunnel_payload(t), len);
	sent_add(&t->sent, kind, now);
	return send_packet(t, buf, PACKET_PROBE, tunnel_payload(t), len);
}

/* Requests rely on the path and on evidence: the tunnel keeps the path proven. */
static bool send_proving(const struct tunnel *t, rt_time now)
{
	return evidence_counts(&t->evidence) &&
	       rt_time_before(now, t->probing.prove_until);
}

/*
 * A path that is to be proven, or whose MTU is in doubt, must show that it carries datagrams
 * of full size. A small probe asks whether they were received; if no full datagram was sent
 * since the last small probe, the next probe is padded. So the two alternate on an idle path.
 */
static size_t send_alive(struct tunnel *t, uint8_t *buf, rt_time now)
{
	bool asks = send_proving(t, now) || mtu_unknown(&t->mtu);

	if (!t->probing.at_once && asks && mtu_may_pad(&t->mtu) &&
	    t->probing.probed_full == t->sent.last.full && !RT_BUG(PROBES_UNPADDED))
		return send_padded(t, buf, mtu_pad(&t->mtu), t->mtu.size, now);
	return send_probe(t, buf, now);
}

/* A probe of the path's MTU; 0 when none is due after all. */
static size_t send_mtu_probe(struct tunnel *t, uint8_t *buf, rt_time now)
{
	uint16_t serial;
	size_t len = mtu_next(&t->mtu, t->sent.last.number + 1, now, &serial);

	if (len == 0)
		return 0;
	if (serial == 0)
		return send_probe(t, buf, now);
	return send_padded(t, buf, serial, len, now);
}

static_assert(sizeof(struct packet_data) <= STREAM_ROOM,
	      "a symbol's head lies before it");

static size_t send_symbol(struct tunnel *t, uint8_t *buf, uint64_t number,
			  bool retransmitted)
{
	struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);
	struct packet_symbol head = { .symbol = number, .retransmitted = retransmitted };
	struct packet_data data;
	uint8_t *payload = stream_tx_bytes(&t->tx, number) - sizeof(data);

	sym->number = t->sent.last.number;
	sym->retransmitted = retransmitted;
	packet_data_encode(&head, &data);
	memcpy(payload, &data, sizeof(data));
	t->stats.sent_data++;
	return send_packet(t, buf, PACKET_DATA, payload, sizeof(data) + t->tx.size);
}

/* A symbol's first transmission; it enters the code's window. */
static size_t send_data(struct tunnel *t, uint8_t *buf, rt_time now)
{
	uint64_t number = t->tx.sent;

	if (number == t->tx.closed)
		stream_tx_flush(&t->tx);
	fec_encoder_add(t->encoder, stream_tx_bytes(&t->tx, number));
	wire_gate_sent(&t->gate, fec_encoder_first(t->encoder));
	t->tx.sent++;
	t->repairs.data_at = now;
	t->repairs.share_owed += t->repairs.share;
	sent_add(&t->sent, SENT_FIRST, now);
	return send_symbol(t, buf, number, false);
}

static size_t send_retransmission(struct tunnel *t, uint8_t *buf, rt_time now)
{
	struct tunnel_resend *r = &t->resend;

	while (r->count > 0) {
		uint64_t number = r->ring[r->head];

		r->head = (r->head + 1) % TUNNEL_RESEND_MAX;
		r->count--;
		if (number < t->tx.confirmed)
			continue;
		stream_tx_symbol(&t->tx, number)->queued = false;
		sent_add(&t->sent, SENT_RETRANSMITTED, now);
		t->stats.retransmitted++;
		if (number >= t->resend.upto)
			t->resend.upto = number + 1;
		return send_symbol(t, buf, number, true);
	}
	return 0;
}

/* One of those that are owed. */
static void send_repair_paid(struct tunnel *t)
{
	t->repairs.share_owed -= t->repairs.share_owed < TUNNEL_SHARE_ONE
					 ? t->repairs.share_owed
					 : TUNNEL_SHARE_ONE;
	t->repairs.answers -= t->repairs.answers > 0;
}

static size_t send_repair(struct tunnel *t, uint8_t *buf, rt_time now)
{
	uint8_t *payload = tunnel_payload(t);
	struct packet_symbol head = { 0 };
	struct fec_repair repair;
	struct packet_data data;
	bool block = fec_encoder_queued(t->encoder) > 0;
	size_t len;

	if (!fec_encoder_repair(t->encoder, &repair, payload + sizeof(data)))
		rt_assert(!"a repair was chosen and there is none");
	head.symbol = repair.first;
	head.count = repair.count;
	head.key = repair.key;
	head.stride = repair.stride;
	head.kind = repair.kind;
	packet_data_encode(&head, &data);
	memcpy(payload, &data, sizeof(data));
	sent_add(&t->sent, block ? SENT_BLOCK : SENT_REPAIR, now);
	if (block)
		wire_gate_block(&t->gate, &repair, t->sent.last.number);
	else
		wire_gate_repair(&t->gate);
	if (!block)
		send_repair_paid(t);
	t->repairs.newest =
		repair.first + (uint64_t)repair.stride * (repair.count - 1u) + 1;
	len = send_packet(t, buf, PACKET_REPAIR, payload, sizeof(data) + t->tx.size);
	t->stats.sent_repairs++;
	t->stats.sent_repair_bytes += len;
	return len;
}

static size_t send_next(struct tunnel *t, uint8_t *buf, rt_time now)
{
	size_t len;

	t->repairs.newest = 0;
	switch (tunnel_next(t, now)) {
	case TUNNEL_RESEND:
		len = send_retransmission(t, buf, now);
		return len > 0 ? len : send_next(t, buf, now);
	case TUNNEL_REPAIR:
		return send_repair(t, buf, now);
	case TUNNEL_DATA:
		return send_data(t, buf, now);
	case TUNNEL_FLUSH:
		fec_encoder_flush(t->encoder);
		return send_next(t, buf, now);
	case TUNNEL_CLOSE:
		return send_probe(t, buf, now);
	case TUNNEL_NOTHING:
		break;
	}
	return 0;
}

/* Put the datagram just made into a send batch; the timestamp it needs, or 0. */
static uint32_t send_evidence(struct tunnel *t, bool probe, rt_time now)
{
	struct evidence_sent sent = {
		.number = t->sent.last.number,
		.symbols = t->tx.sent,
		.repairs = t->sent.last.repairs,
		.blocks = wire_gate_blocks(&t->gate),
		.newest = t->repairs.newest,
		/* What goes out behind a send batch that has waited long closes it. */
		.last = evidence_wants_closing(&t->evidence, now) ||
			!tunnel_may_send(t, now) ||
			(tunnel_next(t, now) == TUNNEL_NOTHING &&
			 !tunnel_coalesces(t, now)),
		.probe = probe,
		.now = now,
	};
	uint32_t timestamp = evidence_add(&t->evidence, &sent);

	return t->evidence.level == TUNNEL_DRIVER || t->evidence.level == TUNNEL_NIC
		       ? timestamp
		       : 0;
}

/* Symbols, credit or the window: only an acknowledgement gets us on. */
static bool send_outstanding(const struct tunnel *t)
{
	return t->tx.confirmed < t->tx.sent || !tunnel_rate_open(t) ||
	       (stream_tx_unsent(&t->tx) && t->tx.sent >= t->peer.credit);
}

/* Under load no small datagram follows full ones by itself: a small probe must. */
static rt_time send_small_probe_at(const struct tunnel *t)
{
	rt_time at = rt_time_add(t->probing.probed_at, path_probe_ns(&t->path));

	if (t->sent.last.full < t->probing.probed_full + TUNNEL_PROBE_FULL ||
	    t->path.rtt_ns < 0)
		return RT_NEVER;
	return send_proving(t, at) ? at : RT_NEVER;
}

static rt_time send_probe_at(const struct tunnel *t)
{
	int64_t fast_ns = path_probe_ns(&t->path);
	rt_time fast_at = rt_time_min(rt_time_add(t->probing.eliciting_at, fast_ns),
				      send_small_probe_at(t));
	rt_time last = t->probing.eliciting_at;

	if (t->probing.at_once)
		return (rt_time){ 0 };
	if (send_outstanding(t) || rt_time_before(fast_at, t->probing.prove_until)) {
		/* Nobody answers: do not fill the path with probes. */
		if (rt_time_since(t->probing.eliciting_at, t->peer.last_rx) >
		    t->params.timeout_ns)
			return rt_time_add(last, fast_ns > TUNNEL_SLOW_NS
							 ? fast_ns
							 : TUNNEL_SLOW_NS);
		return fast_at;
	}
	/* Idle: one of both ends asks often enough that neither takes it for away. */
	if (rt_time_before(last, t->peer.last_rx))
		last = t->peer.last_rx;
	return rt_time_add(last, t->params.timeout_ns / 4);
}

/* When to ask for the path's MTU: as planned, or when what was sent is not answered. */
static rt_time send_mtu_at(const struct tunnel *t)
{
	const struct sent_entry *e = sent_find(&t->sent, t->path.largest + 1);
	rt_time at = mtu_deadline(&t->mtu);

	if (e == NULL || !mtu_waits(&t->mtu, t->sent.last.full))
		return at;
	return rt_time_min(at, rt_time_add(e->at, mtu_silence_ns(&t->mtu)));
}

size_t tunnel_transmit(struct tunnel *t, uint8_t *buf, rt_time now, uint32_t *timestamp)
{
	size_t len;

	*timestamp = 0;
	if (tunnel_broken(t))
		return 0;
	tunnel_gate_update(t, now);
	if (!rt_time_before(now, t->ack.deadline))
		return send_ack(t, buf, now);
	if (!rt_time_before(now, send_probe_at(t)))
		return send_alive(t, buf, now);
	if (!rt_time_before(now, send_mtu_at(t))) {
		len = send_mtu_probe(t, buf, now);
		if (len > 0)
			return len;
	}
	if (!tunnel_may_send(t, now))
		return 0;
	len = send_next(t, buf, now);
	if (len == 0) {
		pacer_idle(&t->pacer);
		cc_limited(&t->cc);
		return 0;
	}
	*timestamp = send_evidence(t, buf[0] == PACKET_PROBE, now);
	/* The driver will timestamp it all the same. */
	if (t->unsealed == t->sent.last.number)
		evidence_unsent(&t->evidence, t->unsealed, t->unsealed);
	tunnel_gate_update(t, now);
	return len;
}

rt_time tunnel_deadline(const struct tunnel *t)
{
	rt_time at = rt_time_min(t->ack.deadline, send_probe_at(t));
	rt_time later = rt_time_min(send_closing_at(t), send_flush_at(t));
	rt_time coalesced_at = send_coalesce_until(t);
	rt_time ready = t->pacer.ready_at;

	if (tunnel_broken(t))
		return RT_NEVER;
	at = rt_time_min(at, evidence_deadline(&t->evidence));
	at = rt_time_min(at, send_mtu_at(t));
	if (!tunnel_rate_open(t))
		return at;
	if (coalesced_at.ns != INT64_MIN && send_is_demanded(t))
		later = rt_time_min(later, coalesced_at);
	if (tunnel_next(t, (rt_time){ INT64_MIN }) != TUNNEL_NOTHING)
		at = rt_time_min(at, ready);
	else if (!rt_time_is_never(later))
		at = rt_time_min(at, rt_time_before(later, ready) ? ready : later);
	return at;
}
