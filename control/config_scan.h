/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_SCAN_H
#define CONTROL_CONFIG_SCAN_H

#include <stddef.h>

struct config_errors;

#define CONFIG_DEPTH_MAX 16   /* brackets within brackets */
#define CONFIG_NAMES_MAX 1024 /* settings in the sections that are open at once */

/*
 * Look at the text before libconfig 1.5 does, for what it would let pass or say badly:
 * integers beyond 32 bits (it wraps them silently), a key that is set twice (it does not
 * say which), a comma before a closing bracket, @include (which would read any file),
 * bytes of 0 (it would stop there), and brackets too deep. 0, or -EINVAL with errors.
 */
int config_scan(const char *text, size_t len, struct config_errors *errors);

#endif
