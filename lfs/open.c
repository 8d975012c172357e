// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/open_store.h"
#include "lfs/recover.h"
#include "lfs/why.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/mem.h"

/*
 * Open for writing: superblocks, recovery, then a new incarnation and a checkpoint, and
 * only after them what clients write.
 */

struct opening {
	struct lfs *lfs;    /* owned until `done` */
	struct lfs_open *o; /* borrowed */
	struct rt_op op;
	char *group_name; /* owned */
	uint8_t *supers;  /* owned: both regions */
	uint64_t file_size;
	uint32_t got;
	bool one_bad; /* of the superblocks */
	struct lfs_recover rc;
	struct lfs_superblock_request req;
	struct lfs_meta *meta; /* owned */
	struct lfs_wait wait;
	struct lfs_close close;
	int res;
};

static void opening_free(struct opening *op)
{
	lfs_recover_release(&op->rc);
	rt_free(op->group_name);
	rt_free(op->supers);
	rt_free(op->meta);
	rt_free(op);
}

/* Nothing is in flight: give everything back and say why. */
static void open_failed(struct opening *op, int res)
{
	struct lfs_open *o = op->o;

	lfs_free(op->lfs);
	opening_free(op);
	o->done(o, res);
}

static void open_closed(struct lfs_close *c, int res)
{
	struct opening *op = rt_container_of(c, struct opening, close);

	(void)res;
	op->lfs = NULL; /* gone */
	open_failed(op, op->res);
}

/* The log was at work already: close it first. */
static void open_failed_late(struct opening *op, int res)
{
	struct lfs *lfs = op->lfs;

	op->res = res;
	lfs_say(op->o->why, "%s", lfs->why[0] ? lfs->why : "the store failed");
	if (!lfs->failed)
		lfs_fail(lfs, res, "open failed");
	op->close.done = open_closed;
	lfs_close_begin(lfs, &op->close);
}

/* ---- after recovery ------------------------------------------------------------------------- */

static void open_done(struct lfs_wait *w, int res)
{
	struct opening *op = rt_container_of(w, struct opening, wait);
	struct lfs_open *o = op->o;
	struct lfs *lfs = op->lfs;

	if (res) {
		open_failed_late(op, res);
		return;
	}
	lfs->opening = false;
	lfs->advanced = false;
	lfs->figures.checkpoint_at = RT_NEVER;
	lfs_checkpoint_arm(lfs);
	o->lfs = lfs;
	o->recovery = op->rc.stats;
	o->recovery.took_ns = rt_time_since(rt_now(lfs->loop), op->rc.began);
	rt_log(RT_LOG_INFO,
	       "opened clean=%d records=%llu bytes=%llu lsn=%llu incarnation=%llu",
	       o->recovery.was_clean, (unsigned long long)o->recovery.records,
	       (unsigned long long)o->recovery.bytes,
	       (unsigned long long)o->recovery.last_lsn,
	       (unsigned long long)lfs->incarnation);
	opening_free(op);
	o->done(o, 0);
}

static void open_named(struct lfs_superblock_request *req, int res)
{
	struct opening *op = rt_container_of(req, struct opening, req);

	if (res) {
		open_failed_late(op, res);
		return;
	}
	op->wait.done = open_done;
	lfs_checkpoint_wait(op->lfs, &op->wait);
}

static void open_recovered(struct lfs_recover *rc, int res)
{
	struct opening *op = rt_container_of(rc, struct opening, rc);
	struct lfs *lfs = op->lfs;

	if (!res) {
		lfs->head.built = lfs->head.applied = rc->replay.tail;
		res = lfs_prepare(lfs);
		if (res)
			lfs_say(rc->why, "no memory for the log's buffers");
	}
	if (res) {
		memcpy(op->o->why, rc->why, LFS_WHY_MAX);
		open_failed(op, res);
		return;
	}
	/* A slot that could not be used is written first: the other one is all there is. */
	lfs->ck.next_checkpoint_slot = rc->fallback ? lfs->superblock.current.checkpoint_slot
					 : !lfs->superblock.current.checkpoint_slot;
	*op->meta = lfs->meta;
	lfs->incarnation = lfs->superblock.current.incarnation;
	if (lfs->incarnation < rc->replay.incarnation)
		lfs->incarnation = rc->replay.incarnation;
	/* A damaged superblock may have been one incarnation ahead. */
	if (!RT_BUG(NO_INCARNATION) || !lfs->incarnation)
		lfs->incarnation += 1 + op->one_bad;
	op->req = (struct lfs_superblock_request){
		.done = open_named,
		.meta = op->meta,
		.clear_flags = LFS_CLEAN,
	};
	lfs_superblock_submit(lfs, &op->req);
}

/* The events are here. */
static void open_recover(struct lfs_wait *w, int res)
{
	struct opening *op = rt_container_of(w, struct opening, wait);
	struct lfs *lfs = op->lfs;

	(void)res; /* what cannot be read of them is missing, and no more */

	op->rc.loop = lfs->loop;
	op->rc.file = lfs->file;
	op->rc.superblock = &lfs->superblock.current;
	op->rc.meta = &lfs->meta;
	op->rc.segs = &lfs->segs;
	op->rc.map = &lfs->map;
	op->rc.map_memory = lfs->map_memory;
	op->rc.done = open_recovered;
	op->rc.cross = op->one_bad;
	op->rc.clean = lfs->meta.flags & LFS_CLEAN;
	op->rc.stats.was_clean = op->rc.clean;
	(void)lfs_alive_decode(op->supers + LFS_ALIVE_OFF, lfs->superblock.current.store,
			       &op->rc.stats.alive);
	lfs_recover_start(&op->rc);
}

/* ---- superblocks ------------------------------------------------------------------------------ */

/* Which of the two counts. 0 with its copy and meta in lfs, or the error with `why`. */
static int open_superblocks_choose(struct opening *op)
{
	struct lfs *lfs = op->lfs;
	struct lfs_superblock superblock[2];
	char why[2][LFS_WHY_MAX];
	int res[2];
	unsigned best;

	for (unsigned i = 0; i < 2; i++) {
		res[i] = lfs_superblock_decode(op->supers + i * LFS_SUPERBLOCK_REGION,
					       &superblock[i], op->meta, why[i]);
		if (res[i] == -EPROTONOSUPPORT) {
			memcpy(op->o->why, why[i], LFS_WHY_MAX);
			return res[i];
		}
	}
	if (res[0] && res[1]) {
		best = res[1] == -EUCLEAN;
		lfs_say(op->o->why, "%.200s",
			res[best] == -EUCLEAN ? "both superblocks are damaged"
					      : why[best]);
		return res[best];
	}
	best = res[0] || (!res[1] && superblock[1].seq > superblock[0].seq);
	op->one_bad = res[0] || res[1];
	(void)lfs_superblock_decode(op->supers + best * LFS_SUPERBLOCK_REGION,
				    &lfs->superblock.current, &lfs->meta, why[0]);
	lfs->superblock.copy = best;
	return 0;
}

static int open_superblocks_check(struct opening *op)
{
	struct lfs *lfs = op->lfs;
	int res = open_superblocks_choose(op);

	if (res)
		return res;
	lfs->geo = lfs->superblock.current.geo;
	if (strcmp(op->group_name, lfs->meta.group_name) != 0) {
		lfs_say(op->o->why, "store of group \"%s\", not of \"%s\"",
			lfs->meta.group_name, op->group_name);
		return -EMEDIUMTYPE;
	}
	if (op->file_size < lfs->geo.store_size) {
		lfs_say(op->o->why, "%llu bytes long, the store in it needs %llu",
			(unsigned long long)op->file_size,
			(unsigned long long)lfs->geo.store_size);
		return -EFBIG;
	}
	if (op->one_bad)
		rt_log(RT_LOG_WARN, "superblock-damaged copy=%c used=%c",
		       lfs->superblock.copy ? 'A' : 'B',
		       lfs->superblock.copy ? 'B' : 'A');
	return 0;
}

static void open_superblocks_done(struct rt_op *rop, int res);

static void open_superblocks_read(struct opening *op)
{
	op->op.done = open_superblocks_done;
	rt_read(op->lfs->file, &op->op, op->supers + op->got,
		2 * LFS_SUPERBLOCK_REGION - op->got, op->got);
}

static void open_superblocks_done(struct rt_op *rop, int res)
{
	struct opening *op = rt_container_of(rop, struct opening, op);

	if (res < 0) {
		lfs_say(op->o->why, "reading the superblocks failed: %s", strerror(-res));
		open_failed(op, -EIO);
		return;
	}
	op->got += (uint32_t)res;
	if (res && op->got < 2 * LFS_SUPERBLOCK_REGION) {
		open_superblocks_read(op);
		return;
	}
	memset(op->supers + op->got, 0, 2 * LFS_SUPERBLOCK_REGION - op->got);
	res = open_superblocks_check(op);
	op->wait.done = open_recover;
	if (!res) {
		res = lfs_event_log_load(op->lfs, &op->wait);
		if (res)
			lfs_say(op->o->why, "no memory for the events");
	}
	if (res)
		open_failed(op, res);
}

/* ---- the beginning ------------------------------------------------------------------------------ */

static void open_refused(struct rt_op *rop, int res)
{
	struct opening *op = rt_container_of(rop, struct opening, op);

	(void)res;
	open_failed(op, op->res);
}

static int open_file(struct opening *op, const char *path)
{
	int res = rt_file_open(op->lfs->loop, path,
			       RT_FILE_WRITE | RT_FILE_DIRECT | RT_FILE_EXCLUSIVE,
			       &op->lfs->file);

	if (res) {
		op->lfs->file = NULL;
		lfs_say(op->o->why, "%.150s: %s", path,
			res == -ENOENT	? "there is no such file"
			: res == -EBUSY ? "in use by another process"
					: strerror(-res));
		return res;
	}
	res = rt_file_size(op->lfs->file, &op->file_size);
	if (res)
		lfs_say(op->o->why, "%.150s: its size: %s", path, strerror(-res));
	return res;
}

static char *open_copy_string(const char *s)
{
	size_t len = strlen(s) + 1;
	char *ret = rt_alloc(len);

	if (ret)
		memcpy(ret, s, len);
	return ret;
}

static struct lfs *open_new_store(struct rt_loop *loop,
				  const struct lfs_open_params *params)
{
	struct lfs *lfs = rt_zalloc(1, sizeof(*lfs));

	if (!lfs)
		return NULL;
	lfs->loop = loop;
	lfs->events = params->events;
	lfs->owner = params->owner;
	lfs->map_memory = params->map_memory;
	lfs->ck.every_bytes = params->checkpoint_every;
	lfs->ck.every_ms = params->checkpoint_ms;
	lfs->opening = true;
	return lfs;
}

static_assert(sizeof(struct rt_op) <= sizeof(((struct lfs_open *)0)->impl),
	      "fits into impl");

static void open_no_memory(struct rt_op *rop, int res)
{
	struct lfs_open *o = rt_container_of((void *)rop, struct lfs_open, impl);

	(void)res;
	lfs_say(o->why, "no memory");
	o->done(o, -ENOMEM);
}

void lfs_open(struct rt_loop *loop, const struct lfs_open_params *params,
	      struct lfs_open *o)
{
	struct opening *op = rt_zalloc(1, sizeof(*op));

	o->lfs = NULL;
	o->why[0] = 0;
	o->recovery = (struct lfs_recovery){ 0 };
	if (!op) {
		struct rt_op *rop = (struct rt_op *)(void *)o->impl;

		rop->done = open_no_memory;
		rt_defer(loop, rop);
		return;
	}
	op->o = o;
	op->lfs = open_new_store(loop, params);
	op->group_name = open_copy_string(params->group_name);
	op->supers = rt_alloc_blocks(2 * LFS_SUPERBLOCK_REGION);
	op->meta = rt_zalloc(1, sizeof(*op->meta));
	op->res = -ENOMEM;
	lfs_say(o->why, "no memory");
	if (op->lfs && op->group_name && op->supers && op->meta) {
		o->why[0] = 0;
		op->res = open_file(op, params->path);
	}
	if (!op->res) {
		open_superblocks_read(op);
		return;
	}
	op->op.done = open_refused;
	rt_defer(loop, &op->op);
}
