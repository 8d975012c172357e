// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a group does by the clock, and when it cannot even begin: a group that nobody uses
 * lets the processor sleep, and one that has no memory to open or to be made says so.
 */
#include "tests/unit/alloc.h"
#include "tests/unit/replicator/site.h"

#include <errno.h>

#define ALLOCATIONS_MAX 300u /* more than an open makes */

static void alone(struct group_config *config)
{
	/* As the configuration leaves them where there is no section `peer`. */
	config->has_peer = false;
	config->heartbeat_ms = config->away_ms = config->control_timeout_ms = 0;
}

static int alone_up(void **state)
{
	site_tweak = alone;
	site_set_up(state, GROUP_PRIMARY, false);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

/* The next tick is at a time that has not come: one at once, again and again, is a spin. */
static void a_group_without_a_peer_sleeps(void **state)
{
	struct rt_timer *tick = &site->group->turn.tick;

	tick->fire(tick);
	assert_true(rt_timer_armed(tick));
	assert_true(rt_time_since(tick->at, rt_now(site->loop)) >= 100 * RT_MS);
}

static void open_ended(struct group_open *o, int res)
{
	site->group = o->group;
	site_ended(res);
}

/* The n-th allocation fails, n = 1, 2, ... until all are granted. */
static void an_open_without_memory_says_so(void **state)
{
	struct group_open open = { .done = open_ended };
	struct group_events events = { .serving = site_serves };
	unsigned n = 0;
	int res;

	site_stop();
	do {
		open.why[0] = 0;
		open.group = NULL;
		asked = 0;
		fail_at = ++n;
		site->waiting = 1;
		group_open(site->loop, &site->config, &events, NULL, &open);
		res = site_wait();
		fail_at = 0;
		if (res == 0 && asked >= n) /* done without it, or later */
			site_stop();
		else if (res < 0)
			assert_true(res == -ENOMEM && open.why[0]);
	} while ((res < 0 || asked >= n) && n < ALLOCATIONS_MAX);
	assert_int_equal(res, 0);
	assert_true(n > 10);
}

static void create_ended(struct group_create *c, int res)
{
	site_ended(res);
}

static void a_create_without_memory_says_so(void **state)
{
	struct group_config config = site->config;
	struct group_create create = { .done = create_ended };
	unsigned n = 0;
	int res;

	(void)snprintf(config.store, sizeof(config.store), "%s/other", site->dir);
	do {
		create.why[0] = 0;
		asked = 0;
		fail_at = ++n;
		site->waiting = 1;
		group_create(site->loop, &config, &create);
		res = site_wait();
		fail_at = 0;
		if (res < 0)
			assert_true(res == -ENOMEM && create.why[0]);
		else
			assert_int_equal(unlink(config.store), 0);
	} while ((res < 0 || asked >= n) && n < ALLOCATIONS_MAX);
	assert_int_equal(res, 0);
	assert_true(n > 3);
}

static void a_size_without_memory_is_not_known(void **state)
{
	asked = 0;
	fail_at = 1;
	assert_int_equal(group_store_size_min(&site->config), 0);
	fail_at = 0;
	assert_true(group_store_size_min(&site->config) > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, alone_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_group_without_a_peer_sleeps),
		TEST(an_open_without_memory_says_so),
		TEST(a_create_without_memory_says_so),
		TEST(a_size_without_memory_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
