// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/map.h"
#include "lfs/segment.h"
#include "rt/check.h"
#include "rt/crc.h"

/*
 * Images of the map: what a checkpoint writes and recovery reads. Little-endian hosts only
 * (rt/bytes.h): the image of a leaf is its array.
 */

/* ---- to be written ---------------------------------------------------------------------- */

void lfs_map_freeze(struct lfs_map *map)
{
	struct rt_list *l;

	rt_assert(rt_list_empty(&map->frozen) && rt_list_empty(&map->inner_dirty));
	while ((l = rt_list_pop(&map->dirty)) != NULL) {
		struct lfs_leaf *leaf = rt_container_of(l, struct lfs_leaf, dirty);

		rt_list_push_back(&map->frozen, &leaf->frozen);
	}
	map->stale_frozen = map->stale;
	map->stale = 0;
}

bool lfs_map_has_images(const struct lfs_map *map)
{
	return !rt_list_empty(&map->frozen) || !rt_list_empty(&map->inner_dirty);
}

static void leaf_capture(struct lfs_map *map, struct lfs_leaf *leaf, uint8_t *bytes,
			 struct lfs_map_image *ret)
{
	*ret = (struct lfs_map_image){
		.volume = leaf->volume,
		.index = leaf->index,
		.state = leaf->copy ? leaf->copy->state : leaf->state,
	};
	memcpy(bytes, leaf->copy ? leaf->copy->entries : leaf->entries, LFS_BLOCK);
	leaf->writing = true;
	rt_list_remove(&leaf->frozen);
	map->stale_frozen -= ret->state.used != 0;
	lfs_map_copy_drop(map, leaf);
}

/* A leaf without a mapped block has no image: what its inner node says is all. */
static bool leaf_capture_next(struct lfs_map *map, uint8_t *bytes,
			      struct lfs_map_image *ret)
{
	while (!rt_list_empty(&map->frozen)) {
		leaf_capture(map,
			     rt_container_of(map->frozen.next, struct lfs_leaf, frozen),
			     bytes, ret);
		if (ret->state.used)
			return true;
		lfs_map_written(map, ret, 0);
	}
	return false;
}

bool lfs_map_capture(struct lfs_map *map, bool leaves_out, uint8_t *bytes,
		     struct lfs_map_image *ret)
{
	struct rt_list *l;

	if (!leaf_capture_next(map, bytes, ret)) {
		struct lfs_inner *inner;

		l = leaves_out ? NULL : rt_list_pop(&map->inner_dirty);
		if (!l)
			return false;
		inner = rt_container_of(l, struct lfs_inner, dirty);
		*ret = (struct lfs_map_image){
			.inner = true,
			.volume = inner->volume,
			.index = inner->index,
		};
		memcpy(bytes, inner->entries, LFS_BLOCK);
	}
	ret->crc = rt_crc32c(bytes, LFS_BLOCK);
	return true;
}

static void inner_written(struct lfs_map *map, struct lfs_inner *inner, uint32_t pba,
			  uint32_t crc)
{
	if (inner->pba)
		lfs_segments_live(map->segs, inner->pba, -1);
	lfs_segments_live(map->segs, pba, 1);
	inner->pba = pba;
	inner->crc = crc;
}

static void leaf_written(struct lfs_map *map, const struct lfs_map_image *image,
			 uint32_t pba)
{
	struct lfs_map_volume *v = &map->v[image->volume];
	struct lfs_inner *inner = &v->inner[image->index / LFS_INNER_LEAVES];
	struct lfs_inner_entry *e = lfs_map_entry(map, image->volume, image->index);

	if (le32_get(e->pba))
		lfs_segments_live(map->segs, le32_get(e->pba), -1);
	if (pba)
		lfs_segments_live(map->segs, pba, 1);
	*e = (struct lfs_inner_entry){
		.pba = le32_make(pba),
		.crc = le32_make(pba ? image->crc : 0),
		.changed = le64_make(image->state.changed),
		.set_hash = le64_make(image->state.set_hash),
		.used = le16_make(image->state.used),
	};
	if (rt_list_empty(&inner->dirty))
		rt_list_push_back(&map->inner_dirty, &inner->dirty);
	v->leaves[image->index]->writing = false;
	lfs_map_leaf_put(map, v->leaves[image->index]);
}

void lfs_map_written(struct lfs_map *map, const struct lfs_map_image *image, uint32_t pba)
{
	if (image->inner)
		inner_written(map, &map->v[image->volume].inner[image->index], pba,
			      image->crc);
	else
		leaf_written(map, image, pba);
}

/* ---- read ---------------------------------------------------------------------------------- */

static bool inner_entry_fits(const struct lfs_map *map, const struct lfs_inner_entry *e,
			     bool there)
{
	uint32_t pba = le32_get(e->pba);

	for (size_t i = 0; i < sizeof(e->zero); i++)
		if (e->zero[i])
			return false;
	if (!there && le64_get(e->changed))
		return false;
	if (!pba)
		return !le32_get(e->crc) && !le64_get(e->set_hash) && !le16_get(e->used);
	return there && lfs_segments_has_data(map->segs, pba) && le16_get(e->used) &&
	       le16_get(e->used) <= LFS_LEAF_BLOCKS;
}

int lfs_map_load_inner(struct lfs_map *map, uint32_t volume, uint32_t index,
		       const uint8_t *bytes)
{
	struct lfs_map_volume *v = &map->v[volume];
	struct lfs_inner *inner = &v->inner[index];

	memcpy(inner->entries, bytes, LFS_BLOCK);
	for (uint32_t i = 0; i < LFS_INNER_LEAVES; i++) {
		bool there = (uint64_t)index * LFS_INNER_LEAVES + i < v->nleaves;

		if (!inner_entry_fits(map, &inner->entries[i], there))
			return -EUCLEAN;
		v->mapped += le16_get(inner->entries[i].used);
	}
	return 0;
}

int lfs_map_load_leaf(struct lfs_map *map, uint32_t volume, uint32_t index,
		      const uint8_t *bytes)
{
	struct lfs_map_volume *v = &map->v[volume];
	const struct lfs_inner_entry *e = lfs_map_entry(map, volume, index);
	uint64_t at = (uint64_t)index * LFS_LEAF_BLOCKS;
	struct lfs_leaf *leaf;
	int ret;

	rt_assert(!v->leaves[index]);
	ret = lfs_map_leaf_get(map, volume, index, &leaf);
	if (ret)
		return ret;
	memcpy(leaf->entries, bytes, LFS_BLOCK);
	for (uint32_t i = 0; i < LFS_LEAF_BLOCKS; i++) {
		uint32_t pba = (uint32_t)leaf->entries[i];

		if (!leaf->entries[i])
			continue;
		if (at + i >= v->blocks || !lfs_segments_has_data(map->segs, pba))
			return -EUCLEAN;
		leaf->state.used++;
		leaf->state.set_hash += lfs_map_block_hash(
			map, volume, at + i, (uint32_t)(leaf->entries[i] >> 32));
	}
	/* Where it is not so, the open begins again with the other slot and a new map. */
	return leaf->state.used == le16_get(e->used) &&
			       leaf->state.set_hash == le64_get(e->set_hash)
		       ? 0
		       : -EUCLEAN;
}
