/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_LOG_H
#define RT_LOG_H

#include <stdbool.h>

/*
 * One line per event, key=value, on standard error by default. Where nobody reads that, the
 * caller does not wait: lines are dropped and counted, and the next line that can be
 * written is preceded by how many there were. The first word of `fmt`
 * names the event: rt_log(RT_LOG_INFO, "recovered lsn=%llu segments=%u", ...). Strings
 * from outside are passed through rt_log_quote().
 */
enum rt_log_level { RT_LOG_ERROR, RT_LOG_WARN, RT_LOG_INFO, RT_LOG_DEBUG };

void rt_log(enum rt_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Lines above this level are dropped; RT_LOG_INFO at first. */
void rt_log_set_level(enum rt_log_level level);

/* Standard error is the journal: each line begins with its severity, "<3>" for an error. */
void rt_log_set_journal(bool on);

/* Where lines go instead of standard error; NULL for standard error. No newline. */
typedef void rt_log_sink_fn(void *owner, enum rt_log_level level, const char *line);
void rt_log_set_sink(rt_log_sink_fn *sink, void *owner);

/* Lines that standard error did not take, since the start of the process. */
unsigned long rt_log_dropped(void);

/*
 * `text` in double quotes with every byte outside printable ASCII, quote and backslash
 * escaped, cut to what fits into `buf` of `size` bytes. Returns `buf`.
 */
const char *rt_log_quote(char *buf, unsigned size, const char *text);

#endif
