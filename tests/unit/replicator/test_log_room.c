// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/log_room.h"

#include <errno.h>

#include "rt/check.h"
#include "tests/unit/replicator/talk.h"

/*
 * A log that refuses writes says so: once in the log, for as long as it lasts in `why` with
 * what helps, and counted in the status. What comes and goes with every write is not news.
 */

/* ---- what is news ------------------------------------------------------------------------- */

static struct lfs_stats stats_of(bool has_room, uint64_t free_bytes)
{
	return (struct lfs_stats){ .has_room = has_room,
				   .has_map_memory = true,
				   .store_bytes = 100,
				   .free_bytes = free_bytes };
}

static void full_until_anything_has_room(void **state)
{
	struct lfs_stats tight = stats_of(false, 50), roomy = stats_of(true, 50);
	struct log_room r = { 0 };

	assert_int_equal(log_room_refused(&r, -EIO), 0);
	assert_int_equal(log_room_refused(&r, -ENOMEM), 0);
	assert_int_equal(log_room_turn(&r, &tight), 0);
	assert_false(r.full); /* nobody was refused */
	assert_int_equal(log_room_refused(&r, -ENOSPC), LOG_ROOM_NEWS_FULL);
	assert_int_equal(log_room_refused(&r, -ENOSPC), 0);
	assert_int_equal(log_room_turn(&r, &tight), 0);
	assert_true(r.full);
	assert_int_equal(log_room_turn(&r, &roomy), LOG_ROOM_NEWS_ROOM);
	assert_false(r.full);
	assert_int_equal(log_room_turn(&r, &roomy), 0);
	assert_int_equal(log_room_refused(&r, -ENOSPC), LOG_ROOM_NEWS_FULL);
}

/* Neither is the other: each has an errno, news and a counter of its own. */
static void map_memory_is_no_room(void **state)
{
	struct lfs_stats stats = stats_of(true, 50);
	struct log_room r = { 0 };

	stats.has_map_memory = false;
	assert_int_equal(log_room_refused(&r, -EDQUOT), LOG_ROOM_NEWS_MAP_FULL);
	assert_int_equal(log_room_refused(&r, -EDQUOT), 0);
	log_room_count(&r, -EDQUOT);
	assert_int_equal(log_room_turn(&r, &stats), 0);
	assert_true(r.map_full && !r.full);
	assert_int_equal(r.refused_by_map, 1);
	assert_int_equal(r.refused_writes, 0);
	assert_int_equal(log_room_refused(&r, -ENOSPC), LOG_ROOM_NEWS_FULL);
	assert_int_equal(log_room_turn(&r, &stats), LOG_ROOM_NEWS_ROOM);
	stats.has_map_memory = true;
	assert_int_equal(log_room_turn(&r, &stats), LOG_ROOM_NEWS_MAP_ROOM);
	assert_false(r.map_full || r.full);
}

static void low_is_said_once(void **state)
{
	static const struct {
		uint64_t free_bytes;
		unsigned news;
	} rows[] = { { 100, 0 }, { 10, 0 },  { 9, LOG_ROOM_NEWS_LOW },
		     { 8, 0 },	 { 10, 0 },  { 9, 0 },
		     { 19, 0 },	 { 9, 0 },   { 20, 0 },
		     { 10, 0 },	 { 9, LOG_ROOM_NEWS_LOW } };
	struct log_room r = { 0 };

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct lfs_stats stats = stats_of(true, rows[i].free_bytes);

		assert_int_equal(log_room_turn(&r, &stats), rows[i].news);
	}
}

static void clients_that_are_refused_are_counted(void **state)
{
	struct log_room r = { 0 };

	log_room_count(&r, -EIO);
	assert_int_equal(r.refused_writes, 0);
	log_room_count(&r, -ENOSPC);
	log_room_count(&r, -ENOSPC);
	assert_int_equal(r.refused_writes, 2);
}

/* ---- a group ------------------------------------------------------------------------------- */

static unsigned said_full, said_room, said_low, said_map;

static void sink(void *owner, enum rt_log_level level, const char *line)
{
	said_full += strstr(line, "log-full ") && strstr(line, " group=db");
	said_room += strstr(line, "log-has-room ") && strstr(line, " group=db");
	said_map += strstr(line, "map-full ") && strstr(line, " group=db");
	said_low += strstr(line, "log-low ") && strstr(line, " group=db");
}

static void tight(struct group_config *config)
{
	config->has_peer = false;
	config->store_size = 20u << 20;
}

static int group_up_with(void **state, void (*tweak)(struct group_config *config))
{
	site_tweak = tweak;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	said_full = said_room = said_low = said_map = 0;
	rt_log_set_sink(sink, NULL);
	return 0;
}

static int group_up(void **state)
{
	return group_up_with(state, tight);
}

static int group_down(void **state)
{
	site_tweak = NULL;
	rt_log_set_sink(site_silent, NULL);
	return site_tear_down(state);
}

static const struct group_status *status(void)
{
	static struct group_status s;

	group_status(site->group, &s);
	return &s;
}

static struct group_request *long_write(uint32_t blocks)
{
	struct group_request *r = request_new(GROUP_WRITE);

	rt_free(r->buf);
	r->len = blocks * GROUP_BLOCK;
	r->buf = rt_alloc_blocks(r->len);
	assert_non_null(r->buf);
	memset(r->buf, 0x77, r->len);
	return r;
}

/* Until the first one that is refused. */
static void write_until_full(void)
{
	struct group_request *r = long_write(16);
	int res;

	do
		res = request_run(r);
	while (res == 0);
	assert_int_equal(res, -ENOSPC);
	request_free(r);
}

static void a_full_log_is_said_and_counted(void **state)
{
	struct group_request *r = long_write(64);

	assert_string_equal(status()->why, "");
	write_until_full();
	assert_int_equal(said_full, 1);
	assert_int_equal(said_low, 1);
	assert_int_equal(status()->state, GROUP_STANDALONE);
	assert_non_null(strstr(status()->why, "the log of this site is full"));
	assert_non_null(strstr(status()->why, "larger store"));
	assert_int_equal(status()->store.refused_writes, 1);
	/* In several parts, all of which are refused: one request, and no further line. */
	assert_int_equal(request_run(r), -ENOSPC);
	assert_int_equal(status()->store.refused_writes, 2);
	assert_int_equal(said_full, 1);
	assert_int_equal(said_low, 1);
	/* Beyond the end of the volume is no want of room. */
	r->offset = r->volume->size;
	assert_int_equal(request_run(r), -ENOSPC);
	assert_int_equal(status()->store.refused_writes, 2);
	request_free(r);
}

static void room_that_is_back_is_said(void **state)
{
	site->group->log_room.full = true;
	assert_string_not_equal(status()->why, "");
	group_wake(site->group);
	SITE_UNTIL(site, said_room == 1);
	assert_string_equal(status()->why, "");
}

/* The tables of two volumes of a leaf each, and one leaf: the second volume has none. */
static void small_map(struct group_config *config)
{
	tight(config);
	config->map_memory = 14u << 10;
}

static int small_map_up(void **state)
{
	return group_up_with(state, small_map);
}

static void a_map_beyond_its_memory_is_no_full_log(void **state)
{
	struct group_request *r = request_new(GROUP_WRITE);

	r->volume = group_volume_at(site->group, 1);
	assert_int_equal(request_run(r), -EDQUOT);
	assert_int_equal(request_run(r), -EDQUOT);
	assert_int_equal(said_map, 1);
	assert_int_equal(said_full, 0);
	assert_non_null(strstr(status()->why, "map_memory"));
	assert_non_null(strstr(status()->why, "raise map_memory"));
	assert_null(strstr(status()->why, "full"));
	assert_int_equal(status()->store.refused_by_map, 2);
	assert_int_equal(status()->store.refused_writes, 0);
	/* What has its leaf goes on. */
	r->volume = group_volume_at(site->group, 0);
	assert_int_equal(request_run(r), 0);
	request_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, group_up, group_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_until_anything_has_room),
		cmocka_unit_test(map_memory_is_no_room),
		cmocka_unit_test(low_is_said_once),
		cmocka_unit_test(clients_that_are_refused_are_counted),
		TEST(a_full_log_is_said_and_counted),
		TEST(room_that_is_back_is_said),
		cmocka_unit_test_setup_teardown(a_map_beyond_its_memory_is_no_full_log,
						small_map_up, group_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
