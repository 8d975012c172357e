// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "rt/check.h"

/*
 * A write that covers a block in part reads the rest of it first. What cannot be read is
 * not made up: the write fails, changes nothing, and stands in nobody's way. One that is
 * longer than the log takes at once is written in parts, and its buffer is the client's
 * again when all of them are in the log, and no sooner.
 */

/* The linker brings calls of lfs_read() to __wrap_..., the real one is __real_... */
void __real_lfs_read(struct lfs *lfs, struct lfs_read *r);
void __wrap_lfs_read(struct lfs *lfs, struct lfs_read *r);

static unsigned reads, fail_read; /* the n-th from now fails; 0: none; */
static int fail_res = -EBADMSG;	  /* with this */
static struct lfs_read *to_fail;
static struct rt_op fail_op;

static void read_failed(struct rt_op *op, int res)
{
	struct lfs_read *r = to_fail;

	(void)op;
	(void)res; /* rt_defer has no result of its own */
	to_fail = NULL;
	r->bad_lba = r->lba;
	r->disk_err = fail_res == -EIO ? -EREMOTEIO : 0;
	r->done(r, fail_res);
}

static bool hold_read; /* the answer of the next one */
static struct lfs_read *held_read;
static void (*held_done)(struct lfs_read *r, int res);

static void read_held(struct lfs_read *r, int res)
{
	assert_int_equal(res, 0);
	held_read = r;
}

void __wrap_lfs_read(struct lfs *lfs, struct lfs_read *r)
{
	if (hold_read) {
		hold_read = false;
		held_done = r->done;
		r->done = read_held;
		__real_lfs_read(lfs, r);
		return;
	}
	if (++reads != fail_read) {
		__real_lfs_read(lfs, r);
		return;
	}
	assert_null(to_fail);
	to_fail = r;
	fail_op.done = read_failed;
	rt_defer(site->loop, &fail_op);
}

int __real_lfs_append(struct lfs *lfs, struct lfs_append *a);
int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a);

static bool bounded;	   /* the log has room, */
static unsigned room_left; /* for so many appends */

int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	if (bounded && room_left == 0)
		return -EAGAIN;
	if (bounded)
		room_left--;
	return __real_lfs_append(lfs, a);
}

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

/* Blocks 1 and 2 in part: 100 bytes of each are left as they are. */
static struct group_request *across_two_blocks(enum group_request_kind kind)
{
	struct group_request *r = request_new(kind);

	r->offset = GROUP_BLOCK + 100;
	r->len = 2 * GROUP_BLOCK - 200;
	return r;
}

static void is_as_filled(void)
{
	struct group_request *r = request_new(GROUP_READ);

	r->offset = GROUP_BLOCK;
	r->len = 2 * GROUP_BLOCK;
	assert_int_equal(request_run(r), 0);
	for (unsigned i = 0; i < r->len; i++)
		assert_int_equal(r->buf[i], 1 + i / GROUP_BLOCK);
	request_free(r);
}

static void an_edge_that_cannot_be_read_fails_the_write(void **state)
{
	static const enum group_request_kind kinds[] = { GROUP_WRITE, GROUP_ZERO };

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(kinds); i++) {
		struct group_request *r = across_two_blocks(kinds[i / 2]);

		reads = 0;
		fail_read = 1 + i % 2;
		assert_int_equal(request_run(r), -EIO);
		assert_int_equal(reads, 2);
		fail_read = 0;
		assert_int_equal(lfs_lsn(site->group->lfs).admitted, SITE_LSNS);
		is_as_filled();
		request_free(r);
	}
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
}

/* ---- what the log says ------------------------------------------------------------------------ */

static unsigned lines;
static char line_said[256];

static void line_heard(void *owner, enum rt_log_level level, const char *line)
{
	if (level != RT_LOG_ERROR)
		return;
	lines++;
	(void)snprintf(line_said, sizeof(line_said), "%s", line);
}

static bool second_over;

static void second_fired(struct rt_timer *timer)
{
	(void)timer;
	second_over = true;
}

static void a_second_passes(void)
{
	struct rt_timer timer = { .fire = second_fired };

	second_over = false;
	rt_timer_arm(site->loop, &timer, rt_time_add(rt_now(site->loop), RT_S + RT_MS));
	SITE_UNTIL(site, second_over);
}

static void run_with_a_bad_read(enum group_request_kind kind, int res)
{
	struct group_request *r = across_two_blocks(kind);

	reads = 0;
	fail_read = 1;
	fail_res = res;
	assert_int_equal(request_run(r), -EIO);
	fail_read = 0;
	fail_res = -EBADMSG;
	request_free(r);
}

/*
 * A bad sector gives a client EIO: the log says where it is and what the disk says, of a
 * read as of the edge of a write, and is not filled by it.
 */
static void what_cannot_be_read_is_said(void **state)
{
	rt_log_set_sink(line_heard, NULL);
	lines = 0;
	run_with_a_bad_read(GROUP_WRITE, -EIO);
	assert_int_equal(lines, 1);
	assert_string_equal(line_said, "read-error volume=a lba=1 "
				       "error=\"Remote I/O error\" others=0 group=db");
	run_with_a_bad_read(GROUP_READ, -EIO);
	run_with_a_bad_read(GROUP_ZERO, -EBADMSG);
	assert_int_equal(lines, 1);
	a_second_passes();
	run_with_a_bad_read(GROUP_READ, -EBADMSG);
	assert_int_equal(lines, 2);
	assert_string_equal(line_said, "checksum-error volume=a lba=1 others=2 group=db");
	a_second_passes();
	run_with_a_bad_read(GROUP_READ, -EIO);
	assert_string_equal(line_said, "read-error volume=a lba=1 "
				       "error=\"Remote I/O error\" others=0 group=db");
	rt_log_set_sink(site_silent, NULL);
}

static void the_bytes_around_a_write_stay(void **state)
{
	static const struct {
		enum group_request_kind kind;
		uint8_t byte;
	} cases[] = { { GROUP_WRITE, 0x77 }, { GROUP_ZERO, 0 } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		struct group_request *r = across_two_blocks(cases[i].kind), *back;

		assert_int_equal(request_run(r), 0);
		back = request_new(GROUP_READ);
		back->offset = GROUP_BLOCK;
		back->len = 2 * GROUP_BLOCK;
		assert_int_equal(request_run(back), 0);
		for (unsigned k = 0; k < back->len; k++) {
			uint8_t due = cases[i].byte;

			if (k < 100)
				due = 1;
			else if (k >= back->len - 100)
				due = 2;
			assert_int_equal(back->buf[k], due);
		}
		request_free(back);
		request_free(r);
	}
}

/* ---- over one another ------------------------------------------------------------------------ */

static bool part_over;

static void part_done(struct group_request *r, int res)
{
	(void)r;
	assert_int_equal(res, 0);
	part_over = true;
}

/*
 * A write of the whole block that comes while the old bytes around another one have been
 * read waits for it: put back later, they would be in its place.
 */
static void a_whole_block_does_not_overtake_its_bytes(void **state)
{
	struct group_request *part = request_new(GROUP_WRITE), *back;
	struct group_request *whole = request_new(GROUP_WRITE);

	part->offset = GROUP_BLOCK + 100;
	part->len = 200;
	part->done = part_done;
	part_over = false;
	whole->offset = GROUP_BLOCK;
	memset(whole->buf, 0x33, whole->len);
	hold_read = true;
	group_submit(part);
	SITE_UNTIL(site, held_read != NULL);
	request_ended = NULL;
	group_submit(whole);
	assert_int_equal(request_once(GROUP_WRITE, 0), 0); /* of block 0 */
	assert_int_equal(lfs_lsn(site->group->lfs).admitted, SITE_LSNS + 1);
	held_read->done = held_done;
	held_done(held_read, 0);
	held_read = NULL;
	SITE_UNTIL(site, part_over && request_ended == whole);
	back = request_new(GROUP_READ);
	back->offset = GROUP_BLOCK;
	assert_int_equal(request_run(back), 0);
	for (unsigned i = 0; i < GROUP_BLOCK; i++)
		assert_int_equal(back->buf[i], 0x33);
	request_free(back);
	request_free(whole);
	request_free(part);
}

/* ---- in parts ------------------------------------------------------------------------------- */

#define PARTS 3u

static unsigned releases;

/* A client that has its memory back writes into it. */
static void memory_back(struct group_request *r)
{
	releases++;
	memset(r->buf, 0xee, r->len);
}

/* A log that has got room says so. */
static void room_for(unsigned appends)
{
	room_left = appends;
	group_log_advanced(site->group);
}

static void the_buffer_is_back_with_its_last_part(void **state)
{
	const uint32_t part = site->config.max_request, len = PARTS * part;
	struct group_request *r = request_new(GROUP_WRITE);
	struct group_request *back = request_new(GROUP_READ);

	rt_free(r->buf);
	rt_free(back->buf);
	r->len = back->len = len;
	r->buf = rt_alloc_blocks(len);
	back->buf = rt_alloc_blocks(len);
	assert_true(r->buf && back->buf);
	for (uint32_t i = 0; i < len; i++)
		r->buf[i] = (uint8_t)(i / GROUP_BLOCK + i);
	r->released = memory_back;
	releases = 0;
	bounded = true;
	room_left = 0;
	request_ended = NULL;
	group_set_memory_short(site->group, true);
	group_submit(r);
	for (unsigned n = 1; n <= PARTS; n++) {
		assert_int_equal(releases, 0);
		room_for(1);
		SITE_UNTIL(site, lfs_lsn(site->group->lfs).written == SITE_LSNS + n);
	}
	SITE_UNTIL(site, request_ended == r);
	bounded = false;
	assert_int_equal(request_res, 0);
	assert_int_equal(releases, 1);
	assert_int_equal(request_run(back), 0);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(back->buf[i], (uint8_t)(i / GROUP_BLOCK + i));
	group_set_memory_short(site->group, false);
	request_free(back);
	request_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, alone_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_edge_that_cannot_be_read_fails_the_write),
		TEST(what_cannot_be_read_is_said),
		TEST(the_bytes_around_a_write_stay),
		TEST(a_whole_block_does_not_overtake_its_bytes),
		TEST(the_buffer_is_back_with_its_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
