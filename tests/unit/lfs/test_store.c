// SPDX-License-Identifier: BSD-3-Clause
/*
 * A store on a real file through the real ring: it is made once, opened by its owner
 * alone, keeps what was written over close and reopen, and whatever is wrong with it is
 * refused with a reason and left as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lfs/super.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/log.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)
#define VOLUME_BLOCKS 2048u
#define BLOCKS_MAX 16u

struct world {
	struct rt_loop *loop;
	char dir[64];
	char path[96];
	struct lfs *lfs;
	struct lfs_meta meta;
	char why[LFS_WHY_MAX];
	uint8_t *buf;
	unsigned waiting; /* for so many completions */
	int res;
	uint64_t map_memory;
	bool held; /* waits for events.advanced */
};

static void silent(void *owner, enum rt_log_level level, const char *line)
{
	(void)owner;
	(void)level;
	(void)line;
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	rt_log_set_sink(silent, NULL);
	assert_int_equal(rt_loop_new(&w->loop), 0);
	/* Not in /tmp, which may be a file system without O_DIRECT. */
	(void)snprintf(w->dir, sizeof(w->dir), "/var/tmp/wanmirror-lfs-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/store", w->dir);
	w->buf = rt_alloc_blocks(BLOCKS_MAX * LFS_BLOCK);
	assert_non_null(w->buf);
	w->map_memory = 64 * MIB;
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;

	rt_loop_free(w->loop);
	(void)unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
	rt_free(w->buf);
	free(w);
	return 0;
}

/* ---- calls, waited for ------------------------------------------------------------------ */

static struct world *running;

static void ended(int res)
{
	running->res = res;
	if (--running->waiting == 0)
		rt_loop_stop(running->loop);
}

static int wait_for(struct world *w, unsigned n)
{
	assert_int_equal(w->waiting, n);
	running = w;
	assert_int_equal(rt_loop_run(w->loop), 0);
	assert_int_equal(w->waiting, 0);
	return w->res;
}

static void create_done(struct lfs_create *c, int res)
{
	ended(res);
}

static int create(struct world *w, uint64_t size)
{
	struct lfs_create c = { .done = create_done };
	struct lfs_create_params params = {
		.path = w->path,
		.size = size,
		.segment_size = LFS_SEGMENT_MIN,
		.checkpoint_every = MIB,
		.meta = &w->meta,
	};
	int res;

	memset(&w->meta, 0, sizeof(w->meta));
	strncpy(w->meta.group_name, "payments", LFS_NAME_MAX - 1);
	w->meta.role = LFS_PRIMARY;
	w->meta.max_request = LFS_REQUEST_MIN;
	w->meta.nvolumes = 1;
	w->meta.volumes[0] = (struct lfs_volume){
		.name = "a",
		.size = VOLUME_BLOCKS * LFS_BLOCK,
	};
	w->waiting = 1;
	lfs_create(w->loop, &params, &c);
	res = wait_for(w, 1);
	memcpy(w->why, c.why, sizeof(w->why));
	return res;
}

static void advanced(void *owner)
{
	struct world *w = owner;

	if (w->held)
		ended(0);
	w->held = false;
}

static void failed(void *owner, int err, const char *why)
{
	(void)owner;
	(void)err;
	(void)why;
}

static const struct lfs_events events = { .advanced = advanced, .failed = failed };

static void open_done(struct lfs_open *o, int res)
{
	ended(res);
}

static int open_as(struct world *w, const char *group)
{
	struct lfs_open o = { .done = open_done };
	struct lfs_open_params params = {
		.path = w->path,
		.group_name = group,
		.map_memory = w->map_memory,
		.events = &events,
		.owner = w,
	};
	int res;

	w->waiting = 1;
	lfs_open(w->loop, &params, &o);
	res = wait_for(w, 1);
	w->lfs = o.lfs;
	memcpy(w->why, o.why, sizeof(w->why));
	assert_true(!res || w->why[0]);
	return res;
}

static int open_store(struct world *w)
{
	return open_as(w, "payments");
}

static void close_done(struct lfs_close *c, int res)
{
	ended(res);
}

static int close_store(struct world *w)
{
	struct lfs_close c = { .done = close_done };

	w->waiting = 1;
	lfs_close(w->lfs, &c);
	w->lfs = NULL;
	return wait_for(w, 1);
}

static void append_done(struct lfs_append *a, int res)
{
	ended(res);
}

/* Blocks full of `byte`. */
static int write_blocks(struct world *w, uint64_t lba, uint32_t blocks, uint8_t byte)
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
		.done = append_done,
	};
	int res;

	assert_true(blocks <= BLOCKS_MAX);
	memset(w->buf, byte, blocks * LFS_BLOCK);
	for (uint32_t i = 0; i < blocks; i++)
		crcs[i] = rt_crc32c(w->buf + i * LFS_BLOCK, LFS_BLOCK);
	while ((res = lfs_append(w->lfs, &a)) == -EAGAIN) {
		w->held = true;
		w->waiting = 1;
		(void)wait_for(w, 1);
	}
	if (res)
		return res;
	w->waiting = 1;
	return wait_for(w, 1);
}

static void flush_done(struct lfs_flush *f, int res)
{
	ended(res);
}

static int flush_store(struct world *w)
{
	struct lfs_flush f = { .done = flush_done };

	w->waiting = 1;
	lfs_flush(w->lfs, &f);
	return wait_for(w, 1);
}

static void read_done(struct lfs_read *r, int res)
{
	ended(res);
}

static int read_blocks(struct world *w, uint64_t lba, uint32_t blocks, uint64_t *bad)
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
	return res;
}

static void must_hold(struct world *w, uint64_t lba, uint32_t blocks, uint8_t byte)
{
	uint64_t bad;

	assert_int_equal(read_blocks(w, lba, blocks, &bad), 0);
	for (uint32_t i = 0; i < blocks * LFS_BLOCK; i++)
		assert_int_equal(w->buf[i], byte);
}

/* ---- behind the store's back ---------------------------------------------------------------- */

static void poke(struct world *w, uint64_t off, const void *bytes, size_t len)
{
	int fd = open(w->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)off), (ssize_t)len);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

static void peek(struct world *w, uint64_t off, void *bytes, size_t len)
{
	int fd = open(w->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static void flip(struct world *w, uint64_t off)
{
	uint8_t byte;

	peek(w, off, &byte, 1);
	byte ^= 0x10;
	poke(w, off, &byte, 1);
}

static uint32_t sum_of(struct world *w)
{
	uint8_t *all;
	struct stat st;
	uint32_t crc;

	assert_int_equal(stat(w->path, &st), 0);
	all = malloc((size_t)st.st_size);
	assert_non_null(all);
	peek(w, 0, all, (size_t)st.st_size);
	crc = rt_crc32c(all, (size_t)st.st_size);
	free(all);
	return crc;
}

/* Refused with this error, and not a byte of it changed. */
static void must_refuse(struct world *w, int res)
{
	uint32_t sum = sum_of(w);

	assert_int_equal(open_store(w), res);
	assert_null(w->lfs);
	assert_int_equal(sum_of(w), sum);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void a_store_keeps_what_was_written(void **state)
{
	struct world *w = *state;
	struct lfs_stats stats;
	char why[LFS_WHY_MAX];

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(create(w, 0), -EEXIST);
	assert_true(w->why[0]);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 0);
	must_hold(w, 0, 4, 0);
	assert_int_equal(write_blocks(w, 10, 16, 0x11), 0);
	assert_int_equal(write_blocks(w, 12, 1, 0x22), 0);
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(flush_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).durable, 2);
	must_hold(w, 10, 2, 0x11);
	must_hold(w, 12, 1, 0x22);
	must_hold(w, 13, 13, 0x11);
	must_hold(w, 26, 1, 0);
	assert_int_equal(lfs_mapped(w->lfs, 0), 16);
	assert_int_equal(close_store(w), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(open_store(w), 0);
		assert_int_equal(lfs_lsn(w->lfs).admitted, 2);
		must_hold(w, 12, 1, 0x22);
		must_hold(w, 13, 13, 0x11);
		assert_int_equal(lfs_recount(w->lfs, why), 0);
		lfs_stats(w->lfs, &stats);
		assert_int_equal(stats.used_bytes, MIB);
		assert_int_equal(close_store(w), 0);
	}
}

static void what_is_missing_or_foreign_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t zeros[LFS_BLOCK] = { 0 };
	int fd;

	assert_int_equal(open_store(w), -ENOENT);
	fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	must_refuse(w, -EMEDIUMTYPE); /* empty */
	poke(w, 0, zeros, sizeof(zeros));
	must_refuse(w, -EMEDIUMTYPE); /* not a store */
	assert_int_equal(create(w, 0), -EEXIST);
	(void)unlink(w->path);
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_as(w, "others"), -EMEDIUMTYPE);
	assert_non_null(strstr(w->why, "payments"));
}

static void a_store_in_use_is_refused(void **state)
{
	struct world *w = *state;
	struct lfs *lfs;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	lfs = w->lfs;
	assert_int_equal(open_store(w), -EBUSY);
	w->lfs = lfs;
	assert_int_equal(close_store(w), 0);
}

static void a_store_too_small_is_refused(void **state)
{
	struct world *w = *state;
	struct stat st;

	assert_int_equal(create(w, MIB), -ENOSPC);
	assert_true(w->why[0]);
	assert_int_equal(create(w, 12 * MIB), -ENOSPC);
	assert_int_equal(stat(w->path, &st), -1); /* nothing was made */
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(truncate(w->path, st.st_size - LFS_BLOCK), 0);
	must_refuse(w, -EFBIG);
}

static void damaged_superblocks_are_told_apart(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 0, 4, 7), 0);
	assert_int_equal(close_store(w), 0);
	/* Either of them alone is enough. */
	flip(w, 600);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 0, 4, 7);
	assert_int_equal(close_store(w), 0);
	flip(w, LFS_SUPER_REGION + 600);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 0, 4, 7);
	assert_int_equal(close_store(w), 0);
	flip(w, 600);
	flip(w, LFS_SUPER_REGION + 600);
	must_refuse(w, -EUCLEAN);
}

static void a_newer_version_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t *buf = malloc(LFS_SUPER_REGION);
	struct lfs_super_head h;

	assert_int_equal(create(w, 0), 0);
	peek(w, 0, buf, LFS_SUPER_REGION);
	memcpy(&h, buf, sizeof(h));
	h.version = le32_make(LFS_VERSION + 1);
	memcpy(buf, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(buf + 12, le32_get(h.length) - 12));
	memcpy(buf, &h, sizeof(h));
	poke(w, 0, buf, LFS_SUPER_REGION);
	free(buf);
	must_refuse(w, -EPROTONOSUPPORT);
	assert_non_null(strstr(w->why, "version"));
}

/* The first block of data in the log: behind header and head area of segment 0. */
static uint64_t first_data(struct world *w)
{
	struct lfs_super_head h;

	peek(w, 0, &h, sizeof(h));
	return le64_get(h.segments_off) + 2 * LFS_BLOCK;
}

static void a_flipped_bit_in_a_block_fails_that_read_only(void **state)
{
	struct world *w = *state;
	struct lfs_stats stats;
	uint64_t bad = 0;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 100, 8, 0x33), 0);
	assert_int_equal(flush_store(w), 0);
	flip(w, first_data(w) + 5 * LFS_BLOCK + 17);
	must_hold(w, 100, 5, 0x33);
	assert_int_equal(read_blocks(w, 100, 8, &bad), -EBADMSG);
	assert_int_equal(bad, 105);
	must_hold(w, 106, 2, 0x33);
	lfs_stats(w->lfs, &stats);
	assert_int_equal(stats.checksum_errors, 1);
	/* Written again it is whole. */
	assert_int_equal(write_blocks(w, 105, 1, 0x44), 0);
	must_hold(w, 105, 1, 0x44);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 100, 5, 0x33);
	assert_int_equal(close_store(w), 0);
}

static void a_map_beyond_its_memory_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	assert_int_equal(write_blocks(w, 600, 1, 1), 0);
	assert_int_equal(close_store(w), 0);
	w->map_memory = 100;
	must_refuse(w, -ENOMEM);
	w->map_memory = 4 * 64 + LFS_BLOCK; /* one leaf, and its table */
	must_refuse(w, -ENOMEM);
	w->map_memory = 4 * 64 + 2 * LFS_BLOCK;
	assert_int_equal(open_store(w), 0);
	must_hold(w, 600, 1, 1);
	/* A third leaf has no room: said at once, and the log lives. */
	assert_int_equal(write_blocks(w, 1200, 1, 1), -ENOSPC);
	assert_int_equal(write_blocks(w, 601, 1, 1), 0);
	assert_int_equal(close_store(w), 0);
}

static void a_full_log_is_no_failure(void **state)
{
	struct world *w = *state;
	struct lfs_stats stats;
	unsigned n = 0;
	int res;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	while ((res = write_blocks(w, n % 128 * 16, 16, (uint8_t)n)) == 0 && n < 100000)
		n++;
	assert_int_equal(res, -ENOSPC);
	assert_true(n > 10);
	for (unsigned i = 0; i < 5; i++) {
		lfs_stats(w->lfs, &stats);
		assert_true(stats.free_bytes < 32 * LFS_BLOCK);
		assert_int_equal(flush_store(w), 0);
		must_hold(w, (n - 1) % 128 * 16, 16, (uint8_t)(n - 1));
		assert_int_equal(close_store(w), 0);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(lfs_lsn(w->lfs).admitted, n);
		assert_int_equal(write_blocks(w, 0, 16, 1), -ENOSPC);
	}
	assert_int_equal(close_store(w), 0);
}

/* ---- durable facts ------------------------------------------------------------------------------ */

static void meta_done(struct lfs_set_meta *m, int res)
{
	ended(res);
}

static int set_meta(struct world *w, const struct lfs_meta *meta)
{
	struct lfs_set_meta m = { .done = meta_done };

	w->waiting = 1;
	lfs_set_meta(w->lfs, &m, meta);
	return wait_for(w, 1);
}

static void facts_are_replaced_and_kept(void **state)
{
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));
	struct lfs_position pos;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	*meta = *lfs_meta(w->lfs);
	assert_int_equal(meta->nepochs, 1);
	assert_true(meta->epochs[0].id && meta->volumes[0].id);
	assert_int_equal(meta->flags, 0);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	meta->epochs[meta->nepochs++] =
		(struct lfs_epoch){ .number = 7, .id = 99, .first_lsn = 2 };
	meta->volumes[0].generation = 4711;
	assert_int_equal(set_meta(w, meta), 0);
	assert_int_equal(lfs_meta(w->lfs)->nepochs, 2);
	assert_int_equal(write_blocks(w, 0, 1, 2), 0);
	lfs_position(w->lfs, &pos);
	assert_int_equal(pos.epoch, 7);
	assert_int_equal(pos.lsn, 2);
	/* What cannot be is refused, and changes nothing. */
	meta->epochs[1].number = 1;
	assert_int_equal(set_meta(w, meta), -EINVAL);
	meta->epochs[1].number = 7;
	meta->volumes[0].size -= LFS_BLOCK;
	assert_int_equal(set_meta(w, meta), -EINVAL); /* something was appended */
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->volumes[0].generation, 4711);
	assert_int_equal(lfs_meta(w->lfs)->volumes[0].size, VOLUME_BLOCKS * LFS_BLOCK);
	assert_int_equal(lfs_meta(w->lfs)->epochs[1].id, 99);
	free(meta);
	assert_int_equal(close_store(w), 0);
}

static void a_mirror_adopts_volumes_while_it_is_empty(void **state)
{
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	*meta = *lfs_meta(w->lfs);
	meta->volumes[0].size = 64 * LFS_BLOCK;
	meta->volumes[1] = (struct lfs_volume){ .name = "b", .size = 600 * LFS_BLOCK };
	meta->nvolumes = 2;
	assert_int_equal(set_meta(w, meta), 0);
	assert_int_equal(lfs_mapped(w->lfs, 1), 0);
	meta->volumes[1].size = 64 * MIB;
	assert_int_equal(set_meta(w, meta), -ENOSPC);
	assert_int_equal(write_blocks(w, 63, 1, 5), 0);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->nvolumes, 2);
	must_hold(w, 63, 1, 5);
	free(meta);
	assert_int_equal(close_store(w), 0);
}

static void a_fenced_store_takes_nothing(void **state)
{
	struct world *w = *state;
	struct lfs_meta *meta = malloc(sizeof(*meta));

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	*meta = *lfs_meta(w->lfs);
	meta->flags |= LFS_FENCED;
	assert_int_equal(set_meta(w, meta), 0);
	assert_int_equal(write_blocks(w, 0, 1, 1), -EROFS);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->flags, LFS_FENCED);
	assert_int_equal(write_blocks(w, 0, 1, 1), -EROFS);
	free(meta);
	assert_int_equal(close_store(w), 0);
}

/* ---- follow --------------------------------------------------------------------------------------- */

static void follow_done(struct lfs_follow_next *n, int res)
{
	ended(res);
}

static int follow_next(struct world *w, struct lfs_follow *f, struct lfs_follow_next *n)
{
	n->done = follow_done;
	w->waiting = 1;
	lfs_follow_next(f, n);
	return wait_for(w, 1);
}

static void a_cursor_reads_the_log_and_waits_at_its_end(void **state)
{
	struct world *w = *state;
	struct lfs_follow_next n;
	struct lfs_follow *f;
	uint64_t hash = 0;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 20; i++)
		assert_int_equal(write_blocks(w, i, 2, i), 0);
	assert_int_equal(lfs_follow_new(w->lfs, 22, &f), -ENOENT);
	assert_int_equal(lfs_follow_new(w->lfs, 1, &f), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		assert_int_equal(follow_next(w, f, &n), 0);
		assert_int_equal(n.entry.lsn, i);
		assert_int_equal(n.entry.hash_before, hash);
		assert_int_equal(n.entry.nops, 1);
		assert_int_equal(n.entry.ops[0].blocks, 2);
		assert_int_equal(n.entry.ops[0].data[LFS_BLOCK], i);
		hash = n.entry.hash_after;
	}
	assert_int_equal(follow_next(w, f, &n), -ENODATA);
	assert_int_equal(write_blocks(w, 3, 1, 0x77), 0);
	assert_int_equal(follow_next(w, f, &n), 0);
	assert_int_equal(n.entry.lsn, 21);
	assert_int_equal(n.entry.hash_before, hash);
	lfs_follow_free(f);
	/* Damage is met, not passed over. */
	flip(w, first_data(w));
	assert_int_equal(lfs_follow_new(w->lfs, 1, &f), 0);
	assert_int_equal(follow_next(w, f, &n), -EBADMSG);
	lfs_follow_free(f);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_store_keeps_what_was_written),
		TEST(what_is_missing_or_foreign_is_refused),
		TEST(a_store_in_use_is_refused),
		TEST(a_store_too_small_is_refused),
		TEST(damaged_superblocks_are_told_apart),
		TEST(a_newer_version_is_refused),
		TEST(a_flipped_bit_in_a_block_fails_that_read_only),
		TEST(a_map_beyond_its_memory_is_refused),
		TEST(a_full_log_is_no_failure),
		TEST(facts_are_replaced_and_kept),
		TEST(a_mirror_adopts_volumes_while_it_is_empty),
		TEST(a_fenced_store_takes_nothing),
		TEST(a_cursor_reads_the_log_and_waits_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
