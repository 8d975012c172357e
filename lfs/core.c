// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "lfs/state.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/mem.h"

/* What holds the parts of an open store together. */

static void settle(struct lfs *lfs)
{
	if (lfs->failed)
		lfs_append_fail(lfs);
	lfs_checkpoint_settle(lfs);
	lfs_append_pump(lfs);
	lfs_flush_settle(lfs);
	lfs_super_settle(lfs);
	lfs_read_settle(lfs);
	if (lfs->advanced && !lfs->opening && !lfs_closing(&lfs->closing)) {
		lfs->advanced = false;
		lfs->events->advanced(lfs->owner);
	}
}

static void kick_done(struct rt_op *op, int res)
{
	struct lfs *lfs = rt_container_of(op, struct lfs, kick_op);

	(void)res;
	lfs->kicked = false;
	lfs_apply(lfs);
	settle(lfs);
	/* Last: nobody else is on the stack, and this may be the end of lfs. */
	if (lfs_closing(&lfs->closing) && !lfs->kicked)
		lfs_close_step(lfs);
}

void lfs_kick(struct lfs *lfs)
{
	if (lfs->kicked)
		return;
	lfs->kicked = true;
	lfs->kick_op.done = kick_done;
	rt_defer(lfs->loop, &lfs->kick_op);
}

void lfs_settle(struct lfs *lfs)
{
	settle(lfs);
	if (lfs_closing(&lfs->closing))
		lfs_kick(lfs);
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
	rt_log(RT_LOG_ERROR, "store_failed error=%d why=\"%s\"", -err, lfs->why);
	lfs_flush_stop(lfs);
	lfs_kick(lfs);
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
	lfs->flusher.durable_seq = lfs->head.applied.seq;
	lfs->flusher.durable_lsn = lfs->head.applied.lsn;
	rt_list_init(&lfs->admission.queue);
	lfs_flush_init(lfs);
	ret = lfs_super_writer_init(&lfs->sb);
	lfs->meta_change.copy = rt_zalloc(1, sizeof(*lfs->meta_change.copy));
	if (lfs_checkpoint_init(&lfs->ck) || ret || !lfs->meta_change.copy ||
	    lfs_head_init(lfs) || lfs_read_init(lfs))
		return -ENOMEM;
	return lfs_overlay_init(&lfs->admission.overlay,
				(uint32_t)(LFS_PENDING_BYTES_MAX / LFS_BLOCK));
}

void lfs_free(struct lfs *lfs)
{
	if (!lfs)
		return;
	lfs_head_release(&lfs->head);
	lfs_overlay_release(&lfs->admission.overlay);
	lfs_map_release(&lfs->map);
	if (lfs->meta_change.map)
		lfs_map_release(lfs->meta_change.map);
	rt_free(lfs->meta_change.map);
	lfs_segments_release(&lfs->segs);
	lfs_super_writer_release(&lfs->sb);
	rt_free(lfs->meta_change.copy);
	lfs_checkpoint_release(&lfs->ck);
	rt_free(lfs->reader.runs);
	rt_file_close(lfs->file);
	rt_free(lfs);
}
