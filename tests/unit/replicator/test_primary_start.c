// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/history.h"
#include "rt/check.h"

/*
 * What a primary does before its first request. Where a completed write may be at the
 * mirror alone, it waits for the mirror, whatever open_timeout says; after a crash of the
 * machine its volumes have another generation; a backlog for the mirror means that the
 * modes do not count yet.
 */

/* ---- whether it opens without its mirror --------------------------------------------------------- */

struct policy {
	enum group_disconnect policy;
	bool fua_remote;
	enum group_mode sync; /* of volume b */
	int own;	      /* on_disconnect of volume b itself; -1: the group's */
	enum primary_bound bound;
};

static void a_mirror_that_may_hold_more_is_waited_for(void **state)
{
	static const struct policy policies[] = {
		{ GROUP_CONTINUE, false, GROUP_LOCAL, -1, PRIMARY_NOT_BOUND },
		{ GROUP_CONTINUE, false, GROUP_NETWORK, -1, PRIMARY_NOT_BOUND },
		{ GROUP_CONTINUE, false, GROUP_REMOTE, -1, PRIMARY_BOUND_VOLUME_MODE },
		{ GROUP_CONTINUE, false, GROUP_REMOTE, GROUP_CONTINUE,
		  PRIMARY_NOT_BOUND },
		{ GROUP_CONTINUE, false, GROUP_NETWORK, GROUP_STOP,
		  PRIMARY_BOUND_VOLUME_POLICY },
		{ GROUP_CONTINUE, true, GROUP_LOCAL, -1, PRIMARY_BOUND_FUA },
		{ GROUP_CONTINUE, true, GROUP_LOCAL, GROUP_CONTINUE, PRIMARY_BOUND_FUA },
		{ GROUP_STOP, false, GROUP_LOCAL, -1, PRIMARY_BOUND_POLICY },
		{ GROUP_STOP, false, GROUP_NETWORK, GROUP_CONTINUE,
		  PRIMARY_BOUND_POLICY },
		{ GROUP_STOP, true, GROUP_REMOTE, -1, PRIMARY_BOUND_FUA },
	};
	struct group *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->nvolumes = 2;
	for (size_t i = 0; i < RT_ARRAY_LEN(policies); i++) {
		const struct policy *p = &policies[i];
		struct group_volume *b = &g->volumes[1];

		g->config.on_disconnect = p->policy;
		g->config.fua_remote = p->fua_remote;
		b->sync = p->sync;
		b->has_policy = p->own >= 0;
		b->policy = p->own >= 0 ? (enum group_disconnect)p->own : GROUP_CONTINUE;
		if (primary_start_bound(g) != p->bound)
			fail_msg("policy %u: another one forbids to open", (unsigned)i);
	}
	free(g);
}

static void fua_remote(struct group_config *config)
{
	config->fua_remote = true;
	config->open_timeout_ms = 0;
}

static int fua_remote_up(void **state)
{
	site_tweak = fua_remote;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static int tear_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

static enum group_state state_now(void)
{
	static struct group_status status;

	group_status(site->group, &status);
	return status.state;
}

/* Not after open_timeout either, which is over at once here; only with its mirror. */
static void fua_remote_opens_with_the_mirror_only(void **state)
{
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	assert_false(group_serving(site->group));
	meet();
	assert_true(site->hello.flags & HELLO_STARTING);
	say('M');
	SITE_UNTIL(site, group_serving(site->group));
}

/* ---- what a start says that waits --------------------------------------------------------------- */

static char waits[8][1024]; /* the lines that say so */
static unsigned nwaits;

static void wait_heard(void *owner, enum rt_log_level level, const char *line)
{
	if (strstr(line, "waiting for=mirror") && nwaits < RT_ARRAY_LEN(waits))
		(void)snprintf(waits[nwaits++], sizeof(waits[0]), "%d %s", (int)level,
			       line);
}

static void said(unsigned i, const char *part)
{
	if (i >= nwaits || !strstr(waits[i], part))
		fail_msg("no \"%s\" in line %u of %u: %s", part, i, nwaits,
			 i < nwaits ? waits[i] : "");
}

/* A reason and a remedy, in status and in one line of the log for each state. */
static void shown(const char *why, const char *remedy)
{
	static struct group_status status;

	group_status(site->group, &status);
	if (!strstr(status.why, why) || !strstr(status.why, remedy))
		fail_msg("no \"%s\" or \"%s\" in %s", why, remedy, status.why);
}

static void fua_remote_for_long(struct group_config *config)
{
	config->fua_remote = true;
	config->open_timeout_ms = 100;
}

static int listening_up(void **state)
{
	site_tweak = fua_remote_for_long;
	site_set_up(state, GROUP_PRIMARY, true);
	site_stop();
	nwaits = 0;
	rt_log_set_sink(wait_heard, NULL);
	site_open(); /* its first line counts, too */
	return 0;
}

static int listening_down(void **state)
{
	rt_log_set_sink(site_silent, NULL);
	return tear_down(state);
}

/* Each wait has its reason; and who decides to do without the mirror is obeyed. */
static void a_start_that_waits_says_for_what(void **state)
{
	struct group_config config = site->config;

	SITE_UNTIL(site, nwaits == 1);
	said(0, "state=STARTING why=\"it asks the mirror");
	shown("asks the mirror", "and not before");
	SITE_UNTIL(site, state_now() == GROUP_HOLDING && nwaits == 2);
	said(1, "1 waiting for=mirror state=HOLDING why=\"the mirror has not agreed");
	said(1, "fua is remote; start the mirror");
	shown("fua is remote", "wanmirror set fua=mode");
	meet();
	SITE_UNTIL(site, site->came[MESSAGE_PING] >= 5); /* turns in which it waits */
	assert_int_equal(nwaits, 2);
	assert_false(group_serving(site->group));
	config.fua_remote = false;
	group_change(site->group, &config);
	SITE_UNTIL(site, group_serving(site->group));
}

/* It has met the other site: that one is no answer, and nothing goes on by itself. */
static void a_start_that_has_diverged_says_so(void **state)
{
	converse("H");
	SITE_UNTIL(site, state_now() == GROUP_DIVERGED);
	assert_false(group_serving(site->group));
	said(nwaits - 1, "0 waiting for=mirror state=DIVERGED why=\"both sites are");
	shown("same epoch", "nothing is served until you decide");
}

/* It waits for what only the mirror has. */
static void a_pull_is_a_wait(void **state)
{
	meet();
	say('N');
	SITE_UNTIL(site, nwaits > 0 && strstr(waits[nwaits - 1], "RECOVERING"));
	said(nwaits - 1, "2 waiting for=mirror state=RECOVERING why=\"it takes back");
	shown("takes back", "goes on by itself");
}

/* ---- a backlog ----------------------------------------------------------------------------------- */

static void network(struct group_config *config)
{
	config->on_disconnect = GROUP_CONTINUE;
	config->open_timeout_ms = 60000;
	config->sync = GROUP_NETWORK;
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
}

static int network_up(void **state)
{
	site_tweak = network;
	site_set_up(state, GROUP_PRIMARY, true);
	assert_false(group_serving(site->group));
	return 0;
}

static enum group_mode effective(void)
{
	static struct group_status status;

	group_status(site->group, &status);
	return status.sync_effective;
}

static void a_mirror_that_has_all_makes_the_modes_count(void **state)
{
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(site->group));
	assert_false(peer_watch_timed_out(&site->group->watch));
	assert_int_equal(effective(), GROUP_NETWORK);
}

static void a_backlog_is_not_in_the_mode_yet(void **state)
{
	meet();
	say('Q');
	SITE_UNTIL(site, group_serving(site->group));
	assert_true(peer_watch_timed_out(&site->group->watch));
	assert_int_equal(effective(), GROUP_LOCAL);
}

/*
 * What it pulled is known to be missing here: open_timeout begins again with the loss of the
 * connection, however long the pull took.
 */
static void a_pull_that_breaks_has_its_open_timeout_again(void **state)
{
	struct group *g = site->group;

	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	g->start.deadline = rt_now(site->loop);
	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, g->start.phase != PRIMARY_PULLING);
	assert_int_equal(g->start.phase, PRIMARY_ASKING);
	assert_true(rt_time_before(rt_now(site->loop), g->start.deadline));
	assert_false(group_serving(g));
}

/*
 * The mirror has connected anew before the older connection was missed: what that one was
 * asked for is asked for again, and a mirror that is ahead is no other history.
 */
static void a_pull_goes_on_over_a_newer_connection(void **state)
{
	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	peer_keep_older();
	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1 || answers() > 0);
	assert_string_equal(site->refused, "");
	assert_int_equal(site->number, SITE_LSNS + 1);
	assert_int_equal(state_now(), GROUP_RECOVERING);
}

/* ---- after it was down ------------------------------------------------------------------------------ */

/* Of the two clocks, the boot and the time, each can make it cold. */
static void a_sign_of_life_is_warm_for_a_while(void **state)
{
	static const struct {
		int64_t left, now;
		bool same_boot, warm;
	} rows[] = {
		{ 0, 0, true, true },
		{ 7 * RT_S, 7 * RT_S, true, true },
		{ 7 * RT_S, 12 * RT_S - 1, true, true },
		{ 7 * RT_S, 12 * RT_S, true, false },
		{ 7 * RT_S, 8 * RT_S, false, false },
		{ 7 * RT_S, 6 * RT_S, true, false },
		{ -1, 1, true, false },
		{ 1, -1, true, false },
		{ -1, -1, true, false },
		{ 0, INT64_MAX, true, false },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct lfs_alive left = { .since_boot_ns = rows[i].left };
		struct lfs_alive now = { .since_boot_ns = rows[i].now };

		now.boot[LFS_ID_LEN - 1] = !rows[i].same_boot;
		if (primary_start_is_warm(&left, &now) != rows[i].warm)
			fail_msg("row %u", i);
	}
}

static void cold_holds(struct group_config *config)
{
	config->cold_serve = false;
	config->open_timeout_ms = 50;
}

static int cold_up(void **state)
{
	site_tweak = cold_holds;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static int cold_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

static int open_alone(bool dry_run, const char *part)
{
	char text[GROUP_OPEN_TEXT_MAX];
	int res = group_open_alone(site->group, dry_run, text);

	if (!strstr(text, part))
		fail_msg("%s\n  instead of ... %s", text, part);
	return res;
}

static void a_cold_start_waits_for_the_mirror_or_a_person(void **state)
{
	struct group *g = site->group;

	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	assert_int_equal(primary_start_bound(g), PRIMARY_BOUND_COLD);
	assert_false(group_serving(g));
	assert_int_equal(open_alone(true, "here would open from LSN 6 on"), 0);
	SITE_UNTIL(site,
		   rt_time_since(rt_now(site->loop), g->start.deadline) > 50 * RT_MS);
	assert_false(group_serving(g));
	assert_int_equal(open_alone(false, "here opens from LSN 6 on"), 0);
	SITE_UNTIL(site, group_serving(g));
	assert_int_equal(open_alone(false, "serves already"), -EALREADY);
}

static void a_mirror_that_fits_ends_a_cold_start(void **state)
{
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(site->group));
}

/* It was opened before, by somebody, and has served: a restart is warm. */
static void a_short_restart_is_warm(void **state)
{
	rt_time began = rt_now(site->loop);

	assert_int_equal(open_alone(false, "opens"), 0);
	SITE_UNTIL(site, group_serving(site->group));
	SITE_UNTIL(site, rt_time_since(rt_now(site->loop), began) > 100 * RT_MS);
	site_stop();
	site_open();
	assert_int_equal(primary_start_bound(site->group), PRIMARY_NOT_BOUND);
	SITE_UNTIL(site, group_serving(site->group));
}

/* One that never served left no sign of life: a restart of it is as cold as it was. */
static void a_restart_of_one_that_waits_is_cold(void **state)
{
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	site_stop();
	site_open();
	assert_int_equal(primary_start_bound(site->group), PRIMARY_BOUND_COLD);
}

/* The other site is what was promoted: nobody opens a second primary by this. */
static void a_primary_that_answers_forbids_it(void **state)
{
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	meet();
	say('H');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(open_alone(false, "the other site answers, and is primary"),
			 -EPERM);
	assert_false(group_serving(site->group));
}

static void peer_changed(struct group_verb *v, int res)
{
	assert_int_equal(res, 0);
	rt_loop_stop(site->loop);
}

static void forget_peer(bool dry_run, const char *part)
{
	struct group_peer p = { .change = GROUP_PEER_FORGET,
				.dry_run = dry_run,
				.verb.done = peer_changed };

	group_peer(site->group, &p);
	assert_int_equal(rt_loop_run(site->loop), 0);
	if (!strstr(p.verb.text, part))
		fail_msg("%s\n  instead of ... %s", p.verb.text, part);
}

/* Nobody can answer: neither open_timeout nor what forbids to open without a mirror is for that. */
static void a_forgotten_peer_is_not_waited_for(void **state)
{
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	forget_peer(true, "this site waits for that one, and would open without it; ");
	assert_false(group_serving(site->group));
	forget_peer(false, "this site waits for that one, and opens without it; ");
	SITE_UNTIL(site, group_serving(site->group));
	site_stop();
	site->config.open_timeout_ms = 3600 * 1000;
	site->config.fua_remote = true;
	site_open();
	assert_int_equal(primary_start_bound(site->group), PRIMARY_BOUND_FUA);
	SITE_UNTIL(site, group_serving(site->group));
}

/* It may take another store for its peer, and that one may answer. */
static void a_peer_that_is_to_come_is_waited_for(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_REPLACE, .verb.done = peer_changed };

	forget_peer(false, "opens without it");
	SITE_UNTIL(site, group_serving(site->group));
	group_peer(site->group, &p);
	assert_int_equal(rt_loop_run(site->loop), 0);
	site_stop();
	site->config.fua_remote = true;
	site_open();
	SITE_UNTIL(site, state_now() == GROUP_HOLDING);
	assert_false(group_serving(site->group));
}

static void serves_soon(struct group_config *config)
{
	config->open_timeout_ms = 300;
}

static int serving_up(void **state)
{
	site_tweak = serves_soon;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

/* Refused: its open_timeout changes nothing; accepted by a HELLO it serves. */
static void refused_and_accepted(void)
{
	struct group *g = site->group;

	SITE_UNTIL(site, site->closed);
	SITE_UNTIL(site,
		   rt_time_since(rt_now(site->loop), g->start.deadline) > 100 * RT_MS);
	assert_false(group_serving(g));
	assert_int_equal(state_now(), GROUP_HOLDING);
	assert_int_equal(open_alone(false, "refuses this store"), -EPERM);
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(g));
}

/* The mirror asks its connected primary first, and has introduced itself until then. */
static void a_copy_that_is_refused_late_does_not_serve(void **state)
{
	meet();
	say('U');
	refused_and_accepted();
}

/* It is a copy, or was left for another store: warm or not, it is not the one. */
static void who_is_refused_by_its_mirror_does_not_serve(void **state)
{
	struct message_negotiate versions = { .min = MESSAGE_PROTOCOL_MIN,
					      .max = MESSAGE_PROTOCOL };
	uint8_t body[512];

	site->says_nothing = true;
	peer_dial();
	SITE_UNTIL(site, site->established);
	site->says_nothing = false;
	memcpy(versions.group_name, site->config.name, sizeof(site->config.name));
	assert_int_equal(
		conn_send(site->conn, MESSAGE_NEGOTIATE, body,
			  message_encode_negotiate(&versions, body, sizeof(body))),
		0);
	SITE_UNTIL(site, site->came[MESSAGE_IDENTITY] == 1);
	say('U');
	refused_and_accepted();
}

/* The other site is there, and is seen to first: this may be a copy of a store that serves. */
static void who_is_refused_does_not_open_by_forgetting(void **state)
{
	struct group *g = site->group;

	meet();
	say('U');
	SITE_UNTIL(site, site->closed);
	forget_peer(false, "no store is taken for the peer until");
	SITE_UNTIL(site,
		   rt_time_since(rt_now(site->loop), g->start.deadline) > 100 * RT_MS);
	assert_false(group_serving(g));
}

/* ---- generations ---------------------------------------------------------------------------------- */

static void start(void)
{
	site_open();
	SITE_UNTIL(site, group_serving(site->group));
}

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static struct lfs_meta facts_now(void)
{
	return *lfs_meta(site->group->lfs);
}

/*
 * A process that dies loses nothing that completed; a machine may. Only then may a cache of
 * a client be ahead of the volume, and only then the generation is another one. In either
 * case no LSN is given twice in one epoch.
 */
static void a_crash_of_the_machine_changes_the_generation(void **state)
{
	for (unsigned round = 0; round < 4; round++) {
		bool machine = round & 1;
		struct lfs_meta before = facts_now(), now;

		site_stop();
		site_crash(machine);
		site_crash(false); /* a process that died before it could begin */
		start();
		now = facts_now();
		for (unsigned i = 0; i < now.nvolumes; i++)
			assert_int_equal(history_generation(&now, now.volumes[i].id) !=
						 history_generation(&before,
								    before.volumes[i].id),
					 machine);
		assert_true(now.epochs[now.nepochs - 1].number >
			    before.epochs[before.nepochs - 1].number);
		assert_int_equal(now.epochs[now.nepochs - 1].first_lsn,
				 lfs_lsn(site->group->lfs).admitted + 1);
		assert_true(now.epochs[now.nepochs - 1].id !=
			    before.epochs[before.nepochs - 1].id);
	}
}

/* A mirror of a history that has parted from this one, further on. */
static void has_a_later_epoch(struct message_hello *m)
{
	m->meta.epochs[m->meta.nepochs - 1] =
		(struct lfs_epoch){ .number = 41, .id = 0x6709, .first_lsn = 1 };
}

/*
 * What the peer has named is its own, also where this site begins without it: two epochs of
 * one number would look like one to whoever has to choose between the sites.
 */
static void no_epoch_has_a_number_that_the_peer_has_named(void **state)
{
	struct group *g;

	site_stop();
	site_crash(false);
	site_open();
	g = site->group;
	meet();
	say_hello_but('M', has_a_later_epoch);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(g->start.phase, PRIMARY_ASKING);
	g->start.deadline = rt_now(site->loop);
	SITE_UNTIL(site, group_serving(g));
	assert_int_equal(facts_now().epochs[facts_now().nepochs - 1].number, 42);
}

/* Stopped before that epoch is durable, it must begin it next time. */
static void stopped_while_it_asks_it_asks_again(void **state)
{
	site_stop();
	site_open();
	assert_true(site->group->start.was_clean);
	site_stop();
	site_crash(false);
	for (unsigned round = 0; round < 2; round++) {
		site_open();
		assert_false(site->group->start.was_clean);
		assert_int_equal(site->group->start.phase, PRIMARY_ASKING);
		site_stop();
	}
	site_open();
}

/* What it lacks is at the mirror still: a start without that must not use its LSNs. */
static void stopped_while_it_takes_back_it_asks_again(void **state)
{
	site_stop();
	site_crash(false);
	site_open();
	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	assert_int_equal(site->group->start.phase, PRIMARY_PULLING);
	site_stop();
	site_open();
	assert_false(site->group->start.was_clean);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mirror_that_may_hold_more_is_waited_for),
		TEST(fua_remote_opens_with_the_mirror_only, fua_remote_up),
#define HEARD(f) cmocka_unit_test_setup_teardown(f, listening_up, listening_down)
		HEARD(a_start_that_waits_says_for_what),
		HEARD(a_start_that_has_diverged_says_so),
		HEARD(a_pull_is_a_wait),
		TEST(a_mirror_that_has_all_makes_the_modes_count, network_up),
		TEST(a_backlog_is_not_in_the_mode_yet, network_up),
		TEST(a_pull_that_breaks_has_its_open_timeout_again, network_up),
		TEST(a_pull_goes_on_over_a_newer_connection, network_up),
		cmocka_unit_test(a_sign_of_life_is_warm_for_a_while),
		cmocka_unit_test_setup_teardown(
			a_cold_start_waits_for_the_mirror_or_a_person, cold_up,
			cold_down),
		cmocka_unit_test_setup_teardown(a_mirror_that_fits_ends_a_cold_start,
						cold_up, cold_down),
		cmocka_unit_test_setup_teardown(a_short_restart_is_warm, cold_up,
						cold_down),
		cmocka_unit_test_setup_teardown(a_restart_of_one_that_waits_is_cold,
						cold_up, cold_down),
		cmocka_unit_test_setup_teardown(a_primary_that_answers_forbids_it,
						cold_up, cold_down),
		cmocka_unit_test_setup_teardown(
			who_is_refused_by_its_mirror_does_not_serve, serving_up,
			cold_down),
		cmocka_unit_test_setup_teardown(
			a_copy_that_is_refused_late_does_not_serve, serving_up,
			cold_down),
		cmocka_unit_test_setup_teardown(a_forgotten_peer_is_not_waited_for,
						cold_up, cold_down),
		cmocka_unit_test_setup_teardown(a_peer_that_is_to_come_is_waited_for,
						cold_up, cold_down),
		cmocka_unit_test_setup_teardown(
			who_is_refused_does_not_open_by_forgetting, serving_up,
			cold_down),
		TEST(a_crash_of_the_machine_changes_the_generation, alone_up),
		TEST(no_epoch_has_a_number_that_the_peer_has_named, network_up),
		TEST(stopped_while_it_asks_it_asks_again, network_up),
		TEST(stopped_while_it_takes_back_it_asks_again, network_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
