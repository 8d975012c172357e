// SPDX-License-Identifier: BSD-3-Clause
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_schema.h"
#include "control/config_units.h"
#include "rt/check.h"

/* Finding keys by name, and saying what may stand in them. */

#define NAME_LONGEST 32 /* of ours; asserted where it counts */

const struct config_key *config_section_find(const struct config_section *section,
					     const char *name)
{
	for (unsigned i = 0; i < section->nkeys; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

static unsigned distance_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Insertions, deletions, changes and swaps of neighbours from `a` to `b`: the optimal
 * string alignment distance (Damerau, 1964), by rows.
 */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_LONGEST + 1];
	size_t len = strlen(b);

	rt_assert(len <= NAME_LONGEST);
	for (unsigned j = 0; j <= len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		const unsigned *before = rows[(i + 1) % 3], *above = rows[(i - 1) % 3];
		unsigned *row = rows[i % 3];

		row[0] = i;
		for (unsigned j = 1; j <= len; j++) {
			row[j] = distance_min(above[j - 1] + (a[i - 1] != b[j - 1]),
					      distance_min(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = distance_min(row[j], before[j - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][len];
}

const struct config_key *config_section_nearest(const struct config_section *section,
						const char *name)
{
	const struct config_key *best = NULL;
	unsigned best_distance = 3;

	if (strlen(name) > 2 * NAME_LONGEST)
		return NULL;
	for (unsigned i = 0; i < section->nkeys; i++) {
		unsigned d = edit_distance(name, section->keys[i].name);

		/* A short name is near to everything: at most a third may differ. */
		if (d < best_distance && 3 * d <= strlen(section->keys[i].name) + 1) {
			best = &section->keys[i];
			best_distance = d;
		}
	}
	return best;
}

const struct config_section *config_section_having(const struct config_section *top,
						   const char *name)
{
	if (config_section_find(top, name))
		return top;
	for (unsigned i = 0; i < top->nkeys; i++) {
		const struct config_section *found = NULL;

		if (top->keys[i].section)
			found = config_section_having(top->keys[i].section, name);
		if (found)
			return found;
	}
	return NULL;
}

struct text {
	char *buf;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt,
						      ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, args);
	va_end(args);
	if (n > 0)
		t->len += distance_min((unsigned)n, (unsigned)(t->size - t->len - 1));
}

static void add_words(struct text *t, const struct config_word *words, const char *before)
{
	for (; words && words->word; words++) {
		if (words->missing)
			continue;
		add(t, "%s\"%s\"", before, words->word);
		before = words[1].word && !words[2].word && !words[1].missing ? " or "
									      : ", ";
	}
}

static void add_range(struct text *t, const struct config_key *key, const char *what,
		      const struct config_unit *units)
{
	char low[CONFIG_QUANTITY_TEXT], high[CONFIG_QUANTITY_TEXT];

	add(t, "%s from \"%s\" to \"%s\"", what,
	    config_quantity_format(key->min, units, low),
	    config_quantity_format(key->max, units, high));
	add(t, " (units ");
	for (const struct config_unit *u = units; u->name; u++)
		add(t, "%s%s", u == units ? "" : ", ", u->name);
	add(t, ")");
	if (key->power)
		add(t, ", a power of two");
	if (key->multiple)
		add(t, ", a multiple of %s",
		    config_quantity_format(key->multiple, units, low));
}

static void allowed_text(struct text *t, const struct config_key *key)
{
	switch (key->kind) {
	case CONFIG_NAME:
		add(t,
		    "1 to %zu letters, digits, '.', '_' or '-', the first a letter or "
		    "a digit",
		    key->width - 1);
		break;
	case CONFIG_PATH:
		add(t, "an absolute path of at most %zu bytes", key->width - 1);
		break;
	case CONFIG_SIZE:
		add_range(t, key, "a size", config_size_units);
		break;
	case CONFIG_RATE:
		add_range(t, key, "a rate", config_rate_units);
		break;
	case CONFIG_TIME:
		add_range(t, key, "a time", config_time_units);
		break;
	case CONFIG_EXPOSURE:
		add(t, "a time (\"30s\"), a size (\"2GiB\") or writes (\"100 writes\")");
		break;
	case CONFIG_WORD:
		break;
	case CONFIG_NUMBER:
		add(t, "a number from %g to %g", key->low, key->high);
		break;
	case CONFIG_COUNT:
		add(t, "an integer from %llu to %llu", (unsigned long long)key->min,
		    (unsigned long long)key->max);
		break;
	case CONFIG_COUNTS:
		add(t, "[ ... ] with %u to %u integers from %llu to %llu", key->least,
		    key->most, (unsigned long long)key->min,
		    (unsigned long long)key->max);
		break;
	case CONFIG_BOOL:
		add(t, "true or false");
		break;
	case CONFIG_PEER:
		add(t, "\"HOST:PORT\", HOST a numeric address, IPv6 in brackets");
		break;
	case CONFIG_LISTEN:
		add(t,
		    "[ ... ] with at most %u of \"unix:PATH\" or \"tcp:HOST:PORT\", HOST "
		    "a numeric address, IPv6 in brackets, or *",
		    key->most);
		break;
	case CONFIG_SECTION:
		add(t, "a section: { ... }");
		break;
	case CONFIG_SECTIONS:
		add(t, "a list of %u to %u sections: ( { ... } )", key->least, key->most);
		break;
	case CONFIG_ANY:
		break;
	}
}

const char *config_key_allowed(const struct config_key *key, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	buf[0] = 0;
	allowed_text(&t, key);
	add_words(&t, key->words, t.len > 0 ? ", or " : "");
	return buf;
}
