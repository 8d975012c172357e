// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/held_change.h"
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/group_policy.h"
#include "rt/check.h"

/*
 * A stop in order leaves nothing behind: in sync, the mirror has all that was written when
 * the site is gone, so that it may be promoted instead; but no longer than it is waited for.
 * What is lent to the log comes back first. An open that fails leaves the store as it was.
 */

static int in_sync_up(void **state)
{
	tcp_primary_up(state);
	stream();
	SITE_UNTIL(site, peer_watch_in_sync(&site->group->watch));
	return 0;
}

static void stop_begins(struct group_stop *stop, int64_t timeout_ms)
{
	*stop = (struct group_stop){ .done = site_stopped };
	site->waiting = 1;
	group_stop(site->group, timeout_ms, stop);
}

/* Completed here, under way, and not confirmed yet. */
static void write_unconfirmed(void)
{
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, frames_received == 1);
}

static void in_sync_a_stop_waits_for_the_mirror(void **state)
{
	struct group_stop stop;
	unsigned pings;

	write_unconfirmed();
	stop_begins(&stop, 2 * SITE_BOUND_NS / RT_MS);
	pings = site->came[MESSAGE_PING];
	SITE_UNTIL(site, site->closed || site->came[MESSAGE_PING] > pings + 1);
	assert_int_equal(site->waiting, 1);
	assert_false(site->closed);
	progress(1, SITE_LSNS + 1);
	assert_int_equal(site_wait(), 0);
	site_open();
}

static void it_does_not_wait_for_ever(void **state)
{
	struct group_stop stop;

	write_unconfirmed();
	stop_begins(&stop, 1);
	assert_int_equal(site_wait(), 0);
	site_open();
}

/* ---- while something is under way ----------------------------------------------------------- */

static int tear_down(void **state)
{
	if (held_change)
		end_change(0);
	hold_change = false;
	return tcp_tear_down(state);
}

static unsigned doors_shut;

static void door(void *owner, struct group *group, bool on)
{
	doors_shut += !on;
}

/* Whoever asks from now on hears that it goes; who has asked is answered. */
static void a_stop_takes_no_request_any_more(void **state)
{
	static const enum group_request_kind kinds[] = { GROUP_READ, GROUP_WRITE,
							 GROUP_TRIM, GROUP_ZERO,
							 GROUP_FLUSH };
	struct group_stop stop;

	site->group->events.serving = door;
	doors_shut = 0;
	write_unconfirmed();
	stop_begins(&stop, 2 * SITE_BOUND_NS / RT_MS);
	assert_int_equal(doors_shut, 1);
	for (unsigned i = 0; i < RT_ARRAY_LEN(kinds); i++)
		assert_int_equal(request_once(kinds[i], 0), -ESHUTDOWN);
	assert_int_equal(lfs_lsn(site->group->lfs).admitted, SITE_LSNS + 1);
	progress(1, SITE_LSNS + 1);
	assert_int_equal(site_wait(), 0);
	assert_int_equal(doors_shut, 1);
	site_open();
}

/* Nothing of it will ever be sent: there is nothing to wait for. */
static void with_a_failed_log_a_stop_does_not_wait(void **state)
{
	struct group_stop stop;

	write_unconfirmed();
	group_log_failed(site->group, -EIO, "its disk is gone");
	stop_begins(&stop, 2 * SITE_BOUND_NS / RT_MS);
	SITE_UNTIL(site, site->waiting == 0);
	site_open();
}

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

/* Its end is that of its last request, not the next look at the clock. */
static void a_stop_ends_with_its_last_request(void **state)
{
	struct rt_timer *tick = &site->group->turn.tick;
	struct group_request *r = request_new(GROUP_READ);
	struct group_stop stop;

	site->group->config.heartbeat_ms = 10 * SITE_BOUND_NS / RT_MS;
	SITE_UNTIL(site, rt_time_since(tick->at, rt_now(site->loop)) > SITE_BOUND_NS);
	r->offset = GROUP_BLOCK; /* on the disk: it takes longer than the first turn */
	request_ended = NULL;
	group_submit(r);
	stop_begins(&stop, 2 * SITE_BOUND_NS / RT_MS);
	assert_int_equal(site_wait(), 0);
	assert_ptr_equal(request_ended, r);
	assert_int_equal(request_res, 0);
	request_free(r);
	site_open();
}

static void fact_changed(struct group *g, int res)
{
	assert_int_equal(res, 0);
	assert_non_null(g->lfs);
	site_ended(res);
}

/* It is lent to the log, which is closed behind it. */
static void a_stop_waits_for_a_change_of_the_facts(void **state)
{
	struct group *g = site->group;
	struct group_stop stop;

	hold_change = true;
	facts_edit(g)->promotion.undone = 0x4711;
	facts_change(g, fact_changed);
	stop_begins(&stop, 1);
	site->waiting++;
	site_stop_waits();
	end_change(0);
	assert_int_equal(site_wait(), 0);
	site_open();
	assert_int_equal(lfs_meta(site->group->lfs)->promotion.undone, 0x4711);
}

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int promoted_res;

static void promote_over(struct group_verb *v, int res)
{
	promoted_res = res;
}

/* One that has begun is answered before the site is gone, and is what it says. */
static void a_stop_answers_a_promotion(void **state)
{
	struct group_promote p = { .verb.done = promote_over };
	struct group_stop stop;

	promoted_res = 1;
	hold_change = true;
	group_promote(site->group, &p);
	SITE_UNTIL(site, held_change);
	stop_begins(&stop, 1);
	site_stop_waits();
	assert_int_equal(promoted_res, 1);
	end_change(0);
	assert_int_equal(site_wait(), 0);
	assert_int_equal(promoted_res, 0);
	site_open();
	assert_int_equal(site->group->role, GROUP_PRIMARY);
}

/* One that has not is refused, and there is no epoch of it. */
static void a_stop_refuses_a_promotion_that_waits(void **state)
{
	struct group_promote p = { .verb.done = promote_over };
	struct group_stop stop;

	promoted_res = 1;
	group_promote(site->group, &p);
	stop_begins(&stop, 1);
	assert_int_equal(site_wait(), 0);
	assert_int_equal(promoted_res, -EIO);
	assert_non_null(strstr(p.verb.text, "the daemon is stopping"));
	site_open();
	assert_int_equal(site->group->role, GROUP_MIRROR);
	assert_int_equal(lfs_meta(site->group->lfs)->nepochs, 1);
}

/* ---- an open that fails ----------------------------------------------------------------------- */

static void one_volume_less(struct group_config *config)
{
	config->nvolumes--;
}

static void another_volume(struct group_config *config)
{
	(void)snprintf(config->volumes[1].name, sizeof(config->volumes[1].name), "c");
}

static void a_longer_volume(struct group_config *config)
{
	config->volumes[1].size *= 2;
}

static struct rt_listener *taken;

static void nobody_is_accepted(void *owner, struct rt_sock *sock,
			       const struct rt_addr *peer)
{
	rt_sock_close(sock);
}

static void an_address_in_use(struct group_config *config)
{
	rt_listener_addr(taken, &config->peer.addr);
}

static void open_failed(struct group_open *o, int res)
{
	assert_null(o->group);
	site_ended(res);
}

/* The store is as it was: whether its last stop was in order, too. */
static void an_open_that_fails_changes_nothing(void **state)
{
	static const struct {
		void (*tweak)(struct group_config *config);
		int res;
		const char *why;
	} cases[] = {
		{ one_volume_less, -EINVAL, "the file names 1 volumes, the store has 2" },
		{ another_volume, -EINVAL,
		  "the file names volume c, the store has b instead" },
		{ a_longer_volume, -EINVAL,
		  "volume b: the file says 2097152 bytes, the store 1048576" },
		{ an_address_in_use, -EADDRINUSE, "peer: cannot use 127.0.0.1" },
	};
	struct group_events events = { .serving = site_serves };
	struct rt_addr any;

	assert_int_equal(rt_addr_parse("127.0.0.1:0", &any), 0);
	assert_int_equal(rt_listen(site->loop, &any, nobody_is_accepted, NULL, &taken),
			 0);
	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(cases); i++) {
		struct group_open open = { .done = open_failed };
		struct group_config *config = malloc(sizeof(*config));
		bool clean = i & 1;

		assert_non_null(config);
		site_stop();
		if (!clean)
			site_crash(false);
		*config = site->config;
		cases[i / 2].tweak(config);
		site->waiting = 1;
		group_open(site->loop, config, &events, NULL, &open);
		assert_int_equal(site_wait(), cases[i / 2].res);
		if (!strstr(open.why, cases[i / 2].why))
			fail_msg("\"%s\"", open.why);
		free(config);
		site_open();
		assert_int_equal(site->group->start.was_clean, clean);
		SITE_UNTIL(site, group_serving(site->group));
	}
	rt_listener_close(taken);
}

/* ---- what a site is, beyond its restart ---------------------------------------------------------- */

static void restarts_with(uint32_t flags)
{
	struct group *g = site->group;

	facts_edit(g)->flags |= flags;
	site->waiting = 1;
	facts_change(g, fact_changed);
	assert_int_equal(site_wait(), 0);
	site_stop();
	site_open();
}

/* It serves what there is, and begins no epoch. */
static void a_fence_outlives_a_restart(void **state)
{
	unsigned nepochs = lfs_meta(site->group->lfs)->nepochs;
	char why[GROUP_STATUS_WHY_MAX];
	struct group *g;

	restarts_with(LFS_FENCED);
	g = site->group;
	assert_true(group_is_fenced(g));
	assert_true(group_serving(g));
	SITE_UNTIL(site, g->state == GROUP_FENCED);
	group_policy_why(g, why, sizeof(why));
	assert_non_null(strstr(why, "primary in a newer epoch"));
	assert_int_equal(request_once(GROUP_READ, 0), 0);
	assert_int_equal(request_once(GROUP_WRITE, 0), -EPERM);
	assert_int_equal(lfs_meta(g->lfs)->nepochs, nepochs);
}

/* Nobody else may have what it lacks: it opens without its mirror. */
static void alone_outlives_a_restart(void **state)
{
	restarts_with(LFS_ALONE);
	assert_int_equal(site->group->alone, GROUP_ALONE);
	SITE_UNTIL(site, group_serving(site->group));
	restarts_with(LFS_HOLD);
	assert_int_equal(site->group->alone, GROUP_ALONE_HOLDING);
}

static void a_mirror_without_a_peer_is_no_group(void **state)
{
	struct group_open open = { .done = open_failed };
	struct group_events events = { .serving = site_serves };
	struct group_config *config = malloc(sizeof(*config));

	assert_non_null(config);
	site_stop();
	*config = site->config;
	config->has_peer = false;
	site->waiting = 1;
	group_open(site->loop, config, &events, NULL, &open);
	assert_int_equal(site_wait(), -EINVAL);
	assert_string_equal(open.why,
			    "this store is a mirror, but the group has no peer");
	free(config);
	site_open();
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(in_sync_a_stop_waits_for_the_mirror, in_sync_up),
		TEST(it_does_not_wait_for_ever, in_sync_up),
		TEST(a_stop_takes_no_request_any_more, in_sync_up),
		TEST(with_a_failed_log_a_stop_does_not_wait, in_sync_up),
		TEST(a_stop_ends_with_its_last_request, alone_up),
		TEST(a_stop_waits_for_a_change_of_the_facts, alone_up),
		TEST(a_stop_answers_a_promotion, mirror_up),
		TEST(a_stop_refuses_a_promotion_that_waits, mirror_up),
		TEST(an_open_that_fails_changes_nothing, alone_up),
		TEST(a_mirror_without_a_peer_is_no_group, mirror_up),
		TEST(a_fence_outlives_a_restart, alone_up),
		TEST(alone_outlives_a_restart, alone_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
