// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/state.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/crc.h"

/*
 * A fuzzy checkpoint: it notes where the log stands, appends the images of all leaves that
 * are dirty (while clients go on), writes the slot that is not in use, and has the
 * superblock name it. Replay from the noted place over images that are younger comes to
 * the same map, since a record only sets.
 */

#define SEARCH_BUDGET 65536u /* leaves looked at per turn */

static void slot_next(struct lfs *lfs);

/* Does somebody or something ask for one? */
static bool wanted(const struct lfs *lfs)
{
	return !rt_list_empty(&lfs->ck.waiting) || lfs->ck.asked ||
	       lfs->log_bytes - lfs->checkpoint_base >= lfs->checkpoint_every;
}

static void begin(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct rt_list *l;

	while ((l = rt_list_pop(&ck->waiting)) != NULL)
		rt_list_push_back(&ck->taken, l);
	ck->state = LFS_CHECKPOINT_LEAVES;
	ck->start = lfs->applied;
	ck->start_bytes = lfs->log_bytes;
	ck->volume = 0;
	ck->index = 0;
	ck->searched = false;
	ck->captured = 0;
	ck->asked = false;
	lfs->changed = false;
}

static void tell(struct lfs *lfs, int res)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&lfs->ck.taken)) != NULL) {
		struct lfs_wait *w = rt_container_of(l, struct lfs_wait, link);

		w->done(w, res);
	}
}

static void end(struct lfs *lfs, int res)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	ck->state = LFS_CHECKPOINT_IDLE;
	ck->captured = 0;
	if (!res) {
		lfs->checkpoint_base = ck->start_bytes;
		lfs->checkpoint_at = rt_now(lfs->loop);
		lfs->checkpoint_ever = true;
		lfs->advanced = true;
		lfs_checkpoint_arm(lfs);
	}
	tell(lfs, res);
	lfs_kick(lfs);
}

/* ---- leaves -------------------------------------------------------------------------------- */

/* The next dirty leaf from where the search stands; NULL: none, or the budget is used. */
static struct lfs_leaf *search(struct lfs *lfs, uint32_t *budget)
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
	ck->searched = true;
	return NULL;
}

/* Fill the batch with images; at most `max`. */
static void capture(struct lfs *lfs, unsigned max)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	uint32_t budget = SEARCH_BUDGET;
	struct lfs_leaf *leaf;

	ck->nleaves = 0;
	while (ck->nleaves < max && (leaf = search(lfs, &budget)) != NULL) {
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
		lfs_kick(lfs); /* the search goes on, or has ended */
}

static void leaves_put(struct lfs *lfs, struct lfs_flight *f)
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

		lfs_record_put_desc(lfs_flight_area(f), i, &desc);
		lfs_record_put_crcs(lfs_flight_area(f), ck->nleaves, i, &leaf->crc, 1);
	}
	lfs_flight_data(f, ck->images, (size_t)ck->nleaves * LFS_BLOCK);
}

bool lfs_checkpoint_build(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_epoch epoch = { .number = lfs->built.epoch,
				   .id = lfs->built.epoch_id };
	struct lfs_flight *f;
	uint32_t room;

	if (ck->state != LFS_CHECKPOINT_LEAVES || ck->in_flight || ck->searched)
		return false;
	f = lfs_flight_get(lfs, LFS_RECORD_LEAF, 2);
	if (!f)
		return false;
	room = lfs_flight_room(lfs) - 1;
	capture(lfs, room < LFS_CHECKPOINT_BATCH ? room : LFS_CHECKPOINT_BATCH);
	if (!ck->nleaves)
		return false;
	leaves_put(lfs, f);
	ck->in_flight = true;
	lfs_flight_submit(f, lfs->built.lsn, lfs->built.hash, &epoch);
	for (unsigned i = 0; i < ck->nleaves; i++) {
		struct lfs_birth birth = {
			.volume = ck->leaves[i].volume,
			.leaf = true,
			.crc = ck->leaves[i].crc,
			.lba = ck->leaves[i].index,
			.lsn = lfs->built.lsn,
		};

		lfs_flight_birth(lfs, f->place + i, &birth);
	}
	return true;
}

void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_flight *f)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	for (unsigned i = 0; i < ck->nleaves; i++) {
		const struct lfs_checkpoint_leaf *leaf = &ck->leaves[i];

		lfs_map_placed(&lfs->map, &lfs->map.v[leaf->volume].leaves[leaf->index],
			       f->place + i, leaf->crc);
	}
	ck->in_flight = false;
}

/* ---- the slot ------------------------------------------------------------------------------- */

/* As many leaves, then segments, as fit; what is left of the piece is for the next one. */
static void piece_fill(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	uint32_t n = ck->piece_len;

	for (; ck->volume < lfs->map.nvolumes; ck->volume++, ck->index = 0) {
		struct lfs_map_volume *v = &lfs->map.v[ck->volume];

		for (; ck->index < v->nleaves; ck->index++) {
			const struct lfs_leaf *leaf = &v->leaves[ck->index];

			if (!leaf->place && !leaf->changed)
				continue;
			if (n + sizeof(struct lfs_slot_leaf) > LFS_CHECKPOINT_PIECE)
				goto full;
			lfs_slot_put_leaf(ck->piece + n, ck->volume, ck->index, leaf);
			n += sizeof(struct lfs_slot_leaf);
			ck->slot_leaves++;
		}
	}
	for (; ck->slot_segments < lfs->segs.n; ck->slot_segments++) {
		static const struct lfs_segment unused;
		const struct lfs_segment *s = &lfs->segs.s[ck->slot_segments];

		if (n + sizeof(struct lfs_slot_segment) > LFS_CHECKPOINT_PIECE)
			goto full;
		/* One that no written record lies in does not count yet. */
		lfs_slot_put_segment(ck->piece + n,
				     s->generation > lfs->applied.generation ? &unused
									     : s);
		n += sizeof(struct lfs_slot_segment);
	}
full:
	ck->piece_len = n;
}

static void slot_failed(struct lfs *lfs, int res)
{
	lfs_fail(lfs, res, "write of checkpoint slot %u failed: %s", lfs->ck.slot,
		 strerror(-res));
	end(lfs, -EIO);
	lfs_settle(lfs);
}

static void slot_written(struct rt_op *op, int res)
{
	struct lfs_checkpoint *ck = rt_container_of(op, struct lfs_checkpoint, op);
	struct lfs *lfs = rt_container_of(ck, struct lfs, ck);
	uint32_t whole = ck->piece_len / LFS_BLOCK * LFS_BLOCK;

	if (res <= 0) {
		slot_failed(lfs, res ? res : -EIO);
		return;
	}
	lfs->disk_bytes += (uint64_t)res;
	ck->piece_done += (uint32_t)res;
	if (lfs->failed) {
		end(lfs, -EIO);
		lfs_settle(lfs);
		return;
	}
	if (ck->piece_done < whole) {
		rt_write(lfs->file, &ck->op, ck->piece + ck->piece_done,
			 whole - ck->piece_done, ck->off + ck->piece_done);
		return;
	}
	ck->off += whole;
	ck->piece_len -= whole;
	memmove(ck->piece, ck->piece + whole, ck->piece_len);
	slot_next(lfs);
}

static void slot_write(struct lfs *lfs, uint32_t len)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	ck->piece_done = 0;
	ck->op.done = slot_written;
	rt_write(lfs->file, &ck->op, ck->piece, len, ck->off);
}

static void super_named(struct lfs_super_req *req, int res)
{
	struct lfs_checkpoint *ck = rt_container_of(req, struct lfs_checkpoint, req);

	end(rt_container_of(ck, struct lfs, ck), res);
}

static void slot_head(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct lfs_slot slot = {
		.seq = ck->seq,
		.incarnation = lfs->incarnation,
		.start = ck->start,
		.written_seq = lfs->applied.seq,
		.body_length = ck->off - lfs_slot_off(&lfs->geo, ck->slot) - LFS_BLOCK,
		.body_crc = ck->body_crc,
		.nleaves = ck->slot_leaves,
		.nsegments = ck->slot_segments,
	};

	rt_assert(LFS_BLOCK + slot.body_length <= lfs->geo.slot_size);
	lfs_slot_encode_head(ck->piece, &slot, lfs->sb.super.store,
			     (uint64_t)rt_wall_ns(lfs->loop));
	ck->head = true;
	ck->off = lfs_slot_off(&lfs->geo, ck->slot);
	ck->piece_len = LFS_BLOCK;
	slot_write(lfs, LFS_BLOCK);
}

/* The next piece of the body, then the head, then the superblock. */
static void slot_next(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	uint32_t whole;

	if (ck->head) {
		ck->state = LFS_CHECKPOINT_SUPER;
		ck->req = (struct lfs_super_req){
			.done = super_named,
			.checkpoint = true,
			.slot = ck->slot,
			.slot_seq = ck->seq,
		};
		lfs_super_request(lfs, &ck->req);
		return;
	}
	if (ck->slot_segments < lfs->segs.n)
		piece_fill(lfs);
	if (!ck->piece_len) {
		slot_head(lfs);
		return;
	}
	whole = (ck->piece_len + LFS_BLOCK - 1) / LFS_BLOCK * LFS_BLOCK;
	if (ck->slot_segments < lfs->segs.n) {
		whole = ck->piece_len / LFS_BLOCK * LFS_BLOCK;
	} else {
		memset(ck->piece + ck->piece_len, 0, whole - ck->piece_len);
		ck->piece_len = whole;
	}
	ck->body_crc = rt_crc32c_more(ck->body_crc, ck->piece, whole);
	slot_write(lfs, whole);
}

static void slot_begin(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	ck->state = LFS_CHECKPOINT_SLOT;
	ck->slot = !lfs->sb.super.slot;
	ck->seq = lfs->sb.super.slot_seq + 1;
	ck->volume = 0;
	ck->index = 0;
	ck->slot_leaves = 0;
	ck->slot_segments = 0;
	ck->body_crc = rt_crc32c(NULL, 0);
	ck->piece_len = 0;
	ck->head = false;
	ck->off = lfs_slot_off(&lfs->geo, ck->slot) + LFS_BLOCK;
	slot_next(lfs);
}

/* ---- from outside ------------------------------------------------------------------------------- */

void lfs_checkpoint_settle(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;
	struct rt_list *l;

	if (lfs->failed) {
		/* In the other states an operation is under way that ends it. */
		if (ck->state == LFS_CHECKPOINT_LEAVES)
			end(lfs, -EIO);
		if (ck->state != LFS_CHECKPOINT_IDLE)
			return;
		while ((l = rt_list_pop(&ck->waiting)) != NULL)
			rt_list_push_back(&ck->taken, l);
		tell(lfs, -EIO);
		return;
	}
	if (ck->state == LFS_CHECKPOINT_IDLE && wanted(lfs))
		begin(lfs);
	if (ck->state == LFS_CHECKPOINT_LEAVES && ck->searched && !ck->in_flight)
		slot_begin(lfs);
}

void lfs_checkpoint_wait(struct lfs *lfs, struct lfs_wait *w)
{
	rt_list_push_back(&lfs->ck.waiting, &w->link);
	lfs_kick(lfs);
}

static void timer_fire(struct rt_timer *timer)
{
	struct lfs_checkpoint *ck = rt_container_of(timer, struct lfs_checkpoint, timer);
	struct lfs *lfs = rt_container_of(ck, struct lfs, ck);

	if (lfs->failed || lfs->close)
		return;
	ck->asked = lfs->changed;
	lfs_kick(lfs);
	lfs_checkpoint_arm(lfs);
}

void lfs_checkpoint_arm(struct lfs *lfs)
{
	struct lfs_checkpoint *ck = &lfs->ck;

	ck->timer.fire = timer_fire;
	if (ck->every_ms && !lfs->close && !lfs->opening)
		rt_timer_arm(lfs->loop, &ck->timer,
			     rt_time_add(rt_now(lfs->loop), ck->every_ms * RT_MS));
}
