// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/sim/sim.h"

/*
 * The simulator itself: what it promises about flushes, crashes, memory and time. Every
 * other scenario believes it. Network: scenario_net.c.
 */
#define BLOCKS 64
#define STORE "/store"

struct self_op {
	struct rt_op op;
	bool ended;
	int res;
};

static void self_done(struct rt_op *op, int res)
{
	struct self_op *s = rt_container_of(op, struct self_op, op);

	sim_require(!s->ended, "an operation ended twice");
	s->ended = true;
	s->res = res;
}

static bool self_ended(void *arg)
{
	return ((struct self_op *)arg)->ended;
}

static void self_begin(struct self_op *s)
{
	*s = (struct self_op){ .op.done = self_done };
}

static int self_wait(struct sim_world *w, struct self_op *s)
{
	sim_require(!s->ended, "ended from inside the call");
	sim_require(sim_run_until(w, self_ended, s, 10 * RT_S), "never ended");
	return s->res;
}

static struct rt_file *open_store(struct sim_node *node, unsigned flags)
{
	struct rt_file *file = NULL;
	int err;

	sim_node_enter(node);
	err = rt_file_open(sim_node_loop(node), STORE,
			   RT_FILE_WRITE | RT_FILE_DIRECT | RT_FILE_EXCLUSIVE | flags,
			   &file);
	sim_node_leave(node);
	sim_require(err == 0, "open: %d", err);
	return file;
}

struct store {
	struct sim_world *w;
	struct sim_node *node;
	struct rt_file *file;
	uint8_t *buf; /* BLOCKS blocks, the scenario's own */
	/* for each block: the version that is certainly durable, and the last completed */
	uint8_t flushed[BLOCKS], written[BLOCKS];
};

static void store_write(struct store *s, struct self_op *op, unsigned block, uint8_t v)
{
	uint8_t *p = s->buf + (size_t)block * RT_BLOCK;

	memset(p, v, RT_BLOCK);
	self_begin(op);
	sim_node_enter(s->node);
	rt_write(s->file, &op->op, p, RT_BLOCK, (uint64_t)block * RT_BLOCK);
	sim_node_leave(s->node);
}

static int store_flush(struct store *s)
{
	struct self_op op;

	self_begin(&op);
	sim_node_enter(s->node);
	rt_fdatasync(s->file, &op.op);
	sim_node_leave(s->node);
	return self_wait(s->w, &op);
}

static void store_fill(struct store *s, uint8_t version)
{
	struct self_op op[BLOCKS];

	for (unsigned b = 0; b < BLOCKS; b++)
		store_write(s, &op[b], b, version);
	for (unsigned b = 0; b < BLOCKS; b++) {
		if (!op[b].ended)
			self_wait(s->w, &op[b]);
		sim_require(op[b].res == RT_BLOCK, "write: %d", op[b].res);
		s->written[b] = version;
	}
}

/* One pass over all outcomes of a power loss; counted over the runs of one process. */
static struct {
	unsigned runs, none, all, torn, mixed;
} seen;

/* Sectors are the flushed version or the written one, nothing else. */
static void check_sectors(struct store *s, unsigned *nold, unsigned *nnew,
			  unsigned *ntorn)
{
	uint8_t block[RT_BLOCK];

	*nold = *nnew = *ntorn = 0;
	for (unsigned b = 0; b < BLOCKS; b++) {
		unsigned fresh = 0;

		sim_disk_peek(sim_disk(s->node, STORE), (uint64_t)b * RT_BLOCK, block,
			      RT_BLOCK);
		for (unsigned i = 0; i < RT_BLOCK; i++)
			sim_require(block[i] == block[i / 512 * 512], "half a sector");
		for (unsigned i = 0; i < RT_BLOCK; i += 512) {
			sim_require(block[i] == s->flushed[b] ||
					    block[i] == s->written[b],
				    "block %u holds %u, neither %u nor %u", b, block[i],
				    s->flushed[b], s->written[b]);
			fresh += block[i] == s->written[b];
		}
		*nold += fresh == 0;
		*nnew += fresh == 8;
		*ntorn += fresh != 0 && fresh != 8;
	}
}

/*
 * Flushed blocks survive a power loss; un-flushed ones do in all the ways there are; a
 * kill takes nothing that had completed.
 */
static void crash_keeps_what_was_flushed(struct store *s)
{
	unsigned nold, nnew, ntorn;

	store_fill(s, 1);
	sim_require(store_flush(s) == 0, "flush");
	memset(s->flushed, 1, sizeof(s->flushed));
	store_fill(s, 2);
	sim_node_crash(s->node, SIM_KILL);
	check_sectors(s, &nold, &nnew, &ntorn);
	sim_require(nnew == BLOCKS, "a kill has taken completed writes");

	sim_node_start(s->node);
	s->file = open_store(s->node, 0);
	sim_node_crash(s->node, SIM_POWER);
	check_sectors(s, &nold, &nnew, &ntorn);
	seen.runs++;
	seen.none += nold == BLOCKS;
	seen.all += nnew == BLOCKS;
	seen.torn += ntorn > 0;
	seen.mixed += nold > 0 && nnew > 0;
	if (seen.runs == 200)
		sim_require(seen.none > 10 && seen.all > 10 && seen.torn > 10 &&
				    seen.mixed > 10,
			    "outcomes: none %u all %u torn %u mixed %u", seen.none,
			    seen.all, seen.torn, seen.mixed);
	sim_node_start(s->node);
	s->file = open_store(s->node, 0);
	for (unsigned b = 0; b < BLOCKS; b++)
		s->written[b] = s->flushed[b] = 9;
	store_fill(s, 9);
	sim_require(store_flush(s) == 0, "flush");
}

/* A write that completes after a flush was submitted is not covered by it. */
static void flush_covers_what_had_completed(struct store *s)
{
	struct sim_disk *d = sim_disk(s->node, STORE);
	struct sim_disk_stats stats;
	struct self_op flush, write;

	sim_disk_config(d)->write_min_ns = sim_disk_config(d)->write_max_ns = RT_MS;
	sim_disk_config(d)->flush_min_ns = sim_disk_config(d)->flush_max_ns = 5 * RT_MS;
	store_write(s, &write, 0, 10);
	self_begin(&flush);
	sim_node_enter(s->node);
	rt_fdatasync(s->file, &flush.op);
	sim_node_leave(s->node);
	sim_require(self_wait(s->w, &flush) == 0 && write.ended, "order");
	sim_disk_stats(d, &stats);
	sim_require(stats.unflushed == 1, "%llu un-flushed",
		    (unsigned long long)stats.unflushed);
	sim_require(store_flush(s) == 0, "flush");
	sim_disk_stats(d, &stats);
	sim_require(stats.unflushed == 0, "un-flushed after a flush");
	*sim_disk_config(d) = sim_disk_fine;
}

/* A flush that fails has dropped its data for good, and the next one says it is fine. */
static void failed_flush_forgets(struct store *s)
{
	struct sim_disk *d = sim_disk(s->node, STORE);
	uint8_t block[RT_BLOCK];

	store_fill(s, 11);
	sim_disk_fail_at(d, SIM_ON_FLUSH, 1);
	sim_require(store_flush(s) == -EIO, "the flush did not fail");
	sim_disk_peek(d, 0, block, RT_BLOCK);
	sim_require(block[0] == 11, "not even read any more");
	sim_require(store_flush(s) == 0, "the next flush failed, too");
	sim_node_crash(s->node, SIM_POWER);
	memset(s->flushed, 9, sizeof(s->flushed));
	s->flushed[0] = 10;
	check_sectors(s, &(unsigned){ 0 }, &(unsigned){ 0 }, &(unsigned){ 0 });
	sim_disk_peek(d, RT_BLOCK, block, RT_BLOCK);
	sim_node_start(s->node);
	s->file = open_store(s->node, 0);
}

/* Lying flushes leave everything to the crash; other faults come when they are asked. */
static void faults_come_when_asked(struct store *s)
{
	struct sim_disk *d = sim_disk(s->node, STORE);
	struct self_op op;
	uint8_t before, after;

	sim_disk_config(d)->lying_flush = 1;
	store_fill(s, 12);
	sim_require(store_flush(s) == 0, "it does not even lie");
	struct sim_disk_stats stats;
	sim_disk_stats(d, &stats);
	sim_require(stats.unflushed >= BLOCKS, "flushed after all");
	*sim_disk_config(d) = sim_disk_fine;
	sim_require(store_flush(s) == 0, "flush");

	sim_disk_unreadable(d, 5 * RT_BLOCK, 512);
	self_begin(&op);
	sim_node_enter(s->node);
	rt_read(s->file, &op.op, s->buf, 8 * RT_BLOCK, 0);
	sim_node_leave(s->node);
	sim_require(self_wait(s->w, &op) == -EIO, "read what cannot be read");
	store_write(s, &op, 5, 12);
	sim_require(self_wait(s->w, &op) == RT_BLOCK, "write");
	self_begin(&op);
	sim_node_enter(s->node);
	rt_read(s->file, &op.op, s->buf, 8 * RT_BLOCK, 0);
	sim_node_leave(s->node);
	sim_require(self_wait(s->w, &op) == 8 * RT_BLOCK, "still unreadable");
	for (unsigned i = 0; i < 8 * RT_BLOCK; i++)
		sim_require(s->buf[i] == 12, "read %u", s->buf[i]);

	sim_disk_peek(d, 77, &before, 1);
	sim_disk_flip(d, 77, 3);
	sim_disk_peek(d, 77, &after, 1);
	sim_require((before ^ after) == 8, "flip");
	sim_disk_config(d)->space = 4 * RT_BLOCK;
	store_write(s, &op, 1, 12); /* lies there already */
	sim_require(self_wait(s->w, &op) == RT_BLOCK, "no space for what is there");
	self_begin(&op);
	sim_node_enter(s->node);
	rt_write(s->file, &op.op, s->buf, RT_BLOCK, BLOCKS * RT_BLOCK);
	sim_node_leave(s->node);
	sim_require(self_wait(s->w, &op) == -ENOSPC, "space from nowhere");
	*sim_disk_config(d) = sim_disk_fine;
}

/* An armed crash comes at its event, and the process is gone with all it had. */
static void armed_crash_comes_in_time(struct store *s)
{
	struct sim_until forever = { .ns = 10 * RT_S };
	uint64_t before = sim_node_events(s->node, SIM_ON_WRITE);
	struct self_op op[BLOCKS];
	uint64_t at = sim_between(sim_rng(s->w), 1, BLOCKS);

	for (unsigned b = 0; b < BLOCKS; b++)
		store_write(s, &op[b], b, 13);
	sim_node_crash_after(s->node, SIM_POWER, SIM_ON_WRITE, at);
	sim_require(sim_run(s->w, &forever) == SIM_CRASHED, "no crash");
	sim_require(sim_node_events(s->node, SIM_ON_WRITE) == before + at, "crash: when");
	sim_require(!sim_node_up(s->node), "it lives");
	sim_run_for(s->w, RT_S);
	for (unsigned b = 0, ended = 0; b < BLOCKS; b++) {
		ended += op[b].ended;
		sim_require(ended <= at, "a dead process got a result");
	}
	sim_node_start(s->node);
	s->file = open_store(s->node, 0);
}

static void timer_note(struct rt_timer *timer)
{
	timer->at = (rt_time){ -1 };
}

static bool timer_fired(void *arg)
{
	return ((struct rt_timer *)arg)->at.ns == -1;
}

/* Timers come after their time, never before; not at all once they are disarmed. */
static void timers_fire_once(struct store *s)
{
	struct rt_loop *loop = sim_node_loop(s->node);
	struct rt_timer a = { .fire = timer_note }, b = { .fire = timer_note };
	rt_time at = rt_time_add(rt_now(loop), 50 * RT_MS);

	sim_node_enter(s->node);
	rt_timer_arm(loop, &a, rt_time_add(at, RT_S));
	rt_timer_arm(loop, &a, at);
	rt_timer_arm(loop, &b, at);
	rt_timer_disarm(loop, &b);
	rt_timer_disarm(loop, &b);
	sim_node_leave(s->node);
	sim_require(rt_timer_armed(&a) && !rt_timer_armed(&b), "armed");
	sim_require(sim_run_until(s->w, timer_fired, &a, RT_S), "no timer");
	sim_require(!rt_time_before(rt_now(loop), at), "too early");
	sim_require(rt_time_since(rt_now(loop), at) < RT_MS, "too late");
	sim_run_for(s->w, 2 * RT_S);
	sim_require(!rt_timer_armed(&a) && !timer_fired(&b), "fired");
}

/* What was started can be called off, and ends once all the same. */
static void cancelled_operations_end(struct store *s)
{
	struct rt_loop *loop = sim_node_loop(s->node);
	struct self_op defer, read;

	self_begin(&defer);
	self_begin(&read);
	sim_node_enter(s->node);
	rt_defer(loop, &defer.op);
	rt_read(s->file, &read.op, s->buf, RT_BLOCK, 0);
	rt_cancel(loop, &defer.op);
	rt_cancel(loop, &read.op);
	sim_node_leave(s->node);
	self_wait(s->w, &read);
	sim_require(read.res == -ECANCELED || read.res == RT_BLOCK, "%d", read.res);
	sim_require(defer.ended && (defer.res == 0 || defer.res == -ECANCELED), "defer");
}

/* Memory belongs to the node that is entered, dies with it, and can run out. */
static void memory_belongs_to_nodes(struct store *s)
{
	void *p, *q, *r;

	sim_node_enter(s->node);
	p = rt_alloc(100);
	sim_mem_fail_at(s->node, 2);
	q = rt_zalloc(3, 50);
	r = rt_alloc_blocks(RT_BLOCK);
	sim_require(p != NULL && q != NULL && r == NULL, "the second fails");
	r = rt_alloc_blocks(RT_BLOCK);
	sim_require(r != NULL && (uintptr_t)r % RT_BLOCK == 0, "and only that");
	sim_require(rt_zalloc(SIZE_MAX / 2, 3) == NULL, "overflow");
	sim_require(sim_mem_bytes(s->node) == 250 + RT_BLOCK, "%llu",
		    (unsigned long long)sim_mem_bytes(s->node));
	rt_free(q);
	sim_node_leave(s->node);
	sim_node_crash(s->node, SIM_KILL);
	sim_require(sim_mem_bytes(s->node) == 0, "left behind");
	sim_node_start(s->node);
	s->file = open_store(s->node, 0);
}

/* A kill leaves the boot id and the clock; a power loss does not. */
static void machines_boot(struct store *s)
{
	uint8_t a[16], b[16], c[16];

	rt_boot_id(sim_node_loop(s->node), a);
	sim_node_crash(s->node, SIM_KILL);
	rt_boot_id(sim_node_start(s->node), b);
	sim_node_crash(s->node, SIM_POWER);
	rt_boot_id(sim_node_start(s->node), c);
	sim_require(memcmp(a, b, 16) == 0 && memcmp(a, c, 16) != 0, "boot ids");
	s->file = open_store(s->node, 0);
}

static void self_disk(struct sim_world *w)
{
	struct store s = { .w = w, .node = sim_node_new(w, "one") };

	if (posix_memalign((void **)&s.buf, RT_BLOCK, BLOCKS * RT_BLOCK) != 0)
		sim_violation("memory");
	sim_node_start(s.node);
	s.file = open_store(s.node, RT_FILE_CREATE);
	sim_node_enter(s.node);
	sim_require(rt_file_set_size(s.file, BLOCKS * RT_BLOCK) == 0, "size");
	sim_require(rt_file_sync_dir(sim_node_loop(s.node), STORE) == 0, "dir");
	sim_node_leave(s.node);
	sim_require(store_flush(&s) == 0, "flush");
	crash_keeps_what_was_flushed(&s);
	flush_covers_what_had_completed(&s);
	failed_flush_forgets(&s);
	faults_come_when_asked(&s);
	armed_crash_comes_in_time(&s);
	timers_fire_once(&s);
	cancelled_operations_end(&s);
	memory_belongs_to_nodes(&s);
	machines_boot(&s);
	rt_file_close(s.file);
	sim_node_stop(s.node);
	free(s.buf);
}

SIM_SCENARIO(self, "the simulator itself: disk, crashes, memory, time", self_disk, NULL,
	     .all_max = 200);
