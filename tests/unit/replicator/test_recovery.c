// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdint.h>
#include <string.h>

#include "replicator/recovery.h"
#include "rt/check.h"

/*
 * What a person reads before a promotion, at night: how old the image is, by the record's own
 * time, and what is missing, or that nobody knows. Nothing reads better than it is.
 */

#define AT(s) ((rt_time){ 1000 * RT_S + (int64_t)((s)*RT_S) })
#define WALL (INT64_C(1790000000) * RT_S) /* 2026-09-21 14:13:20 UTC */

struct row {
	uint64_t lsn;
	double written_s; /* ago, the last LSN; < 0: not known */
	enum peer_watch_knowledge knowledge;
	uint64_t lead, lead_bytes;
	double reported_s; /* ago */
	double age_s;	   /* what is shown */
	const char *text[2];
};

static const struct row rows[] = {
	{ 81204,
	  12.8,
	  PEER_WATCH_REPORTED,
	  3,
	  12288,
	  12.4,
	  12.8,
	  { "lon holds all that nyc had taken up to 2026-09-21 14:13:07.20 UTC, 13 s ago "
	    "(LSN 81204 of epoch 5)\n",
	    "at most 3 writes, 12 KiB, are missing of what nyc had when it was last "
	    "received, 12 s ago\n" } },
	{ 81204,
	  12.8,
	  PEER_WATCH_REPORTED,
	  1,
	  512,
	  12.4,
	  12.8,
	  { "lon holds", "at most 1 write, 512 bytes, is missing of what nyc had" } },
	/* Nothing was written for hours: the image is as new as the last heartbeat. */
	{ 7,
	  3 * 3600,
	  PEER_WATCH_REPORTED,
	  0,
	  0,
	  0.4,
	  0.4,
	  { "up to 2026-09-21 11:13:20.00 UTC, 3 h ago (LSN 7 of epoch 5)\n",
	    "nothing is missing of what nyc had when it was last received, 0.4 s "
	    "ago\n" } },
	/* It was received before that heartbeat was due, and this was written since. */
	{ 7,
	  0.2,
	  PEER_WATCH_REPORTED,
	  0,
	  0,
	  0.9,
	  0.2,
	  { "0.2 s ago (LSN 7", "0.9 s ago\n" } },
	/* Being filled: not "all that nyc had", but an old image. */
	{ 500,
	  31 * 86400.0,
	  PEER_WATCH_REPORTED,
	  1204331,
	  UINT64_C(5) << 30,
	  20,
	  31 * 86400.0,
	  { "the image at lon is of 2026-08-21 14:13:20.00 UTC, 31 days old (LSN 500 of "
	    "epoch 5): it was being filled\n",
	    "at most 1204331 writes, 5.0 GiB, are missing of what nyc had when it was "
	    "last received, 20 s ago\n" } },
	/* The daemon was restarted: the age is the record's, and that is all that is known. */
	{ 500,
	  60,
	  PEER_WATCH_NOT_REPORTED,
	  0,
	  0,
	  0,
	  60,
	  { "lon holds all that nyc had taken up to 2026-09-21 14:12:20.00 UTC, 60 s ago",
	    "what is missing is not known: this daemon was started after nyc was last "
	    "received\n" } },
	{ 500,
	  60,
	  PEER_WATCH_PARTED,
	  0,
	  0,
	  0,
	  60,
	  { "lon holds all that nyc had taken",
	    "what is missing is not known: the histories of lon and nyc have "
	    "parted\n" } },
	{ 500,
	  -1,
	  PEER_WATCH_NOT_REPORTED,
	  0,
	  0,
	  0,
	  -1,
	  { "lon holds all up to LSN 500 of epoch 5; its age is not known: the primary "
	    "does not know",
	    "is not known" } },
	{ 0,
	  -1,
	  PEER_WATCH_REPORTED,
	  2,
	  8192,
	  1,
	  -1,
	  { "lon holds nothing: nyc had not written\n",
	    "at most 2 writes, 8 KiB, are" } },
	/* Its clock is ahead of ours. */
	{ 9, -5, PEER_WATCH_REPORTED, 0, 0, 1, 0, { "0.0 s ago (LSN 9", "nothing is" } },
};

static void what_a_tired_person_reads(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct recovery r = { .image = { .lsn = row->lsn, .bytes = 1 << 20 },
				      .epoch = 5,
				      .now = AT(0),
				      .wall_ns = WALL,
				      .node = "lon",
				      .primary = "nyc" };
		struct group_recovery found;
		struct peer_watch w;
		char text[1024];
		bool known = row->knowledge == PEER_WATCH_REPORTED;

		peer_watch_init(&w);
		r.watch = &w;
		if (row->written_s != -1)
			r.image.wall_ns = WALL - (int64_t)(row->written_s * RT_S);
		if (known)
			peer_watch_primary_position(&w, row->lsn + row->lead,
						    (1 << 20) + row->lead_bytes,
						    AT(-row->reported_s));
		if (row->knowledge == PEER_WATCH_PARTED)
			peer_watch_parted(&w);
		recovery_describe(&r, text, sizeof(text));
		for (unsigned k = 0; k < 2; k++)
			if (!strstr(text, row->text[k]))
				fail_msg("%zu: no \"%s\" in \"%s\"", i, row->text[k],
					 text);
		recovery_find(&r, &found);
		assert_int_equal(found.lsn, row->lsn);
		assert_int_equal(found.epoch, row->lsn ? 5 : 0);
		if (found.age_s < row->age_s - 1e-6 || found.age_s > row->age_s + 1e-6)
			fail_msg("%zu: %f s old", i, found.age_s);
		assert_int_equal(found.known, known);
		assert_true(found.missing_writes ==
			    (known ? row->lead : GROUP_NOT_KNOWN));
		assert_true(found.missing_bytes ==
			    (known ? row->lead_bytes : GROUP_NOT_KNOWN));
	}
}

static void a_text_that_is_too_long_is_cut(void **state)
{
	struct peer_watch w;
	struct recovery r = { .image = { 5, WALL, 0 },
			      .watch = &w,
			      .now = AT(0),
			      .wall_ns = WALL,
			      .node = "lon",
			      .primary = "nyc" };
	char text[64];

	peer_watch_init(&w);
	memset(text, 'x', sizeof(text));
	recovery_describe(&r, text, 20);
	assert_int_equal(strlen(text), 19);
	assert_int_equal(text[20], 'x');
}

static void times_ages_and_amounts(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} times[] = {
		{ 0, "1970-01-01 00:00:00.00 UTC" },
		{ 951782399, "2000-02-28 23:59:59.00 UTC" },
		{ 951782400, "2000-02-29 00:00:00.00 UTC" },
		{ 4107542399, "2100-02-28 23:59:59.00 UTC" },
		{ 4107542400, "2100-03-01 00:00:00.00 UTC" },
		{ -1, "1969-12-31 23:59:59.00 UTC" },
		{ INT64_MAX / RT_S, "2262-04-11 23:47:16.00 UTC" },
		{ INT64_MIN / RT_S, "1677-09-21 00:12:44.00 UTC" },
	};
	static const struct {
		double s;
		const char *text;
	} ages[] = {
		{ -3, "0.0 s" },	 { 0.44, "0.4 s" }, { 119, "119 s" },
		{ 121, "2 min" },	 { 7201, "2 h" },   { 47.6 * 3600, "48 h" },
		{ 3 * 86400, "3 days" },
	};
	static const struct {
		uint64_t n;
		const char *text;
	} amounts[] = {
		{ 0, "0 bytes" },	  { 1023, "1023 bytes" },
		{ 12288, "12 KiB" },	  { 3 << 19, "1.5 MiB" },
		{ 300 << 20, "300 MiB" }, { UINT64_MAX, "16777216 TiB" },
	};
	char text[RECOVERY_WORD_MAX];

	for (size_t i = 0; i < RT_ARRAY_LEN(times); i++)
		assert_string_equal(recovery_time_text(times[i].s * RT_S, text),
				    times[i].text);
	assert_string_equal(recovery_time_text(-1, text), "1969-12-31 23:59:59.99 UTC");
	for (size_t i = 0; i < RT_ARRAY_LEN(ages); i++)
		assert_string_equal(recovery_age_text((int64_t)(ages[i].s * RT_S), text),
				    ages[i].text);
	for (size_t i = 0; i < RT_ARRAY_LEN(amounts); i++)
		assert_string_equal(recovery_bytes_text(amounts[i].n, text),
				    amounts[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_tired_person_reads),
		cmocka_unit_test(a_text_that_is_too_long_is_cut),
		cmocka_unit_test(times_ages_and_amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
