/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_SENDER_H
#define TESTS_UNIT_TUNNEL_SENDER_H

#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/params.h"
#include "tests/unit/unit.h"

#define SENDER_RTT_NS (100 * RT_MS)
#define SENDER_WRITE 3000  /* bytes: */
#define SENDER_SYMBOLS 3u  /* of which so many are one write */
#define SENDER_WARM_UP 12u /* writes, so that round trip and deviation are known */
#define SENDER_AT_ONCE_MAX 1000

/* A tunnel with evidence, and acknowledgements that the test makes up. */
struct sender {
	struct tunnel *t;
	rt_time now;
	uint64_t acks;
	struct packet_report report;	    /* the newest */
	char order[SENDER_AT_ONCE_MAX + 1]; /* what left with the last sender_send() */
};

/*
 * One letter for the datagram that was just made: A acknowledgement, D data, R data
 * retransmitted, F repair, P padded probe, p small one.
 */
static inline char sender_letter(const struct sender *s, const uint8_t *buf, size_t len,
				 uint64_t retransmitted)
{
	switch (buf[0]) {
	case PACKET_ACK:
		return 'A';
	case PACKET_DATA:
		return s->t->stats.retransmitted > retransmitted ? 'R' : 'D';
	case PACKET_REPAIR:
		return 'F';
	case PACKET_PROBE:
		return len > sizeof(struct packet_head) + PACKET_TAG ? 'P' : 'p';
	default:
		return '?';
	}
}

/* All that may go now goes, and leaves the host; returns the newest packet number. */
static inline uint64_t sender_send(struct sender *s)
{
	uint8_t buf[TUNNEL_DATAGRAM_MAX];
	uint32_t timestamp;

	for (unsigned i = 0;; i++) {
		uint64_t retransmitted = s->t->stats.retransmitted;
		size_t len = tunnel_transmit(s->t, buf, s->now, &timestamp);

		assert_true(i < SENDER_AT_ONCE_MAX);
		s->order[i] = '\0';
		if (len == 0)
			return s->t->sent.last.number;
		s->order[i] = sender_letter(s, buf, len, retransmitted);
		if (timestamp != 0)
			tunnel_left(s->t, timestamp, s->now);
	}
}

static inline uint64_t sender_wait(struct sender *s, int64_t ns)
{
	s->now = rt_time_add(s->now, ns);
	return sender_send(s);
}

static inline void sender_write(struct sender *s)
{
	static const uint8_t frame[SENDER_WRITE];

	assert_int_equal(tunnel_submit(s->t, frame, sizeof(frame), s->now), 0);
	tunnel_expedite(s->t, s->now);
	(void)sender_send(s);
}

/* As of a mirror that has all below `below`, and nothing behind it, up to `largest`. */
static inline int sender_acked(struct sender *s, uint64_t largest, uint64_t below)
{
	struct packet p = { .type = PACKET_ACK, .number = ++s->acks };
	const struct sent_entry *e = sent_find(&s->t->sent, largest);

	/* The rate is not what is tested: for its controller nothing was lost. */
	if (e != NULL)
		s->report.received = (uint32_t)e->eliciting;
	s->report.largest = largest;
	s->report.below = below;
	if (s->report.seen < below)
		s->report.seen = below;
	s->report.credit = below + 1000;
	s->report.probe = s->t->mtu.serial;
	return tunnel_confirm(s->t, &p, &s->report, s->now);
}

/* Writes were confirmed, one by one: SENDER_WARM_UP frames. */
static inline void sender_begin(struct sender *s, const struct tunnel_params *params)
{
	*s = (struct sender){ .now = { 1000 * RT_S } };
	assert_int_equal(tunnel_new(params, s->now, &s->t), 0);
	for (unsigned i = 0; i < SENDER_WARM_UP; i++) {
		sender_write(s);
		s->now = rt_time_add(s->now, SENDER_RTT_NS);
		assert_int_equal(sender_acked(s, s->t->sent.last.number, s->t->tx.sent),
				 0);
	}
	assert_int_equal(tunnel_received(s->t), SENDER_WARM_UP);
}

#endif
