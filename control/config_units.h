/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_UNITS_H
#define CONTROL_CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Quantities as text: a whole number and a unit, with at most one blank between them.
 */
struct config_unit {
	const char *name;
	uint64_t factor;
};

/* Largest first; each ends with a NULL name. */
extern const struct config_unit config_size_units[];  /* bytes: B KiB MiB GiB TiB */
extern const struct config_unit config_rate_units[];  /* bit/s: bit kbit Mbit Gbit */
extern const struct config_unit config_time_units[];  /* ms: ms s min h */
extern const struct config_unit config_write_units[]; /* writes */

/*
 * 0; -EINVAL when it does not begin with a number or has no unit, or an unknown one;
 * -ERANGE when the result does not fit. *why says it in words.
 */
int config_quantity_parse(const char *text, const struct config_unit *units,
			  uint64_t *ret, const char **why);

#define CONFIG_QUANTITY_TEXT 32
/* With the largest unit that leaves a whole number. Returns `buf`. */
const char *config_quantity_format(uint64_t value, const struct config_unit *units,
				   char buf[CONFIG_QUANTITY_TEXT]);

#endif
