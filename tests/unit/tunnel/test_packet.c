// SPDX-License-Identifier: BSD-3-Clause
/*
 * Datagrams are read back as they were written, and nothing that is too short, too long,
 * or has a reserved bit set is taken for one.
 */
#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/seal.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define SYMBOL 1408
#define AROUND (sizeof(struct packet_head) + PACKET_TAG)

static void head_round_trip(void **state)
{
	const struct packet p = { .type = PACKET_REPAIR,
				  .suite = SEAL_CHACHA20_POLY1305,
				  .epoch = 0x1234,
				  .id = UINT64_C(0x0102030405060708),
				  .number = UINT64_C(0x1112131415161718) };
	uint8_t dgram[2048] = { 0 };
	struct packet_head head;
	struct packet got;

	packet_head_encode(&p, &head);
	memcpy(dgram, &head, sizeof(head));
	assert_int_equal(packet_head_decode(dgram, AROUND + 16 + SYMBOL, SYMBOL, &got),
			 0);
	assert_int_equal(got.type, p.type);
	assert_int_equal(got.suite, p.suite);
	assert_int_equal(got.epoch, p.epoch);
	assert_int_equal(got.id, p.id);
	assert_int_equal(got.number, p.number);
}

/* For each type exactly the lengths that its payload can have. */
static void only_possible_lengths_are_taken(void **state)
{
	uint8_t dgram[2048] = { 0 };
	struct packet got;

	dgram[12] = 1; /* number */
	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 0; len < sizeof(dgram); len++) {
			size_t payload = len - AROUND;
			bool good = false;

			if (type == PACKET_DATA || type == PACKET_REPAIR)
				good = payload == 16 + SYMBOL;
			if (type == PACKET_PROBE)
				good = payload == 0 ||
				       (payload >= 4 && payload <= 16 + 1420);
			if (type == PACKET_ACK)
				good = payload >= 120 && payload % 8 == 0 &&
				       payload <= 120 + 8 * PACKET_HOLES_MAX;
			dgram[0] = (uint8_t)type;
			assert_int_equal(packet_head_decode(dgram, len, SYMBOL, &got),
					 good && len >= AROUND ? 0 : -EPROTO);
		}
	dgram[0] = PACKET_PROBE;
	dgram[1] = SEAL_SUITES;
	assert_int_equal(packet_head_decode(dgram, AROUND, SYMBOL, &got), -EPROTO);
	dgram[1] = 0;
	dgram[12] = 0; /* there is no number 0 */
	assert_int_equal(packet_head_decode(dgram, AROUND, SYMBOL, &got), -EPROTO);
}

static void data_round_trip(void **state)
{
	const struct packet_symbol cases[] = {
		{ .symbol = 0 },
		{ .symbol = UINT64_MAX, .retransmitted = true },
		{ .symbol = 77, .key = UINT32_MAX, .count = UINT16_MAX, .stride = 1 },
		{ .symbol = 77, .count = 8, .stride = 1, .kind = FEC_XOR },
		{ .symbol = 77,
		  .count = UINT16_MAX,
		  .stride = FEC_INTERLEAVE_MAX,
		  .kind = FEC_XOR },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		enum packet_type type = i >= 2 ? PACKET_REPAIR : PACKET_DATA;
		struct packet_symbol got;
		struct packet_data data;

		packet_data_encode(&cases[i], &data);
		assert_int_equal(packet_data_decode(type, &data, &got), 0);
		assert_int_equal(got.symbol, cases[i].symbol);
		assert_int_equal(got.key, cases[i].key);
		assert_int_equal(got.count, cases[i].count);
		assert_int_equal(got.retransmitted, cases[i].retransmitted);
		assert_int_equal(got.stride, cases[i].stride);
		assert_int_equal(got.kind, cases[i].kind);
		/* What is right for one type is wrong for the other. */
		assert_int_equal(packet_data_decode(i >= 2 ? PACKET_DATA : PACKET_REPAIR,
						    &data, &got),
				 -EPROTO);
		for (unsigned bit = 0; bit < 16; bit++) {
			struct packet_data bad = data;

			/* The one flag that each type knows. */
			if (bit == (i >= 2))
				continue;
			bad.flags = le16_make((uint16_t)(1 << bit));
			assert_int_equal(packet_data_decode(type, &bad, &got), -EPROTO);
		}
	}
}

static void strides_out_of_range_are_refused(void **state)
{
	static const uint32_t strides[] = { 0, FEC_INTERLEAVE_MAX + 1, 65536,
					    UINT32_MAX };
	struct packet_symbol got;

	for (unsigned i = 0; i < RT_ARRAY_LEN(strides); i++) {
		struct packet_data data = { .key = le32_make(strides[i]),
					    .count = le16_make(8),
					    .flags = le16_make(PACKET_SUM) };

		assert_int_equal(packet_data_decode(PACKET_REPAIR, &data, &got), -EPROTO);
	}
}

static struct packet_report report_full(void)
{
	struct packet_report r = { .largest = 1000,
				   .decided = 990,
				   .originals = 900,
				   .missing = 20,
				   .bursts = 5,
				   .overflowed = 3,
				   .below = 500,
				   .seen = 500 + 3 * PACKET_HOLES_MAX,
				   .rebuilt = 12,
				   .credit = 70000,
				   .watermark = UINT64_MAX,
				   .delay_us = 1999,
				   .deficit = 90,
				   .received = 0xfedcba98,
				   .gap_first = 975,
				   .gap_end = 990,
				   .nholes = PACKET_HOLES_MAX };

	for (unsigned i = 0; i < r.nholes; i++) {
		r.holes[i].first = 500 + 3 * i;
		r.holes[i].count = 2;
	}
	return r;
}

static void ack_round_trip(void **state)
{
	for (unsigned n = 0; n <= PACKET_HOLES_MAX; n++) {
		struct packet_report r = report_full(), got;
		uint8_t bytes[PACKET_ACK_MAX];
		size_t len;

		r.nholes = n;
		memset(&got, 0xff, sizeof(got));
		len = packet_ack_encode(&r, bytes);
		assert_int_equal(len, 120 + 8 * n);
		assert_int_equal(packet_ack_decode(bytes, len, &got), 0);
		assert_int_equal(got.largest, r.largest);
		assert_int_equal(got.decided, r.decided);
		assert_int_equal(got.originals, r.originals);
		assert_int_equal(got.missing, r.missing);
		assert_int_equal(got.bursts, r.bursts);
		assert_int_equal(got.overflowed, r.overflowed);
		assert_int_equal(got.below, r.below);
		assert_int_equal(got.seen, r.seen);
		assert_int_equal(got.rebuilt, r.rebuilt);
		assert_int_equal(got.credit, r.credit);
		assert_int_equal(got.watermark, r.watermark);
		assert_int_equal(got.delay_us, r.delay_us);
		assert_int_equal(got.deficit, r.deficit);
		assert_int_equal(got.received, r.received);
		assert_int_equal(got.gap_first, r.gap_first);
		assert_int_equal(got.gap_end, r.gap_end);
		assert_int_equal(got.nholes, n);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(got.holes[i].first, r.holes[i].first);
			assert_int_equal(got.holes[i].count, r.holes[i].count);
		}
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(packet_ack_decode(bytes, cut, &got), -EPROTO);
		assert_int_equal(packet_ack_decode(bytes, len + 8, &got), -EPROTO);
	}
}

static void ack_bounds_are_checked(void **state)
{
	struct packet_report r, got;
	uint8_t bytes[PACKET_ACK_MAX];
	size_t len;

#define REFUSED(change)                                                                  \
	do {                                                                             \
		r = report_full();                                                       \
		change;                                                                  \
		len = packet_ack_encode(&r, bytes);                                      \
		assert_int_equal(packet_ack_decode(bytes, len, &got), -EPROTO);          \
	} while (0)
	REFUSED(r.seen = r.below - 1);		/* seen before what is here */
	REFUSED(r.seen = UINT64_MAX);		/* beyond any stream */
	REFUSED(r.missing = r.decided + 1);	/* more than there were */
	REFUSED(r.bursts = r.missing + 1);	/* of nothing */
	REFUSED(r.bursts = 0);			/* in no run */
	REFUSED(r.gap_end = 991);		/* not decided yet */
	REFUSED(r.gap_first = 991);		/* ends before it begins */
	REFUSED(r.gap_first = 990);		/* is none, and has a place */
	REFUSED(r.gap_end = 0);			/* ends nowhere */
	REFUSED(r.gap_first = 0);		/* begins before the first */
	REFUSED(r.gap_first = 969);		/* longer than all that is missing */
	REFUSED(r.holes[3].count = 0);		/* no hole */
	REFUSED(r.holes[3].count = 3);		/* touches the next */
	REFUSED(r.holes[3].count = UINT32_MAX); /* over the end */
	REFUSED(r.holes[3].first = r.holes[2].first); /* out of order */
	REFUSED(r.seen = r.holes[63].first + 1); /* the last one is beyond what is seen */
#undef REFUSED
	r = report_full();
	r.seen = r.holes[63].first + 2;
	len = packet_ack_encode(&r, bytes);
	assert_int_equal(packet_ack_decode(bytes, len, &got), 0);
}

/* A probe says its serial and nothing else, whatever its length. */
static void probe_round_trip(void **state)
{
	uint8_t bytes[PACKET_SYMBOL_MAX] = { 0 };
	uint16_t serial;

	assert_int_equal(packet_probe_decode(bytes, 0, &serial), 0);
	assert_int_equal(serial, 0);
	for (size_t len = 4; len <= sizeof(bytes); len += 61) {
		packet_probe_encode(0x1234, bytes, len);
		assert_int_equal(packet_probe_decode(bytes, len, &serial), 0);
		assert_int_equal(serial, 0x1234);
		for (size_t i = 2; i < len; i++) {
			bytes[i] = 1;
			assert_int_equal(packet_probe_decode(bytes, len, &serial),
					 -EPROTO);
			bytes[i] = 0;
		}
		bytes[0] = bytes[1] = 0; /* no serial */
		assert_int_equal(packet_probe_decode(bytes, len, &serial), -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_round_trip),
		cmocka_unit_test(only_possible_lengths_are_taken),
		cmocka_unit_test(data_round_trip),
		cmocka_unit_test(strides_out_of_range_are_refused),
		cmocka_unit_test(probe_round_trip),
		cmocka_unit_test(ack_round_trip),
		cmocka_unit_test(ack_bounds_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
