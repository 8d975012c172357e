// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/superblock.h"
#include "rt/check.h"
#include "tests/sim/lfs_site.h"

/*
 * A store is written at random, and crashes at any point, while recovering too. Protects:
 * the image after recovery is that of a prefix, no flushed LSN is missing, no record is
 * there in part, counts and history are right; a damaged log is refused, not shortened;
 * after a failed write or flush nothing is promised any more; a full log can still be
 * read, flushed, closed and opened; events that were durable are there, and no others.
 */
#define LIVES_MAX 8
#define RECOVERY_CRASHES_MAX 3
#define BURSTS_MAX 12

enum end { END_CLOSE, END_POWER, END_KILL };

/* ---- after a crash -------------------------------------------------------------------- */

/* What must be there now, and what is: the oracle goes back to it. */
static void take_stock(struct lfs_site *s, uint64_t floor)
{
	uint64_t lsn = lfs_lsn(s->lfs).admitted, last = oracle_last(s->oracle);

	sim_require(lsn >= floor, "lsn %llu is there, %llu had been promised",
		    (unsigned long long)lsn, (unsigned long long)floor);
	sim_require(lsn <= last, "lsn %llu is there, %llu was the last",
		    (unsigned long long)lsn, (unsigned long long)last);
	sim_require(lfs_meta(s->lfs)->nepochs >= s->epochs, "%u epochs are there, of %u",
		    lfs_meta(s->lfs)->nepochs, s->epochs);
	if (lsn < last)
		oracle_take_back(s->oracle, lsn);
	s->told = s->written = s->flushed = lsn;
}

/* Each open raises the incarnation before anything else is written. */
static void check_incarnation(struct lfs_site *s)
{
	uint8_t *buf = malloc(LFS_SUPERBLOCK_REGION);
	struct lfs_meta *meta = malloc(sizeof(*meta));
	uint64_t most = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct lfs_superblock superblock;
		char why[LFS_WHY_MAX];

		sim_disk_peek(s->disk, lfs_superblock_off(i), buf, LFS_SUPERBLOCK_REGION);
		if (!lfs_superblock_decode(buf, &superblock, meta, why) &&
		    superblock.incarnation > most)
			most = superblock.incarnation;
	}
	free(buf);
	free(meta);
	sim_require(most > s->incarnation, "incarnation %llu after %llu",
		    (unsigned long long)most, (unsigned long long)s->incarnation);
	s->incarnation = most;
}

/* ---- damage ------------------------------------------------------------------------------ */

/* A damaged store is refused, or shows all that was promised. */
static bool live_damaged(struct lfs_site *s)
{
	uint64_t at = lfs_site_draw_damage(s), floor = s->flushed;
	unsigned bit = (unsigned)sim_below(s->rng, 8);
	int res;

	sim_disk_flip(s->disk, at, bit);
	sim_note(s->w, "damaged", at, bit, 0);
	s->damaged = true;
	if (!lfs_site_open(s, &res))
		return true;
	sim_require(!res || res == -EUCLEAN, "open of a damaged store: %d %s", res,
		    s->why);
	if (!res) {
		take_stock(s, floor);
		check_incarnation(s);
		lfs_site_events_check(s);
		return lfs_site_check(s) && lfs_site_follow(s) && lfs_site_close(s, &res);
	}
	sim_note(s->w, "refused", at, 0, 0);
	sim_node_stop(s->node);
	lfs_site_gone(s);
	sim_disk_flip(s->disk, at, bit);
	s->damaged = false;
	return true;
}

/* ---- a life ------------------------------------------------------------------------------ */

/* Open, crashing in recovery now and then. False: the run is over. */
static bool open_somehow(struct lfs_site *s, uint64_t floor)
{
	unsigned crashes = 0;
	int res;

	for (;;) {
		bool arm = crashes < RECOVERY_CRASHES_MAX &&
			   sim_chance(s->rng, s->one_slot ? 0.9 : 0.3);
		enum sim_crash kind = sim_chance(s->rng, 0.7) ? SIM_POWER : SIM_KILL;

		if (!sim_node_up(s->node))
			s->loop = sim_node_start(s->node);
		if (arm)
			sim_node_crash_after(s->node, kind, SIM_ON_ANY,
					     sim_skewed(s->rng, 1, 200));
		if (!lfs_site_open(s, &res)) {
			crashes++;
			/* What a dead process had written is not safe from power. */
			if (kind == SIM_POWER)
				floor = s->flushed;
			continue;
		}
		if (arm)
			sim_node_crash_after(s->node, kind, SIM_ON_ANY, 0);
		break;
	}
	sim_require(!res, "open: %d %s", res, s->why);
	s->one_slot = false;
	take_stock(s, floor);
	check_incarnation(s);
	lfs_site_events_check(s);
	return true;
}

/*
 * An open with one bad turn of the disk or the allocator must say so, and change nothing.
 * False: it has ended in a power loss.
 */
static bool open_badly(struct lfs_site *s)
{
	int res;

	if (!sim_node_up(s->node))
		s->loop = sim_node_start(s->node);
	s->faulty = true;
	if (sim_chance(s->rng, 0.5))
		sim_disk_fail_at(s->disk, SIM_ON_DISK, sim_skewed(s->rng, 1, 40));
	else
		sim_mem_fail_at(s->node, sim_skewed(s->rng, 1, 100));
	if (!lfs_site_open(s, &res))
		sim_violation("a crash that nobody armed");
	sim_disk_fail_at(s->disk, SIM_ON_DISK, 0);
	sim_mem_fail_at(s->node, 0);
	if (!res) {
		if (!lfs_site_close(s, &res))
			sim_violation("a crash that nobody armed");
		s->faulty = false;
		return true;
	}
	sim_require(res == -EIO || res == -ENOMEM, "open with faults: %d %s", res,
		    s->why);
	/* A flush that failed may have lost what is still read: only power tells. */
	sim_node_crash(s->node, SIM_POWER);
	lfs_site_gone(s);
	s->faulty = false;
	return false;
}

static bool work(struct lfs_site *s, unsigned bursts)
{
	int res;

	for (unsigned i = 0; i < bursts && !s->failed; i++) {
		if (!lfs_site_burst(s))
			return false;
		if (sim_chance(s->rng, 0.3))
			lfs_site_events_add(s);
		if (sim_chance(s->rng, 0.2) && !lfs_site_flush(s, &res))
			return false;
		if (sim_chance(s->rng, 0.2) && !lfs_site_idle(s, 300 * RT_MS)) {
			lfs_site_gone(s);
			return false;
		}
		if (sim_chance(s->rng, 0.1) && !s->failed && !lfs_site_epoch(s, &res))
			return false;
		if (sim_chance(s->rng, 0.2)) {
			if (!lfs_site_drain(s))
				return false;
			if (!s->failed && !lfs_site_check(s))
				return false;
			if (!s->failed && !lfs_site_follow(s))
				return false;
		}
	}
	return true;
}

static void arm_faults(struct lfs_site *s)
{
	s->faulty = true;
	if (sim_chance(s->rng, 0.5))
		sim_disk_fail_at(s->disk, SIM_ON_FLUSH, sim_skewed(s->rng, 1, 30));
	else
		sim_disk_fail_at(s->disk, SIM_ON_WRITE, sim_skewed(s->rng, 1, 200));
}

/* One life: from open to its end. Returns what has to be there afterwards. */
static uint64_t live(struct lfs_site *s, enum end end, bool faults)
{
	unsigned bursts = (unsigned)sim_skewed(s->rng, 0, BURSTS_MAX);
	int res;

	if (faults)
		arm_faults(s);
	s->starved = sim_chance(s->rng, 0.1);
	sim_mem_fail_chance(s->node, s->starved ? 0.05 : 0);
	if (end != END_CLOSE && sim_chance(s->rng, 0.7))
		sim_node_crash_after(s->node, end == END_KILL ? SIM_KILL : SIM_POWER,
				     SIM_ON_ANY, sim_skewed(s->rng, 1, 3000));
	if (!work(s, bursts))
		goto gone;
	if (end == END_CLOSE) {
		if (!lfs_site_close(s, &res))
			goto gone;
		sim_require(!res || s->failed, "close: %d", res);
		if (!res)
			s->flushed = s->written;
	}
	if (sim_node_up(s->node)) {
		sim_node_crash_after(s->node, SIM_POWER, SIM_ON_ANY, 0);
		sim_node_crash(s->node, end == END_KILL ? SIM_KILL : SIM_POWER);
	}
gone:
	s->starved = false;
	sim_mem_fail_chance(s->node, 0);
	/* What a failed flush covered may still be read: only a power loss shows. */
	if (s->failed) {
		(void)sim_node_start(s->node);
		sim_node_crash(s->node, SIM_POWER);
	}
	lfs_site_gone(s);
	sim_disk_fail_at(s->disk, SIM_ON_FLUSH, 0);
	sim_disk_fail_at(s->disk, SIM_ON_WRITE, 0);
	s->faulty = false;
	return end == END_KILL && !s->failed ? s->written : s->flushed;
}

/* Everything flushed, and its witness too: from here on damage is never taken for a tear. */
static bool settle(struct lfs_site *s)
{
	int res;

	if (!open_somehow(s, s->flushed) || !work(s, 3) || !lfs_site_drain(s))
		return false;
	if (!lfs_site_flush(s, &res) || !lfs_site_idle(s, RT_S))
		return false;
	s->flushed = s->written;
	sim_node_crash(s->node, SIM_POWER);
	lfs_site_gone(s);
	lfs_site_check_witness(s);
	return true;
}

static void draw_disk(struct lfs_site *s)
{
	struct sim_disk_config *c = sim_disk_config(s->disk);

	*c = sim_disk_fine;
	c->read_max_ns = (int64_t)sim_skewed(s->rng, 1, 1000) * RT_US;
	c->write_max_ns = (int64_t)sim_skewed(s->rng, 1, 3000) * RT_US;
	c->flush_max_ns = (int64_t)sim_skewed(s->rng, 1, 10000) * RT_US;
	c->read_min_ns = c->write_min_ns = c->flush_min_ns = 0;
	if (sim_chance(s->rng, 0.3))
		c->short_io = 0.2;
	if (sim_chance(s->rng, 0.3)) {
		c->stall = 0.01;
		c->stall_ns = 200 * RT_MS;
	}
}

static void run_lfs(struct sim_world *w)
{
	struct lfs_site *s = lfs_site_new(w);
	unsigned lives = (unsigned)sim_between(s->rng, 1, LIVES_MAX);
	uint64_t floor = 0;

	draw_disk(s);
	if (!lfs_site_create(s))
		sim_violation("a crash that nobody armed");
	for (unsigned i = 0; i < lives; i++) {
		enum end end = (enum end)sim_below(s->rng, 3);

		if (sim_chance(s->rng, 0.2) && !open_badly(s))
			floor = s->flushed;
		if (sim_chance(s->rng, 0.3))
			lfs_site_damage_slot(s);
		open_somehow(s, floor);
		if (!lfs_site_check(s) || !lfs_site_follow(s))
			sim_violation("a crash that nobody armed");
		floor = live(s, end, sim_chance(s->rng, 0.2));
		if (end == END_POWER && sim_chance(s->rng, 0.3))
			lfs_site_forge_record(s);
	}
	if (sim_chance(s->rng, 0.5) && settle(s))
		(void)live_damaged(s);
	if (!s->damaged) {
		open_somehow(s, s->flushed);
		if (!lfs_site_check(s) || !lfs_site_follow(s))
			sim_violation("a crash that nobody armed");
		sim_node_crash(s->node, SIM_POWER);
	}
	lfs_site_free(s);
}

static const char *const lfs_bugs[] = {
	"FLUSH_DOES_NOTHING",	   "DURABLE_AT_RETURN",
	"SKIP_CHAIN_CHECK",	   "TRUNCATE_CORRUPT",
	"MAP_IN_COMPLETION_ORDER", "CHECKPOINT_BEFORE_FLUSH",
	"NO_INCARNATION",	   "FACT_IN_ONE_COPY",
	"FLUSH_FAILURE_IGNORED",   "EVENT_BEFORE_FLUSH",
	"EVENT_ALONE_IN_BLOCK",	   "COUNTS_AFTER_C", "REUSE_ONE_SLOT", "GOOD_SLOT_OVERWRITTEN",	   NULL,
};

SIM_SCENARIO(lfs, "a log under random work, crashes, damage and disk errors", run_lfs,
	     lfs_bugs)
