// SPDX-License-Identifier: BSD-3-Clause
/*
 * Durability: a flush covers what had been written when it was submitted and nothing
 * more, a failed one is final, and what an idle flush covered is named by a record that
 * is itself flushed. Whoever acknowledges FLUSH or FUA relies on each of these.
 */
#include "lfs/log_record.h"
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

static struct lfs_flush flushes[4];
static int flush_res[4];

static void flush_noted(struct lfs_flush *f, int res)
{
	flush_res[f - flushes] = res;
}

/* Ask for flush `i` and do not wait: flush_res[i] is 1 until it ends. */
static void flush_ask(struct world *w, unsigned i)
{
	flush_res[i] = 1;
	flushes[i].done = flush_noted;
	lfs_flush(w->lfs, &flushes[i]);
}

static void open_fresh(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
}

static void a_flush_covers_what_was_written_when_it_was_submitted(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	disk.hold[DISK_FLUSH] = true;
	flush_ask(w, 0);
	/* Written while the flush is under way: not covered by it. */
	assert_int_equal(write_blocks(w, 1, 1, 2), 0);
	flush_ask(w, 1);
	flush_ask(w, 2);
	disk_run();
	assert_int_equal(flush_res[0], 1);
	assert_int_equal(lfs_lsn(w->lfs).durable, 0);
	/* The first ends; the second, one for both, is submitted and held again. */
	disk.hold[DISK_FLUSH] = false;
	assert_true(disk_step());
	disk.hold[DISK_FLUSH] = true;
	disk_run();
	assert_int_equal(flush_res[0], 0);
	assert_int_equal(flush_res[1], 1);
	assert_int_equal(flush_res[2], 1);
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(lfs_lsn(w->lfs).durable, 1);
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(flush_res[1], 0);
	assert_int_equal(flush_res[2], 0);
	assert_int_equal(lfs_lsn(w->lfs).durable, 2);
	assert_int_equal(close_store(w), 0);
}

/* And a write that has not ended is not covered by the flush that is asked for now. */
static void a_flush_does_not_wait_for_writes_under_way(void **state)
{
	struct world *w = *state;
	uint32_t crc;
	struct lfs_op op = { .kind = LFS_WRITE, .blocks = 1, .crcs = &crc };
	struct lfs_append a = { .lsn = 2, .ops = &op, .nops = 1, .done = append_done };

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	crc = rt_crc32c(w->buf, LFS_BLOCK);
	op.data = w->buf;
	disk.hold[DISK_WRITE] = true;
	running = w;
	w->waiting = 1;
	assert_int_equal(lfs_append(w->lfs, &a), 0);
	disk_run();
	flush_ask(w, 0);
	disk_run();
	assert_int_equal(flush_res[0], 0);
	assert_int_equal(lfs_lsn(w->lfs).durable, 1);
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(w->waiting, 0);
	assert_int_equal(lfs_lsn(w->lfs).written, 2);
	assert_int_equal(lfs_lsn(w->lfs).durable, 1);
	assert_int_equal(close_store(w), 0);
}

static void nothing_new_needs_no_flush(void **state)
{
	struct world *w = *state;
	unsigned before;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	before = disk.submitted[DISK_FLUSH];
	assert_int_equal(flush_store(w), 0);
	assert_int_equal(disk.submitted[DISK_FLUSH], before);
	assert_int_equal(write_blocks(w, 0, 1, 2), 0);
	assert_int_equal(flush_store(w), 0);
	assert_int_equal(disk.submitted[DISK_FLUSH], before + 1);
	assert_int_equal(close_store(w), 0);
}

/* A flush is never tried again and called good: the kernel forgets what it dropped. */
static void a_failed_flush_is_final(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	disk.fail[DISK_FLUSH] = 1;
	flush_ask(w, 0);
	assert_int_equal(write_blocks(w, 1, 1, 2), -EIO);
	disk_run();
	assert_int_equal(flush_res[0], -EIO);
	flush_ask(w, 1);
	disk_run();
	assert_int_equal(flush_res[1], -EIO);
	assert_int_equal(lfs_lsn(w->lfs).durable, 0);
	assert_int_equal(write_blocks(w, 2, 1, 3), -EIO);
	/* What was written can still be read. */
	must_hold(w, 0, 1, 1);
	assert_int_equal(close_store(w), -EIO);
}

/* A flush that waits behind the one that fails ends with it. */
static void the_next_flush_fails_with_the_one_before(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	disk.hold[DISK_FLUSH] = true;
	disk.fail[DISK_FLUSH] = 1;
	flush_ask(w, 0);
	assert_int_equal(write_blocks(w, 1, 1, 2), 0);
	flush_ask(w, 1);
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(flush_res[0], -EIO);
	assert_int_equal(flush_res[1], -EIO);
	assert_int_equal(close_store(w), -EIO);
}

/* ---- the record that names what an idle flush covered ------------------------------------ */

/* The last record in the durable bytes of the log. */
static bool last_durable(struct world *w, struct lfs_record *ret)
{
	uint64_t off = first_data(w) - 2 * LFS_BLOCK;
	bool found = false;

	for (; off + LFS_BLOCK <= disk.size; off += LFS_BLOCK) {
		struct lfs_record rec;
		uint32_t want;

		if (lfs_record_decode(disk.durable + off, LFS_BLOCK, &rec, &want) ||
		    rec.address * LFS_BLOCK != off || (found && rec.seq < ret->seq))
			continue;
		found = true;
		*ret = rec;
	}
	return found;
}

static void an_idle_flush_is_named_within_its_time(void **state)
{
	struct world *w = *state;
	struct lfs_record before, after;
	unsigned writes;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	assert_true(last_durable(w, &before));
	assert_int_equal(before.kind, LFS_RECORD_CLIENT);
	disk_sleep(LFS_MARKER_MS * RT_MS);
	assert_true(last_durable(w, &after));
	assert_int_equal(after.kind, LFS_RECORD_MARKER);
	assert_int_equal(after.durable_seq, before.seq);
	assert_int_equal(after.seq, before.seq + 1);
	/* One is enough: nobody names the one that names. */
	writes = disk.submitted[DISK_WRITE];
	disk_sleep(10 * RT_S);
	assert_int_equal(disk.submitted[DISK_WRITE], writes);
	assert_int_equal(close_store(w), 0);
}

/* A client's record written in the meantime names it as well. */
static void a_later_record_is_name_enough(void **state)
{
	struct world *w = *state;
	struct lfs_record before, after;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	assert_true(last_durable(w, &before));
	assert_int_equal(write_blocks(w, 1, 1, 2), 0);
	assert_int_equal(flush_store(w), 0);
	assert_true(last_durable(w, &after));
	assert_int_equal(after.kind, LFS_RECORD_CLIENT);
	assert_int_equal(after.durable_seq, before.seq);
	/* Now this one has no name. */
	disk_sleep(LFS_MARKER_MS * RT_MS);
	assert_true(last_durable(w, &after));
	assert_int_equal(after.kind, LFS_RECORD_MARKER);
	assert_int_equal(after.durable_seq, before.seq + 1);
	assert_int_equal(close_store(w), 0);
}

/* A flush under way has covered nothing yet: a name would make damage of a tear. */
static void a_flush_under_way_names_nothing(void **state)
{
	struct world *w = *state;
	struct lfs_record last;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	disk.hold[DISK_FLUSH] = true;
	flush_ask(w, 0);
	assert_int_equal(write_blocks(w, 1, 1, 2), 0);
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(flush_store(w), 0);
	assert_true(last_durable(w, &last));
	assert_int_equal(last.first_lsn, 2);
	assert_true(last.durable_seq < last.seq - 1);
	assert_int_equal(close_store(w), 0);
}

/* What nobody flushed needs no name, and gets none. */
static void what_is_not_flushed_is_not_named(void **state)
{
	struct world *w = *state;
	unsigned writes;

	open_fresh(w);
	assert_int_equal(write_blocks(w, 0, 1, 1), 0);
	writes = disk.submitted[DISK_WRITE];
	disk_sleep(10 * RT_S);
	assert_int_equal(disk.submitted[DISK_WRITE], writes);
	assert_int_equal(close_store(w), 0);
}

/*
 * No block is left in the segment for a marker, so a seal is made, which names the record as
 * well; and as nothing else would, that is flushed like a marker.
 */
static void a_seal_in_place_of_a_marker_is_flushed(void **state)
{
	struct world *w = *state;
	struct lfs_record before, after;
	uint32_t room;

	open_fresh(w);
	/* Each takes a block more than it has data. */
	while ((room = lfs_inflight_room(&w->lfs->head)) > 0)
		assert_int_equal(write_blocks(w, room % 16, room % 2 ? 2 : 1, 1), 0);
	assert_int_equal(flush_store(w), 0);
	assert_true(last_durable(w, &before));
	assert_int_equal(before.kind, LFS_RECORD_CLIENT);
	disk_sleep(LFS_MARKER_MS * RT_MS);
	assert_true(last_durable(w, &after));
	assert_true(after.seq > before.seq && after.kind != LFS_RECORD_CLIENT);
	assert_true(after.durable_seq >= before.seq);
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_flush_covers_what_was_written_when_it_was_submitted),
		TEST(a_flush_does_not_wait_for_writes_under_way),
		TEST(nothing_new_needs_no_flush),
		TEST(a_failed_flush_is_final),
		TEST(the_next_flush_fails_with_the_one_before),
		TEST(an_idle_flush_is_named_within_its_time),
		TEST(a_later_record_is_name_enough),
		TEST(a_flush_under_way_names_nothing),
		TEST(what_is_not_flushed_is_not_named),
		TEST(a_seal_in_place_of_a_marker_is_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
