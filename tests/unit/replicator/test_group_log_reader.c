// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_log_reader.h"

#include <errno.h>

#include "rt/check.h"
#include "tests/unit/replicator/site.h"

/*
 * A reader of the log is what catches a mirror up and gives records back. It hands out each
 * LSN once and in order, says where the log ends, and may be dropped while it reads: the
 * log is not closed under it, and nobody hears of that read again.
 */

struct reader {
	struct group_log_reader *f;
	unsigned answers;
	int res;
	uint64_t lsn, lba;
	uint8_t byte;
};

static void answered(void *owner, int res, const struct lfs_entry *entry)
{
	struct reader *r = owner;

	r->answers++;
	r->res = res;
	if (entry) {
		r->lsn = entry->lsn;
		r->lba = entry->ops[0].lba;
		r->byte = entry->ops[0].data[LFS_BLOCK - 1];
	}
}

static int next(struct reader *r)
{
	unsigned before = r->answers;

	group_log_reader_next(r->f);
	assert_int_equal(site->group->pending.log_readers, 1);
	SITE_UNTIL(site, r->answers > before);
	assert_int_equal(r->answers, before + 1);
	assert_int_equal(site->group->pending.log_readers, 0);
	return r->res;
}

static int site_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void each_lsn_comes_once_and_in_order(void **state)
{
	for (uint64_t from = 1; from <= SITE_LSNS + 1; from++) {
		struct reader r = { 0 };

		assert_int_equal(
			group_log_reader_new(site->group, from, answered, &r, &r.f), 0);
		for (uint64_t lsn = from; lsn <= SITE_LSNS; lsn++) {
			assert_int_equal(next(&r), 0);
			assert_int_equal(r.lsn, lsn);
			assert_int_equal(r.lba, lsn); /* as site_fill() wrote it */
			assert_int_equal(r.byte, lsn);
		}
		assert_int_equal(next(&r), -ENODATA);
		assert_int_equal(next(&r), -ENODATA); /* it may be asked again later */
		group_log_reader_free(r.f);
	}
}

static void what_the_log_does_not_hold_is_not_read(void **state)
{
	struct reader r = { 0 };

	assert_int_equal(group_log_reader_new(site->group, SITE_LSNS + 2, answered, &r,
					      &r.f),
			 -ENOENT);
	assert_null(r.f);
	group_log_reader_free(NULL);
}

/* The end of the test stops the group: with a read that nobody waits for still under way. */
static void dropped_while_it_reads_it_says_nothing_more(void **state)
{
	struct reader r = { 0 }, other = { 0 };

	assert_int_equal(group_log_reader_new(site->group, 1, answered, &r, &r.f), 0);
	assert_int_equal(group_log_reader_new(site->group, 2, answered, &other, &other.f),
			 0);
	group_log_reader_next(r.f);
	group_log_reader_next(other.f);
	assert_int_equal(site->group->pending.log_readers, 2);
	group_log_reader_free(r.f);
	assert_int_equal(site->group->pending.log_readers, 2);
	SITE_UNTIL(site, site->group->pending.log_readers == 0);
	assert_int_equal(r.answers, 0);
	assert_int_equal(other.answers, 1);
	assert_int_equal(other.lsn, 2);
	group_log_reader_next(other.f);
	group_log_reader_free(other.f);
	assert_int_equal(site->group->pending.log_readers, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, site_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_lsn_comes_once_and_in_order),
		TEST(what_the_log_does_not_hold_is_not_read),
		TEST(dropped_while_it_reads_it_says_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
