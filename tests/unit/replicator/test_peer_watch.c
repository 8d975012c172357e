// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/peer_watch.h"

#include <string.h>

#include "rt/check.h"
#include "tests/unit/unit.h"

/*
 * Whether a mirror counts as absent decides if writes complete without it, and IN_SYNC is
 * a promise about what has left this site. So: no level without its reason, none that
 * stays after its reason is gone, and both targets fixed when they are set.
 */

#define AWAY_MS 100

/* A step: what happens, what the primary knows in the turn after it, what follows. */
struct step {
	const char *event; /* proven, closed, refused, lost, streaming, alone, promoted */
	int64_t ms;	   /* from the beginning */
	bool streaming;
	uint64_t admitted, persisted, received, onwire;
	const char *news; /* "timed out", "in sync" or "" */
	enum peer_watch_level level;
	bool serves;
};

static rt_time at(int64_t ms)
{
	return (rt_time){ RT_S + ms * RT_MS };
}

static void happen(struct peer_watch *w, const struct step *step)
{
	if (strcmp(step->event, "proven") == 0)
		peer_watch_path_proven(w, at(step->ms));
	else if (strcmp(step->event, "closed") == 0)
		peer_watch_transport_closed(w);
	else if (strcmp(step->event, "refused") == 0)
		peer_watch_refused(w);
	else if (strcmp(step->event, "lost") == 0)
		peer_watch_mirror_lost_data(w);
	else if (strcmp(step->event, "streaming") == 0)
		peer_watch_streaming(w, step->admitted, at(step->ms));
	else if (strcmp(step->event, "alone") == 0)
		peer_watch_opened_alone(w);
	else if (strcmp(step->event, "promoted") == 0)
		peer_watch_promoted(w, at(step->ms));
	else
		assert_string_equal(step->event, "");
}

static void played(const struct step *steps, size_t n)
{
	struct peer_watch w;

	peer_watch_init(&w);
	for (size_t i = 0; i < n; i++) {
		const struct step *s = &steps[i];
		const struct peer_watch_input input = {
			.now = at(s->ms),
			.timeout_ns = AWAY_MS * RT_MS,
			.streaming = s->streaming,
			.admitted = s->admitted,
			.persisted = s->persisted,
			.received = s->received,
			.onwire = s->onwire,
		};
		unsigned news;

		happen(&w, s);
		news = peer_watch_turn(&w, &input);
		if (news != (strcmp(s->news, "timed out") == 0 ? PEER_WATCH_NEWS_TIMED_OUT
			     : strcmp(s->news, "in sync") == 0 ? PEER_WATCH_NEWS_IN_SYNC
							       : 0u) ||
		    w.level != s->level ||
		    peer_watch_serves(&w, s->streaming, input.timeout_ns, input.now) !=
			    s->serves)
			fail_msg("step %zu: news %u, level %d", i, news, w.level);
		assert_int_equal(peer_watch_timed_out(&w),
				 s->level == PEER_WATCH_TIMED_OUT);
		assert_int_equal(peer_watch_in_sync(&w), s->level == PEER_WATCH_IN_SYNC);
		assert_int_equal(peer_watch_caught_up(&w),
				 s->level == PEER_WATCH_CAUGHT_UP ||
					 s->level == PEER_WATCH_IN_SYNC);
	}
}

#define PLAY(steps) played(steps, RT_ARRAY_LEN(steps))
#define CATCHING PEER_WATCH_CATCHING_UP
#define TIMED_OUT PEER_WATCH_TIMED_OUT
#define CAUGHT PEER_WATCH_CAUGHT_UP
#define SYNC PEER_WATCH_IN_SYNC

/* Both targets stay where they were set, though the load goes on. */
static void the_way_to_in_sync_ends_under_load(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 10, 3, 3, 3, "", CATCHING, true },
		{ "proven", 10, true, 20, 5, 9, 9, "", CATCHING, true },
		{ "proven", 20, true, 30, 6, 10, 12, "", CAUGHT, true },
		{ "proven", 30, true, 40, 7, 11, 29, "", CAUGHT, true },
		{ "proven", 40, true, 50, 8, 12, 30, "in sync", SYNC, true },
		{ "proven", 50, true, 60, 9, 13, 31, "", SYNC, true },
	};

	PLAY(steps);
}

static void it_times_out_after_away_and_not_before(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 4, 4, 4, 4, "", CATCHING, true },
		{ "proven", 10, true, 4, 4, 4, 4, "in sync", SYNC, true },
		{ "", 109, true, 4, 4, 4, 4, "", SYNC, true },
		{ "", 110, true, 7, 4, 4, 4, "timed out", TIMED_OUT, false },
		{ "", 300, true, 8, 4, 4, 4, "", TIMED_OUT, false },
		/* Back: what completed meanwhile, up to 9, is what has to arrive. */
		{ "proven", 310, true, 9, 4, 8, 8, "", TIMED_OUT, true },
		{ "proven", 320, true, 12, 8, 9, 9, "", CAUGHT, true },
		{ "proven", 330, true, 14, 9, 9, 12, "in sync", SYNC, true },
	};

	PLAY(steps);
}

/* The clock is that of the last proof, whatever becomes of the connection meanwhile. */
static void a_lost_connection_starts_no_second_clock(void **state)
{
	static const struct step closed[] = {
		{ "streaming", 0, true, 4, 4, 4, 4, "", CATCHING, true },
		{ "proven", 10, true, 4, 4, 4, 4, "in sync", SYNC, true },
		{ "closed", 70, false, 5, 4, 4, 4, "", CATCHING, false },
		{ "", 109, false, 5, 4, 4, 4, "", CATCHING, false },
		{ "", 110, false, 5, 4, 4, 4, "timed out", TIMED_OUT, false },
	};
	/* It connects again and again, and its path carries nothing. */
	static const struct step connects[] = {
		{ "streaming", 0, true, 4, 4, 4, 4, "", CATCHING, true },
		{ "proven", 10, true, 4, 4, 4, 4, "in sync", SYNC, true },
		{ "closed", 70, false, 5, 4, 4, 4, "", CATCHING, false },
		{ "streaming", 80, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "", 109, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "", 110, true, 5, 5, 5, 5, "timed out", TIMED_OUT, true },
		{ "", 180, true, 5, 5, 5, 5, "", TIMED_OUT, false },
		{ "streaming", 190, true, 5, 5, 5, 5, "", TIMED_OUT, true },
		/* Proven at last. */
		{ "proven", 200, true, 5, 5, 5, 5, "in sync", SYNC, true },
	};
	/* Nothing was ever proven: from the first turn on. */
	static const struct step never[] = {
		{ "", 0, false, 4, 4, 4, 4, "", CATCHING, false },
		{ "", 99, false, 4, 4, 4, 4, "", CATCHING, false },
		{ "", 100, false, 4, 4, 4, 4, "timed out", TIMED_OUT, false },
	};

	PLAY(closed);
	PLAY(connects);
	PLAY(never);
}

/* What its HELLO says it has is no proof that a datagram arrives there. */
static void it_is_not_in_sync_before_the_path_is_proven(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 4, 4, 4, 4, "", CATCHING, true },
		{ "", 90, true, 4, 4, 4, 4, "", CATCHING, true },
		{ "proven", 95, true, 4, 4, 4, 4, "in sync", SYNC, true },
	};

	PLAY(steps);
}

/* An interruption before IN_SYNC begins again with the first target. */
static void an_interruption_begins_with_the_first_target(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 1, true, 5, 5, 5, 5, "in sync", SYNC, true },
		{ "closed", 10, false, 6, 5, 5, 5, "", CATCHING, false },
		{ "streaming", 20, true, 7, 5, 6, 6, "", CATCHING, true },
		{ "proven", 30, true, 8, 5, 7, 7, "", CATCHING, true },
		{ "proven", 40, true, 9, 5, 8, 8, "", CAUGHT, true },
		{ "", 140, true, 9, 6, 8, 8, "timed out", TIMED_OUT, false },
		{ "proven", 150, true, 10, 7, 8, 9, "", TIMED_OUT, true },
		{ "proven", 160, true, 11, 7, 10, 10, "", CAUGHT, true },
		{ "proven", 170, true, 11, 7, 10, 11, "in sync", SYNC, true },
	};

	PLAY(steps);
}

/* Shorter than `away`, and over the same transport, too. */
static void an_interruption_need_not_time_out(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 1, true, 7, 5, 5, 5, "", CAUGHT, true },
		{ "", 10, false, 8, 5, 5, 5, "", CAUGHT, false },
		{ "proven", 20, true, 9, 5, 8, 8, "", CATCHING, true },
		{ "proven", 30, true, 10, 5, 9, 9, "", CAUGHT, true },
		{ "proven", 40, true, 10, 5, 9, 10, "in sync", SYNC, true },
	};

	PLAY(steps);
}

/* The path is proven all the time; what is received is not persisted. */
static void a_mirror_that_persists_nothing_times_out(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 50, true, 8, 5, 5, 8, "in sync", SYNC, true },
		{ "proven", 60, true, 8, 5, 7, 8, "", SYNC, true },
		{ "proven", 149, true, 8, 5, 8, 8, "", SYNC, true },
		{ "proven", 150, true, 8, 5, 8, 8, "timed out", TIMED_OUT, false },
		/* A new connection has received nothing yet: that is no excuse. */
		{ "streaming", 260, true, 8, 5, 5, 5, "", TIMED_OUT, false },
		{ "proven", 270, true, 8, 6, 6, 6, "", TIMED_OUT, true },
		{ "proven", 280, true, 8, 8, 8, 8, "in sync", SYNC, true },
	};
	static const struct step another[] = {
		{ "streaming", 0, true, 8, 5, 8, 8, "", CATCHING, true },
		{ "proven", 10, true, 8, 5, 8, 8, "in sync", SYNC, true },
		/* Another mirror: what the first one received says nothing of it. */
		{ "lost", 90, true, 8, 0, 0, 0, "", SYNC, true },
		{ "proven", 180, true, 8, 0, 0, 0, "", SYNC, true },
		{ "proven", 270, true, 8, 0, 0, 0, "", SYNC, true },
	};

	PLAY(steps);
	PLAY(another);
}

/* It connects, refuses what it gets, and connects again, for ever. */
static void a_mirror_that_refuses_for_ever_times_out(void **state)
{
	static const struct step steps[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 1, true, 5, 5, 5, 5, "in sync", SYNC, true },
		{ "refused", 10, true, 6, 5, 5, 5, "", SYNC, true },
		{ "proven", 99, true, 6, 5, 5, 5, "", SYNC, true },
		{ "proven", 101, true, 6, 5, 5, 5, "timed out", TIMED_OUT, false },
		{ "proven", 210, true, 6, 6, 6, 6, "in sync", SYNC, true },
		/* It moved: the refusal is forgotten. */
		{ "proven", 300, true, 7, 6, 6, 6, "", SYNC, true },
		{ "proven", 390, true, 7, 6, 6, 6, "", SYNC, true },
	};
	/* Refused while there was nothing to persist: who is idle then is not stuck. */
	static const struct step idle[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 1, true, 5, 5, 5, 5, "in sync", SYNC, true },
		{ "refused", 10, true, 5, 5, 5, 5, "", SYNC, true },
		{ "proven", 99, true, 5, 5, 5, 5, "", SYNC, true },
		{ "proven", 110, true, 5, 5, 5, 5, "", SYNC, true },
		/* Nor is it by what comes next, on a path that stands still. */
		{ "proven", 190, true, 6, 5, 5, 5, "", SYNC, true },
		{ "proven", 289, true, 6, 5, 5, 5, "", SYNC, true },
		{ "proven", 300, true, 6, 5, 5, 5, "", SYNC, true },
	};

	PLAY(steps);
	PLAY(idle);
}

static void a_site_without_its_mirror_counts_it_as_timed_out(void **state)
{
	static const struct step alone[] = {
		{ "alone", 0, false, 5, 3, 3, 3, "", TIMED_OUT, false },
		{ "streaming", 10, true, 6, 3, 5, 5, "", TIMED_OUT, true },
		{ "proven", 20, true, 7, 6, 7, 7, "in sync", SYNC, true },
	};
	/* What a fenced primary knew of its mirror is over when it is promoted by force. */
	static const struct step promoted[] = {
		{ "streaming", 0, true, 5, 5, 5, 5, "", CATCHING, true },
		{ "proven", 1, true, 5, 5, 5, 5, "in sync", SYNC, true },
		{ "promoted", 10, false, 5, 5, 5, 5, "", TIMED_OUT, false },
	};

	PLAY(alone);
	PLAY(promoted);
}

/*
 * In both cases `persisted` stands still with data received. Only where the path goes on is
 * the mirror's disk the reason; a person is sent to it.
 */
static void a_dead_mirror_is_not_one_whose_disk_hangs(void **state)
{
	const int64_t away = AWAY_MS * RT_MS;
	struct peer_watch_input input = { .timeout_ns = away,
					  .streaming = true,
					  .admitted = 9,
					  .persisted = 5,
					  .received = 8,
					  .onwire = 8 };

	for (unsigned hangs = 0; hangs < 2; hangs++) {
		struct peer_watch w;

		peer_watch_init(&w);
		for (int64_t ms = 0; ms <= 3 * AWAY_MS; ms += 10) {
			if (hangs ? ms <= 2 * AWAY_MS : ms == 10)
				peer_watch_path_proven(&w, at(ms));
			/* As a data connection over TCP that breaks. */
			if (ms == 20)
				peer_watch_refused(&w);
			input.now = at(ms);
			(void)peer_watch_turn(&w, &input);
			assert_int_equal(peer_watch_timed_out(&w), ms >= AWAY_MS);
			assert_int_equal(peer_watch_persists_nothing(&w, away, at(ms)),
					 hangs && ms >= AWAY_MS && ms < 3 * AWAY_MS);
			assert_false(peer_watch_refuses(&w, away, at(ms)));
		}
	}
}

/* Its words are a sign of life, though nothing proves the path; their age has a bound. */
static void a_mirror_that_says_so_refuses(void **state)
{
	const int64_t away = AWAY_MS * RT_MS;
	struct peer_watch_input input = { .timeout_ns = away,
					  .admitted = 9,
					  .persisted = 5,
					  .received = 5,
					  .onwire = 5 };
	struct peer_watch w;

	peer_watch_init(&w);
	for (int64_t ms = 0; ms <= 2 * AWAY_MS; ms += 50) {
		peer_watch_mirror_refused(&w, at(ms));
		input.now = at(ms);
		(void)peer_watch_turn(&w, &input);
		assert_int_equal(peer_watch_refuses(&w, away, at(ms)), ms >= AWAY_MS);
		assert_false(peer_watch_persists_nothing(&w, away, at(ms)));
	}
	assert_true(peer_watch_refuses(&w, away, at(2 * AWAY_MS + 9999)));
	assert_false(peer_watch_refuses(&w, away, at(2 * AWAY_MS + 10000)));
	input.persisted = input.received = input.onwire = 6;
	input.now = at(2 * AWAY_MS);
	(void)peer_watch_turn(&w, &input);
	assert_false(peer_watch_refuses(&w, away, input.now));
}

/* How long ago, also after its transport: that it is silent is no news, since when is. */
static void how_long_a_mirror_is_silent_is_known(void **state)
{
	struct peer_watch_input input = { .now = at(0), .timeout_ns = AWAY_MS * RT_MS };
	struct peer_watch w;

	peer_watch_init(&w);
	(void)peer_watch_turn(&w, &input);
	assert_true(peer_watch_mirror_silence_ns(&w, at(50)) < 0); /* it never was here */
	peer_watch_streaming(&w, 5, at(60));
	assert_true(peer_watch_mirror_silence_ns(&w, at(70)) < 0);
	peer_watch_path_proven(&w, at(80));
	assert_int_equal(peer_watch_mirror_silence_ns(&w, at(90)), 10 * RT_MS);
	peer_watch_transport_closed(&w);
	assert_int_equal(peer_watch_mirror_silence_ns(&w, at(5080)), 5 * RT_S);
	peer_watch_streaming(&w, 5, at(5100)); /* a connection is no proof */
	assert_int_equal(peer_watch_mirror_silence_ns(&w, at(6080)), 6 * RT_S);
}

/* How long a promotion must wait: 5 s of silence, and 3 more where it was not received. */
static void a_silence_before_the_start_says_nothing(void **state)
{
	static const struct {
		int64_t rx, awake, now, wait_ms; /* rx < 0: never */
	} rows[] = {
		{ -1, 100, 100, 8000 },	      { -1, 100, 8099, 1 },
		{ -1, 100, 8100, 0 },	      { 50, 100, 8099, 1 },
		{ 100, 100, 5099, 1 },	      { 100, 100, 5100, 0 },
		{ 9000, 100, 9000, 5000 },    { 9000, 100, 14000, 0 },
		{ 9000, 20000, 20000, 8000 }, /* it was stopped in between */
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct peer_watch w;

		peer_watch_init(&w);
		if (rows[i].rx >= 0)
			peer_watch_primary_rx(&w, true, at(rows[i].rx));
		peer_watch_awake(&w, at(rows[i].awake));
		assert_int_equal(peer_watch_primary_wait_ns(&w, 5 * RT_S, 3 * RT_S,
							    at(rows[i].now)) /
					 RT_MS,
				 rows[i].wait_ms);
	}
}

static void a_mirror_knows_its_primary(void **state)
{
	struct peer_watch w;

	peer_watch_init(&w);
	assert_true(peer_watch_primary_silence_ns(&w, at(0)) > 3600 * RT_S);
	assert_int_equal(peer_watch_primary_lead(&w, 0), 0);
	assert_int_equal(peer_watch_primary_says(&w)->knowledge, PEER_WATCH_NOT_REPORTED);
	peer_watch_primary_rx(&w, true, at(10));
	peer_watch_primary_position(&w, 70, 7000, at(11));
	assert_int_equal(peer_watch_primary_silence_ns(&w, at(15)), 5 * RT_MS);
	assert_int_equal(peer_watch_primary_lead(&w, 60), 10);
	assert_int_equal(peer_watch_primary_lead(&w, 70), 0);
	assert_int_equal(peer_watch_primary_lead(&w, 80), 0);
	assert_int_equal(peer_watch_primary_says(&w)->knowledge, PEER_WATCH_REPORTED);
	assert_int_equal(peer_watch_primary_says(&w)->bytes, 7000);
	assert_int_equal(peer_watch_primary_says(&w)->at.ns, at(11).ns);
	/* An LSN of another history says nothing about this one's. */
	peer_watch_parted(&w);
	assert_int_equal(peer_watch_primary_says(&w)->knowledge, PEER_WATCH_PARTED);
	assert_int_equal(peer_watch_primary_lead(&w, 60), 0);
	peer_watch_control_lost(&w, at(20));
	assert_int_equal(peer_watch_control_lost_ns(&w, at(25)), 5 * RT_MS);
}

/* Fenced, or waiting to open, it is there and replaces nobody. */
static void one_that_does_not_serve_keeps_no_promotion_back(void **state)
{
	struct peer_watch w;

	peer_watch_init(&w);
	peer_watch_awake(&w, at(0));
	peer_watch_primary_rx(&w, true, at(1000));
	peer_watch_primary_rx(&w, false, at(9000));
	assert_int_equal(peer_watch_primary_silence_ns(&w, at(9000)), 0);
	assert_int_equal(peer_watch_primary_served_ns(&w, at(9000)), 8 * RT_S);
	assert_true(peer_watch_primary_wait_ns(&w, 5 * RT_S, 3 * RT_S, at(9000)) < 0);
	peer_watch_awake(&w, at(10000));
	peer_watch_primary_rx(&w, false, at(11000));
	assert_false(peer_watch_primary_is_back(&w));
	peer_watch_primary_rx(&w, true, at(11000));
	assert_true(peer_watch_primary_is_back(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_way_to_in_sync_ends_under_load),
		cmocka_unit_test(it_times_out_after_away_and_not_before),
		cmocka_unit_test(a_lost_connection_starts_no_second_clock),
		cmocka_unit_test(it_is_not_in_sync_before_the_path_is_proven),
		cmocka_unit_test(an_interruption_begins_with_the_first_target),
		cmocka_unit_test(an_interruption_need_not_time_out),
		cmocka_unit_test(a_mirror_that_persists_nothing_times_out),
		cmocka_unit_test(a_mirror_that_refuses_for_ever_times_out),
		cmocka_unit_test(a_site_without_its_mirror_counts_it_as_timed_out),
		cmocka_unit_test(a_dead_mirror_is_not_one_whose_disk_hangs),
		cmocka_unit_test(a_mirror_that_says_so_refuses),
		cmocka_unit_test(how_long_a_mirror_is_silent_is_known),
		cmocka_unit_test(a_silence_before_the_start_says_nothing),
		cmocka_unit_test(a_mirror_knows_its_primary),
		cmocka_unit_test(one_that_does_not_serve_keeps_no_promotion_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
