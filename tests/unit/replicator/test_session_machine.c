// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/session_machine.h"

#include "rt/check.h"
#include "tests/unit/unit.h"

/*
 * The session's table decides what a site believes of its peer: a pair of state and event
 * that nobody thought of stops a daemon, and a wrong row sends or applies what must not
 * be. So each pair is either in the table or named here as impossible, with the reason;
 * and the ways that sessions really go lead where they should.
 */

#define S(name) (1u << SESSION_##name)
#define E(name) (1ull << SESSION_EV_##name)
#define ALL (S(STATES) - 1)
#define WITHOUT_CONN (S(DISCONNECTED) | S(DATA_ONLY) | S(DRAINING_DISCONNECTED))
#define WITH_CONN (ALL & ~WITHOUT_CONN)
#define OF_MIRROR                                                                        \
	(S(DRAINING) | S(DECIDING_START) | S(DECIDING_PULL) | S(UNPAIRED) |              \
	 S(UNPAIRED_DECIDING) | S(PAIRING) | S(WAITING) | S(SERVING_PULL) |              \
	 S(START_RECEIVED) | S(WRITING_HISTORY))
#define OF_PRIMARY (S(PULLING) | S(PULLED) | S(STARTING))
#define MIRROR_EVENTS                                                                    \
	(E(DRAINED) | E(DRAINED_UNPAIRED) | E(DRAINED_BROKEN) | E(FRAMES_BAD) |          \
	 E(PAIR) | E(PAIRED) | E(AGREED) | E(START) | E(PULL) | E(PULL_SERVED) |         \
	 E(WRITE_HISTORY) | E(FOLLOW))
#define PRIMARY_EVENTS                                                                   \
	(E(PEER_UNPAIRED) | E(PULL_SENT) | E(PULLED) | E(PULL_DONE) | E(START_SENT) |    \
	 E(READY))
#define BOTH (GROUP_PRIMARY | GROUP_MIRROR)

struct impossible {
	unsigned roles, states;
	uint64_t events;
	const char *why;
};

static const struct impossible impossible[] = {
	{ BOTH, WITHOUT_CONN,
	  E(CONN_LOST) | E(CONN_LOST_DATA_GOOD) | E(REFUSE) | E(PEER_HELLO) |
		  E(HELLO_BAD) | E(START) | E(PULL) | E(PULLED) | E(READY),
	  "there is no connection that could end, or say something" },
	{ BOTH, WITH_CONN, E(CONTROL_TIMEOUT), "the connection is there" },
	{ BOTH, S(DISCONNECTED) | S(DRAINING_DISCONNECTED), E(CONTROL_TIMEOUT),
	  "it is over already" },
	{ GROUP_MIRROR, ALL, E(PROMOTED), "it is a primary by then" },
	{ GROUP_PRIMARY, ALL, MIRROR_EVENTS, "only a mirror does that" },
	{ GROUP_MIRROR, ALL, PRIMARY_EVENTS, "only a primary does that" },
	{ GROUP_MIRROR, ALL & ~S(STREAMING), E(TRANSPORT_ENDED),
	  "it ends with what it brought" },
	{ GROUP_PRIMARY, OF_MIRROR, PRIMARY_EVENTS | E(TRANSPORT_ENDED),
	  "a promoted mirror has none of these states" },
	{ GROUP_MIRROR, OF_PRIMARY, MIRROR_EVENTS,
	  "a primary does not become a mirror while it runs" },
	{ GROUP_PRIMARY, S(HELLO) | S(DECIDING) | S(PULLING) | S(PULLED),
	  E(TRANSPORT_ENDED), "it was closed when the connection came" },
	{ GROUP_MIRROR, ALL & ~(S(DRAINING) | S(DRAINING_DISCONNECTED) | OF_PRIMARY),
	  E(DRAINED) | E(DRAINED_UNPAIRED) | E(DRAINED_BROKEN), "it does not drain" },
	{ GROUP_MIRROR, WITH_CONN & ~(S(REFUSED) | OF_PRIMARY), E(FRAMES_BAD),
	  "the primary is told first, which is REFUSED" },
	{ GROUP_MIRROR, ALL & ~(S(UNPAIRED_DECIDING) | OF_PRIMARY), E(PAIR),
	  "it has a group, or no primary" },
	{ GROUP_MIRROR, ALL & ~(S(UNPAIRED_DECIDING) | S(PAIRING) | OF_PRIMARY),
	  E(PAIRED), "it said HELLO as what it is, or not yet" },
	{ GROUP_MIRROR,
	  ALL & ~(S(DECIDING) | S(DECIDING_START) | S(DECIDING_PULL) | OF_PRIMARY),
	  E(AGREED), "there is nothing to decide" },
	{ GROUP_MIRROR, ALL & ~(S(SERVING_PULL) | OF_PRIMARY), E(PULL_SERVED),
	  "no PULL is being served" },
	{ GROUP_MIRROR, ALL & ~(S(START_RECEIVED) | OF_PRIMARY), E(WRITE_HISTORY),
	  "no START is being looked at" },
	{ GROUP_MIRROR, ALL & ~(S(START_RECEIVED) | S(WRITING_HISTORY) | OF_PRIMARY),
	  E(FOLLOW), "no START was taken" },
	{ GROUP_PRIMARY, ALL & ~(S(DECIDING) | OF_MIRROR),
	  E(PEER_UNPAIRED) | E(START_SENT), "there is nothing to decide" },
	{ GROUP_PRIMARY, ALL & ~(S(DECIDING) | S(PULLED) | OF_MIRROR), E(PULL_SENT),
	  "there is nothing to decide, and no next part" },
	{ GROUP_PRIMARY, ALL & ~(S(PULLED) | OF_MIRROR), E(PULL_DONE),
	  "nothing was pulled" },
};

static bool impossible_holds(const struct impossible *i, unsigned role, unsigned state,
			     unsigned event)
{
	return (i->roles & role) && (i->states & 1u << state) &&
	       (i->events & 1ull << event);
}

static void every_pair_is_in_the_table_or_impossible(void **state)
{
	bool used[RT_ARRAY_LEN(impossible)] = { false };
	static const unsigned roles[] = { GROUP_PRIMARY, GROUP_MIRROR };
	struct session_step step;

	for (unsigned r = 0; r < RT_ARRAY_LEN(roles); r++) {
		for (unsigned i = 0; i < SESSION_STATES * SESSION_EVENTS; i++) {
			unsigned s = i / SESSION_EVENTS, e = i % SESSION_EVENTS;
			const char *why = NULL;
			bool known = session_machine_next(roles[r], s, e, &step);

			for (unsigned j = 0; j < RT_ARRAY_LEN(impossible); j++) {
				if (!impossible_holds(&impossible[j], roles[r], s, e))
					continue;
				why = impossible[j].why;
				used[j] = true;
			}
			if (known != (why == NULL))
				fail_msg("role %u, %s, %s: row \"%s\", impossible: %s",
					 roles[r], session_state_name(s),
					 session_event_name(e), known ? step.row : "none",
					 why ? why : "no");
		}
	}
	for (unsigned j = 0; j < RT_ARRAY_LEN(impossible); j++)
		if (!used[j])
			fail_msg("nothing is impossible since %s", impossible[j].why);
}

/* Whatever happens, a new connection begins anew, and a lost one leaves no other state. */
static void connections_come_and_go_in_every_state(void **state)
{
	struct session_step step;

	for (unsigned s = 0; s < SESSION_STATES; s++) {
		assert_true(session_machine_next(GROUP_MIRROR, s, SESSION_EV_CONNECTED,
						 &step));
		assert_int_equal(step.state, SESSION_DRAINING);
		assert_true(session_machine_next(GROUP_PRIMARY, s, SESSION_EV_CONNECTED,
						 &step));
		assert_int_equal(step.state, SESSION_HELLO);
		assert_true(step.actions & SESSION_CLOSE_TRANSPORT);
		assert_true(step.actions & SESSION_SAY_HELLO);
		if (!session_state_connected(s))
			continue;
		for (unsigned e = SESSION_EV_CONN_LOST;
		     e <= SESSION_EV_CONN_LOST_DATA_GOOD; e++) {
			assert_true(session_machine_next(GROUP_MIRROR, s, e, &step));
			assert_false(session_state_connected(step.state));
		}
	}
}

/* No state is left with a connection that nobody owns, or without one that it counts on. */
static void a_connection_is_dropped_by_its_row(void **state)
{
	static const unsigned roles[] = { GROUP_PRIMARY, GROUP_MIRROR };
	struct session_step step;

	for (unsigned i = 0; i < SESSION_STATES * SESSION_EVENTS * 2; i++) {
		unsigned s = i / 2 / SESSION_EVENTS, e = i / 2 % SESSION_EVENTS;

		if (!session_machine_next(roles[i % 2], s, e, &step))
			continue;
		if (e == SESSION_EV_CONNECTED) {
			assert_true(session_state_connected(step.state));
			continue;
		}
		if (session_state_connected(s) != session_state_connected(step.state) &&
		    !(step.actions & SESSION_DROP))
			fail_msg("%s, %s: \"%s\" drops nothing", session_state_name(s),
				 session_event_name(e), step.row);
		if (step.actions & SESSION_DROP)
			assert_false(session_state_connected(step.state));
	}
}

/* What is streamed may have completed: no event but a new transport's may skip draining. */
static void a_mirror_says_hello_only_once_it_has_drained(void **state)
{
	struct session_step step;

	for (unsigned i = 0; i < SESSION_STATES * SESSION_EVENTS; i++) {
		unsigned s = i / SESSION_EVENTS, e = i % SESSION_EVENTS;

		if (!session_machine_next(GROUP_MIRROR, s, e, &step) ||
		    !(step.actions & SESSION_SAY_HELLO))
			continue;
		assert_true(s == SESSION_DRAINING || s == SESSION_PAIRING ||
			    s == SESSION_UNPAIRED_DECIDING);
		assert_true(e == SESSION_EV_DRAINED || e == SESSION_EV_DRAINED_UNPAIRED ||
			    e == SESSION_EV_PAIRED);
	}
}

/* ---- histories --------------------------------------------------------------------------- */

struct move {
	enum session_event event;
	enum session_state state; /* after it */
	unsigned actions;
};

#define M(e, s)                                                                          \
	{                                                                                \
		SESSION_EV_##e, SESSION_##s, 0                                           \
	}
#define A(e, s, a)                                                                       \
	{                                                                                \
		SESSION_EV_##e, SESSION_##s, a                                           \
	}

static enum session_state played(enum group_role role, enum session_state from,
				 const struct move *moves, size_t n)
{
	struct session_step step;

	for (size_t i = 0; i < n; i++) {
		assert_true(session_machine_next(role, from, moves[i].event, &step));
		if (step.state != moves[i].state || step.actions != moves[i].actions)
			fail_msg("%s, %s: %s with actions %x", session_state_name(from),
				 session_event_name(moves[i].event),
				 session_state_name(step.state), step.actions);
		from = step.state;
	}
	return from;
}

#define PLAY(role, from, moves) played(role, SESSION_##from, moves, RT_ARRAY_LEN(moves))
#define P_CONNECTED A(CONNECTED, HELLO, SESSION_CLOSE_TRANSPORT | SESSION_SAY_HELLO)
#define M_CONNECTED A(CONNECTED, DRAINING, SESSION_AWAIT_REST)
#define M_DRAINED A(DRAINED, HELLO, SESSION_SAY_HELLO)
#define SAYS_HELLO(s) A(PEER_HELLO, s, SESSION_KEEP_HELLO)
#define DATA_GOES_ON(e) A(e, DATA_ONLY, SESSION_DROP | SESSION_TIME_LOSS)

static void a_pair_meets_and_streams(void **state)
{
	static const struct move primary[] = { P_CONNECTED, SAYS_HELLO(DECIDING),
					       M(START_SENT, STARTING),
					       M(READY, STREAMING) };
	static const struct move mirror[] = { M_CONNECTED,
					      SAYS_HELLO(DRAINING),
					      M_DRAINED,
					      SAYS_HELLO(DECIDING),
					      M(AGREED, WAITING),
					      M(START, START_RECEIVED),
					      M(WRITE_HISTORY, WRITING_HISTORY),
					      M(FOLLOW, STREAMING) };

	PLAY(GROUP_PRIMARY, DISCONNECTED, primary);
	PLAY(GROUP_MIRROR, DISCONNECTED, mirror);
}

static void an_opening_primary_pulls_in_two_parts(void **state)
{
	static const struct move primary[] = { P_CONNECTED,
					       SAYS_HELLO(DECIDING),
					       M(PULL_SENT, PULLING),
					       M(PULLED, PULLED),
					       M(PULL_SENT, PULLING),
					       M(PULLED, PULLED),
					       M(PULL_DONE, DECIDING),
					       M(START_SENT, STARTING),
					       M(READY, STREAMING) };
	static const struct move mirror[] = {
		M_CONNECTED,
		M_DRAINED,
		SAYS_HELLO(DECIDING),
		M(PULL, DECIDING_PULL),
		A(AGREED, SERVING_PULL, SESSION_SERVE_PULL),
		M(PULL_SERVED, WAITING),
		A(PULL, SERVING_PULL, SESSION_SERVE_PULL),
		M(PULL_SERVED, WAITING),
		M(START, START_RECEIVED),
		M(FOLLOW, STREAMING),
	};

	PLAY(GROUP_PRIMARY, DISCONNECTED, primary);
	PLAY(GROUP_MIRROR, DISCONNECTED, mirror);
}

static void a_store_without_a_group_pairs_first(void **state)
{
	static const struct move primary[] = {
		P_CONNECTED, SAYS_HELLO(DECIDING),
		A(PEER_UNPAIRED, HELLO, SESSION_FORGET_HELLO), SAYS_HELLO(DECIDING),
		M(START_SENT, STARTING)
	};
	static const struct move mirror[] = {
		M_CONNECTED,
		A(DRAINED_UNPAIRED, UNPAIRED, SESSION_SAY_HELLO),
		A(START, UNPAIRED, SESSION_OUT_OF_TURN),
		SAYS_HELLO(UNPAIRED_DECIDING),
		A(START, UNPAIRED_DECIDING, SESSION_OUT_OF_TURN),
		M(PAIR, PAIRING),
		A(PULL, PAIRING, SESSION_OUT_OF_TURN),
		A(PAIRED, HELLO, SESSION_SAY_HELLO),
		SAYS_HELLO(DECIDING),
		M(START, DECIDING_START),
		A(START, DECIDING_START, SESSION_OUT_OF_TURN),
		M(AGREED, START_RECEIVED),
	};
	/* The write of an earlier connection ends while this one waits to decide. */
	static const struct move again[] = {
		M_CONNECTED, A(DRAINED_UNPAIRED, UNPAIRED, SESSION_SAY_HELLO),
		SAYS_HELLO(UNPAIRED_DECIDING), A(PAIRED, HELLO, SESSION_SAY_HELLO)
	};

	PLAY(GROUP_PRIMARY, DISCONNECTED, primary);
	PLAY(GROUP_MIRROR, DISCONNECTED, mirror);
	PLAY(GROUP_MIRROR, PAIRING, again);
}

static void streaming_outlives_its_connection(void **state)
{
	static const struct move back[] = {
		DATA_GOES_ON(CONN_LOST_DATA_GOOD),
		M_CONNECTED,
		DATA_GOES_ON(CONN_LOST_DATA_GOOD),
		M_CONNECTED,
		A(CONN_LOST, DRAINING_DISCONNECTED, SESSION_DROP),
		M(DRAINED, DISCONNECTED),
	};
	static const struct move late[] = { DATA_GOES_ON(CONN_LOST_DATA_GOOD),
					    M(CONTROL_TIMEOUT, DRAINING_DISCONNECTED),
					    M(DRAINED, DISCONNECTED) };
	static const struct move given_up[] = { DATA_GOES_ON(CONN_LOST),
						A(CONTROL_TIMEOUT, DISCONNECTED,
						  SESSION_CLOSE_TRANSPORT) };

	PLAY(GROUP_MIRROR, STREAMING, back);
	PLAY(GROUP_MIRROR, STREAMING, late);
	PLAY(GROUP_PRIMARY, STREAMING, given_up);
}

static void a_transport_that_ends_takes_the_connection_with_it(void **state)
{
	static const struct move connected[] = {
		A(TRANSPORT_ENDED, REFUSED,
		  SESSION_CLOSE_TRANSPORT | SESSION_CLOSE_DELAYED),
		A(TRANSPORT_ENDED, REFUSED, SESSION_CLOSE_TRANSPORT),
		A(CONN_LOST, DISCONNECTED, SESSION_DROP)
	};
	static const struct move refused[] = { A(TRANSPORT_ENDED, REFUSED,
						 SESSION_CLOSE_TRANSPORT) };
	static const struct move data_only[] = { A(TRANSPORT_ENDED, DISCONNECTED,
						   SESSION_CLOSE_TRANSPORT) };
	/* What it brought is still there to be drained. */
	static const struct move mirror[] = { DATA_GOES_ON(TRANSPORT_ENDED),
					      M_CONNECTED };

	PLAY(GROUP_PRIMARY, STREAMING, connected);
	PLAY(GROUP_PRIMARY, STARTING, connected);
	PLAY(GROUP_PRIMARY, REFUSED, refused);
	PLAY(GROUP_PRIMARY, DATA_ONLY, data_only);
	PLAY(GROUP_MIRROR, STREAMING, mirror);
}

static void bad_frames_are_said_and_drained(void **state)
{
	static const struct move connected[] = {
		A(REFUSE, REFUSED, SESSION_CLOSE_DELAYED), M(FRAMES_BAD, DRAINING),
		M(DRAINED_BROKEN, REFUSED), A(CONN_LOST, DISCONNECTED, SESSION_DROP)
	};
	static const struct move data_only[] = { M(FRAMES_BAD, DRAINING_DISCONNECTED),
						 M(DRAINED_BROKEN, DISCONNECTED) };

	PLAY(GROUP_MIRROR, STREAMING, connected);
	PLAY(GROUP_MIRROR, DATA_ONLY, data_only);
}

static void a_refusal_is_final(void **state)
{
	static const struct move moves[] = { A(REFUSE, REFUSED, SESSION_CLOSE_DELAYED),
					     M(REFUSE, REFUSED),
					     SAYS_HELLO(REFUSED),
					     A(START, REFUSED, SESSION_OUT_OF_TURN),
					     A(PULL, REFUSED, SESSION_OUT_OF_TURN),
					     A(CONN_LOST, DISCONNECTED, SESSION_DROP) };

	PLAY(GROUP_MIRROR, DECIDING, moves);
}

static void an_answer_to_nothing_changes_nothing(void **state)
{
	static const struct move moves[] = { A(READY, STREAMING, SESSION_OUT_OF_TURN),
					     M(PULLED, STREAMING),
					     SAYS_HELLO(STREAMING) };

	PLAY(GROUP_PRIMARY, STREAMING, moves);
}

static void a_mirror_is_promoted(void **state)
{
	static const struct move drained[] = {
		A(PROMOTE, DRAINING_DISCONNECTED, SESSION_DROP), M(DRAINED, DISCONNECTED)
	};
	static const struct move as_primary[] = { A(PROMOTED, DISCONNECTED, SESSION_DROP),
						  P_CONNECTED };

	PLAY(GROUP_MIRROR, STREAMING, drained);
	/* A connection accepted while the epoch was made durable. */
	PLAY(GROUP_PRIMARY, DRAINING, as_primary);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_is_in_the_table_or_impossible),
		cmocka_unit_test(connections_come_and_go_in_every_state),
		cmocka_unit_test(a_connection_is_dropped_by_its_row),
		cmocka_unit_test(a_mirror_says_hello_only_once_it_has_drained),
		cmocka_unit_test(a_pair_meets_and_streams),
		cmocka_unit_test(an_opening_primary_pulls_in_two_parts),
		cmocka_unit_test(a_store_without_a_group_pairs_first),
		cmocka_unit_test(streaming_outlives_its_connection),
		cmocka_unit_test(a_transport_that_ends_takes_the_connection_with_it),
		cmocka_unit_test(bad_frames_are_said_and_drained),
		cmocka_unit_test(a_refusal_is_final),
		cmocka_unit_test(an_answer_to_nothing_changes_nothing),
		cmocka_unit_test(a_mirror_is_promoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
