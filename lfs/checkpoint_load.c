// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/recover.h"
#include "lfs/why.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/log.h"
#include "rt/mem.h"

/* The checkpoint slot that the superblock names, or else the other one, and its leaves. */

static void load_head_read(struct lfs_recover *rc);
static void load_leaves_read(struct lfs_recover *rc);

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

/* ---- leaves --------------------------------------------------------------------------------- */

static void load_leaf_done(struct rt_op *op, int res)
{
	struct lfs_load_leaf *load = rt_container_of(op, struct lfs_load_leaf, op);
	struct lfs_recover *rc = load->rc;
	struct lfs_leaf *leaf = &rc->map->v[load->volume].leaves[load->index];

	load->busy = false;
	rc->load.loading--;
	if (res == LFS_BLOCK && rt_crc32c(load->image, LFS_BLOCK) == leaf->crc)
		res = lfs_map_load(rc->map, load->volume, load->index, load->image);
	else if (res == LFS_BLOCK)
		res = -EUCLEAN;
	else
		res = -EIO;
	if (res && !rc->load.res)
		rc->load.res = res;
	load_leaves_read(rc);
}

/* The next leaf that has an image; false: there is none. */
static bool load_leaf_next(struct lfs_recover *rc, struct lfs_leaf **ret)
{
	struct lfs_map *map = rc->map;

	for (; rc->load.volume < map->nvolumes; rc->load.volume++, rc->load.index = 0) {
		struct lfs_map_volume *v = &map->v[rc->load.volume];

		for (; rc->load.index < v->nleaves; rc->load.index++) {
			*ret = &v->leaves[rc->load.index];
			if ((*ret)->pba)
				return true;
		}
	}
	return false;
}

static void load_leaves_done(struct lfs_recover *rc)
{
	switch (rc->load.res) {
	case 0:
		lfs_replay_start(rc);
		return;
	case -EUCLEAN:
		checkpoint_slot_refuse(rc, "the image of a leaf of the map is damaged");
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

static void load_leaves_read(struct lfs_recover *rc)
{
	struct lfs_leaf *leaf;

	for (unsigned i = 0; i < LFS_LOADS && !rc->load.res; i++) {
		struct lfs_load_leaf *load = &rc->load.leaves[i];

		if (load->busy)
			continue;
		if (!load_leaf_next(rc, &leaf))
			break;
		load->rc = rc;
		load->busy = true;
		load->image = rc->load.images + (size_t)i * LFS_BLOCK;
		load->volume = rc->load.volume;
		load->index = rc->load.index++;
		load->op.done = load_leaf_done;
		rc->load.loading++;
		rt_read(rc->file, &load->op, load->image, LFS_BLOCK,
			(uint64_t)leaf->pba * LFS_BLOCK);
	}
	if (!rc->load.loading)
		load_leaves_done(rc);
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
	rc->load.volume = 0;
	rc->load.index = 0;
	rc->load.res = 0;
	load_leaves_read(rc);
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
