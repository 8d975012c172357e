// SPDX-License-Identifier: BSD-3-Clause
/*
 * Evidence from the border: messages are read back as they were written and nothing
 * else is taken for one; an echo proves what was sent, once, and nothing that differs in
 * a single bit; a send batch has left when all of it has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/edge.h"
#include "replicator/tunnel/edge_client.h"
#include "replicator/tunnel/evidence.h"
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/wire_gate.h"
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

/* A datagram as a tunnel sends it; the relay looks at its head and hashes the rest. */
static size_t datagram_of(uint64_t number, uint8_t type, uint8_t *buf)
{
	struct packet p = { .type = (enum packet_type)type, .id = 7, .number = number };
	struct packet_head head;

	memset(buf, (int)number, 200);
	packet_head_encode(&p, &head);
	memcpy(buf, &head, sizeof(head));
	return 200;
}

static size_t echo_of(const uint8_t *dgram, size_t len, uint64_t id, uint8_t *out)
{
	struct edge_message m = { .type = EDGE_ECHO, .id = id, .serial = 1, .count = 1 };

	assert_true(edge_recognize(dgram, len, key, &m.seen[0]));
	return edge_encode(&m, key, out);
}

static void an_echo_proves_what_was_sent_once(void **state)
{
	struct edge_client *c = calloc(1, sizeof(*c));
	uint8_t dgram[256], echo[EDGE_MESSAGE_MAX];
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	size_t len, n;

	assert_non_null(c);
	edge_client_init(c, key, 7, (rt_time){ RT_S });
	len = datagram_of(42, PACKET_DATA, dgram);
	n = echo_of(dgram, len, 7, echo);
	assert_int_equal(edge_client_echo(c, echo, n, numbers), 0); /* not sent yet */
	edge_client_await(c, dgram, len);
	dgram[100] ^= 1; /* damaged on its way to the relay */
	n = echo_of(dgram, len, 7, echo);
	assert_int_equal(edge_client_echo(c, echo, n, numbers), 0);
	dgram[100] ^= 1;
	n = echo_of(dgram, len, 8, echo); /* another tunnel's */
	assert_int_equal(edge_client_echo(c, echo, n, numbers), -EPROTO);
	assert_int_equal(c->forged, 1);
	n = echo_of(dgram, len, 7, echo);
	assert_int_equal(edge_client_echo(c, echo, n, numbers), 1);
	assert_int_equal(numbers[0], 42);
	assert_int_equal(edge_client_echo(c, echo, n, numbers), 0); /* once */
	free(c);
}

static void nobody_waits_for_acknowledgements(void **state)
{
	uint8_t dgram[256];
	struct edge_seen seen;

	assert_false(
		edge_recognize(dgram, datagram_of(1, PACKET_ACK, dgram), key, &seen));
	assert_false(
		edge_recognize(dgram, datagram_of(1, PACKET_PROBE, dgram), key, &seen));
	assert_false(edge_recognize(dgram, 35, key, &seen));
	assert_true(
		edge_recognize(dgram, datagram_of(1, PACKET_REPAIR, dgram), key, &seen));
}

/* Registrations: at once, then often until the first echo, then now and then. */
static void registrations_come_again(void **state)
{
	struct edge_client *c = calloc(1, sizeof(*c));
	uint8_t out[EDGE_MESSAGE_MAX], dgram[256], echo[EDGE_MESSAGE_MAX];
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	rt_time now = { RT_S };
	struct edge_message m;
	size_t len;

	assert_non_null(c);
	edge_client_init(c, key, 7, now);
	for (unsigned i = 1; i <= 3; i++) {
		len = edge_client_register(c, out, now);
		assert_int_equal(edge_decode(out, len, key, &m), 0);
		assert_int_equal(m.type, EDGE_REGISTER);
		assert_int_equal(m.serial, i);
		assert_int_equal(edge_client_register(c, out, now), 0);
		assert_int_equal(rt_time_since(c->register_at, now), EDGE_HURRY_NS);
		now = c->register_at;
	}
	len = datagram_of(1, PACKET_DATA, dgram);
	(void)edge_client_echo(c, echo, echo_of(dgram, len, 7, echo), numbers);
	assert_true(edge_client_register(c, out, now) > 0);
	assert_int_equal(rt_time_since(c->register_at, now), EDGE_REFRESH_NS);
	free(c);
}

/*
 * A send batch of four: three echoes prove nothing, nor does the same one twice (see
 * above).
 */
static void a_batch_has_left_when_all_of_it_has(void **state)
{
	struct evidence e;
	struct wire_gate_batch out;
	rt_time now = { RT_S };

	evidence_init(&e, TUNNEL_EDGE);
	for (unsigned i = 1; i <= 4; i++) {
		struct evidence_sent sent = {
			.number = 10 * i, .symbols = i, .last = i == 4, .now = now
		};

		(void)evidence_add(&e, &sent);
	}
	for (unsigned i = 1; i <= 3; i++) {
		evidence_echo(&e, 10 * i, now);
		assert_false(evidence_resolve(&e, now, &out));
	}
	evidence_echo(&e, 40, now);
	assert_true(evidence_resolve(&e, now, &out));
	assert_true(out.left);
	evidence_echo(&e, 40, now); /* long resolved */
	assert_false(evidence_resolve(&e, now, &out));
	/* Nor does one that comes so late count for the next send batch. */
	for (unsigned i = 5; i <= 6; i++) {
		struct evidence_sent sent = {
			.number = 10 * i, .symbols = i, .last = i == 6, .now = now
		};

		(void)evidence_add(&e, &sent);
	}
	evidence_echo(&e, 40, now);
	evidence_echo(&e, 50, now);
	assert_false(evidence_resolve(&e, now, &out));
	evidence_echo(&e, 60, now);
	assert_true(evidence_resolve(&e, now, &out));
	assert_true(out.left);
}

/*
 * A probe closes a send batch where no repair can; no relay echoes it, before or after.
 */
static void a_closing_that_is_a_probe_is_not_waited_for(void **state)
{
	for (unsigned echoes_first = 0; echoes_first < 2; echoes_first++) {
		struct evidence e;
		struct wire_gate_batch out;
		rt_time now = { RT_S };
		struct evidence_sent sent = { .number = 1, .symbols = 1, .now = now };
		struct evidence_sent closing = {
			.number = 2, .symbols = 1, .last = true, .probe = true, .now = now
		};

		evidence_init(&e, TUNNEL_EDGE);
		(void)evidence_add(&e, &sent);
		if (echoes_first)
			evidence_echo(&e, 1, now);
		(void)evidence_add(&e, &closing);
		if (!echoes_first) {
			assert_false(evidence_resolve(&e, now, &out));
			evidence_echo(&e, 1, now);
		}
		assert_true(evidence_resolve(&e, now, &out));
		assert_true(out.left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_round_trip),
		cmocka_unit_test(every_other_bit_and_length_is_refused),
		cmocka_unit_test(impossible_heads_are_refused),
		cmocka_unit_test(an_echo_proves_what_was_sent_once),
		cmocka_unit_test(nobody_waits_for_acknowledgements),
		cmocka_unit_test(registrations_come_again),
		cmocka_unit_test(a_batch_has_left_when_all_of_it_has),
		cmocka_unit_test(a_closing_that_is_a_probe_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
