// SPDX-License-Identifier: BSD-3-Clause
/*
 * The messages between a primary and the relay at its border are read back as they were
 * written, and nothing else is taken for one: not what differs in a single bit, nor what a
 * relay that lies makes up.
 */
#include <errno.h>
#include <string.h>

#include "replicator/tunnel/edge.h"
#include "tests/unit/tunnel/edge_datagram.h"
#include "tests/unit/unit.h"

static const uint8_t key[EDGE_KEY_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static struct edge_message message_of(unsigned count)
{
	struct edge_message m = { .type = count > 0 ? EDGE_ECHO : EDGE_REGISTER,
				  .id = UINT64_C(0x1122334455667788),
				  .serial = UINT64_C(0x99aabbccddeeff00),
				  .count = count };

	for (unsigned i = 0; i < count; i++)
		m.seen[i] =
			(struct edge_seen){ 1000 + i, i * UINT64_C(0x0123456789abcdef) };
	return m;
}

static void messages_round_trip(void **state)
{
	for (unsigned count = 0; count <= EDGE_ECHO_ENTRIES; count++) {
		struct edge_message m = message_of(count), got;
		uint8_t bytes[EDGE_MESSAGE_MAX];
		size_t len = edge_encode(&m, key, bytes);

		assert_int_equal(len, 40 + count * 16);
		assert_true(edge_is_message(bytes, len));
		assert_int_equal(edge_decode(bytes, len, key, &got), 0);
		assert_int_equal(got.type, m.type);
		assert_int_equal(got.id, m.id);
		assert_int_equal(got.serial, m.serial);
		assert_int_equal(got.count, count);
		assert_memory_equal(got.seen, m.seen, count * sizeof(m.seen[0]));
	}
}

static void every_other_bit_and_length_is_refused(void **state)
{
	struct edge_message m = message_of(3), got;
	uint8_t bytes[EDGE_MESSAGE_MAX + 1] = { 0 }, other[EDGE_KEY_LEN] = { 0 };
	size_t len = edge_encode(&m, key, bytes);

	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(edge_decode(bytes, len, key, &got), -EPROTO);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n <= len + 1; n++)
		assert_int_equal(edge_decode(bytes, n, key, &got),
				 n == len ? 0 : -EPROTO);
	assert_int_equal(edge_decode(bytes, len, other, &got), -EPROTO);
}

/* What a lying relay with the key could send: the MAC is right, the head is not. */
static void impossible_heads_are_refused(void **state)
{
	struct edge_message m = message_of(0), got;
	uint8_t bytes[2 * EDGE_MESSAGE_MAX];
	size_t len;

	m.count = 1; /* a registration with an entry */
	m.seen[0] = (struct edge_seen){ 1, 2 };
	len = edge_encode(&m, key, bytes);
	assert_int_equal(edge_decode(bytes, len, key, &got), -EPROTO);
	m = message_of(1);
	m.count = 0; /* an echo of nothing */
	len = edge_encode(&m, key, bytes);
	assert_int_equal(edge_decode(bytes, len, key, &got), -EPROTO);
	m = message_of(1);
	m.type = (enum edge_type)(EDGE_ECHO + 1);
	len = edge_encode(&m, key, bytes);
	assert_int_equal(edge_decode(bytes, len, key, &got), -EPROTO);
}

static void nobody_waits_for_acknowledgements(void **state)
{
	uint8_t dgram[256];
	struct edge_seen seen;

	assert_false(
		edge_recognize(dgram, edge_datagram(1, PACKET_ACK, dgram), key, &seen));
	assert_false(
		edge_recognize(dgram, edge_datagram(1, PACKET_PROBE, dgram), key, &seen));
	assert_false(edge_recognize(dgram, 35, key, &seen));
	assert_true(edge_recognize(dgram, edge_datagram(1, PACKET_REPAIR, dgram), key,
				   &seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_round_trip),
		cmocka_unit_test(every_other_bit_and_length_is_refused),
		cmocka_unit_test(impossible_heads_are_refused),
		cmocka_unit_test(nobody_waits_for_acknowledgements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
