/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_HELD_CHANGE_H
#define TESTS_UNIT_REPLICATOR_HELD_CHANGE_H

/*
 * A change of the superblock that the test begins when it likes, or lets fail; linked with
 * --wrap=lfs_set_meta.
 */
#include <stdbool.h>

#include "lfs/lfs.h"
#include "tests/unit/replicator/site.h"

/* The linker brings calls of lfs_set_meta() to __wrap_..., the real one is __real_... */
void __real_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta);
void __wrap_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta);

static bool hold_change;
static unsigned changes;		  /* asked for so far */
static struct lfs_set_meta *held_change;  /* asked for, and not begun */
static const struct lfs_meta *held_facts; /* what it is to make durable */
static int held_res;
static struct rt_op held_op;

void __wrap_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta)
{
	changes++;
	if (!hold_change) {
		__real_lfs_set_meta(lfs, s, meta);
		return;
	}
	held_change = s;
	held_facts = meta;
}

static inline void held_change_failed(struct rt_op *op, int res)
{
	struct lfs_set_meta *set = held_change;

	(void)op;
	(void)res; /* rt_defer has no result of its own */
	held_change = NULL;
	set->done(set, held_res);
}

/* Let it begin; or fail it, as a completion: never from inside the call. */
static inline void end_change(int res)
{
	struct lfs_set_meta *set = held_change;

	assert_non_null(set);
	hold_change = false;
	if (res == 0) {
		held_change = NULL;
		__real_lfs_set_meta(site->group->lfs, set, held_facts);
		return;
	}
	held_res = res;
	held_op.done = held_change_failed;
	rt_defer(site->loop, &held_op);
}

#endif
