/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_SECURE_CONTRACT_H
#define TESTS_UNIT_TUNNEL_SECURE_CONTRACT_H

/*
 * What tunnel/secure.h promises, as tests that both implementations pass: GnuTLS and the
 * simulator's. Included by one test program for each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/secure.h"
#include "tests/unit/unit.h"

static const uint8_t contract_key[SECURE_KEY_LEN] = "a key that both sides were given";
static const uint8_t contract_wrong[SECURE_KEY_LEN] = "a key that only one of them has!";

/* Two ends and the wire between them; `flip` damages byte number `flip_at` of a flow. */
struct contract {
	struct secure *end[2]; /* 0 dials */
	int error[2];
	const char *why[2];
	size_t chunk;
	size_t carried[2]; /* bytes that end i has put on the wire */
	int flip_from;	   /* the end whose bytes are damaged, or -1 */
	size_t flip_at;
	size_t cut_at; /* nothing of flip_from's bytes from here on arrives */
};

static void contract_open(struct contract *c, const uint8_t *key0, const uint8_t *key1,
			  size_t chunk)
{
	*c = (struct contract){ .chunk = chunk, .flip_from = -1, .cut_at = SIZE_MAX };
	assert_int_equal(secure_dial(SECURE_CONTROL, "db", key0, &c->end[0]), 0);
	assert_int_equal(secure_accept("db", key1, &c->end[1]), 0);
}

static void contract_close(struct contract *c)
{
	secure_free(c->end[0]);
	secure_free(c->end[1]);
}

/* Carry what end `from` has to say; whether it said anything. */
static bool contract_carry(struct contract *c, int from)
{
	uint8_t wire[4096];
	size_t len = secure_output(c->end[from], wire, c->chunk);

	if (len == 0)
		return false;
	for (size_t i = 0; i < len && from == c->flip_from; i++)
		if (c->carried[from] + i == c->flip_at)
			wire[i] ^= 1 << c->flip_at % 8;
	c->carried[from] += len;
	if (from == c->flip_from && c->carried[from] > c->cut_at) {
		size_t over = c->carried[from] - c->cut_at;

		if (over >= len)
			return true;
		len -= over;
	}
	if (c->error[!from] == 0)
		c->error[!from] = secure_input(c->end[!from], wire, len, &c->why[!from]);
	return true;
}

static void contract_pump(struct contract *c)
{
	bool moved = true;

	while (moved) {
		moved = contract_carry(c, 0);
		moved |= contract_carry(c, 1);
	}
}

static void contract_expect(struct contract *c, int end, const void *want, size_t len)
{
	uint8_t *got = malloc(len + 1);
	size_t have = 0;
	long n;

	assert_non_null(got);
	while ((n = secure_read(c->end[end], got + have, len + 1 - have)) > 0)
		have += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(have, len);
	assert_memory_equal(got, want, len);
	free(got);
}

/* Two ends with one key reach each other, agree on the exporter, and talk both ways. */
static void contract_two_ends_agree(size_t chunk)
{
	struct contract c;
	uint8_t a[32], b[32], other[32];
	char byte;

	contract_open(&c, contract_key, contract_key, chunk);
	assert_false(secure_established(c.end[0]));
	assert_int_equal(secure_write(c.end[0], "early", 5), -EPIPE);
	assert_int_equal(secure_export(c.end[0], "label", a, sizeof(a)), -EPIPE);
	assert_int_equal(secure_read(c.end[1], &byte, 1), 0);
	contract_pump(&c);
	assert_int_equal(c.error[0], 0);
	assert_int_equal(c.error[1], 0);
	assert_true(secure_established(c.end[0]));
	assert_true(secure_established(c.end[1]));
	assert_true(c.carried[1] > 0);

	assert_int_equal(secure_export(c.end[0], "label", a, sizeof(a)), 0);
	assert_int_equal(secure_export(c.end[1], "label", b, sizeof(b)), 0);
	assert_int_equal(secure_export(c.end[1], "other", other, sizeof(other)), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, other, sizeof(a));

	assert_int_equal(secure_write(c.end[0], "question", 8), 0);
	assert_int_equal(secure_write(c.end[1], "ans", 3), 0);
	assert_int_equal(secure_write(c.end[1], "wer", 3), 0);
	contract_pump(&c);
	contract_expect(&c, 1, "question", 8);
	contract_expect(&c, 0, "answer", 6);

	secure_bye(c.end[0]);
	assert_int_equal(secure_write(c.end[0], "x", 1), -EPIPE);
	assert_int_equal(secure_write(c.end[1], "last", 4), 0);
	contract_pump(&c);
	assert_int_equal(secure_read(c.end[1], &byte, 1), -ENODATA);
	contract_expect(&c, 0, "last", 4);
	contract_close(&c);
}

static void contract_agree_in_bulk(void **state)
{
	contract_two_ends_agree(4096);
}

static void contract_agree_one_byte_at_a_time(void **state)
{
	contract_two_ends_agree(1);
}

static void contract_agree_in_odd_pieces(void **state)
{
	contract_two_ends_agree(37);
}

/* Each connection has keys of its own, though the pre-shared one is the same. */
static void contract_secrets_differ(void **state)
{
	uint8_t secret[2][32];
	struct contract c;

	for (int i = 0; i < 2; i++) {
		contract_open(&c, contract_key, contract_key, 4096);
		contract_pump(&c);
		assert_int_equal(secure_export(c.end[0], "l", secret[i], 32), 0);
		contract_close(&c);
	}
	assert_memory_not_equal(secret[0], secret[1], 32);
}

/* A peer with another key is refused, and both sides report why in words. */
static void contract_wrong_key_is_refused(void **state)
{
	struct contract c;

	contract_open(&c, contract_key, contract_wrong, 4096);
	contract_pump(&c);
	assert_false(secure_established(c.end[1]));
	assert_false(secure_established(c.end[0]));
	assert_int_equal(c.error[1], -EBADMSG);
	assert_int_equal(c.error[0], -EBADMSG);
	assert_true(strlen(c.why[0]) > 10);
	assert_true(strlen(c.why[1]) > 10);
	assert_int_equal(secure_input(c.end[1], (const uint8_t *)"more", 4, NULL),
			 -EBADMSG);
	assert_int_equal(secure_write(c.end[1], "x", 1), -EPIPE);
	contract_close(&c);
}

/* The first message shows the key, before the handshake is over; one with another does not. */
static void contract_hello_shows_the_key(void **state)
{
	for (int wrong = 0; wrong < 2; wrong++) {
		struct contract c;

		contract_open(&c, wrong ? contract_wrong : contract_key, contract_key,
			      4096);
		assert_false(secure_hello_keyed(c.end[1]));
		assert_true(contract_carry(&c, 0));
		assert_false(secure_established(c.end[1]));
		assert_int_equal(secure_hello_keyed(c.end[1]), !wrong);
		contract_pump(&c);
		assert_int_equal(secure_established(c.end[1]), !wrong);
		assert_int_equal(secure_hello_keyed(c.end[1]), !wrong);
		assert_false(secure_hello_keyed(c.end[0])); /* it does not accept */
		contract_close(&c);
	}
}

/* A port scanner, a browser or noise is refused, not waited for or believed. */
static void contract_garbage_is_refused(void **state)
{
	static const char *const garbage[] = { "GET / HTTP/1.1\r\nHost: example\r\n\r\n",
					       "SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
					       "\377\377\377\377\377\377\377\377" };

	for (size_t i = 0; i < 3; i++) {
		for (int client = 0; client < 2; client++) {
			const char *why = NULL;
			struct secure *s;

			assert_int_equal(client ? secure_dial(SECURE_DATA, "db", contract_key,
							      &s)
						: secure_accept("db", contract_key, &s),
					 0);
			assert_int_equal(secure_input(s, (const uint8_t *)garbage[i],
						      strlen(garbage[i]), &why),
					 -EBADMSG);
			assert_non_null(why);
			assert_false(secure_established(s));
			secure_free(s);
		}
	}
}

/* Damage to any byte of the handshake: never two ends that talk under different secrets. */
static void contract_damage_is_noticed(void **state)
{
	struct contract c;
	size_t total[2];

	contract_open(&c, contract_key, contract_key, 4096);
	contract_pump(&c);
	total[0] = c.carried[0];
	total[1] = c.carried[1];
	contract_close(&c);
	for (int from = 0; from < 2; from++) {
		for (size_t at = 0; at < total[from]; at++) {
			uint8_t a[16] = { 0 }, b[16] = { 0 };

			contract_open(&c, contract_key, contract_key, 4096);
			c.flip_from = from;
			c.flip_at = at;
			contract_pump(&c);
			if (secure_established(c.end[0]) &&
			    secure_established(c.end[1])) {
				(void)secure_export(c.end[0], "l", a, sizeof(a));
				(void)secure_export(c.end[1], "l", b, sizeof(b));
				assert_memory_equal(a, b, sizeof(a));
			}
			contract_close(&c);
		}
	}
}

/* Who accepts hears what for; the end that dials chose it. */
static void contract_purpose_is_heard(void **state)
{
	static const enum secure_purpose purposes[] = { SECURE_DATA, SECURE_CONTROL };

	for (unsigned i = 0; i < 2; i++) {
		struct contract c = { .chunk = 4096,
				      .flip_from = -1,
				      .cut_at = SIZE_MAX };

		assert_int_equal(secure_dial(purposes[i], "db", contract_key, &c.end[0]), 0);
		assert_int_equal(secure_accept("db", contract_key, &c.end[1]), 0);
		contract_pump(&c);
		assert_true(secure_established(c.end[1]));
		assert_int_equal(secure_purpose(c.end[0]), purposes[i]);
		assert_int_equal(secure_purpose(c.end[1]), purposes[i]);
		contract_close(&c);
	}
}

/* A handshake that stops anywhere leaves both ends waiting, without error or result. */
static void contract_truncation_waits(void **state)
{
	struct contract c;
	size_t total;

	contract_open(&c, contract_key, contract_key, 4096);
	contract_pump(&c);
	total = c.carried[0];
	contract_close(&c);
	for (size_t at = 0; at < total; at++) {
		contract_open(&c, contract_key, contract_key, 64);
		c.flip_from = 0;
		c.flip_at = SIZE_MAX;
		c.cut_at = at;
		contract_pump(&c);
		assert_false(secure_established(c.end[1]));
		assert_int_equal(c.error[0], 0);
		assert_int_equal(c.error[1], 0);
		contract_close(&c);
	}
}

/* A megabyte each way arrives whole, and more than the bound is refused, not kept. */
static void contract_queues_are_bounded(void **state)
{
	const size_t len = SECURE_QUEUE_MAX / 2;
	uint8_t *bulk = malloc(len);
	struct contract c;
	int ret = 0;

	assert_non_null(bulk);
	for (size_t i = 0; i < len; i++)
		bulk[i] = (uint8_t)(i * 7 + i / 4096);
	contract_open(&c, contract_key, contract_key, 4096);
	contract_pump(&c);
	for (int from = 0; from < 2; from++) {
		assert_int_equal(secure_write(c.end[from], bulk, len), 0);
		contract_pump(&c);
		contract_expect(&c, !from, bulk, len);
	}
	assert_int_equal(secure_write(c.end[0], bulk, len), 0);
	assert_int_equal(secure_write(c.end[0], bulk, len), -ENOBUFS);
	for (int i = 0; i < 3 && ret == 0; i++)
		ret = secure_input(c.end[1], bulk, len, &c.why[1]);
	assert_int_equal(ret, -EBADMSG);
	contract_close(&c);
	free(bulk);
}

static const struct CMUnitTest contract_tests[] = {
	cmocka_unit_test(contract_agree_in_bulk),
	cmocka_unit_test(contract_agree_one_byte_at_a_time),
	cmocka_unit_test(contract_agree_in_odd_pieces),
	cmocka_unit_test(contract_secrets_differ),
	cmocka_unit_test(contract_wrong_key_is_refused),
	cmocka_unit_test(contract_hello_shows_the_key),
	cmocka_unit_test(contract_garbage_is_refused),
	cmocka_unit_test(contract_damage_is_noticed),
	cmocka_unit_test(contract_purpose_is_heard),
	cmocka_unit_test(contract_truncation_waits),
	cmocka_unit_test(contract_queues_are_bounded),
};

#endif
