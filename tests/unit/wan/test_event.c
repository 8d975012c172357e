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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
