// SPDX-License-Identifier: BSD-3-Clause
/* Events come out in the order of their times, and equal times in the order made. */
#include "tests/unit/unit.h"
#include "tests/wan/event.h"

#include "rt/hash.h"

#include <stdlib.h>

#define COUNT 10000

static void events_come_out_in_order(void **state)
{
	struct wanem_events events = { 0 };
	struct wanem_event *event;
	uint64_t last = 0;
	uint64_t last_number = 0;
	int n = 0;

	assert_true(wanem_events_next(&events) == UINT64_MAX);
	for (uint64_t i = 0; i < COUNT; i++) {
		event = wanem_event_new(WANEM_DATAGRAM, 0, &i, sizeof(i));
		assert_non_null(event);
		event->due_ns = rt_mix64(i + 1) % 500;
		assert_int_equal(wanem_events_put(&events, event), 0);
	}
	for (uint64_t now = 0; now < 500; now++) {
		while ((event = wanem_events_take(&events, now)) != NULL) {
			assert_int_equal(event->due_ns, now);
			assert_true(event->due_ns > last || n == 0 ||
				    event->number > last_number);
			last = event->due_ns;
			last_number = event->number;
			n++;
			free(event);
		}
		assert_true(wanem_events_next(&events) > now);
	}
	assert_int_equal(n, COUNT);
	wanem_events_release(&events);
}

static bool is_odd(const struct wanem_event *event, void *arg)
{
	return event->due_ns % 2 != 0;
}

static void count_and_free(struct wanem_event *event, void *arg)
{
	++*(int *)arg;
	free(event);
}

/* A cut takes some events out of the middle: the rest is in order as before. */
static void what_is_removed_leaves_the_rest_in_order(void **state)
{
	struct wanem_events events = { 0 };
	struct wanem_event *event;
	uint64_t last = 0;
	int removed = 0;
	int n = 0;

	for (uint64_t i = 0; i < COUNT; i++) {
		event = wanem_event_new(WANEM_LEAVES, 0, NULL, 0);
		assert_non_null(event);
		event->due_ns = rt_mix64(i + 1) % 500;
		assert_int_equal(wanem_events_put(&events, event), 0);
	}
	wanem_events_remove(&events, is_odd, count_and_free, &removed);
	while ((event = wanem_events_take(&events, 500)) != NULL) {
		assert_true(event->due_ns % 2 == 0 && event->due_ns >= last);
		last = event->due_ns;
		n++;
		free(event);
	}
	assert_int_equal(n + removed, COUNT);
	assert_true(removed > COUNT / 4);
	wanem_events_release(&events);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_in_order),
		cmocka_unit_test(what_is_removed_leaves_the_rest_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
