// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/map.h"

#include <errno.h>
#include <string.h>

#include "lfs/segment.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "rt/mem.h"

/* What unmapping costs, in units of the budget. */
#define COST_ABSENT 1u

static uint32_t map_entry_pba(uint64_t e)
{
	return (uint32_t)e;
}

static uint32_t map_entry_crc(uint64_t e)
{
	return (uint32_t)(e >> 32);
}

static int map_take_memory(struct lfs_map *map, uint64_t bytes)
{
	if (bytes > map->memory_max - map->memory)
		return -EDQUOT;
	map->memory += bytes;
	return 0;
}

/* ---- volumes ------------------------------------------------------------------------- */

static int map_volume_init(struct lfs_map *map, unsigned n,
			   const struct lfs_volume *volume)
{
	struct lfs_map_volume *v = &map->v[n];
	int ret;

	v->id = volume->id;
	v->blocks = lfs_volume_blocks(volume);
	v->nleaves = (uint32_t)((v->blocks + LFS_LEAF_BLOCKS - 1) / LFS_LEAF_BLOCKS);
	v->ninner = (v->nleaves + LFS_INNER_LEAVES - 1) / LFS_INNER_LEAVES;
	ret = map_take_memory(map, v->nleaves * sizeof(struct lfs_leaf *) +
					   v->ninner * sizeof(*v->inner));
	if (ret)
		return ret;
	map->nvolumes = n + 1;
	map->ninner += v->ninner;
	v->leaves = rt_zalloc(v->nleaves, sizeof(struct lfs_leaf *));
	v->inner = rt_zalloc(v->ninner, sizeof(*v->inner));
	if ((!v->leaves || !v->inner) && v->nleaves) {
		v->nleaves = 0;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < v->ninner; i++) {
		v->inner[i].volume = n;
		v->inner[i].index = i;
		rt_list_init(&v->inner[i].dirty);
	}
	return 0;
}

static void map_init_lists(struct lfs_map *map)
{
	rt_list_init(&map->dirty);
	rt_list_init(&map->frozen);
	rt_list_init(&map->inner_dirty);
}

int lfs_map_init(struct lfs_map *map, struct lfs_segments *segs,
		 const struct lfs_meta *meta, uint64_t memory_max)
{
	*map = (struct lfs_map){ .segs = segs, .memory_max = memory_max };
	map_init_lists(map);
	memcpy(map->key, meta->group, sizeof(map->key));
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		int ret = map_volume_init(map, i, &meta->volumes[i]);

		if (!ret)
			continue;
		lfs_map_release(map);
		return ret;
	}
	return 0;
}

void lfs_map_release(struct lfs_map *map)
{
	for (unsigned i = 0; i < map->nvolumes; i++) {
		struct lfs_map_volume *v = &map->v[i];

		for (uint32_t n = 0; n < v->nleaves; n++) {
			if (v->leaves[n])
				rt_free(v->leaves[n]->copy);
			rt_free(v->leaves[n]);
		}
		rt_free(v->leaves);
		rt_free(v->inner);
	}
	map->nvolumes = 0;
}

void lfs_map_move(struct lfs_map *map, struct lfs_map *from)
{
	rt_assert(lfs_map_is_clean(from));
	*map = *from;
	map_init_lists(map);
	from->nvolumes = 0;
}

bool lfs_map_has(const struct lfs_map *map, uint64_t volume, uint64_t lba,
		 uint64_t blocks)
{
	return volume < map->nvolumes && blocks && lba < map->v[volume].blocks &&
	       blocks <= map->v[volume].blocks - lba;
}

uint64_t lfs_map_block_hash(const struct lfs_map *map, uint32_t volume, uint64_t lba,
			    uint32_t crc)
{
	struct {
		le64 volume, lba;
		le32 crc;
	} block = {
		.volume = le64_make(map->v[volume].id),
		.lba = le64_make(lba),
		.crc = le32_make(crc),
	};

	return rt_siphash(map->key[0], map->key[1], &block, sizeof(block));
}

uint64_t lfs_map_images_max(const struct lfs_map *map)
{
	return map->stale + map->stale_frozen + map->ninner;
}

bool lfs_map_is_clean(const struct lfs_map *map)
{
	return rt_list_empty(&map->dirty) && rt_list_empty(&map->frozen) &&
	       rt_list_empty(&map->inner_dirty);
}

/* ---- leaves ---------------------------------------------------------------------------- */

int lfs_map_leaf_get(struct lfs_map *map, uint32_t volume, uint32_t index,
		     struct lfs_leaf **ret)
{
	struct lfs_leaf **at = &map->v[volume].leaves[index];
	int res;

	*ret = *at;
	if (*at)
		return 0;
	res = map_take_memory(map, sizeof(**at));
	if (res)
		return res;
	*at = rt_zalloc(1, sizeof(**at));
	if (!*at) {
		map->memory -= sizeof(**at);
		return -ENOMEM;
	}
	rt_list_init(&(*at)->dirty);
	rt_list_init(&(*at)->frozen);
	(*at)->volume = volume;
	(*at)->index = index;
	(*at)->state.changed = le64_get(lfs_map_entry(map, volume, index)->changed);
	*ret = *at;
	return 0;
}

/* A leaf that says nothing more than its inner node does gives its memory back. */
void lfs_map_leaf_put(struct lfs_map *map, struct lfs_leaf *leaf)
{
	if (leaf->state.used || leaf->pins || leaf->writing ||
	    !rt_list_empty(&leaf->dirty) || !rt_list_empty(&leaf->frozen) ||
	    le32_get(lfs_map_entry(map, leaf->volume, leaf->index)->pba))
		return;
	map->v[leaf->volume].leaves[leaf->index] = NULL;
	map->memory -= sizeof(*leaf);
	rt_free(leaf);
}

/* `n` leaves from leaf `first` on. */
static void map_unpin_leaves(struct lfs_map *map, uint32_t volume, uint32_t first,
			     uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct lfs_leaf *leaf = map->v[volume].leaves[first + i];

		rt_assert(leaf && leaf->pins);
		leaf->pins--;
		lfs_map_leaf_put(map, leaf);
	}
}

int lfs_map_pin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks)
{
	uint32_t first = (uint32_t)(lba / LFS_LEAF_BLOCKS);
	uint32_t n = lfs_map_leaves(lba, blocks);

	for (uint32_t i = 0; i < n; i++) {
		struct lfs_leaf *leaf;
		int ret = lfs_map_leaf_get(map, volume, first + i, &leaf);

		if (ret) {
			map_unpin_leaves(map, volume, first, i);
			return ret;
		}
		leaf->pins++;
	}
	return 0;
}

void lfs_map_unpin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks)
{
	map_unpin_leaves(map, volume, (uint32_t)(lba / LFS_LEAF_BLOCKS),
			 lfs_map_leaves(lba, blocks));
}

/* ---- changes ----------------------------------------------------------------------------- */

/* False: it is frozen as it is, and there is no memory for a copy. */
static bool leaf_may_change(struct lfs_map *map, struct lfs_leaf *leaf)
{
	if (rt_list_empty(&leaf->frozen) || leaf->copy || RT_BUG(CAPTURE_LATE))
		return true;
	if (map_take_memory(map, sizeof(*leaf->copy)))
		return false;
	leaf->copy = rt_alloc(sizeof(*leaf->copy));
	if (!leaf->copy) {
		map->memory -= sizeof(*leaf->copy);
		return false;
	}
	leaf->copy->state = leaf->state;
	memcpy(leaf->copy->entries, leaf->entries, sizeof(leaf->entries));
	return true;
}

void lfs_map_copy_drop(struct lfs_map *map, struct lfs_leaf *leaf)
{
	if (!leaf->copy)
		return;
	map->memory -= sizeof(*leaf->copy);
	rt_free(leaf->copy);
	leaf->copy = NULL;
}

/* Has it to be written by the checkpoint after the one under way, with an image? */
static bool leaf_stale(const struct lfs_leaf *leaf)
{
	return !rt_list_empty(&leaf->dirty) && leaf->state.used;
}

static void leaf_changed(struct lfs_map *map, struct lfs_leaf *leaf, uint64_t lsn)
{
	rt_assert(rt_list_empty(&leaf->frozen) || leaf->copy || RT_BUG(CAPTURE_LATE));
	if (rt_list_empty(&leaf->dirty))
		rt_list_push_back(&map->dirty, &leaf->dirty);
	if (leaf->state.changed < lsn)
		leaf->state.changed = lsn;
}

/* An entry, whatever it was: its block is not there any more. */
static void leaf_entry_clear(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t i)
{
	uint64_t e = leaf->entries[i];

	if (!map_entry_pba(e))
		return;
	lfs_segments_live(map->segs, map_entry_pba(e), -1);
	leaf->state.set_hash -=
		lfs_map_block_hash(map, leaf->volume,
				   (uint64_t)leaf->index * LFS_LEAF_BLOCKS + i,
				   map_entry_crc(e));
	leaf->state.used--;
	leaf->entries[i] = 0;
}

/* A run of blocks inside one leaf, from its entry `first` on. */
static void leaf_set(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t first,
		     uint32_t n, const uint32_t *crcs, uint32_t pba)
{
	uint64_t lba = (uint64_t)leaf->index * LFS_LEAF_BLOCKS;

	for (uint32_t i = first; i < first + n; i++) {
		uint32_t crc = crcs[i - first];

		leaf_entry_clear(map, leaf, i);
		leaf->entries[i] = (uint64_t)crc << 32 | (pba + i - first);
		leaf->state.set_hash +=
			lfs_map_block_hash(map, leaf->volume, lba + i, crc);
	}
	leaf->state.used += (uint16_t)n;
	/* A run lies in one segment. */
	lfs_segments_live(map->segs, pba, (int)n);
}

bool lfs_map_may_set(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks)
{
	struct lfs_leaf **leaf = &map->v[volume].leaves[lba / LFS_LEAF_BLOCKS];
	uint32_t n = lfs_map_leaves(lba, blocks);

	for (uint32_t i = 0; i < n; i++)
		if (!leaf_may_change(map, leaf[i]))
			return false;
	return true;
}

void lfs_map_set(struct lfs_map *map, const struct lfs_op *op, uint32_t pba, uint64_t lsn)
{
	struct lfs_map_volume *v = &map->v[op->volume];
	uint32_t done = 0;

	while (done < op->blocks) {
		uint64_t lba = op->lba + done;
		struct lfs_leaf *leaf = v->leaves[lba / LFS_LEAF_BLOCKS];
		uint32_t first = lba % LFS_LEAF_BLOCKS, left = op->blocks - done;
		uint32_t n =
			LFS_LEAF_BLOCKS - first < left ? LFS_LEAF_BLOCKS - first : left;
		uint16_t used = leaf->state.used;
		bool stale = leaf_stale(leaf);

		leaf_changed(map, leaf, lsn);
		leaf_set(map, leaf, first, n, op->crcs + done, pba + done);
		v->mapped += (uint64_t)(leaf->state.used - used);
		map->stale += (uint64_t)(leaf_stale(leaf) - stale);
		done += n;
	}
}

static void leaf_unmap(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t first,
		       uint32_t n, uint64_t lsn)
{
	uint16_t used = leaf->state.used;
	bool stale = leaf_stale(leaf);

	leaf_changed(map, leaf, lsn);
	for (uint32_t i = first; i < first + n; i++)
		leaf_entry_clear(map, leaf, i);
	map->v[leaf->volume].mapped -= (uint64_t)(used - leaf->state.used);
	map->stale += (uint64_t)(leaf_stale(leaf) - stale);
}

uint64_t lfs_map_unmap(struct lfs_map *map, uint32_t volume, uint64_t lba,
		       uint64_t blocks, uint64_t lsn, uint32_t *budget)
{
	struct lfs_map_volume *v = &map->v[volume];
	uint64_t done = 0;

	while (done < blocks) {
		struct lfs_leaf *leaf = v->leaves[(lba + done) / LFS_LEAF_BLOCKS];
		uint32_t first = (lba + done) % LFS_LEAF_BLOCKS;
		uint64_t left = blocks - done;
		uint32_t n = LFS_LEAF_BLOCKS - first < left ? LFS_LEAF_BLOCKS - first
							    : (uint32_t)left;
		bool used = leaf && leaf->state.used;
		uint32_t cost = used ? LFS_UNMAP_LEAF : COST_ABSENT;

		if (*budget < cost || (used && !leaf_may_change(map, leaf)))
			break;
		*budget -= cost;
		if (used)
			leaf_unmap(map, leaf, first, n, lsn);
		done += n;
	}
	return done;
}

uint32_t lfs_map_get(const struct lfs_map *map, uint32_t volume, uint64_t lba,
		     uint32_t *ret_crc)
{
	const struct lfs_leaf *leaf = map->v[volume].leaves[lba / LFS_LEAF_BLOCKS];
	uint64_t e;

	if (!leaf)
		return 0;
	e = leaf->entries[lba % LFS_LEAF_BLOCKS];
	*ret_crc = map_entry_crc(e);
	return map_entry_pba(e);
}
