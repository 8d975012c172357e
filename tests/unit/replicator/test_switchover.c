// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/held_change.h"
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/history.h"
#include "rt/check.h"

/*
 * Both ends of a switchover, the other one played: what is granted to whom, what is durable
 * before it is said, and what the next HELLO decides. One step too early and both sites take
 * writes, one too late and none does.
 */

static const struct {
	enum switchover_step from, to[3];
} rows[] = {
	{ SWITCHOVER_DRAINING, { SWITCHOVER_NONE, SWITCHOVER_SEALING } },
	{ SWITCHOVER_SEALING,
	  { SWITCHOVER_NONE, SWITCHOVER_GRANTED, SWITCHOVER_UNSEALING } },
	{ SWITCHOVER_GRANTED,
	  { SWITCHOVER_NONE, SWITCHOVER_UNSEALING, SWITCHOVER_YIELDING } },
	{ SWITCHOVER_UNSEALING, { SWITCHOVER_NONE } },
	{ SWITCHOVER_YIELDING, { SWITCHOVER_NONE } },
	{ SWITCHOVER_ASKING, { SWITCHOVER_NONE, SWITCHOVER_TAKING } },
	{ SWITCHOVER_TAKING, { SWITCHOVER_NONE } },
};

static void each_step_has_its_followers(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++)
		for (unsigned to = SWITCHOVER_NONE; to <= SWITCHOVER_TAKING; to++) {
			bool may = to == rows[i].to[0] || (rows[i].to[1] &&
							   to == rows[i].to[1]) ||
				   (rows[i].to[2] && to == rows[i].to[2]);

			assert_int_equal(switchover_may_follow(rows[i].from, to), may);
		}
	for (unsigned to = SWITCHOVER_NONE; to <= SWITCHOVER_TAKING; to++)
		assert_int_equal(switchover_may_follow(SWITCHOVER_NONE, to),
				 to != SWITCHOVER_NONE && to != SWITCHOVER_SEALING &&
					 to != SWITCHOVER_GRANTED);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static struct group_switchover asked;
static int verb_res;
static bool verb_ended;

static void verb_over(struct group_verb *v, int res)
{
	verb_res = res;
	verb_ended = true;
	rt_loop_stop(site->loop);
}

/* What was shown of it, a line each. */
static char shown[2048];

static void verb_goes_on(struct group_switchover *p, const char *text)
{
	size_t used = strlen(shown);

	assert_false(verb_ended);
	(void)snprintf(shown + used, sizeof(shown) - used, "%s\n", text);
}

static unsigned shown_times(const char *part)
{
	unsigned n = 0;

	for (const char *at = shown; (at = strstr(at, part)); at++)
		n++;
	return n;
}

static void ask(bool dry_run)
{
	asked = (struct group_switchover){ .dry_run = dry_run,
					   .verb.done = verb_over,
					   .progress = verb_goes_on };
	verb_ended = false;
	shown[0] = 0;
	group_switchover(site->group, &asked);
}

static void answered(int res, const char *part)
{
	SITE_UNTIL(site, verb_ended);
	assert_int_equal(verb_res, res);
	if (!strstr(asked.verb.text, part))
		fail_msg("%s\n  instead of ... %s", asked.verb.text, part);
}

static bool sealed(void)
{
	return lfs_meta(site->group->lfs)->flags & LFS_SEALED;
}

/* ---- a primary ----------------------------------------------------------------------------------- */

static void has_taken_over(struct message_hello *m)
{
	struct lfs_epoch *epoch = &m->meta.epochs[m->meta.nepochs++];

	*epoch = (struct lfs_epoch){ .number = site->grant.number,
				     .id = site->grant.id,
				     .first_lsn = site->grant.lsn + 1 };
	memset(epoch->store, SITE_PEER_STORE, sizeof(epoch->store));
}

static void has_taken_over_earlier(struct message_hello *m)
{
	m->meta.epochs[m->meta.nepochs - 1].first_lsn = site->grant.lsn + 1;
	has_taken_over(m);
}

/* Its mirror streams, and has all. */
static void be_in_sync(void)
{
	stream();
	SITE_UNTIL(site, data_up);
	progress(0, SITE_LSNS);
	SITE_UNTIL(site, (progress(0, SITE_LSNS), peer_watch_in_sync(&site->group->watch)));
}

static void until_granted(void)
{
	SITE_UNTIL(site,
		   (progress(0, SITE_LSNS), site->came[MESSAGE_GRANT] == 1));
	assert_true(sealed());
	assert_int_equal(site->grant.lsn, SITE_LSNS);
	assert_true(site->grant.number >
		    lfs_meta(site->group->lfs)
			    ->epochs[lfs_meta(site->group->lfs)->nepochs - 1]
			    .number);
}

static void what_waited_fails_and_the_site_is_the_mirror(void **state)
{
	struct group_request *w = request_new(GROUP_WRITE);

	be_in_sync();
	ask(false);
	request_ended = NULL;
	group_submit(w);
	until_granted();
	assert_null(request_ended);
	meet();
	say_hello_but('H', has_taken_over);
	SITE_UNTIL(site, request_ended == w);
	assert_int_equal(request_res, -EPERM);
	answered(0, "the other site is the primary, and this one its mirror");
	assert_int_equal(asked.lsn, SITE_LSNS);
	assert_int_equal(site->group->role, GROUP_MIRROR);
	assert_int_equal(lfs_meta(site->group->lfs)->role, LFS_MIRROR);
	assert_false(sealed());
	assert_int_equal(lfs_lsn(site->group->lfs).admitted, SITE_LSNS);
	request_free(w);
}

/* Who waits sees which step it is, and how much the mirror has yet to persist. */
static void each_step_is_shown(void **state)
{
	struct group_request *w = request_new(GROUP_WRITE);

	be_in_sync();
	group_submit(w);
	SITE_UNTIL(site, lfs_lsn(site->group->lfs).written == SITE_LSNS + 1);
	ask(false);
	assert_string_equal(shown,
			    "new writes wait; there has yet to persist 1 write, 4 KiB\n");
	SITE_UNTIL(site, shown_times("there has yet to persist 1 write, ") == 3);
	SITE_UNTIL(site, (progress(0, SITE_LSNS + 1), site->came[MESSAGE_GRANT] == 1));
	meet();
	say_hello_but('H', has_taken_over);
	answered(0, "the other site is the primary, and this one its mirror");
	assert_non_null(strstr(shown, "there holds all; this site hands over\n"
				      "handed over at LSN "));
	assert_non_null(
		strstr(shown, "there is the primary; this site becomes its mirror\n"));
	request_free(w);
}

static void a_dry_run_shows_no_step(void **state)
{
	be_in_sync();
	ask(true);
	answered(0, "would hand over");
	assert_string_equal(shown, "");
}

static void a_mirror_without_the_epoch_unseals(void **state)
{
	struct group_request *w = request_new(GROUP_WRITE);

	be_in_sync();
	ask(false);
	until_granted();
	request_ended = NULL;
	group_submit(w);
	meet();
	assert_true(site->hello.flags & HELLO_SEALED);
	say('M');
	answered(-EAGAIN, "has not taken over; nothing has changed");
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	assert_false(sealed());
	assert_int_equal(site->group->role, GROUP_PRIMARY);
	SITE_UNTIL(site, lfs_lsn(site->group->lfs).admitted == SITE_LSNS + 1);
	SITE_UNTIL(site, request_ended == w); /* by the time its mirror has timed out */
	assert_int_equal(request_res, 0);
	request_free(w);
}

/* The mirror was promoted, and holds less: what is here is kept, and nobody is the mirror. */
static void surplus_is_no_switchover(void **state)
{
	be_in_sync();
	ask(false);
	until_granted();
	site->grant.lsn--;
	meet();
	say_hello_but('H', has_taken_over_earlier);
	SITE_UNTIL(site, site->group->standing == GROUP_STANDING_FENCED);
	assert_int_equal(site->group->role, GROUP_PRIMARY);
}

static void a_sealed_store_stays_sealed_over_a_restart(void **state)
{
	struct group *g;

	be_in_sync();
	ask(false);
	until_granted();
	conn_close(site->conn);
	site->conn = NULL;
	site_stop();
	assert_true(verb_ended && verb_res == -ESHUTDOWN);
	site->config.open_timeout_ms = 50;
	site_open();
	g = site->group;
	SITE_UNTIL(site, g->state == GROUP_HOLDING);
	assert_int_equal(primary_start_bound(g), PRIMARY_BOUND_SEALED);
	assert_true(sealed());
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(g));
	assert_false(sealed());
}

static void a_sealed_store_is_the_mirror_after_a_restart(void **state)
{
	be_in_sync();
	ask(false);
	until_granted();
	conn_close(site->conn);
	site->conn = NULL;
	site_stop();
	site_open();
	meet();
	say_hello_but('H', has_taken_over);
	SITE_UNTIL(site, site->group->role == GROUP_MIRROR);
	assert_true(group_serving(site->group));
	assert_false(sealed());
}

/* An older state of the mirror's store, or a new one, knows nothing of the grant. */
static void a_mirror_that_holds_less_does_not_unseal(void **state)
{
	be_in_sync();
	ask(false);
	until_granted();
	meet();
	say('Q');
	SITE_UNTIL(site, site->refused[0]);
	assert_non_null(strstr(site->refused, "holds less than it did then"));
	assert_true(sealed());
	SITE_UNTIL(site, site->group->state == GROUP_HOLDING);
}

static void nothing_over(struct group_verb *v, int res)
{
	assert_int_equal(res, -EBUSY);
	verb_ended = true;
}

static void nothing_promoted(struct group_verb *v, int res)
{
	assert_int_equal(res, -EBUSY);
	verb_ended = true;
}

static void second_over(struct group_verb *v, int res)
{
	assert_int_equal(res, -EPERM);
	verb_ended = true;
}

/* That it has handed over is the reason when the other site is late; until then it switches. */
static void a_second_switchover_is_refused_by_what_is_so(void **state)
{
	static const char *const why[] = { "under way, and is over in a moment",
					   "handed over already" };
	struct switchover *sw = &site->group->session->switchover;

	be_in_sync();
	ask(false);
	until_granted();
	sw->asked = NULL; /* as when the mirror has asked */
	for (unsigned late = 0; late < 2; late++) {
		struct group_switchover second = { .verb.done = second_over };

		if (late)
			sw->until = rt_now(site->loop);
		verb_ended = false;
		group_switchover(site->group, &second);
		SITE_UNTIL(site, verb_ended);
		assert_non_null(strstr(second.verb.text, why[late]));
	}
}

/* Who comes in place of the peer would decide about what the peer was granted. */
static void a_sealed_site_keeps_its_peer(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_REPLACE, .verb.done = nothing_over };

	be_in_sync();
	ask(false);
	until_granted();
	verb_ended = false;
	group_peer(site->group, &p);
	SITE_UNTIL(site, verb_ended);
	assert_non_null(strstr(p.verb.text, "this site has handed over"));
}

/* A promotion would begin behind an epoch that is being taken back. */
static void nothing_is_promoted_halfway(void **state)
{
	struct group_promote p = { .force = true, .verb.done = nothing_promoted };

	be_in_sync();
	ask(false);
	until_granted();
	hold_change = true;
	meet();
	say('M');
	SITE_UNTIL(site, held_change);
	verb_ended = false;
	group_promote(site->group, &p);
	SITE_UNTIL(site, verb_ended);
	assert_non_null(strstr(p.verb.text, "a switchover is under way"));
	hold_change = false;
	end_change(0);
	SITE_UNTIL(site, !sealed());
}

static void not_opened(struct group_open *open, int res)
{
	assert_int_equal(res, -EINVAL);
	assert_non_null(strstr(open->why, "this store has handed over to its peer"));
	verb_ended = true;
	rt_loop_stop(site->loop);
}

/* Without a peer in the configuration it would serve. */
static void a_sealed_store_needs_its_peer(void **state)
{
	struct group_open open = { .done = not_opened };
	struct group_events events = { 0 };

	be_in_sync();
	ask(false);
	until_granted();
	conn_close(site->conn);
	site->conn = NULL;
	site_stop();
	site->config.has_peer = false;
	verb_ended = false;
	group_open(site->loop, &site->config, &events, NULL, &open);
	SITE_UNTIL(site, verb_ended);
	site->config.has_peer = true;
	site_open();
}

static void a_primary_out_of_sync_refuses(void **state)
{
	ask(false);
	answered(-EPERM, "the mirror is not in sync");
	ask(true);
	answered(-EPERM, "the mirror is not in sync");
	assert_false(sealed());
	be_in_sync();
	ask(true);
	answered(0, "here would hand over; nothing was changed");
	assert_false(sealed());
}

/* The mirror never persists the write that is under way: it goes on, after the switchover. */
static void a_drain_that_breaks_changes_nothing(void **state)
{
	be_in_sync();
	assert_int_equal(request_once(GROUP_TRIM, 0), 0);
	ask(false);
	SITE_UNTIL(site, frames_received == 1);
	assert_int_equal(site->group->session->switchover.step, SWITCHOVER_DRAINING);
	conn_close(data);
	data = NULL;
	answered(-EAGAIN, "nothing has changed");
	assert_false(sealed());
	assert_int_equal(site->group->role, GROUP_PRIMARY);
}

static void a_mirror_may_ask(void **state)
{
	be_in_sync();
	assert_int_equal(conn_send(site->conn, MESSAGE_SWITCHOVER, NULL, 0), 0);
	until_granted();
}

static void a_mirror_that_asks_too_early_is_declined(void **state)
{
	converse("M");
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	assert_int_equal(conn_send(site->conn, MESSAGE_SWITCHOVER, NULL, 0), 0);
	SITE_UNTIL(site, site->came[MESSAGE_DECLINE] == 1);
	assert_string_equal(site->refused, "the mirror is not in sync");
}

/* ---- a mirror ---------------------------------------------------------------------------------------- */

static int mirror_up(void **state)
{
	site_tweak = tcp_peer;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void grant(uint64_t number, uint64_t id, uint64_t lsn)
{
	const struct message_grant m = { number, id, lsn };
	uint8_t body[64];

	assert_int_equal(conn_send(site->conn, MESSAGE_GRANT, body,
				   message_encode_grant(&m, body, sizeof(body))),
			 0);
}

static void follow(void)
{
	converse("HC");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

static void a_grant_makes_it_the_primary(void **state)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	uint64_t generation;

	follow();
	generation = history_generation(meta, 1);
	grant(77, 0x7777, SITE_LSNS);
	SITE_UNTIL(site, site->group->role == GROUP_PRIMARY);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(meta->role, LFS_PRIMARY);
	assert_int_equal(meta->epochs[meta->nepochs - 1].id, 0x7777);
	assert_int_equal(meta->epochs[meta->nepochs - 1].first_lsn, SITE_LSNS + 1);
	assert_int_equal(meta->flags & LFS_ALONE, 0);
	assert_true(history_generation(meta, 1) == generation);
	assert_int_equal(site->group->gate.marks.persisted, SITE_LSNS);
	assert_int_equal(request_once(GROUP_TRIM, 0), 0);
}

static void a_mirror_shows_each_step(void **state)
{
	follow();
	ask(false);
	SITE_UNTIL(site, site->came[MESSAGE_SWITCHOVER] == 1);
	grant(77, 0x7777, SITE_LSNS);
	answered(0, "this site is the primary");
	assert_non_null(strstr(shown,
			       "asked there to hand over\nthere has handed over at "
			       "LSN "));
}

static void a_grant_that_does_not_fit_is_refused(void **state)
{
	static const struct {
		uint64_t number, id, lsn;
		const char *why;
	} cases[] = {
		{ 77, 0, SITE_LSNS, "a GRANT that is not legal here" },
		{ 1, 0x7777, SITE_LSNS, "a GRANT that is not legal here" },
		{ UINT64_C(1) << 40, 0x7777, SITE_LSNS,
		  "a GRANT that is not legal here" },
		{ MESSAGE_EPOCH_MAX + 1, 0x7777, SITE_LSNS,
		  "a GRANT that is not legal here" },
		{ 77, 0x7777, SITE_LSNS + 1, "this mirror cannot take over now" },
		{ 77, 0x7777, SITE_LSNS - 1, "this mirror cannot take over now" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		follow();
		grant(cases[i].number, cases[i].id, cases[i].lsn);
		SITE_UNTIL(site, site->refused[0]);
		assert_string_equal(site->refused, cases[i].why);
		assert_int_equal(site->group->role, GROUP_MIRROR);
	}
	meet();
	say('H');
	grant(77, 0x7777, SITE_LSNS); /* nothing streams */
	SITE_UNTIL(site, site->refused[0]);
	assert_int_equal(site->group->role, GROUP_MIRROR);
}

/* Its next HELLO decides, so there is none while the epoch is being written. */
static void a_mirror_that_takes_over_says_no_hello(void **state)
{
	follow();
	hold_change = true;
	grant(77, 0x7777, SITE_LSNS);
	SITE_UNTIL(site, held_change != NULL && site->closed);
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_IDENTITY] == 1);
	SITE_UNTIL(site, site->came[MESSAGE_PING] > 2);
	assert_int_equal(site->came[MESSAGE_HELLO], 0);
	end_change(0);
	SITE_UNTIL(site, site->group->role == GROUP_PRIMARY);
	meet();
	assert_int_equal(site->hello.role, LFS_PRIMARY);
	assert_int_equal(site->hello.meta.epochs[site->hello.meta.nepochs - 1].id, 0x7777);
}

/* The daemon is asked to stop meanwhile: it is the primary first, and then it ends. */
static void a_stop_waits_until_it_has_taken_over(void **state)
{
	struct group_stop stop = { .done = site_stopped };

	follow();
	hold_change = true;
	grant(77, 0x7777, SITE_LSNS);
	SITE_UNTIL(site, held_change != NULL);
	site->waiting = 1;
	group_stop(site->group, 1, &stop);
	site_stop_waits();
	hold_change = false;
	end_change(0);
	assert_int_equal(site_wait(), 0);
	site_open();
	assert_int_equal(site->group->role, GROUP_PRIMARY);
}

static void what_the_primary_declines_is_said(void **state)
{
	uint8_t body[64];

	ask(false);
	answered(-EPERM, "no primary is connected; if it is lost: wanmirror promote");
	follow();
	ask(false);
	SITE_UNTIL(site, site->came[MESSAGE_SWITCHOVER] == 1);
	assert_int_equal(conn_send(site->conn, MESSAGE_DECLINE, body,
				   message_encode_text("not today", body, sizeof(body))),
			 0);
	answered(-EPERM, "refused: not today");
	assert_string_equal(shown, "asked there to hand over\n");
	ask(false);
	SITE_UNTIL(site, site->came[MESSAGE_SWITCHOVER] == 2);
	conn_close(site->conn);
	site->conn = NULL;
	answered(-EAGAIN, "the connection to the primary is lost");
}

/* From the wrong site each is refused. */
static void who_may_not_say_it_is_refused(void **state)
{
	follow();
	assert_int_equal(conn_send(site->conn, MESSAGE_SWITCHOVER, NULL, 0), 0);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused,
			    "a message of a switchover from the wrong site");
}

int main(void)
{
#define PRIMARY(name) cmocka_unit_test_setup_teardown(name, tcp_primary_up, tcp_tear_down)
#define MIRROR(name) cmocka_unit_test_setup_teardown(name, mirror_up, tcp_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_has_its_followers),
		PRIMARY(what_waited_fails_and_the_site_is_the_mirror),
		PRIMARY(each_step_is_shown),
		PRIMARY(a_dry_run_shows_no_step),
		PRIMARY(a_mirror_without_the_epoch_unseals),
		PRIMARY(surplus_is_no_switchover),
		PRIMARY(a_sealed_store_stays_sealed_over_a_restart),
		PRIMARY(a_sealed_store_is_the_mirror_after_a_restart),
		PRIMARY(a_mirror_that_holds_less_does_not_unseal),
		PRIMARY(a_second_switchover_is_refused_by_what_is_so),
		PRIMARY(a_sealed_site_keeps_its_peer),
		PRIMARY(nothing_is_promoted_halfway),
		PRIMARY(a_sealed_store_needs_its_peer),
		PRIMARY(a_primary_out_of_sync_refuses),
		PRIMARY(a_drain_that_breaks_changes_nothing),
		PRIMARY(a_mirror_may_ask),
		PRIMARY(a_mirror_that_asks_too_early_is_declined),
		MIRROR(a_grant_makes_it_the_primary),
		MIRROR(a_mirror_shows_each_step),
		MIRROR(a_grant_that_does_not_fit_is_refused),
		MIRROR(a_mirror_that_takes_over_says_no_hello),
		MIRROR(a_stop_waits_until_it_has_taken_over),
		MIRROR(what_the_primary_declines_is_said),
		MIRROR(who_may_not_say_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
