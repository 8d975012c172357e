// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>

#include "lfs/open_store.h"
#include "lfs/why.h"
#include "rt/check.h"
#include "rt/mem.h"

/* Figures, watermarks, and the recount that tests ask for. */

struct lfs_lsn lfs_lsn(const struct lfs *lfs)
{
	return (struct lfs_lsn){
		.admitted = lfs->admission.lsn,
		.written = lfs->head.applied.lsn,
		.durable = lfs->flusher.durable_lsn,
	};
}

void lfs_position(const struct lfs *lfs, struct lfs_position *ret)
{
	const struct lfs_epoch *epoch = lfs_epoch_of(&lfs->meta, lfs->admission.lsn);

	ret->lsn = lfs->admission.lsn;
	ret->hash = lfs->admission.hash;
	ret->epoch = epoch->number;
	ret->epoch_id = epoch->id;
}

void lfs_stats(const struct lfs *lfs, struct lfs_stats *ret)
{
	uint64_t used = lfs->segs.n - lfs->segs.free;

	*ret = (struct lfs_stats){
		.store_bytes = lfs->geo.store_size,
		.used_bytes = used * lfs->geo.segment_size,
		.free_bytes = lfs_append_room(lfs) * LFS_BLOCK,
		.has_room = lfs_append_has_room(lfs),
		.has_map_memory = lfs_append_has_map_memory(lfs),
		.segments_free = lfs->segs.free,
		.client_bytes = lfs->figures.client_bytes,
		.disk_bytes = lfs->figures.disk_bytes,
		.records = lfs->figures.records,
		.flushes = lfs->figures.flushes,
		.checksum_errors = lfs->figures.checksum_errors,
		.read_errors = lfs->figures.read_errors,
		.checkpoint_age_ns = -1,
	};
	if (!rt_time_is_never(lfs->figures.checkpoint_at))
		ret->checkpoint_age_ns =
			rt_time_since(rt_now(lfs->loop), lfs->figures.checkpoint_at);
}

uint64_t lfs_mapped(const struct lfs *lfs, uint32_t volume)
{
	rt_assert(volume < lfs->map.nvolumes);
	return lfs->map.v[volume].mapped;
}

/* ---- recount --------------------------------------------------------------------------------- */

static int figures_count_pba(const struct lfs *lfs, uint64_t pba, uint32_t *live,
			     char *why)
{
	if (!lfs_segments_has_data(&lfs->segs, pba)) {
		lfs_say(why,
			"the map refers to block %llu, which is in no segment in use",
			(unsigned long long)pba);
		return -EUCLEAN;
	}
	live[lfs_segments_of(&lfs->segs, (uint32_t)pba)]++;
	return 0;
}

static int figures_count_leaf(const struct lfs *lfs, const struct lfs_leaf *leaf,
			      uint32_t *live, uint64_t *mapped, char *why)
{
	unsigned used = 0;
	int ret = 0;

	if (leaf->pba)
		ret = figures_count_pba(lfs, leaf->pba, live, why);
	for (unsigned i = 0; leaf->entries && i < LFS_LEAF_BLOCKS && !ret; i++) {
		if (!(uint32_t)leaf->entries[i])
			continue;
		used++;
		ret = figures_count_pba(lfs, (uint32_t)leaf->entries[i], live, why);
	}
	if (ret)
		return ret;
	if (used != leaf->used || (!used && leaf->entries && !leaf->pins)) {
		lfs_say(why, "a leaf counts %u mapped blocks and has %u", leaf->used,
			used);
		return -EUCLEAN;
	}
	*mapped += used;
	return 0;
}

static int figures_count_map(const struct lfs *lfs, uint32_t *live, char *why)
{
	uint64_t stale = 0;
	int ret = 0;

	for (unsigned i = 0; i < lfs->map.nvolumes; i++) {
		const struct lfs_map_volume *v = &lfs->map.v[i];
		uint64_t mapped = 0;

		for (uint32_t n = 0; n < v->nleaves && !ret; n++) {
			ret = figures_count_leaf(lfs, &v->leaves[n], live, &mapped, why);
			stale += v->leaves[n].dirty && v->leaves[n].used;
		}
		if (ret)
			return ret;
		if (mapped != v->mapped) {
			lfs_say(why, "volume %u counts %llu mapped blocks and has %llu",
				i, (unsigned long long)v->mapped,
				(unsigned long long)mapped);
			return -EUCLEAN;
		}
	}
	if (stale == lfs->map.stale)
		return 0;
	lfs_say(why, "the map counts %llu stale leaves and has %llu",
		(unsigned long long)lfs->map.stale, (unsigned long long)stale);
	return -EUCLEAN;
}

static int figures_count_segments(const struct lfs *lfs, const uint32_t *live, char *why)
{
	uint32_t unused = 0;

	for (uint32_t i = 0; i < lfs->segs.n; i++) {
		const struct lfs_segment *s = &lfs->segs.s[i];

		unused += !lfs_segment_in_use(s);
		if (s->live == live[i] && (lfs_segment_in_use(s) || !live[i]) &&
		    s->end <= lfs->segs.blocks)
			continue;
		lfs_say(why, "segment %u counts %u live blocks and has %u, end %u", i,
			s->live, live[i], s->end);
		return -EUCLEAN;
	}
	if (unused == lfs->segs.free)
		return 0;
	lfs_say(why, "%u segments count as free and %u are", lfs->segs.free, unused);
	return -EUCLEAN;
}

int lfs_recount(const struct lfs *lfs, char why[LFS_WHY_MAX])
{
	uint32_t *live = rt_zalloc(lfs->segs.n, sizeof(*live));
	int ret;

	if (!live) {
		lfs_say(why, "no memory for a recount");
		return -ENOMEM;
	}
	ret = figures_count_map(lfs, live, why);
	if (!ret)
		ret = figures_count_segments(lfs, live, why);
	rt_free(live);
	return ret;
}
