// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/site.h"

#include "replicator/backlog.h"
#include "rt/check.h"

/*
 * What the mirror has is kept over restarts, and what it lacks is counted from there: not from
 * nothing, since that would let a restart begin `max_exposure` anew; and not from all that the
 * log ever took, since that would hold writes that the mirror would allow.
 */

#define FILLED SITE_LSNS

static void network(struct group_config *config)
{
	config->sync = GROUP_NETWORK;
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
}

static int primary_up(void **state)
{
	site_tweak = network;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static int tear_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

static struct group_status *status(void)
{
	static struct group_status now;

	group_status(site->group, &now);
	return &now;
}

/* The superblock says so when the site is opened again. */
static void reopen_with(uint64_t persisted)
{
	struct lfs_meta *meta = malloc(sizeof(*meta));

	assert_non_null(meta);
	site_stop();
	site_open_log();
	*meta = *lfs_meta(site->lfs);
	meta->peer_persisted = persisted;
	site_set_meta(meta);
	site_close_log(false);
	free(meta);
	site_open();
	SITE_UNTIL(site, group_serving(site->group));
}

static uint64_t kept(void)
{
	return lfs_meta(site->group->lfs)->peer_persisted;
}

/* As if the mirror had said so. */
static void mirror_has(uint64_t lsn)
{
	struct gate_marks marks = site->group->gate.marks;

	marks.persisted = marks.received = marks.onwire = lsn;
	gate_set_marks(&site->group->gate, &marks);
	group_wake(site->group);
}

static void the_count_goes_on_from_what_the_mirror_has(void **state)
{
	for (uint64_t has = 0; has <= FILLED; has++) {
		double since = (double)site_wall_ns(has + 1) / RT_S, age;

		reopen_with(has);
		assert_int_equal(status()->lsn.persisted, has);
		assert_int_equal(status()->exposure.writes, FILLED - has);
		SITE_UNTIL(site, status()->exposure.bytes != GROUP_NOT_KNOWN);
		assert_int_equal(status()->exposure.bytes, (FILLED - has) * LFS_BLOCK);
		age = (double)rt_wall_ns(site->loop) / RT_S - since;
		if (has == FILLED)
			assert_true(status()->exposure.seconds == 0);
		else
			assert_true(status()->exposure.seconds > age - 1 &&
				    status()->exposure.seconds < age + 1);
	}
}

/* What was lost here is given again, to writes that the mirror does not have. */
static void what_was_lost_here_the_mirror_does_not_have(void **state)
{
	reopen_with(FILLED + 4);
	assert_int_equal(status()->lsn.persisted, FILLED);
	assert_int_equal(status()->exposure.writes, 0);
	assert_int_equal(kept(), FILLED);
}

static void it_is_kept_while_it_moves_and_at_a_stop(void **state)
{
	mirror_has(2);
	SITE_UNTIL(site, kept() == 2);
	mirror_has(3); /* before the second is over */
	site_stop();
	site_open();
	assert_int_equal(kept(), 3);
	SITE_UNTIL(site, group_serving(site->group));
	assert_int_equal(status()->lsn.persisted, 3);
	/* It holds less than it did: that is known after a crash, too. */
	gate_forget_mirror(&site->group->gate);
	group_wake(site->group);
	SITE_UNTIL(site, kept() == 0);
}

/* max_exposure is used up by what was written before the start. */
static void a_bound_goes_on_over_a_restart(void **state)
{
	const struct exposure_figures bound = { .bytes = 2 * LFS_BLOCK };
	struct group *g;

	reopen_with(1);
	SITE_UNTIL(site, status()->exposure.bytes != GROUP_NOT_KNOWN);
	g = site->group;
	assert_int_equal(exposure_allows(&g->backlog.exposure, g->gate.marks.persisted,
					 rt_now(g->loop), &bound),
			 1);
	reopen_with(3);
	SITE_UNTIL(site, status()->exposure.bytes != GROUP_NOT_KNOWN);
	g = site->group;
	assert_true(exposure_allows(&g->backlog.exposure, g->gate.marks.persisted,
				    rt_now(g->loop), &bound) >= FILLED);
}

static void when_it_is_kept(void **state)
{
	static const struct {
		struct backlog_step step;
		bool due;
	} rows[] = {
		{ { .kept = 5, .persisted = 5, .since_ns = 100 * RT_S, .stopping = true },
		  false },
		{ { .kept = 5, .persisted = 6, .since_ns = RT_S - 1 }, false },
		{ { .kept = 5, .persisted = 6, .since_ns = RT_S }, true },
		{ { .kept = 5, .persisted = 6, .stopping = true }, true },
		{ { .kept = 5, .persisted = 4 }, true },
		/* An eighth of max_exposure, of each kind. */
		{ { .kept = 5,
		    .persisted = 14,
		    .since_ns = RT_S / 2,
		    .bound_writes = 80 },
		  false },
		{ { .kept = 5,
		    .persisted = 15,
		    .since_ns = RT_S / 2,
		    .bound_writes = 80 },
		  true },
		{ { .kept = 5,
		    .persisted = 6,
		    .bytes = (1 << 20) - 1,
		    .since_ns = RT_S / 2,
		    .bound_bytes = 8 << 20 },
		  false },
		{ { .kept = 5,
		    .persisted = 6,
		    .bytes = 1 << 20,
		    .since_ns = RT_S / 2,
		    .bound_bytes = 8 << 20 },
		  true },
		{ { .kept = 5,
		    .persisted = 6,
		    .since_ns = 249 * RT_MS,
		    .bound_ns = 2 * RT_S },
		  false },
		{ { .kept = 5,
		    .persisted = 6,
		    .since_ns = 250 * RT_MS,
		    .bound_ns = 2 * RT_S },
		  true },
		/* But not for each write. */
		{ { .kept = 5,
		    .persisted = 600,
		    .since_ns = 99 * RT_MS,
		    .bound_writes = 80 },
		  false },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++)
		if (backlog_is_due(&rows[i].step) != rows[i].due)
			fail_msg("row %zu", i);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, primary_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_count_goes_on_from_what_the_mirror_has),
		TEST(what_was_lost_here_the_mirror_does_not_have),
		TEST(it_is_kept_while_it_moves_and_at_a_stop),
		TEST(a_bound_goes_on_over_a_restart),
		cmocka_unit_test(when_it_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
