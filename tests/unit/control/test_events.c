// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/events.h"
#include "tests/unit/control/double.h"

/*
 * What scripts read of the past has each name in each event, and null where there is
 * nothing; what people read is a line for each. No text from a store moves their cursor.
 */

static struct group group;
static struct group_past_event past[3 * EVENTS_PAGE];
static char screen[4096];

static const struct group_past_event samples[] = {
	{ .seq = 3,
	  .wall_ns = INT64_C(1796072760250000000),
	  .level = RT_LOG_WARN,
	  .name = "state",
	  .from = "IN_SYNC",
	  .to = "HOLDING",
	  .text = "the path is silent; mend it" },
	{ .seq = 5,
	  .wall_ns = INT64_C(1796072761000000000),
	  .level = RT_LOG_INFO,
	  .name = "state",
	  .from = "HOLDING",
	  .to = "IN_SYNC" },
	{ .seq = 6,
	  .wall_ns = INT64_C(1796072762000000000),
	  .level = RT_LOG_ERROR,
	  .name = "fenced",
	  .text = "why=\"x\"" },
	{ .seq = 7,
	  .wall_ns = INT64_C(1796072763000000000),
	  .level = RT_LOG_INFO,
	  .name = "peer-forget",
	  .text = "" },
	{ .seq = 8,
	  .wall_ns = INT64_C(1796072764000000000),
	  .level = RT_LOG_WARN,
	  .name = "refused",
	  .text = "peer=\xff\x1b[2J" },
};

static json_t *events_since(int64_t since_ns, uint64_t from_seq)
{
	const struct events_wanted wanted = { since_ns, from_seq };
	json_t *events = events_new(&group, "db", &wanted);

	assert_non_null(events);
	return events;
}

static const json_t *event(const json_t *events, unsigned i)
{
	return json_array_get(json_object_get(events, "events"), i);
}

static size_t count(const json_t *events)
{
	return json_array_size(json_object_get(events, "events"));
}

static void member_is(const json_t *event, const char *name, const char *value)
{
	const json_t *member = json_object_get(event, name);

	assert_non_null(member);
	if (value)
		assert_string_equal(json_string_value(member), value);
	else
		assert_true(json_is_null(member));
}

static int with_samples(void **state)
{
	group.past = samples;
	group.npast = RT_ARRAY_LEN(samples);
	return 0;
}

static void each_event_has_each_name(void **state)
{
	json_t *events = events_since(0, 0);

	member_is(events, "group", "db");
	member_is(events, "next", NULL);
	assert_int_equal(count(events), RT_ARRAY_LEN(samples));
	for (unsigned i = 0; i < count(events); i++)
		assert_int_equal(json_object_size(event(events, i)), 8);
	assert_int_equal(json_integer_value(json_object_get(event(events, 0), "seq")), 3);
	member_is(event(events, 0), "time", "2026-11-30T21:06:00.250Z");
	member_is(event(events, 0), "level", "warn");
	member_is(event(events, 0), "event", "state");
	member_is(event(events, 0), "from", "IN_SYNC");
	member_is(event(events, 0), "to", "HOLDING");
	member_is(event(events, 0), "why", "the path is silent; mend it");
	member_is(event(events, 0), "text", NULL);
	member_is(event(events, 1), "why", NULL);
	member_is(event(events, 1), "text", NULL);
	member_is(event(events, 2), "level", "error");
	member_is(event(events, 2), "event", "fenced");
	member_is(event(events, 2), "from", NULL);
	member_is(event(events, 2), "to", NULL);
	member_is(event(events, 2), "why", NULL);
	member_is(event(events, 2), "text", "why=\"x\"");
	member_is(event(events, 3), "text", NULL);
	member_is(event(events, 4), "text", "(a text that is no UTF-8)");
	json_decref(events);
}

static void those_of_a_time_and_a_number(void **state)
{
	json_t *events = events_since(samples[2].wall_ns, 0);

	assert_int_equal(count(events), 3);
	member_is(event(events, 0), "event", "fenced");
	json_decref(events);
	events = events_since(samples[2].wall_ns + 1, 0);
	assert_int_equal(count(events), 2);
	json_decref(events);
	events = events_since(0, 6);
	assert_int_equal(count(events), 3);
	json_decref(events);
	events = events_since(INT64_MAX, 0);
	assert_int_equal(count(events), 0);
	json_decref(events);
}

/* Pages together are all of them, once each. */
static void pages_add_up(void **state)
{
	json_t *events, *page;
	int64_t next;

	for (unsigned n = 0; n <= RT_ARRAY_LEN(past);
	     n += n % EVENTS_PAGE ? EVENTS_PAGE - 1 : 1) {
		for (unsigned i = 0; i < n; i++)
			past[i].seq = 2 * i + 10;
		group.past = past;
		group.npast = n;
		events = events_since(0, 0);
		for (next = events_add_page(events, events); next;) {
			page = events_since(0, (uint64_t)next);
			assert_true(count(page) > 0 && count(page) <= EVENTS_PAGE);
			next = events_add_page(events, page);
			json_decref(page);
		}
		assert_null(json_object_get(events, "next"));
		assert_int_equal(count(events), n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(json_integer_value(json_object_get(
						 event(events, i), "seq")),
					 2 * i + 10);
		json_decref(events);
	}
	/* What is no page has no next one. */
	events = events_since(0, 0);
	assert_int_equal(events_add_page(events, NULL), 0);
	page = json_pack("{s:i}", "next", 7);
	assert_int_equal(events_add_page(events, page), 0);
	json_decref(page);
	json_decref(events);
}

static const char *shown(const json_t *events)
{
	FILE *out = fmemopen(screen, sizeof(screen), "w");

	screen[0] = 0;
	assert_non_null(out);
	events_print(events, out);
	assert_int_equal(fclose(out), 0);
	return screen;
}

static void people_read_a_line_for_each(void **state)
{
	json_t *events = events_since(0, 0);

	assert_int_equal(setenv("TZ", "EAST-1", 1), 0);
	tzset();
	assert_string_equal(
		shown(events),
		"2026-11-30T22:06:00.250+01:00  warn   IN_SYNC -> HOLDING: the path is "
		"silent; mend it\n"
		"2026-11-30T22:06:01.000+01:00  info   HOLDING -> IN_SYNC\n"
		"2026-11-30T22:06:02.000+01:00  error  fenced why=\"x\"\n"
		"2026-11-30T22:06:03.000+01:00  info   peer-forget\n"
		"2026-11-30T22:06:04.000+01:00  warn   refused (a text that is no "
		"UTF-8)\n");
	json_decref(events);
}

static void any_answer_is_shown_harmlessly(void **state)
{
	json_t *events =
		json_pack("{s:[{}, i, {s:s, s:s, s:i}, {s:s, s:s, s:s, s:s, s:s}]}",
			  "events", 7, "time", "x", "event", "\x1b[2J", "level", 3,
			  "time",
			  "2026-11-30T21:06:00.250+01:0000000000000000000000000000000000",
			  "level", "\x1b[1m", "event", "e", "to", "T\n", "why", "w\x7f");

	assert_non_null(events);
	assert_string_equal(shown(events), "-  -      -\n"
					   "-  -      -\n"
					   "-  -      ?[2J\n"
					   "-  -      - -> T?: w?\n");
	json_decref(events);
	assert_string_equal(shown(NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_event_has_each_name, with_samples),
		cmocka_unit_test_setup(those_of_a_time_and_a_number, with_samples),
		cmocka_unit_test(pages_add_up),
		cmocka_unit_test_setup(people_read_a_line_for_each, with_samples),
		cmocka_unit_test_setup(any_answer_is_shown_harmlessly, with_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
