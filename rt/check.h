/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_CHECK_H
#define RT_CHECK_H

#include <stddef.h>

/*
 * Our own bugs end here, in every build: print the condition and its place, then
 * abort. Never used on bytes from a client, a peer or a disk.
 */
_Noreturn void rt_assert_failed(const char *cond, const char *file, int line);

#define rt_assert(cond) ((cond) ? (void)0 : rt_assert_failed(#cond, __FILE__, __LINE__))

#define rt_container_of(ptr, type, member)                                               \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define RT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
