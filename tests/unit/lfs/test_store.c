// SPDX-License-Identifier: BSD-3-Clause
/*
 * A store on a real file through the real ring: it is made once, opened by its owner
 * alone, keeps what was written over close and reopen, and whatever is wrong with it is
 * refused with a reason and left as it was.
 */
#include "tests/unit/lfs/world_file.h"

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
		assert_int_equal(stats.used_bytes, 2 * MIB);
		assert_int_equal(close_store(w), 0);
	}
}

/* Asks for a flush as soon as something is reported written. */
struct eager {
	struct lfs_append a;
	struct lfs_flush f;
	struct lfs_op op;
	uint32_t crc;
	struct world *w;
	uint64_t durable;
};

static void eager_flushed(struct lfs_flush *f, int res)
{
	struct eager *e = rt_container_of(f, struct eager, f);

	e->durable = lfs_lsn(e->w->lfs).durable;
	ended(res);
}

static void eager_written(struct lfs_append *a, int res)
{
	struct eager *e = rt_container_of(a, struct eager, a);

	assert_int_equal(res, 0);
	assert_true(lfs_lsn(e->w->lfs).written >= a->lsn);
	e->f.done = eager_flushed;
	lfs_flush(e->w->lfs, &e->f);
}

/*
 * A flush covers all appends that were reported written, also when it is asked for from
 * inside `done`, and of a record that holds more than this one.
 */
static void a_flush_covers_what_was_told(void **state)
{
	struct world *w = *state;
	struct eager e[3] = { 0 };

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	memset(w->buf, 0x33, LFS_BLOCK);
	for (unsigned i = 0; i < 3; i++) {
		e[i].w = w;
		e[i].crc = rt_crc32c(w->buf, LFS_BLOCK);
		e[i].op = (struct lfs_op){
			.kind = LFS_WRITE,
			.lba = i,
			.blocks = 1,
			.crcs = &e[i].crc,
			.data = w->buf,
		};
		e[i].a.lsn = i + 1;
		e[i].a.ops = &e[i].op;
		e[i].a.nops = 1;
		e[i].a.done = eager_written;
		assert_int_equal(lfs_append(w->lfs, &e[i].a), 0);
	}
	w->waiting = 3;
	assert_int_equal(wait_for(w, 3), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(e[i].durable >= i + 1);
	assert_int_equal(close_store(w), 0);
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

/* And only then: who has not asked for it has a file that grows with what is written. */
static void a_filled_store_has_no_holes(void **state)
{
	struct world *w = *state;
	struct stat st;
	int fd;

	for (unsigned fill = 0; fill < 2; fill++) {
		w->fill = fill;
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(stat(w->path, &st), 0);
		fd = open(w->path, O_RDONLY);
		assert_true(fd >= 0);
		assert_true((lseek(fd, 0, SEEK_HOLE) == st.st_size) == w->fill);
		(void)close(fd);
		assert_int_equal(w->filled, fill ? st.st_size : 0);
		assert_int_equal(open_store(w), 0);
		must_hold(w, 0, 4, 0);
		assert_int_equal(write_blocks(w, 10, 16, 0x11), 0);
		assert_int_equal(close_store(w), 0);
		assert_int_equal(open_store(w), 0);
		must_hold(w, 10, 16, 0x11);
		assert_int_equal(close_store(w), 0);
		assert_int_equal(unlink(w->path), 0);
	}
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
	flip(w, LFS_SUPERBLOCK_REGION + 600);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 0, 4, 7);
	assert_int_equal(close_store(w), 0);
	flip(w, 600);
	flip(w, LFS_SUPERBLOCK_REGION + 600);
	must_refuse(w, -EUCLEAN);
}

/*
 * A device that a store was on before is made one again: what the old one left behind the
 * end of the log is nobody's, and a crash is a tear, not damage.
 */
static void what_another_store_left_is_not_taken(void **state)
{
	struct world *w = *state;
	uint64_t from;
	uint8_t *old;
	struct stat st;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(write_blocks(w, i, 1, 0x44), 0);
		assert_int_equal(flush_store(w), 0);
	}
	assert_int_equal(close_store(w), 0);
	assert_int_equal(stat(w->path, &st), 0);
	old = malloc((size_t)st.st_size);
	assert_non_null(old);
	peek(w, 0, old, (size_t)st.st_size);
	from = first_data(w) - 2 * LFS_BLOCK;
	(void)unlink(w->path);
	assert_int_equal(create(w, 0), 0);
	poke(w, from, old + from, (size_t)(st.st_size) - from);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 0, 1, 0x55), 0);
	assert_int_equal(write_blocks(w, 1, 1, 0x66), 0);
	/* As a crash here would leave it. */
	peek(w, 0, old, (size_t)st.st_size);
	assert_int_equal(close_store(w), 0);
	poke(w, 0, old, (size_t)st.st_size);
	free(old);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 2);
	must_hold(w, 0, 1, 0x55);
	must_hold(w, 1, 1, 0x66);
	must_hold(w, 2, 1, 0);
	assert_int_equal(close_store(w), 0);
}

static void a_newer_version_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t *buf = malloc(LFS_SUPERBLOCK_REGION);
	struct lfs_superblock_head h;

	assert_int_equal(create(w, 0), 0);
	peek(w, 0, buf, LFS_SUPERBLOCK_REGION);
	memcpy(&h, buf, sizeof(h));
	h.version = le32_make(LFS_VERSION + 1);
	memcpy(buf, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(buf + 12, le32_get(h.length) - 12));
	memcpy(buf, &h, sizeof(h));
	poke(w, 0, buf, LFS_SUPERBLOCK_REGION);
	free(buf);
	must_refuse(w, -EPROTONOSUPPORT);
	assert_non_null(strstr(w->why, "version"));
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
	must_refuse(w, -EDQUOT);
	w->map_memory = map_memory_of(1);
	must_refuse(w, -EDQUOT);
	w->map_memory = map_memory_of(2);
	assert_int_equal(open_store(w), 0);
	must_hold(w, 600, 1, 1);
	/* A third leaf has no room: said at once, and the log lives. */
	assert_int_equal(write_blocks(w, 1200, 1, 1), -EDQUOT);
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
		assert_false(stats.has_room);
		assert_int_equal(flush_store(w), 0);
		must_hold(w, (n - 1) % 128 * 16, 16, (uint8_t)(n - 1));
		assert_int_equal(close_store(w), 0);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(lfs_lsn(w->lfs).admitted, n);
		assert_int_equal(write_blocks(w, 0, 16, 1), -ENOSPC);
	}
	assert_int_equal(close_store(w), 0);
}

/*
 * A store of the least size takes each block of its volumes once, however few of the longest
 * requests a segment holds.
 */
static void the_least_store_holds_its_volumes(void **state)
{
	static const uint32_t requests[] = { LFS_REQUEST_MIN, LFS_SEGMENT_MIN / 8,
					     LFS_SEGMENT_MIN / 4 };
	enum { BLOCKS = 25600 };
	struct world *w = *state;
	uint32_t *crcs = calloc(LFS_SEGMENT_MIN / 4 / LFS_BLOCK, sizeof(*crcs));
	uint8_t *data = rt_alloc_blocks(LFS_SEGMENT_MIN / 4);

	assert_true(crcs && data);
	memset(data, 0x3c, LFS_SEGMENT_MIN / 4);
	for (unsigned i = 0; i < LFS_SEGMENT_MIN / 4 / LFS_BLOCK; i++)
		crcs[i] = rt_crc32c(data, LFS_BLOCK);
	w->volume_blocks = BLOCKS;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		uint32_t blocks = requests[i] / LFS_BLOCK;
		int res;

		w->max_request = requests[i];
		(void)unlink(w->path);
		assert_int_equal(create(w, 0), 0);
		assert_int_equal(open_store(w), 0);
		for (uint64_t lba = 0; lba < BLOCKS; lba += blocks) {
			struct lfs_op op = { .kind = LFS_WRITE,
					     .lba = lba,
					     .blocks = blocks,
					     .crcs = crcs,
					     .data = data };
			struct lfs_append a = { .lsn = lba / blocks + 1,
						.ops = &op,
						.nops = 1,
						.done = append_done };

			res = append_wait(w, &a);
			if (res)
				fail_msg("requests of %u blocks: %d at %llu", blocks, res,
					 (unsigned long long)lba);
		}
		assert_int_equal(close_store(w), 0);
	}
	rt_free(data);
	free(crcs);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_store_keeps_what_was_written),
		TEST(a_flush_covers_what_was_told),
		TEST(what_is_missing_or_foreign_is_refused),
		TEST(a_store_in_use_is_refused),
		TEST(a_store_too_small_is_refused),
		TEST(a_filled_store_has_no_holes),
		TEST(damaged_superblocks_are_told_apart),
		TEST(what_another_store_left_is_not_taken),
		TEST(a_newer_version_is_refused),
		TEST(a_flipped_bit_in_a_block_fails_that_read_only),
		TEST(a_map_beyond_its_memory_is_refused),
		TEST(a_full_log_is_no_failure),
		TEST(the_least_store_holds_its_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
