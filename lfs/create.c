// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/checkpoint_slot.h"
#include "lfs/superblock.h"
#include "lfs/why.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/loop.h"
#include "rt/mem.h"

/*
 * Make a store: an empty checkpoint first, then both superblocks, so that a crash in
 * between leaves something that is no store.
 */

#define PROBE (2 * LFS_SUPERBLOCK_REGION)
/* Of a fill, in one write: large enough for any disk, small enough to be reported often. */
#define FILL_PIECE (UINT64_C(4) << 20)
static_assert(FILL_PIECE >= PROBE, "what is read before fits, too");

struct creating {
	struct lfs_create *c; /* borrowed */
	struct rt_loop *loop; /* borrowed */
	struct rt_file *file; /* owned */
	struct rt_op op;
	char *path; /* owned */
	bool made;  /* the file is ours: unlink it if this fails */
	bool fill;
	uint64_t size, filled; /* of the store, and so much of it is written */
	struct lfs_superblock superblock;
	struct lfs_meta *meta; /* owned */
	uint8_t *buf; /* owned: for checkpoint slot, superblocks, a piece of the fill */
	uint64_t len, done, off;
	void (*next)(struct creating *cr);
	int res;
};

uint64_t lfs_store_size_min(const struct lfs_create_params *params)
{
	return lfs_geometry_size_min(params->meta, params->segment_size);
}

static void create_end(struct creating *cr, int res)
{
	struct lfs_create *c = cr->c;

	rt_file_close(cr->file);
	if (res && cr->made)
		(void)rt_file_unlink(cr->loop, cr->path); /* what counts is `res` */
	rt_free(cr->path);
	rt_free(cr->meta);
	rt_free(cr->buf);
	rt_free(cr);
	c->done(c, res);
}

/* ---- bytes -------------------------------------------------------------------------------------- */

static void create_write_done(struct rt_op *op, int res);

static void create_write_go(struct creating *cr)
{
	cr->op.done = create_write_done;
	rt_write(cr->file, &cr->op, cr->buf + cr->done, cr->len - cr->done,
		 cr->off + cr->done);
}

static void create_write_done(struct rt_op *op, int res)
{
	struct creating *cr = rt_container_of(op, struct creating, op);

	if (res <= 0) {
		res = res ? res : -EIO;
		lfs_say(cr->c->why, "%.150s: write failed: %s", cr->path, strerror(-res));
		create_end(cr, res);
		return;
	}
	cr->done += (uint64_t)res;
	if (cr->done < cr->len)
		create_write_go(cr);
	else
		cr->next(cr);
}

static void create_write_all(struct creating *cr, uint64_t off, uint64_t len,
			     void (*next)(struct creating *cr))
{
	cr->off = off;
	cr->len = len;
	cr->done = 0;
	cr->next = next;
	create_write_go(cr);
}

static void create_flushed(struct rt_op *op, int res)
{
	struct creating *cr = rt_container_of(op, struct creating, op);

	if (res < 0) {
		lfs_say(cr->c->why, "%.150s: flush failed: %s", cr->path, strerror(-res));
		create_end(cr, res);
		return;
	}
	cr->next(cr);
}

static void create_flush(struct creating *cr, void (*next)(struct creating *cr))
{
	cr->next = next;
	cr->op.done = create_flushed;
	rt_fdatasync(cr->file, &cr->op);
}

/* ---- steps -------------------------------------------------------------------------------------- */

static void create_last_step(struct creating *cr)
{
	int res = cr->made ? rt_file_sync_dir(cr->loop, cr->path) : 0;

	if (res)
		lfs_say(cr->c->why, "%.150s: syncing its directory: %s", cr->path,
			strerror(-res));
	create_end(cr, res);
}

static void create_flush_step(struct creating *cr)
{
	create_flush(cr, create_last_step);
}

static void create_superblock_b_step(struct creating *cr)
{
	cr->superblock.seq = 1;
	create_write_all(cr, lfs_superblock_off(1),
			 lfs_superblock_encode(cr->buf, &cr->superblock, cr->meta),
			 create_flush_step);
}

static void create_superblock_a_step(struct creating *cr)
{
	cr->superblock.seq = 2;
	create_write_all(cr, lfs_superblock_off(0),
			 lfs_superblock_encode(cr->buf, &cr->superblock, cr->meta),
			 create_superblock_b_step);
}

static void create_checkpoint_slot_flush_step(struct creating *cr)
{
	create_flush(cr, create_superblock_a_step);
}

/* No leaves, all segments free: the body is zeros. */
static void create_checkpoint_slot_step(struct creating *cr)
{
	const struct lfs_geometry *geo = &cr->superblock.geo;
	struct lfs_checkpoint_slot slot = {
		.seq = 1,
		.body_length = ((uint64_t)geo->segments *
					sizeof(struct lfs_checkpoint_slot_segment) +
				LFS_BLOCK - 1) /
			       LFS_BLOCK * LFS_BLOCK,
		.nsegments = geo->segments,
	};

	memset(cr->buf, 0, LFS_BLOCK + slot.body_length);
	slot.body_crc = rt_crc32c(cr->buf + LFS_BLOCK, slot.body_length);
	lfs_checkpoint_slot_encode_head(cr->buf, &slot, cr->superblock.store,
					(uint64_t)rt_wall_ns(cr->loop));
	create_write_all(cr, lfs_checkpoint_slot_off(geo, 0),
			 LFS_BLOCK + slot.body_length, create_checkpoint_slot_flush_step);
}

/*
 * Zeros over all of it. A file system allocates a hole when it is written: that
 * write waits for it, in a thread of the kernel's, and the next flush for its journal.
 */
static void create_fill_step(struct creating *cr)
{
	uint64_t off = cr->filled, left = cr->size - off;
	uint64_t len = left < FILL_PIECE ? left : FILL_PIECE;

	if (off && cr->c->filled)
		cr->c->filled(cr->c, off, cr->size);
	if (!len) {
		create_checkpoint_slot_step(cr);
		return;
	}
	if (!off)
		memset(cr->buf, 0, FILL_PIECE);
	cr->filled += len;
	create_write_all(cr, off, len, create_fill_step);
}

static void create_first_step(struct creating *cr)
{
	if (cr->fill)
		create_fill_step(cr);
	else
		create_checkpoint_slot_step(cr);
}

/* ---- what there is ------------------------------------------------------------------------------ */

static void create_probed(struct rt_op *op, int res);

static void create_probe(struct creating *cr)
{
	cr->op.done = create_probed;
	rt_read(cr->file, &cr->op, cr->buf + cr->done, PROBE - cr->done, cr->done);
}

/* A device that begins with a store, however damaged, is not ours to take. */
static void create_probed(struct rt_op *op, int res)
{
	struct creating *cr = rt_container_of(op, struct creating, op);

	if (res <= 0) {
		lfs_say(cr->c->why, "%.150s: reading its beginning failed", cr->path);
		create_end(cr, res < 0 ? res : -EIO);
		return;
	}
	cr->done += (uint64_t)res;
	if (cr->done < PROBE) {
		create_probe(cr);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct lfs_superblock_head h;

		memcpy(&h, cr->buf + i * LFS_SUPERBLOCK_REGION, sizeof(h));
		if (le64_get(h.magic) != LFS_SUPERBLOCK_MAGIC)
			continue;
		lfs_say(cr->c->why, "%.150s: there is a wanmirror store on it already",
			cr->path);
		create_end(cr, -EEXIST);
		return;
	}
	create_first_step(cr);
}

static void create_refused(struct rt_op *op, int res)
{
	struct creating *cr = rt_container_of(op, struct creating, op);

	(void)res;
	create_end(cr, cr->res);
}

static int create_open_device(struct creating *cr, uint64_t *ret_size)
{
	int res = rt_file_open(cr->loop, cr->path,
			       RT_FILE_WRITE | RT_FILE_DIRECT | RT_FILE_EXCLUSIVE,
			       &cr->file);

	if (res) {
		cr->file = NULL;
		if (res != -ENOENT)
			lfs_say(cr->c->why, "%.150s: %s", cr->path, strerror(-res));
		return res;
	}
	if (!rt_file_is_block_device(cr->file)) {
		lfs_say(cr->c->why, "%.150s: the file exists already", cr->path);
		return -EEXIST;
	}
	return rt_file_size(cr->file, ret_size);
}

static int create_open_file(struct creating *cr, uint64_t size)
{
	int res = rt_file_open(cr->loop, cr->path,
			       RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_DIRECT |
				       RT_FILE_EXCLUSIVE,
			       &cr->file);

	if (res) {
		cr->file = NULL;
		lfs_say(cr->c->why, "%.150s: %s", cr->path, strerror(-res));
		return res;
	}
	cr->made = true;
	res = rt_file_set_size(cr->file, size);
	if (res)
		lfs_say(cr->c->why, "%.150s: setting its size to %llu: %s", cr->path,
			(unsigned long long)size, strerror(-res));
	return res;
}

/*
 * A device may still hold the records of an earlier store, at the very blocks where ours
 * will lie. What recovery looks for behind a tear is known by its incarnation alone,
 * so that no two stores may count from the same one; nor can a client guess it, whose
 * data lies there too. The upper half of a generation: it must stay below 2^32.
 */
static uint64_t create_draw_incarnation(struct rt_loop *loop)
{
	uint32_t n;

	rt_random(loop, &n, sizeof(n));
	return n % LFS_INCARNATION_FIRST_MAX + 1;
}

/* Ids that the caller has not chosen are drawn. */
static void create_draw_ids(struct creating *cr)
{
	struct lfs_meta *m = cr->meta;
	struct lfs_epoch *current;
	static const uint8_t none[LFS_ID_LEN];

	cr->superblock.incarnation = create_draw_incarnation(cr->loop);
	rt_random(cr->loop, cr->superblock.store, LFS_ID_LEN);
	rt_random(cr->loop, cr->superblock.node, LFS_ID_LEN);
	if (m->role == LFS_MIRROR)
		m->flags |= LFS_UNPAIRED;
	else if (!memcmp(m->group, none, LFS_ID_LEN))
		rt_random(cr->loop, m->group, LFS_ID_LEN);
	m->flags |= LFS_CLEAN;
	if (!m->nepochs) {
		m->nepochs = 1;
		m->epochs[0] = (struct lfs_epoch){ .number = 1, .first_lsn = 1 };
	}
	current = &m->epochs[m->nepochs - 1];
	if (!current->id) {
		rt_random(cr->loop, &current->id, sizeof(current->id));
		current->lossy =
			current->id; /* nothing that was written before is here */
		memcpy(current->store, cr->superblock.store, LFS_ID_LEN);
	}
	for (unsigned i = 0; i < m->nvolumes; i++) {
		struct lfs_volume *v = &m->volumes[i];

		if (!v->id)
			rt_random(cr->loop, &v->id, sizeof(v->id));
	}
}

/* Everything that can be create_refused before anything is touched. */
static int create_check(struct creating *cr, const struct lfs_create_params *params,
			uint64_t size)
{
	uint64_t slot, room = cr->fill ? FILL_PIECE : 2 * LFS_SUPERBLOCK_REGION;
	int res = lfs_geometry_make(size, params->segment_size, params->checkpoint_every,
				    &cr->superblock.geo, cr->c->why);

	if (!res)
		res = lfs_meta_check(cr->meta, &cr->superblock.geo, cr->c->why);
	if (res)
		return res;
	if (size < lfs_store_size_min(params)) {
		lfs_say(cr->c->why,
			"a store of %llu bytes: too small for the volumes, at least %llu",
			(unsigned long long)size,
			(unsigned long long)lfs_store_size_min(params));
		return -ENOSPC;
	}
	cr->superblock.checkpoint_slot_seq = 1;
	slot = LFS_BLOCK +
	       (uint64_t)cr->superblock.geo.segments *
		       sizeof(struct lfs_checkpoint_slot_segment) +
	       LFS_BLOCK;
	cr->size = size;
	cr->buf = rt_alloc_blocks(slot > room ? slot : room);
	return cr->buf ? 0 : -ENOMEM;
}

static int create_begin(struct creating *cr, const struct lfs_create_params *params)
{
	uint64_t size = params->size ? params->size : lfs_store_size_min(params);
	int res;

	*cr->meta = *params->meta;
	cr->fill = params->fill;
	create_draw_ids(cr);
	memcpy(cr->path, params->path, strlen(params->path) + 1);
	res = create_open_device(cr, &size);
	if (res && res != -ENOENT)
		return res;
	if (res) {
		size -= size % LFS_BLOCK;
		res = create_check(cr, params, size);
		return res ? res : create_open_file(cr, size);
	}
	return create_check(cr, params, size - size % LFS_BLOCK);
}

static_assert(sizeof(struct rt_op) <= sizeof(((struct lfs_create *)0)->impl),
	      "fits into impl");

static void create_no_memory(struct rt_op *op, int res)
{
	struct lfs_create *c = rt_container_of((void *)op, struct lfs_create, impl);

	(void)res;
	lfs_say(c->why, "no memory");
	c->done(c, -ENOMEM);
}

void lfs_create(struct rt_loop *loop, const struct lfs_create_params *params,
		struct lfs_create *c)
{
	struct creating *cr = rt_zalloc(1, sizeof(*cr));

	c->why[0] = 0;
	if (!cr) {
		struct rt_op *op = (struct rt_op *)(void *)c->impl;

		op->done = create_no_memory;
		rt_defer(loop, op);
		return;
	}
	cr->c = c;
	cr->loop = loop;
	cr->meta = rt_zalloc(1, sizeof(*cr->meta));
	cr->path = rt_alloc(strlen(params->path) + 1);
	cr->res = -ENOMEM;
	if (cr->meta && cr->path)
		cr->res = create_begin(cr, params);
	if (cr->res == -ENOMEM)
		lfs_say(c->why, "no memory");
	if (cr->res) {
		cr->op.done = create_refused;
		rt_defer(loop, &cr->op);
	} else if (cr->made) {
		create_first_step(cr);
	} else {
		create_probe(cr);
	}
}
