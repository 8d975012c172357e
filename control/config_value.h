/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_VALUE_H
#define CONTROL_CONFIG_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct config_key;

#define CONFIG_WHY_MAX 256

/*
 * One value on its way into its field; `base` is struct config, or the element of a list
 * with a stride. 0; or -EINVAL with what is wrong in `why` ("\"12\" has no unit") and the
 * field untouched.
 */

/*
 * From text: a string of the file, a default, or what `wanmirror set` was given, of any
 * kind but CONFIG_LISTEN and the sections ("1, 19, 41" for CONFIG_COUNTS).
 */
int config_value_text(const struct config_key *key, const char *text, void *base,
		      char why[CONFIG_WHY_MAX]);
int config_value_number(const struct config_key *key, double value, void *base,
			char why[CONFIG_WHY_MAX]);
int config_value_count(const struct config_key *key, int64_t value, void *base,
		       char why[CONFIG_WHY_MAX]);
/* Element `i` (< key->most) of a CONFIG_COUNTS; what follows it is set to 0. */
int config_value_counts(const struct config_key *key, unsigned i, int64_t value,
			void *base, char why[CONFIG_WHY_MAX]);
/* Element `i` (< key->most) of a CONFIG_LISTEN; the count is set to i + 1. */
int config_value_listen(const struct config_key *key, unsigned i, const char *text,
			void *base, char why[CONFIG_WHY_MAX]);
/* Set the unsigned at `offset` of base. */
void config_value_set_count(size_t offset, unsigned count, void *base);

#endif
