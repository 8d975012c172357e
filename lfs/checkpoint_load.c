// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/recount.h"
#include "lfs/recover.h"
#include "lfs/why.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/log.h"
#include "rt/mem.h"

/* The checkpoint slot that the superblock names, or else the other one, and its map. */

static void load_head_read(struct lfs_recover *rc);
static void load_images_read(struct lfs_recover *rc);
static void load_images_begin(struct lfs_recover *rc, bool inner);

void lfs_recover_map_why(struct lfs_recover *rc, int res)
{
	if (res == -EDQUOT)
		lfs_say(rc->why, "the map needs more than map_memory = %llu bytes",
			(unsigned long long)rc->map_memory);
	else if (res)
		lfs_say(rc->why, "out of memory for the map");
}

void lfs_recover_end(struct lfs_recover *rc, int res)
{
	rc->stats.took_ns = rt_time_since(rt_now(rc->loop), rc->began);
	rc->done(rc, res);
}

static void load_no_memory(struct rt_op *op, int res)
{
	struct lfs_recover *rc = rt_container_of(op, struct lfs_recover, load.op);

	(void)res;
	lfs_say(rc->why, "no memory for recovery");
	lfs_recover_end(rc, -ENOMEM);
}

void lfs_recover_starve(struct lfs_recover *rc)
{
	rc->load.op.done = load_no_memory;
	rt_defer(rc->loop, &rc->load.op);
}

void lfs_recover_release(struct lfs_recover *rc)
{
	rt_free(rc->load.head);
	rt_free(rc->load.body);
	rt_free(rc->load.images);
	rt_free(rc->replay.ops);
	rt_free(rc->replay.crcs);
	lfs_scan_release(&rc->replay.scan);
}

/* Empty segments and an empty map, for the first or the second checkpoint slot. */
static int load_tables_reset(struct lfs_recover *rc)
{
	int ret;

	lfs_map_release(rc->map);
	lfs_segments_release(rc->segs);
	ret = lfs_segments_init(rc->segs, rc->superblock->geo.segments,
				rc->superblock->geo.segment_size / LFS_BLOCK,
				(uint32_t)(rc->superblock->geo.segments_off / LFS_BLOCK));
	if (ret) {
		lfs_say(rc->why, "no memory for a table of %u segments",
			rc->superblock->geo.segments);
		return ret;
	}
	ret = lfs_map_init(rc->map, rc->segs, rc->meta, rc->map_memory);
	lfs_recover_map_why(rc, ret);
	return ret;
}

/* This checkpoint slot cannot be used: the other one, or the end. */
static void checkpoint_slot_refuse(struct lfs_recover *rc, const char *what)
{
	rt_log(RT_LOG_WARN, "checkpoint-damaged slot=%u reason=\"%s\"",
	       rc->load.checkpoint_slot_at, what);
	if (rc->fallback) {
		lfs_say(rc->why,
			"no checkpoint can be used: slot %u: %s; the other one is "
			"damaged too",
			rc->load.checkpoint_slot_at, what);
		lfs_recover_end(rc, -EUCLEAN);
		return;
	}
	rc->fallback = true;
	rc->cross = true;
	rc->load.checkpoint_slot_at = !rc->load.checkpoint_slot_at;
	load_head_read(rc);
}

/* ---- images ----------------------------------------------------------------------------- */

/* Where an image lies, and its checksum; *ret_pba 0: there is none. */
static void load_image_pba(const struct lfs_recover *rc, bool inner, uint32_t volume,
			   uint32_t index, uint32_t *ret_pba, uint32_t *ret_crc)
{
	if (inner) {
		const struct lfs_inner *node = &rc->map->v[volume].inner[index];

		*ret_pba = node->pba;
		*ret_crc = node->crc;
	} else {
		const struct lfs_inner_entry *e = lfs_map_entry(rc->map, volume, index);

		*ret_pba = le32_get(e->pba);
		*ret_crc = le32_get(e->crc);
	}
}

static void load_image_done(struct rt_op *op, int res)
{
	struct lfs_load_image *load = rt_container_of(op, struct lfs_load_image, op);
	struct lfs_recover *rc = load->rc;
	bool inner = rc->load.inner;
	uint32_t pba, crc;

	load->busy = false;
	rc->load.loading--;
	load_image_pba(rc, inner, load->volume, load->index, &pba, &crc);
	if (res != LFS_BLOCK)
		res = -EIO;
	else if (rt_crc32c(load->image, LFS_BLOCK) != crc)
		res = -EUCLEAN;
	else if (inner)
		res = lfs_map_load_inner(rc->map, load->volume, load->index, load->image);
	else
		res = lfs_map_load_leaf(rc->map, load->volume, load->index, load->image);
	if (res && !rc->load.res)
		rc->load.res = res;
	load_images_read(rc);
}

/* The next image there is; *ret_pba 0: there is none. */
static void load_image_next(struct lfs_recover *rc, uint32_t *ret_pba)
{
	struct lfs_map *map = rc->map;
	uint32_t crc;

	*ret_pba = 0;
	for (; rc->load.volume < map->nvolumes; rc->load.volume++, rc->load.index = 0) {
		const struct lfs_map_volume *v = &map->v[rc->load.volume];
		uint32_t n = rc->load.inner ? v->ninner : v->nleaves;

		for (; rc->load.index < n; rc->load.index++) {
			load_image_pba(rc, rc->load.inner, rc->load.volume,
				       rc->load.index, ret_pba, &crc);
			if (*ret_pba)
				return;
		}
	}
}

/* What the checkpoint counts is exactly what its map refers to. */
static void load_tables_check(struct lfs_recover *rc)
{
	char why[LFS_WHY_MAX];
	int res = lfs_recount_tables(rc->map, rc->segs, false, why);

	if (!res) {
		lfs_replay_start(rc);
		return;
	}
	if (res == -EUCLEAN) {
		checkpoint_slot_refuse(rc, why);
		return;
	}
	memcpy(rc->why, why, sizeof(rc->why));
	lfs_recover_end(rc, res);
}

/* All of one kind are here: the leaves follow the inner nodes, and then the log. */
static void load_images_done(struct lfs_recover *rc)
{
	switch (rc->load.res) {
	case 0:
		if (rc->load.inner) {
			load_images_begin(rc, false);
			return;
		}
		load_tables_check(rc);
		return;
	case -EUCLEAN:
		checkpoint_slot_refuse(rc, "an image of the map is damaged");
		return;
	case -EDQUOT:
	case -ENOMEM:
		lfs_recover_map_why(rc, rc->load.res);
		break;
	default:
		lfs_say(rc->why, "reading the map failed");
	}
	lfs_recover_end(rc, rc->load.res);
}

static void load_images_read(struct lfs_recover *rc)
{
	for (unsigned i = 0; i < LFS_LOADS && !rc->load.res; i++) {
		struct lfs_load_image *load = &rc->load.image[i];
		uint32_t pba;

		if (load->busy)
			continue;
		load_image_next(rc, &pba);
		if (!pba)
			break;
		load->rc = rc;
		load->busy = true;
		load->image = rc->load.images + (size_t)i * LFS_BLOCK;
		load->volume = rc->load.volume;
		load->index = rc->load.index++;
		load->op.done = load_image_done;
		rc->load.loading++;
		rt_read(rc->file, &load->op, load->image, LFS_BLOCK,
			(uint64_t)pba * LFS_BLOCK);
	}
	if (!rc->load.loading)
		load_images_done(rc);
}

static void load_images_begin(struct lfs_recover *rc, bool inner)
{
	rc->load.inner = inner;
	rc->load.volume = 0;
	rc->load.index = 0;
	rc->load.res = 0;
	load_images_read(rc);
}

/* ---- the checkpoint slot --------------------------------------------------------------------------------- */

static void checkpoint_slot_read(struct lfs_recover *rc)
{
	int res = load_tables_reset(rc);

	if (res) {
		lfs_recover_end(rc, res);
		return;
	}
	if (lfs_checkpoint_slot_decode_body(&rc->load.slot, rc->load.body, rc->segs,
					    rc->map)) {
		checkpoint_slot_refuse(rc, "its tables are damaged");
		return;
	}
	rt_free(rc->load.body);
	rc->load.body = NULL;
	load_images_begin(rc, true);
}

#define BODY_PIECE (UINT64_C(1) << 20)

static void load_body_done(struct rt_op *op, int res);

static void load_body_read(struct lfs_recover *rc)
{
	uint64_t left = rc->load.slot.body_length - rc->load.got;

	if (!left) {
		checkpoint_slot_read(rc);
		return;
	}
	rc->load.op.done = load_body_done;
	rt_read(rc->file, &rc->load.op, rc->load.body + rc->load.got,
		left < BODY_PIECE ? left : BODY_PIECE,
		lfs_checkpoint_slot_off(&rc->superblock->geo,
					rc->load.checkpoint_slot_at) +
			LFS_BLOCK + rc->load.got);
}

static void load_body_done(struct rt_op *op, int res)
{
	struct lfs_recover *rc = rt_container_of(op, struct lfs_recover, load.op);

	if (res <= 0) {
		lfs_say(rc->why, "reading checkpoint slot %u failed",
			rc->load.checkpoint_slot_at);
		lfs_recover_end(rc, -EIO);
		return;
	}
	rc->load.got += (uint64_t)res;
	load_body_read(rc);
}

/* Is it the checkpoint that the superblock means? The other one is at least an older one. */
static bool checkpoint_slot_is_named(const struct lfs_recover *rc)
{
	const struct lfs_superblock *superblock = rc->superblock;

	return rc->fallback || rc->load.slot.seq == superblock->checkpoint_slot_seq;
}

static void load_head_done(struct rt_op *op, int res)
{
	struct lfs_recover *rc = rt_container_of(op, struct lfs_recover, load.op);

	if (res != LFS_BLOCK) {
		lfs_say(rc->why, "reading checkpoint slot %u failed",
			rc->load.checkpoint_slot_at);
		lfs_recover_end(rc, -EIO);
		return;
	}
	if (lfs_checkpoint_slot_decode_head(rc->load.head, &rc->superblock->geo,
					    rc->superblock->store, &rc->load.slot)) {
		checkpoint_slot_refuse(rc, "its head is damaged");
		return;
	}
	if (!checkpoint_slot_is_named(rc)) {
		checkpoint_slot_refuse(rc, "it is not the one that the superblock means");
		return;
	}
	/* What it says of the log stays true, whatever happened to the rest of it. */
	if (rc->load.slot.written_seq > rc->written_seq) {
		rc->written_seq = rc->load.slot.written_seq;
		rc->written_by = rc->load.slot.seq;
	}
	rt_free(rc->load.body);
	rc->load.body = rt_alloc_blocks(rc->load.slot.body_length);
	if (!rc->load.body) {
		lfs_say(rc->why, "no memory for a checkpoint of %llu bytes",
			(unsigned long long)rc->load.slot.body_length);
		lfs_recover_end(rc, -ENOMEM);
		return;
	}
	rc->load.got = 0;
	load_body_read(rc);
}

static void load_head_read(struct lfs_recover *rc)
{
	rc->load.op.done = load_head_done;
	rt_read(rc->file, &rc->load.op, rc->load.head, LFS_BLOCK,
		lfs_checkpoint_slot_off(&rc->superblock->geo,
					rc->load.checkpoint_slot_at));
}

void lfs_recover_start(struct lfs_recover *rc)
{
	rc->began = rt_now(rc->loop);
	rc->load.checkpoint_slot_at = rc->superblock->checkpoint_slot;
	rc->load.head = rt_alloc_blocks(LFS_BLOCK);
	rc->load.images = rt_alloc_blocks((size_t)LFS_LOADS * LFS_BLOCK);
	rc->replay.ops = rt_zalloc(LFS_OPS_MAX, sizeof(*rc->replay.ops));
	rc->replay.crcs = rt_zalloc(LFS_RECORD_BLOCKS_MAX, sizeof(*rc->replay.crcs));
	if (rc->load.head && rc->load.images && rc->replay.ops && rc->replay.crcs) {
		load_head_read(rc);
		return;
	}
	lfs_recover_starve(rc);
}
