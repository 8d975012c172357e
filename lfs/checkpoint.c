// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/checkpoint_slot.h"
#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

/*
 * A checkpoint is the state at a boundary between two records of the log: it keeps where the
 * log ends there and the table of segments, freezes the leaves of the map that are dirty,
 * and writes their images while clients go on; then those of the inner nodes above them, the
 * checkpoint slot that is not in use, and at last the superblock that names it.
 */

#define BIT(state) (1u << (state))

/* What may follow a state. After a failure IDLE follows each. */
static const unsigned followers[] = {
	[LFS_CHECKPOINT_IDLE] = BIT(LFS_CHECKPOINT_CAPTURE),
	[LFS_CHECKPOINT_CAPTURE] =
		BIT(LFS_CHECKPOINT_IMAGES) | BIT(LFS_CHECKPOINT_CAPTURED),
	[LFS_CHECKPOINT_IMAGES] = BIT(LFS_CHECKPOINT_CAPTURE),
	[LFS_CHECKPOINT_CAPTURED] = BIT(LFS_CHECKPOINT_BODY),
	[LFS_CHECKPOINT_BODY] = BIT(LFS_CHECKPOINT_HEAD),
	[LFS_CHECKPOINT_HEAD] = BIT(LFS_CHECKPOINT_SUPERBLOCK),
	[LFS_CHECKPOINT_SUPERBLOCK] = BIT(LFS_CHECKPOINT_IDLE),
};

static void checkpoint_slot_next(struct lfs *lfs);

static void checkpoint_set_state(struct lfs *lfs, enum lfs_checkpoint_state state)
{
	rt_assert(followers[lfs->ck.state] & BIT(state) ||
		  (lfs->failed && state == LFS_CHECKPOINT_IDLE));
	lfs->ck.state = state;
}

int lfs_checkpoint_init(struct lfs_checkpoint *ck, uint32_t nsegments)
{
	rt_list_init(&ck->waiting);
	rt_list_init(&ck->taken);
	ck->images = rt_alloc_blocks((size_t)LFS_CHECKPOINT_BATCH * LFS_BLOCK);
	ck->slot.piece = rt_alloc_blocks(LFS_CHECKPOINT_PIECE);
	ck->segments = rt_zalloc(nsegments, sizeof(*ck->segments));
	return ck->images && ck->slot.piece && ck->segments ? 0 : -ENOMEM;
}

void lfs_checkpoint_release(struct lfs_checkpoint *ck)
{
	rt_free(ck->images);
	rt_free(ck->slot.piece);
	rt_free(ck->segments);
}

/* Does somebody or something ask for one? */
static bool checkpoint_wanted(const struct lfs *lfs)
{
	return !rt_list_empty(&lfs->ck.waiting) || lfs->ck.asked ||
	       lfs->admission.log_bytes - lfs->ck.base_bytes >= lfs->ck.every_bytes;
}

static void checkpoint_begin(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct rt_list *l;

	while ((l = rt_list_pop(&ck->waiting)) != NULL)
		rt_list_push_back(&ck->taken, l);
	checkpoint_set_state(lfs, LFS_CHECKPOINT_CAPTURE);
	ck->start = lfs->head.applied;
	ck->start_bytes = lfs->admission.log_bytes;
	memcpy(ck->segments, lfs->segs.s, lfs->segs.n * sizeof(*ck->segments));
	lfs_map_freeze(&lfs->map);
	ck->captured = 0;
	ck->asked = false;
	lfs->ck.changed = false;
}

static void checkpoint_waiters_end(struct lfs *lfs, int res)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&lfs->ck.taken)) != NULL) {
		struct lfs_wait *w = rt_container_of(l, struct lfs_wait, link);

		w->done(w, res);
	}
}

static void checkpoint_end(struct lfs *lfs, int res)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	checkpoint_set_state(lfs, LFS_CHECKPOINT_IDLE);
	ck->captured = 0;
	if (!res) {
		lfs->ck.base_bytes = ck->start_bytes;
		ck->next_checkpoint_slot = !ck->slot.number;
		lfs_segments_age(&lfs->segs);
		lfs->figures.checkpoint_at = rt_now(lfs->loop);
		lfs->advanced = true;
		lfs_checkpoint_arm(lfs);
	}
	checkpoint_waiters_end(lfs, res);
	lfs_schedule(lfs);
}

/* ---- images ------------------------------------------------------------------------------ */

/* Fill the empty batch with images; at most `max`. */
static void checkpoint_capture(struct lfs *lfs, unsigned max)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	while (ck->nbatch < max &&
	       lfs_map_capture(&lfs->map, ck->nbatch && !ck->batch[0].inner,
			       ck->images + (size_t)ck->nbatch * LFS_BLOCK,
			       &ck->batch[ck->nbatch]))
		ck->nbatch++;
	ck->captured += ck->nbatch;
}

static void checkpoint_put_images(struct lfs *lfs, struct lfs_inflight *f)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	f->ndescs = f->nblocks = ck->nbatch;
	for (unsigned i = 0; i < ck->nbatch; i++) {
		const struct lfs_map_image *image = &ck->batch[i];
		struct lfs_desc desc = {
			.kind = image->inner ? LFS_DESC_INNER : LFS_DESC_LEAF,
			.volume = image->volume,
			.lba = image->index,
			.blocks = 1,
		};

		lfs_record_put_desc(lfs_inflight_area(f), i, &desc);
		lfs_record_put_crcs(lfs_inflight_area(f), ck->nbatch, i, &image->crc, 1);
	}
	lfs_inflight_data(f, ck->images, (size_t)ck->nbatch * LFS_BLOCK);
}

/* A record of images, or the end of them. */
static void checkpoint_build(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_inflight *f = NULL;
	uint32_t room;

	ck->nbatch = 0;
	if (lfs_map_has_images(&lfs->map)) {
		f = lfs_inflight_get(&lfs->map_head, LFS_RECORD_MAP, 2);
		if (!f)
			return;
		room = lfs_inflight_room(&lfs->map_head) - 1;
		checkpoint_capture(
			lfs, room < LFS_CHECKPOINT_BATCH ? room : LFS_CHECKPOINT_BATCH);
	}
	if (!ck->nbatch) {
		checkpoint_set_state(lfs, LFS_CHECKPOINT_CAPTURED);
		return;
	}
	checkpoint_put_images(lfs, f);
	checkpoint_set_state(lfs, LFS_CHECKPOINT_IMAGES);
	lfs_inflight_submit(f, NULL);
	for (unsigned i = 0; i < ck->nbatch; i++) {
		struct lfs_summary_item item = {
			.volume = ck->batch[i].volume,
			.leaf = !ck->batch[i].inner,
			.inner = ck->batch[i].inner,
			.crc = ck->batch[i].crc,
			.lba = ck->batch[i].index,
			.lsn = ck->start.lsn,
		};

		lfs_head_note_block(&lfs->map_head, f->pba + i, &item);
	}
	/* Who waits to change a leaf that was frozen may be able to now. */
	lfs_apply_resume(lfs);
}

void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_inflight *f)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	for (unsigned i = 0; i < ck->nbatch; i++)
		lfs_map_written(&lfs->map, &ck->batch[i], f->pba + i);
	checkpoint_set_state(lfs, LFS_CHECKPOINT_CAPTURE);
}

/* ---- the checkpoint slot ------------------------------------------------------------------------------- */

/*
 * What the slot says of a segment. Only checkpoints write the map's segments: those are as they are
 * now, all others as they were at the start.
 */
static const struct lfs_segment *checkpoint_segment(const struct lfs *lfs, uint32_t n)
{
	static const struct lfs_segment unused;
	const struct lfs_segment *now = &lfs->segs.s[n];

	if (RT_BUG(COUNTS_AFTER_C))
		return now;
	if (lfs_segment_in_use(now) && now->kind == LFS_HEAD_MAP)
		return now->end == 1 ? &unused
				     : now; /* 1: nothing is written there yet */
	return lfs->ck.segments[n].end == 1 ? &unused : &lfs->ck.segments[n];
}

/* As many inner nodes, then segments, as fit; the rest of the piece is for the next one. */
static void checkpoint_piece_fill(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_checkpoint_slot_writer *w = &ck->slot;
	uint32_t n = w->piece_len;

	for (; ck->volume < lfs->map.nvolumes; ck->volume++, ck->index = 0) {
		struct lfs_map_volume *v = &lfs->map.v[ck->volume];

		for (; ck->index < v->ninner; ck->index++) {
			const struct lfs_inner *inner = &v->inner[ck->index];

			if (!inner->pba)
				continue;
			if (n + sizeof(struct lfs_checkpoint_slot_inner) >
			    LFS_CHECKPOINT_PIECE)
				goto full;
			lfs_checkpoint_slot_put_inner(w->piece + n, inner);
			n += sizeof(struct lfs_checkpoint_slot_inner);
			w->ninner++;
		}
	}
	for (; w->nsegments < lfs->segs.n; w->nsegments++) {
		if (n + sizeof(struct lfs_checkpoint_slot_segment) > LFS_CHECKPOINT_PIECE)
			goto full;
		lfs_checkpoint_slot_put_segment(w->piece + n,
						checkpoint_segment(lfs, w->nsegments));
		n += sizeof(struct lfs_checkpoint_slot_segment);
	}
full:
	w->piece_len = n;
}

static void checkpoint_slot_failed(struct lfs *lfs, int res)
{
	lfs_fail(lfs, res, "write of checkpoint slot %u failed: %s", lfs->ck.slot.number,
		 strerror(-res));
	checkpoint_end(lfs, -EIO);
	lfs_advance(lfs);
}

static void checkpoint_slot_written(struct rt_op *op, int res)
{
	struct lfs_checkpoint_slot_writer *w =
		rt_container_of(op, struct lfs_checkpoint_slot_writer, op);
	struct lfs *lfs = rt_container_of(w, struct lfs, ck.slot);
	uint32_t whole = w->piece_len / LFS_BLOCK * LFS_BLOCK;

	if (res <= 0) {
		checkpoint_slot_failed(lfs, res ? res : -EIO);
		return;
	}
	lfs->figures.disk_bytes += (uint64_t)res;
	w->piece_done += (uint32_t)res;
	if (lfs->failed) {
		checkpoint_end(lfs, -EIO);
		lfs_advance(lfs);
		return;
	}
	if (w->piece_done < whole) {
		rt_write(lfs->file, &w->op, w->piece + w->piece_done,
			 whole - w->piece_done, w->off + w->piece_done);
		return;
	}
	w->off += whole;
	w->piece_len -= whole;
	memmove(w->piece, w->piece + whole, w->piece_len);
	checkpoint_slot_next(lfs);
}

static void checkpoint_slot_write(struct lfs *lfs, uint32_t len)
{
	struct lfs_checkpoint_slot_writer *w = &lfs->ck.slot;

	w->piece_done = 0;
	w->op.done = checkpoint_slot_written;
	rt_write(lfs->file, &w->op, w->piece, len, w->off);
}

static void checkpoint_named(struct lfs_superblock_request *req, int res)
{
	checkpoint_end(rt_container_of(req, struct lfs, ck.req), res);
}

static void checkpoint_slot_head(struct lfs *lfs)
{
	struct lfs_checkpoint_slot_writer *w = &lfs->ck.slot;
	struct lfs_checkpoint_slot slot = {
		.seq = w->seq,
		.incarnation = lfs->incarnation,
		.start = lfs->ck.start,
		.written_seq = lfs->head.applied.seq,
		.body_length = w->off - lfs_checkpoint_slot_off(&lfs->geo, w->number) -
			       LFS_BLOCK,
		.body_crc = w->body_crc,
		.ninner = w->ninner,
		.nsegments = w->nsegments,
	};

	rt_assert(LFS_BLOCK + slot.body_length <= lfs->geo.checkpoint_slot_size);
	lfs_checkpoint_slot_encode_head(w->piece, &slot, lfs->superblock.current.store,
					(uint64_t)rt_wall_ns(lfs->loop));
	checkpoint_set_state(lfs, LFS_CHECKPOINT_HEAD);
	w->off = lfs_checkpoint_slot_off(&lfs->geo, w->number);
	w->piece_len = LFS_BLOCK;
	checkpoint_slot_write(lfs, LFS_BLOCK);
}

static void checkpoint_slot_name(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	checkpoint_set_state(lfs, LFS_CHECKPOINT_SUPERBLOCK);
	ck->req = (struct lfs_superblock_request){
		.done = checkpoint_named,
		.checkpoint = true,
		.checkpoint_slot = ck->slot.number,
		.checkpoint_slot_seq = ck->slot.seq,
	};
	lfs_superblock_submit(lfs, &ck->req);
}

/* The next piece of the body, then the head, then the superblock. */
static void checkpoint_slot_next(struct lfs *lfs)
{
	struct lfs_checkpoint_slot_writer *w = &lfs->ck.slot;
	uint32_t whole;

	if (lfs->ck.state == LFS_CHECKPOINT_HEAD) {
		checkpoint_slot_name(lfs);
		return;
	}
	if (w->nsegments < lfs->segs.n)
		checkpoint_piece_fill(lfs);
	if (!w->piece_len) {
		checkpoint_slot_head(lfs);
		return;
	}
	whole = (w->piece_len + LFS_BLOCK - 1) / LFS_BLOCK * LFS_BLOCK;
	if (w->nsegments < lfs->segs.n) {
		whole = w->piece_len / LFS_BLOCK * LFS_BLOCK;
	} else {
		memset(w->piece + w->piece_len, 0, whole - w->piece_len);
		w->piece_len = whole;
	}
	w->body_crc = rt_crc32c_more(w->body_crc, w->piece, whole);
	checkpoint_slot_write(lfs, whole);
}

static void checkpoint_slot_begin(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_checkpoint_slot_writer *w = &ck->slot;

	checkpoint_set_state(lfs, LFS_CHECKPOINT_BODY);
	ck->volume = 0;
	ck->index = 0;
	w->number = RT_BUG(GOOD_SLOT_OVERWRITTEN)
			    ? !lfs->superblock.current.checkpoint_slot
			    : ck->next_checkpoint_slot;
	w->seq = lfs->superblock.current.checkpoint_slot_seq + 1;
	w->ninner = 0;
	w->nsegments = 0;
	w->body_crc = rt_crc32c(NULL, 0);
	w->piece_len = 0;
	w->off = lfs_checkpoint_slot_off(&lfs->geo, w->number) + LFS_BLOCK;
	checkpoint_slot_next(lfs);
}

/* ---- from outside ------------------------------------------------------------------------------- */

void lfs_checkpoint_boundary(struct lfs *lfs)
{
	if (lfs->ck.state == LFS_CHECKPOINT_IDLE && checkpoint_wanted(lfs) &&
	    lfs_apply_is_between(lfs))
		checkpoint_begin(lfs);
}

void lfs_checkpoint_advance(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct rt_list *l;

	if (lfs->failed) {
		/* From BODY on an operation is under way that ends it. */
		if (ck->state != LFS_CHECKPOINT_IDLE && ck->state < LFS_CHECKPOINT_BODY)
			checkpoint_end(lfs, -EIO);
		if (ck->state != LFS_CHECKPOINT_IDLE)
			return;
		while ((l = rt_list_pop(&ck->waiting)) != NULL)
			rt_list_push_back(&ck->taken, l);
		checkpoint_waiters_end(lfs, -EIO);
		return;
	}
	lfs_checkpoint_boundary(lfs);
	if (ck->state == LFS_CHECKPOINT_CAPTURE)
		checkpoint_build(lfs);
	if (ck->state == LFS_CHECKPOINT_CAPTURED)
		checkpoint_slot_begin(lfs);
}

void lfs_checkpoint_wait(struct lfs *lfs, struct lfs_wait *w)
{
	rt_list_push_back(&lfs->ck.waiting, &w->link);
	lfs_schedule(lfs);
}

static void checkpoint_timer_fire(struct rt_timer *timer)
{
	struct lfs_checkpoint *ck = rt_container_of(timer, struct lfs_checkpoint, timer);
	struct lfs *lfs = rt_container_of(ck, struct lfs, ck);

	if (lfs->failed || lfs_closing(&lfs->closing))
		return;
	ck->asked = lfs->ck.changed;
	lfs_schedule(lfs);
	lfs_checkpoint_arm(lfs);
}

void lfs_checkpoint_arm(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	ck->timer.fire = checkpoint_timer_fire;
	if (ck->every_ms && !lfs_closing(&lfs->closing) && !lfs->opening)
		rt_timer_arm(lfs->loop, &ck->timer,
			     rt_time_add(rt_now(lfs->loop), ck->every_ms * RT_MS));
}
