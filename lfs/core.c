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
	if (lfs->advanced && !lfs->opening && !lfs->close) {
		lfs->advanced = false;
		lfs->events->advanced(lfs->owner);
	}
}

static void kicked(struct rt_op *op, int res)
{
	struct lfs *lfs = rt_container_of(op, struct lfs, kick_op);

	(void)res;
	lfs->kicked = false;
	lfs_apply(lfs);
	settle(lfs);
	/* Last: nobody else is on the stack, and this may be the end of lfs. */
	if (lfs->close && !lfs->kicked)
		lfs_close_step(lfs);
}

void lfs_kick(struct lfs *lfs)
{
	if (lfs->kicked)
		return;
	lfs->kicked = true;
	lfs->kick_op.done = kicked;
	rt_defer(lfs->loop, &lfs->kick_op);
}

void lfs_settle(struct lfs *lfs)
{
	settle(lfs);
	if (lfs->close)
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

static int prepare_flights(struct lfs *lfs)
{
	uint32_t data = lfs_record_data_max(lfs->segment_blocks);
	size_t area = (size_t)(1 + lfs_record_head_blocks(LFS_RECORD_DESCS_MAX, data)) *
		      LFS_BLOCK;
	size_t footer = (size_t)lfs_footer_blocks(lfs->segment_blocks) * LFS_BLOCK;

	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		struct lfs_flight *f = &lfs->flights[i];

		f->lfs = lfs;
		rt_list_init(&f->appends);
		rt_list_init(&f->in_map);
		f->area = rt_alloc_blocks(area);
		f->iov = rt_zalloc(LFS_RECORD_DESCS_MAX + 1, sizeof(*f->iov));
		lfs->footers[i] = rt_alloc_blocks(footer);
		if (!f->area || !f->iov || !lfs->footers[i])
			return -ENOMEM;
		lfs->nfooters = i + 1;
	}
	lfs->footer = rt_alloc_blocks(footer);
	return lfs->footer ? 0 : -ENOMEM;
}

int lfs_prepare(struct lfs *lfs)
{
	struct lfs_super_writer *sb = &lfs->sb;
	struct lfs_checkpoint *ck = &lfs->ck;

	lfs->segment_blocks = lfs->segs.blocks;
	lfs->seal_blocks = lfs_footer_blocks(lfs->segment_blocks);
	lfs->seal_blocks += lfs_record_head_blocks(1, lfs->seal_blocks);
	if (!lfs->checkpoint_every)
		lfs->checkpoint_every = lfs->geo.checkpoint_every;
	lfs->admitted_lsn = lfs->applied.lsn;
	lfs->admitted_hash = lfs->applied.hash;
	lfs->durable_seq = lfs->applied.seq;
	lfs->durable_lsn = lfs->applied.lsn;
	rt_list_init(&lfs->queue);
	rt_list_init(&sb->waiting);
	rt_list_init(&sb->taken);
	rt_list_init(&ck->waiting);
	rt_list_init(&ck->taken);
	lfs_flush_init(lfs);
	sb->buf = rt_alloc_blocks(LFS_SUPER_REGION);
	sb->meta_next = rt_zalloc(1, sizeof(*sb->meta_next));
	lfs->set_meta_copy = rt_zalloc(1, sizeof(*lfs->set_meta_copy));
	ck->images = rt_alloc_blocks((size_t)LFS_CHECKPOINT_BATCH * LFS_BLOCK);
	ck->piece = rt_alloc_blocks(LFS_CHECKPOINT_PIECE);
	if (!sb->buf || !sb->meta_next || !lfs->set_meta_copy || !ck->images ||
	    !ck->piece || prepare_flights(lfs) || lfs_read_init(lfs))
		return -ENOMEM;
	return lfs_overlay_init(&lfs->overlay,
				(uint32_t)(LFS_PENDING_BYTES_MAX / LFS_BLOCK));
}

void lfs_free(struct lfs *lfs)
{
	if (!lfs)
		return;
	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		rt_assert(!lfs->flights[i].busy);
		rt_free(lfs->flights[i].footer);
		rt_free(lfs->flights[i].area);
		rt_free(lfs->flights[i].iov);
	}
	for (unsigned i = 0; i < lfs->nfooters; i++)
		rt_free(lfs->footers[i]);
	rt_free(lfs->footer);
	lfs_overlay_release(&lfs->overlay);
	lfs_map_release(&lfs->map);
	if (lfs->map_next)
		lfs_map_release(lfs->map_next);
	rt_free(lfs->map_next);
	lfs_segments_release(&lfs->segs);
	rt_free(lfs->sb.buf);
	rt_free(lfs->sb.meta_next);
	rt_free(lfs->set_meta_copy);
	rt_free(lfs->ck.images);
	rt_free(lfs->ck.piece);
	rt_free(lfs->reader.runs);
	rt_file_close(lfs->file);
	rt_free(lfs);
}
