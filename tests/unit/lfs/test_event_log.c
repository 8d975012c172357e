// SPDX-License-Identifier: BSD-3-Clause
/*
 * Events of a store are there after a restart and after a power cut, in order, the newest
 * LFS_EVENTS of them. A disk that fails or hangs costs events, and never more than events:
 * the log goes on, and a store with any damage in the region opens.
 */
#include <stdio.h>

#include "lfs/event_sector.h"
#include "lfs/open_store.h"
#include "tests/unit/alloc.h"
#include "tests/unit/lfs/world_memory.h"

#define EVENTS_PER_BLOCK (LFS_BLOCK / LFS_EVENT_SECTOR)

static void event_text(uint64_t seq, char *text, size_t size)
{
	(void)snprintf(text, size, "event number=%llu", (unsigned long long)seq);
}

/* The next `n`, not waited for. */
static void add(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char text[LFS_EVENT_TEXT_MAX];
		struct lfs_event_figures f;

		lfs_event_log_figures(w->lfs, &f);
		event_text(f.last + 1, text, sizeof(text));
		lfs_event_log_append(w->lfs, 1, text);
	}
}

static void add_and_wait(struct world *w, unsigned n)
{
	for (; n > 100; n -= 100) {
		add(w, 100);
		disk_run();
	}
	add(w, n);
	disk_run();
}

/* What is found from `from` on is from, from + 1, ..., to without `but`; all as written. */
static void must_find(struct world *w, uint64_t from, uint64_t to, uint64_t but)
{
	struct lfs_event event = { 0 };

	for (uint64_t seq = from; seq <= to; seq++) {
		char text[LFS_EVENT_TEXT_MAX];

		if (seq == but)
			continue;
		assert_int_equal(lfs_event_log_find(w->lfs, event.seq + 1, &event), 0);
		assert_int_equal(event.seq, seq);
		assert_int_equal(event.level, 1);
		event_text(seq, text, sizeof(text));
		assert_string_equal(event.text, text);
	}
	assert_int_equal(lfs_event_log_find(w->lfs, event.seq + 1, &event), -ENOENT);
}

static struct lfs_event_figures figures(struct world *w)
{
	struct lfs_event_figures ret;

	lfs_event_log_figures(w->lfs, &ret);
	return ret;
}

static void made_and_open(struct world *w)
{
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
}

static void again(struct world *w)
{
	assert_int_equal(close_store(w), 0);
	assert_int_equal(open_store(w), 0);
}

static void events_survive_a_close(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	must_find(w, 1, 0, 0);
	add_and_wait(w, 3);
	must_find(w, 1, 3, 0);
	again(w);
	must_find(w, 1, 3, 0);
	add(w, 2); /* and a close that does not wait for them first */
	again(w);
	must_find(w, 1, 5, 0);
	assert_int_equal(figures(w).lost, 0);
	assert_int_equal(close_store(w), 0);
}

/* The time and the level are those of the call; a text that is too long is cut. */
static void an_event_is_what_was_said(void **state)
{
	struct world *w = *state;
	char text[LFS_EVENT_TEXT_MAX + 10];
	struct lfs_event event;

	made_and_open(w);
	disk_sleep(RT_S);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	lfs_event_log_append(w->lfs, 2, text);
	again(w);
	assert_int_equal(lfs_event_log_find(w->lfs, 1, &event), 0);
	assert_int_equal(event.level, 2);
	assert_int_equal(event.wall_ns, RT_S + 1);
	assert_int_equal(strlen(event.text), LFS_EVENT_TEXT_MAX - 1);
	assert_int_equal(close_store(w), 0);
}

static void the_newest_are_kept(void **state)
{
	struct world *w = *state;
	uint64_t last = 2 * LFS_EVENTS + 5;

	made_and_open(w);
	add_and_wait(w, (unsigned)last);
	must_find(w, last - LFS_EVENTS + 1, last, 0);
	again(w);
	must_find(w, last - LFS_EVENTS + 1, last, 0);
	add_and_wait(w, 1);
	must_find(w, last - LFS_EVENTS + 2, last + 1, 0);
	assert_int_equal(close_store(w), 0);
}

static uint8_t *cut_image;
static unsigned cut_seed;

static void cut(void)
{
	cut_image = disk_image_some(cut_seed);
}

/* At each write, with each part of what was written since the last flush there or not. */
static void durable_events_survive_a_power_cut(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	add_and_wait(w, LFS_EVENTS + 3);
	for (unsigned n = 1; n <= 12; n++)
		for (cut_seed = 1; cut_seed <= 4; cut_seed++) {
			uint64_t had = figures(w).last, last;

			assert_int_equal(figures(w).durable, had);
			disk.cut_at = n;
			disk.cut = cut;
			for (unsigned i = 0; i < n; i++) {
				add(w, n);
				disk_step();
				disk_step();
			}
			disk_run();
			assert_int_equal(close_store(w), 0);
			assert_int_equal(disk.cut_at, 0);
			disk_restore(cut_image);
			free(cut_image);
			assert_int_equal(open_store(w), 0);
			last = figures(w).last;
			assert_true(last >= had && last <= had + (uint64_t)n * n);
			/* Of what was not durable any may be missing, with a hole. */
			if (last == had)
				must_find(w, had - LFS_EVENTS + 1, had, 0);
			add_and_wait(w, LFS_EVENTS);
			last = figures(w).last;
			must_find(w, last - LFS_EVENTS + 1, last, 0);
		}
	assert_int_equal(close_store(w), 0);
}

/* What is durable is what a flush has covered, and it is flushed once. */
static void durable_when_flushed(void **state)
{
	struct world *w = *state;
	unsigned flushes;

	made_and_open(w);
	disk_run();
	flushes = disk.submitted[DISK_FLUSH];
	disk.hold[DISK_FLUSH] = true;
	add(w, 3);
	disk_run();
	assert_int_equal(figures(w).last, 3);
	assert_int_equal(figures(w).durable, 0);
	add(w, 1);
	disk_run();
	disk.hold[DISK_FLUSH] = false;
	disk_run();
	assert_int_equal(figures(w).durable, 4);
	assert_int_equal(disk.submitted[DISK_FLUSH], flushes + 2);
	disk_sleep(RT_S);
	assert_int_equal(disk.submitted[DISK_FLUSH], flushes + 2);
	assert_int_equal(close_store(w), 0);
}

/* The disk takes no event: the log does not notice. */
static void a_write_that_fails_costs_its_events(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	add_and_wait(w, 2);
	disk.fail[DISK_WRITE] = 1;
	add_and_wait(w, 1);
	assert_int_equal(disk.fail[DISK_WRITE], 0);
	assert_int_equal(figures(w).lost, 1);
	must_find(w, 1, 3, 0);
	assert_int_equal(w->failures, 0);
	assert_int_equal(write_blocks(w, 0, 4, 7), 0);
	assert_int_equal(flush_store(w), 0);
	again(w);
	must_find(w, 1, 2, 0);
	assert_int_equal(figures(w).lost, 0);
	add_and_wait(w, 1); /* the number is free again */
	must_find(w, 1, 3, 0);
	must_hold(w, 0, 4, 7);
	assert_int_equal(close_store(w), 0);
}

/* A disk that hangs: so many wait, the rest is counted, and requests do not wait for them. */
static void a_queue_that_is_full_costs_events(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	disk_run();
	disk.hold[DISK_WRITE] = true;
	add(w, LFS_EVENTS_QUEUE + 10);
	disk_run();
	assert_int_equal(figures(w).last, LFS_EVENTS_QUEUE);
	assert_int_equal(figures(w).lost, 10);
	disk.hold[DISK_WRITE] = false;
	disk_run();
	assert_int_equal(figures(w).durable, LFS_EVENTS_QUEUE);
	again(w);
	must_find(w, 1, LFS_EVENTS_QUEUE, 0);
	assert_int_equal(close_store(w), 0);
}

/* The last words of a store whose log has failed are there; nothing flushes it any more. */
static void a_failed_log_still_takes_events(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	disk_run();
	disk.fail[DISK_FLUSH] = 1;
	assert_int_equal(write_blocks(w, 0, 1, 7), 0);
	assert_int_equal(flush_store(w), -EIO);
	assert_int_equal(w->failures, 1);
	add_and_wait(w, 1);
	must_find(w, 1, 1, 0);
	assert_int_equal(figures(w).durable, 0);
	assert_int_equal(close_store(w), -EIO);
	assert_int_equal(open_store(w), 0);
	must_find(w, 1, 1, 0);
	assert_int_equal(close_store(w), 0);
}

/* A flush that an event has asked for is a flush of the log: its failure is the log's. */
static void the_flush_of_an_event_fails_the_log(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	disk_run();
	disk.fail[DISK_FLUSH] = 1;
	add_and_wait(w, 1);
	assert_int_equal(w->failures, 1);
	assert_int_equal(figures(w).durable, 0);
	assert_int_equal(close_store(w), -EIO);
}

/* Each sector in turn; the store opens, and exactly that event is missing. */
static void a_damaged_sector_costs_its_event(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	add_and_wait(w, 20);
	for (uint64_t seq = 1; seq <= 20; seq++) {
		uint64_t off = LFS_EVENTS_OFF +
			       (uint64_t)lfs_event_sector_of(seq) * LFS_EVENT_SECTOR;
		uint8_t *image;

		assert_int_equal(close_store(w), 0);
		image = disk_image();
		flip(w, off + seq * 23);
		assert_int_equal(open_store(w), 0);
		must_find(w, 1, 20, seq);
		/* Its block is written again: it stays missing, those beside it do not. */
		add_and_wait(w, 5);
		again(w);
		if (seq < 20)
			must_find(w, 1, 25, seq);
		else
			must_find(w, 1, 24, 0);
		assert_int_equal(close_store(w), 0);
		disk_restore(image);
		free(image);
		assert_int_equal(open_store(w), 0);
	}
	assert_int_equal(close_store(w), 0);
}

/* All of the region: bytes of anything, or of another store's events. */
static void a_region_of_garbage_is_an_empty_one(void **state)
{
	static uint8_t region[LFS_EVENT_REGION];
	struct world *w = *state;
	uint64_t random;

	made_and_open(w);
	add_and_wait(w, LFS_EVENTS);
	assert_int_equal(close_store(w), 0);
	peek(w, LFS_EVENTS_OFF, region, sizeof(region));
	random = disk.random;
	disk_reset();
	disk.random = random; /* another store has another id */
	made_and_open(w);
	assert_int_equal(close_store(w), 0);
	poke(w, LFS_EVENTS_OFF, region, sizeof(region));
	assert_int_equal(open_store(w), 0);
	must_find(w, 1, 0, 0);
	assert_int_equal(close_store(w), 0);
	memset(region, 0xa5, sizeof(region));
	poke(w, LFS_EVENTS_OFF, region, sizeof(region));
	assert_int_equal(open_store(w), 0);
	must_find(w, 1, 0, 0);
	add_and_wait(w, 9);
	again(w);
	must_find(w, 1, 9, 0);
	assert_int_equal(close_store(w), 0);
}

/*
 * A read that fails is done again block by block: what cannot be read costs its own events.
 * Reads that end early are continued.
 */
static void reads_that_end_early_or_fail_go_on(void **state)
{
	struct world *w = *state;

	made_and_open(w);
	add_and_wait(w, 3 * EVENTS_PER_BLOCK);
	assert_int_equal(close_store(w), 0);
	disk.at_most[DISK_READ] = 3 * LFS_BLOCK;
	assert_int_equal(open_store(w), 0);
	must_find(w, 1, 3 * EVENTS_PER_BLOCK, 0);
	disk.at_most[DISK_READ] = 0;
	assert_int_equal(close_store(w), 0);
	disk.fail[DISK_READ] = 2; /* the first is of the superblocks */
	assert_int_equal(open_store(w), 0);
	assert_int_equal(disk.fail[DISK_READ], 0);
	must_find(w, 1, 3 * EVENTS_PER_BLOCK, 0);
	assert_int_equal(close_store(w), 0);
}

static struct lfs *by_hand;

static void opened_by_hand(struct lfs_open *o, int res)
{
	assert_int_equal(res, 0);
	by_hand = o->lfs;
}

static void a_bad_block_costs_its_events(void **state)
{
	struct world *w = *state;
	struct lfs_open o = { .done = opened_by_hand };
	struct lfs_open_params params = { .path = w->path,
					  .group_name = "payments",
					  .map_memory = w->map_memory,
					  .events = &events,
					  .owner = w };

	made_and_open(w);
	add_and_wait(w, 3 * EVENTS_PER_BLOCK);
	assert_int_equal(close_store(w), 0);
	lfs_open(w->loop, &params, &o);
	assert_true(disk_step()); /* the superblocks; then all of it, then a block */
	for (unsigned i = 0; i < 2; i++) {
		disk.fail[DISK_READ] = 1;
		assert_true(disk_step());
	}
	disk_run();
	w->lfs = by_hand;
	assert_non_null(w->lfs);
	must_find(w, EVENTS_PER_BLOCK, 3 * EVENTS_PER_BLOCK, 0);
	assert_int_equal(close_store(w), 0);
}

static void no_memory_for_events(void **state)
{
	struct world *w = *state;
	long before;

	assert_int_equal(create(w, 0), 0);
	before = held;
	fail_len = LFS_EVENT_REGION;
	assert_int_equal(open_store(w), -ENOMEM);
	fail_len = 0;
	assert_non_null(strstr(w->why, "events"));
	assert_int_equal(held, before);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(close_store(w), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(events_survive_a_close),
		test(an_event_is_what_was_said),
		test(the_newest_are_kept),
		test(durable_events_survive_a_power_cut),
		test(durable_when_flushed),
		test(a_write_that_fails_costs_its_events),
		test(a_queue_that_is_full_costs_events),
		test(a_failed_log_still_takes_events),
		test(the_flush_of_an_event_fails_the_log),
		test(a_damaged_sector_costs_its_event),
		test(a_region_of_garbage_is_an_empty_one),
		test(reads_that_end_early_or_fail_go_on),
		test(a_bad_block_costs_its_events),
		test(no_memory_for_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
