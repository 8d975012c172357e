// SPDX-License-Identifier: BSD-3-Clause
/*
 * Log lines are read by people and machines: bytes from outside cannot forge a line or
 * a field, and a line that is too long is cut and not overrun.
 */
#include <string.h>

#include "rt/check.h"
#include "rt/log.h"
#include "tests/unit/unit.h"

struct lines {
	unsigned n;
	enum rt_log_level level;
	char last[4096];
};

static void lines_take(void *owner, enum rt_log_level level, const char *line)
{
	struct lines *lines = owner;

	lines->n++;
	lines->level = level;
	strncpy(lines->last, line, sizeof(lines->last) - 1);
}

static void levels_above_the_set_one_are_dropped(void **state)
{
	struct lines lines = { 0 };

	rt_log_set_sink(lines_take, &lines);
	rt_log(RT_LOG_DEBUG, "no");
	assert_int_equal(lines.n, 0);
	rt_log(RT_LOG_WARN, "opened lsn=%d name=%s", 7, "x");
	assert_int_equal(lines.n, 1);
	assert_int_equal(lines.level, RT_LOG_WARN);
	assert_string_equal(lines.last, "opened lsn=7 name=x");
	rt_log_set_level(RT_LOG_ERROR);
	rt_log(RT_LOG_WARN, "no");
	rt_log_set_level(RT_LOG_DEBUG);
	rt_log(RT_LOG_DEBUG, "yes");
	assert_int_equal(lines.n, 2);
	rt_log_set_level(RT_LOG_INFO);
	rt_log_set_sink(NULL, NULL);
}

static void a_long_line_is_cut_and_an_unquoted_one_stays_one(void **state)
{
	struct lines lines = { 0 };
	char text[5000];
	size_t len;

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	rt_log_set_sink(lines_take, &lines);
	rt_log(RT_LOG_INFO, "%s", text);
	len = strlen(lines.last);
	assert_true(len > 1000 && len < 4096);
	assert_string_equal(lines.last + len - 3, "...");
	rt_log(RT_LOG_INFO, "x y=%s", "a\nerror forged\r\x1b[2J");
	assert_string_equal(lines.last, "x y=a?error forged??[2J");
	rt_log_set_sink(NULL, NULL);
}

static void quoting_escapes_what_is_not_plain(void **state)
{
	char buf[64];

	assert_string_equal(rt_log_quote(buf, sizeof(buf), ""), "\"\"");
	assert_string_equal(rt_log_quote(buf, sizeof(buf), "a b=c"), "\"a b=c\"");
	assert_string_equal(rt_log_quote(buf, sizeof(buf), "\"\\"), "\"\\\"\\\\\"");
	assert_string_equal(rt_log_quote(buf, sizeof(buf), "\n\x7f\xc3\xa9"),
			    "\"\\x0a\\x7f\\xc3\\xa9\"");
}

/* Into every size of buffer: never beyond it, and no half escape at its end. */
static void quoting_cuts_to_what_fits(void **state)
{
	char buf[40];

	for (unsigned size = 3; size < sizeof(buf); size++) {
		size_t len;

		memset(buf, '#', sizeof(buf));
		(void)rt_log_quote(buf, size, "a\n\"b\\\x01zzzzzzzzzzzzzzzzzzzzzzzzzzzz");
		len = strlen(buf);
		assert_true(len < size && len >= 2);
		assert_int_equal(buf[len - 1], '"');
		assert_int_equal(buf[size], '#');
		/* One read back at a time: an escape is whole. */
		for (size_t i = 1; i < len - 1; i++) {
			if (buf[i] == '\\')
				i += buf[i + 1] == 'x' ? 3 : 1;
			assert_true(i < len - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_above_the_set_one_are_dropped),
		cmocka_unit_test(a_long_line_is_cut_and_an_unquoted_one_stays_one),
		cmocka_unit_test(quoting_escapes_what_is_not_plain),
		cmocka_unit_test(quoting_cuts_to_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
