// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"

/*
 * One fdatasync in flight. It makes durable what had been written when it was submitted;
 * who asks while it is under way waits for the next one. A flush that failed is final.
 */

static void flush_done(struct rt_op *op, int res);

static void flush_submit(struct lfs *lfs)
{
	struct lfs_flusher *f = &lfs->flusher;
	struct rt_list *l;

	rt_assert(!f->busy && !lfs->failed);
	f->busy = true;
	f->seq = lfs->head.applied.seq;
	f->image = lfs_tail_image(&lfs->head.applied);
	while ((l = rt_list_pop(&f->next)) != NULL)
		rt_list_push_back(&f->now, l);
	lfs->figures.flushes++;
	f->op.done = flush_done;
	if (RT_BUG(FLUSH_DOES_NOTHING))
		rt_defer(lfs->loop, &f->op);
	else
		rt_fdatasync(lfs->file, &f->op);
}

static void flush_waiters_end(struct rt_list *list, int res)
{
	struct rt_list mine;
	struct rt_list *l;

	/* A callback may ask for the next flush: only those who wait now end. */
	rt_list_init(&mine);
	while ((l = rt_list_pop(list)) != NULL)
		rt_list_push_back(&mine, l);
	while ((l = rt_list_pop(&mine)) != NULL) {
		struct lfs_wait *w = rt_container_of(l, struct lfs_wait, link);

		w->done(w, res);
	}
}

/* ---- the durability marker of an idle flush --------------------------------------------------------- */

/* Is the last durable record one that no durable record names? */
static bool flush_record_unnamed(const struct lfs *lfs)
{
	const struct lfs_flusher *f = &lfs->flusher;

	return !lfs->failed && !lfs_closing(&lfs->closing) && f->real &&
	       f->real <= lfs->flusher.durable_seq && f->named < f->real;
}

static void flush_marker_flushed(struct lfs_wait *w, int res)
{
	struct lfs_flusher *f = rt_container_of(w, struct lfs_flusher, marker_wait);

	(void)res; /* a failure is final, and reported elsewhere */
	f->marker_waiting = false;
}

static void flush_marker_fire(struct rt_timer *timer)
{
	struct lfs_flusher *f = rt_container_of(timer, struct lfs_flusher, marker);
	struct lfs *lfs = rt_container_of(f, struct lfs, flusher);

	if (!flush_record_unnamed(lfs) || f->marker_waiting)
		return;
	f->marker_wanted = true;
	lfs_schedule(lfs);
}

void lfs_flush_marker(struct lfs *lfs)
{
	struct lfs_inflight *f = lfs_inflight_get(&lfs->head, LFS_RECORD_MARKER, 1);

	if (!f)
		return;
	lfs->flusher.marker_wanted = false;
	if (!flush_record_unnamed(lfs)) { /* a seal, to make room for it, has done that */
		lfs->flusher.seal_is_marker = !lfs->failed && !lfs_closing(&lfs->closing);
		return;
	}
	f->ndescs = 0;
	f->nblocks = 0;
	lfs_inflight_submit(f, NULL);
}

void lfs_flush_written(struct lfs *lfs, const struct lfs_inflight *record)
{
	struct lfs_flusher *f = &lfs->flusher;

	if (record->durable_seq > f->applied_named)
		f->applied_named = record->durable_seq;
	/* A durability marker is flushed without being asked. */
	if (record->kind != LFS_RECORD_MARKER && !f->seal_is_marker)
		return;
	f->seal_is_marker = false;
	if (f->marker_waiting)
		return;
	f->marker_waiting = true;
	f->marker_wait.done = flush_marker_flushed;
	lfs_flush_wait(lfs, &f->marker_wait);
}

/* ---- completion ----------------------------------------------------------------------------- */

static void flush_done(struct rt_op *op, int res)
{
	struct lfs_flusher *f = rt_container_of(op, struct lfs_flusher, op);
	struct lfs *lfs = rt_container_of(f, struct lfs, flusher);

	f->busy = false;
	if (RT_BUG(FLUSH_FAILURE_IGNORED) && res < 0)
		res = 0;
	if (res < 0)
		lfs_fail(lfs, res, "flush of the store failed: %s", strerror(-res));
	if (lfs->failed) {
		flush_waiters_end(&f->now, -EIO);
		lfs_advance(lfs);
		return;
	}
	if (RT_BUG(DURABLE_AT_RETURN)) {
		f->seq = lfs->head.applied.seq;
		f->image = lfs_tail_image(&lfs->head.applied);
	}
	if (f->seq > lfs->flusher.durable_seq) {
		lfs->flusher.durable_seq = f->seq;
		lfs->flusher.durable = f->image;
		lfs->advanced = true;
		/*
		 * Written is good enough: only a durability marker can name the last
		 * record, and a flush that goes beyond that record covers its first marker.
		 */
		f->named = f->applied_named;
	}
	flush_waiters_end(&f->now, 0);
	if (RT_BUG(DURABLE_AT_RETURN))
		flush_waiters_end(&f->next, 0);
	if (!f->busy && !rt_list_empty(&f->next))
		flush_submit(lfs);
	else if (flush_record_unnamed(lfs))
		rt_timer_arm(lfs->loop, &f->marker,
			     rt_time_add(rt_now(lfs->loop), LFS_MARKER_MS / 2 * RT_MS));
	lfs_advance(lfs);
}

void lfs_flush_init(struct lfs *lfs)
{
	struct lfs_flusher *f = &lfs->flusher;

	rt_list_init(&f->now);
	rt_list_init(&f->next);
	rt_list_init(&f->ready);
	f->marker.fire = flush_marker_fire;
}

void lfs_flush_wait(struct lfs *lfs, struct lfs_wait *w)
{
	struct lfs_flusher *f = &lfs->flusher;

	if (lfs->failed) {
		rt_list_push_back(&f->ready, &w->link);
		lfs_schedule(lfs);
		return;
	}
	rt_list_push_back(&f->next, &w->link);
	if (!f->busy)
		flush_submit(lfs);
}

void lfs_flush_advance(struct lfs *lfs)
{
	struct lfs_flusher *f = &lfs->flusher;

	flush_waiters_end(&f->ready, lfs->failed ? -EIO : 0);
	if (lfs->failed && !f->busy)
		flush_waiters_end(&f->next, -EIO);
}

bool lfs_flush_idle(const struct lfs *lfs)
{
	const struct lfs_flusher *f = &lfs->flusher;

	return !f->busy && rt_list_empty(&f->next) && rt_list_empty(&f->ready) &&
	       !f->marker_wanted;
}

void lfs_flush_stop(struct lfs *lfs)
{
	rt_timer_disarm(lfs->loop, &lfs->flusher.marker);
	lfs->flusher.marker_wanted = false;
}

/* ---- for clients ------------------------------------------------------------------------------ */

static_assert(sizeof(struct lfs_wait) <= sizeof(((struct lfs_flush *)0)->impl),
	      "fits into impl");

static void flush_client_done(struct lfs_wait *w, int res)
{
	struct lfs_flush *f = rt_container_of((void *)w, struct lfs_flush, impl);

	f->done(f, res);
}

void lfs_flush(struct lfs *lfs, struct lfs_flush *f)
{
	struct lfs_wait *w = (struct lfs_wait *)(void *)f->impl;

	rt_assert(!lfs_closing(&lfs->closing) && !lfs->opening);
	w->done = flush_client_done;
	if (!lfs->failed && lfs->flusher.durable_seq == lfs->head.applied.seq) {
		/* Nothing was written since the last flush was submitted. */
		rt_list_push_back(&lfs->flusher.ready, &w->link);
		lfs_schedule(lfs);
		return;
	}
	lfs_flush_wait(lfs, w);
}
