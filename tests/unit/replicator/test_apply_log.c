// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "replicator/apply.h"
#include "replicator/group_private.h"
#include "rt/check.h"
#include "tests/unit/alloc.h"
#include "tests/unit/replicator/forge.h"
#include "tests/unit/unit.h"

/*
 * Records and the log below them, which the test plays: it may be busy, refuse, or fail
 * later. Records go in by their order, each counts once, the first error is the one that is
 * reported, and nothing stays behind. test_apply.c has a real log, and records that lie.
 */

#define IN_LOG_MAX 8

static struct group group;
static struct apply *const a = &group.apply;
static struct lfs_meta meta;
static uint8_t bytes[FORGE_BYTES];
static struct lfs_append *in_log[IN_LOG_MAX];
static unsigned nin_log, wakings;
static uint64_t last; /* LSN of the log */
static int log_says, refused_with;

int lfs_append(struct lfs *lfs, struct lfs_append *append)
{
	if (log_says)
		return log_says;
	assert_int_equal(append->lsn, last + 1);
	assert_true(nin_log < IN_LOG_MAX && append->nops > 0);
	last++;
	in_log[nin_log++] = append;
	return 0;
}

void lfs_position(const struct lfs *lfs, struct lfs_position *ret)
{
	*ret = (struct lfs_position){ .lsn = last, .hash = 0x5a };
}

struct lfs_lsn lfs_lsn(const struct lfs *lfs)
{
	return (struct lfs_lsn){ .admitted = last };
}

const struct lfs_meta *lfs_meta(const struct lfs *lfs)
{
	return &meta;
}

const struct lfs_epoch *lfs_epoch_of(const struct lfs_meta *m, uint64_t lsn)
{
	static const struct lfs_epoch epoch = { .number = 1, .id = 77, .first_lsn = 1 };

	return &epoch;
}

void group_wake(struct group *g)
{
	wakings++;
}

void group_log_refused(struct group *g, int err)
{
	refused_with = err;
}

static int set_up(void **state)
{
	memset(&meta, 0, sizeof(meta));
	meta.nvolumes = 1;
	meta.volumes[0].size = 1u << 20;
	nin_log = wakings = 0;
	last = 40;
	log_says = refused_with = 0;
	asked = fail_at = 0;
	held = 0;
	apply_init(a, &group);
	apply_restart(a);
	return 0;
}

static int tear_down(void **state)
{
	apply_discard(a);
	assert_int_equal(held, 0);
	assert_int_equal(a->bytes, 0);
	return 0;
}

/* A record of one block, whose time is its LSN. */
static int receive(uint64_t lsn)
{
	struct forged f = { .head.version = RECORD_VERSION };

	f.head.lsn = le64_make(lsn);
	f.head.epoch_id = le64_make(77);
	f.head.hash_before = le64_make(0x5a);
	f.head.wall_ns = le64_make(lsn);
	forge_op(&f, LFS_WRITE, 0, 1, 1);
	return apply_record(a, bytes, forge_put(&f, bytes));
}

static void log_ends(unsigned i, int res)
{
	in_log[i]->done(in_log[i], res);
}

static void what_is_in_the_log_is_counted_and_nobody_sleeps(void **state)
{
	assert_true(apply_idle(a));
	assert_int_equal(receive(41), 0);
	assert_int_equal(receive(42), 0);
	assert_false(apply_idle(a)); /* in the log's hands, though nothing waits here */
	assert_true(in_log[0]->wall_ns == 41 && in_log[1]->wall_ns == 42);
	assert_int_equal(a->applied, 0);
	log_ends(1, 0);
	assert_int_equal(wakings, 1);
	assert_int_equal(a->applied, 1);
	assert_int_equal(a->applied_bytes, LFS_BLOCK);
	assert_false(apply_idle(a));
	log_ends(0, 0);
	assert_int_equal(wakings, 2);
	assert_int_equal(a->applied, 2);
	assert_int_equal(a->applied_bytes, 2 * LFS_BLOCK);
	assert_true(apply_idle(a));
	assert_int_equal(a->bytes, 0);
	assert_int_equal(a->refused, 0);
}

/* Records wait in their order while the log is busy, and go on when it has moved. */
static void a_busy_log_is_waited_for(void **state)
{
	log_says = -EAGAIN;
	assert_int_equal(receive(41), 0);
	assert_int_equal(receive(42), 0);
	assert_false(apply_idle(a));
	apply_retry(a);
	assert_int_equal(nin_log, 0);
	log_says = 0;
	apply_retry(a);
	assert_int_equal(nin_log, 2);
	apply_retry(a);
	assert_int_equal(nin_log, 2);
	log_ends(0, 0);
	log_ends(1, 0);
	assert_true(apply_idle(a));
}

/* Why the log takes nothing more; the group's own watch on its room learns it, too. */
static void a_log_that_refuses_says_why(void **state)
{
	static const struct {
		int err;
		const char *why;
	} rows[] = { { -ENOSPC, "log of this site is full" },
		     { -EDQUOT, "map_memory" },
		     { -ENOMEM, "out of memory" },
		     { -EIO, "cannot write its log" } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		uint64_t before;

		(void)set_up(state);
		log_says = rows[i].err;
		assert_int_equal(receive(41), rows[i].err);
		assert_int_equal(refused_with, rows[i].err);
		assert_non_null(strstr(a->why, rows[i].why));
		assert_int_equal(a->refused, 0); /* the record was right */
		assert_false(apply_room(a));
		log_says = 0;
		apply_retry(a); /* it is final */
		assert_int_equal(nin_log, 0);
		before = a->bytes;
		assert_int_equal(receive(42), rows[i].err);
		assert_int_equal(a->bytes, before); /* and not kept */
		(void)tear_down(state);
		apply_restart(a); /* until the next connection */
		assert_true(apply_room(a));
		assert_int_equal(receive(41), 0);
		log_ends(0, 0);
	}
}

static void the_first_error_is_the_reason(void **state)
{
	assert_int_equal(receive(41), 0);
	assert_int_equal(receive(42), 0);
	assert_int_equal(receive(44), -EPROTO); /* 43 was expected */
	assert_non_null(strstr(a->why, "44"));
	assert_int_equal(a->refused, 1);
	log_ends(0, -EIO);
	assert_int_equal(wakings, 1);
	assert_int_equal(a->err, -EPROTO);
	assert_non_null(strstr(a->why, "44"));
	assert_int_equal(a->refused, 1);
	assert_int_equal(a->applied, 0);
	log_ends(1, 0);
	assert_int_equal(a->applied, 1);

	(void)tear_down(state);
	(void)set_up(state);
	assert_int_equal(receive(41), 0);
	log_ends(0, -EIO);
	assert_int_equal(a->err, -EIO);
	assert_int_equal(a->refused, 0);
	assert_int_equal(a->applied + a->applied_bytes, 0);
	assert_int_equal(receive(42), -EIO);
}

/* Either allocation of a record may fail: it is final, and no refusal of the record. */
static void a_record_without_memory_is_final(void **state)
{
	for (unsigned n = 1; n <= 2; n++) {
		(void)set_up(state);
		fail_at = n;
		assert_int_equal(receive(41), -ENOMEM);
		assert_non_null(strstr(a->why, "memory"));
		assert_int_equal(a->refused, 0);
		assert_int_equal(held, 0);
		assert_int_equal(receive(41), -ENOMEM);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_in_the_log_is_counted_and_nobody_sleeps),
		TEST(a_busy_log_is_waited_for),
		TEST(a_log_that_refuses_says_why),
		TEST(the_first_error_is_the_reason),
		TEST(a_record_without_memory_is_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
