// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/held_flush.h"
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/request.h"
#include "rt/check.h"

/*
 * What a request waits for is the promise of its volume's mode; and a flush covers all that
 * was replied to before it: by this start of the daemon or by an earlier one.
 */

/* ---- what it waits for -------------------------------------------------------------------------- */

struct row {
	const char *name;
	enum group_request_kind kind;
	unsigned flags;
	enum group_mode sync; /* of the volume */
	enum group_hold hold;
	bool fua_remote, no_peer;
	enum group_disconnect on_disconnect; /* of the group */
	int own;			     /* of the volume itself; -1: the group's */
	struct gate_need need;
};

static const struct row rows[] = {
	{ "local", GROUP_WRITE, 0, GROUP_LOCAL, .own = -1,
	  .need = { GROUP_LOCAL, false, false } },
	{ "network", GROUP_WRITE, 0, GROUP_NETWORK, .own = -1,
	  .need = { GROUP_NETWORK, false, true } },
	{ "remote is not lowered", GROUP_WRITE, 0, GROUP_REMOTE, .own = -1,
	  .need = { GROUP_REMOTE, false, false } },
	{ "remote is, where its volume says so", GROUP_WRITE, 0, GROUP_REMOTE,
	  .own = GROUP_CONTINUE, .need = { GROUP_REMOTE, false, true } },
	{ "network of a group that holds", GROUP_WRITE, 0, GROUP_NETWORK,
	  .on_disconnect = GROUP_STOP, .own = -1,
	  .need = { GROUP_NETWORK, false, false } },
	{ "network of a volume that holds", GROUP_WRITE, 0, GROUP_NETWORK,
	  .own = GROUP_STOP, .need = { GROUP_NETWORK, false, false } },
	{ "fua", GROUP_WRITE, GROUP_FUA, GROUP_NETWORK, .own = -1,
	  .need = { GROUP_NETWORK, true, true } },
	{ "trim with fua", GROUP_TRIM, GROUP_FUA, GROUP_REMOTE, .own = -1,
	  .need = { GROUP_REMOTE, true, false } },
	{ "flush", GROUP_FLUSH, 0, GROUP_REMOTE, .own = -1,
	  .need = { GROUP_REMOTE, true, false } },
	{ "hold = flush: a write is let go", GROUP_WRITE, GROUP_CLIENT_FLUSHES,
	  GROUP_REMOTE, GROUP_HOLD_FLUSH, .own = -1,
	  .need = { GROUP_LOCAL, false, false } },
	{ "hold = flush: that of a client which never flushed is not", GROUP_WRITE, 0,
	  GROUP_REMOTE, GROUP_HOLD_FLUSH, .own = -1,
	  .need = { GROUP_REMOTE, false, false } },
	{ "no hold, remote: as hold = flush", GROUP_ZERO, GROUP_CLIENT_FLUSHES,
	  GROUP_REMOTE, .own = -1, .need = { GROUP_LOCAL, false, false } },
	{ "no hold, network: as hold = write", GROUP_ZERO, GROUP_CLIENT_FLUSHES,
	  GROUP_NETWORK, .own = -1, .need = { GROUP_NETWORK, false, true } },
	{ "hold = write", GROUP_WRITE, GROUP_CLIENT_FLUSHES, GROUP_REMOTE,
	  GROUP_HOLD_WRITE, .own = -1, .need = { GROUP_REMOTE, false, false } },
	{ "hold = flush: fua is not", GROUP_WRITE, GROUP_FUA | GROUP_CLIENT_FLUSHES,
	  GROUP_REMOTE, GROUP_HOLD_FLUSH, .own = -1,
	  .need = { GROUP_REMOTE, true, false } },
	{ "hold = flush: a flush is not", GROUP_FLUSH, GROUP_CLIENT_FLUSHES,
	  GROUP_NETWORK, GROUP_HOLD_FLUSH, .own = -1,
	  .need = { GROUP_NETWORK, true, true } },
	{ "fua = remote raises fua", GROUP_WRITE, GROUP_FUA, GROUP_NETWORK,
	  .fua_remote = true, .own = -1, .need = { GROUP_REMOTE, true, false } },
	{ "fua = remote raises flush", GROUP_FLUSH, 0, GROUP_LOCAL, .fua_remote = true,
	  .own = -1, .need = { GROUP_REMOTE, true, false } },
	{ "fua = remote raises no write", GROUP_WRITE, 0, GROUP_NETWORK,
	  .fua_remote = true, .own = -1, .need = { GROUP_NETWORK, false, true } },
	{ "without a peer there is local only", GROUP_FLUSH, 0, GROUP_REMOTE,
	  .fua_remote = true, .no_peer = true, .own = -1,
	  .need = { GROUP_LOCAL, true, false } },
};

static void each_row_of_what_is_waited_for(void **state)
{
	struct group *g = calloc(1, sizeof(*g));
	struct group_volume *v = &g->volumes[0];

	assert_non_null(g);
	v->group = g;
	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct group_request r = { .kind = row->kind,
					   .flags = row->flags,
					   .volume = v };
		struct gate_need need;

		g->config.has_peer = !row->no_peer;
		g->config.hold = row->hold;
		g->config.fua_remote = row->fua_remote;
		g->config.on_disconnect = row->on_disconnect;
		v->sync = row->sync;
		v->has_policy = row->own >= 0;
		v->policy =
			row->own >= 0 ? (enum group_disconnect)row->own : GROUP_CONTINUE;
		request_need(&r, &need);
		if (need.mode != row->need.mode || need.durable != row->need.durable ||
		    need.lowerable != row->need.lowerable)
			fail_msg("%s: %s, durable %d, lowerable %d", row->name,
				 group_mode_name(need.mode), need.durable,
				 need.lowerable);
	}
	free(g);
}

/* ---- what a flush covers ------------------------------------------------------------------------- */

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static void flush_covers(uint64_t lsn)
{
	struct group_request *r = request_new(GROUP_FLUSH);

	request_ended = NULL;
	group_submit(r);
	assert_int_equal(gate_wants_durable(&site->group->gate), lsn);
	SITE_UNTIL(site, request_ended == r);
	assert_int_equal(request_res, 0);
	assert_true(lfs_lsn(site->group->lfs).durable >= lsn);
	request_free(r);
}

static void a_flush_covers_what_was_replied_to(void **state)
{
	/* An earlier process may have, to a client that knows nothing of its end. */
	flush_covers(SITE_LSNS);
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	flush_covers(SITE_LSNS + 1);
	assert_int_equal(request_once(GROUP_TRIM, 0), 0);
	assert_int_equal(request_once(GROUP_READ, 0), 0); /* which has no LSN */
	flush_covers(SITE_LSNS + 2);
}

/* Replies come in another order than LSNs where one waits for the disk. */
static void a_flush_covers_the_later_write_that_was_replied_to_first(void **state)
{
	struct group_request *durable = request_new(GROUP_WRITE),
			     *plain = request_new(GROUP_WRITE);

	durable->flags = GROUP_FUA;
	hold_flushes();
	request_ended = NULL;
	group_submit(durable);
	group_submit(plain);
	SITE_UNTIL(site, request_ended == plain && held_flush);
	assert_int_equal(request_res, 0);
	hold_flush = false;
	__real_lfs_flush(site->group->lfs, held_flush);
	held_flush = NULL;
	SITE_UNTIL(site, request_ended == durable);
	assert_int_equal(request_res, 0);
	flush_covers(SITE_LSNS + 2);
	request_free(durable);
	request_free(plain);
}

/* ---- which are none ------------------------------------------------------------------------------ */

#define SIZE (1u << 20) /* of the volume */

static const struct judged {
	enum group_request_kind kind;
	uint64_t offset;
	uint32_t len;
	int res;
} judged[] = {
	{ GROUP_READ, 0, 0, -EINVAL },
	{ GROUP_WRITE, 0, 0, -EINVAL },
	{ GROUP_TRIM, 0, 0, -EINVAL },
	{ GROUP_ZERO, 0, 0, -EINVAL },
	{ GROUP_READ, SIZE, 1, -EINVAL },
	{ GROUP_WRITE, SIZE, 1, -ENOSPC },
	{ GROUP_TRIM, SIZE - 1, 2, -EINVAL },
	{ GROUP_ZERO, SIZE - 1, 2, -ENOSPC },
	{ GROUP_READ, UINT64_MAX, 2, -EINVAL },
	{ GROUP_WRITE, UINT64_MAX, 2, -ENOSPC },
	{ GROUP_ZERO, 1, UINT32_MAX, -ENOSPC },
	{ GROUP_READ, SIZE - 1, 1, 0 },
	{ GROUP_WRITE, SIZE - 1, 1, 0 },
	{ GROUP_ZERO, SIZE - GROUP_BLOCK, GROUP_BLOCK, 0 },
	{ GROUP_TRIM, SIZE - GROUP_BLOCK, GROUP_BLOCK, 0 },
};

static int submitted(enum group_request_kind kind, uint64_t offset, uint32_t len)
{
	struct group_request *r = request_new(kind);
	int res;

	r->offset = offset;
	r->len = len;
	res = request_run(r);
	request_free(r);
	return res;
}

static void each_request_is_judged(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(judged); i++) {
		const struct judged *j = &judged[i];
		uint64_t before = lfs_lsn(site->group->lfs).admitted;
		int res = submitted(j->kind, j->offset, j->len);

		if (res != j->res)
			fail_msg("row %zu: %d", i, res);
		assert_int_equal(lfs_lsn(site->group->lfs).admitted,
				 before + (res == 0 && j->kind != GROUP_READ));
	}
	assert_int_equal(site->group->pending.requests, 0);
	/* A failed log still gives what can be read. */
	group_log_failed(site->group, -EIO, "its disk is gone");
	assert_int_equal(request_once(GROUP_WRITE, 0), -EIO);
	assert_int_equal(request_once(GROUP_FLUSH, 0), -EIO);
	assert_int_equal(request_once(GROUP_READ, 0), 0);
}

static void must_wait(struct group_config *config)
{
	config->fua_remote = true;
}

static int asking_up(void **state)
{
	site_tweak = must_wait;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static int asking_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

/* It may lack what only its mirror has: nothing is read of it yet. */
static void before_it_serves_it_answers_nothing(void **state)
{
	static const enum group_request_kind kinds[] = { GROUP_READ, GROUP_WRITE,
							 GROUP_TRIM, GROUP_ZERO,
							 GROUP_FLUSH };

	assert_false(group_serving(site->group));
	for (unsigned i = 0; i < RT_ARRAY_LEN(kinds); i++)
		assert_int_equal(request_once(kinds[i], 0), -EAGAIN);
}

/* ---- whose the buffer is ------------------------------------------------------------------------- */

static unsigned releases;

static void memory_back(struct group_request *r)
{
	releases++;
}

/* Once, where memory is short, and with all of the data in the log. */
static void a_buffer_is_given_back_only_where_memory_is_short(void **state)
{
	struct group *g = site->group;
	struct group_request *r = request_new(GROUP_WRITE);

	releases = 0;
	r->flags = GROUP_FUA;
	r->released = memory_back;
	hold_flushes();
	request_ended = NULL;
	group_submit(r);
	SITE_UNTIL(site, held_flush);
	group_set_memory_short(g, false);
	assert_int_equal(releases, 0);
	group_set_memory_short(g, true);
	group_set_memory_short(g, true);
	assert_int_equal(releases, 1);
	group_set_memory_short(g, false);
	hold_flush = false;
	__real_lfs_flush(g->lfs, held_flush);
	held_flush = NULL;
	SITE_UNTIL(site, request_ended == r);
	assert_int_equal(request_res, 0);
	assert_int_equal(releases, 1);
	request_free(r);
}

static void persist(uint64_t lsn)
{
	struct gate_marks marks = site->group->gate.marks;

	marks.persisted = marks.received = marks.onwire = lsn;
	gate_set_marks(&site->group->gate, &marks);
}

/* The new primary is the truth from now on; that it is durable here helps nobody. */
static void fenced_a_flush_tells_what_the_new_primary_lacks(void **state)
{
	struct group *g = site->group;

	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	flush_covers(SITE_LSNS + 1);
	persist(SITE_LSNS);
	group_set_standing(g, GROUP_STANDING_FENCED);
	assert_int_equal(request_once(GROUP_FLUSH, 0), -EIO);
	persist(SITE_LSNS + 1);
	assert_int_equal(request_once(GROUP_FLUSH, 0), 0);
	assert_int_equal(request_once(GROUP_WRITE, 0), -EPERM);
	assert_int_equal(request_once(GROUP_READ, 0), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, alone_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_what_is_waited_for),
		TEST(a_flush_covers_what_was_replied_to),
		TEST(a_flush_covers_the_later_write_that_was_replied_to_first),
		TEST(fenced_a_flush_tells_what_the_new_primary_lacks),
		TEST(each_request_is_judged),
		TEST(a_buffer_is_given_back_only_where_memory_is_short),
		cmocka_unit_test_setup_teardown(before_it_serves_it_answers_nothing,
						asking_up, asking_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
