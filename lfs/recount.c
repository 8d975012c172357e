// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/recount.h"

#include <errno.h>

#include "lfs/map.h"
#include "lfs/segment.h"
#include "lfs/why.h"
#include "rt/mem.h"

static int recount_pba(const struct lfs_segments *segs, uint64_t pba, uint32_t *live,
		       char *why)
{
	if (!lfs_segments_has_data(segs, pba)) {
		lfs_say(why,
			"the map refers to block %llu, which is in no segment in use",
			(unsigned long long)pba);
		return -EUCLEAN;
	}
	live[lfs_segments_of(segs, (uint32_t)pba)]++;
	return 0;
}

static int recount_leaf(const struct lfs_segments *segs, const struct lfs_leaf *leaf,
			uint32_t *live, uint64_t *mapped, char *why)
{
	unsigned used = 0;
	int ret = 0;

	if (leaf->pba)
		ret = recount_pba(segs, leaf->pba, live, why);
	for (unsigned i = 0; leaf->entries && i < LFS_LEAF_BLOCKS && !ret; i++) {
		if (!(uint32_t)leaf->entries[i])
			continue;
		used++;
		ret = recount_pba(segs, (uint32_t)leaf->entries[i], live, why);
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

static int recount_map(const struct lfs_map *map, const struct lfs_segments *segs,
		       uint32_t *live, char *why)
{
	uint64_t stale = 0;
	int ret = 0;

	for (unsigned i = 0; i < map->nvolumes; i++) {
		const struct lfs_map_volume *v = &map->v[i];
		uint64_t mapped = 0;

		for (uint32_t n = 0; n < v->nleaves && !ret; n++) {
			ret = recount_leaf(segs, &v->leaves[n], live, &mapped, why);
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
	if (stale == map->stale)
		return 0;
	lfs_say(why, "the map counts %llu stale leaves and has %llu",
		(unsigned long long)map->stale, (unsigned long long)stale);
	return -EUCLEAN;
}

static int recount_segments(const struct lfs_segments *segs, const uint32_t *live,
			    char *why)
{
	uint32_t unused = 0;

	for (uint32_t i = 0; i < segs->n; i++) {
		const struct lfs_segment *s = &segs->s[i];

		unused += !lfs_segment_in_use(s);
		if (s->live == live[i] && (lfs_segment_in_use(s) || !live[i]) &&
		    s->end <= segs->blocks)
			continue;
		lfs_say(why, "segment %u counts %u live blocks and has %u, end %u", i,
			s->live, live[i], s->end);
		return -EUCLEAN;
	}
	if (unused == segs->free)
		return 0;
	lfs_say(why, "%u segments count as free and %u are", segs->free, unused);
	return -EUCLEAN;
}

int lfs_recount_tables(const struct lfs_map *map, const struct lfs_segments *segs,
		       char why[LFS_WHY_MAX])
{
	uint32_t *live = rt_zalloc(segs->n, sizeof(*live));
	int ret;

	if (!live) {
		lfs_say(why, "no memory for a recount");
		return -ENOMEM;
	}
	ret = recount_map(map, segs, live, why);
	if (!ret)
		ret = recount_segments(segs, live, why);
	rt_free(live);
	return ret;
}
