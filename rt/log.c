// SPDX-License-Identifier: BSD-3-Clause
#include "rt/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rt/check.h"

/* Longer lines are cut, and end with "..." then. */
#define LOG_LINE_MAX 2048

static const char *const level_names[] = {
	[RT_LOG_ERROR] = "error",
	[RT_LOG_WARN] = "warn",
	[RT_LOG_INFO] = "info",
	[RT_LOG_DEBUG] = "debug",
};

/* Set by main before there is a second thread, only read afterwards. */
static enum rt_log_level log_level = RT_LOG_INFO;
static rt_log_sink_fn *log_sink;
static void *log_owner;
static bool log_journal;
static atomic_ulong log_dropped;    /* lines, in all */
static atomic_ulong log_unreported; /* of these, since the last one that was written */

void rt_log_set_level(enum rt_log_level level)
{
	log_level = level;
}

void rt_log_set_sink(rt_log_sink_fn *sink, void *owner)
{
	log_sink = sink;
	log_owner = owner;
}

void rt_log_set_journal(bool on)
{
	log_journal = on;
}

/*
 * A pipe or socket that is writable takes a line whole, without waiting: one is writable
 * from PIPE_BUF bytes on, the other from more (pipe(7), unix(7)).
 */
static bool stderr_takes_a_line(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	int n = poll(&p, 1, 0);

	/* Where we may not even ask (seccomp), a line is worth the wait. */
	return (n < 0 && errno != EINTR) || (n == 1 && (p.revents & POLLOUT));
}

static bool stderr_write(enum rt_log_level level, const char *line)
{
	static const char *const severities[] = {
		[RT_LOG_ERROR] = "<3>",
		[RT_LOG_WARN] = "<4>",
		[RT_LOG_INFO] = "<6>",
		[RT_LOG_DEBUG] = "<7>",
	};
	char out[LOG_LINE_MAX + 16];
	int n = snprintf(out, sizeof(out), "%s%s %s\n",
			 log_journal ? severities[level] : "", level_names[level], line);

	static_assert(sizeof(out) <= PIPE_BUF, "a line is written whole or not at all");
	/* One write a line, so that lines of several threads do not mix. */
	return stderr_takes_a_line() && write(STDERR_FILENO, out, (size_t)n) == n;
}

/* One line more is dropped; that `before` were, nobody has read yet. */
static void log_drop(unsigned long before)
{
	(void)atomic_fetch_add(&log_dropped, 1);
	(void)atomic_fetch_add(&log_unreported, before + 1);
}

static void stderr_say(enum rt_log_level level, const char *line)
{
	unsigned long before = atomic_exchange(&log_unreported, 0);
	char text[64];

	if (before > 0) {
		(void)snprintf(text, sizeof(text), "log-lines-dropped count=%lu", before);
		if (!stderr_write(RT_LOG_WARN, text)) {
			log_drop(before);
			return;
		}
	}
	if (!stderr_write(level, line))
		log_drop(0);
}

unsigned long rt_log_dropped(void)
{
	return atomic_load(&log_dropped);
}

void rt_log(enum rt_log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;
	int n;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line))
		memcpy(line + sizeof(line) - 4, "...", 4);
	/* What somebody forgot to quote still cannot make a line of its own. */
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	if (log_sink)
		log_sink(log_owner, level, line);
	else
		stderr_say(level, line);
}

/* The escaped form of one byte into out[4]; returns its length. */
static unsigned quote_byte(unsigned char c, char out[4])
{
	static const char hex[] = "0123456789abcdef";

	out[0] = '\\';
	if (c == '"' || c == '\\') {
		out[1] = (char)c;
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

const char *rt_log_quote(char *buf, unsigned size, const char *text)
{
	unsigned at = 0;

	rt_assert(size >= 3);
	buf[at++] = '"';
	for (; *text; text++) {
		char out[4];
		unsigned n = quote_byte((unsigned char)*text, out);

		if (at + n + 2 > size)
			break;
		memcpy(buf + at, out, n);
		at += n;
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}
