// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config.h"
#include "control/config_key.h"
#include "control/config_schema.h"
#include "control/config_units.h"

/*
 * The manual and the examples are what people configure by: every key of the schema is in
 * the manual's table with its range and default, no other key is there, and the examples
 * name every key and are right as they stand. Run from the top of the tree.
 */

#define MANUAL "docs/man/wanmirror.conf.5"
#define ROW_MAX 256

static char *file_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	if (!f)
		fail_msg("%s is not there: tests run from the top of the tree", path);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* ---- the schema, key by key ------------------------------------------------------------- */

typedef void each_fn(const struct config_key *key, const char *name, void *owner);

static void each_key(const struct config_section *section, each_fn *each, void *owner)
{
	for (unsigned i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];
		char name[128];

		(void)snprintf(name, sizeof(name), "%s%s%s", section->name,
			       section->name[0] ? "." : "", key->name);
		each(key, name, owner);
		if (key->section)
			each_key(key->section, each, owner);
	}
}

/* A section that is always there is no setting of its own. */
static bool is_row(const struct config_key *key)
{
	return !key->later && !(key->kind == CONFIG_SECTION && !key->present);
}

/* What a column of the manual's table takes; longer texts stand with the key's own words. */
#define VALUE_MAX 22
#define STANDARD_MAX 12
#define BELOW "as below"

static const char *standard_of(const struct config_key *key)
{
	if (key->required)
		return "must";
	if (!key->standard)
		return "-";
	return strlen(key->standard) > STANDARD_MAX ? BELOW : key->standard;
}

static void value_words(const struct config_key *key, char *value, size_t size)
{
	value[0] = 0;
	for (const struct config_word *w = key->words; w->word; w++)
		if (!w->missing)
			(void)snprintf(value + strlen(value), size - strlen(value),
				       "%s%s", value[0] ? ", " : "", w->word);
}

static void value_range(const struct config_key *key, const struct config_unit *units,
			char *value, size_t size)
{
	char low[CONFIG_QUANTITY_TEXT], high[CONFIG_QUANTITY_TEXT];

	(void)snprintf(value, size, "%s to %s",
		       config_quantity_format(key->min, units, low),
		       config_quantity_format(key->max, units, high));
}

/* What the manual's table says of a key's value. */
static void value_of(const struct config_key *key, char *value, size_t size)
{
	static const char *const plain[] = {
		[CONFIG_NAME] = "name",
		[CONFIG_PATH] = "path",
		[CONFIG_EXPOSURE] = "time, size, writes",
		[CONFIG_BOOL] = "true, false",
		[CONFIG_PEER] = "HOST:PORT",
		[CONFIG_LISTEN] = "addresses",
		[CONFIG_SECTION] = "a section",
		[CONFIG_ANY] = NULL,
	};

	if (key->kind == CONFIG_SIZE)
		value_range(key, config_size_units, value, size);
	else if (key->kind == CONFIG_RATE)
		value_range(key, config_rate_units, value, size);
	else if (key->kind == CONFIG_TIME)
		value_range(key, config_time_units, value, size);
	else if (key->kind == CONFIG_WORD)
		value_words(key, value, size);
	else if (key->kind == CONFIG_COUNT)
		(void)snprintf(value, size, "%llu to %llu", (unsigned long long)key->min,
			       (unsigned long long)key->max);
	else if (key->kind == CONFIG_COUNTS)
		(void)snprintf(value, size, "%u to %u of %llu to %llu", key->least,
			       key->most, (unsigned long long)key->min,
			       (unsigned long long)key->max);
	else if (key->kind == CONFIG_NUMBER)
		(void)snprintf(value, size, "%g to %g", key->low, key->high);
	else if (key->kind == CONFIG_SECTIONS && key->most == 1)
		(void)snprintf(value, size, "one section");
	else if (key->kind == CONFIG_SECTIONS)
		(void)snprintf(value, size, "%u to %u sections", key->least, key->most);
	else
		(void)snprintf(value, size, "%s", plain[key->kind]);
	if (strlen(value) > VALUE_MAX)
		(void)snprintf(value, size, BELOW);
}

/* ---- the manual ---------------------------------------------------------------------------- */

struct manual {
	const char *table; /* from "Key" to its end */
	const char *end;
	unsigned rows;
};

static void row_is_there(const struct config_key *key, const char *name, void *owner)
{
	struct manual *m = owner;
	char row[ROW_MAX], value[128];
	const char *at;

	if (!is_row(key))
		return;
	value_of(key, value, sizeof(value));
	(void)snprintf(row, sizeof(row), "\n.It %s Ta %s Ta %s\n", name, value,
		       standard_of(key));
	at = strstr(m->table, row);
	if (!at || at > m->end)
		fail_msg("%s has no line \"%.*s\"", MANUAL, (int)strlen(row) - 2,
			 row + 1);
	m->rows++;
	if (key->standard && strlen(key->standard) > STANDARD_MAX &&
	    !strstr(m->end, key->standard))
		fail_msg("%s does not have the default of %s below", MANUAL, name);
	for (const struct config_word *w = key->words; w && w->word; w++)
		if (strcmp(value, BELOW) == 0 && !w->missing && !strstr(m->end, w->word))
			fail_msg("%s does not have the value %s of %s below", MANUAL,
				 w->word, name);
}

static void manual_has_every_key_and_no_other(void **state)
{
	char *text = file_read(MANUAL);
	struct manual m = { .table = strstr(text,
					    ".It Sy Key Ta Sy Value Ta Sy Default\n") };
	unsigned rows = 0;

	assert_non_null(m.table);
	m.end = strstr(m.table, "\n.El\n");
	assert_non_null(m.end);
	each_key(&config_root, row_is_there, &m);
	for (const char *p = m.table; (p = strstr(p, "\n.It ")) && p < m.end; p++)
		rows++;
	assert_int_equal(rows, m.rows);
	free(text);
}

static void key_is_named_as_later(const struct config_key *key, const char *name,
				  void *owner)
{
	char line[ROW_MAX];

	(void)snprintf(line, sizeof(line), "\n.Ic %s ", name);
	if (key->later && !strstr(owner, line))
		fail_msg("%s does not name %s as not in this version", MANUAL, name);
	for (const struct config_word *w = key->words; w && w->word; w++)
		if (w->missing && !strstr(owner, w->word))
			fail_msg("%s does not name \"%s\" of %s", MANUAL, w->word, name);
}

static void manual_names_what_is_not_in_this_version(void **state)
{
	char *text = file_read(MANUAL);
	char *part = strstr(text, "\n.Ss Not in this version\n");

	assert_non_null(part);
	*strstr(part, "\n.Sh ") = 0;
	each_key(&config_root, key_is_named_as_later, part);
	free(text);
}

/* ---- the examples ---------------------------------------------------------------------------- */

static const char *const examples[] = {
	"etc/wanmirror-primary.conf",
	"etc/wanmirror-mirror.conf",
};

static void key_is_in_example(const struct config_key *key, const char *name, void *owner)
{
	const char *text = owner;
	char set[64], section[64];

	(void)snprintf(set, sizeof(set), "%s = ", key->name);
	(void)snprintf(section, sizeof(section), "%s: ", key->name);
	if (!key->later && !strstr(text, set) && !strstr(text, section))
		fail_msg("an example has no %s (%s)", key->name, name);
	if (key->later && (strstr(text, set) || strstr(text, section)) &&
	    strlen(key->name) > 2)
		fail_msg("an example has %s, which is not in this version", name);
}

static void examples_name_every_key(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		char *text = file_read(examples[i]);

		each_key(&config_root, key_is_in_example, text);
		free(text);
	}
}

static void examples_are_right(void **state)
{
	static struct config sites[2];
	static struct config_errors errors;

	for (unsigned i = 0; i < 2; i++)
		if (config_load(examples[i], 0, &sites[i], &errors) < 0)
			fail_msg("%s", errors.text[0]);
	assert_int_equal(sites[0].group.role, GROUP_PRIMARY);
	assert_int_equal(sites[1].group.role, GROUP_MIRROR);
	/* The pair fits: one dials, the other listens; names and sizes are the same. */
	assert_true(sites[0].group.peer.dials);
	assert_false(sites[1].group.peer.dials);
	assert_string_equal(sites[0].group.name, sites[1].group.name);
	assert_int_equal(sites[0].group.nvolumes, sites[1].group.nvolumes);
	assert_memory_equal(sites[0].group.volumes, sites[1].group.volumes,
			    sizeof(sites[0].group.volumes));
	assert_int_equal(sites[0].group.segment_size, sites[1].group.segment_size);
}

/* As wanmirrord -n reads them, with a key of the test in place of /etc/wanmirror/db.key. */
static void examples_are_right_with_their_key(void **state)
{
	static const char place[] = "/etc/wanmirror/db.key";
	static struct config config;
	static struct config_errors errors;
	char dir[] = "/tmp/wm-XXXXXX"; /* no longer than the name that it replaces */
	char key[sizeof(dir) + 2], why[CONFIG_KEY_WHY];

	assert_non_null(mkdtemp(dir));
	(void)snprintf(key, sizeof(key), "%s/k", dir);
	assert_int_equal(config_key_make(key, why), 0);
	for (unsigned i = 0; i < 2; i++) {
		char *text = file_read(examples[i]);
		char *at = strstr(text, place);

		assert_non_null(at);
		assert_true(strlen(key) <= sizeof(place) - 1);
		memmove(at + strlen(key), at + sizeof(place) - 1,
			strlen(at + sizeof(place) - 1) + 1);
		memcpy(at, key, strlen(key));
		if (config_parse(examples[i], text, strlen(text), CONFIG_READ_KEYS,
				 &config, &errors) < 0)
			fail_msg("%s", errors.text[0]);
		free(text);
	}
	assert_int_equal(remove(key), 0);
	assert_int_equal(remove(dir), 0);
}

/* address and listen exclude each other; the others have no default that could be written. */
static bool is_only_an_example(const char *comment)
{
	static const char *const names[] = { "#listen",	    "#address", "#store_size",
					     "#congestion", "#edge",	"#hold =" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(comment, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* What is commented out in them is the default, or right in its place. */
static void examples_are_right_with_all_comments_taken_away(void **state)
{
	static struct config config, plain;
	static struct config_errors errors;

	for (unsigned i = 0; i < 2; i++) {
		char *text = file_read(examples[i]);

		for (char *p = text; *p; p++) {
			bool first = p == text || p[-1] == '\n' || p[-1] == ' ';

			if (!first || *p != '#' || p[1] < 'a' || p[1] > 'z')
				if (!(first && *p == '#' &&
				      strncmp(p, "#       ", 8) == 0))
					continue;
			if (!is_only_an_example(p))
				*p = ' ';
		}
		if (config_parse(examples[i], text, strlen(text), 0, &config, &errors) <
		    0)
			fail_msg("%s", errors.text[0]);
		assert_int_equal(config_load(examples[i], 0, &plain, &errors), 0);
		assert_memory_equal(&config, &plain, sizeof(config));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manual_has_every_key_and_no_other),
		cmocka_unit_test(manual_names_what_is_not_in_this_version),
		cmocka_unit_test(examples_name_every_key),
		cmocka_unit_test(examples_are_right),
		cmocka_unit_test(examples_are_right_with_their_key),
		cmocka_unit_test(examples_are_right_with_all_comments_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
