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
 * A fuzzy checkpoint: it keeps where the log ends, appends the images of all leaves that
 * are dirty (while clients go on), writes the checkpoint slot that is not in use, and has
 * the superblock name it. Replay from there over images that are younger gives the same
 * map, since a record only sets.
 */

#define SEARCH_BUDGET 65536u /* leaves looked at per turn */

#define BIT(state) (1u << (state))

/* What may follow a state. After a failure IDLE follows each. */
static const unsigned followers[] = {
	[LFS_CHECKPOINT_IDLE] = BIT(LFS_CHECKPOINT_SEARCH),
	[LFS_CHECKPOINT_SEARCH] = BIT(LFS_CHECKPOINT_IMAGES) |
				  BIT(LFS_CHECKPOINT_LAST_IMAGES) |
				  BIT(LFS_CHECKPOINT_SEARCHED),
	[LFS_CHECKPOINT_IMAGES] = BIT(LFS_CHECKPOINT_SEARCH),
	[LFS_CHECKPOINT_LAST_IMAGES] = BIT(LFS_CHECKPOINT_SEARCHED),
	[LFS_CHECKPOINT_SEARCHED] = BIT(LFS_CHECKPOINT_BODY),
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

int lfs_checkpoint_init(struct lfs_checkpoint *ck)
{
	rt_list_init(&ck->waiting);
	rt_list_init(&ck->taken);
	ck->images = rt_alloc_blocks((size_t)LFS_CHECKPOINT_BATCH * LFS_BLOCK);
	ck->slot.piece = rt_alloc_blocks(LFS_CHECKPOINT_PIECE);
	return ck->images && ck->slot.piece ? 0 : -ENOMEM;
}

void lfs_checkpoint_release(struct lfs_checkpoint *ck)
{
	rt_free(ck->images);
	rt_free(ck->slot.piece);
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
	checkpoint_set_state(lfs, LFS_CHECKPOINT_SEARCH);
	ck->start = lfs->head.applied;
	ck->start_bytes = lfs->admission.log_bytes;
	ck->volume = 0;
	ck->index = 0;
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
		lfs->figures.checkpoint_at = rt_now(lfs->loop);
		lfs->advanced = true;
		lfs_checkpoint_arm(lfs);
	}
	checkpoint_waiters_end(lfs, res);
	lfs_schedule(lfs);
}

/* ---- leaves -------------------------------------------------------------------------------- */

/* The next dirty leaf from where the search stands; NULL: none, or the budget is used. */
static struct lfs_leaf *leaf_search(struct lfs *lfs, uint32_t *budget)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	for (; ck->volume < lfs->map.nvolumes; ck->volume++, ck->index = 0) {
		struct lfs_map_volume *v = &lfs->map.v[ck->volume];

		for (; ck->index < v->nleaves; ck->index++) {
			if (!*budget)
				return NULL;
			--*budget;
			if (v->leaves[ck->index].dirty)
				return &v->leaves[ck->index];
		}
	}
	return NULL;
}

/* Fill the batch with images; at most `max`. */
static void checkpoint_capture_leaves(struct lfs *lfs, unsigned max)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	uint32_t budget = SEARCH_BUDGET;
	struct lfs_leaf *leaf;

	ck->nleaves = 0;
	while (ck->nleaves < max && (leaf = leaf_search(lfs, &budget)) != NULL) {
		uint8_t *image = ck->images + (size_t)ck->nleaves * LFS_BLOCK;

		if (lfs_map_capture(&lfs->map, leaf, image))
			ck->leaves[ck->nleaves++] = (struct lfs_checkpoint_leaf){
				.volume = ck->volume,
				.index = ck->index,
				.crc = rt_crc32c(image, LFS_BLOCK),
			};
		ck->index++;
	}
	ck->captured += ck->nleaves;
	if (!ck->nleaves)
		lfs_schedule(lfs); /* the search goes on, or has ended */
}

static void checkpoint_put_leaves(struct lfs *lfs, struct lfs_inflight *f)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	f->ndescs = f->nblocks = ck->nleaves;
	for (unsigned i = 0; i < ck->nleaves; i++) {
		const struct lfs_checkpoint_leaf *leaf = &ck->leaves[i];
		struct lfs_desc desc = {
			.kind = LFS_DESC_LEAF,
			.volume = leaf->volume,
			.lba = leaf->index,
			.blocks = 1,
		};

		lfs_record_put_desc(lfs_inflight_area(f), i, &desc);
		lfs_record_put_crcs(lfs_inflight_area(f), ck->nleaves, i, &leaf->crc, 1);
	}
	lfs_inflight_data(f, ck->images, (size_t)ck->nleaves * LFS_BLOCK);
}

bool lfs_checkpoint_build(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_inflight *f;
	uint32_t room;
	bool searched;

	if (ck->state != LFS_CHECKPOINT_SEARCH)
		return false;
	f = lfs_inflight_get(lfs, LFS_RECORD_LEAF, 2);
	if (!f)
		return false;
	room = lfs_inflight_room(lfs) - 1;
	checkpoint_capture_leaves(
		lfs, room < LFS_CHECKPOINT_BATCH ? room : LFS_CHECKPOINT_BATCH);
	searched = ck->volume == lfs->map.nvolumes;
	if (!ck->nleaves) {
		if (searched)
			checkpoint_set_state(lfs, LFS_CHECKPOINT_SEARCHED);
		return false;
	}
	checkpoint_put_leaves(lfs, f);
	checkpoint_set_state(lfs, searched ? LFS_CHECKPOINT_LAST_IMAGES
					   : LFS_CHECKPOINT_IMAGES);
	lfs_inflight_submit(f, NULL);
	for (unsigned i = 0; i < ck->nleaves; i++) {
		struct lfs_summary_item item = {
			.volume = ck->leaves[i].volume,
			.leaf = true,
			.crc = ck->leaves[i].crc,
			.lba = ck->leaves[i].index,
			.lsn = lfs->head.built.lsn,
		};

		lfs_head_note_block(lfs, f->pba + i, &item);
	}
	return true;
}

void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_inflight *f)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	for (unsigned i = 0; i < ck->nleaves; i++) {
		const struct lfs_checkpoint_leaf *leaf = &ck->leaves[i];

		lfs_map_set_image(&lfs->map,
				  &lfs->map.v[leaf->volume].leaves[leaf->index],
				  f->pba + i, leaf->crc);
	}
	checkpoint_set_state(lfs, ck->state == LFS_CHECKPOINT_IMAGES
					  ? LFS_CHECKPOINT_SEARCH
					  : LFS_CHECKPOINT_SEARCHED);
}

/* ---- the checkpoint slot ------------------------------------------------------------------------------- */

/* As many leaves, then segments, as fit; what is left of the piece is for the next one. */
static void checkpoint_piece_fill(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_checkpoint_slot_writer *w = &ck->slot;
	uint32_t n = w->piece_len;

	for (; ck->volume < lfs->map.nvolumes; ck->volume++, ck->index = 0) {
		struct lfs_map_volume *v = &lfs->map.v[ck->volume];

		for (; ck->index < v->nleaves; ck->index++) {
			const struct lfs_leaf *leaf = &v->leaves[ck->index];

			if (!leaf->pba && !leaf->changed)
				continue;
			if (n + sizeof(struct lfs_checkpoint_slot_leaf) >
			    LFS_CHECKPOINT_PIECE)
				goto full;
			lfs_checkpoint_slot_put_leaf(w->piece + n, ck->volume, ck->index,
						     leaf);
			n += sizeof(struct lfs_checkpoint_slot_leaf);
			w->nleaves++;
		}
	}
	for (; w->nsegments < lfs->segs.n; w->nsegments++) {
		static const struct lfs_segment unused;
		const struct lfs_segment *s = &lfs->segs.s[w->nsegments];

		if (n + sizeof(struct lfs_checkpoint_slot_segment) > LFS_CHECKPOINT_PIECE)
			goto full;
		/* One that no written record lies in does not count yet. */
		lfs_checkpoint_slot_put_segment(
			w->piece + n,
			s->generation > lfs->head.applied.generation ? &unused : s);
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
		.nleaves = w->nleaves,
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
	w->number = !lfs->superblock.current.checkpoint_slot;
	w->seq = lfs->superblock.current.checkpoint_slot_seq + 1;
	w->nleaves = 0;
	w->nsegments = 0;
	w->body_crc = rt_crc32c(NULL, 0);
	w->piece_len = 0;
	w->off = lfs_checkpoint_slot_off(&lfs->geo, w->number) + LFS_BLOCK;
	checkpoint_slot_next(lfs);
}

/* ---- from outside ------------------------------------------------------------------------------- */

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
	if (ck->state == LFS_CHECKPOINT_IDLE && checkpoint_wanted(lfs))
		checkpoint_begin(lfs);
	if (ck->state == LFS_CHECKPOINT_SEARCHED)
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
