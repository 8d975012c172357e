// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "lfs/open_store.h"
#include "rt/check.h"

/*
 * Admission and group commit: what queued up while earlier records were under way
 * becomes the next record.
 */

/* Leaves that a zero of a huge range with two edges changes, and so does any short run. */
#define LFS_LEAVES_OF_FEW 4u

static uint32_t append_data_blocks(const struct lfs_append *a)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < a->nops; i++)
		if (a->ops[i].kind == LFS_WRITE)
			n += a->ops[i].blocks;
	return n;
}

/* Blocks of a record that holds nothing else. */
static uint32_t append_blocks_alone(const struct lfs_append *a)
{
	uint32_t data = append_data_blocks(a);

	return lfs_record_head_blocks(a->nops, data) + data;
}

/* ---- space ------------------------------------------------------------------------------ */

static uint32_t admission_record_max(const struct lfs *lfs)
{
	return lfs_record_alone_max(lfs->meta.max_request);
}

/*
 * Segments that the images of the map may take, once `more` leaves are dirty: of what is
 * dirty or will be, and of what the checkpoint under way has written already.
 */
static uint64_t admission_map_segments(const struct lfs *lfs, uint32_t more)
{
	return lfs_images_segments(lfs_map_images_max(&lfs->map) +
					   lfs->admission.pending_leaves + more +
					   LFS_CHECKPOINT_BATCH + lfs->ck.captured,
				   lfs->segs.blocks);
}

/* Blocks that clients can still take, when they make `leaves` more leaves dirty. */
static uint64_t append_room_beside(const struct lfs *lfs, uint32_t leaves)
{
	uint64_t usable = lfs_segment_usable(lfs->segs.blocks, lfs->meta.max_request);
	uint64_t have = lfs->segs.free * usable, want;
	uint32_t room = lfs->head.built.block ? lfs_inflight_room(&lfs->head) : 0;

	if (room > admission_record_max(lfs))
		have += room - admission_record_max(lfs);
	want = (LFS_RESERVE_SEGMENTS + admission_map_segments(lfs, leaves)) * usable +
	       lfs->admission.queued_blocks;
	return have > want ? have - want : 0;
}

uint64_t lfs_append_room(const struct lfs *lfs)
{
	return append_room_beside(lfs, 0);
}

/* Of one run of max_request bytes, unaligned. */
static uint32_t admission_leaves_max(const struct lfs *lfs)
{
	return lfs_data_max(lfs->meta.max_request) / LFS_BLOCK / LFS_LEAF_BLOCKS +
	       LFS_LEAVES_OF_FEW;
}

bool lfs_append_has_room(const struct lfs *lfs)
{
	return append_room_beside(lfs, admission_leaves_max(lfs)) >=
	       admission_record_max(lfs);
}

bool lfs_append_has_map_memory(const struct lfs *lfs)
{
	return lfs->map.memory_max - lfs->map.memory >=
	       (uint64_t)admission_leaves_max(lfs) * sizeof(struct lfs_leaf);
}

/* ---- admission ---------------------------------------------------------------------------- */

static void append_check(const struct lfs *lfs, const struct lfs_append *a)
{
	rt_assert(a->lsn == lfs->admission.lsn + 1);
	rt_assert(a->nops >= 1 && a->nops <= LFS_OPS_MAX);
	for (unsigned i = 0; i < a->nops; i++) {
		const struct lfs_op *op = &a->ops[i];

		rt_assert(lfs_map_has(&lfs->map, op->volume, op->lba, op->blocks));
		rt_assert(op->kind != LFS_WRITE || !((uintptr_t)op->data % LFS_BLOCK));
	}
	rt_assert(append_data_blocks(a) <=
		  lfs_data_max(lfs->meta.max_request) / LFS_BLOCK);
}

static bool admission_full(const struct lfs *lfs, uint32_t data)
{
	return lfs->admission.pending_appends >= LFS_PENDING_APPENDS_MAX ||
	       data > lfs->admission.write_buffer.unused ||
	       lfs->admission.log_bytes - lfs->ck.base_bytes >= 2 * lfs->ck.every_bytes;
}

static void append_unpin(struct lfs *lfs, const struct lfs_append *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a->ops[i].kind == LFS_WRITE)
			lfs_map_unpin(&lfs->map, a->ops[i].volume, a->ops[i].lba,
				      a->ops[i].blocks);
}

/* Memory for all leaves, so that nothing can fail once the record is written. */
static int append_pin(struct lfs *lfs, const struct lfs_append *a)
{
	int ret;

	for (unsigned i = 0; i < a->nops; i++) {
		const struct lfs_op *op = &a->ops[i];

		if (op->kind != LFS_WRITE)
			continue;
		ret = lfs_map_pin(&lfs->map, op->volume, op->lba, op->blocks);
		if (!ret)
			continue;
		append_unpin(lfs, a, i);
		return ret;
	}
	return 0;
}

static uint32_t append_leaves(const struct lfs_append *a)
{
	uint32_t n = 0;

	/* A zero or trim leaves something to be written of two leaves at most. */
	for (unsigned i = 0; i < a->nops; i++)
		n += a->ops[i].kind == LFS_WRITE
			     ? lfs_map_leaves(a->ops[i].lba, a->ops[i].blocks)
			     : 2;
	return n;
}

int lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	uint32_t data, blocks, leaves;
	int ret;

	rt_assert(!lfs_closing(&lfs->closing) && !lfs->opening);
	append_check(lfs, a);
	if (lfs->failed)
		return -EIO;
	if (lfs->meta.flags & (LFS_FENCED | LFS_SEALED))
		return -EROFS;
	data = append_data_blocks(a);
	blocks = append_blocks_alone(a);
	leaves = append_leaves(a);
	if (admission_full(lfs, data))
		return -EAGAIN;
	if (append_room_beside(lfs, leaves) < blocks)
		return -ENOSPC;
	ret = append_pin(lfs, a);
	if (ret)
		return ret;
	a->hash = lfs_history_next(lfs->admission.hash,
				   lfs_epoch_of(&lfs->meta, a->lsn)->id, a->ops, a->nops);
	a->bytes = lfs->admission.bytes + (uint64_t)data * LFS_BLOCK;
	lfs->admission.hash = a->hash;
	lfs->admission.bytes = a->bytes;
	lfs->admission.lsn = a->lsn;
	lfs->admission.pending_appends++;
	lfs->admission.pending_leaves += leaves;
	lfs->admission.queued_blocks += blocks;
	lfs->figures.client_bytes += (uint64_t)data * LFS_BLOCK;
	lfs->admission.log_bytes += (uint64_t)blocks * LFS_BLOCK;
	lfs->ck.changed = true;
	lfs_write_buffer_add(&lfs->admission.write_buffer, a);
	rt_list_push_back(&lfs->admission.queue, &lfs_append_impl(a)->link);
	/* What else comes in this turn of the loop goes into the same record. */
	lfs_schedule(lfs);
	return 0;
}

/* ---- records ------------------------------------------------------------------------------ */

struct batch {
	uint32_t appends, descs, blocks;
};

/* How much of the queue makes the next record; `room` blocks are left in the segment. */
static struct batch batch_measure(const struct lfs *lfs, uint32_t room)
{
	const struct lfs_epoch *epoch = NULL;
	struct batch b = { 0 };

	for (struct rt_list *l = lfs->admission.queue.next; l != &lfs->admission.queue;
	     l = l->next) {
		const struct lfs_append *a = lfs_append_of(l);
		uint32_t descs = b.descs + a->nops,
			 blocks = b.blocks + append_data_blocks(a);

		if (b.appends &&
		    (descs > LFS_RECORD_DESCS_MAX || blocks > LFS_BATCH_MAX / LFS_BLOCK ||
		     lfs_record_head_blocks(descs, blocks) + blocks > room ||
		     lfs_epoch_of(&lfs->meta, a->lsn) != epoch))
			break;
		epoch = lfs_epoch_of(&lfs->meta, a->lsn);
		b.appends++;
		b.descs = descs;
		b.blocks = blocks;
	}
	return b;
}

static void client_take_op(struct lfs_inflight *f, const struct lfs_append *a, unsigned i)
{
	const struct lfs_op *op = &a->ops[i];
	bool last = i == a->nops - 1;
	struct lfs_desc desc = {
		.kind = (enum lfs_desc_kind)op->kind,
		.last = last,
		.volume = op->volume,
		.lba = op->lba,
		.blocks = op->blocks,
		.wall_ns = last ? a->wall_ns : 0,
	};

	lfs_record_put_desc(lfs_inflight_area(f), f->ndescs++, &desc);
	if (op->kind == LFS_WRITE)
		lfs_inflight_data(f, op->data, (size_t)op->blocks * LFS_BLOCK);
}

/* Checksums of the blocks: once all descriptors are in and the segment is open. */
static void client_crcs(struct lfs_inflight *f)
{
	uint32_t at = 0;

	for (struct rt_list *l = f->appends.next; l != &f->appends; l = l->next) {
		const struct lfs_append *a = lfs_append_of(l);

		for (unsigned i = 0; i < a->nops; i++) {
			const struct lfs_op *op = &a->ops[i];

			if (op->kind != LFS_WRITE)
				continue;
			lfs_record_put_crcs(lfs_inflight_area(f), f->ndescs, at, op->crcs,
					    op->blocks);
			at += op->blocks;
		}
	}
	f->nblocks = at;
}

/* The segment summary says of each block what it is and its birth LSN. */
static void client_summary(struct lfs_inflight *f)
{
	uint32_t pba = f->pba;

	for (struct rt_list *l = f->appends.next; l != &f->appends; l = l->next) {
		const struct lfs_append *a = lfs_append_of(l);

		for (unsigned i = 0; i < a->nops; i++) {
			const struct lfs_op *op = &a->ops[i];

			for (uint32_t k = 0; op->kind == LFS_WRITE && k < op->blocks;
			     k++) {
				struct lfs_summary_item item = {
					.volume = op->volume,
					.crc = op->crcs[k],
					.lba = op->lba + k,
					.lsn = a->lsn,
				};

				lfs_head_note_block(f->head, pba++, &item);
			}
		}
	}
}

static bool client_build(struct lfs *lfs)
{
	struct lfs_append *a = lfs_append_of(lfs->admission.queue.next);
	struct lfs_inflight *f =
		lfs_inflight_get(&lfs->head, LFS_RECORD_CLIENT, append_blocks_alone(a));
	struct batch b;

	if (!f)
		return false;
	b = batch_measure(lfs, lfs_inflight_room(&lfs->head));
	f->ndescs = 0;
	for (uint32_t i = 0; i < b.appends; i++) {
		struct rt_list *l = rt_list_pop(&lfs->admission.queue);

		a = lfs_append_of(l);
		rt_list_push_back(&f->appends, l);
		lfs->admission.queued_blocks -= append_blocks_alone(a);
		for (unsigned n = 0; n < a->nops; n++)
			client_take_op(f, a, n);
	}
	client_crcs(f);
	lfs_inflight_submit(f, a);
	client_summary(f);
	return true;
}

void lfs_append_pump(struct lfs *lfs)
{
	while (lfs->head.ninflight < LFS_RECORDS_IN_FLIGHT && !lfs->failed) {
		bool queued = !rt_list_empty(&lfs->admission.queue);

		if (lfs->flusher.marker_wanted) {
			lfs_flush_marker(lfs);
			continue;
		}
		if (!queued || !client_build(lfs))
			break;
	}
}

bool lfs_append_idle(const struct lfs *lfs)
{
	return rt_list_empty(&lfs->admission.queue) && !lfs->head.ninflight &&
	       !lfs->map_head.ninflight;
}

static void appends_fail(struct lfs *lfs, struct rt_list *list)
{
	struct rt_list *l;

	while ((l = rt_list_pop(list)) != NULL) {
		struct lfs_append *a = lfs_append_of(l);

		/* Its leaves stay pinned: nothing enters the map any more. */
		lfs_write_buffer_remove(&lfs->admission.write_buffer, a);
		a->done(a, -EIO);
	}
}

/* What is being written is lent to the loop until its write has ended. */
static void append_head_fail(struct lfs_head *head)
{
	struct rt_list *l;

	while (head->ninflight && lfs_inflight_front(head)->written) {
		struct lfs_inflight *f = lfs_inflight_front(head);

		/* The map holds a part of the record: none of its appends has ended well. */
		while ((l = rt_list_pop(&f->in_map)) != NULL)
			lfs_append_of(l)->done(lfs_append_of(l), -EIO);
		appends_fail(head->lfs, &f->appends);
		lfs_inflight_pop(head);
	}
}

void lfs_append_fail(struct lfs *lfs)
{
	append_head_fail(&lfs->head);
	append_head_fail(&lfs->map_head);
	if (!lfs->head.ninflight)
		appends_fail(lfs, &lfs->admission.queue);
}
