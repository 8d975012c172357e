// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "lfs/state.h"
#include "rt/check.h"

/* Close in order: drain, checkpoint, mark clean. After a failure: drain only. */

enum close_step {
	CLOSE_DRAIN,
	CLOSE_CHECKPOINT,
	CLOSE_MARK,
	CLOSE_WAIT, /* one of the two is under way */
	CLOSE_END,
};

static bool drained(const struct lfs *lfs)
{
	return lfs_append_idle(lfs) && lfs_flush_idle(lfs) && !lfs->sb.busy &&
	       rt_list_empty(&lfs->sb.waiting) && !lfs->set_meta && !lfs->reader.active &&
	       lfs->ck.state == LFS_CHECKPOINT_IDLE && rt_list_empty(&lfs->ck.waiting);
}

static void checkpointed(struct lfs_wait *w, int res)
{
	struct lfs *lfs = rt_container_of(w, struct lfs, close_wait);

	lfs->close_step = res ? CLOSE_END : CLOSE_MARK;
	lfs_kick(lfs);
}

static void marked(struct lfs_super_req *req, int res)
{
	struct lfs *lfs = rt_container_of(req, struct lfs, close_req);

	(void)res; /* a failure shows in lfs->failed */
	lfs->close_step = CLOSE_END;
	lfs_kick(lfs);
}

static void end(struct lfs *lfs)
{
	struct lfs_close *c = lfs->close;
	int res = lfs->failed ? -EIO : 0;

	rt_timer_disarm(lfs->loop, &lfs->ck.timer);
	lfs_flush_stop(lfs);
	lfs_free(lfs);
	c->done(c, res);
}

/* Is there anything that the last checkpoint does not know? */
static bool stale(const struct lfs *lfs)
{
	return lfs->changed || lfs->map.stale || lfs->log_bytes != lfs->checkpoint_base;
}

void lfs_close_step(struct lfs *lfs)
{
	if (!drained(lfs))
		return;
	if (lfs->failed)
		lfs->close_step = CLOSE_END;
	switch ((enum close_step)lfs->close_step) {
	case CLOSE_DRAIN:
	case CLOSE_CHECKPOINT:
		if (!stale(lfs)) {
			lfs->close_step = CLOSE_MARK;
			lfs_kick(lfs);
			return;
		}
		lfs->close_step = CLOSE_WAIT;
		lfs->close_wait.done = checkpointed;
		lfs_checkpoint_wait(lfs, &lfs->close_wait);
		return;
	case CLOSE_MARK:
		if (lfs->close->unclean) {
			lfs->close_step = CLOSE_END;
			lfs_kick(lfs);
			return;
		}
		lfs->close_step = CLOSE_WAIT;
		lfs->close_req = (struct lfs_super_req){
			.done = marked,
			.set_flags = LFS_CLEAN,
		};
		lfs_super_request(lfs, &lfs->close_req);
		return;
	case CLOSE_WAIT:
		return;
	case CLOSE_END:
		end(lfs);
		return;
	}
}

void lfs_close(struct lfs *lfs, struct lfs_close *c)
{
	rt_assert(!lfs->close && !lfs->opening && !lfs->follows);
	lfs->close = c;
	lfs->close_step = CLOSE_DRAIN;
	rt_timer_disarm(lfs->loop, &lfs->ck.timer);
	lfs_flush_stop(lfs);
	lfs_kick(lfs);
}
