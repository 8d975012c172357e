// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/played.h"

/*
 * How a connection begins and how it ends, at each step and from inside each event: one
 * `closed` with its reason or none, the socket closed once, no event afterwards, and the
 * memory there until the last operation in flight has ended, and not longer.
 */

/* ---- the beginning --------------------------------------------------------------------------- */

static void who_dials_speaks_once_it_is_connected(void **state)
{
	dial();
	assert_null(sock.sending);
	assert_null(sock.receiving);
	assert_false(conn_answered(conn));
	assert_int_equal(conn_send(conn, 1, "x", 1), -EPIPE);
	connected(0);
	assert_non_null(sock.receiving);
	take_all();
	assert_int_equal(wired, 1);
	assert_int_equal(wire[0], SECURE_DATA);
	assert_false(conn_key_shown(conn));
	assert_int_equal(conn_send(conn, 1, "x", 1), -EPIPE);
	assert_null(strchr(owner.events, 'E'));
	arrive("a", 1);
	assert_int_equal(owner.events[owner.nevents - 1], 'E');
	assert_true(conn_key_shown(conn));
	assert_int_equal(timers_armed(), 0);
	close_conn();
	all_gone();
}

static void who_accepts_answers_what_is_good_enough(void **state)
{
	const uint8_t hello = SECURE_DATA;

	played_begin();
	assert_int_equal(serve_result(), 0);
	arrive(".", 1);
	assert_false(conn_answered(conn) || conn_key_shown(conn));
	assert_string_equal(owner.events, "");
	assert_null(sock.sending);
	/* Anybody gets the answer that asks for another hello. */
	arrive("?", 1);
	take_all();
	assert_int_equal(wired, 1);
	assert_int_equal(wire[0], PLAYED_RETRY);
	assert_false(conn_answered(conn));
	wired = 0;
	arrive(&hello, 1);
	assert_true(conn_answered(conn)); /* though nothing has been sent yet */
	take_all();
	assert_true(conn_answered(conn));
	assert_int_equal(wire[0], PLAYED_ANSWER);
	assert_string_equal(owner.events, "DED");
	assert_int_equal(conn_purpose(conn), SECURE_DATA);
	close_conn();
	all_gone();
}

/* Whatever is missing at the start: an error, and nothing is left but what was there. */
static void a_start_that_fails_leaves_nothing(void **state)
{
	static const struct {
		int connect, open, res;
	} rows[] = { { -ENETUNREACH, 0, -ENETUNREACH }, { 0, -EIO, -EIO } };
	unsigned needed[2];

	for (unsigned serves = 0; serves < 2; serves++) {
		for (unsigned i = serves; i < RT_ARRAY_LEN(rows); i++) {
			played_begin();
			sock.connect_error = rows[i].connect;
			secure_errors.open = rows[i].open;
			assert_int_equal(serves ? serve_result() : dial_result(),
					 rows[i].res);
			assert_null(conn);
			assert_int_equal(sock.closings, serves);
			assert_int_equal(timers_armed() + held, 0);
		}
		played_begin();
		assert_int_equal(serves ? serve_result() : dial_result(), 0);
		needed[serves] = asked;
		close_conn();
		all_gone();
		for (unsigned n = 1; n <= needed[serves]; n++) {
			played_begin();
			fail_at = n;
			assert_int_equal(serves ? serve_result() : dial_result(),
					 -ENOMEM);
			assert_int_equal(sock.closings, serves);
			assert_int_equal(timers_armed() + held, 0);
		}
	}
}

/* Neither earlier nor later, and not once the handshake is over. */
static void a_handshake_has_its_time(void **state)
{
	dial();
	connected(0);
	pass(HANDSHAKE_NS - 1);
	assert_string_equal(owner.events, "");
	pass(1);
	assert_string_equal(owner.events, "C");
	assert_int_equal(owner.err, -ETIMEDOUT);
	assert_non_null(strstr(owner.why, "handshake"));
	all_gone();

	dial(); /* not even a connection */
	pass(HANDSHAKE_NS);
	assert_int_equal(owner.err, -ETIMEDOUT);
	all_gone();

	played_begin(); /* nothing is in flight then */
	assert_int_equal(serve_result(), 0);
	conn_pause(conn, true);
	arrive(".", 1);
	assert_null(sock.receiving);
	pass(HANDSHAKE_NS);
	assert_int_equal(owner.err, -ETIMEDOUT);
	all_gone();

	serve();
	pass(10 * HANDSHAKE_NS);
	assert_string_equal(owner.events, "");
	close_conn();
	all_gone();
}

/* ---- the steps at which it may end --------------------------------------------------------------- */

static void step_connecting(void)
{
	dial();
}

static void step_greeting(void)
{
	dial();
	connected(0);
}

static void step_waiting_for_the_answer(void)
{
	step_greeting();
	take_all();
}

static void step_accepted(void)
{
	played_begin();
	assert_int_equal(serve_result(), 0);
}

static void step_answering(void)
{
	const uint8_t hello = SECURE_CONTROL;

	step_accepted();
	arrive(&hello, 1);
}

static void step_idle(void)
{
	serve();
}

static void step_sending(void)
{
	serve();
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	assert_int_equal(conn_send(conn, 1, "def", 3), 0);
	take(2);
}

static void step_in_a_message(void)
{
	serve();
	arrive("\x05\0\0\0\x01\0\0\0ab", 10);
}

static void step_paused(void)
{
	serve();
	conn_pause(conn, true);
	arrive("\0\0\0\0\x01\0\0\0", 8);
	assert_null(sock.receiving);
}

static void step_going_on(void)
{
	step_paused();
	conn_pause(conn, false);
	assert_non_null(loop.deferred);
}

static void step_broken(void)
{
	serve();
	secure_errors.write = -EIO;
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	assert_int_equal(timers_armed(), 1);
}

static const struct {
	const char *name;
	void (*reach)(void);
} steps[] = {
	{ "connecting", step_connecting },
	{ "greeting", step_greeting },
	{ "waiting for the answer", step_waiting_for_the_answer },
	{ "accepted", step_accepted },
	{ "answering", step_answering },
	{ "idle", step_idle },
	{ "sending", step_sending },
	{ "in a message", step_in_a_message },
	{ "paused", step_paused },
	{ "going on", step_going_on },
	{ "broken", step_broken },
};

/* The operations in flight end with what they had, or canceled, in this order or the other. */
static void end_all(unsigned way)
{
	struct rt_op **ops[] = { &sock.connecting, &sock.receiving, &sock.sending,
				 &loop.deferred };

	for (unsigned i = 0; i < RT_ARRAY_LEN(ops); i++) {
		struct rt_op **op = ops[way & 1 ? RT_ARRAY_LEN(ops) - 1 - i : i];

		if (!*op)
			continue;
		assert_true(held > 0);
		if (op == &sock.receiving)
			memset(sock.in, 0, 1);
		end_op(op, op == &loop.deferred	    ? 0
			   : !(way & 2)		    ? -ECANCELED
			   : op == &sock.connecting ? 0
						    : 1);
	}
}

static void its_owner_may_close_it_at_any_step(void **state)
{
	conn_close(NULL);
	for (unsigned i = 0; i < RT_ARRAY_LEN(steps); i++) {
		for (unsigned way = 0; way < 4; way++) {
			unsigned before;

			steps[i].reach();
			before = owner.nevents;
			close_conn();
			assert_int_equal(sock.closings, 1);
			assert_int_equal(timers_armed(), 0);
			end_all(way);
			pass(10 * HANDSHAKE_NS);
			if (owner.nevents != before)
				fail_msg("%s: an event after the end", steps[i].name);
			all_gone();
		}
	}
}

/* What the other side or the kernel ends is said once, with its error. */
static void the_other_side_may_end_it_at_any_step(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(steps); i++) {
		for (unsigned how = 0; how < 4; how++) {
			struct rt_op **op = how == 0   ? &sock.connecting
					    : how == 3 ? &sock.sending
						       : &sock.receiving;
			int res = how == 1 ? 0 : -EHOSTUNREACH;
			unsigned before;

			steps[i].reach();
			before = owner.nevents;
			if (!*op) {
				close_conn();
				all_gone();
				continue;
			}
			end_op(op, res);
			assert_int_equal(owner.nevents, before + 1);
			assert_int_equal(owner.events[before], 'C');
			assert_int_equal(owner.err, res ? res : -ECONNRESET);
			assert_true(owner.why[0]);
			end_all(i);
			pass(10 * HANDSHAKE_NS);
			assert_int_equal(owner.nevents, before + 1);
			all_gone();
		}
	}
}

/* ---- from inside an event ------------------------------------------------------------------------- */

/* Several operations are in flight at that time, and a message is behind the one handed up. */
static void its_owner_may_close_it_in_each_event(void **state)
{
	static const char two[] = "\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0";
	const uint8_t hello = SECURE_CONTROL;

	step_accepted();
	owner.at = 'E';
	owner.act = close_in_event;
	arrive(&hello, 1);
	assert_string_equal(owner.events, "E");
	all_gone();

	serve();
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	owner.at = 'M';
	owner.act = close_in_event;
	arrive(two, 16);
	assert_string_equal(owner.events, "M");
	assert_null(sock.receiving);
	all_gone();

	step_accepted(); /* its answer has not left yet */
	owner.at = 'M';
	owner.act = close_in_event;
	arrive("\0\0\0\0\0\x01\0\0\0", 9);
	assert_string_equal(owner.events, "EM");
	assert_null(sock.sending);
	all_gone();

	serve();
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	owner.at = 'D';
	owner.act = close_in_event;
	take_all();
	assert_string_equal(owner.events, "D");
	all_gone();

	serve(); /* handed up when it goes on */
	conn_pause(conn, true);
	arrive(two, 16);
	conn_pause(conn, false);
	owner.at = 'M';
	owner.act = close_in_event;
	turn();
	assert_string_equal(owner.events, "M");
	all_gone();
}

static void everything_is_refused(void)
{
	assert_int_equal(conn_send(conn, 1, "x", 1), -EPIPE);
	assert_int_equal(conn_congestion(conn, "cubic"), -EPIPE);
	assert_false(conn_room(conn));
	conn_pause(conn, true);
	conn_pause(conn, false);
	conn_close(conn);
}

/* The memory is there for the length of `closed`, and the connection does nothing any more. */
static void a_closed_one_refuses_everything(void **state)
{
	static const int ends[] = { 0, -ECONNRESET };

	for (unsigned i = 0; i < RT_ARRAY_LEN(ends); i++) {
		serve();
		owner.at = 'C';
		owner.act = everything_is_refused;
		end_op(&sock.receiving, ends[i]);
		assert_string_equal(owner.events, "C");
		assert_null(loop.deferred);
		all_gone();
	}
}

/* ---- messages that cannot be sent -------------------------------------------------------------------- */

/* The loop says so, and the owner's call only that nothing more is taken. */
static void a_message_without_memory_ends_it(void **state)
{
	serve();
	fail_at = asked + 1;
	assert_int_equal(conn_send(conn, 1, "abc", 3), -ENOMEM);
	assert_string_equal(owner.events, "");
	assert_int_equal(conn_send(conn, 1, "abc", 3), -EPIPE);
	pass(0);
	assert_string_equal(owner.events, "C");
	assert_int_equal(owner.err, -ENOMEM);
	assert_non_null(strstr(owner.why, "memory"));
	all_gone();
	assert_int_equal(wired, 0);
}

static void a_message_that_is_not_sealed_ends_it(void **state)
{
	step_broken();
	assert_int_equal(conn_send(conn, 1, "abc", 3), -EPIPE);
	assert_null(sock.sending);
	secure_errors.write = 0;
	arrive("\0\0\0\0\x01\0\0\0", 8); /* which leads to no other try at sending */
	assert_string_equal(owner.events, "M");
	assert_null(sock.sending);
	pass(0);
	assert_string_equal(owner.events, "MC");
	assert_int_equal(owner.err, -EIO);
	all_gone();

	step_paused(); /* nothing is in flight then */
	secure_errors.write = -EIO;
	assert_int_equal(conn_send(conn, 1, "abc", 3), 0);
	pass(0);
	assert_string_equal(owner.events, "C");
	all_gone();
}

/* What comes in may be wrong in other ways than the socket: each is said. */
static void what_is_no_secured_stream_ends_it(void **state)
{
	dial();
	connected(0);
	take_all();
	arrive("?", 1);
	assert_int_equal(owner.events[owner.nevents - 1], 'C');
	assert_int_equal(owner.err, -EBADMSG);
	assert_string_equal(owner.why, "no handshake");
	assert_non_null(sock.sending); /* what they said of it, as far as it gets */
	all_gone();

	serve();
	secure_errors.read = -ENODATA;
	arrive("\0\0\0\0\x01\0\0\0", 8);
	assert_string_equal(owner.events, "MC");
	assert_int_equal(owner.err, -ENODATA);
	assert_non_null(strstr(owner.why, "peer ended"));
	all_gone();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_dials_speaks_once_it_is_connected),
		cmocka_unit_test(who_accepts_answers_what_is_good_enough),
		cmocka_unit_test(a_start_that_fails_leaves_nothing),
		cmocka_unit_test(a_handshake_has_its_time),
		cmocka_unit_test(its_owner_may_close_it_at_any_step),
		cmocka_unit_test(the_other_side_may_end_it_at_any_step),
		cmocka_unit_test(its_owner_may_close_it_in_each_event),
		cmocka_unit_test(a_closed_one_refuses_everything),
		cmocka_unit_test(a_message_without_memory_ends_it),
		cmocka_unit_test(a_message_that_is_not_sealed_ends_it),
		cmocka_unit_test(what_is_no_secured_stream_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
