// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/mem.h"

/*
 * The superblock is rewritten over the older of its two copies, with a flush before, so
 * that what it refers to is there, and one after, so that it counts. Facts of the group count
 * when both copies hold them: the older one is what is left where the newer is damaged, and
 * a fence or an epoch must not be forgotten by that.
 */

static void superblock_flushed(struct lfs_wait *w, int res);

int lfs_superblock_writer_init(struct lfs_superblock_writer *sb)
{
	rt_list_init(&sb->waiting);
	rt_list_init(&sb->taken);
	sb->buf = rt_alloc_blocks(LFS_SUPERBLOCK_REGION);
	sb->meta_next = rt_zalloc(1, sizeof(*sb->meta_next));
	return sb->buf && sb->meta_next ? 0 : -ENOMEM;
}

void lfs_superblock_writer_release(struct lfs_superblock_writer *sb)
{
	rt_free(sb->buf);
	rt_free(sb->meta_next);
}

/* Each state follows the one before it, WRITE the first copy's end, and IDLE any of them. */
static void superblock_set_state(struct lfs_superblock_writer *sb,
				 enum lfs_superblock_state state)
{
	rt_assert(state == LFS_SUPERBLOCK_IDLE ? sb->state != LFS_SUPERBLOCK_IDLE
		  : state == LFS_SUPERBLOCK_WRITE && sb->facts
			  ? sb->state == LFS_SUPERBLOCK_FLUSH ||
				    sb->state == LFS_SUPERBLOCK_FLUSH_ITSELF
			  : state == sb->state + 1);
	sb->state = state;
}

static void superblock_end(struct lfs *lfs, int res)
{
	struct lfs_superblock_writer *sb = &lfs->superblock;
	struct rt_list mine, *l;

	rt_list_init(&mine);
	while ((l = rt_list_pop(&sb->taken)) != NULL)
		rt_list_push_back(&mine, l);
	superblock_set_state(sb, LFS_SUPERBLOCK_IDLE);
	if (!res) {
		/* What is queued has its hash from the epoch it was admitted in. */
		rt_assert(rt_list_empty(&lfs->admission.queue) ||
			  lfs_epoch_of(&lfs->meta, lfs->admission.lsn)->id ==
				  lfs_epoch_of(sb->meta_next, lfs->admission.lsn)->id);
		sb->current = sb->next;
		sb->copy = !sb->copy;
		lfs->meta = *sb->meta_next;
	}
	while ((l = rt_list_pop(&mine)) != NULL) {
		struct lfs_superblock_request *req =
			rt_container_of(l, struct lfs_superblock_request, link);

		req->done(req, res);
	}
	lfs_schedule(lfs);
}

static void superblock_written(struct rt_op *op, int res)
{
	struct lfs_superblock_writer *sb =
		rt_container_of(op, struct lfs_superblock_writer, op);
	struct lfs *lfs = rt_container_of(sb, struct lfs, superblock);

	if (res <= 0) {
		res = res ? res : -EIO;
		lfs_fail(lfs, res, "write of superblock %c failed: %s",
			 sb->copy ? 'A' : 'B', strerror(-res));
	}
	if (lfs->failed) {
		superblock_end(lfs, -EIO);
		return;
	}
	lfs->figures.disk_bytes += (uint64_t)res;
	sb->done += (uint32_t)res;
	if (sb->done < sb->len) {
		rt_write(lfs->file, &sb->op, sb->buf + sb->done, sb->len - sb->done,
			 lfs_superblock_off(!sb->copy) + sb->done);
		return;
	}
	superblock_set_state(sb, LFS_SUPERBLOCK_FLUSH_ITSELF);
	lfs_flush_wait(lfs, &sb->wait);
}

static void superblock_write(struct lfs *lfs)
{
	struct lfs_superblock_writer *sb = &lfs->superblock;

	superblock_set_state(sb, LFS_SUPERBLOCK_WRITE);
	sb->next.seq = sb->current.seq + 1;
	sb->len = lfs_superblock_encode(sb->buf, &sb->next, sb->meta_next);
	sb->done = 0;
	sb->op.done = superblock_written;
	rt_write(lfs->file, &sb->op, sb->buf, sb->len, lfs_superblock_off(!sb->copy));
}

/* One copy holds the facts: now the other. */
static void superblock_write_other(struct lfs *lfs)
{
	struct lfs_superblock_writer *sb = &lfs->superblock;

	sb->current = sb->next;
	sb->copy = !sb->copy;
	superblock_write(lfs);
	sb->facts = false;
}

static void superblock_flushed(struct lfs_wait *w, int res)
{
	struct lfs_superblock_writer *sb =
		rt_container_of(w, struct lfs_superblock_writer, wait);
	struct lfs *lfs = rt_container_of(sb, struct lfs, superblock);

	if (res)
		superblock_end(lfs, -EIO);
	else if (sb->state == LFS_SUPERBLOCK_FLUSH_ITSELF && sb->facts)
		superblock_write_other(lfs);
	else if (sb->state == LFS_SUPERBLOCK_FLUSH_ITSELF)
		superblock_end(lfs, 0);
	else
		superblock_write(lfs);
}

static void writer_req_merge(struct lfs_superblock_writer *sb,
			     const struct lfs_superblock_request *req)
{
	if (req->meta) {
		*sb->meta_next = *req->meta;
		sb->facts = !RT_BUG(FACT_IN_ONE_COPY);
	}
	if (req->checkpoint) {
		sb->next.checkpoint_slot = req->checkpoint_slot;
		sb->next.checkpoint_slot_seq = req->checkpoint_slot_seq;
	}
	sb->meta_next->flags |= req->set_flags;
	sb->meta_next->flags &= ~req->clear_flags;
}

void lfs_superblock_advance(struct lfs *lfs)
{
	struct lfs_superblock_writer *sb = &lfs->superblock;
	bool flush = true;
	struct rt_list *l;

	lfs_meta_advance(lfs);
	if (sb->state != LFS_SUPERBLOCK_IDLE || rt_list_empty(&sb->waiting))
		return;
	superblock_set_state(sb, LFS_SUPERBLOCK_FLUSH);
	sb->facts = false;
	sb->next = sb->current;
	sb->next.incarnation = lfs->incarnation;
	*sb->meta_next = lfs->meta;
	while ((l = rt_list_pop(&sb->waiting)) != NULL) {
		struct lfs_superblock_request *req =
			rt_container_of(l, struct lfs_superblock_request, link);

		writer_req_merge(sb, req);
		if (RT_BUG(CHECKPOINT_BEFORE_FLUSH) && req->checkpoint)
			flush = false;
		rt_list_push_back(&sb->taken, l);
	}
	sb->wait.done = superblock_flushed;
	if (lfs->failed)
		superblock_end(lfs, -EIO);
	else if (flush)
		lfs_flush_wait(lfs, &sb->wait);
	else
		superblock_write(lfs);
}

bool lfs_superblock_idle(const struct lfs *lfs)
{
	return lfs->superblock.state == LFS_SUPERBLOCK_IDLE &&
	       rt_list_empty(&lfs->superblock.waiting);
}

void lfs_superblock_submit(struct lfs *lfs, struct lfs_superblock_request *req)
{
	rt_list_push_back(&lfs->superblock.waiting, &req->link);
	lfs_schedule(lfs);
}
