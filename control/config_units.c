// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct config_unit config_size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};
const struct config_unit config_rate_units[] = {
	{ "Gbit", UINT64_C(1000000000) },
	{ "Mbit", UINT64_C(1000000) },
	{ "kbit", UINT64_C(1000) },
	{ "bit", 1 },
	{ NULL, 0 },
};
const struct config_unit config_time_units[] = {
	{ "h", UINT64_C(3600000) },
	{ "min", UINT64_C(60000) },
	{ "s", UINT64_C(1000) },
	{ "ms", 1 },
	{ NULL, 0 },
};
const struct config_unit config_write_units[] = {
	{ "writes", 1 },
	{ NULL, 0 },
};

static bool number_take(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	*text = p;
	*ret = value;
	return true;
}

int config_quantity_parse(const char *text, const struct config_unit *units,
			  uint64_t *ret, const char **why)
{
	const struct config_unit *u;
	const char *p = text;
	uint64_t value;

	*why = "it is too large a number";
	if (!number_take(&p, &value))
		return -ERANGE;
	*why = "it does not begin with a whole number";
	if (p == text || *p == '.' || *p == ',')
		return -EINVAL;
	if (*p == ' ')
		p++;
	*why = "it has no unit";
	if (!*p)
		return -EINVAL;
	*why = "it has an unknown unit";
	for (u = units; u->name && strcmp(u->name, p) != 0; u++)
		;
	if (!u->name)
		return -EINVAL;
	*why = "it is too large a number";
	if (__builtin_mul_overflow(value, u->factor, &value))
		return -ERANGE;
	*ret = value;
	*why = NULL;
	return 0;
}

const char *config_quantity_format(uint64_t value, const struct config_unit *units,
				   char buf[CONFIG_QUANTITY_TEXT])
{
	const struct config_unit *u = units;

	while (u[1].name && (value == 0 || value % u->factor))
		u++;
	(void)snprintf(buf, CONFIG_QUANTITY_TEXT, "%" PRIu64 "%s%s", value / u->factor,
		       u->name[0] == 'w' ? " " : "", u->name);
	return buf;
}
