// SPDX-License-Identifier: BSD-3-Clause
/*
 * Log lines are read by people and machines: bytes from outside cannot forge a line or
 * a field, and a line that is too long is cut and not overrun. Who logs never waits for who
 * reads: a stalled reader of the log must not stall the disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* ---- standard error ------------------------------------------------------------------- */

static int stderr_before;

/* fds[1] is standard error from here on. */
static void stderr_is(const int fds[2])
{
	(void)fflush(stderr);
	stderr_before = dup(STDERR_FILENO);
	assert_true(stderr_before >= 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

static void stderr_is_back(const int fds[2])
{
	assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
	(void)close(stderr_before);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* All that can be read, as lines: how many, and the last two. */
static unsigned lines_read(int fd, char last[2][256])
{
	static char text[4 << 20];
	size_t have = 0;
	unsigned n = 0;
	ssize_t got;

	while ((got = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)got;
	text[have] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		*end = '\0';
		memcpy(last[0], last[1], sizeof(last[0]));
		(void)snprintf(last[1], sizeof(last[1]), "%.200s", line);
		n++;
	}
	return n;
}

/* It returns: a write that waited would end the test by its time. */
static void nobody_reads(int fds[2])
{
	const unsigned total = 20000;
	char last[2][256] = { "", "" }, expected[64];
	unsigned long before = rt_log_dropped();
	unsigned n;

	stderr_is(fds);
	for (unsigned i = 0; i < total; i++)
		rt_log(RT_LOG_INFO, "line number=%u and some text to fill the pipe", i);
	n = lines_read(fds[0], last);
	assert_true(n > 10 && n < total);
	assert_int_equal(rt_log_dropped() - before, total - n);
	rt_log(RT_LOG_INFO, "later");
	assert_int_equal(lines_read(fds[0], last), 2);
	(void)snprintf(expected, sizeof(expected), "warn log-lines-dropped count=%u",
		       total - n);
	assert_string_equal(last[0], expected);
	assert_string_equal(last[1], "info later");
	rt_log(RT_LOG_INFO, "again");
	assert_int_equal(lines_read(fds[0], last), 1);
	assert_int_equal(rt_log_dropped() - before, total - n);
	stderr_is_back(fds);
}

static void a_log_that_nobody_reads_stops_nobody(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	nobody_reads(fds);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	nobody_reads(fds);
}

static void the_journal_gets_severities(void **state)
{
	char last[2][256] = { "", "" };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	stderr_is(fds);
	rt_log_set_journal(true);
	rt_log(RT_LOG_ERROR, "a");
	rt_log(RT_LOG_WARN, "b");
	assert_int_equal(lines_read(fds[0], last), 2);
	assert_string_equal(last[0], "<3>error a");
	assert_string_equal(last[1], "<4>warn b");
	rt_log(RT_LOG_INFO, "c");
	rt_log_set_journal(false);
	rt_log(RT_LOG_INFO, "d");
	assert_int_equal(lines_read(fds[0], last), 2);
	assert_string_equal(last[0], "<6>info c");
	assert_string_equal(last[1], "info d");
	stderr_is_back(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_above_the_set_one_are_dropped),
		cmocka_unit_test(a_long_line_is_cut_and_an_unquoted_one_stays_one),
		cmocka_unit_test(quoting_escapes_what_is_not_plain),
		cmocka_unit_test(quoting_cuts_to_what_fits),
		cmocka_unit_test(a_log_that_nobody_reads_stops_nobody),
		cmocka_unit_test(the_journal_gets_severities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
