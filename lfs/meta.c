// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/check.h"
#include "rt/mem.h"

/* The durable facts of a group, and how they are replaced. */

const struct lfs_meta *lfs_meta(const struct lfs *lfs)
{
	return &lfs->meta;
}

const uint8_t *lfs_store_id(const struct lfs *lfs)
{
	return lfs->superblock.current.store;
}

const struct lfs_epoch *lfs_epoch_of(const struct lfs_meta *meta, uint64_t lsn)
{
	unsigned i = meta->nepochs - 1;

	while (i > 0 && meta->epochs[i].first_lsn > lsn)
		i--;
	return &meta->epochs[i];
}

/* Do both have the same map? Its hashes are of the group and the volumes. */
static bool meta_same_volumes(const struct lfs_meta *a, const struct lfs_meta *b)
{
	if (a->nvolumes != b->nvolumes || memcmp(a->group, b->group, LFS_ID_LEN) != 0)
		return false;
	for (unsigned i = 0; i < a->nvolumes; i++)
		if (a->volumes[i].size != b->volumes[i].size ||
		    a->volumes[i].id != b->volumes[i].id)
			return false;
	return true;
}

/* Other volumes need another map, which is made before anything is written. */
static int meta_map_prepare(struct lfs *lfs, const struct lfs_meta *meta)
{
	int ret;

	if (meta_same_volumes(&lfs->meta, meta))
		return 0;
	if (lfs->admission.lsn)
		return -EINVAL;
	lfs->meta_change.map = rt_zalloc(1, sizeof(*lfs->meta_change.map));
	if (!lfs->meta_change.map)
		return -ENOMEM;
	ret = lfs_map_init(lfs->meta_change.map, &lfs->segs, meta, lfs->map_memory);
	if (ret) {
		rt_free(lfs->meta_change.map);
		lfs->meta_change.map = NULL;
	}
	return ret;
}

static void meta_map_install(struct lfs *lfs)
{
	/* Nothing can be mapped yet: nothing was ever appended. */
	rt_assert(!lfs->admission.lsn);
	lfs_map_release(&lfs->map);
	lfs_map_move(&lfs->map, lfs->meta_change.map);
	rt_free(lfs->meta_change.map);
	lfs->meta_change.map = NULL;
}

/* A change that is refused ends at once, without WRITING. */
static void meta_set_state(struct lfs_meta_change *m, enum lfs_meta_state state)
{
	rt_assert(state == LFS_META_IDLE    ? m->state == LFS_META_ENDED
		  : state == LFS_META_ENDED ? m->state != LFS_META_ENDED
					    : m->state == LFS_META_IDLE);
	m->state = state;
}

static void meta_end(struct lfs *lfs)
{
	struct lfs_meta_change *m = &lfs->meta_change;
	struct lfs_set_meta *s = m->op;

	if (m->map && !m->res) {
		meta_map_install(lfs);
	} else if (m->map) {
		lfs_map_release(m->map);
		rt_free(m->map);
		m->map = NULL;
	}
	m->op = NULL;
	meta_set_state(m, LFS_META_IDLE);
	s->done(s, m->res);
}

void lfs_meta_advance(struct lfs *lfs)
{
	if (lfs->meta_change.state == LFS_META_ENDED)
		meta_end(lfs);
}

static void meta_written(struct lfs_superblock_request *req, int res)
{
	struct lfs_meta_change *m = rt_container_of(req, struct lfs_meta_change, req);

	meta_set_state(m, LFS_META_ENDED);
	m->res = res;
}

void lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s, const struct lfs_meta *meta)
{
	struct lfs_meta_change *m = &lfs->meta_change;
	char why[LFS_WHY_MAX];

	rt_assert(m->state == LFS_META_IDLE && !lfs_closing(&lfs->closing) &&
		  !lfs->opening);
	m->op = s;
	m->res = lfs_meta_check(meta, &lfs->geo, why);
	if (!m->res)
		m->res = meta_map_prepare(lfs, meta);
	if (m->res) {
		meta_set_state(m, LFS_META_ENDED);
		lfs_schedule(lfs);
		return;
	}
	meta_set_state(m, LFS_META_WRITING);
	*m->copy = *meta;
	m->req = (struct lfs_superblock_request){
		.done = meta_written,
		.meta = m->copy,
		.clear_flags = LFS_CLEAN,
	};
	lfs_superblock_submit(lfs, &m->req);
}
