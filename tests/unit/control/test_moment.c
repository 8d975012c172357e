// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/moment.h"

/*
 * A time that is read as another one hides what somebody looks for: both ways to write one
 * mean what they say, and anything else is refused with what is wrong with it.
 */

#define NOW INT64_C(1796072760250000000) /* 2026-11-30T21:06:00.25Z */
#define S INT64_C(1000000000)

static int64_t good(const char *text)
{
	const char *why = "";
	int64_t ret = -1;

	if (moment_parse(text, NOW, &ret, &why) < 0)
		fail_msg("%s: %s", text, why);
	return ret;
}

static void durations_count_back_from_now(void **state)
{
	assert_true(good("0s") == NOW);
	assert_true(good("10min") == NOW - 600 * S);
	assert_true(good("2h") == NOW - 7200 * S);
	assert_true(good("3d") == NOW - 3 * 86400 * S);
	assert_true(good("2 w") == NOW - 14 * 86400 * S);
	/* Longer than there is time: all of it. */
	assert_true(good("100000d") == 0);
	assert_true(good("30000000000000w") == 0);
}

static void times_are_those_of_rfc_3339(void **state)
{
	assert_true(good("2026-11-30T21:06:00Z") == NOW - S / 4);
	assert_true(good("2026-11-30T21:06:00.25Z") == NOW);
	assert_true(good("2026-11-30t21:06:00.250000000999z") == NOW);
	assert_true(good("2026-11-30 22:06:00.25+01:00") == NOW);
	assert_true(good("2026-11-30T15:36:00.25-05:30") == NOW);
	assert_true(good("2026-12-01T00:06:00.25+03:00") == NOW);
	assert_true(good("2024-02-29T00:00:00Z") == INT64_C(1709164800) * S);
	assert_true(good("1970-01-01T00:00:00Z") == 0);
	assert_true(good("1969-12-31T23:59:59Z") == 0);
	assert_true(good("0000-01-01T00:00:00Z") == 0);
	assert_true(good("2016-12-31T23:59:60Z") == INT64_C(1483228800) * S);
	assert_true(good("2262-04-11T00:00:00Z") > 0);
}

static void anything_else_is_refused(void **state)
{
	static const char *const texts[][2] = {
		{ "", "whole number" },
		{ "10", "no unit" },
		{ "10m", "unknown unit" },
		{ "10 minutes", "unknown unit" },
		{ "-10min", "whole number" },
		{ "1.5h", "whole number" },
		{ "yesterday", "whole number" },
		{ "99999999999999999999s", "too large" },
		{ "99999999999999999w", "too large" },
		{ "2026-11-30", "no time of RFC 3339" },
		{ "2026-11-30T21:06Z", "no time of RFC 3339" },
		{ "2026-11-30T21:06:00", "no time zone" },
		{ "2026-11-30T21:06:00.5", "no time zone" },
		{ "2026-11-30T21:06:00.Z", "no time of RFC 3339" },
		{ "2026-11-30T21:06:00+0100", "no time of RFC 3339" },
		{ "2026-11-30T21:06:00+24:00", "no time of RFC 3339" },
		{ "2026-11-30T21:06:00+01:60", "no time of RFC 3339" },
		{ "2026-11-30T21:06:00Z ", "no time of RFC 3339" },
		{ "2026-11-31T21:06:00Z", "no time of RFC 3339" },
		{ "2026-02-29T21:06:00Z", "no time of RFC 3339" },
		{ "1900-02-29T21:06:00Z", "no time of RFC 3339" },
		{ "2026-00-30T21:06:00Z", "no time of RFC 3339" },
		{ "2026-13-30T21:06:00Z", "no time of RFC 3339" },
		{ "2026-11-00T21:06:00Z", "no time of RFC 3339" },
		{ "2026-11-30T24:06:00Z", "no time of RFC 3339" },
		{ "2026-11-30T21:60:00Z", "no time of RFC 3339" },
		{ "2026-11-30T21:06:61Z", "no time of RFC 3339" },
		{ "2026-1-30T21:06:00Z", "no time of RFC 3339" },
		{ "9999-12-31T00:00:00Z", "too far in the future" },
	};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *why = NULL;
		int64_t ret = 77;

		if (moment_parse(texts[i][0], NOW, &ret, &why) != -EINVAL)
			fail_msg("taken: %s", texts[i][0]);
		assert_int_equal(ret, 77);
		if (!strstr(why, texts[i][1]))
			fail_msg("%s: %s", texts[i][0], why);
	}
}

static void every_truncation_is_refused(void **state)
{
	static const char *const texts[] = { "2026-11-30T22:06:00+01:00", "10min" };

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t len = 0; len < strlen(texts[i]); len++) {
			const char *why = NULL;
			char cut[32] = "";
			int64_t ret;

			memcpy(cut, texts[i], len);
			assert_int_equal(moment_parse(cut, NOW, &ret, &why), -EINVAL);
			assert_non_null(why);
		}
}

static void what_is_written_is_read_back(void **state)
{
	static const char *const zones[] = { "UTC", "EAST-5:30", "WEST3", "FAR-14" };
	char buf[MOMENT_TEXT];

	assert_string_equal(moment_format(NOW, true, buf), "2026-11-30T21:06:00.250Z");
	for (unsigned i = 0; i < sizeof(zones) / sizeof(*zones); i++) {
		assert_int_equal(setenv("TZ", zones[i], 1), 0);
		tzset();
		assert_string_equal(moment_format(NOW, true, buf),
				    "2026-11-30T21:06:00.250Z");
		assert_true(good(moment_format(NOW, false, buf)) == NOW);
	}
	assert_int_equal(setenv("TZ", "EAST-5:30", 1), 0);
	tzset();
	assert_string_equal(moment_format(NOW, false, buf),
			    "2026-12-01T02:36:00.250+05:30");
	/* Whatever a store says. */
	assert_string_equal(moment_format(-1, true, buf), "1969-12-31T23:59:59.999Z");
	assert_true(strlen(moment_format(INT64_MAX, false, buf)) < MOMENT_TEXT);
	assert_true(strlen(moment_format(INT64_MIN, true, buf)) < MOMENT_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_count_back_from_now),
		cmocka_unit_test(times_are_those_of_rfc_3339),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
