// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config.h"
#include "control/config_schema.h"
#include "control/config_units.h"
#include "rt/addr.h"
#include "rt/check.h"

#define QUOTED_MAX 100
#define CONFIG_COUNTS_WIDTH 64 /* bytes of the longest field of CONFIG_COUNTS */
#define CONFIG_COUNTS_TEXT 128

/* The three limits of struct group_config are set together, by the first one's offset. */
_Static_assert(offsetof(struct group_config, exposure_bytes) ==
		       offsetof(struct group_config, exposure_ms) + 8,
	       "in a row");
_Static_assert(offsetof(struct group_config, exposure_writes) ==
		       offsetof(struct group_config, exposure_ms) + 16,
	       "in a row");

static int value_wrong(char *why, const char *text, const char *what)
{
	char quoted[QUOTED_MAX];

	(void)snprintf(why, CONFIG_WHY_MAX, "%s: %s",
		       rt_log_quote(quoted, sizeof(quoted), text), what);
	return -EINVAL;
}

/* An unsigned number into a field of 1, 4 or 8 bytes; hosts are little-endian. */
static void value_put(const struct config_key *key, uint64_t value, void *base)
{
	rt_assert(key->width <= sizeof(value));
	memcpy((char *)base + key->offset, &value, key->width);
}

static void put_text(const struct config_key *key, const char *text, void *base)
{
	rt_assert(strlen(text) < key->width);
	memset((char *)base + key->offset, 0, key->width);
	memcpy((char *)base + key->offset, text, strlen(text));
}

static const struct config_word *word_find(const struct config_key *key, const char *text)
{
	const struct config_word *w;

	for (w = key->words; w && w->word; w++)
		if (strcmp(w->word, text) == 0)
			return w;
	return NULL;
}

static bool name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (!first && (c == '.' || c == '_' || c == '-'));
}

static int name_text(const struct config_key *key, const char *text, void *base,
		     char *why)
{
	if (!*text)
		return value_wrong(why, text, "it is empty");
	for (const char *p = text; *p; p++)
		if (!name_char(*p, p == text))
			return value_wrong(why, text, "it is no name");
	if (strlen(text) >= key->width)
		return value_wrong(why, text, "it is too long");
	put_text(key, text, base);
	return 0;
}

static int path_text(const struct config_key *key, const char *text, void *base,
		     char *why)
{
	if (text[0] != '/')
		return value_wrong(why, text, "it is no absolute path");
	if (strlen(text) >= key->width)
		return value_wrong(why, text, "it is too long");
	put_text(key, text, base);
	return 0;
}

static int quantity_text(const struct config_key *key, const struct config_unit *units,
			 const char *text, void *base, char *why)
{
	const char *what;
	uint64_t value;

	if (config_quantity_parse(text, units, &value, &what) < 0)
		return value_wrong(why, text, what);
	if (value < key->min)
		return value_wrong(why, text, "it is too small");
	if (value > key->max)
		return value_wrong(why, text, "it is too large");
	if (key->power && (value & (value - 1)))
		return value_wrong(why, text, "it is no power of two");
	if (key->multiple && value % key->multiple)
		return value_wrong(why, text, "it is no multiple");
	value_put(key, value, base);
	return 0;
}

static int exposure_text(const struct config_key *key, const char *text, void *base,
			 char *why)
{
	static const struct config_unit *const units[] = {
		config_time_units,
		config_size_units,
		config_write_units,
	};
	uint64_t limits[RT_ARRAY_LEN(units)] = { 0 };
	const char *what;

	for (unsigned i = 0; i < RT_ARRAY_LEN(units); i++) {
		if (config_quantity_parse(text, units[i], &limits[i], &what) < 0)
			continue;
		if (limits[i] == 0)
			return value_wrong(why, text, "it is too small");
		if (limits[i] > INT64_MAX)
			return value_wrong(why, text, "it is too large");
		memcpy((char *)base + key->offset, limits, sizeof(limits));
		return 0;
	}
	return value_wrong(why, text, what);
}

static bool addr_is_any(const struct rt_addr *addr)
{
	static const uint8_t zero[16];

	return memcmp(addr->ip, zero, addr->kind == RT_ADDR_INET ? 4 : 16) == 0;
}

/* What is wrong with an address that cannot be read. */
static const char *addr_fault(const char *text, const char *otherwise)
{
	const char *port = strrchr(text, ':');

	if (port && port[1] && port[1 + strspn(port + 1, "0123456789")] == 0 &&
	    (strlen(port + 1) > 5 || strtol(port + 1, NULL, 10) > UINT16_MAX))
		return "ports end with 65535";
	return otherwise;
}

static int peer_text(const struct config_key *key, const char *text, void *base,
		     char *why)
{
	struct rt_addr addr;

	/* TCP and UDP share it, so it names neither. */
	if (strncmp(text, "tcp:", 4) == 0 || strncmp(text, "udp:", 4) == 0 ||
	    rt_addr_parse(text, &addr) < 0 || addr.kind == RT_ADDR_UNIX)
		return value_wrong(why, text, addr_fault(text, "it is no HOST:PORT"));
	if (addr.port == 0)
		return value_wrong(why, text, "port 0 reaches nobody");
	if (strcmp(key->name, "address") == 0 && addr_is_any(&addr))
		return value_wrong(why, text, "any address is none to dial");
	memcpy((char *)base + key->offset, &addr, sizeof(addr));
	return 0;
}

static int word_text(const struct config_key *key, const char *text, void *base,
		     char *why)
{
	const struct config_word *w = word_find(key, text);

	if (!w)
		return value_wrong(why, text, "it is none of the words known here");
	if (w->missing)
		return value_wrong(why, text, "not in this version");
	if (key->kind == CONFIG_EXPOSURE)
		memset((char *)base + key->offset, 0, 3 * sizeof(uint64_t));
	else if (key->width > sizeof(uint64_t))
		put_text(key, text, base);
	else
		value_put(key, w->value, base);
	return 0;
}

/* All of `text` is one integer. */
static bool integer_text(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return end != text && *end == 0 && errno == 0;
}

static int number_text(const struct config_key *key, const char *text, void *base,
		       char *why)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end)
		return value_wrong(why, text, "it is no number");
	return config_value_number(key, value, base, why);
}

static int count_text(const struct config_key *key, const char *text, void *base,
		      char *why)
{
	int64_t value;

	if (!integer_text(text, &value))
		return value_wrong(why, text, "it is no integer");
	return config_value_count(key, value, base, why);
}

static int bool_text(const struct config_key *key, const char *text, void *base,
		     char *why)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return value_wrong(why, text, "it is neither true nor false");
	value_put(key, strcmp(text, "true") == 0, base);
	return 0;
}

/* "1, 19, 41" */
static int counts_text(const struct config_key *key, const char *text, void *base,
		       char *why)
{
	char field[CONFIG_COUNTS_WIDTH] = { 0 };
	char copy[CONFIG_COUNTS_TEXT], *save = NULL, *part;
	struct config_key there = *key;
	unsigned n = 0;

	if (strlen(text) >= sizeof(copy))
		return value_wrong(why, text, "it is too long");
	rt_assert(key->width <= sizeof(field));
	there.offset = 0;
	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (part = strtok_r(copy, ", ", &save); part;
	     part = strtok_r(NULL, ", ", &save), n++) {
		int64_t value;

		if (!integer_text(part, &value))
			return value_wrong(why, text, "it is no list of integers");
		if (n == key->most)
			return value_wrong(why, text, "it is too long");
		if (config_value_counts(&there, n, value, field, why) < 0)
			return -EINVAL;
	}
	if (n < key->least)
		return value_wrong(why, text, "it is too short");
	memcpy((char *)base + key->offset, field, key->width);
	return 0;
}

int config_value_text(const struct config_key *key, const char *text, void *base,
		      char why[CONFIG_WHY_MAX])
{
	if (word_find(key, text))
		return word_text(key, text, base, why);
	switch (key->kind) {
	case CONFIG_NAME:
		return name_text(key, text, base, why);
	case CONFIG_PATH:
		return path_text(key, text, base, why);
	case CONFIG_SIZE:
		return quantity_text(key, config_size_units, text, base, why);
	case CONFIG_RATE:
		return quantity_text(key, config_rate_units, text, base, why);
	case CONFIG_TIME:
		return quantity_text(key, config_time_units, text, base, why);
	case CONFIG_EXPOSURE:
		return exposure_text(key, text, base, why);
	case CONFIG_WORD:
		return word_text(key, text, base, why);
	case CONFIG_PEER:
		return peer_text(key, text, base, why);
	case CONFIG_NUMBER:
		return number_text(key, text, base, why);
	case CONFIG_COUNT:
		return count_text(key, text, base, why);
	case CONFIG_COUNTS:
		return counts_text(key, text, base, why);
	case CONFIG_BOOL:
		return bool_text(key, text, base, why);
	case CONFIG_LISTEN:
	case CONFIG_SECTION:
	case CONFIG_SECTIONS:
	case CONFIG_ANY:
		break;
	}
	rt_assert(!"a kind that has no text");
	return -EINVAL;
}

int config_value_number(const struct config_key *key, double value, void *base,
			char why[CONFIG_WHY_MAX])
{
	rt_assert(key->width == sizeof(value));
	if (!(value >= key->low && value <= key->high)) {
		(void)snprintf(why, CONFIG_WHY_MAX, "%g is out of range", value);
		return -EINVAL;
	}
	memcpy((char *)base + key->offset, &value, sizeof(value));
	return 0;
}

int config_value_count(const struct config_key *key, int64_t value, void *base,
		       char why[CONFIG_WHY_MAX])
{
	if (value < 0 || (uint64_t)value < key->min || (uint64_t)value > key->max) {
		(void)snprintf(why, CONFIG_WHY_MAX, "%lld is out of range",
			       (long long)value);
		return -EINVAL;
	}
	value_put(key, (uint64_t)value, base);
	return 0;
}

int config_value_counts(const struct config_key *key, unsigned i, int64_t value,
			void *base, char why[CONFIG_WHY_MAX])
{
	uint16_t *list = (uint16_t *)(void *)((char *)base + key->offset);

	rt_assert(i < key->most && key->width == key->most * sizeof(*list));
	rt_assert(key->max <= UINT16_MAX);
	if (value < (int64_t)key->min || value > (int64_t)key->max) {
		(void)snprintf(why, CONFIG_WHY_MAX, "%lld is out of range",
			       (long long)value);
		return -EINVAL;
	}
	list[i] = (uint16_t)value;
	memset(list + i + 1, 0, (key->most - i - 1) * sizeof(*list));
	return 0;
}

int config_value_listen(const struct config_key *key, unsigned i, const char *text,
			void *base, char why[CONFIG_WHY_MAX])
{
	struct rt_addr *list = (struct rt_addr *)(void *)((char *)base + key->offset);

	rt_assert(i < key->most);
	if ((strncmp(text, "unix:", 5) != 0 && strncmp(text, "tcp:", 4) != 0) ||
	    rt_addr_parse(text, &list[i]) < 0)
		return value_wrong(why, text,
				   addr_fault(text,
					      "it is no unix:PATH or tcp:HOST:PORT"));
	config_value_set_count(key->count, i + 1, base);
	return 0;
}

void config_value_set_count(size_t offset, unsigned count, void *base)
{
	memcpy((char *)base + offset, &count, sizeof(count));
}
