// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/units.h"

#include "rt/check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit time_units[] = {
	{ "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 }
};
static const struct unit rate_units[] = {
	{ "Gbit", 1e9 }, { "Mbit", 1e6 }, { "Kbit", 1e3 }, { "kbit", 1e3 }, { "bit", 1 }
};
static const struct unit size_units[] = { { "MiB", 0x1p20 },
					  { "KiB", 0x1p10 },
					  { "B", 1 } };
static const struct unit share_units[] = { { "", 1 }, { "%", 0.01 } };
static const struct unit count_units[] = { { "", 1 } };

/* What a value may reach: a minute, 100 Gbit/s, 1 GiB, everything, a million. */
#define MAX_TIME 60e9
#define MAX_RATE 1e11
#define MAX_SIZE 0x1p30
#define MAX_SHARE 1.0
#define MAX_COUNT 1e6
#define MIN_MTU 68 /* what IPv4 asks of every line */
#define MAX_MTU 65535

static int number(const char *text, const struct unit *units, size_t n, double max,
		  double *ret)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || !isfinite(value) || value < 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		value *= units[i].factor;
		if (value > max)
			return -EINVAL;
		*ret = value;
		return 0;
	}
	/* Nothing is nothing in any unit. */
	if (*end == '\0' && value == 0) {
		*ret = 0;
		return 0;
	}
	return -EINVAL;
}

#define NUMBER(text, units, max, ret) number(text, units, RT_ARRAY_LEN(units), max, ret)

static int whole(const char *text, const struct unit *units, size_t n, double max,
		 uint64_t *ret)
{
	double value;
	int err = number(text, units, n, max, &value);

	if (err == 0)
		*ret = (uint64_t)llround(value);
	return err;
}

#define WHOLE(text, units, max, ret) whole(text, units, RT_ARRAY_LEN(units), max, ret)

int wanem_units_time(const char *text, uint64_t *ret_ns)
{
	return WHOLE(text, time_units, MAX_TIME, ret_ns);
}

static int set_queue(uint64_t *bytes, uint64_t *ns, const char *text)
{
	uint64_t value;

	if (WHOLE(text, size_units, MAX_SIZE, &value) == 0 && value > 0) {
		*bytes = value;
		return 0;
	}
	if (wanem_units_time(text, &value) != 0)
		return -EINVAL;
	*ns = value;
	*bytes = 0;
	return 0;
}

static const char *unless_none(const char *text)
{
	return strcmp(text, "none") == 0 ? "0" : text;
}

static int set_mtu(struct wanem_line_params *p, const char *text)
{
	uint64_t value;
	int err = WHOLE(unless_none(text), count_units, MAX_MTU, &value);

	if (err != 0 || (value != 0 && value < MIN_MTU))
		return -EINVAL;
	p->mtu = value;
	return 0;
}

static int set_share(struct wanem_line_params *p, const char *name, const char *text)
{
	const struct {
		const char *name;
		double *share;
	} shares[] = { { "loss", &p->loss },
		       { "duplicate", &p->duplicate },
		       { "reorder", &p->reorder },
		       { "corrupt", &p->corrupt } };

	for (size_t i = 0; i < RT_ARRAY_LEN(shares); i++) {
		if (strcmp(name, shares[i].name) == 0)
			return NUMBER(text, share_units, MAX_SHARE, shares[i].share);
	}
	return -ENOENT;
}

int wanem_units_set(struct wanem_line_params *p, const char *name, const char *text)
{
	if (strcmp(name, "delay") == 0)
		return wanem_units_time(text, &p->delay_ns);
	if (strcmp(name, "jitter") == 0)
		return wanem_units_time(text, &p->jitter_ns);
	if (strcmp(name, "extent") == 0)
		return wanem_units_time(text, &p->extent_ns);
	if (strcmp(name, "rate") == 0)
		return WHOLE(unless_none(text), rate_units, MAX_RATE, &p->rate_bps);
	if (strcmp(name, "site.rate") == 0)
		return WHOLE(unless_none(text), rate_units, MAX_RATE, &p->site_rate_bps);
	if (strcmp(name, "queue") == 0)
		return set_queue(&p->queue_bytes, &p->queue_ns, text);
	if (strcmp(name, "site.queue") == 0)
		return set_queue(&p->site_queue_bytes, &p->site_queue_ns, text);
	if (strcmp(name, "burst") == 0)
		return NUMBER(text, count_units, MAX_COUNT, &p->burst);
	if (strcmp(name, "mtu") == 0)
		return set_mtu(p, text);
	return set_share(p, name, text);
}
