// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fec/fec.h"
#include "replicator/message.h"

/*
 * Messages decide epochs and positions: each comes out as it went in, none that is cut
 * short, longer, or out of range is believed, and no bit pattern does harm.
 */

static struct message_hello *hello(void)
{
	struct message_hello *m = calloc(1, sizeof(*m));

	m->number = 4242;
	m->log_floor = 99;
	m->persisted = 777;
	m->role = LFS_MIRROR;
	m->flags = HELLO_UNPAIRED;
	(void)snprintf(m->node, sizeof(m->node), "lon");
	m->lsn = 12345;
	m->hash = 0xfeedface;
	m->heartbeat_ms = 2000;
	memset(m->meta.group, 7, sizeof(m->meta.group));
	(void)snprintf(m->meta.group_name, sizeof(m->meta.group_name), "db");
	m->meta.max_request = 1u << 20;
	m->meta.nvolumes = 2;
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(m->meta.volumes[i].name, sizeof(m->meta.volumes[i].name),
			       "v%u", i);
		m->meta.volumes[i].id = 100 + i;
		m->meta.volumes[i].size = (i + 1) * LFS_BLOCK;
	}
	m->meta.nepochs = 2;
	m->meta.epochs[0] = (struct lfs_epoch){ .number = 1, .id = 11, .first_lsn = 1 };
	m->meta.epochs[1] = (struct lfs_epoch){ .number = 3, .id = 33, .first_lsn = 500 };
	return m;
}

static void a_hello_comes_out_as_it_went_in(void **state)
{
	static uint8_t buf[MESSAGE_MAX];
	struct message_hello *in = hello(), *out = calloc(1, sizeof(*out));
	size_t len = message_encode_hello(in, buf, sizeof(buf));

	(void)state;
	assert_int_equal(message_decode_hello(buf, len, out), 0);
	assert_string_equal(out->node, "lon");
	assert_int_equal(out->lsn, in->lsn);
	assert_int_equal(out->hash, in->hash);
	assert_int_equal(out->flags, in->flags);
	assert_int_equal(out->heartbeat_ms, 2000);
	assert_int_equal(out->number, in->number);
	assert_int_equal(out->log_floor, in->log_floor);
	assert_int_equal(out->persisted, in->persisted);
	assert_int_equal(out->meta.nvolumes, 2);
	assert_string_equal(out->meta.volumes[1].name, "v1");
	assert_int_equal(out->meta.volumes[1].size, 2 * LFS_BLOCK);
	assert_int_equal(out->meta.nepochs, 2);
	assert_memory_equal(out->meta.epochs, in->meta.epochs,
			    2 * sizeof(struct lfs_epoch));
	for (size_t n = 0; n < len; n++)
		assert_true(n == 0 || message_decode_hello(buf, n, out) == -EPROTO);
	assert_int_equal(message_decode_hello(buf, len + 1, out), -EPROTO);
	free(in);
	free(out);
}

static void no_flipped_bit_does_harm(void **state)
{
	static uint8_t buf[MESSAGE_MAX];
	struct message_hello *m = hello(), *out = calloc(1, sizeof(*out));
	size_t len = message_encode_hello(m, buf, sizeof(buf));

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (message_decode_hello(buf, len, out) == 0) {
			assert_in_range(out->meta.nepochs, 1, LFS_HISTORY_MAX);
			assert_in_range(out->meta.nvolumes, 1, LFS_VOLUMES_MAX);
			assert_true(strlen(out->node) < sizeof(out->node));
		}
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(m);
	free(out);
}

static void the_largest_hello_fits(void **state)
{
	static uint8_t buf[MESSAGE_MAX];
	struct message_hello *m = hello(), *out = calloc(1, sizeof(*out));
	char name[LFS_NAME_MAX];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	m->meta.nvolumes = LFS_VOLUMES_MAX;
	for (unsigned i = 0; i < LFS_VOLUMES_MAX; i++) {
		memcpy(m->meta.volumes[i].name, name, sizeof(name));
		m->meta.volumes[i].size = LFS_BLOCK;
	}
	m->meta.nepochs = LFS_HISTORY_MAX;
	for (unsigned i = 0; i < LFS_HISTORY_MAX; i++)
		m->meta.epochs[i] = (struct lfs_epoch){ .number = i + 1,
							.id = i,
							.first_lsn = i + 1 };
	assert_int_equal(
		message_decode_hello(buf, message_encode_hello(m, buf, sizeof(buf)), out),
		0);
	free(m);
	free(out);
}

static int hello_with(void (*change)(struct message_hello *m))
{
	static uint8_t buf[MESSAGE_MAX];
	struct message_hello *m = hello(), *out = calloc(1, sizeof(*out));
	int err;

	change(m);
	err = message_decode_hello(buf, message_encode_hello(m, buf, sizeof(buf)), out);
	free(m);
	free(out);
	return err;
}

static void descending_epochs(struct message_hello *m)
{
	m->meta.epochs[1].number = 1;
}

static void descending_lsns(struct message_hello *m)
{
	m->meta.epochs[0].first_lsn = 501;
}

/* Its form never changes: a later version may append, and none may take away. */
static void a_negotiate_may_be_longer(void **state)
{
	struct message_negotiate in = { .min = 3, .max = 260, .features = 1u << 17 }, out;
	uint8_t buf[256] = { 0 };
	size_t len;

	memset(in.group, 9, sizeof(in.group));
	(void)snprintf(in.group_name, sizeof(in.group_name), "db");
	len = message_encode_negotiate(&in, buf, sizeof(buf));
	assert_int_equal(len, 31); /* of every version */
	assert_memory_equal(buf, "\x03\x00\x04\x01\x00\x00\x02\x00", 8);
	for (size_t n = len; n < len + 9; n++) {
		assert_int_equal(message_decode_negotiate(buf, n, &out), 0);
		assert_memory_equal(&in, &out, sizeof(in));
	}
	for (size_t n = 0; n < len; n++)
		assert_int_equal(message_decode_negotiate(buf, n, &out), -EPROTO);
	in.min = 0;
	len = message_encode_negotiate(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_negotiate(buf, len, &out), -EPROTO);
	in.min = 261;
	len = message_encode_negotiate(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_negotiate(buf, len, &out), -EPROTO);
}

static void an_identity_comes_out_as_it_went_in(void **state)
{
	struct message_identity in = { .run = 7, .number = UINT64_MAX, .giver = 9 }, out;
	uint8_t buf[256] = { 0 };
	size_t len;

	memset(in.store, 1, sizeof(in.store));
	memset(in.paired, 2, sizeof(in.paired));
	memset(in.boot, 3, sizeof(in.boot));
	(void)snprintf(in.node, sizeof(in.node), "nyc");
	len = message_encode_identity(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_identity(buf, len, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	for (size_t n = 0; n < len; n++)
		assert_int_equal(message_decode_identity(buf, n, &out), -EPROTO);
	assert_int_equal(message_decode_identity(buf, len + 1, &out), -EPROTO);
	in.run = 0;
	len = message_encode_identity(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_identity(buf, len, &out), -EPROTO);
	in.run = 7;
	memset(in.store, 0, sizeof(in.store));
	len = message_encode_identity(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_identity(buf, len, &out), -EPROTO);
}

static void a_hash_comes_out_as_it_went_in(void **state)
{
	struct message_hash in = { 81204, UINT64_MAX - 1 }, out;
	uint8_t buf[64];
	size_t len = message_encode_hash(&in, buf, sizeof(buf));

	assert_int_equal(message_decode_hash(buf, len, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	for (size_t n = 0; n < len; n++)
		assert_int_equal(message_decode_hash(buf, n, &out), -EPROTO);
	assert_int_equal(message_decode_hash(buf, len + 1, &out), -EPROTO);
}

static void a_grant_comes_out_as_it_went_in(void **state)
{
	struct message_grant in = { 7, UINT64_MAX, 81204 }, out;
	uint8_t buf[64];
	size_t len = message_encode_grant(&in, buf, sizeof(buf));

	assert_int_equal(message_decode_grant(buf, len, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	for (size_t n = 0; n < len; n++)
		assert_int_equal(message_decode_grant(buf, n, &out), -EPROTO);
	assert_int_equal(message_decode_grant(buf, len + 1, &out), -EPROTO);
	in.id = 0;
	(void)message_encode_grant(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_grant(buf, len, &out), -EPROTO);
	in = (struct message_grant){ MESSAGE_EPOCH_MAX + 1, 1, 1 };
	(void)message_encode_grant(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_grant(buf, len, &out), -EPROTO);
}

static void epoch_of_number_0(struct message_hello *m)
{
	m->meta.epochs[0].number = 0;
}

static void last_epoch(struct message_hello *m)
{
	m->meta.epochs[1].number = MESSAGE_EPOCH_MAX;
}

/* A mirror that followed it could never be promoted. */
static void epoch_beyond_the_last(struct message_hello *m)
{
	m->meta.epochs[1].number = MESSAGE_EPOCH_MAX + 1;
}

/* Nothing was written in it. */
static void empty_epoch(struct message_hello *m)
{
	m->meta.epochs[0].first_lsn = m->meta.epochs[1].first_lsn;
}

static void epoch_from_lsn_0(struct message_hello *m)
{
	m->meta.epochs[0].first_lsn = 0;
}

static void unaligned_size(struct message_hello *m)
{
	m->meta.volumes[0].size = 5000;
}

static void no_role(struct message_hello *m)
{
	m->role = 0;
}

static void unknown_flag(struct message_hello *m)
{
	m->flags = HELLO_FLAGS + 1;
}

static void what_is_out_of_range_is_refused(void **state)
{
	(void)state;
	assert_int_equal(hello_with(descending_epochs), -EPROTO);
	assert_int_equal(hello_with(descending_lsns), -EPROTO);
	assert_int_equal(hello_with(epoch_of_number_0), -EPROTO);
	assert_int_equal(hello_with(last_epoch), 0);
	assert_int_equal(hello_with(epoch_beyond_the_last), -EPROTO);
	assert_int_equal(hello_with(epoch_from_lsn_0), -EPROTO);
	assert_int_equal(hello_with(empty_epoch), 0);
	assert_int_equal(hello_with(unaligned_size), -EPROTO);
	assert_int_equal(hello_with(no_role), -EPROTO);
	assert_int_equal(hello_with(unknown_flag), -EPROTO);
}

static void start_ping_number_and_text(void **state)
{
	static uint8_t buf[MESSAGE_MAX];
	static struct message_start in, out;
	struct message_ping ping, pong;
	char text[MESSAGE_TEXT_MAX + 1];
	uint64_t n;
	size_t len;

	(void)state;
	in = (struct message_start){ .tunnel_id = 5,
				     .from_lsn = 6,
				     .code = FEC_WINDOW,
				     .symbol_size = 1408,
				     .window = 128,
				     .nepochs = 1,
				     .epochs = { { 1, 2, 3 } } };
	len = message_encode_start(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_start(buf, len, &out), 0);
	assert_memory_equal(&in, &out, offsetof(struct message_start, epochs) + 24);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(message_decode_start(buf, cut, &out), -EPROTO);
	in.transport = MESSAGE_TCP + 1;
	len = message_encode_start(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_start(buf, len, &out), -EPROTO);
	in.transport = MESSAGE_TCP;
	in.code = FEC_WINDOW + 1; /* no code */
	len = message_encode_start(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_start(buf, len, &out), -EPROTO);
	in.code = FEC_WINDOW;
	in.symbol_size = 1400;
	len = message_encode_start(&in, buf, sizeof(buf));
	assert_int_equal(message_decode_start(buf, len, &out), -EPROTO);

	memset(&ping, 0, sizeof(ping));
	ping.serial = 1;
	ping.wall_ns = 2;
	ping.admitted = 3;
	ping.durable = 4;
	ping.bytes = 5;
	ping.flags = PING_SERVES + 1; /* there is none */
	len = message_encode_ping(&ping, buf, sizeof(buf));
	assert_int_equal(message_decode_ping(buf, len, &pong), -EPROTO);
	ping.flags = PING_SERVES;
	len = message_encode_ping(&ping, buf, sizeof(buf));
	memset(&pong, 0, sizeof(pong));
	assert_int_equal(message_decode_ping(buf, len, &pong), 0);
	assert_memory_equal(&ping, &pong, sizeof(ping));
	assert_int_equal(message_decode_ping(buf, len - 1, &pong), -EPROTO);
	len = message_encode_number(99, buf, sizeof(buf));
	assert_int_equal(message_decode_number(buf, len, &n), 0);
	assert_int_equal(n, 99);
	assert_int_equal(message_decode_number(buf, len + 1, &n), -EPROTO);
	len = message_encode_text("full\n\x1b[2J", buf, sizeof(buf));
	assert_int_equal(message_decode_text(buf, len, text), 0);
	assert_string_equal(text, "full??[2J");
	memset(buf, 'a', MESSAGE_TEXT_MAX + 1);
	message_reason(buf, len, text);
	assert_memory_equal(text, "aaaaaaaaa", len);
	assert_int_equal(message_decode_text(buf, MESSAGE_TEXT_MAX + 1, text), -EPROTO);
	message_reason(buf, MESSAGE_TEXT_MAX + 1, text);
	assert_string_equal(text, "it does not say why");
}

/* What binds a data connection to its control connection, and counts on it. */
static void join_and_progress(void **state)
{
	struct message_join join = { .tunnel_id = 77, .proof = "fifteen letters" },
			    joined;
	struct message_progress progress = { 1, 2, 3, UINT64_MAX }, made;
	uint8_t buf[64];
	size_t len;

	(void)state;
	len = message_encode_join(&join, buf, sizeof(buf));
	assert_int_equal(message_decode_join(buf, len, &joined), 0);
	assert_memory_equal(&join, &joined, sizeof(join));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(message_decode_join(buf, cut, &joined), -EPROTO);
	assert_int_equal(message_decode_join(buf, len + 1, &joined), -EPROTO);
	len = message_encode_progress(&progress, buf, sizeof(buf));
	assert_int_equal(message_decode_progress(buf, len, &made), 0);
	assert_memory_equal(&progress, &made, sizeof(made));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(message_decode_progress(buf, cut, &made), -EPROTO);
	assert_int_equal(message_decode_progress(buf, len + 1, &made), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_comes_out_as_it_went_in),
		cmocka_unit_test(no_flipped_bit_does_harm),
		cmocka_unit_test(the_largest_hello_fits),
		cmocka_unit_test(what_is_out_of_range_is_refused),
		cmocka_unit_test(a_negotiate_may_be_longer),
		cmocka_unit_test(an_identity_comes_out_as_it_went_in),
		cmocka_unit_test(a_grant_comes_out_as_it_went_in),
		cmocka_unit_test(a_hash_comes_out_as_it_went_in),
		cmocka_unit_test(start_ping_number_and_text),
		cmocka_unit_test(join_and_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
