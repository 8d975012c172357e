// SPDX-License-Identifier: BSD-3-Clause
/*
 * The primary's side of the border. An echo proves what was sent, once, and nothing that
 * differs in a single bit; what is forged proves nothing and is counted. A relay that has
 * forgotten the tunnel, or was not there yet, gets to know it again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/edge_client.h"
#include "tests/unit/tunnel/edge_datagram.h"
#include "tests/unit/unit.h"

#define ID 7
#define LEN 200 /* of a datagram */

static const uint8_t key[EDGE_KEY_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static struct edge_client *client(void)
{
	struct edge_client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	edge_client_init(c, key, ID, (rt_time){ RT_S });
	return c;
}

/* Datagrams first .. first + n - 1 are sent. */
static void await(struct edge_client *c, uint64_t first, unsigned n)
{
	uint8_t dgram[256];

	for (uint64_t number = first; number < first + n; number++) {
		(void)edge_datagram(number, PACKET_DATA, dgram);
		edge_client_await(c, dgram, LEN);
	}
}

/* An echo of these datagrams by one who has the key; what edge_client_echo() makes of it. */
static int echo(struct edge_client *c, const uint64_t *number, unsigned n,
		uint64_t numbers[EDGE_ECHO_ENTRIES])
{
	struct edge_message m = { .type = EDGE_ECHO, .id = ID, .serial = 1, .count = n };
	uint8_t dgram[256], bytes[EDGE_MESSAGE_MAX];

	for (unsigned i = 0; i < n; i++) {
		(void)edge_datagram(number[i], PACKET_DATA, dgram);
		assert_true(edge_recognize(dgram, LEN, key, &m.seen[i]));
	}
	return edge_client_echo(c, bytes, edge_encode(&m, key, bytes), numbers);
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
	len = edge_datagram(42, PACKET_DATA, dgram);
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
	len = edge_datagram(1, PACKET_DATA, dgram);
	(void)edge_client_echo(c, echo, echo_of(dgram, len, 7, echo), numbers);
	assert_true(edge_client_register(c, out, now) > 0);
	assert_int_equal(rt_time_since(c->register_at, now), EDGE_REFRESH_NS);
	free(c);
}

/* Those that are known and no others, in their order, wherever they stand in the echo. */
static void an_echo_of_many_is_taken_apart(void **state)
{
	const uint64_t sent[] = { 14, 10, 99, 12, 10, 0, 13 }, rest[] = { 11, 14, 12 };
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES];

	await(c, 10, 5); /* 10 .. 14 */
	assert_int_equal(echo(c, sent, 7, numbers), 4);
	assert_int_equal(numbers[0], 14);
	assert_int_equal(numbers[1], 10);
	assert_int_equal(numbers[2], 12);
	assert_int_equal(numbers[3], 13);
	assert_int_equal(echo(c, rest, 3, numbers), 1);
	assert_int_equal(numbers[0], 11);
	assert_int_equal(c->echoes, 2);
	assert_int_equal(c->forged, 0);
	free(c);
}

static void a_full_echo_is_taken(void **state)
{
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES], sent[EDGE_ECHO_ENTRIES];

	await(c, 1, EDGE_ECHO_ENTRIES);
	for (unsigned i = 0; i < EDGE_ECHO_ENTRIES; i++)
		sent[i] = EDGE_ECHO_ENTRIES - i;
	assert_int_equal(echo(c, sent, EDGE_ECHO_ENTRIES, numbers), EDGE_ECHO_ENTRIES);
	assert_memory_equal(numbers, sent, sizeof(sent));
	free(c);
}

/* Who answers too late answers for nothing: neither for the old nor for what is there now. */
static void as_many_are_awaited_as_may_be(void **state)
{
	const uint64_t first = 1, newest = EDGE_AWAITED, over = EDGE_AWAITED + 1;
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES];

	await(c, 1, EDGE_AWAITED);
	assert_int_equal(echo(c, &first, 1, numbers), 1);
	assert_int_equal(echo(c, &newest, 1, numbers), 1);
	await(c, 1, EDGE_AWAITED + 1);
	assert_int_equal(echo(c, &first, 1, numbers), 0);
	assert_int_equal(echo(c, &over, 1, numbers), 1);
	assert_int_equal(numbers[0], over);
	free(c);
}

/* No number is 0: an empty place of the table must not be one that was sent. */
static void nothing_was_sent_under_number_0(void **state)
{
	struct edge_message m = { .type = EDGE_ECHO, .id = ID, .serial = 1, .count = 1 };
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	uint8_t bytes[EDGE_MESSAGE_MAX];

	assert_int_equal(edge_client_echo(c, bytes, edge_encode(&m, key, bytes), numbers),
			 0);
	assert_int_equal(c->echoes, 1);
	free(c);
}

/* Each is counted, and after it the true echo still counts. */
static void what_is_forged_changes_nothing(void **state)
{
	static const uint8_t other[EDGE_KEY_LEN] = { 1 };
	const uint64_t number = 10;
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	uint8_t bytes[EDGE_MESSAGE_MAX], dgram[256];
	struct edge_message m = { .type = EDGE_ECHO, .id = ID, .serial = 1, .count = 1 };
	size_t len;

	await(c, number, 1);
	(void)edge_datagram(number, PACKET_DATA, dgram);
	assert_true(edge_recognize(dgram, LEN, key, &m.seen[0]));
	len = edge_encode(&m, other, bytes); /* of another key */
	assert_int_equal(edge_client_echo(c, bytes, len, numbers), -EPROTO);
	len = edge_encode(&m, key, bytes);
	bytes[len - 1] ^= 1;
	assert_int_equal(edge_client_echo(c, bytes, len, numbers), -EPROTO);
	bytes[len - 1] ^= 1;
	assert_int_equal(edge_client_echo(c, bytes, len - 1, numbers), -EPROTO);
	assert_int_equal(edge_client_echo(c, bytes, 0, numbers), -EPROTO);
	m.id = ID + 1; /* another tunnel's */
	len = edge_encode(&m, key, bytes);
	assert_int_equal(edge_client_echo(c, bytes, len, numbers), -EPROTO);
	/* our own registration, sent back to us */
	len = edge_client_register(c, bytes, (rt_time){ RT_S });
	assert_true(len > 0);
	assert_int_equal(edge_client_echo(c, bytes, len, numbers), -EPROTO);
	assert_int_equal(c->forged, 6);
	assert_int_equal(c->echoes, 0);
	assert_int_equal(echo(c, &number, 1, numbers), 1);
	assert_int_equal(c->forged, 6);
	free(c);
}

/* A probe or an acknowledgement is not awaited: nobody echoes it. */
static void only_what_is_echoed_is_awaited(void **state)
{
	const uint64_t number = 10;
	struct edge_client *c = client();
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	uint8_t dgram[256];

	await(c, number, 1);
	(void)edge_datagram(number + EDGE_AWAITED, PACKET_ACK, dgram);
	edge_client_await(c, dgram, LEN);
	(void)edge_datagram(number + EDGE_AWAITED, PACKET_PROBE, dgram);
	edge_client_await(c, dgram, LEN);
	assert_int_equal(echo(c, &number, 1, numbers), 1);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_echo_proves_what_was_sent_once),
		cmocka_unit_test(an_echo_of_many_is_taken_apart),
		cmocka_unit_test(a_full_echo_is_taken),
		cmocka_unit_test(as_many_are_awaited_as_may_be),
		cmocka_unit_test(nothing_was_sent_under_number_0),
		cmocka_unit_test(what_is_forged_changes_nothing),
		cmocka_unit_test(only_what_is_echoed_is_awaited),
		cmocka_unit_test(registrations_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
