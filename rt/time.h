/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_TIME_H
#define RT_TIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A point of the loop's monotonic time, in nanoseconds since some fixed past. It is a
 * struct so that it cannot be mixed with a duration: durations are int64_t and carry
 * their unit in the name (_ns, _us, _ms).
 */
typedef struct rt_time {
	int64_t ns;
} rt_time;

#define RT_NEVER ((rt_time){ INT64_MAX })
#define RT_US INT64_C(1000)
#define RT_MS INT64_C(1000000)
#define RT_S INT64_C(1000000000)

/* t + ns, held at RT_NEVER. */
static inline rt_time rt_time_add(rt_time t, int64_t ns)
{
	if (ns > 0 && t.ns > INT64_MAX - ns)
		return RT_NEVER;
	return (rt_time){ t.ns + ns };
}

/* How long after `b` is `a`, in nanoseconds (negative when before). */
static inline int64_t rt_time_since(rt_time a, rt_time b)
{
	return a.ns - b.ns;
}

static inline bool rt_time_before(rt_time a, rt_time b)
{
	return a.ns < b.ns;
}

static inline bool rt_time_is_never(rt_time t)
{
	return t.ns == INT64_MAX;
}

static inline rt_time rt_time_min(rt_time a, rt_time b)
{
	return a.ns < b.ns ? a : b;
}

#endif
