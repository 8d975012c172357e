// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/promoting.h"

#include <errno.h>

#include "rt/check.h"

/*
 * Who has promoted the wrong site is a mirror again, as before: while nothing is lost by
 * that, durably, and with a word for the primary that it may have fenced.
 */

static int undo(struct group_promote *p)
{
	*p = (struct group_promote){ .undo = true };
	return promote(p);
}

static void undone_it_is_the_mirror_that_it_was(void **state)
{
	struct group *g = site->group;
	struct lfs_meta *before = malloc(sizeof(*before));
	struct group_promote p = { 0 };
	const struct lfs_meta *meta;
	uint64_t epoch;

	assert_non_null(before);
	*before = *lfs_meta(g->lfs);
	assert_int_equal(undo(&p), -EALREADY);
	becomes_primary(false);
	epoch = lfs_meta(g->lfs)->epochs[lfs_meta(g->lfs)->nepochs - 1].id;
	p = (struct group_promote){ .undo = true, .dry_run = true };
	assert_int_equal(promote(&p), 0);
	assert_int_equal(g->role, GROUP_PRIMARY);
	assert_int_equal(undo(&p), 0);
	assert_non_null(strstr(p.verb.text, "is a mirror again"));
	meta = lfs_meta(g->lfs);
	assert_int_equal(g->role, GROUP_MIRROR);
	assert_int_equal(meta->role, LFS_MIRROR);
	assert_int_equal(meta->flags & (LFS_ALONE | LFS_HOLD | LFS_FENCED), 0);
	assert_int_equal(meta->nepochs, before->nepochs);
	assert_memory_equal(meta->epochs, before->epochs,
			    meta->nepochs * sizeof(meta->epochs[0]));
	assert_true(meta->promotion.undone == epoch);
	assert_int_equal(group_volume_at(g, 0)->size, site->config.volumes[0].size);
	assert_true(group_volume_read_only(group_volume_at(g, 0)));
	SITE_UNTIL(site, status()->state == GROUP_LISTENING);
	assert_false(status()->alone);
	/* It follows its primary, and says what it has undone. */
	converse("HS");
	assert_int_equal(site->hello.role, LFS_MIRROR);
	assert_true(site->hello.undone == epoch);
	SITE_UNTIL(site, session_streaming(g->session));
	free(before);
	/* It may be promoted again. */
	conn_close(site->conn);
	site->conn = NULL;
	p = (struct group_promote){ .force = true };
	assert_int_equal(promote(&p), 0);
	assert_int_equal(g->role, GROUP_PRIMARY);
}

/* After a restart, too; but not once a write was taken, though it failed its client. */
static void what_was_written_is_not_undone(void **state)
{
	struct group_promote p;

	becomes_primary(false);
	site_stop();
	site_open();
	SITE_UNTIL(site, group_serving(site->group));
	assert_int_equal(undo(&p), 0);
	SITE_UNTIL(site, status()->state == GROUP_LISTENING);
	site_stop();
	site_open();
	assert_int_equal(site->group->role, GROUP_MIRROR);
	becomes_primary(false);
	write_one();
	assert_int_equal(undo(&p), -EPERM);
	assert_non_null(strstr(p.verb.text, "writes were taken here"));
	assert_int_equal(site->group->role, GROUP_PRIMARY);
	write_one();
}

/* Nothing is admitted while it is made durable, and what cannot be made durable is not so. */
static void an_undoing_that_is_not_durable_is_none(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { .undo = true, .verb.done = promote_over };
	struct group_request *r;

	becomes_primary(false);
	promoted = 0;
	hold_change = true;
	group_promote(g, &p);
	SITE_UNTIL(site, held_change);
	r = write_begin();
	SITE_UNTIL(site, written == r);
	assert_int_equal(write_res, -EPERM);
	write_end(r);
	end_change(-ENOMEM);
	SITE_UNTIL(site, promoted == 1);
	assert_int_equal(promoted_res, -ENOMEM);
	assert_int_equal(g->role, GROUP_PRIMARY);
	write_one();
}

/* ---- the primary that was fenced ---------------------------------------------------------------- */

static int primary_up(void **state)
{
	site_tweak = network;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static uint64_t says_undone;

static void of_the_mirror(struct message_hello *m)
{
	m->undone = says_undone;
	m->meta.nepochs = 1; /* no START has named another one to it */
}

/* Of a store of its own: what 'K' says has begun the epoch 0x6709. */
static void by_the_peer(struct message_hello *m)
{
	memset(m->meta.epochs[m->meta.nepochs - 1].store, SITE_PEER_STORE, LFS_ID_LEN);
}

static void is_fenced_by_the_peer(void)
{
	meet();
	say_first();
	say_hello_but('K', by_the_peer);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(status()->state, GROUP_FENCED);
	assert_true(lfs_meta(site->group->lfs)->promotion.fence == 0x6709);
}

static void the_mirror_says(uint64_t undone)
{
	says_undone = undone;
	meet();
	say_first();
	say_hello_but('M', of_the_mirror);
	SITE_UNTIL(site, site->closed);
}

static void a_fence_ends_when_the_mirror_has_undone_it(void **state)
{
	uint64_t before = status()->epoch_id;

	is_fenced_by_the_peer();
	the_mirror_says(0);
	assert_int_equal(status()->state, GROUP_FENCED);
	assert_string_equal(site->refused, "this site is fenced: it has been superseded");
	the_mirror_says(0x6708);
	assert_int_equal(status()->state, GROUP_FENCED);
	the_mirror_says(0x6709);
	assert_int_equal(lfs_meta(site->group->lfs)->flags & LFS_FENCED, 0);
	assert_true(group_volume_read_only(group_volume_at(site->group, 0)));
	/* It opens: asks its mirror, begins an epoch, and only then takes writes. */
	meet();
	assert_true(site->hello.flags & HELLO_STARTING);
	assert_true(site->hello.next_id != 0);
	say_first();
	say_hello_but('M', of_the_mirror);
	SITE_UNTIL(site, !group_volume_read_only(group_volume_at(site->group, 0)));
	assert_true(status()->epoch_id != before);
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	assert_true(status()->state != GROUP_FENCED);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(undone_it_is_the_mirror_that_it_was, mirror_up),
		TEST(what_was_written_is_not_undone, mirror_up),
		TEST(an_undoing_that_is_not_durable_is_none, mirror_up),
		TEST(a_fence_ends_when_the_mirror_has_undone_it, primary_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
