// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/backlog.h"

#include "replicator/group_log_reader.h"
#include "replicator/group_private.h"
#include "rt/bug.h"

/* While it moves, the position is kept at least this often, */
#define BACKLOG_KEEP_NS RT_S
/* and never more often: each time costs two flushes. */
#define BACKLOG_KEEP_MIN_NS (100 * RT_MS)
/*
 * Or, in between, when the mirror has persisted an eighth of max_exposure more than the
 * superblock says: a restart believes the superblock, and counts at most that much too much
 * towards the bound.
 */
#define BACKLOG_SHARE 8

/* ---- the position ------------------------------------------------------------------------ */

bool backlog_is_due(const struct backlog_step *step)
{
	uint64_t writes = step->persisted - step->kept;

	if (step->persisted == step->kept)
		return false;
	/* It holds less than was thought: a restart must not believe otherwise. */
	if (step->persisted < step->kept || step->stopping)
		return true;
	if (step->since_ns >= BACKLOG_KEEP_NS)
		return true;
	if (step->since_ns < BACKLOG_KEEP_MIN_NS)
		return false;
	return (step->bound_writes && writes >= step->bound_writes / BACKLOG_SHARE) ||
	       (step->bound_bytes && step->bytes >= step->bound_bytes / BACKLOG_SHARE) ||
	       (step->bound_ns && step->since_ns >= step->bound_ns / BACKLOG_SHARE);
}

static void backlog_kept(struct group *g, int res)
{
	(void)g;   /* the next turn looks again */
	(void)res; /* the log has failed then, and says so itself */
}

static void backlog_keep(struct group *g)
{
	struct backlog *b = &g->backlog;
	struct backlog_step step = {
		.kept = lfs_meta(g->lfs)->peer_persisted,
		.persisted = g->gate.marks.persisted,
		.since_ns = rt_time_since(rt_now(g->loop), b->kept),
		.bound_ns = g->config.exposure_ms * RT_MS,
		.bound_bytes = g->config.exposure_bytes,
		.bound_writes = g->config.exposure_writes,
		.stopping = group_is_stopping(g),
	};
	uint64_t bytes = b->kept_bytes;
	struct lfs_meta *meta;

	if (exposure_bytes_before(&g->backlog.exposure, step.persisted + 1, &bytes) &&
	    bytes > b->kept_bytes)
		step.bytes = bytes - b->kept_bytes;
	if (!facts_can_change(g) || !backlog_is_due(&step))
		return;
	b->kept = rt_now(g->loop);
	b->kept_bytes = bytes;
	meta = facts_edit(g);
	meta->peer_persisted = step.persisted;
	if (meta->peer_reached < step.persisted)
		meta->peer_reached = step.persisted;
	facts_change(g, backlog_kept);
}

/* ---- the record behind it ------------------------------------------------------------------ */

/*
 * One sample of exposure.h: this record was admitted so long ago, and so many bytes of data
 * come before it. From that follow age and bytes of all that the mirror lacks. The primary's
 * wall clock gave the time, which the record has for good; a clock that was set back since
 * makes the record no younger than now.
 */
void backlog_found(struct group *g, const struct lfs_entry *entry)
{
	int64_t age_ns = rt_wall_ns(g->loop) - entry->wall_ns;

	if (entry->wall_ns == 0)
		return; /* its primary did not know the time: no sample */
	exposure_found(&g->backlog.exposure, entry->lsn, entry->bytes_before,
		       rt_time_add(rt_now(g->loop), age_ns > 0 ? -age_ns : 0));
}

static void backlog_read(void *owner, int res, const struct lfs_entry *entry)
{
	struct group *g = owner;

	if (res == 0)
		backlog_found(g, entry);
	g->backlog.over = true;
}

static void backlog_find_first(struct group *g)
{
	struct backlog *b = &g->backlog;
	uint64_t lsn = g->gate.marks.persisted + 1;

	if (b->over) {
		group_log_reader_free(b->reader);
		b->reader = NULL;
		b->over = false;
	}
	if (b->reader || b->tried == lsn || lfs_lsn(g->lfs).written < lsn ||
	    exposure_knows(&g->backlog.exposure, lsn - 1))
		return;
	b->tried = lsn;
	/* Where the log does not hold it any more, how much is missing is not known. */
	if (group_log_reader_new(g, lsn, backlog_read, g, &b->reader) == 0)
		group_log_reader_next(b->reader);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/*
 * What a primary lost in a crash it gives again, to other writes: its mirror holds none of
 * these, whatever it held.
 */
void backlog_begin(struct group *g)
{
	struct lfs_lsn lsn = lfs_lsn(g->lfs);
	uint64_t persisted = lfs_meta(g->lfs)->peer_persisted;
	struct lfs_position end;

	lfs_position(g->lfs, &end);
	exposure_init(&g->backlog.exposure, end.lsn, end.bytes);
	g->backlog.kept = rt_now(g->loop);
	if (g->role != GROUP_PRIMARY)
		return;
	if (persisted > lsn.admitted || RT_BUG(EXPOSURE_FORGETS))
		persisted = lsn.admitted;
	gate_set_marks(&g->gate, &(struct gate_marks){ .written = lsn.written,
						       .durable = lsn.durable,
						       .onwire = persisted,
						       .received = persisted,
						       .persisted = persisted });
}

void backlog_turn(struct group *g)
{
	if (!group_serving(g) || group_is_fenced(g) || g->failed)
		return;
	if (group_is_stopping(g))
		backlog_end(g);
	else
		backlog_find_first(g);
	backlog_keep(g);
}

void backlog_end(struct group *g)
{
	group_log_reader_free(g->backlog.reader);
	g->backlog.reader = NULL;
	g->backlog.over = false;
}
