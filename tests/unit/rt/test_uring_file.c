// SPDX-License-Identifier: BSD-3-Clause
/*
 * The log lives in files and devices: what is written is read back, at the end of the
 * file a read is short, a lock keeps a second daemon out, and every refusal of the
 * kernel arrives as what it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring.h"
#include "tests/unit/rt/call.h"

/* More than the submission queue and the completion queue hold. */
#define FLOOD (20 * URING_SQ_ENTRIES)
_Static_assert(FLOOD > 2 * URING_CQ_ENTRIES, "overflows the completion queue");

struct world {
	struct rt_loop *loop;
	char dir[64];
	char path[96];
	struct rt_file *file;
};

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(rt_loop_new(&w->loop), 0);
	/* Not in /tmp, which may be a file system without O_DIRECT. */
	(void)snprintf(w->dir, sizeof(w->dir), "/var/tmp/wanmirror-rt-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/file", w->dir);
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;

	rt_file_close(w->file);
	rt_loop_free(w->loop);
	(void)unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void must_open(struct world *w, unsigned flags)
{
	assert_int_equal(rt_file_open(w->loop, w->path, flags, &w->file), 0);
}

static int file_write(struct world *w, const void *buf, size_t len, uint64_t off)
{
	struct call call;

	rt_write(w->file, call_op(w->loop, &call), buf, len, off);
	assert_int_equal(call.done, 0); /* never from inside the start */
	return call_wait(&call);
}

static int file_read(struct world *w, void *buf, size_t len, uint64_t off)
{
	struct call call;

	rt_read(w->file, call_op(w->loop, &call), buf, len, off);
	return call_wait(&call);
}

static void what_is_written_is_read_and_ends_short(void **state)
{
	struct world *w = *state;
	char buf[64];
	uint64_t size;

	must_open(w, RT_FILE_WRITE | RT_FILE_CREATE);
	assert_int_equal(file_write(w, "0123456789", 10, 0), 10);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(file_read(w, buf, sizeof(buf), 4), 6);
	assert_memory_equal(buf, "456789", 6);
	assert_int_equal(file_read(w, buf, sizeof(buf), 10), 0);
	assert_int_equal(file_read(w, buf, sizeof(buf), 1000000), 0);
	assert_int_equal(rt_file_size(w->file, &size), 0);
	assert_int_equal(size, 10);
	assert_false(rt_file_is_block_device(w->file));
	assert_int_equal(rt_file_sync_dir(w->loop, w->path), 0);
}

static void vectors_and_flush(void **state)
{
	struct world *w = *state;
	char a[3] = "abc", b[4] = "defg", x[5], y[2];
	struct iovec out[] = { { a, 3 }, { b, 4 } }, in[] = { { x, 5 }, { y, 2 } };
	struct call call;

	must_open(w, RT_FILE_WRITE | RT_FILE_CREATE);
	rt_writev(w->file, call_op(w->loop, &call), out, 2, 5);
	assert_int_equal(call_wait(&call), 7);
	rt_fdatasync(w->file, call_op(w->loop, &call));
	assert_int_equal(call_wait(&call), 0);
	rt_readv(w->file, call_op(w->loop, &call), in, 2, 5);
	assert_int_equal(call_wait(&call), 7);
	assert_memory_equal(x, "abcde", 5);
	assert_memory_equal(y, "fg", 2);
}

static void direct_io_wants_blocks_and_is_short_at_the_end(void **state)
{
	struct world *w = *state;
	uint8_t *buf = rt_alloc_blocks(4 * RT_BLOCK);
	int r;

	assert_non_null(buf);
	r = rt_file_open(w->loop, w->path,
			 RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_DIRECT, &w->file);
	if (r == -EINVAL) { /* this file system has no O_DIRECT */
		rt_free(buf);
		skip();
	}
	assert_int_equal(r, 0);
	memset(buf, 0x5a, 4 * RT_BLOCK);
	assert_int_equal(file_write(w, buf, 2 * RT_BLOCK, 0), 2 * RT_BLOCK);
	memset(buf, 0, 4 * RT_BLOCK);
	assert_int_equal(file_read(w, buf, 4 * RT_BLOCK, RT_BLOCK), RT_BLOCK);
	assert_int_equal(buf[RT_BLOCK - 1], 0x5a);
	assert_int_equal(buf[RT_BLOCK], 0);
	assert_int_equal(file_read(w, buf, RT_BLOCK, 2 * RT_BLOCK), 0);
	assert_int_equal(file_write(w, buf + 1, RT_BLOCK, 0), -EINVAL);
	assert_int_equal(rt_file_set_size(w->file, 100 * RT_BLOCK), 0);
	assert_int_equal(file_read(w, buf, RT_BLOCK, 50 * RT_BLOCK), RT_BLOCK);
	assert_int_equal(buf[0], 0);
	rt_free(buf);
}

static void opening_tells_why_not(void **state)
{
	struct world *w = *state;
	struct rt_file *other = NULL;
	const unsigned excl = RT_FILE_WRITE | RT_FILE_EXCLUSIVE;

	assert_int_equal(rt_file_open(w->loop, w->path, 0, &other), -ENOENT);
	assert_int_equal(rt_file_open(w->loop, w->dir, 0, &other), -EISDIR);
	assert_int_equal(rt_file_open(w->loop, w->dir, RT_FILE_WRITE, &other), -EISDIR);
	assert_int_equal(rt_file_open(w->loop, "/dev/null", 0, &other), -EINVAL);
	must_open(w, excl | RT_FILE_CREATE);
	assert_int_equal(rt_file_open(w->loop, w->path, excl, &other), -EBUSY);
	assert_int_equal(rt_file_open(w->loop, w->path, excl | RT_FILE_CREATE, &other),
			 -EEXIST);
	assert_null(other);
	rt_file_close(w->file);
	w->file = NULL;
	must_open(w, excl); /* the lock went with the file */
	assert_int_equal(rt_file_unlink(w->loop, w->path), 0);
	assert_int_equal(rt_file_unlink(w->loop, w->path), -ENOENT);
}

static void a_fifo_is_refused_without_waiting(void **state)
{
	struct world *w = *state;
	struct rt_file *other;

	assert_int_equal(mkfifo(w->path, 0600), 0);
	assert_int_equal(rt_file_open(w->loop, w->path, 0, &other), -EINVAL);
}

static void errors_of_the_kernel_arrive(void **state)
{
	struct world *w = *state;
	char c = 'x';

	must_open(w, RT_FILE_WRITE | RT_FILE_CREATE);
	rt_file_close(w->file);
	must_open(w, 0);
	assert_int_equal(file_write(w, &c, 1, 0), -EBADF);
	assert_int_equal(file_read(w, (void *)(uintptr_t)8, 1, 0), 0); /* empty: EOF */
	rt_file_close(w->file);
	must_open(w, RT_FILE_WRITE);
	assert_true(file_write(w, &c, 1, INT64_MAX) < 0);
	assert_int_equal(rt_file_set_size(w->file, UINT64_MAX), -EFBIG);
}

struct flood {
	struct rt_op op;
	uint32_t value;
	struct flood_count *count;
};

struct flood_count {
	struct rt_loop *loop;
	unsigned done, failed;
};

static void flood_done(struct rt_op *op, int res)
{
	struct flood *flood = rt_container_of(op, struct flood, op);

	flood->count->done++;
	flood->count->failed += res != sizeof(flood->value);
	if (flood->count->done == FLOOD)
		rt_loop_stop(flood->count->loop);
}

/* Many more operations at once than the kernel's queues hold: none is lost. */
static void a_flood_of_operations_all_complete(void **state)
{
	struct world *w = *state;
	struct flood *all = calloc(FLOOD, sizeof(*all));
	struct flood_count count = { .loop = w->loop };
	uint32_t value;

	assert_non_null(all);
	must_open(w, RT_FILE_WRITE | RT_FILE_CREATE);
	for (uint32_t i = 0; i < FLOOD; i++) {
		all[i] = (struct flood){ { .done = flood_done }, i * 7, &count };
		rt_write(w->file, &all[i].op, &all[i].value, 4, 4 * (uint64_t)i);
	}
	run_until(w->loop, &count.done, FLOOD);
	assert_int_equal(count.failed, 0);
	for (uint32_t i = 0; i < FLOOD; i += 97) {
		assert_int_equal(file_read(w, &value, 4, 4 * (uint64_t)i), 4);
		assert_int_equal(value, i * 7);
	}
	free(all);
}

/* A write that was started is not torn by somebody's cancel. */
static void writes_and_flushes_are_not_cancelled(void **state)
{
	struct world *w = *state;
	struct call write, flush;

	must_open(w, RT_FILE_WRITE | RT_FILE_CREATE);
	rt_write(w->file, call_op(w->loop, &write), "abc", 3, 0);
	rt_fdatasync(w->file, call_op(w->loop, &flush));
	rt_cancel(w->loop, &write.op);
	rt_cancel(w->loop, &flush.op);
	assert_int_equal(call_wait(&write), 3);
	assert_int_equal(call_wait(&flush), 0);
	rt_cancel(w->loop, &write.op); /* over: nothing happens */
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_and_ends_short),
		T(vectors_and_flush),
		T(direct_io_wants_blocks_and_is_short_at_the_end),
		T(opening_tells_why_not),
		T(a_fifo_is_refused_without_waiting),
		T(errors_of_the_kernel_arrive),
		T(a_flood_of_operations_all_complete),
		T(writes_and_flushes_are_not_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
