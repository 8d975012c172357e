// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include "rt/check.h"

/*
 * A stop in order leaves nothing behind: in sync, the mirror has all that was written when
 * the site is gone, so that it may be promoted instead; but no longer than it is waited for.
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, in_sync_up, tcp_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(in_sync_a_stop_waits_for_the_mirror),
		TEST(it_does_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
