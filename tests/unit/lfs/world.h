/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_LFS_WORLD_H
#define TESTS_UNIT_LFS_WORLD_H

/*
 * A store, and calls that are waited for. Where it lies is the business of world_file.h
 * (a file, the real ring) and world_memory.h (memory, completions that a test chooses).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/map.h"
#include "lfs/superblock.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/log.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)
#define VOLUME_BLOCKS 2048u
#define BLOCKS_MAX 16u

/* Bytes of a map of VOLUME_BLOCKS with so many leaves in it. */
static inline uint64_t map_memory_of(unsigned leaves)
{
	return VOLUME_BLOCKS / LFS_LEAF_BLOCKS * sizeof(struct lfs_leaf *) +
	       sizeof(struct lfs_inner) + leaves * sizeof(struct lfs_leaf);
}

struct world;

/* Behind the store's back. */
struct world_medium {
	void (*poke)(struct world *w, uint64_t off, const void *bytes, size_t len);
	void (*peek)(struct world *w, uint64_t off, void *bytes, size_t len);
	uint64_t (*size)(struct world *w);
};

struct world {
	struct rt_loop *loop;
	const struct world_medium *medium;
	char dir[64];
	char path[96];
	struct lfs *lfs;
	struct lfs_meta meta;
	char why[LFS_WHY_MAX];
	uint8_t *buf;
	unsigned waiting; /* for so many completions */
	int res;
	int disk_err; /* of the last read_blocks() that failed */
	uint64_t map_memory;
	uint64_t checkpoint_every;    /* of open; 0: as created */
	int64_t checkpoint_ms;	      /* of open; 0: never */
	bool held;		      /* waits for events.advanced */
	struct lfs_recovery recovery; /* of the last open */
	unsigned failures;	      /* events.failed */
	char failed_why[LFS_WHY_MAX];
	bool unclean; /* close as after a crash */
	/* of create() */
	uint32_t max_request;	/* 0: LFS_REQUEST_MIN */
	uint64_t volume_blocks; /* 0: VOLUME_BLOCKS */
	bool fill;
	uint64_t filled;
};

static inline void silent(void *owner, enum rt_log_level level, const char *line)
{
	(void)owner;
	(void)level;
	(void)line;
}

/* ---- calls, waited for ------------------------------------------------------------------ */

static struct world *running;

static inline void ended(int res)
{
	running->res = res;
	if (--running->waiting == 0)
		rt_loop_stop(running->loop);
}

static inline int wait_for(struct world *w, unsigned n)
{
	assert_int_equal(w->waiting, n);
	running = w;
	assert_int_equal(rt_loop_run(w->loop), 0);
	assert_int_equal(w->waiting, 0);
	return w->res;
}

static inline void create_done(struct lfs_create *c, int res)
{
	ended(res);
}

static inline void create_filled(struct lfs_create *c, uint64_t bytes, uint64_t size)
{
	assert_true(bytes > running->filled && bytes <= size);
	running->filled = bytes;
}

static inline int create(struct world *w, uint64_t size)
{
	struct lfs_create c = { .done = create_done, .filled = create_filled };
	struct lfs_create_params params = {
		.path = w->path,
		.size = size,
		.segment_size = LFS_SEGMENT_MIN,
		.checkpoint_every = MIB,
		.meta = &w->meta,
		.fill = w->fill,
	};
	int res;

	memset(&w->meta, 0, sizeof(w->meta));
	strncpy(w->meta.group_name, "payments", LFS_NAME_MAX - 1);
	w->meta.role = LFS_PRIMARY;
	w->meta.max_request = w->max_request ? w->max_request : LFS_REQUEST_MIN;
	w->meta.nvolumes = 1;
	w->meta.volumes[0] = (struct lfs_volume){
		.name = "a",
		.size = (w->volume_blocks ? w->volume_blocks : VOLUME_BLOCKS) * LFS_BLOCK,
	};
	w->waiting = 1;
	lfs_create(w->loop, &params, &c);
	res = wait_for(w, 1);
	memcpy(w->why, c.why, sizeof(w->why));
	return res;
}

static inline void advanced(void *owner)
{
	struct world *w = owner;

	if (w->held)
		ended(0);
	w->held = false;
}

static inline void failed(void *owner, int err, const char *why)
{
	struct world *w = owner;

	(void)err;
	w->failures++;
	memcpy(w->failed_why, why, sizeof(w->failed_why));
}

static const struct lfs_events events = { .advanced = advanced, .failed = failed };

static inline void open_done(struct lfs_open *o, int res)
{
	ended(res);
}

static inline int open_as(struct world *w, const char *group)
{
	struct lfs_open o = { .done = open_done };
	struct lfs_open_params params = {
		.path = w->path,
		.group_name = group,
		.map_memory = w->map_memory,
		.checkpoint_every = w->checkpoint_every,
		.checkpoint_ms = w->checkpoint_ms,
		.events = &events,
		.owner = w,
	};
	int res;

	w->waiting = 1;
	lfs_open(w->loop, &params, &o);
	res = wait_for(w, 1);
	w->lfs = o.lfs;
	w->recovery = o.recovery;
	memcpy(w->why, o.why, sizeof(w->why));
	assert_true(!res || w->why[0]);
	return res;
}

static inline int open_store(struct world *w)
{
	return open_as(w, "payments");
}

static inline void close_done(struct lfs_close *c, int res)
{
	ended(res);
}

static inline int close_store(struct world *w)
{
	struct lfs_close c = { .done = close_done, .unclean = w->unclean };

	w->waiting = 1;
	lfs_close(w->lfs, &c);
	w->lfs = NULL;
	return wait_for(w, 1);
}

static inline void append_done(struct lfs_append *a, int res)
{
	ended(res);
}

/* Appended and written, or why not. */
static inline int append_wait(struct world *w, struct lfs_append *a)
{
	int res;

	while ((res = lfs_append(w->lfs, a)) == -EAGAIN) {
		w->held = true;
		w->waiting = 1;
		(void)wait_for(w, 1);
	}
	if (res)
		return res;
	w->waiting = 1;
	return wait_for(w, 1);
}

/* When a primary has admitted the LSN, says write_blocks(); of one in four nobody knows. */
static inline int64_t world_wall_ns(uint64_t lsn)
{
	return lsn % 4 ? (int64_t)lsn * 1000000007 : 0;
}

/* Blocks full of `byte`. */
static inline int write_blocks(struct world *w, uint64_t lba, uint32_t blocks,
			       uint8_t byte)
{
	uint32_t crcs[BLOCKS_MAX];
	struct lfs_op op = {
		.kind = LFS_WRITE,
		.lba = lba,
		.blocks = blocks,
		.crcs = crcs,
		.data = w->buf,
	};
	struct lfs_append a = {
		.lsn = lfs_lsn(w->lfs).admitted + 1,
		.ops = &op,
		.nops = 1,
		.wall_ns = world_wall_ns(lfs_lsn(w->lfs).admitted + 1),
		.done = append_done,
	};

	assert_true(blocks <= BLOCKS_MAX);
	memset(w->buf, byte, blocks * LFS_BLOCK);
	for (uint32_t i = 0; i < blocks; i++)
		crcs[i] = rt_crc32c(w->buf + i * LFS_BLOCK, LFS_BLOCK);
	return append_wait(w, &a);
}

static inline void flush_done(struct lfs_flush *f, int res)
{
	ended(res);
}

static inline int flush_store(struct world *w)
{
	struct lfs_flush f = { .done = flush_done };

	w->waiting = 1;
	lfs_flush(w->lfs, &f);
	return wait_for(w, 1);
}

static inline void read_done(struct lfs_read *r, int res)
{
	ended(res);
}

static inline int read_blocks(struct world *w, uint64_t lba, uint32_t blocks,
			      uint64_t *bad)
{
	struct lfs_read r = {
		.lba = lba,
		.blocks = blocks,
		.buf = w->buf,
		.done = read_done,
	};
	int res;

	w->waiting = 1;
	lfs_read(w->lfs, &r);
	res = wait_for(w, 1);
	*bad = r.bad_lba;
	w->disk_err = r.disk_err;
	return res;
}

static inline void must_hold(struct world *w, uint64_t lba, uint32_t blocks, uint8_t byte)
{
	uint64_t bad;

	assert_int_equal(read_blocks(w, lba, blocks, &bad), 0);
	for (uint32_t i = 0; i < blocks * LFS_BLOCK; i++)
		assert_int_equal(w->buf[i], byte);
}

/* ---- behind the store's back ---------------------------------------------------------------- */

static inline void poke(struct world *w, uint64_t off, const void *bytes, size_t len)
{
	w->medium->poke(w, off, bytes, len);
}

static inline void peek(struct world *w, uint64_t off, void *bytes, size_t len)
{
	w->medium->peek(w, off, bytes, len);
}

static inline void flip(struct world *w, uint64_t off)
{
	uint8_t byte;

	peek(w, off, &byte, 1);
	byte ^= 0x10;
	poke(w, off, &byte, 1);
}

static inline uint32_t sum_of(struct world *w)
{
	size_t size = (size_t)w->medium->size(w);
	uint8_t *all = malloc(size);
	uint32_t crc;

	assert_non_null(all);
	peek(w, 0, all, size);
	crc = rt_crc32c(all, size);
	free(all);
	return crc;
}

/* Refused with this error, and not a byte of it changed. */
static inline void must_refuse(struct world *w, int res)
{
	uint32_t sum = sum_of(w);

	assert_int_equal(open_store(w), res);
	assert_null(w->lfs);
	assert_int_equal(sum_of(w), sum);
}

/* The first block of data in the log: behind header and head area of segment 0. */
static inline uint64_t first_data(struct world *w)
{
	struct lfs_superblock_head h;

	peek(w, 0, &h, sizeof(h));
	return le64_get(h.segments_off) + 2 * LFS_BLOCK;
}

#endif
