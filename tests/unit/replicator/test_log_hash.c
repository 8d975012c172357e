// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/log_hash.h"

#include <errno.h>

#include "tests/unit/replicator/site.h"

/*
 * What decides whether two sites that hold different numbers of LSNs hold the same: the hash of
 * the history after any LSN here is the one that it had when that LSN was written.
 */

static struct log_hash h;

static int site_up(void **state)
{
	h = (struct log_hash){ .stage = LOG_HASH_IDLE };
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void each_lsn_has_the_hash_that_it_had(void **state)
{
	uint64_t hash;
	int res;

	for (uint64_t lsn = 0; lsn <= SITE_LSNS; lsn++) {
		hash = UINT64_MAX;
		res = log_hash_after(site->group, &h, lsn, &hash);
		assert_int_equal(res, lsn == SITE_LSNS ? 0 : -EAGAIN);
		SITE_UNTIL(site, log_hash_after(site->group, &h, lsn, &hash) != -EAGAIN);
		assert_int_equal(log_hash_after(site->group, &h, lsn, &hash), 0);
		assert_true(hash == site->hashes[lsn]);
	}
	log_hash_end(&h);
}

/* The peer has said HELLO again, and names another LSN while the first is read. */
static void who_asks_for_another_gets_that_one(void **state)
{
	uint64_t hash = 0;

	assert_int_equal(log_hash_after(site->group, &h, 1, &hash), -EAGAIN);
	assert_int_equal(log_hash_after(site->group, &h, 3, &hash), -EAGAIN);
	SITE_UNTIL(site, log_hash_after(site->group, &h, 3, &hash) == 0);
	assert_true(hash == site->hashes[3]);
	assert_int_equal(site->group->pending.log_readers, 0);
	/* The connection ends meanwhile; the test's end stops the group. */
	assert_int_equal(log_hash_after(site->group, &h, 2, &hash), -EAGAIN);
	log_hash_end(&h);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, site_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_lsn_has_the_hash_that_it_had),
		TEST(who_asks_for_another_gets_that_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
