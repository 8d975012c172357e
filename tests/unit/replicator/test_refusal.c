// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <string.h>

#include "replicator/refusal.h"

/*
 * A peer that is refused connects again, and is refused again, every two seconds for as
 * long as nobody mends it. The log has a line for each change, and not for each time.
 */

static rt_time at(int64_t seconds)
{
	return (rt_time){ seconds * RT_S };
}

static void a_reason_is_news_when_it_changes(void **state)
{
	struct refusal r = { 0 };

	assert_true(refusal_is_news(&r, "a", at(1)));
	for (int64_t s = 3; s < 1000; s += 2)
		assert_false(refusal_is_news(&r, "a", at(s)));
	assert_true(refusal_is_news(&r, "b", at(1001)));
	assert_true(refusal_is_news(&r, "a", at(1002)));
	assert_true(refusal_is_news(&r, "", at(1003)));
	assert_false(refusal_is_news(&r, "", at(1004)));
}

/* What was mended, and is broken again, is a change. */
static void a_reason_that_was_gone_for_long_is_news(void **state)
{
	struct refusal r = { 0 };

	assert_true(refusal_is_news(&r, "a", at(1)));
	assert_false(refusal_is_news(&r, "a", (rt_time){ at(61).ns - 1 }));
	assert_true(refusal_is_news(&r, "a", at(121)));
}

/* The longest of the peer's texts is kept whole; of our own longer ones, as much. */
static void long_reasons_are_compared_as_far_as_they_are_kept(void **state)
{
	char why[MESSAGE_TEXT_MAX + 40];
	struct refusal r = { 0 };

	memset(why, 'x', sizeof(why));
	why[sizeof(why) - 1] = 0;
	assert_true(refusal_is_news(&r, why, at(1)));
	assert_false(refusal_is_news(&r, why, at(2)));
	why[MESSAGE_TEXT_MAX] = 'y';
	assert_false(refusal_is_news(&r, why, at(3)));
	why[MESSAGE_TEXT_MAX - 1] = 'y';
	assert_true(refusal_is_news(&r, why, at(4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reason_is_news_when_it_changes),
		cmocka_unit_test(a_reason_that_was_gone_for_long_is_news),
		cmocka_unit_test(long_reasons_are_compared_as_far_as_they_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
