/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_MOMENT_H
#define CONTROL_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Points of the wall clock as people write them. */

/*
 * "10min", "2h", "3d" (also s and w): so long before `now_ns`; or a time of RFC 3339, as
 * "2026-11-30T21:06:00Z", "2026-11-30T22:06:00.5+01:00". 0 with *ret in nanoseconds since
 * 1970 (0 for what is before that); -EINVAL with *why in words.
 */
int moment_parse(const char *text, int64_t now_ns, int64_t *ret, const char **why);

#define MOMENT_TEXT 48
/*
 * As RFC 3339 writes it, with milliseconds: in UTC, or in the time zone of this host with its
 * offset. Returns `buf`.
 */
const char *moment_format(int64_t ns, bool utc, char buf[MOMENT_TEXT]);

#endif
