// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/state.h"
#include "rt/check.h"
#include "rt/mem.h"

/* The durable facts of a group, and how they are replaced. */

const struct lfs_meta *lfs_meta(const struct lfs *lfs)
{
	return &lfs->meta;
}

const struct lfs_epoch *lfs_epoch_of(const struct lfs_meta *meta, uint64_t lsn)
{
	unsigned i = meta->nepochs - 1;

	while (i > 0 && meta->epochs[i].first_lsn > lsn)
		i--;
	return &meta->epochs[i];
}

static bool same_volumes(const struct lfs_meta *a, const struct lfs_meta *b)
{
	if (a->nvolumes != b->nvolumes)
		return false;
	for (unsigned i = 0; i < a->nvolumes; i++)
		if (a->volumes[i].size != b->volumes[i].size)
			return false;
	return true;
}

/* Other volumes need another map, which is made before anything is written. */
static int map_prepare(struct lfs *lfs, const struct lfs_meta *meta)
{
	int ret;

	if (same_volumes(&lfs->meta, meta))
		return 0;
	if (lfs->admitted_lsn)
		return -EINVAL;
	lfs->map_next = rt_zalloc(1, sizeof(*lfs->map_next));
	if (!lfs->map_next)
		return -ENOMEM;
	ret = lfs_map_init(lfs->map_next, &lfs->segs, meta, lfs->map_memory);
	if (ret) {
		rt_free(lfs->map_next);
		lfs->map_next = NULL;
	}
	return ret;
}

static void map_install(struct lfs *lfs)
{
	/* Nothing can be mapped yet: nothing was ever appended. */
	rt_assert(!lfs->admitted_lsn);
	lfs_map_release(&lfs->map);
	lfs->map = *lfs->map_next;
	rt_free(lfs->map_next);
	lfs->map_next = NULL;
}

static void meta_told(struct lfs *lfs, int res)
{
	struct lfs_set_meta *s = lfs->set_meta;

	if (lfs->map_next && !res) {
		map_install(lfs);
	} else if (lfs->map_next) {
		lfs_map_release(lfs->map_next);
		rt_free(lfs->map_next);
		lfs->map_next = NULL;
	}
	lfs->set_meta = NULL;
	lfs->set_meta_ended = false;
	s->done(s, res);
}

void lfs_meta_settle(struct lfs *lfs)
{
	if (lfs->set_meta_ended)
		meta_told(lfs, lfs->set_meta_res);
}

static void meta_written(struct lfs_super_req *req, int res)
{
	struct lfs *lfs = rt_container_of(req, struct lfs, set_meta_req);

	lfs->set_meta_ended = true;
	lfs->set_meta_res = res;
}

void lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s, const struct lfs_meta *meta)
{
	char why[LFS_WHY_MAX];

	rt_assert(!lfs->set_meta && !lfs->close && !lfs->opening);
	lfs->set_meta = s;
	lfs->set_meta_res = lfs_meta_check(meta, &lfs->geo, why);
	if (!lfs->set_meta_res)
		lfs->set_meta_res = map_prepare(lfs, meta);
	if (lfs->set_meta_res) {
		lfs->set_meta_ended = true;
		lfs_kick(lfs);
		return;
	}
	*lfs->set_meta_copy = *meta;
	lfs->set_meta_req = (struct lfs_super_req){
		.done = meta_written,
		.meta = lfs->set_meta_copy,
		.clear_flags = LFS_CLEAN,
	};
	lfs_super_request(lfs, &lfs->set_meta_req);
}
