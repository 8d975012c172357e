// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/conclusions.h"
#include "tests/unit/replicator/held_change.h"
#include "tests/unit/replicator/held_flush.h"
#include "tests/unit/replicator/lies.h"
#include "tests/unit/replicator/refused_append.h"

#include "rt/check.h"

/*
 * What a mirror concludes from its primary's HELLO, what it makes durable before it says so,
 * how long it waits for what the old transport may still bring, and what it says when its
 * own log cannot go on.
 */

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int fresh_mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, false);
	return 0;
}

static int tear_down(void **state)
{
	append_err = 0;
	if (held_flush)
		begin_flush();
	if (held_change)
		end_change(0);
	hold_flush = hold_change = false;
	return tcp_tear_down(state);
}

/* ---- its conclusions --------------------------------------------------------------------------- */

/* It follows a primary in its second epoch, and has nothing of that yet. */
static int second_epoch_up(void **state)
{
	mirror_up(state);
	second_epoch_begin();
	return 0;
}

static void lacks_two(struct message_hello *m)
{
	m->lsn -= 2;
}

static void went_on_before_the_last_write(struct message_hello *m)
{
	m->meta.epochs[1].first_lsn = SITE_LSNS - 1;
	m->meta.epochs[m->meta.nepochs++] =
		(struct lfs_epoch){ .number = 3, .id = 0x3333, .first_lsn = SITE_LSNS };
}

#define PARTED "split brain: the histories of the two sites have parted"

static const struct conclusion conclusions[] = {
	{ 'H', nothing_else, NULL, GROUP_STANDING_GOOD },
	{ 'I', nothing_else, NULL, GROUP_STANDING_GOOD },
	{ 'H', goes_on_in_a_third, NULL, GROUP_STANDING_GOOD },
	/* It takes back what it lost, or fences itself by what it reads in our HELLO. */
	{ 'A', nothing_else, NULL, GROUP_STANDING_GOOD },
	{ 'A', has_another_hash, SESSION_TWO_CONTENTS, GROUP_STANDING_DIVERGED },
	{ 'H', is_still_in_the_first_epoch, NULL, GROUP_STANDING_GOOD },
	{ 'H', lacks_two, "this mirror holds more of the epoch than its primary",
	  GROUP_STANDING_DIVERGED },
	{ 'H', went_on_before_the_last_write,
	  "this mirror holds operations after a fork: it needs rejoin, which is not in "
	  "this version",
	  GROUP_STANDING_GOOD },
	{ 'H', has_another_hash, PARTED, GROUP_STANDING_DIVERGED },
	{ 'H', has_parted, PARTED, GROUP_STANDING_DIVERGED },
	{ 'M', nothing_else, "both sites are mirrors: promote one of them",
	  GROUP_STANDING_GOOD },
	{ 'H', has_another_name,
	  "the group names differ: both files must name the same group",
	  GROUP_STANDING_GOOD },
	{ 'H', is_of_another_group,
	  "this store belongs to another group of the same name; the mirror needs a new "
	  "one: wanmirror create there",
	  GROUP_STANDING_GOOD },
	{ 'H', has_longer_requests, "max_request differs between the two sites",
	  GROUP_STANDING_GOOD },
};

static void each_hello_has_its_conclusion(void **state)
{
	struct group *g = site->group;

	changes = 0;
	for (unsigned i = 0; i < RT_ARRAY_LEN(conclusions); i++) {
		const struct conclusion *c = &conclusions[i];

		meet();
		say_hello_but(c->letter, c->change);
		SITE_UNTIL(site, answers() > 0 || g->session->state == SESSION_WAITING);
		if (strcmp(site->refused, c->refusal ? c->refusal : "") != 0)
			fail_msg("conclusion %u: \"%s\"", i, site->refused);
		if (g->standing != c->standing)
			fail_msg("conclusion %u: standing %d", i, (int)g->standing);
		assert_string_equal(g->why, c->refusal ? c->refusal : "");
		/* A connection that streams is an agreement. */
		converse("HS");
		assert_int_equal(site->came[MESSAGE_READY], 1);
		assert_int_equal(g->standing, GROUP_STANDING_GOOD);
		assert_string_equal(g->why, "");
		assert_string_equal(session_why(g->session), "");
		if (changes > 0) /* the history is the same */
			fail_msg("conclusion %u: %u changes", i, changes);
	}
}

/* ---- pairing ------------------------------------------------------------------------------------ */

static void has_a_history(struct message_hello *m)
{
	m->meta.epochs[0].id = 0x1111;
	m->meta.epochs[m->meta.nepochs++] =
		(struct lfs_epoch){ .number = 2, .id = 0x2222, .first_lsn = 1 };
	m->meta.epochs[0].lossy = 0x4711;
}

static void is_of_that_group(void)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);

	for (unsigned i = 0; i < sizeof(meta->group); i++)
		assert_int_equal(meta->group[i], 0x77);
	assert_int_equal(meta->nepochs, 1); /* START brings the others */
	assert_true(meta->epochs[0].id == 0x1111);
	assert_int_equal(meta->flags & LFS_UNPAIRED, 0);
	assert_int_equal(meta->epochs[0].lossy, 0x4711); /* the same generations */
}

/*
 * Its group and how its history begins; but what clients would see here is another volume.
 */
static void a_fresh_mirror_joins_its_primarys_group(void **state)
{
	meet();
	say_hello_but('H', has_a_history);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 2);
	is_of_that_group();
	say_together("HG", 2); /* whose history goes on to a second epoch */
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->came[MESSAGE_READY], 1);
	assert_int_equal(lfs_meta(site->group->lfs)->nepochs, 2);
}

/* A newer connection decides once the pairing is durable, and does not pair again. */
static void a_pairing_ends_on_a_newer_connection(void **state)
{
	hold_change = true;
	changes = 0;
	meet();
	say_hello_but('H', has_a_history);
	SITE_UNTIL(site, held_change);
	meet();
	say('H');
	SITE_UNTIL(site, site->group->session->state == SESSION_UNPAIRED_DECIDING);
	end_change(0);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 2);
	assert_false(site->hello.flags & HELLO_UNPAIRED);
	is_of_that_group();
	assert_int_equal(changes, 1);
}

/* It is what the two sites are to each other. */
static void a_stop_waits_for_a_pairing(void **state)
{
	struct group_stop stop = { .done = site_stopped };

	hold_change = true;
	meet();
	say_hello_but('H', has_a_history);
	SITE_UNTIL(site, held_change);
	site->waiting = 1;
	group_stop(site->group, 1, &stop);
	site_stop_waits();
	assert_int_equal(site->waiting, 1); /* it is lent to the log */
	end_change(0);
	assert_int_equal(site_wait(), 0);
	site_open();
	is_of_that_group();
}

/* ---- the rest of the old transport ---------------------------------------------------------------- */

static void honest_frame(void)
{
	struct forged f;

	forge_honest(&f, 0);
	assert_int_equal(conn_send(data, MESSAGE_FRAME, forged_bytes,
				   forge_put(&f, forged_bytes)),
			 0);
}

static void follow(void)
{
	converse("HC");
	assert_int_equal(site->came[MESSAGE_READY], 1);
	data_dial(4711);
	SITE_UNTIL(site, progressed.watermark == SITE_LSNS);
}

/* A newer connection, before the mirror says anything. */
static void newer(void)
{
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_PING] > 0);
	assert_int_equal(site->group->session->state, SESSION_DRAINING);
	assert_int_equal(site->came[MESSAGE_HELLO], 0);
}

static void starts(struct message_hello *m)
{
	m->flags |= HELLO_STARTING;
}

/* Whether it said HELLO without the time that the rest is given. */
static bool at_once(char letter, void (*change)(struct message_hello *m))
{
	follow();
	newer();
	say_hello_but(letter, change);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_int_equal(site->hello.lsn, SITE_LSNS);
	assert_null(site->group->session->transport);
	conn_close(data);
	data = NULL;
	return rt_timer_armed(&site->group->session->drain);
}

static void the_rest_is_waited_for_where_it_may_come(void **state)
{
	assert_true(at_once('H', nothing_else));  /* all of it is here */
	assert_true(at_once('I', starts));	  /* it sends nothing before its START */
	assert_true(at_once('N', nothing_else));  /* it is no primary */
	assert_false(at_once('I', nothing_else)); /* but not for ever */
}

/* An old transport that has ended brings nothing more, whatever the primary says. */
static void a_transport_that_is_over_is_not_waited_for(void **state)
{
	follow();
	newer();
	conn_close(data);
	data = NULL;
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_int_equal(site->hello.lsn, SITE_LSNS);
}

/* ---- what it has persisted ------------------------------------------------------------------------- */

/* It completes writes at the primary: written is not enough. */
static void it_reports_what_is_durable(void **state)
{
	follow();
	hold_flushes();
	honest_frame();
	SITE_UNTIL(site, held_flush && progressed.frames == 1);
	assert_int_equal(lfs_lsn(site->group->lfs).written, SITE_LSNS + 1);
	assert_int_equal(progressed.watermark, SITE_LSNS);
	begin_flush();
	SITE_UNTIL(site, progressed.watermark == SITE_LSNS + 1);
}

/* ---- a log that cannot go on ------------------------------------------------------------------------ */

#define LOG_FAILED "the log of this site has failed"

static void a_log_without_room_ends_the_connection(void **state)
{
	static const char why[] = "the log of this site is full";
	struct group *g = site->group;

	follow();
	append_err = -ENOSPC;
	honest_frame();
	SITE_UNTIL(site, site->refused[0]);
	append_err = 0;
	assert_string_equal(site->refused, why);
	assert_string_equal(g->why, why);
	assert_int_equal(g->standing, GROUP_STANDING_GOOD);
	SITE_UNTIL(site, !g->session->transport);
	/* Nothing of it is taken for a while. */
	converse("HS");
	assert_string_equal(site->refused, why);
	assert_int_equal(lfs_lsn(g->lfs).admitted, SITE_LSNS);
}

/* The same is not asked for at once, again and again; after a while it is. */
static void is_refused_for_a_while(const char *why)
{
	struct group *g = site->group;

	if (data)
		conn_close(data);
	data = NULL;
	converse("HS");
	if (!strstr(site->refused, why))
		fail_msg("\"%s\" where \"%s\" was due", site->refused, why);
	assert_int_equal(site->came[MESSAGE_READY], 0);
	assert_int_equal(lfs_lsn(g->lfs).admitted, SITE_LSNS);
	g->session->intake.until = rt_now(site->loop);
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

static void a_record_that_is_not_legal_is_not_sent_for_ever(void **state)
{
	struct forged f;

	for (unsigned i = 0; i < 2; i++) {
		follow();
		forge_honest(&f, 0);
		lsn_leaps(&f);
		assert_int_equal(conn_send(data, MESSAGE_FRAME, forged_bytes,
					   forge_put(&f, forged_bytes)),
				 0);
		SITE_UNTIL(site, site->refused[0]);
		assert_non_null(strstr(site->refused, LIE_PLACE));
		if (data)
			conn_close(data);
		data = NULL;
	}
	is_refused_for_a_while(LIE_PLACE);
}

static void what_ends_the_transport_here_is_not_sent_for_ever(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		follow();
		assert_int_equal(conn_send(data, MESSAGE_FRAME, "", 0), 0);
		SITE_UNTIL(site, site->closed);
		if (data)
			conn_close(data);
		data = NULL;
	}
	is_refused_for_a_while("a frame of an impossible length");
}

static int next_frame_is_bad(struct transport *t, const uint8_t **frame, size_t *len)
{
	return -EPROTO;
}

/* It is looked at again while the rest is drained: that is the same failure. */
static void framing_that_is_not_legal_counts_once(void **state)
{
	struct session *s = site->group->session;
	struct transport_ops bad;

	follow();
	bad = *s->transport->ops;
	bad.next_frame = next_frame_is_bad;
	s->transport->ops = &bad;
	group_wake(site->group);
	SITE_UNTIL(site, site->closed);
	assert_string_equal(site->refused,
			    "what arrived in the tunnel is no legal framing");
	SITE_UNTIL(site, !s->transport);
	assert_int_equal(s->intake.times, 1);
	assert_false(s->intake.bad_framing);
	if (data)
		conn_close(data);
	data = NULL;
	converse("HS"); /* the first time it may have been an accident */
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

/* What it took and cannot make durable ever is no reason to wait for ever. */
static void a_failed_log_is_said_to_each_connection(void **state)
{
	struct group *g = site->group;

	follow();
	hold_flushes();
	honest_frame();
	SITE_UNTIL(site, held_flush);
	newer();
	group_log_failed(g, -EIO, "its disk is gone");
	say('H');
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(site->refused, LOG_FAILED);
	assert_string_equal(g->why, "its disk is gone");
	/* The next one hears it, too. */
	peer_dial();
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(site->refused, LOG_FAILED);
	assert_int_equal(site->came[MESSAGE_HELLO], 0);
}

static void a_pairing_on_a_failed_log_is_refused(void **state)
{
	struct group *g = site->group;

	hold_change = true;
	meet();
	say('H');
	SITE_UNTIL(site, held_change);
	group_log_failed(g, -EIO, "its disk is gone");
	end_change(-EIO);
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(site->refused, LOG_FAILED);
	assert_string_equal(g->why, "its disk is gone");
	assert_int_equal(site->came[MESSAGE_HELLO], 1);
}

/* ---- giving back ----------------------------------------------------------------------------------- */

static void what_it_cannot_read_it_does_not_give_back(void **state)
{
	static const char why[] = "this mirror cannot read its own log";

	spoil(SITE_LSNS);
	converse("AP");
	assert_int_equal(site->came[MESSAGE_PULLED], 0);
	assert_string_equal(site->refused, why);
	assert_string_equal(site->group->why, why);
	assert_int_equal(site->came[MESSAGE_ENTRY], 2);
	SITE_UNTIL(site, site->closed);
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

/* In the middle of a record that is being read, whose reader goes with the connection. */
static void a_newer_connection_pulls_for_itself(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		meet();
		say_together("AP", 2);
		SITE_UNTIL(site, site->group->session->control.pull.reading ||
					 site->came[MESSAGE_PULLED]);
		peer_keep_older();
		converse("AP");
		assert_int_equal(site->came[MESSAGE_ENTRY], 3);
		assert_int_equal(site->came[MESSAGE_PULLED], 1);
		assert_int_equal(site->number, SITE_LSNS);
	}
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_hello_has_its_conclusion, second_epoch_up),
		TEST(a_fresh_mirror_joins_its_primarys_group, fresh_mirror_up),
		TEST(a_pairing_ends_on_a_newer_connection, fresh_mirror_up),
		TEST(a_stop_waits_for_a_pairing, fresh_mirror_up),
		TEST(the_rest_is_waited_for_where_it_may_come, mirror_up),
		TEST(a_transport_that_is_over_is_not_waited_for, mirror_up),
		TEST(it_reports_what_is_durable, mirror_up),
		TEST(a_log_without_room_ends_the_connection, mirror_up),
		TEST(a_record_that_is_not_legal_is_not_sent_for_ever, mirror_up),
		TEST(what_ends_the_transport_here_is_not_sent_for_ever, mirror_up),
		TEST(framing_that_is_not_legal_counts_once, mirror_up),
		TEST(a_failed_log_is_said_to_each_connection, mirror_up),
		TEST(a_pairing_on_a_failed_log_is_refused, fresh_mirror_up),
		TEST(what_it_cannot_read_it_does_not_give_back, mirror_up),
		TEST(a_newer_connection_pulls_for_itself, mirror_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
