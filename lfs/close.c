// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/close.h"

#include <errno.h>

#include "lfs/open_store.h"
#include "rt/check.h"

#define BIT(state) (1u << (state))

/* What may follow a state. After a failure END follows each. */
static const unsigned followers[] = {
	[LFS_CLOSING_NOT] = BIT(LFS_CLOSING_DRAIN),
	[LFS_CLOSING_DRAIN] = BIT(LFS_CLOSING_CHECKPOINT) | BIT(LFS_CLOSING_MARK),
	[LFS_CLOSING_CHECKPOINT] = BIT(LFS_CLOSING_MARK),
	[LFS_CLOSING_MARK] = BIT(LFS_CLOSING_MARKING) | BIT(LFS_CLOSING_END),
	[LFS_CLOSING_MARKING] = BIT(LFS_CLOSING_END),
	[LFS_CLOSING_END] = 0,
};

static void closing_set_state(struct lfs *lfs, enum lfs_closing_state state)
{
	enum lfs_closing_state from = lfs->closing.state;

	rt_assert(followers[from] & BIT(state) ||
		  (lfs->failed && state == LFS_CLOSING_END));
	lfs->closing.state = state;
}

static bool closing_store_drained(const struct lfs *lfs)
{
	return lfs_append_idle(lfs) && lfs_flush_idle(lfs) && lfs_superblock_idle(lfs) &&
	       lfs->meta_change.state == LFS_META_IDLE && !lfs->reader.active &&
	       lfs_event_log_idle(lfs) && lfs_alive_idle(lfs) &&
	       lfs->ck.state == LFS_CHECKPOINT_IDLE && rt_list_empty(&lfs->ck.waiting);
}

static void closing_checkpoint_done(struct lfs_wait *w, int res)
{
	struct lfs *lfs = rt_container_of(w, struct lfs, closing.wait);

	closing_set_state(lfs, res ? LFS_CLOSING_END : LFS_CLOSING_MARK);
	lfs_schedule(lfs);
}

static void closing_mark_done(struct lfs_superblock_request *req, int res)
{
	struct lfs *lfs = rt_container_of(req, struct lfs, closing.req);

	(void)res; /* a failure shows in lfs->failed */
	closing_set_state(lfs, LFS_CLOSING_END);
	lfs_schedule(lfs);
}

static void close_end(struct lfs *lfs)
{
	struct lfs_close *c = lfs->closing.op;
	int res = lfs->failed ? -EIO : 0;

	rt_timer_disarm(lfs->loop, &lfs->ck.timer);
	lfs_flush_stop(lfs);
	lfs_free(lfs);
	c->done(c, res);
}

/* Is there anything that the last checkpoint does not know? */
static bool closing_checkpoint_stale(const struct lfs *lfs)
{
	return lfs->ck.changed || !lfs_map_is_clean(&lfs->map) ||
	       lfs->admission.log_bytes != lfs->ck.base_bytes;
}

static void close_drained(struct lfs *lfs)
{
	if (!closing_checkpoint_stale(lfs)) {
		closing_set_state(lfs, LFS_CLOSING_MARK);
		lfs_schedule(lfs);
		return;
	}
	closing_set_state(lfs, LFS_CLOSING_CHECKPOINT);
	lfs->closing.wait.done = closing_checkpoint_done;
	lfs_checkpoint_wait(lfs, &lfs->closing.wait);
}

static void close_mark(struct lfs *lfs)
{
	if (lfs->closing.op->unclean) {
		closing_set_state(lfs, LFS_CLOSING_END);
		lfs_schedule(lfs);
		return;
	}
	closing_set_state(lfs, LFS_CLOSING_MARKING);
	lfs->closing.req = (struct lfs_superblock_request){
		.done = closing_mark_done,
		.set_flags = LFS_CLEAN,
	};
	lfs_superblock_submit(lfs, &lfs->closing.req);
}

void lfs_close_step(struct lfs *lfs)
{
	if (!closing_store_drained(lfs))
		return;
	if (lfs->failed && lfs->closing.state != LFS_CLOSING_END)
		closing_set_state(lfs, LFS_CLOSING_END);
	switch (lfs->closing.state) {
	case LFS_CLOSING_DRAIN:
		close_drained(lfs);
		return;
	case LFS_CLOSING_MARK:
		close_mark(lfs);
		return;
	case LFS_CLOSING_END:
		close_end(lfs);
		return;
	case LFS_CLOSING_NOT:
	case LFS_CLOSING_CHECKPOINT:
	case LFS_CLOSING_MARKING:
		return;
	}
}

void lfs_close_begin(struct lfs *lfs, struct lfs_close *c)
{
	lfs->closing.op = c;
	closing_set_state(lfs, LFS_CLOSING_DRAIN);
	lfs_schedule(lfs);
}

void lfs_close(struct lfs *lfs, struct lfs_close *c)
{
	rt_assert(!lfs_closing(&lfs->closing) && !lfs->opening && !lfs->log_readers);
	rt_timer_disarm(lfs->loop, &lfs->ck.timer);
	lfs_flush_stop(lfs);
	lfs_close_begin(lfs, c);
}
