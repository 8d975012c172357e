// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/follower.h"

#include <errno.h>

#include "replicator/group_private.h"
#include "rt/mem.h"

struct follower {
	struct group *group;
	struct lfs_log_reader *follow; /* owned */
	struct lfs_log_reader_next next;
	follower_fn *fn;
	void *owner;
	bool reading, dropped;
};

static void follower_done(struct lfs_log_reader_next *next, int res)
{
	struct follower *f = rt_container_of(next, struct follower, next);
	struct group *g = f->group;

	f->reading = false;
	g->pending.log_readers--;
	group_wake(g);
	if (f->dropped) {
		follower_free(f);
		return;
	}
	f->fn(f->owner, res, res == 0 ? &next->entry : NULL);
}

int follower_new(struct group *g, uint64_t from, follower_fn *fn, void *owner,
		 struct follower **ret)
{
	struct follower *f = rt_zalloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = lfs_log_reader_new(g->lfs, from, &f->follow);
	if (err < 0) {
		rt_free(f);
		return err;
	}
	f->group = g;
	f->fn = fn;
	f->owner = owner;
	f->next.done = follower_done;
	*ret = f;
	return 0;
}

void follower_next(struct follower *f)
{
	rt_assert(!f->reading);
	f->reading = true;
	f->group->pending.log_readers++;
	lfs_log_reader_next(f->follow, &f->next);
}

void follower_free(struct follower *f)
{
	if (!f)
		return;
	if (f->reading) {
		f->dropped = true;
		return;
	}
	lfs_log_reader_free(f->follow);
	rt_free(f);
}
