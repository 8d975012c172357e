// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "rt/check.h"

/*
 * A write that covers a block in part reads the rest of it first. What cannot be read is
 * not made up: the write fails, changes nothing, and stands in nobody's way.
 */

/* The linker brings calls of lfs_read() to __wrap_..., the real one is __real_... */
void __real_lfs_read(struct lfs *lfs, struct lfs_read *r);
void __wrap_lfs_read(struct lfs *lfs, struct lfs_read *r);

static unsigned reads, fail_read; /* the n-th from now fails; 0: none */
static struct lfs_read *to_fail;
static struct rt_op fail_op;

static void read_failed(struct rt_op *op, int res)
{
	struct lfs_read *r = to_fail;

	(void)op;
	(void)res; /* rt_defer has no result of its own */
	to_fail = NULL;
	r->done(r, -EBADMSG);
}

void __wrap_lfs_read(struct lfs *lfs, struct lfs_read *r)
{
	if (++reads != fail_read) {
		__real_lfs_read(lfs, r);
		return;
	}
	assert_null(to_fail);
	to_fail = r;
	fail_op.done = read_failed;
	rt_defer(site->loop, &fail_op);
}

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

/* Blocks 1 and 2 in part: 100 bytes of each are left as they are. */
static struct group_request *across_two_blocks(enum group_request_kind kind)
{
	struct group_request *r = request_new(kind);

	r->offset = GROUP_BLOCK + 100;
	r->len = 2 * GROUP_BLOCK - 200;
	return r;
}

static void is_as_filled(void)
{
	struct group_request *r = request_new(GROUP_READ);

	r->offset = GROUP_BLOCK;
	r->len = 2 * GROUP_BLOCK;
	assert_int_equal(request_run(r), 0);
	for (unsigned i = 0; i < r->len; i++)
		assert_int_equal(r->buf[i], 1 + i / GROUP_BLOCK);
	request_free(r);
}

static void an_edge_that_cannot_be_read_fails_the_write(void **state)
{
	static const enum group_request_kind kinds[] = { GROUP_WRITE, GROUP_ZERO };

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(kinds); i++) {
		struct group_request *r = across_two_blocks(kinds[i / 2]);

		reads = 0;
		fail_read = 1 + i % 2;
		assert_int_equal(request_run(r), -EIO);
		assert_int_equal(reads, 2);
		fail_read = 0;
		assert_int_equal(lfs_lsn(site->group->lfs).admitted, SITE_LSNS);
		is_as_filled();
		request_free(r);
	}
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
}

static void the_bytes_around_a_write_stay(void **state)
{
	static const struct {
		enum group_request_kind kind;
		uint8_t byte;
	} cases[] = { { GROUP_WRITE, 0x77 }, { GROUP_ZERO, 0 } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		struct group_request *r = across_two_blocks(cases[i].kind), *back;

		assert_int_equal(request_run(r), 0);
		back = request_new(GROUP_READ);
		back->offset = GROUP_BLOCK;
		back->len = 2 * GROUP_BLOCK;
		assert_int_equal(request_run(back), 0);
		for (unsigned k = 0; k < back->len; k++) {
			uint8_t due = cases[i].byte;

			if (k < 100)
				due = 1;
			else if (k >= back->len - 100)
				due = 2;
			assert_int_equal(back->buf[k], due);
		}
		request_free(back);
		request_free(r);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, alone_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_edge_that_cannot_be_read_fails_the_write),
		TEST(the_bytes_around_a_write_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
