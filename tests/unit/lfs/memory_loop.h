/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_LFS_MEMORY_LOOP_H
#define TESTS_UNIT_LFS_MEMORY_LOOP_H

/*
 * In place of rt/uring_*.c, in a test that includes this: the linker takes the first it
 * finds. One file in memory and a virtual clock. Operations end one at a time, in the
 * order in which they were submitted, unless the test holds a kind or reverses writes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define DISK_OPS_MAX 512u
#define DISK_TIMERS_MAX 16u
#define DISK_TRACE_MAX 4096u

enum disk_kind { DISK_DEFER, DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_KINDS };

struct disk_op {
	struct rt_op *op;
	enum disk_kind kind;
	const struct iovec *iov;
	struct iovec one;
	unsigned niov;
	uint64_t off;
	size_t completed; /* a flush: writes that had ended when it was submitted */
};

/* A read, write or flush that has ended. */
struct disk_event {
	enum disk_kind kind;
	uint64_t off, len;
};

struct disk_range {
	uint64_t off, len;
	bool durable;
};

static struct disk {
	uint8_t *bytes;	  /* what is read */
	uint8_t *durable; /* what a power cut leaves, at least */
	uint64_t size;
	uint64_t size_most; /* of a file, by its file system; 0: any */
	bool exists, opened;
	bool device; /* not a file: it is there before a store is made on it */
	unsigned dirs_synced;
	int sync_dir_res;
	struct disk_op ops[DISK_OPS_MAX];
	unsigned nops;
	struct rt_timer *timers[DISK_TIMERS_MAX];
	unsigned ntimers;
	rt_time now;
	bool stopped;
	bool hold[DISK_KINDS];
	uint64_t hold_from, hold_to;  /* hold writes at these offsets; 0: none; no end */
	bool reverse;		      /* the youngest write ends first */
	unsigned fail[DISK_KINDS];    /* the n-th from now on fails; 0: none; */
	int error;		      /* as; 0: -EIO */
	uint64_t at_most[DISK_KINDS]; /* bytes that one read or write does; 0: all */
	unsigned submitted[DISK_KINDS];
	struct disk_event trace[DISK_TRACE_MAX];
	unsigned ntrace;
	bool tracing;
	struct disk_range writes[DISK_TRACE_MAX]; /* ended, and perhaps not durable */
	size_t nwrites;
	unsigned cut_at; /* call `cut` when so many more writes have ended */
	void (*cut)(void);
	uint64_t random;
} disk;

struct rt_loop {
	int unused;
};

struct rt_file {
	int unused;
};

static struct rt_loop disk_loop;
static struct rt_file disk_file;

static inline void disk_reset(void)
{
	free(disk.bytes);
	free(disk.durable);
	disk = (struct disk){ .random = 88172645463325252u };
}

/* A device full of `byte` in place of a file that is not there yet. */
static inline void disk_device(uint64_t size, uint8_t byte)
{
	disk_reset();
	disk.bytes = malloc(size);
	disk.durable = malloc(size);
	assert_true(disk.bytes && disk.durable);
	memset(disk.bytes, byte, size);
	memset(disk.durable, byte, size);
	disk.size = size;
	disk.exists = disk.device = true;
}

/* What a power cut would leave now; owned by the caller. */
static inline uint8_t *disk_image(void)
{
	uint8_t *ret = malloc(disk.size);

	assert_non_null(ret);
	memcpy(ret, disk.durable, disk.size);
	return ret;
}

/* The same, with each block of what was written since the last flush by a coin. */
static inline uint8_t *disk_image_some(unsigned seed)
{
	uint8_t *ret = disk_image();

	for (size_t i = 0; i < disk.nwrites; i++) {
		const struct disk_range *r = &disk.writes[i];

		for (uint64_t at = 0; !r->durable && at < r->len; at += RT_BLOCK) {
			seed = seed * 1103515245u + 12345u;
			if (seed >> 16 & 1)
				memcpy(ret + r->off + at, disk.bytes + r->off + at,
				       RT_BLOCK);
		}
	}
	return ret;
}

static inline void disk_restore(const uint8_t *image)
{
	assert_false(disk.opened);
	memcpy(disk.bytes, image, disk.size);
	memcpy(disk.durable, image, disk.size);
	disk.nwrites = 0;
}

static inline void disk_poke(uint64_t off, const void *bytes, size_t len)
{
	assert_true(off + len <= disk.size);
	memcpy(disk.bytes + off, bytes, len);
	memcpy(disk.durable + off, bytes, len);
}

/* ---- operations ------------------------------------------------------------------------- */

static inline void disk_submit(struct rt_op *op, enum disk_kind kind,
			       const struct iovec *iov, unsigned niov, uint64_t off)
{
	struct disk_op *d = &disk.ops[disk.nops++];

	rt_assert(disk.nops < DISK_OPS_MAX);
	*d = (struct disk_op){ .op = op,
			       .kind = kind,
			       .iov = iov,
			       .niov = niov,
			       .off = off,
			       .completed = disk.nwrites };
	disk.submitted[kind]++;
}

static inline void disk_note(enum disk_kind kind, uint64_t off, uint64_t len)
{
	if (!disk.tracing)
		return;
	rt_assert(disk.ntrace < DISK_TRACE_MAX);
	disk.trace[disk.ntrace++] = (struct disk_event){ kind, off, len };
}

static inline int disk_transfer(const struct disk_op *d)
{
	uint64_t at = d->off, most = disk.at_most[d->kind];

	for (unsigned i = 0; i < d->niov; i++) {
		uint64_t len = d->iov[i].iov_len;

		if (most && len > most - (at - d->off))
			len = most - (at - d->off);
		if (at >= disk.size)
			break;
		if (len > disk.size - at)
			len = disk.size - at;
		if (d->kind == DISK_WRITE)
			memcpy(disk.bytes + at, d->iov[i].iov_base, len);
		else
			memcpy(d->iov[i].iov_base, disk.bytes + at, len);
		at += len;
	}
	return (int)(at - d->off);
}

static inline void disk_durable(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct disk_range *r = &disk.writes[i];

		if (!r->durable)
			memcpy(disk.durable + r->off, disk.bytes + r->off, r->len);
		r->durable = true;
	}
}

static inline int disk_perform(const struct disk_op *d)
{
	int res = 0;

	if (disk.fail[d->kind] && !--disk.fail[d->kind])
		return disk.error ? disk.error : -EIO;
	if (d->kind == DISK_READ || d->kind == DISK_WRITE)
		res = disk_transfer(d);
	if (d->kind != DISK_DEFER)
		disk_note(d->kind, d->off, (uint64_t)res);
	if (d->kind == DISK_FLUSH)
		disk_durable(d->completed < disk.nwrites ? d->completed : disk.nwrites);
	if (d->kind != DISK_WRITE)
		return res;
	rt_assert(disk.nwrites < DISK_TRACE_MAX);
	disk.writes[disk.nwrites++] =
		(struct disk_range){ .off = d->off, .len = (uint64_t)res };
	if (disk.cut_at && !--disk.cut_at)
		disk.cut();
	return res;
}

static inline bool disk_held(const struct disk_op *d)
{
	return disk.hold[d->kind] ||
	       (d->kind == DISK_WRITE && disk.hold_from && d->off >= disk.hold_from &&
		(!disk.hold_to || d->off < disk.hold_to));
}

/* End one operation. False: all that there are, if any, are held. */
static inline bool disk_step(void)
{
	unsigned at = 0;

	while (at < disk.nops && disk_held(&disk.ops[at]))
		at++;
	if (at == disk.nops)
		return false;
	if (disk.reverse && disk.ops[at].kind == DISK_WRITE)
		for (unsigned i = at; i < disk.nops; i++)
			if (disk.ops[i].kind == DISK_WRITE && !disk_held(&disk.ops[i]))
				at = i;
	struct disk_op d = disk.ops[at];

	/* The vector of rt_read() and rt_write() lies in the table, which moves. */
	if (d.iov == &disk.ops[at].one || !d.iov) {
		d.one = disk.ops[at].one;
		d.iov = &d.one;
	}
	memmove(disk.ops + at, disk.ops + at + 1,
		(disk.nops - at - 1) * sizeof(disk.ops[0]));
	disk.nops--;
	d.op->done(d.op, disk_perform(&d));
	return true;
}

/* Until nothing happens any more without the clock. */
static inline void disk_run(void)
{
	while (disk_step())
		;
}

static inline struct rt_timer *disk_timer_first(void)
{
	struct rt_timer *first = NULL;

	for (unsigned i = 0; i < disk.ntimers; i++)
		if (!first || rt_time_before(disk.timers[i]->at, first->at))
			first = disk.timers[i];
	return first;
}

/* Let time pass, and what is due with it. */
static inline void disk_sleep(int64_t ns)
{
	rt_time until = rt_time_add(disk.now, ns);
	struct rt_timer *t;

	disk_run();
	while ((t = disk_timer_first()) != NULL && !rt_time_before(until, t->at)) {
		disk.now = t->at;
		rt_timer_disarm(&disk_loop, t);
		t->fire(t);
		disk_run();
	}
	disk.now = until;
}

/* ---- rt/loop.h ------------------------------------------------------------------------- */

int rt_loop_new(struct rt_loop **ret)
{
	*ret = &disk_loop;
	return 0;
}

void rt_loop_free(struct rt_loop *loop)
{
}

/* Timers do not fire here: a test that needs them calls disk_sleep(). */
int rt_loop_run(struct rt_loop *loop)
{
	disk.stopped = false;
	while (!disk.stopped && disk_step())
		;
	return 0;
}

void rt_loop_stop(struct rt_loop *loop)
{
	disk.stopped = true;
}

rt_time rt_now(struct rt_loop *loop)
{
	return disk.now;
}

int64_t rt_wall_ns(struct rt_loop *loop)
{
	return disk.now.ns + 1;
}

void rt_random(struct rt_loop *loop, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (size_t i = 0; i < len; i++) {
		disk.random ^= disk.random << 13;
		disk.random ^= disk.random >> 7;
		disk.random ^= disk.random << 17;
		to[i] = (uint8_t)(disk.random >> 32);
	}
}

int64_t rt_loop_since_boot_ns(struct rt_loop *loop)
{
	return disk.now.ns;
}

int rt_boot_id(struct rt_loop *loop, uint8_t id[16])
{
	memset(id, 0xb0, 16);
	return 0;
}

void rt_defer(struct rt_loop *loop, struct rt_op *op)
{
	disk_submit(op, DISK_DEFER, NULL, 0, 0);
}

void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, rt_time at)
{
	rt_timer_disarm(loop, timer);
	rt_assert(disk.ntimers < DISK_TIMERS_MAX);
	timer->at = at;
	timer->place = 1;
	disk.timers[disk.ntimers++] = timer;
}

void rt_timer_disarm(struct rt_loop *loop, struct rt_timer *timer)
{
	for (unsigned i = 0; i < disk.ntimers; i++)
		if (disk.timers[i] == timer)
			disk.timers[i--] = disk.timers[--disk.ntimers];
	timer->place = 0;
}

int rt_file_open(struct rt_loop *loop, const char *path, unsigned flags,
		 struct rt_file **ret)
{
	if (flags & RT_FILE_CREATE && disk.exists)
		return -EEXIST;
	if (!(flags & RT_FILE_CREATE) && !disk.exists)
		return -ENOENT;
	if (disk.opened)
		return -EBUSY;
	disk.exists = disk.opened = true;
	*ret = &disk_file;
	return 0;
}

int rt_file_size(struct rt_file *file, uint64_t *ret)
{
	*ret = disk.size;
	return 0;
}

int rt_file_set_size(struct rt_file *file, uint64_t size)
{
	if (disk.size_most && size > disk.size_most)
		return -EFBIG;
	disk.bytes = calloc(1, size);
	disk.durable = calloc(1, size);
	disk.size = size;
	return disk.bytes && disk.durable ? 0 : -ENOSPC;
}

bool rt_file_is_block_device(struct rt_file *file)
{
	return disk.device;
}

void rt_file_close(struct rt_file *file)
{
	disk.opened = disk.opened && !file;
}

int rt_file_unlink(struct rt_loop *loop, const char *path)
{
	disk.exists = false;
	return 0;
}

int rt_file_sync_dir(struct rt_loop *loop, const char *path)
{
	disk.dirs_synced++;
	return disk.sync_dir_res;
}

static inline void disk_submit_one(struct rt_op *op, enum disk_kind kind, void *buf,
				   size_t len, uint64_t off)
{
	disk.ops[disk.nops].iov = NULL;
	disk_submit(op, kind, NULL, 1, off);
	disk.ops[disk.nops - 1].one = (struct iovec){ .iov_base = buf, .iov_len = len };
}

void rt_read(struct rt_file *file, struct rt_op *op, void *buf, size_t len, uint64_t off)
{
	disk_submit_one(op, DISK_READ, buf, len, off);
}

void rt_write(struct rt_file *file, struct rt_op *op, const void *buf, size_t len,
	      uint64_t off)
{
	disk_submit_one(op, DISK_WRITE, (void *)(uintptr_t)buf, len, off);
}

void rt_writev(struct rt_file *file, struct rt_op *op, const struct iovec *iov,
	       unsigned n, uint64_t off)
{
	disk_submit(op, DISK_WRITE, iov, n, off);
}

void rt_fdatasync(struct rt_file *file, struct rt_op *op)
{
	disk_submit(op, DISK_FLUSH, NULL, 0, 0);
}

#endif
