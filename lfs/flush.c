// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/state.h"
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
	f->lsn = lfs->head.applied.lsn;
	while ((l = rt_list_pop(&f->next)) != NULL)
		rt_list_push_back(&f->now, l);
	lfs->figures.flushes++;
	f->op.done = flush_done;
	if (RT_BUG(FLUSH_DOES_NOTHING))
		rt_defer(lfs->loop, &f->op);
	else
		rt_fdatasync(lfs->file, &f->op);
}

static void tell(struct rt_list *list, int res)
{
	struct rt_list mine;
	struct rt_list *l;

	/* A callback may ask for the next flush: only who is here now is told. */
	rt_list_init(&mine);
	while ((l = rt_list_pop(list)) != NULL)
		rt_list_push_back(&mine, l);
	while ((l = rt_list_pop(&mine)) != NULL) {
		struct lfs_wait *w = rt_container_of(l, struct lfs_wait, link);

		w->done(w, res);
	}
}

/* ---- the witness of an idle flush --------------------------------------------------------- */

/* Is the last durable record one that no durable record names? */
static bool unnamed(const struct lfs *lfs)
{
	const struct lfs_flusher *f = &lfs->flusher;

	return !lfs->failed && !lfs_closing(&lfs->closing) && f->real &&
	       f->real <= lfs->flusher.durable_seq && f->named < f->real;
}

static void witness_flushed(struct lfs_wait *w, int res)
{
	struct lfs_flusher *f = rt_container_of(w, struct lfs_flusher, witness_wait);

	(void)res; /* a failure is final, and told elsewhere */
	f->witness_waiting = false;
}

static void witness_fire(struct rt_timer *timer)
{
	struct lfs_flusher *f = rt_container_of(timer, struct lfs_flusher, witness);
	struct lfs *lfs = rt_container_of(f, struct lfs, flusher);

	if (!unnamed(lfs) || f->witness_waiting)
		return;
	f->witness_wanted = true;
	lfs_kick(lfs);
}

void lfs_flush_witness(struct lfs *lfs)
{
	struct lfs_flight *f = lfs_flight_get(lfs, LFS_RECORD_WITNESS, 1);
	struct lfs_epoch epoch = {
		.number = lfs->head.built.epoch,
		.id = lfs->head.built.epoch_id,
	};

	if (!f)
		return;
	lfs->flusher.witness_wanted = false;
	if (!unnamed(lfs))
		return;
	f->ndescs = 0;
	f->nblocks = 0;
	lfs_flight_submit(f, lfs->head.built.lsn, lfs->head.built.hash, &epoch);
}

void lfs_flush_written(struct lfs *lfs, const struct lfs_flight *flight)
{
	struct lfs_flusher *f = &lfs->flusher;

	/* The first record that names it: the next flush makes that one durable. */
	if (flight->durable_seq > f->applied_named) {
		f->applied_named = flight->durable_seq;
		f->applied_named_seq = flight->after.seq;
	}
	/* A witness is flushed without being asked. */
	if (flight->kind != LFS_RECORD_WITNESS || f->witness_waiting)
		return;
	f->witness_waiting = true;
	f->witness_wait.done = witness_flushed;
	lfs_flush_wait(lfs, &f->witness_wait);
}

/* ---- completion ----------------------------------------------------------------------------- */

/*
 * What durable records name. A newer name hides an older one until it is durable itself:
 * then a witness too many is written, never one too few.
 */
static void note_named(struct lfs *lfs, uint64_t seq)
{
	struct lfs_flusher *f = &lfs->flusher;

	if (f->applied_named_seq <= seq && f->named < f->applied_named)
		f->named = f->applied_named;
}

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
		tell(&f->now, -EIO);
		lfs_settle(lfs);
		return;
	}
	if (RT_BUG(DURABLE_AT_RETURN)) {
		f->seq = lfs->head.applied.seq;
		f->lsn = lfs->head.applied.lsn;
	}
	if (f->seq > lfs->flusher.durable_seq) {
		lfs->flusher.durable_seq = f->seq;
		lfs->flusher.durable_lsn = f->lsn;
		lfs->advanced = true;
		note_named(lfs, f->seq);
	}
	tell(&f->now, 0);
	if (RT_BUG(DURABLE_AT_RETURN))
		tell(&f->next, 0);
	if (!f->busy && !rt_list_empty(&f->next))
		flush_submit(lfs);
	else if (unnamed(lfs))
		rt_timer_arm(lfs->loop, &f->witness,
			     rt_time_add(rt_now(lfs->loop), LFS_WITNESS_MS / 2 * RT_MS));
	lfs_settle(lfs);
}

void lfs_flush_init(struct lfs *lfs)
{
	struct lfs_flusher *f = &lfs->flusher;

	rt_list_init(&f->now);
	rt_list_init(&f->next);
	rt_list_init(&f->ready);
	f->witness.fire = witness_fire;
}

void lfs_flush_wait(struct lfs *lfs, struct lfs_wait *w)
{
	struct lfs_flusher *f = &lfs->flusher;

	if (lfs->failed) {
		rt_list_push_back(&f->ready, &w->link);
		lfs_kick(lfs);
		return;
	}
	rt_list_push_back(&f->next, &w->link);
	if (!f->busy)
		flush_submit(lfs);
}

void lfs_flush_settle(struct lfs *lfs)
{
	struct lfs_flusher *f = &lfs->flusher;

	tell(&f->ready, lfs->failed ? -EIO : 0);
	if (lfs->failed && !f->busy)
		tell(&f->next, -EIO);
}

bool lfs_flush_idle(const struct lfs *lfs)
{
	const struct lfs_flusher *f = &lfs->flusher;

	return !f->busy && rt_list_empty(&f->next) && rt_list_empty(&f->ready) &&
	       !f->witness_wanted;
}

void lfs_flush_stop(struct lfs *lfs)
{
	rt_timer_disarm(lfs->loop, &lfs->flusher.witness);
	lfs->flusher.witness_wanted = false;
}

/* ---- for clients ------------------------------------------------------------------------------ */

static_assert(sizeof(struct lfs_wait) <= sizeof(((struct lfs_flush *)0)->impl),
	      "fits into impl");

static void client_done(struct lfs_wait *w, int res)
{
	struct lfs_flush *f = rt_container_of((void *)w, struct lfs_flush, impl);

	f->done(f, res);
}

void lfs_flush(struct lfs *lfs, struct lfs_flush *f)
{
	struct lfs_wait *w = (struct lfs_wait *)(void *)f->impl;

	rt_assert(!lfs_closing(&lfs->closing) && !lfs->opening);
	w->done = client_done;
	if (!lfs->failed && lfs->flusher.durable_seq == lfs->head.applied.seq) {
		/* Nothing was written since the last flush was submitted. */
		rt_list_push_back(&lfs->flusher.ready, &w->link);
		lfs_kick(lfs);
		return;
	}
	lfs_flush_wait(lfs, w);
}
