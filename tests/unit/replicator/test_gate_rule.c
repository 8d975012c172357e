// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/gate_rule.h"
#include "rt/check.h"

/*
 * Which requests wait for the mirror decides what a disaster may take from a client that
 * believes its writes safe.
 */

static const struct {
	enum group_hold hold;
	enum group_mode sync;
	enum group_mode first; /* gates the writes of a client that has never flushed, */
	enum group_mode flushes; /* and those of one that has */
} rows[] = {
	{ GROUP_HOLD_BY_MODE, GROUP_LOCAL, GROUP_LOCAL, GROUP_LOCAL },
	{ GROUP_HOLD_BY_MODE, GROUP_NETWORK, GROUP_NETWORK, GROUP_NETWORK },
	{ GROUP_HOLD_BY_MODE, GROUP_REMOTE, GROUP_REMOTE, GROUP_LOCAL },
	{ GROUP_HOLD_WRITE, GROUP_LOCAL, GROUP_LOCAL, GROUP_LOCAL },
	{ GROUP_HOLD_WRITE, GROUP_NETWORK, GROUP_NETWORK, GROUP_NETWORK },
	{ GROUP_HOLD_WRITE, GROUP_REMOTE, GROUP_REMOTE, GROUP_REMOTE },
	{ GROUP_HOLD_FLUSH, GROUP_LOCAL, GROUP_LOCAL, GROUP_LOCAL },
	{ GROUP_HOLD_FLUSH, GROUP_NETWORK, GROUP_NETWORK, GROUP_LOCAL },
	{ GROUP_HOLD_FLUSH, GROUP_REMOTE, GROUP_REMOTE, GROUP_LOCAL },
};

static void each_row_of_which_requests_are_gated(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++)
		for (unsigned flags = 0; flags < 4; flags++) {
			const struct gate_rule_request r = { .durable = flags & 1,
							     .client_flushes =
								     flags & 2 };
			enum group_mode expected = r.durable	      ? rows[i].sync
						   : r.client_flushes ? rows[i].flushes
								      : rows[i].first;

			if (gate_rule_mode(rows[i].hold, rows[i].sync, &r) != expected)
				fail_msg("row %zu, durable %d, flushes %d", i, r.durable,
					 r.client_flushes);
		}
}

/* What people are shown is what counts. */
static void the_default_is_that_of_the_mode(void **state)
{
	assert_int_equal(group_hold_of(GROUP_HOLD_BY_MODE, GROUP_LOCAL),
			 GROUP_HOLD_WRITE);
	assert_int_equal(group_hold_of(GROUP_HOLD_BY_MODE, GROUP_NETWORK),
			 GROUP_HOLD_WRITE);
	assert_int_equal(group_hold_of(GROUP_HOLD_BY_MODE, GROUP_REMOTE),
			 GROUP_HOLD_FLUSH);
	for (enum group_mode mode = GROUP_LOCAL; mode <= GROUP_REMOTE; mode++) {
		assert_int_equal(group_hold_of(GROUP_HOLD_WRITE, mode), GROUP_HOLD_WRITE);
		assert_int_equal(group_hold_of(GROUP_HOLD_FLUSH, mode), GROUP_HOLD_FLUSH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_which_requests_are_gated),
		cmocka_unit_test(the_default_is_that_of_the_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
