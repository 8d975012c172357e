// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/config.h"
#include "control/config_key.h"
#include "control/config_scan.h"
#include "control/config_schema.h"
#include "control/config_value.h"
#include "rt/check.h"

#define ALLOWED_MAX 300

void config_error(struct config_errors *errors, unsigned line, const char *key,
		  const char *fmt, ...)
{
	char text[CONFIG_ERROR_TEXT], what[CONFIG_ERROR_TEXT / 2], place[16] = "";
	va_list args;

	if (errors->n == CONFIG_ERRORS_MAX) {
		errors->dropped++;
		return;
	}
	if (line > 0)
		(void)snprintf(place, sizeof(place), ":%u", line);
	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	(void)snprintf(text, sizeof(text), "%.200s%s: %.80s%s%s", errors->file, place,
		       key ? key : "", key ? ": " : "", what);
	memcpy(errors->text[errors->n++], text, sizeof(text));
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
	for (unsigned i = 0; i < errors->n; i++)
		fprintf(out, "%s\n", errors->text[i]);
	if (errors->dropped > 0)
		fprintf(out, "%s: and %u more\n", errors->file, errors->dropped);
}

/* ---- one section after the other ---------------------------------------------------- */

struct reader {
	struct config *config;
	struct config_errors *errors;
};

static void read_section(struct reader *r, const struct config_section *section,
			 config_setting_t *s, void *base, const char *path);

static const char *type_name(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "an integer";
	case CONFIG_TYPE_FLOAT:
		return "a number";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_GROUP:
		return "a section { }";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	default:
		return "a list ( )";
	}
}

/* `what` is wrong with the value of `key`: say it, and what may stand there. */
static void refuse_key(struct reader *r, const struct config_key *key,
		       const config_setting_t *s, const char *path, const char *what)
{
	char allowed[ALLOWED_MAX];

	config_error(r->errors, s->line, path, "%s; allowed: %s", what,
		     config_key_allowed(key, allowed, sizeof(allowed)));
}

static void refuse_type(struct reader *r, const struct config_key *key,
			const config_setting_t *s, const char *path)
{
	char what[64];

	(void)snprintf(what, sizeof(what), "it is %s", type_name(s));
	refuse_key(r, key, s, path, what);
}

static bool is_list(const config_setting_t *s)
{
	return config_setting_is_array(s) || config_setting_is_list(s);
}

static void read_listen(struct reader *r, const struct config_key *key,
			config_setting_t *s, void *base, const char *path)
{
	char why[CONFIG_WHY_MAX];

	if (!is_list(s) || config_setting_length(s) > (int)key->most) {
		refuse_type(r, key, s, path);
		return;
	}
	config_value_set_count(key->count, 0, base);
	for (unsigned i = 0; i < (unsigned)config_setting_length(s); i++) {
		config_setting_t *e = config_setting_get_elem(s, i);

		if (config_setting_type(e) != CONFIG_TYPE_STRING)
			refuse_type(r, key, e, path);
		else if (config_value_listen(key, i, config_setting_get_string(e), base,
					     why) < 0)
			refuse_key(r, key, e, path, why);
	}
}

static void read_counts(struct reader *r, const struct config_key *key,
			config_setting_t *s, void *base, const char *path)
{
	unsigned n = is_list(s) ? (unsigned)config_setting_length(s) : 0;
	char why[CONFIG_WHY_MAX];

	if (n < key->least || n > key->most) {
		refuse_type(r, key, s, path);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, i);
		int type = config_setting_type(e);

		if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
			refuse_type(r, key, e, path);
		else if (config_value_counts(key, i, config_setting_get_int64(e), base,
					     why) < 0)
			refuse_key(r, key, e, path, why);
	}
}

static void read_sections(struct reader *r, const struct config_key *key,
			  config_setting_t *s, void *base, const char *path)
{
	char place[CONFIG_KEY_PATH];
	unsigned n = (unsigned)config_setting_length(s);

	if (!config_setting_is_list(s)) {
		refuse_type(r, key, s, path);
		return;
	}
	if (n > key->most && !key->stride) {
		config_error(r->errors, s->line, path,
			     "it has %u sections: more than %u is not in this version", n,
			     key->most);
		return;
	}
	if (n < key->least || n > key->most) {
		(void)snprintf(place, sizeof(place), "it has %u sections", n);
		refuse_key(r, key, s, path, place);
		return;
	}
	config_value_set_count(key->count, n, base);
	for (unsigned i = 0; i < n; i++) {
		char *to = base;

		if (key->stride)
			to += key->offset + i * key->stride;
		(void)snprintf(place, sizeof(place), "%.80s[%u]", path, i);
		read_section(r, key->section, config_setting_get_elem(s, i), to, place);
	}
}

static void read_scalar(struct reader *r, const struct config_key *key,
			config_setting_t *s, void *base, const char *path)
{
	char why[CONFIG_WHY_MAX];
	int type = config_setting_type(s);
	bool integer = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	int res;

	if (key->kind == CONFIG_BOOL && type == CONFIG_TYPE_BOOL)
		res = config_value_text(
			key, config_setting_get_bool(s) ? "true" : "false", base, why);
	else if (key->kind == CONFIG_COUNT && integer)
		res = config_value_count(key, config_setting_get_int64(s), base, why);
	else if (key->kind == CONFIG_NUMBER && integer)
		/* libconfig 1.5 reads `0` as an integer wherever it stands */
		res = config_value_number(key, (double)config_setting_get_int64(s), base,
					  why);
	else if (key->kind == CONFIG_NUMBER && type == CONFIG_TYPE_FLOAT)
		res = config_value_number(key, config_setting_get_float(s), base, why);
	else if (key->kind < CONFIG_SECTION && key->kind != CONFIG_NUMBER &&
		 key->kind != CONFIG_COUNT && key->kind != CONFIG_BOOL &&
		 key->kind != CONFIG_COUNTS && type == CONFIG_TYPE_STRING)
		res = config_value_text(key, config_setting_get_string(s), base, why);
	else {
		refuse_type(r, key, s, path);
		return;
	}
	if (res < 0)
		refuse_key(r, key, s, path, why);
}

/* Defaults are text that went through the same checks, so none of them can be wrong. */
static void set_standard(const struct config_key *key, void *base)
{
	char why[CONFIG_WHY_MAX];
	int res = 0;

	if (key->standard && key->kind == CONFIG_LISTEN)
		res = config_value_listen(key, 0, key->standard, base, why);
	else if (key->standard)
		res = config_value_text(key, key->standard, base, why);
	rt_assert(res == 0);
}

static void read_key(struct reader *r, const struct config_key *key, config_setting_t *in,
		     void *base, const char *path)
{
	config_setting_t *s = in ? config_setting_get_member(in, key->name) : NULL;

	if (s && key->later) {
		config_error(r->errors, s->line, path, "not in this version (%s)",
			     key->later);
		return;
	}
	if (!s && key->required) {
		config_error(r->errors, in ? in->line : 0, path, "it must be set");
		return;
	}
	if (key->kind == CONFIG_SECTION) {
		bool there = s != NULL;

		if (key->present)
			memcpy((char *)base + key->present, &there, sizeof(there));
		if (s || !key->present)
			read_section(r, key->section, s, base, path);
		return;
	}
	if (!s)
		set_standard(key, base);
	else if (key->kind == CONFIG_SECTIONS)
		read_sections(r, key, s, base, path);
	else if (key->kind == CONFIG_LISTEN)
		read_listen(r, key, s, base, path);
	else if (key->kind == CONFIG_COUNTS)
		read_counts(r, key, s, base, path);
	else
		read_scalar(r, key, s, base, path);
}

static void refuse_unknown(struct reader *r, const struct config_section *section,
			   const config_setting_t *s, const char *path)
{
	const char *name = config_setting_name(s);
	const struct config_key *near = config_section_nearest(section, name);
	const struct config_section *other = config_section_having(&config_root, name);
	char list[ALLOWED_MAX];
	size_t len = 0;

	if (near || other) {
		config_error(r->errors, s->line, path,
			     "unknown key; did you mean %s%s%s?",
			     near ? near->name : name, near ? "" : " of ",
			     near	      ? ""
			     : other->name[0] ? other->name
					      : "the file's top");
		return;
	}
	for (unsigned i = 0; i < section->nkeys; i++) {
		int n;

		if (section->keys[i].later)
			continue;
		n = snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "",
			     section->keys[i].name);
		if (n < 0 || (size_t)n >= sizeof(list) - len)
			break;
		len += (size_t)n;
	}
	config_error(r->errors, s->line, path, "unknown key; allowed: %s", list);
}

static void section_path(char place[CONFIG_KEY_PATH], const char *path, const char *name)
{
	(void)snprintf(place, CONFIG_KEY_PATH, "%.80s%s%.40s", path, *path ? "." : "",
		       name);
}

/* `s` is NULL for a section that the file leaves out: all its defaults. */
static void read_section(struct reader *r, const struct config_section *section,
			 config_setting_t *s, void *base, const char *path)
{
	char place[CONFIG_KEY_PATH];

	if (s && !config_setting_is_group(s)) {
		config_error(r->errors, s->line, path,
			     "it is %s; allowed: a section: { ... }", type_name(s));
		return;
	}
	for (unsigned i = 0; s && i < (unsigned)config_setting_length(s); i++) {
		const config_setting_t *m = config_setting_get_elem(s, i);

		section_path(place, path, config_setting_name(m));
		if (!config_section_find(section, config_setting_name(m)))
			refuse_unknown(r, section, m, place);
	}
	for (unsigned i = 0; i < section->nkeys; i++) {
		section_path(place, path, section->keys[i].name);
		read_key(r, &section->keys[i], s, base, place);
	}
}

/* ---- where something stands ------------------------------------------------------------ */

/* libconfig 1.5 wants "groups.[0].peer" where people read "groups[0].peer". */
static config_setting_t *setting_find(const config_t *file, const char *key)
{
	char path[2 * CONFIG_KEY_PATH];
	size_t n = 0;

	if (!file)
		return NULL;
	for (; *key && n < sizeof(path) - 2; key++) {
		if (*key == '[')
			path[n++] = '.';
		path[n++] = *key;
	}
	path[n] = 0;
	return config_lookup(file, path);
}

int config_is_set(const struct config_t *file, const char *key)
{
	return setting_find(file, key) != NULL;
}

unsigned config_line(const struct config_t *file, const char *key)
{
	char part[CONFIG_KEY_PATH];
	const config_setting_t *s = setting_find(file, key);
	char *dot;

	(void)snprintf(part, sizeof(part), "%s", key);
	while (!s && (dot = strrchr(part, '.'))) {
		*dot = 0;
		s = setting_find(file, part);
	}
	return s ? s->line : 0;
}

/* ---- the file ----------------------------------------------------------------------------- */

int config_read_all(int fd, char *buf, size_t size, size_t *len)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, buf + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			*len = have;
			return 0;
		}
		have += (size_t)n;
	}
	return -EFBIG;
}

static void read_key_file(const config_t *file, const char *name, const char *path,
			  uint8_t *key, struct config_errors *errors)
{
	char why[CONFIG_KEY_WHY];

	if (config_key_read(path, key, why) < 0)
		config_error(errors, config_line(file, name), name, "%.200s %s", path,
			     why);
}

static void read_keys(const config_t *file, struct config *config,
		      struct config_errors *errors)
{
	struct group_peer_config *peer = &config->group.peer;

	if (config->group.has_peer)
		read_key_file(file, "groups[0].peer.key", config->key_path, peer->key,
			      errors);
	if (config->group.has_peer && peer->has_edge)
		read_key_file(file, "groups[0].peer.edge.key", config->edge_key_path,
			      peer->edge_key, errors);
}

/* The text as libconfig wants it; what it says is checked key by key. */
static void file_parse(char *text, unsigned flags, struct config *config,
		       struct config_errors *errors)
{
	struct reader r = { config, errors };
	config_t file;

	config_init(&file);
	if (!config_read_string(&file, text)) {
		config_error(
			errors, (unsigned)config_error_line(&file), NULL,
			"%s; allowed: NAME = VALUE; with VALUE a \"string\", a number, "
			"true, false, { a section }, [ an array ] or ( a list )",
			config_error_text(&file));
	} else {
		read_section(&r, &config_root, config_root_setting(&file), config, "");
		if (errors->n == 0)
			config_check(&file, config, errors);
		if (errors->n == 0 && flags & CONFIG_READ_KEYS)
			read_keys(&file, config, errors);
	}
	config_destroy(&file);
}

int config_parse(const char *name, const char *text, size_t len, unsigned flags,
		 struct config *ret, struct config_errors *errors)
{
	struct config *config = calloc(1, sizeof(*config));
	char *copy = malloc(len + 1);

	memset(errors, 0, sizeof(*errors));
	(void)snprintf(errors->file, sizeof(errors->file), "%s", name);
	if (!config || !copy) {
		config_error(errors, 0, NULL, "out of memory");
	} else if (config_scan(text, len, errors) == 0) {
		memcpy(copy, text, len);
		copy[len] = 0;
		file_parse(copy, flags, config, errors);
	}
	if (errors->n == 0)
		*ret = *config;
	if (config)
		explicit_bzero(config, sizeof(*config)); /* it holds a key */
	free(config);
	free(copy);
	return errors->n == 0 ? 0 : -EINVAL;
}

int config_load(const char *path, unsigned flags, struct config *ret,
		struct config_errors *errors)
{
	char *text = malloc(CONFIG_FILE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int res = fd < 0 ? -errno : 0;
	size_t len = 0;

	memset(errors, 0, sizeof(*errors));
	(void)snprintf(errors->file, sizeof(errors->file), "%s", path);
	if (!text)
		res = -ENOMEM;
	if (res == 0)
		res = config_read_all(fd, text, CONFIG_FILE_MAX, &len);
	if (res < 0)
		config_error(errors, 0, NULL, "cannot be read: %s", strerror(-res));
	else
		res = config_parse(path, text, len, flags, ret, errors);
	if (fd >= 0)
		(void)close(fd); /* it was only read */
	free(text);
	return res < 0 ? -EINVAL : 0;
}
