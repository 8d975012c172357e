// SPDX-License-Identifier: BSD-3-Clause
/*
 * A fact counts when the superblock that holds it is durable, and the one before it stays
 * whole until then: a fenced site that forgets it after a power cut would write again.
 */
#include "lfs/open_store.h"
#include "tests/unit/lfs/world_memory.h"

static struct lfs_set_meta change;
static int change_res; /* 1: has not ended */

static void change_noted(struct lfs_set_meta *s, int res)
{
	change_res = res;
}

/* Another generation of the volume, and do not wait. */
static void change_ask(struct world *w, uint64_t generation)
{
	w->meta = *lfs_meta(w->lfs);
	w->meta.volumes[0].id = generation;
	change.done = change_noted;
	change_res = 1;
	lfs_set_meta(w->lfs, &change, &w->meta);
}

static uint64_t generation(struct world *w)
{
	return lfs_meta(w->lfs)->volumes[0].id;
}

static void open_fresh(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	disk_run();
}

/*
 * A flush of what it refers to, the older copy, a flush of itself, the other copy and its flush,
 * and only then.
 */
static void a_fact_counts_when_it_is_durable(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	for (uint64_t i = 1; i <= 4; i++) {
		uint64_t older = lfs_superblock_off(!w->lfs->superblock.copy);
		uint64_t before = generation(w);

		disk.ntrace = 0;
		disk.tracing = true;
		change_ask(w, i);
		while (disk.ntrace < 5) {
			assert_int_equal(change_res, 1);
			assert_int_equal(generation(w), before);
			assert_true(disk_step());
		}
		disk_run();
		disk.tracing = false;
		assert_int_equal(change_res, 0);
		assert_int_equal(generation(w), i);
		assert_int_equal(disk.ntrace, 5);
		assert_int_equal(disk.trace[0].kind, DISK_FLUSH);
		assert_int_equal(disk.trace[1].kind, DISK_WRITE);
		assert_int_equal(disk.trace[1].off, older);
		assert_int_equal(disk.trace[2].kind, DISK_FLUSH);
		assert_int_equal(disk.trace[3].kind, DISK_WRITE);
		assert_int_equal(disk.trace[3].off, LFS_SUPERBLOCK_REGION - older);
		assert_int_equal(disk.trace[4].kind, DISK_FLUSH);
		assert_int_equal(lfs_superblock_off(!w->lfs->superblock.copy), older);
	}
	assert_int_equal(close_store(w), 0);
}

static struct lfs_superblock_request requests[3];
static unsigned nended;

static void request_noted(struct lfs_superblock_request *req, int res)
{
	assert_int_equal(res, 0);
	assert_int_equal(req - requests, nended);
	nended++;
}

static void request_ask(struct world *w, unsigned i, uint32_t set, uint32_t clear)
{
	requests[i] = (struct lfs_superblock_request){ .done = request_noted,
						       .set_flags = set,
						       .clear_flags = clear };
	lfs_superblock_submit(w->lfs, &requests[i]);
}

/* Those that wait for the one under way go into one superblock, in their order. */
static void requests_that_wait_go_together(void **state)
{
	struct world *w = *state;
	uint64_t seq;

	open_fresh(w);
	seq = w->lfs->superblock.current.seq;
	nended = 0;
	disk.hold[DISK_FLUSH] = true;
	request_ask(w, 0, LFS_ALONE, 0);
	disk_run();
	request_ask(w, 1, LFS_HOLD, LFS_ALONE);
	request_ask(w, 2, LFS_SEALED, LFS_HOLD);
	disk_run();
	assert_int_equal(nended, 0);
	assert_int_equal(lfs_meta(w->lfs)->flags, 0);
	disk.hold[DISK_FLUSH] = false;
	while (!nended)
		assert_true(disk_step());
	assert_int_equal(nended, 1);
	assert_int_equal(lfs_meta(w->lfs)->flags, LFS_ALONE);
	disk_run();
	assert_int_equal(nended, 3);
	assert_int_equal(lfs_meta(w->lfs)->flags, LFS_SEALED);
	assert_int_equal(w->lfs->superblock.current.seq, seq + 2);
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_meta(w->lfs)->flags, LFS_SEALED);
	assert_int_equal(close_store(w), 0);
}

/* ---- failures ------------------------------------------------------------------------------ */

static void a_fact_that_cannot_be_written_does_not_count(void **state)
{
	static const struct {
		enum disk_kind kind;
		unsigned n;
	} faults[] = { { DISK_FLUSH, 1 }, { DISK_WRITE, 1 }, { DISK_FLUSH, 2 } };
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t before;

		disk_reset();
		open_fresh(w);
		before = generation(w);
		disk.fail[faults[i].kind] = faults[i].n;
		change_ask(w, 77);
		disk_run();
		assert_int_equal(disk.fail[faults[i].kind], 0);
		assert_int_equal(change_res, -EIO);
		assert_int_equal(generation(w), before);
		assert_int_equal(close_store(w), -EIO);
		assert_int_equal(open_store(w), 0);
		/* Written, and its flush failed: either of the two is right. */
		assert_true(generation(w) == before ||
			    (faults[i].n == 2 && generation(w) == 77));
		assert_int_equal(close_store(w), 0);
	}
}

static unsigned nfailed;

static void request_failed(struct lfs_superblock_request *req, int res)
{
	(void)req;
	assert_int_equal(res, -EIO);
	nfailed++;
}

/* What waits behind the one under way ends with it when the log fails, and the store closes. */
static void what_waits_for_a_superblock_fails_with_the_log(void **state)
{
	struct world *w = *state;

	open_fresh(w);
	nfailed = 0;
	disk.hold[DISK_FLUSH] = true;
	for (unsigned i = 0; i < 3; i++) {
		request_ask(w, i, LFS_ALONE, 0);
		requests[i].done = request_failed;
		disk_run();
	}
	assert_int_equal(nfailed, 0);
	disk.fail[DISK_FLUSH] = 1;
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(nfailed, 3);
	assert_int_equal(close_store(w), -EIO);
}

#define EPOCHS 500u /* a superblock of several blocks, which a power cut may tear */

static uint8_t *cut_image;
static unsigned cut_seed;

static void cut(void)
{
	cut_image = disk_image_some(cut_seed);
}

/* A long history, with other ids in each of its blocks, and do not wait. */
static void history_ask(struct world *w, uint64_t generation)
{
	const struct lfs_epoch *first = &w->meta.epochs[0];

	w->meta = *lfs_meta(w->lfs);
	for (unsigned i = 1; i < EPOCHS; i++)
		w->meta.epochs[i] = (struct lfs_epoch){ .number = first->number + i,
							.id = i + generation * EPOCHS,
							.first_lsn = first->first_lsn };
	w->meta.nepochs = EPOCHS;
	w->meta.volumes[0].id = generation;
	change.done = change_noted;
	change_res = 1;
	lfs_set_meta(w->lfs, &change, &w->meta);
}

/* Torn while it is written: the one before counts, and is whole. */
static void a_torn_superblock_leaves_the_one_before(void **state)
{
	struct world *w = *state;
	unsigned whole = 0;

	for (cut_seed = 1; cut_seed <= 16; cut_seed++) {
		disk_reset();
		open_fresh(w);
		w->meta = *lfs_meta(w->lfs);
		for (uint64_t i = 1; i <= 2; i++) {
			history_ask(w, i);
			disk_run();
			assert_int_equal(change_res, 0);
		}
		disk.cut = cut;
		disk.cut_at = 1;
		history_ask(w, 3);
		disk_run();
		assert_int_equal(change_res, 0);
		assert_int_equal(disk.cut_at, 0);
		assert_int_equal(close_store(w), 0);
		disk_restore(cut_image);
		free(cut_image);
		assert_int_equal(open_store(w), 0);
		assert_true(generation(w) == 2 || generation(w) == 3);
		for (unsigned i = 1; i < EPOCHS; i++)
			assert_int_equal(lfs_meta(w->lfs)->epochs[i].id,
					 i + generation(w) * EPOCHS);
		whole += generation(w) == 3;
		assert_int_equal(close_store(w), 0);
	}
	assert_true(whole < 16);
}

/* Whichever copy is damaged afterwards, the other one has it. */
static void a_fact_outlives_either_copy(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t byte;

		if (i == 0)
			open_fresh(w);
		change_ask(w, 70 + i);
		disk_run();
		assert_int_equal(change_res, 0);
		w->unclean = true;
		assert_int_equal(close_store(w), 0);
		peek(w, lfs_superblock_off(i) + 100, &byte, 1);
		byte ^= 4;
		poke(w, lfs_superblock_off(i) + 100, &byte, 1);
		assert_int_equal(open_store(w), 0);
		assert_int_equal(generation(w), 70 + i);
	}
	w->unclean = false;
	assert_int_equal(close_store(w), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_fact_counts_when_it_is_durable),
		TEST(a_fact_outlives_either_copy),
		TEST(requests_that_wait_go_together),
		TEST(a_fact_that_cannot_be_written_does_not_count),
		TEST(what_waits_for_a_superblock_fails_with_the_log),
		TEST(a_torn_superblock_leaves_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
