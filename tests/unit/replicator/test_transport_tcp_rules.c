// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/played_data.h"

/*
 * The rules of the transport over TCP, to the byte and the nanosecond: who says what and
 * when, what is believed, how much is kept, and what its end leaves. The connection and the
 * loop are played by the test: test_transport_tcp.c has real ones.
 */

/* ---- the beginning ------------------------------------------------------------------------------------ */

static void one_end_dials_and_once(void **state)
{
	new_end(true, false, "");
	transport_begin(t);
	assert_int_equal(dialings, 0);
	end();

	new_end(true, true, "");
	transport_begin(t);
	transport_begin(t);
	assert_int_equal(dialings, 1);
	conn.events->closed(conn.owner, &conn, -ECONNRESET, "gone");
	has_ended("gone", 0);
	transport_begin(t);
	assert_int_equal(dialings, 1);
	end();

	without_memory = true;
	assert_int_equal(new_result(true, true, ""), -ENOMEM);
	without_memory = false;

	new_end(true, true, "");
	dial_error = -ENETUNREACH;
	transport_begin(t);
	has_ended("cannot be dialed", 0);
	end();
}

static void who_dials_shows_its_proof_first(void **state)
{
	struct message_join join;

	new_end(true, true, "");
	transport_begin(t);
	assert_int_equal(conn.nsaid, 0);
	conn.events->established(conn.owner, &conn);
	assert_int_equal(conn.nsaid, 1);
	assert_int_equal(conn.types[0], MESSAGE_JOIN);
	assert_int_equal(message_decode_join(conn.body, conn.len, &join), 0);
	assert_int_equal(join.tunnel_id, ID);
	assert_memory_equal(join.proof, proofs[0], sizeof(join.proof));
	assert_int_equal(submit(1), -EAGAIN);
	assert_false(transport_proven(t, loop.now));
	end();
}

/* What an end that dialed is answered, before it trusts the other: nothing but a JOIN that fits. */
static void a_proof_that_differs_anywhere_joins_nothing(void **state)
{
	uint8_t body[64];
	size_t len = put_join(body, 1);

	for (size_t i = 0; i <= len; i++) {
		bool whole = i == len;

		new_end(true, true, "");
		transport_begin(t);
		conn.events->established(conn.owner, &conn);
		(void)put_join(body, 1);
		body[i] ^= 0x80;
		say(MESSAGE_JOIN, body, len);
		assert_int_equal(transport_over(t) == NULL, whole);
		if (whole) {
			assert_true(transport_proven(t, loop.now));
			assert_true(changes > 0);
		} else {
			has_ended("not the other end", 1);
			assert_int_equal(submit(1), -EAGAIN);
		}
		end();

		new_end(true, false, ""); /* and the end that is dialed */
		(void)put_join(body, 0);
		body[i] ^= 0x80;
		assert_int_equal(transport_join(t, &conn, body, len), whole);
		assert_int_equal(conn.events != NULL, whole);
		end();
	}
}

static void an_accepted_connection_joins_once(void **state)
{
	uint8_t body[64];
	size_t len = put_join(body, 0);
	struct conn other = { .room = true };

	new_end(false, false, "");
	assert_true(transport_join(t, &conn, body, len));
	assert_int_equal(conn.types[0], MESSAGE_JOIN);
	assert_memory_equal(conn.body + conn.len - MESSAGE_PROOF_LEN, proofs[1],
			    MESSAGE_PROOF_LEN);
	assert_true(changes > 0);
	assert_true(transport_proven(t, loop.now));
	assert_null(loop.timer); /* an end that takes probes nothing */
	assert_false(transport_join(t, &other, body, len));
	conn.events->closed(conn.owner, &conn, -ECONNRESET, "gone");
	has_ended("gone", 0);
	assert_false(transport_join(t, &other, body, len));
	assert_null(other.events);
	end();

	new_end(false, true, ""); /* who dials is not dialed */
	assert_false(transport_join(t, &other, body, put_join(body, 0)));
	assert_false(transport_join(t, &other, body, put_join(body, 1)));
	assert_null(other.events);
	end();
}

static void congestion_control_is_set_before_a_word_is_said(void **state)
{
	uint8_t body[64];
	size_t len = put_join(body, 0);

	for (unsigned missing = 0; missing < 2; missing++) {
		new_end(true, true, "bbr");
		transport_begin(t);
		conn.congestion = missing ? -ENOENT : 0;
		conn.events->established(conn.owner, &conn);
		assert_int_equal(conn.nsaid, !missing);
		if (missing)
			has_ended("congestion control", 1);
		end();

		new_end(true, false, "bbr");
		conn.congestion = missing ? -ENOENT : 0;
		assert_true(transport_join(t, &conn, body, len)); /* it owns it anyhow */
		assert_int_equal(conn.nsaid, !missing);
		if (missing)
			has_ended("congestion control", 1);
		end();
	}
}

static void each_end_takes_its_own_messages_only(void **state)
{
	static const struct {
		unsigned type;
		size_t len;    /* of a number, or of a frame */
		bool legal[2]; /* at the end that takes, and at the one that sends */
	} rows[] = { { MESSAGE_FRAME, 8, { true, false } },
		     { MESSAGE_FRAME, 1, { true, false } },
		     { MESSAGE_FRAME, FRAME_MAX, { true, false } },
		     { MESSAGE_FRAME, 0, { false, false } },
		     { MESSAGE_FRAME, FRAME_MAX + 1, { false, false } },
		     { MESSAGE_PROBE, 8, { true, false } },
		     { MESSAGE_PROBE, 7, { false, false } },
		     { MESSAGE_PROGRESS, 32, { false, true } },
		     { MESSAGE_PROGRESS, 31, { false, false } },
		     { MESSAGE_PING, 8, { false, false } },
		     { 99, 8, { false, false } } };
	static const uint8_t zeros[FRAME_MAX + 1];
	uint8_t body[64];

	for (unsigned sends = 0; sends < 2; sends++) {
		for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
			meet(sends);
			say(rows[i].type, zeros, rows[i].len);
			if (rows[i].legal[sends] != !transport_over(t))
				fail_msg("row %u, sends %u", i, sends);
			assert_int_equal(changes, 1);
			assert_int_equal(transport_error(t),
					 rows[i].legal[sends] ? 0 : -EPROTO);
			if (transport_over(t))
				has_ended("", 1);
			end();
		}
	}
	meet(true); /* a second JOIN, though it fits */
	say(MESSAGE_JOIN, body, put_join(body, 1));
	has_ended("does not belong", 1);
	end();
	new_end(false, true, ""); /* and what is a JOIN by its bytes only */
	transport_begin(t);
	conn.events->established(conn.owner, &conn);
	say(MESSAGE_FRAME, body, put_join(body, 1));
	has_ended("not the other end", 1);
	end();
}

/* ---- the end that sends ----------------------------------------------------------------------------------- */

static void say_progress(uint64_t frames, uint64_t bytes, uint64_t watermark,
			 uint64_t echo)
{
	const struct message_progress m = {
		.frames = frames, .bytes = bytes, .watermark = watermark, .echo = echo
	};
	uint8_t body[64];

	say(MESSAGE_PROGRESS, body, message_encode_progress(&m, body, sizeof(body)));
}

static void what_was_not_taken_is_within_the_memory(void **state)
{
	meet(true);
	conn.room = false;
	assert_int_equal(submit(1), -EAGAIN);
	conn.room = true;
	conn.send_error = -ENOMEM;
	assert_int_equal(submit(1), -EAGAIN);
	assert_int_equal(transport_submitted(t), 0);
	conn.send_error = 0;
	assert_int_equal(submit(FRAME_MAX), 0);
	assert_int_equal(submit(FRAME_MAX - 10), 0);
	assert_int_equal(submit(11), -EAGAIN);
	assert_int_equal(submit(10), 0); /* exactly */
	assert_int_equal(submit(1), -EAGAIN);
	assert_int_equal(transport_submitted(t), 3);
	say_progress(1, FRAME_MAX, 0, 0);
	assert_int_equal(submit(FRAME_MAX), 0);
	assert_int_equal(submit(1), -EAGAIN);
	assert_int_equal(transport_received(t), 1);
	assert_int_equal(transport_onwire(t, loop.now), 1);
	end();

	send_memory = FRAME_MAX / 2; /* one frame may always be under way */
	meet(true);
	assert_int_equal(submit(FRAME_MAX), 0);
	assert_int_equal(submit(1), -EAGAIN);
	say_progress(1, FRAME_MAX, 0, 0);
	assert_int_equal(submit(FRAME_MAX), 0);
	changes = 0;
	conn.events->drained(conn.owner,
			     &conn); /* who stopped for want of room goes on */
	assert_int_equal(changes, 1);
	end();
	send_memory = SEND_MEMORY;
}

/* Three frames of 100 bytes were sent, one of them is known to be taken, and one probe left. */
static void only_what_can_be_true_is_believed(void **state)
{
	static const struct {
		uint64_t frames, bytes, echo;
		bool true_;
	} rows[] = {
		{ 1, 100, 0, true },  { 2, 200, 0, true },  { 3, 300, 0, true },
		{ 3, 300, 1, true },  { 1, 100, 1, true },  { 2, 101, 0, true },
		{ 1, 100, 2, false }, { 0, 100, 0, false }, { 1, 99, 0, false },
		{ 4, 300, 0, false }, { 3, 301, 0, false }, { 4, 301, 0, false },
		{ 3, 299, 0, false }, { 2, 300, 0, false }, { 0, 0, 0, false },
		{ 2, 301, 0, false }, { 4, 299, 0, false },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		meet(true);
		pass(0);
		for (unsigned n = 0; n < 3; n++)
			assert_int_equal(submit(100), 0);
		say_progress(1, 100, 7, 0);
		changes = 0;
		say_progress(rows[i].frames, rows[i].bytes, 9, rows[i].echo);
		if (rows[i].true_ != !transport_over(t))
			fail_msg("row %u", i);
		assert_int_equal(changes, 1);
		assert_int_equal(transport_received(t),
				 rows[i].true_ ? rows[i].frames : 1);
		assert_int_equal(transport_peer_watermark(t), rows[i].true_ ? 9 : 7);
		say_progress(rows[i].frames, rows[i].bytes, 8,
			     rows[i].echo); /* only grows */
		assert_int_equal(transport_peer_watermark(t), rows[i].true_ ? 9 : 7);
		end();
	}
}

/* One probe is on its way at a time; its return is the round trip. */
static void probes_prove_the_path(void **state)
{
	struct transport_stats stats;

	meet(true);
	pass(0);
	assert_int_equal(conn.nsaid, 1);
	assert_int_equal(conn.types[0], MESSAGE_PROBE);
	changes = 0;
	pass(PROBE_NS - 1);
	assert_int_equal(changes, 0);
	pass(1);
	assert_int_equal(changes, 1); /* time has passed, the owner must know */
	assert_int_equal(conn.nsaid, 1);
	transport_stats(t, &stats);
	assert_true(stats.rtt_ns < 0);
	assert_true(transport_proof_at(t).ns == loop.now.ns - PROBE_NS);
	assert_true(transport_proven(t, rt_time_add(loop.now, PROBE_NS - 1)));
	assert_false(transport_proven(t, rt_time_add(loop.now, PROBE_NS)));
	pass(50);
	say_progress(0, 0, 0, 1);
	transport_stats(t, &stats);
	assert_int_equal(stats.rtt_ns, PROBE_NS + 50);
	assert_true(transport_proof_at(t).ns == loop.now.ns);
	assert_true(transport_proven(t, rt_time_add(loop.now, 5 * PROBE_NS + 149)));
	assert_false(transport_proven(t, rt_time_add(loop.now, 5 * PROBE_NS + 150)));
	pass(10);
	say_progress(0, 0, 3, 1); /* says nothing that is new about the path */
	assert_true(transport_proof_at(t).ns == loop.now.ns - 10);
	conn.room = false;
	pass(PROBE_NS);
	assert_int_equal(conn.nsaid, 1);
	conn.room = true;
	pass(PROBE_NS);
	assert_int_equal(conn.nsaid, 2);
	assert_int_equal(submit(5), 0);
	pass(10);
	say_progress(1, 5, 3, 1); /* a frame that was taken proves it, too */
	assert_true(transport_proof_at(t).ns == loop.now.ns);
	transport_stats(t, &stats);
	assert_int_equal(stats.rtt_ns, PROBE_NS + 50); /* and is no round trip */
	end();
}

static void it_stands_still_beyond_the_limit(void **state)
{
	meet(true);
	conn.last_tx = rt_time_add(loop.now, 100);
	assert_false(transport_stalled(t, rt_time_add(loop.now, 150), 50));
	assert_true(transport_stalled(t, rt_time_add(loop.now, 151), 50));
	conn.events->closed(conn.owner, &conn, -EPIPE,
			    "gone"); /* then the proof counts */
	assert_false(transport_stalled(t, rt_time_add(loop.now, 50), 50));
	assert_true(transport_stalled(t, rt_time_add(loop.now, 51), 50));
	end();
}

/* ---- the end that takes --------------------------------------------------------------------------------------- */

static bool next_frame(size_t *len)
{
	const uint8_t *frame;

	return transport_next_frame(t, &frame, len) > 0;
}

/* Of small frames what keeping one costs counts, too. */
static void it_pauses_at_its_bound_and_goes_on_at_half(void **state)
{
	static const uint8_t bytes[FRAME_MAX];
	static const size_t lens[] = { 1, FRAME_MAX };

	for (unsigned i = 0; i < RT_ARRAY_LEN(lens); i++) {
		size_t most = TRANSPORT_TCP_TAKE_BYTES / lens[i], frames = 0, left, len;

		meet(false);
		while (!conn.paused) {
			say(MESSAGE_FRAME, bytes, lens[i]);
			assert_true(++frames <= most);
		}
		assert_true(frames > most / 100);
		for (left = frames; conn.paused; left--)
			assert_true(next_frame(&len) && len == lens[i]);
		assert_in_range(left, frames / 2 - 2, frames / 2);
		while (next_frame(&len))
			left--;
		assert_int_equal(left, 0);
		assert_false(conn.paused);
		assert_int_equal(transport_received(t), frames);
		end();
	}
}

static bool reports(uint64_t frames, uint64_t bytes, uint64_t watermark, uint64_t echo)
{
	unsigned before = conn.nsaid;
	struct message_progress m;

	transport_transmit(t);
	if (conn.nsaid == before)
		return false;
	assert_int_equal(conn.types[before], MESSAGE_PROGRESS);
	assert_int_equal(message_decode_progress(conn.body, conn.len, &m), 0);
	assert_int_equal(m.frames, frames);
	assert_int_equal(m.bytes, bytes);
	assert_int_equal(m.watermark, watermark);
	assert_int_equal(m.echo, echo);
	return true;
}

static void what_is_new_is_reported_once(void **state)
{
	uint8_t body[8];
	size_t len;

	meet(false);
	assert_false(reports(0, 0, 0, 0));
	say(MESSAGE_FRAME, "abc", 3);
	say(MESSAGE_FRAME, "de", 2);
	assert_false(reports(0, 0, 0, 0)); /* has arrived, and was not taken */
	assert_true(next_frame(&len));
	conn.room = false;
	assert_false(reports(1, 3, 0, 0));
	conn.room = true; /* not forgotten */
	assert_true(reports(1, 3, 0, 0));
	assert_false(reports(1, 3, 0, 0));
	transport_set_watermark(t, 9, loop.now);
	transport_set_watermark(t, 8, loop.now);
	assert_true(reports(1, 3, 9, 0));
	assert_int_equal(transport_peer_watermark(t), 0); /* it is ours */
	say(MESSAGE_PROBE, body, message_encode_number(5, body, sizeof(body)));
	assert_true(reports(1, 3, 9, 5));
	assert_true(next_frame(&len));
	assert_true(reports(2, 5, 9, 5));
	end();

	meet(true); /* an end that sends reports nothing */
	assert_int_equal(submit(3), 0);
	say_progress(1, 3, 9, 0);
	assert_false(reports(1, 3, 9, 0));
	end();
}

/* What has arrived is still taken, and nothing is asked of the connection that is gone. */
static void what_has_arrived_outlives_the_connection(void **state)
{
	const uint8_t *frame;
	size_t len;

	meet(false);
	say(MESSAGE_FRAME, "abc", 3);
	say(MESSAGE_FRAME, "de", 2);
	say(MESSAGE_FRAME, "f", 1);
	conn.events->closed(conn.owner, &conn, -ECONNRESET, "gone");
	conn.closings = 1; /* dead: whoever asks anything of it fails */
	has_ended("gone", 1);
	assert_int_equal(transport_next_frame(t, &frame, &len), 1);
	assert_memory_equal(frame, "abc", 3);
	transport_transmit(t);
	assert_int_equal(transport_next_frame(t, &frame, &len), 1);
	assert_memory_equal(frame, "de", 2);
	end(); /* with one that is lent, and one that was not taken */
}

static void a_frame_without_memory_ends_it(void **state)
{
	meet(false);
	fail_at = asked + 1;
	say(MESSAGE_FRAME, "abc", 3);
	has_ended("memory", 1);
	assert_int_equal(transport_error(t), -ENOMEM);
	end();
}

/* Its owner asks whether this end could not take what was sent, or the connection broke. */
static void the_error_of_the_connection_is_kept(void **state)
{
	static const struct {
		int closed, error;
	} rows[] = { { -ENOMEM, -ENOMEM },
		     { -EPROTO, -EPROTO },
		     { -ECONNRESET, -ECONNRESET },
		     { -EBADMSG, -ECONNRESET } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		meet(false);
		assert_int_equal(transport_error(t), 0);
		conn.events->closed(conn.owner, &conn, rows[i].closed, "gone");
		assert_int_equal(transport_error(t), rows[i].error);
		end();
	}
}

/* ---- its end ------------------------------------------------------------------------------------------------------ */

/* Status counts what earlier connections sent; the first reason of an end is the reason. */
static void figures_outlive_the_connection(void **state)
{
	struct transport_stats stats;

	for (unsigned ends = 0; ends < 2; ends++) {
		meet(true);
		conn.sent = 500;
		assert_int_equal(submit(5), 0);
		transport_stats(t, &stats);
		assert_int_equal(stats.counters.sent_bytes, 500);
		assert_int_equal(stats.in_flight, 1);
		assert_int_equal(stats.waiting, 77);
		if (ends)
			say(99, "", 0);
		else
			conn.events->closed(conn.owner, &conn, -EPIPE, "gone");
		has_ended(ends ? "does not belong" : "gone", ends);
		transport_stats(t, &stats);
		assert_int_equal(stats.counters.sent_bytes, 500);
		assert_int_equal(stats.waiting, 0);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_end_dials_and_once),
		cmocka_unit_test(who_dials_shows_its_proof_first),
		cmocka_unit_test(a_proof_that_differs_anywhere_joins_nothing),
		cmocka_unit_test(an_accepted_connection_joins_once),
		cmocka_unit_test(congestion_control_is_set_before_a_word_is_said),
		cmocka_unit_test(each_end_takes_its_own_messages_only),
		cmocka_unit_test(what_was_not_taken_is_within_the_memory),
		cmocka_unit_test(only_what_can_be_true_is_believed),
		cmocka_unit_test(probes_prove_the_path),
		cmocka_unit_test(it_stands_still_beyond_the_limit),
		cmocka_unit_test(it_pauses_at_its_bound_and_goes_on_at_half),
		cmocka_unit_test(what_is_new_is_reported_once),
		cmocka_unit_test(what_has_arrived_outlives_the_connection),
		cmocka_unit_test(a_frame_without_memory_ends_it),
		cmocka_unit_test(the_error_of_the_connection_is_kept),
		cmocka_unit_test(figures_outlive_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
