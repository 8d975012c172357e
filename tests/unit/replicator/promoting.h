/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_PROMOTING_H
#define TESTS_UNIT_REPLICATOR_PROMOTING_H

/* A mirror that is promoted, and who writes to it then. Included once per test program. */
#include "tests/unit/replicator/held_change.h"
#include "tests/unit/replicator/talk.h"

static int promoted_res;
static unsigned promoted;

static inline void promote_over(struct group_verb *v, int res)
{
	promoted_res = res;
	promoted++;
	rt_loop_stop(site->loop);
}

static inline int promote(struct group_promote *p)
{
	p->verb.done = promote_over;
	promoted = 0;
	group_promote(site->group, p);
	SITE_UNTIL(site, promoted == 1);
	return promoted_res;
}

static inline void network(struct group_config *config)
{
	config->store_size = 64u << 20;
	config->sync = GROUP_NETWORK;
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
}

static inline int mirror_up(void **state)
{
	site_tweak = network;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static inline int tear_down(void **state)
{
	if (held_change)
		end_change(0);
	hold_change = false;
	site_tweak = NULL;
	return site_tear_down(state);
}

static inline struct group_status *status(void)
{
	static struct group_status now;

	group_status(site->group, &now);
	return &now;
}

static inline void is_an_epoch_of_its_own(const struct lfs_meta *before,
					  uint64_t last_lsn)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	const struct lfs_epoch *now = &meta->epochs[meta->nepochs - 1];

	assert_int_equal(meta->role, LFS_PRIMARY);
	assert_int_equal(meta->nepochs, before->nepochs + 1);
	assert_int_equal(now->number, before->epochs[before->nepochs - 1].number + 1);
	assert_true(now->id != before->epochs[before->nepochs - 1].id);
	assert_int_equal(now->first_lsn, last_lsn + 1);
	assert_true(now->lossy == now->id);
}

static inline void becomes_primary(bool hold)
{
	struct group *g = site->group;
	struct lfs_meta *before = malloc(sizeof(*before));
	struct group_promote p = { .hold = hold };
	uint32_t flags;

	assert_non_null(before);
	*before = *lfs_meta(g->lfs);
	assert_int_equal(promote(&p), 0);
	assert_int_equal(p.recovery.lsn, SITE_LSNS);
	is_an_epoch_of_its_own(before, SITE_LSNS);
	free(before);
	flags = lfs_meta(g->lfs)->flags;
	assert_true(flags & LFS_ALONE);
	assert_int_equal(!!(flags & LFS_HOLD), hold);
	assert_int_equal(flags & (LFS_FENCED | LFS_SEALED), 0);
	assert_int_equal(status()->role, GROUP_PRIMARY);
	assert_true(status()->alone);
	assert_true(group_serving(g));
	assert_false(group_volume_read_only(group_volume_at(g, 0)));
}

static struct group_request *written;
static int write_res;

static inline void write_over(struct group_request *r, int res)
{
	written = r;
	write_res = res;
}

static inline struct group_request *write_begin(void)
{
	struct group_request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*r = (struct group_request){ .kind = GROUP_WRITE,
				     .volume = group_volume_at(site->group, 0),
				     .len = GROUP_BLOCK,
				     .buf = rt_alloc_blocks(GROUP_BLOCK),
				     .done = write_over };
	assert_non_null(r->buf);
	memset(r->buf, 0x77, GROUP_BLOCK);
	written = NULL;
	group_submit(r);
	return r;
}

static inline void write_end(struct group_request *r)
{
	rt_free(r->buf);
	free(r);
}

static inline void write_one(void)
{
	struct group_request *r = write_begin();

	SITE_UNTIL(site, written == r);
	assert_int_equal(write_res, 0);
	write_end(r);
}

#endif
