// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"

/*
 * Written records go into the map in physical order, whatever order their writes ended
 * in: replay after a crash does the same, and both must come to the same map.
 */

/*
 * One append into the map. False: the budget is used up, or a leaf is frozen and cannot be
 * copied; the rest follows later.
 */
static bool apply_append(struct lfs_inflight *f, const struct lfs_append *a,
			 uint32_t *budget)
{
	struct lfs *lfs = f->head->lfs;

	for (; f->op_done < a->nops; f->op_done++) {
		const struct lfs_op *op = &a->ops[f->op_done];
		uint64_t left = op->blocks - f->op_blocks_done;

		if (op->kind == LFS_WRITE) {
			if (!lfs_map_may_set(&lfs->map, op->volume, op->lba, op->blocks))
				return false;
			if (!f->early)
				lfs_map_set(&lfs->map, op, f->pba, a->lsn);
			lfs_map_unpin(&lfs->map, op->volume, op->lba, op->blocks);
			f->pba += op->blocks;
			continue;
		}
		f->op_blocks_done +=
			lfs_map_unmap(&lfs->map, op->volume, op->lba + f->op_blocks_done,
				      left, a->lsn, budget);
		if (f->op_blocks_done < op->blocks)
			return false;
		f->op_blocks_done = 0;
	}
	f->op_done = 0;
	return true;
}

/* Blocks that an append counts for until it is in a record, heads at their worst. */
static void apply_append_out(struct lfs *lfs, const struct lfs_append *a)
{
	for (unsigned i = 0; i < a->nops; i++) {
		const struct lfs_op *op = &a->ops[i];

		if (RT_BUG(LEAVES_STAY_PENDING) && op->kind != LFS_WRITE)
			continue;
		lfs->admission.pending_leaves -=
			op->kind == LFS_WRITE ? lfs_map_leaves(op->lba, op->blocks) : 2;
	}
	lfs->admission.pending_appends--;
}

/* True when all of the record is in the map. */
static bool apply_client(struct lfs_inflight *f, uint32_t *budget)
{
	struct lfs *lfs = f->head->lfs;

	while (!rt_list_empty(&f->appends)) {
		struct lfs_append *a = lfs_append_of(f->appends.next);

		if (!apply_append(f, a, budget))
			return false;
		rt_list_push_back(&f->in_map, rt_list_pop(&f->appends));
		lfs_write_buffer_remove(&lfs->admission.write_buffer, a);
		apply_append_out(lfs, a);
	}
	return true;
}

/* The record is in the map: the log has grown by it. */
static void apply_inflight_retire(struct lfs_inflight *f)
{
	struct lfs_head *head = f->head;
	struct lfs *lfs = head->lfs;
	struct lfs_segment *s = &lfs->segs.s[f->segment];
	uint32_t end = f->after.block;

	if (f->kind == LFS_RECORD_SEAL) {
		lfs_segment_set_state(&lfs->segs, f->segment, LFS_SEGMENT_SEALED);
		end = (uint32_t)((f->off + f->left) / LFS_BLOCK -
				 lfs_segments_pba(&lfs->segs, f->segment, 0));
		head->spare[head->nspare++] = f->summary;
		f->summary = NULL;
	}
	s->end = end;
	s->last_lsn = f->after.lsn;
	head->applied = f->after;
	if (f->kind == LFS_RECORD_MAP)
		lfs_checkpoint_applied(lfs, f);
	if (head->kind == LFS_HEAD_CLIENT)
		lfs_flush_written(lfs, f);
}

/*
 * The front of the ring leaves it, and then its appends end: not before head.applied
 * covers them, since `done` may ask for a flush, at once or while the rest of the record
 * is still on its way into the map.
 */
static void apply_inflight_pop(struct lfs_head *head)
{
	struct lfs_inflight *f = lfs_inflight_front(head);
	struct rt_list applied, *l;

	rt_list_init(&applied);
	while ((l = rt_list_pop(&f->in_map)) != NULL)
		rt_list_push_back(&applied, l);
	lfs_inflight_pop(head);
	while ((l = rt_list_pop(&applied)) != NULL) {
		struct lfs_append *a = lfs_append_of(l);

		head->lfs->advanced = true;
		a->done(a, 0);
	}
}

/* A deliberate bug: what is written goes into the map, whatever lies before it. */
static void apply_early(struct lfs *lfs)
{
	for (unsigned i = 1; i < lfs->head.ninflight; i++) {
		struct lfs_inflight *f =
			&lfs->head
				 .inflight[(lfs->head.first + i) % LFS_RECORDS_IN_FLIGHT];
		uint32_t pba = f->pba;

		if (!f->written || f->early)
			continue;
		f->early = true;
		for (struct rt_list *l = f->appends.next; l != &f->appends; l = l->next) {
			const struct lfs_append *a = lfs_append_of(l);

			for (unsigned n = 0; n < a->nops; n++) {
				const struct lfs_op *op = &a->ops[n];

				if (op->kind != LFS_WRITE)
					continue;
				lfs_map_set(&lfs->map, op, pba, a->lsn);
				pba += op->blocks;
			}
		}
	}
}

static void apply_head(struct lfs_head *head)
{
	uint32_t budget = LFS_UNMAP_BUDGET;

	while (head->ninflight && !head->lfs->failed) {
		struct lfs_inflight *f = lfs_inflight_front(head);

		if (!f->written)
			break;
		if (f->kind == LFS_RECORD_CLIENT && !apply_client(f, &budget)) {
			/* Else it waits for the checkpoint to capture the leaf. */
			if (budget < LFS_UNMAP_LEAF)
				lfs_schedule(head->lfs);
			return;
		}
		apply_inflight_retire(f);
		apply_inflight_pop(head);
		lfs_checkpoint_boundary(head->lfs);
	}
}

bool lfs_apply_is_between(const struct lfs *lfs)
{
	const struct lfs_inflight *f = &lfs->head.inflight[lfs->head.first];

	return !lfs->head.ninflight ||
	       (rt_list_empty(&f->in_map) && !f->op_done && !f->op_blocks_done);
}

void lfs_apply_resume(struct lfs *lfs)
{
	if (lfs->head.ninflight && lfs_inflight_front(&lfs->head)->written)
		lfs_schedule(lfs);
}

void lfs_apply(struct lfs *lfs)
{
	if (RT_BUG(MAP_IN_COMPLETION_ORDER))
		apply_early(lfs);
	apply_head(&lfs->head);
	apply_head(&lfs->map_head);
}
