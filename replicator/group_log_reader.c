// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_log_reader.h"

#include <errno.h>

#include "replicator/group_private.h"
#include "rt/mem.h"

struct group_log_reader {
	struct group *group;
	struct lfs_log_reader *follow; /* owned */
	struct lfs_log_reader_next next;
	group_log_reader_fn *fn;
	void *owner;
	bool reading, dropped;
};

static void group_log_reader_done(struct lfs_log_reader_next *next, int res)
{
	struct group_log_reader *f = rt_container_of(next, struct group_log_reader, next);
	struct group *g = f->group;

	f->reading = false;
	g->pending.log_readers--;
	group_wake(g);
	if (f->dropped) {
		group_log_reader_free(f);
		return;
	}
	f->fn(f->owner, res, res == 0 ? &next->entry : NULL);
}

int group_log_reader_new(struct group *g, uint64_t from, group_log_reader_fn *fn,
			 void *owner, struct group_log_reader **ret)
{
	struct group_log_reader *f = rt_zalloc(1, sizeof(*f));
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
	f->next.done = group_log_reader_done;
	*ret = f;
	return 0;
}

void group_log_reader_next(struct group_log_reader *f)
{
	rt_assert(!f->reading);
	f->reading = true;
	f->group->pending.log_readers++;
	lfs_log_reader_next(f->follow, &f->next);
}

void group_log_reader_free(struct group_log_reader *f)
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
