// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/played.h"

/*
 * Messages are whole and in order however the bytes of a connection are cut, both ways; what
 * is no legal message ends it; who pauses it gets no message and reads nothing; and the
 * figures are those of the bytes that moved.
 */

#define HEAD 8u

/* A message of `type` whose body is `len` bytes that follow from both. Its whole length. */
static size_t put_message(uint8_t *at, unsigned type, size_t len)
{
	const uint8_t head[HEAD] = { (uint8_t)len,	   (uint8_t)(len >> 8),
				     (uint8_t)(len >> 16), (uint8_t)(len >> 24),
				     (uint8_t)type,	   (uint8_t)(type >> 8) };

	memcpy(at, head, HEAD);
	for (size_t i = 0; i < len; i++)
		at[HEAD + i] = (uint8_t)(type * 31 + i * 7 + i / 256);
	return HEAD + len;
}

static void is_message(unsigned type, size_t len)
{
	uint8_t want[HEAD + PLAYED_MESSAGE_MAX];

	(void)put_message(want, type, len);
	assert_int_equal(owner.type, type);
	assert_int_equal(owner.len, len);
	assert_memory_equal(owner.body, want + HEAD, len);
}

/* ---- what arrives ------------------------------------------------------------------------------- */

static void messages_are_whole_however_they_are_cut(void **state)
{
	uint8_t bytes[64];
	size_t first = put_message(bytes, 0x102, 5), both;

	both = first + put_message(bytes + first, 7, 0);
	both += put_message(bytes + both, 8, 3);
	for (size_t cut = 0; cut <= both; cut++) {
		for (size_t second = cut; second <= both; second++) {
			serve();
			arrive(bytes, cut);
			assert_int_equal(owner.messages, (cut >= first) +
								 (cut >= first + HEAD) +
								 (cut == both));
			if (owner.messages == 1)
				is_message(0x102, 5);
			if (owner.messages == 2)
				is_message(7, 0);
			arrive(bytes + cut, second - cut);
			arrive(bytes + second, both - second);
			assert_string_equal(owner.events, "MMM");
			is_message(8, 3);
			assert_non_null(sock.receiving);
			close_conn();
			all_gone();
		}
	}
}

/* What is behind the last byte of the handshake, in the same piece, is not lost. */
static void the_first_message_may_come_with_the_handshake(void **state)
{
	uint8_t bytes[64] = { SECURE_CONTROL };
	size_t len = 1 + put_message(bytes + 1, 3, 20);

	played_begin();
	assert_int_equal(serve_result(), 0);
	arrive(bytes, len);
	assert_string_equal(owner.events, "EM");
	is_message(3, 20);
	close_conn();
	all_gone();
}

/* Up to the limit, and not one byte more; and what is reserved is zero. */
static void what_is_no_legal_message_ends_it(void **state)
{
	static const struct {
		size_t len;
		unsigned reserved; /* 0, or which of its bytes is not zero */
		bool legal;
	} rows[] = { { 0, 0, true },
		     { PLAYED_MESSAGE_MAX - 1, 0, true },
		     { PLAYED_MESSAGE_MAX, 0, true },
		     { PLAYED_MESSAGE_MAX + 1, 0, false },
		     { UINT32_MAX, 0, false },
		     { 0, 6, false },
		     { 5, 7, false } };
	uint8_t bytes[HEAD + PLAYED_MESSAGE_MAX];

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		size_t body = rows[i].len > PLAYED_MESSAGE_MAX ? 0 : rows[i].len;
		size_t len = put_message(bytes, 5, body);

		for (unsigned b = 0; b < 4 && body != rows[i].len; b++)
			bytes[b] = (uint8_t)(rows[i].len >> 8 * b);
		if (rows[i].reserved)
			bytes[rows[i].reserved] = 1;
		serve();
		arrive(bytes, len);
		if (rows[i].legal) {
			assert_string_equal(owner.events, "M");
			is_message(5, rows[i].len);
			close_conn();
		} else {
			assert_string_equal(owner.events, "C");
			assert_int_equal(owner.err, -EPROTO);
			assert_non_null(strstr(owner.why, "no legal one"));
		}
		all_gone();
	}
}

/* Memory for a long message is asked for as it comes; without any the connection ends. */
static void a_message_without_memory_to_take_it_ends_it(void **state)
{
	uint8_t bytes[HEAD + 100];
	size_t len = put_message(bytes, 5, 100);

	serve();
	fail_at = asked + 1;
	arrive(bytes, len);
	assert_string_equal(owner.events, "C");
	assert_int_equal(owner.err, -ENOMEM);
	assert_non_null(strstr(owner.why, "memory"));
	all_gone();
}

static void the_rest_is_the_heir_s(void)
{
	conn_hand_over(conn, &owner_events, &heir);
}

static void who_takes_over_gets_what_comes_next(void **state)
{
	uint8_t bytes[64];
	size_t len = put_message(bytes, 1, 4);

	len += put_message(bytes + len, 2, 4);
	serve();
	owner.at = 'M';
	owner.act = the_rest_is_the_heir_s;
	arrive(bytes, len);
	assert_string_equal(owner.events, "M");
	assert_string_equal(heir.events, "M");
	assert_int_equal(heir.type, 2);
	end_op(&sock.receiving, 0);
	assert_string_equal(owner.events, "M");
	assert_string_equal(heir.events, "MC");
	all_gone();
}

/* Who drops a silent peer counts each byte as a sign of life, not only whole messages. */
static void each_byte_is_a_sign_of_life(void **state)
{
	serve();
	pass(500);
	arrive("\x05", 1);
	assert_true(conn_last_rx(conn).ns == loop.now.ns);
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	assert_true(conn_last_tx(conn).ns < loop.now.ns);
	pass(70);
	take(1);
	assert_true(conn_last_tx(conn).ns == loop.now.ns);
	assert_true(conn_last_rx(conn).ns == loop.now.ns - 70);
	close_conn();
	all_gone();
}

/* ---- pausing ------------------------------------------------------------------------------------ */

static void nothing_is_handed_up_or_read_while_it_is_paused(void **state)
{
	uint8_t bytes[64];
	size_t one = put_message(bytes, 1, 4), two = one;

	two += put_message(bytes + one, 2, 6);
	serve();
	conn_pause(conn, true);
	arrive(bytes, two); /* was on its way in */
	assert_string_equal(owner.events, "");
	assert_null(sock.receiving);
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0); /* the other way is open */
	take_all();
	assert_null(sock.receiving);
	conn_pause(conn, false);
	assert_int_equal(owner.messages, 0); /* never from inside the call */
	assert_null(sock.receiving);
	turn();
	assert_int_equal(owner.messages, 2);
	is_message(2, 6);
	assert_non_null(sock.receiving);
	arrive(bytes, one);
	assert_int_equal(owner.messages, 3);
	close_conn();
	all_gone();
}

static void pause_now(void)
{
	conn_pause(conn, true);
}

/* The message that is being handed up is the last one. */
static void who_is_given_a_message_may_pause(void **state)
{
	uint8_t bytes[64];
	size_t len = put_message(bytes, 1, 4);

	len += put_message(bytes + len, 2, 4);
	len += put_message(bytes + len, 3, 4) - 2;
	serve();
	owner.at = 'M';
	owner.act = pause_now;
	arrive(bytes, len);
	assert_string_equal(owner.events, "M");
	assert_null(sock.receiving);
	owner.at = 'M';
	conn_pause(conn, false);
	turn();
	assert_string_equal(owner.events, "MM");
	assert_null(sock.receiving);
	conn_pause(conn, false);
	turn();
	assert_string_equal(owner.events, "MM");
	arrive(bytes + len, 2);
	assert_string_equal(owner.events, "MMM");
	is_message(3, 4);
	close_conn();
	all_gone();
}

/* Of many calls between two turns the last one counts, and no operation is started twice. */
static void only_the_last_word_on_pausing_counts(void **state)
{
	static const struct {
		const char *calls; /* p: pause, g: go on */
		bool deferred, paused;
	} rows[] = {
		{ "g", false, false },	  { "p", false, true },
		{ "pp", false, true },	  { "pg", true, false },
		{ "pgg", true, false },	  { "pgp", true, true },
		{ "pgpg", true, false },  { "pgpgp", true, true },
		{ "ppgpg", true, false },
	};
	uint8_t bytes[64];
	size_t len = put_message(bytes, 1, 4);

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		serve();
		for (const char *call = rows[i].calls; *call; call++)
			conn_pause(conn, *call == 'p'); /* while a read is under way */
		assert_int_equal(loop.deferred != NULL, rows[i].deferred);
		if (loop.deferred)
			turn();
		arrive(bytes, len);
		assert_int_equal(owner.messages, !rows[i].paused);
		assert_int_equal(sock.receiving == NULL, rows[i].paused);
		if (rows[i].paused) {
			conn_pause(conn, false);
			turn();
			assert_int_equal(owner.messages, 1);
			assert_non_null(sock.receiving);
		}
		close_conn();
		all_gone();
	}
}

/* ---- what is sent --------------------------------------------------------------------------------- */

/* A stream of messages of all lengths: what the kernel has taken is what was given. */
static void messages_leave_whole_however_the_kernel_takes_them(void **state)
{
	static const size_t pieces[] = { 1, 3, 1000, 60000, SIZE_MAX };
	static uint8_t want[4u << 20], body[100000];

	for (unsigned i = 0; i < RT_ARRAY_LEN(pieces); i++) {
		size_t len = 0, most = i < 2 ? 300 : 100000;

		serve();
		for (unsigned n = 1; len < (i < 2 ? 2000u : 3000000u); n++) {
			size_t body_len = n * 7919 % most;
			struct iovec iov[3] = { { body, body_len / 3 },
						{ NULL, 0 },
						{ body + body_len / 3,
						  body_len - body_len / 3 } };

			len += put_message(want + len, n, body_len);
			memcpy(body, want + len - body_len, body_len);
			assert_int_equal(conn_sendv(conn, n, iov, 3), 0);
			assert_int_equal(conn_waiting(conn), len - wired);
			assert_int_equal(conn_sent(conn), 1 + wired);
			if (n % 3 == 0 && sock.sending)
				take(pieces[i]);
			assert_int_equal(conn_waiting(conn), len - wired);
		}
		while (sock.sending) {
			assert_int_equal(conn_waiting(conn), len - wired);
			take(pieces[i]);
		}
		assert_int_equal(conn_waiting(conn), 0);
		assert_int_equal(conn_sent(conn), 1 + len);
		assert_int_equal(wired, len);
		assert_memory_equal(wire, want, len);
		close_conn();
		all_gone();
	}
}

/*
 * A sender of bulk stops where conn_room() is false and goes on with `drained`, which comes
 * when there is room and not before. Who sends for ever so has bounded memory.
 */
static void a_bulk_sender_has_its_bound_and_is_called_back(void **state)
{
	static const uint8_t body[60000];
	unsigned sent = 0, drained;

	serve();
	assert_true(conn_room(conn));
	while (conn_room(conn)) {
		assert_int_equal(conn_send(conn, 1, body, sizeof(body)), 0);
		assert_true(++sent < 100);
	}
	assert_in_range(conn_waiting(conn), 4u << 20, (5u << 20));
	assert_string_equal(owner.events, "");
	while (!conn_room(conn)) {
		drained = owner.nevents;
		take(10000);
		assert_int_equal(owner.nevents, drained + conn_room(conn));
	}
	take_all();
	assert_int_equal(conn_waiting(conn), 0);
	close_conn();
	all_gone();
}

/* Not one byte below the bound, and not one above. */
static void the_bound_of_a_bulk_sender_is_exact(void **state)
{
	static const uint8_t body[1u << 20];
	const size_t bound = 4u << 20;

	for (size_t less = 0; less < 2; less++) {
		serve();
		assert_int_equal(conn_send(conn, 1, "", 0),
				 0); /* this one is under way */
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(conn_send(conn, 1, body, sizeof(body) - HEAD),
					 0);
		assert_int_equal(conn_send(conn, 1, body, sizeof(body) - HEAD - less), 0);
		assert_int_equal(conn_waiting(conn), HEAD + bound - less);
		assert_int_equal(conn_room(conn), less == 1);
		close_conn();
		all_gone();
	}
}

/* Who has no use for `drained` leaves it out. */
static void nobody_has_to_be_called_back(void **state)
{
	static const struct conn_events events = { .established = owner_established,
						   .message = owner_message,
						   .closed = owner_closed };

	serve();
	conn_hand_over(conn, &events, &owner);
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	take_all();
	assert_string_equal(owner.events, "");
	close_conn();
	all_gone();
}

static void send_more(void)
{
	assert_int_equal(conn_send(conn, 9, "more", 4), 0);
}

/* An answer from inside an event leaves like any other message, behind what waits. */
static void who_is_called_may_send(void **state)
{
	static const char *const letters = "EMD";
	uint8_t bytes[64] = { SECURE_CONTROL }, want[64];
	size_t len = 1 + put_message(bytes + 1, 3, 4);

	for (const char *at = letters; *at; at++) {
		played_begin();
		assert_int_equal(serve_result(), 0);
		owner.at = *at;
		owner.act = send_more;
		arrive(bytes, len);
		take_all();
		want[0] = PLAYED_ANSWER;
		memcpy(want + 1, "\4\0\0\0\11\0\0\0more", 12);
		assert_int_equal(wired, 13);
		assert_memory_equal(wire, want, 13);
		close_conn();
		all_gone();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_whole_however_they_are_cut),
		cmocka_unit_test(the_first_message_may_come_with_the_handshake),
		cmocka_unit_test(what_is_no_legal_message_ends_it),
		cmocka_unit_test(a_message_without_memory_to_take_it_ends_it),
		cmocka_unit_test(who_takes_over_gets_what_comes_next),
		cmocka_unit_test(each_byte_is_a_sign_of_life),
		cmocka_unit_test(nothing_is_handed_up_or_read_while_it_is_paused),
		cmocka_unit_test(who_is_given_a_message_may_pause),
		cmocka_unit_test(only_the_last_word_on_pausing_counts),
		cmocka_unit_test(messages_leave_whole_however_the_kernel_takes_them),
		cmocka_unit_test(a_bulk_sender_has_its_bound_and_is_called_back),
		cmocka_unit_test(the_bound_of_a_bulk_sender_is_exact),
		cmocka_unit_test(nobody_has_to_be_called_back),
		cmocka_unit_test(who_is_called_may_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
