// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/sim/sim.h"

/*
 * Each fault of the simulated disk does what sim.h says of it, and nothing worse: a
 * scenario that switches one on concludes from it what an engine may lose.
 */
#define BLOCKS 64
#define ROUNDS 250
#define STORE "/store"

struct call {
	struct rt_op op;
	bool ended;
	int res;
};

struct faults {
	struct sim_world *w;
	struct sim_node *node;
	struct sim_disk *disk;
	struct rt_file *file;
	uint8_t *buf, *was, *is; /* BLOCKS blocks each */
};

static void call_done(struct rt_op *op, int res)
{
	struct call *c = rt_container_of(op, struct call, op);

	c->ended = true;
	c->res = res;
}

static bool call_ended(void *arg)
{
	return ((struct call *)arg)->ended;
}

static int call_wait(struct faults *f, struct call *c)
{
	sim_require(sim_run_until(f->w, call_ended, c, 60 * RT_S), "never ended");
	return c->res;
}

static int do_read(struct faults *f, size_t len, uint64_t off)
{
	struct call c = { .op.done = call_done };

	sim_node_enter(f->node);
	rt_read(f->file, &c.op, f->buf, len, off);
	sim_node_leave(f->node);
	return call_wait(f, &c);
}

static void begin_write(struct faults *f, struct call *c, size_t len, uint64_t off)
{
	*c = (struct call){ .op.done = call_done };
	sim_node_enter(f->node);
	rt_write(f->file, &c->op, f->buf, len, off);
	sim_node_leave(f->node);
}

static int do_write(struct faults *f, size_t len, uint64_t off)
{
	struct call c;

	begin_write(f, &c, len, off);
	return call_wait(f, &c);
}

static int do_flush(struct faults *f)
{
	struct call c = { .op.done = call_done };

	sim_node_enter(f->node);
	rt_fdatasync(f->file, &c.op);
	sim_node_leave(f->node);
	return call_wait(f, &c);
}

static void look(struct faults *f, uint8_t *at)
{
	sim_disk_peek(f->disk, 0, at, BLOCKS * RT_BLOCK);
}

/* Blocks that have become `v` since look(f->was); every other byte must be as it was. */
static unsigned changed(struct faults *f, uint8_t v, unsigned *torn)
{
	unsigned n = 0;

	look(f, f->is);
	*torn = 0;
	for (unsigned b = 0; b < BLOCKS; b++) {
		unsigned sectors = 0;

		for (unsigned at = b * RT_BLOCK; at < (b + 1) * RT_BLOCK; at += 512) {
			bool same = memcmp(f->is + at, f->was + at, 512) == 0;
			uint8_t first = f->is[at];

			sectors += !same;
			sim_require(same || (first == v &&
					     memcmp(f->is + at, f->is + at + 1, 511) ==
						     0),
				    "a sector that nobody wrote");
		}
		n += sectors > 0;
		*torn += sectors > 0 && sectors < 8;
	}
	return n;
}

static void start(struct faults *f, unsigned flags)
{
	struct rt_loop *loop = sim_node_start(f->node);

	sim_node_enter(f->node);
	sim_require(rt_file_open(loop, STORE, RT_FILE_WRITE | RT_FILE_DIRECT | flags,
				 &f->file) == 0,
		    "open");
	sim_node_leave(f->node);
}

static void short_transfers_are_whole_blocks(struct faults *f)
{
	sim_disk_config(f->disk)->short_io = 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len = sim_between(sim_rng(f->w), 1, BLOCKS) * RT_BLOCK;
		unsigned torn;
		int n;

		look(f, f->was);
		memset(f->buf, (int)(1 + i), len);
		n = do_write(f, len, 0);
		sim_require(n > 0 && n % RT_BLOCK == 0 && (size_t)n <= len, "%d", n);
		sim_require((size_t)n < len || len == RT_BLOCK, "not short");
		sim_require(changed(f, (uint8_t)(1 + i), &torn) == (unsigned)n / RT_BLOCK,
			    "more or less than it says");
		n = do_read(f, len, 0);
		sim_require(n > 0 && n % RT_BLOCK == 0 && (size_t)n <= len, "%d", n);
	}
	sim_disk_config(f->disk)->short_io = 0;
	sim_require(do_read(f, RT_BLOCK, BLOCKS * RT_BLOCK) == 0, "no end of the file");
}

static void failed_writes_leave_any_part(struct faults *f)
{
	unsigned none = 0, all = 0, some = 0, torn;

	sim_disk_config(f->disk)->write_error = 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned n;

		look(f, f->was);
		memset(f->buf, (int)(1 + i), RT_BLOCK);
		sim_require(do_write(f, RT_BLOCK, 0) == -EIO, "no error");
		n = changed(f, (uint8_t)(1 + i), &torn);
		none += n == 0;
		some += torn;
		all += n == 1 && torn == 0;
	}
	sim_disk_config(f->disk)->write_error = 0;
	sim_require(none > 0 && all > 0 && some > 0, "%u %u %u", none, all, some);
}

static void lost_and_misdirected_writes_say_nothing(struct faults *f)
{
	unsigned moved = 0, torn;

	sim_disk_config(f->disk)->lost_write = 1;
	look(f, f->was);
	memset(f->buf, 200, RT_BLOCK);
	sim_require(do_write(f, RT_BLOCK, 0) == RT_BLOCK, "lost, loudly");
	sim_require(changed(f, 200, &torn) == 0, "not lost");
	sim_disk_config(f->disk)->lost_write = 0;
	sim_disk_config(f->disk)->misdirected = 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t v = (uint8_t)(201 + i % 2);

		look(f, f->was);
		memset(f->buf, v, RT_BLOCK);
		sim_require(do_write(f, RT_BLOCK, 8 * RT_BLOCK) == RT_BLOCK, "loudly");
		sim_require(changed(f, v, &torn) <= 1 && torn == 0, "torn");
		moved += f->is[8 * RT_BLOCK] != v;
	}
	sim_disk_config(f->disk)->misdirected = 0;
	sim_require(moved > ROUNDS / 3, "%u moved", moved);
}

static void rot_flips_one_bit_for_good(struct faults *f)
{
	unsigned bits = 0;

	look(f, f->was);
	sim_disk_config(f->disk)->bit_rot = 1;
	sim_require(do_read(f, BLOCKS * RT_BLOCK, 0) == BLOCKS * RT_BLOCK, "read");
	sim_disk_config(f->disk)->bit_rot = 0;
	for (unsigned i = 0; i < BLOCKS * RT_BLOCK; i++)
		bits += (unsigned)__builtin_popcount(f->was[i] ^ f->buf[i]);
	sim_require(bits == 1, "%u bits", bits);
	memcpy(f->was, f->buf, BLOCKS * RT_BLOCK);
	sim_require(do_read(f, BLOCKS * RT_BLOCK, 0) == BLOCKS * RT_BLOCK, "read");
	sim_require(memcmp(f->was, f->buf, BLOCKS * RT_BLOCK) == 0, "it has healed");
}

/* In flight at a kill: none, all or a part, each write for itself; no other byte moves. */
static void a_kill_cuts_what_is_in_flight(struct faults *f)
{
	unsigned none = 0, all = 0, some = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t v = (uint8_t)(1 + i);
		struct call c;
		unsigned n, torn;

		look(f, f->was);
		memset(f->buf, v, 4 * RT_BLOCK);
		begin_write(f, &c, 4 * RT_BLOCK, 4 * RT_BLOCK);
		sim_node_crash(f->node, SIM_KILL);
		n = changed(f, v, &torn);
		none += n == 0;
		all += n == 4 && torn == 0;
		some += n > 0 && (n < 4 || torn > 0);
		start(f, 0);
	}
	sim_require(none > 0 && all > 0 && some > 0, "%u %u %u", none, all, some);
}

/* Overlapping writes in flight complete in either order. */
static void completions_change_places(struct faults *f)
{
	unsigned second_first = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct call a, b;

		begin_write(f, &a, RT_BLOCK, 0);
		begin_write(f, &b, RT_BLOCK, RT_BLOCK);
		call_wait(f, &b);
		second_first += !a.ended;
		if (!a.ended)
			call_wait(f, &a);
	}
	sim_require(second_first > ROUNDS / 10 && second_first < ROUNDS, "%u",
		    second_first);
}

/* A new file that was not flushed into its directory may be gone; a synced one is not. */
static void a_new_file_needs_its_directory(struct faults *f)
{
	struct sim_disk *other = sim_disk(f->node, "/other");
	unsigned there = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		bool sync = i % 2 == 0;
		struct rt_file *file;

		sim_node_enter(f->node);
		sim_require(rt_file_open(sim_node_loop(f->node), "/other",
					 RT_FILE_WRITE | RT_FILE_CREATE, &file) == 0,
			    "create");
		if (sync)
			sim_require(rt_file_sync_dir(sim_node_loop(f->node), "/other") ==
					    0,
				    "sync");
		rt_file_close(file);
		sim_node_leave(f->node);
		sim_node_crash(f->node, SIM_POWER);
		there += !sync && sim_disk_exists(other);
		sim_require(!sync || sim_disk_exists(other), "a synced file is gone");
		sim_disk_remove(other);
		start(f, 0);
	}
	sim_require(there > 0 && there < ROUNDS / 2, "%u", there);
}

static void run_disk(struct sim_world *w)
{
	struct faults f = { .w = w, .node = sim_node_new(w, "one") };
	size_t size = BLOCKS * RT_BLOCK;

	f.was = malloc(size);
	f.is = malloc(size);
	if (posix_memalign((void **)&f.buf, RT_BLOCK, size) != 0 || !f.was || !f.is)
		sim_violation("memory");
	memset(f.buf, 0, size);
	f.disk = sim_disk(f.node, STORE);
	start(&f, RT_FILE_CREATE);
	sim_node_enter(f.node);
	sim_require(rt_file_sync_dir(sim_node_loop(f.node), STORE) == 0, "dir");
	sim_node_leave(f.node);
	sim_require(do_write(&f, size, 0) == (int)size && do_flush(&f) == 0, "fill");
	short_transfers_are_whole_blocks(&f);
	failed_writes_leave_any_part(&f);
	lost_and_misdirected_writes_say_nothing(&f);
	rot_flips_one_bit_for_good(&f);
	a_kill_cuts_what_is_in_flight(&f);
	completions_change_places(&f);
	sim_require(do_flush(&f) == 0, "flush");
	a_new_file_needs_its_directory(&f);
	rt_file_close(f.file);
	sim_node_stop(f.node);
	free(f.buf);
	free(f.was);
	free(f.is);
}

SIM_SCENARIO(disk, "each fault of the simulated disk", run_disk, NULL, .all_max = 20);
