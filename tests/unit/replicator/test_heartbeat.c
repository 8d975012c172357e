// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <string.h>

#include "replicator/heartbeat.h"

/*
 * Each site's file is checked by itself, and what it says must go with the other's too. A
 * heartbeat that is too long there makes this site take a peer that is well for dead.
 */

static void what_goes_together(void **state)
{
	static const struct {
		uint32_t peer_ms;
		int64_t away_ms, control_timeout_ms;
		const char *why[2]; /* NULL: it fits */
	} rows[] = {
		{ 0, 100, 100, { NULL } }, /* an older version: not said */
		{ 1000, 5000, 10000, { NULL } },
		{ 1000, 1001, 2001, { NULL } },
		{ 1000, 1000, 2001, { "(1000 ms)", "less than `away` here (1000 ms)" } },
		{ 2000, 500, 60000, { "(2000 ms)", "less than `away` here (500 ms)" } },
		{ 1000,
		  5000,
		  2000,
		  { "(1000 ms)", "half of `control_timeout` here (2000 ms)" } },
		{ 2000,
		  5000,
		  300,
		  { "(2000 ms)", "half of `control_timeout` here (300 ms)" } },
		{ 2000, 500, 300, { "(2000 ms)", "less than `away` here (500 ms)" } },
		/* It is the other site that says so: whatever fits the field. */
		{ UINT32_MAX,
		  600000,
		  600000,
		  { "(4294967295 ms)", "`away` here (600000 ms)" } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[HEARTBEAT_WHY_MAX] = "";
		bool fits = heartbeat_fits(rows[i].peer_ms, rows[i].away_ms,
					   rows[i].control_timeout_ms, why);

		assert_int_equal(fits, rows[i].why[0] == NULL);
		for (unsigned n = 0; n < 2 && !fits; n++)
			if (!strstr(why, rows[i].why[n]))
				fail_msg("%s is not in: %s", rows[i].why[n], why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_goes_together) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
