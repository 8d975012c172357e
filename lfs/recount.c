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

/* What a leaf says of itself against its entries. */
static int recount_leaf(const struct lfs_map *map, const struct lfs_leaf *leaf,
			uint32_t *live, bool hashes, char *why)
{
	uint64_t lba = (uint64_t)leaf->index * LFS_LEAF_BLOCKS, hash = 0;
	unsigned used = 0;

	for (unsigned i = 0; i < LFS_LEAF_BLOCKS; i++) {
		int ret;

		if (!(uint32_t)leaf->entries[i])
			continue;
		used++;
		if (hashes)
			hash += lfs_map_block_hash(map, leaf->volume, lba + i,
						   (uint32_t)(leaf->entries[i] >> 32));
		ret = recount_pba(map->segs, (uint32_t)leaf->entries[i], live, why);
		if (ret)
			return ret;
	}
	if (!hashes)
		hash = leaf->state.set_hash;
	if (used == leaf->state.used && hash == leaf->state.set_hash)
		return 0;
	lfs_say(why,
		"leaf %u of volume %u counts %u mapped blocks and has %u, set-hash %s",
		leaf->index, leaf->volume, leaf->state.used, used,
		hash == leaf->state.set_hash ? "right" : "wrong");
	return -EUCLEAN;
}

/* What an inner node says of a leaf against the leaf, where that is as its image. */
static int recount_entry(const struct lfs_inner_entry *e, const struct lfs_leaf *leaf,
			 char *why)
{
	bool clean = !leaf || (rt_list_empty(&leaf->dirty) &&
			       rt_list_empty(&leaf->frozen) && !leaf->writing);
	unsigned used = leaf ? leaf->state.used : 0;

	if (!clean ||
	    (le16_get(e->used) == used && (le32_get(e->pba) != 0) == (used != 0)))
		return 0;
	lfs_say(why, "a leaf that is as its image has %u mapped blocks, its image %u",
		used, le16_get(e->used));
	return -EUCLEAN;
}

static int recount_volume(const struct lfs_map *map, unsigned n, uint32_t *live,
			  bool hashes, uint64_t *stale, char *why)
{
	const struct lfs_map_volume *v = &map->v[n];
	uint64_t mapped = 0;
	int ret = 0;

	for (uint32_t i = 0; i < v->nleaves && !ret; i++) {
		const struct lfs_leaf *leaf = v->leaves[i];
		const struct lfs_inner_entry *e =
			&v->inner[i / LFS_INNER_LEAVES].entries[i % LFS_INNER_LEAVES];

		if (le32_get(e->pba))
			ret = recount_pba(map->segs, le32_get(e->pba), live, why);
		if (!ret)
			ret = recount_entry(e, leaf, why);
		if (!ret && leaf)
			ret = recount_leaf(map, leaf, live, hashes, why);
		if (ret || !leaf)
			continue;
		mapped += leaf->state.used;
		*stale += !rt_list_empty(&leaf->dirty) && leaf->state.used;
	}
	for (uint32_t i = 0; i < v->ninner && !ret; i++)
		if (v->inner[i].pba)
			ret = recount_pba(map->segs, v->inner[i].pba, live, why);
	if (ret || mapped == v->mapped)
		return ret;
	lfs_say(why, "volume %u counts %llu mapped blocks and has %llu", n,
		(unsigned long long)v->mapped, (unsigned long long)mapped);
	return -EUCLEAN;
}

static int recount_map(const struct lfs_map *map, uint32_t *live, bool hashes, char *why)
{
	uint64_t stale = 0;
	int ret = 0;

	for (unsigned i = 0; i < map->nvolumes && !ret; i++)
		ret = recount_volume(map, i, live, hashes, &stale, why);
	if (ret || stale == map->stale)
		return ret;
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
		       bool hashes, char why[LFS_WHY_MAX])
{
	uint32_t *live = rt_zalloc(segs->n, sizeof(*live));
	int ret;

	if (!live) {
		lfs_say(why, "no memory for a recount");
		return -ENOMEM;
	}
	ret = recount_map(map, live, hashes, why);
	if (!ret)
		ret = recount_segments(segs, live, why);
	rt_free(live);
	return ret;
}
