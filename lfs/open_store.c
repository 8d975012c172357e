// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/mem.h"

/* The parts of an open store go on, fail and end together. */

static void store_advance(struct lfs *lfs)
{
	if (lfs->failed)
		lfs_append_fail(lfs);
	lfs_checkpoint_advance(lfs);
	lfs_append_pump(lfs);
	lfs_flush_advance(lfs);
	lfs_superblock_advance(lfs);
	lfs_read_advance(lfs);
	if (lfs->advanced && !lfs->opening && !lfs_closing(&lfs->closing)) {
		lfs->advanced = false;
		lfs->events->advanced(lfs->owner);
	}
}

static void store_schedule_done(struct rt_op *op, int res)
{
	struct lfs *lfs = rt_container_of(op, struct lfs, schedule_op);

	(void)res;
	lfs->scheduled = false;
	lfs_apply(lfs);
	store_advance(lfs);
	/* Last: nobody else is on the stack, and this may be the end of lfs. */
	if (lfs_closing(&lfs->closing) && !lfs->scheduled)
		lfs_close_step(lfs);
}

void lfs_schedule(struct lfs *lfs)
{
	if (lfs->scheduled)
		return;
	lfs->scheduled = true;
	lfs->schedule_op.done = store_schedule_done;
	rt_defer(lfs->loop, &lfs->schedule_op);
}

void lfs_advance(struct lfs *lfs)
{
	store_advance(lfs);
	if (lfs_closing(&lfs->closing))
		lfs_schedule(lfs);
}

void lfs_fail(struct lfs *lfs, int err, const char *fmt, ...)
{
	va_list ap;

	if (lfs->failed)
		return;
	lfs->failed = true;
	va_start(ap, fmt);
	(void)vsnprintf(lfs->why, sizeof(lfs->why), fmt, ap);
	va_end(ap);
	rt_log(RT_LOG_ERROR, "store-failed error=\"%s\" why=\"%s\"", strerror(-err),
	       lfs->why);
	lfs_flush_stop(lfs);
	lfs_schedule(lfs);
	if (!lfs->opening)
		lfs->events->failed(lfs->owner, err, lfs->why);
}

int lfs_prepare(struct lfs *lfs)
{
	int ret;

	if (!lfs->ck.every_bytes)
		lfs->ck.every_bytes = lfs->geo.checkpoint_every;
	lfs->admission.lsn = lfs->head.applied.lsn;
	lfs->admission.hash = lfs->head.applied.hash;
	lfs->admission.bytes = lfs->head.applied.bytes;
	lfs->flusher.durable_seq = lfs->head.applied.seq;
	lfs->flusher.durable = lfs_tail_image(&lfs->head.applied);
	lfs->map_head.built.segment = LFS_SEGMENT_NONE;
	lfs->map_head.applied = lfs->map_head.built;
	rt_list_init(&lfs->admission.queue);
	lfs_flush_init(lfs);
	ret = lfs_superblock_writer_init(&lfs->superblock);
	lfs->meta_change.copy = rt_zalloc(1, sizeof(*lfs->meta_change.copy));
	if (lfs_alive_init(&lfs->alive) || lfs_checkpoint_init(&lfs->ck, lfs->segs.n) ||
	    ret || !lfs->meta_change.copy ||
	    lfs_head_init(&lfs->head, lfs, LFS_HEAD_CLIENT) ||
	    lfs_head_init(&lfs->map_head, lfs, LFS_HEAD_MAP) || lfs_read_init(lfs))
		return -ENOMEM;
	return lfs_write_buffer_init(&lfs->admission.write_buffer,
				     (uint32_t)(LFS_PENDING_BYTES_MAX / LFS_BLOCK));
}

void lfs_free(struct lfs *lfs)
{
	if (!lfs)
		return;
	lfs_head_release(&lfs->head);
	lfs_head_release(&lfs->map_head);
	lfs_write_buffer_release(&lfs->admission.write_buffer);
	lfs_map_release(&lfs->map);
	if (lfs->meta_change.map)
		lfs_map_release(lfs->meta_change.map);
	rt_free(lfs->meta_change.map);
	lfs_segments_release(&lfs->segs);
	lfs_superblock_writer_release(&lfs->superblock);
	rt_free(lfs->meta_change.copy);
	lfs_checkpoint_release(&lfs->ck);
	lfs_event_log_release(&lfs->event_log);
	lfs_alive_release(&lfs->alive);
	rt_free(lfs->reader.runs);
	rt_file_close(lfs->file);
	rt_free(lfs);
}
