// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/transport.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

/* Status counts since the daemon's start, over all transports that there were. */
static void every_counter_is_added(void **state)
{
	struct transport_counters sum = { 0 };
	uint64_t one[sizeof(sum) / sizeof(uint64_t)], two[RT_ARRAY_LEN(one)];

	_Static_assert(sizeof(one) == sizeof(sum), "counters only");
	for (unsigned i = 0; i < RT_ARRAY_LEN(one); i++) {
		one[i] = 1000 + i;
		two[i] = 2 * one[i];
	}
	transport_counters_add(&sum, (const void *)one);
	assert_memory_equal(&sum, one, sizeof(sum));
	transport_counters_add(&sum, (const void *)one);
	assert_memory_equal(&sum, two, sizeof(sum));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
