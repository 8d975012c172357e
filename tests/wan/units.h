/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_WAN_UNITS_H
#define TESTS_WAN_UNITS_H

#include "tests/wan/line.h"

/*
 * Sets one parameter of a line from its name and a text with a unit:
 *
 *   delay, jitter, extent    25ms  100us  1s
 *   rate, site.rate          200Mbit  1Gbit  64Kbit  none
 *   queue, site.queue        50ms  256KiB  1MiB  3000B
 *   loss, duplicate,
 *   reorder, corrupt         0.01  1%
 *   burst                    8
 *   mtu                      1400  none
 *
 * -ENOENT if there is no parameter of that name, -EINVAL if the text is no such value;
 * the parameters are as they were then.
 */
int wanem_units_set(struct wanem_line_params *p, const char *name, const char *text);

/* A span of time in nanoseconds; -EINVAL. */
int wanem_units_time(const char *text, uint64_t *ret_ns);

#endif
