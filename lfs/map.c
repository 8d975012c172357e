// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/map.h"

#include <errno.h>
#include <string.h>

#include "lfs/segment.h"
#include "rt/check.h"
#include "rt/mem.h"

/* What unmapping costs, in units of the budget. */
#define COST_ABSENT 1u
#define COST_LEAF 8u

static uint32_t map_entry_pba(uint64_t e)
{
	return (uint32_t)e;
}

static int map_take_memory(struct lfs_map *map, uint64_t bytes)
{
	if (bytes > map->memory_max - map->memory)
		return -EDQUOT;
	map->memory += bytes;
	return 0;
}

int lfs_map_init(struct lfs_map *map, struct lfs_segments *segs,
		 const struct lfs_meta *meta, uint64_t memory_max)
{
	int ret = 0;

	*map = (struct lfs_map){ .segs = segs, .memory_max = memory_max };
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		struct lfs_map_volume *v = &map->v[i];

		v->blocks = lfs_volume_blocks(&meta->volumes[i]);
		v->nleaves =
			(uint32_t)((v->blocks + LFS_LEAF_BLOCKS - 1) / LFS_LEAF_BLOCKS);
		ret = map_take_memory(map, v->nleaves * sizeof(*v->leaves));
		if (ret)
			goto fail;
		ret = -ENOMEM;
		v->leaves = rt_zalloc(v->nleaves, sizeof(*v->leaves));
		if (!v->leaves && v->nleaves)
			goto fail;
		map->nvolumes = i + 1;
	}
	return 0;
fail:
	lfs_map_release(map);
	return ret;
}

void lfs_map_release(struct lfs_map *map)
{
	for (unsigned i = 0; i < map->nvolumes; i++) {
		struct lfs_map_volume *v = &map->v[i];

		for (uint32_t n = 0; n < v->nleaves; n++)
			rt_free(v->leaves[n].entries);
		rt_free(v->leaves);
	}
	map->nvolumes = 0;
}

bool lfs_map_has(const struct lfs_map *map, uint64_t volume, uint64_t lba,
		 uint64_t blocks)
{
	return volume < map->nvolumes && blocks && lba < map->v[volume].blocks &&
	       blocks <= map->v[volume].blocks - lba;
}

static bool leaf_stale(const struct lfs_leaf *leaf)
{
	return leaf->dirty && leaf->used;
}

/* An empty leaf that nobody is about to fill gives its memory back. */
static void leaf_trim(struct lfs_map *map, struct lfs_leaf *leaf)
{
	if (leaf->used || leaf->pins || !leaf->entries)
		return;
	rt_free(leaf->entries);
	leaf->entries = NULL;
	map->memory -= LFS_BLOCK;
}

static int leaf_fill(struct lfs_map *map, struct lfs_leaf *leaf)
{
	int ret;

	if (leaf->entries)
		return 0;
	ret = map_take_memory(map, LFS_BLOCK);
	if (ret)
		return ret;
	leaf->entries = rt_zalloc(LFS_LEAF_BLOCKS, sizeof(*leaf->entries));
	if (leaf->entries)
		return 0;
	map->memory -= LFS_BLOCK;
	return -ENOMEM;
}

int lfs_map_pin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks)
{
	struct lfs_leaf *leaf = map->v[volume].leaves + lba / LFS_LEAF_BLOCKS;
	uint32_t n = lfs_map_leaves(lba, blocks);

	for (uint32_t i = 0; i < n; i++) {
		int ret = leaf_fill(map, &leaf[i]);

		if (!ret) {
			leaf[i].pins++;
			continue;
		}
		while (i--) {
			leaf[i].pins--;
			leaf_trim(map, &leaf[i]);
		}
		return ret;
	}
	return 0;
}

void lfs_map_unpin(struct lfs_map *map, uint32_t volume, uint64_t lba, uint32_t blocks)
{
	struct lfs_leaf *leaf = map->v[volume].leaves + lba / LFS_LEAF_BLOCKS;
	uint32_t n = lfs_map_leaves(lba, blocks);

	for (uint32_t i = 0; i < n; i++) {
		rt_assert(leaf[i].pins);
		leaf[i].pins--;
		leaf_trim(map, &leaf[i]);
	}
}

static void leaf_changed(struct lfs_leaf *leaf, uint64_t lsn)
{
	leaf->dirty = true;
	if (leaf->changed < lsn)
		leaf->changed = lsn;
}

/* A run of blocks inside one leaf, from its entry `first` on. */
static void leaf_set(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t first,
		     uint32_t n, const uint32_t *crcs, uint32_t pba)
{
	uint64_t *e = leaf->entries + first;

	rt_assert(leaf->entries);
	for (uint32_t i = 0; i < n; i++) {
		if (map_entry_pba(e[i]))
			lfs_segments_live(map->segs, map_entry_pba(e[i]), -1);
		else
			leaf->used++;
		e[i] = (uint64_t)crcs[i] << 32 | (pba + i);
	}
	/* A run lies in one segment. */
	lfs_segments_live(map->segs, pba, (int)n);
}

void lfs_map_set(struct lfs_map *map, const struct lfs_op *op, uint32_t pba, uint64_t lsn)
{
	struct lfs_map_volume *v = &map->v[op->volume];
	uint32_t done = 0;

	while (done < op->blocks) {
		uint64_t lba = op->lba + done;
		struct lfs_leaf *leaf = &v->leaves[lba / LFS_LEAF_BLOCKS];
		uint32_t first = lba % LFS_LEAF_BLOCKS, left = op->blocks - done;
		uint32_t n =
			LFS_LEAF_BLOCKS - first < left ? LFS_LEAF_BLOCKS - first : left;
		bool stale = leaf_stale(leaf);
		uint16_t used = leaf->used;

		leaf_set(map, leaf, first, n, op->crcs + done, pba + done);
		v->mapped += (uint64_t)(leaf->used - used);
		leaf_changed(leaf, lsn);
		map->stale += (uint64_t)(leaf_stale(leaf) - stale);
		done += n;
	}
}

static void leaf_unmap(struct lfs_map *map, struct lfs_map_volume *v,
		       struct lfs_leaf *leaf, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		if (!map_entry_pba(leaf->entries[i]))
			continue;
		lfs_segments_live(map->segs, map_entry_pba(leaf->entries[i]), -1);
		leaf->entries[i] = 0;
		leaf->used--;
		v->mapped--;
	}
}

uint64_t lfs_map_unmap(struct lfs_map *map, uint32_t volume, uint64_t lba,
		       uint64_t blocks, uint64_t lsn, uint32_t *budget)
{
	struct lfs_map_volume *v = &map->v[volume];
	uint64_t done = 0;

	while (done < blocks) {
		struct lfs_leaf *leaf = &v->leaves[(lba + done) / LFS_LEAF_BLOCKS];
		uint32_t first = (lba + done) % LFS_LEAF_BLOCKS;
		uint64_t left = blocks - done;
		uint32_t n = LFS_LEAF_BLOCKS - first < left ? LFS_LEAF_BLOCKS - first
							    : (uint32_t)left;
		uint32_t cost = leaf->used ? COST_LEAF : COST_ABSENT;
		bool stale = leaf_stale(leaf);

		if (*budget < cost)
			break;
		*budget -= cost;
		if (leaf->used) {
			leaf_unmap(map, v, leaf, first, n);
			leaf_changed(leaf, lsn);
			map->stale += leaf_stale(leaf) - stale;
			leaf_trim(map, leaf);
		}
		done += n;
	}
	return done;
}

uint32_t lfs_map_get(const struct lfs_map *map, uint32_t volume, uint64_t lba,
		     uint32_t *ret_crc)
{
	const struct lfs_leaf *leaf = &map->v[volume].leaves[lba / LFS_LEAF_BLOCKS];
	uint64_t e;

	if (!leaf->entries)
		return 0;
	e = leaf->entries[lba % LFS_LEAF_BLOCKS];
	*ret_crc = (uint32_t)(e >> 32);
	return map_entry_pba(e);
}

/* ---- images ------------------------------------------------------------------------------ */

int lfs_map_load(struct lfs_map *map, uint32_t volume, uint32_t index,
		 const uint8_t *image)
{
	struct lfs_map_volume *v = &map->v[volume];
	struct lfs_leaf *leaf = &v->leaves[index];
	uint64_t at = (uint64_t)index * LFS_LEAF_BLOCKS;

	int ret;

	rt_assert(!leaf->entries);
	ret = leaf_fill(map, leaf);
	if (ret)
		return ret;
	/* Little-endian hosts only (rt/bytes.h): the image is the array. */
	memcpy(leaf->entries, image, LFS_BLOCK);
	for (uint32_t i = 0; i < LFS_LEAF_BLOCKS; i++) {
		uint64_t e = leaf->entries[i];

		if (!e)
			continue;
		if (at + i >= v->blocks ||
		    !lfs_segments_has_data(map->segs, map_entry_pba(e)))
			goto bad;
		lfs_segments_live(map->segs, map_entry_pba(e), 1);
		leaf->used++;
		v->mapped++;
	}
	if (!leaf->used)
		goto bad;
	lfs_segments_live(map->segs, leaf->pba, 1);
	return 0;
bad:
	/* The open ends here, or begins again with the other checkpoint slot and a new map. */
	return -EUCLEAN;
}

bool lfs_map_capture(struct lfs_map *map, struct lfs_leaf *leaf, uint8_t *image)
{
	rt_assert(leaf->dirty);
	map->stale -= leaf_stale(leaf);
	leaf->dirty = false;
	if (!leaf->used) {
		lfs_map_set_image(map, leaf, 0, 0);
		return false;
	}
	memcpy(image, leaf->entries, LFS_BLOCK);
	return true;
}

void lfs_map_set_image(struct lfs_map *map, struct lfs_leaf *leaf, uint32_t pba,
		       uint32_t crc)
{
	if (leaf->pba)
		lfs_segments_live(map->segs, leaf->pba, -1);
	if (pba)
		lfs_segments_live(map->segs, pba, 1);
	leaf->pba = pba;
	leaf->crc = crc;
}
