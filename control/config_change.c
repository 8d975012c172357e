// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config.h"
#include "control/config_read.h"
#include "control/config_schema.h"
#include "control/config_value.h"
#include "rt/check.h"

/* Configurations that change while the daemon runs. */

#define NAME_MAX_TEXT 128
#define ALLOWED_MAX 300

/* max_exposure is three limits in a row, of which one is set. */
static size_t width_of(const struct config_key *key)
{
	return key->kind == CONFIG_EXPOSURE ? 3 * key->width : key->width;
}

static unsigned count_of(const struct config_key *key, const char *base)
{
	unsigned count;

	memcpy(&count, base + key->count, sizeof(count));
	return count;
}

static void name_of(char name[NAME_MAX_TEXT], const struct config_section *section,
		    const struct config_key *key)
{
	(void)snprintf(name, NAME_MAX_TEXT, "%s%s%s", section->name,
		       section->name[0] ? "." : "", key->name);
}

/* ---- what has changed ------------------------------------------------------------------- */

struct compare {
	config_changed_fn *changed;
	void *owner;
};

static void compare_section(const struct compare *c, const struct config_section *section,
			    const char *a, const char *b);

/* Elements with a stride: as many, and then each key once, however many differ in it. */
static void compare_elements(const struct compare *c, const char *name,
			     const struct config_key *key, const char *a, const char *b)
{
	const struct config_section *section = key->section;
	unsigned n = count_of(key, a);

	if (n != count_of(key, b)) {
		c->changed(c->owner, name, false);
		return;
	}
	for (unsigned i = 0; i < section->nkeys; i++) {
		const struct config_key *k = &section->keys[i];
		char part[NAME_MAX_TEXT];
		bool differs = false;

		for (unsigned j = 0; j < n; j++) {
			size_t at = key->offset + j * key->stride + k->offset;

			differs |= memcmp(a + at, b + at, width_of(k)) != 0;
		}
		name_of(part, section, k);
		if (differs)
			c->changed(c->owner, part, k->live);
	}
}

static void compare_section(const struct compare *c, const struct config_section *section,
			    const char *a, const char *b)
{
	for (unsigned i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];
		char name[NAME_MAX_TEXT];

		name_of(name, section, key);
		if (key->section && key->stride)
			compare_elements(c, name, key, a, b);
		else if (key->present && a[key->present] != b[key->present])
			c->changed(c->owner, name, false);
		else if (key->section)
			compare_section(c, key->section, a, b);
		else if (memcmp(a + key->offset, b + key->offset, width_of(key)) != 0)
			c->changed(c->owner, name, key->live);
	}
}

void config_compare(const struct config *a, const struct config *b,
		    config_changed_fn *changed, void *owner)
{
	const struct group_peer_config *pa = &a->group.peer, *pb = &b->group.peer;
	struct compare c = { changed, owner };

	compare_section(&c, &config_root, (const char *)a, (const char *)b);
	if (memcmp(pa->key, pb->key, sizeof(pa->key)) != 0)
		changed(owner, "the key in groups[].peer.key", false);
	if (memcmp(pa->edge_key, pb->edge_key, sizeof(pa->edge_key)) != 0)
		changed(owner, "the key in groups[].peer.edge.key", false);
}

/* ---- taking over --------------------------------------------------------------------------- */

/* `config` with something changed: checked as a whole, and only then believed. */
static int change_accept(struct config *config, struct config *changed,
			 struct config_errors *errors)
{
	config_check(NULL, changed, errors);
	if (errors->n > 0)
		return -EINVAL;
	*config = *changed;
	return 0;
}

static void copy_live(const struct config_section *section, char *to, const char *from)
{
	for (unsigned i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];

		if (key->section && key->stride &&
		    count_of(key, to) == count_of(key, from))
			for (unsigned j = 0; j < count_of(key, to); j++)
				copy_live(key->section,
					  to + key->offset + j * key->stride,
					  from + key->offset + j * key->stride);
		else if (key->section && !key->stride)
			copy_live(key->section, to, from);
		else if (key->live)
			memcpy(to + key->offset, from + key->offset, width_of(key));
	}
}

/* A volume of another name or size is another volume, and needs a restart. */
static bool same_volumes(const struct group_config *a, const struct group_config *b)
{
	bool same = a->nvolumes == b->nvolumes;

	for (unsigned i = 0; same && i < a->nvolumes; i++)
		same = strcmp(a->volumes[i].name, b->volumes[i].name) == 0;
	return same;
}

static void errors_init(struct config_errors *errors, const char *what)
{
	memset(errors, 0, sizeof(*errors));
	(void)snprintf(errors->file, sizeof(errors->file), "%s", what);
}

int config_take_live(struct config *config, const struct config *fresh,
		     struct config_errors *errors)
{
	struct config *changed = malloc(sizeof(*changed));
	int res;

	errors_init(errors, "what may change while running");
	if (!changed) {
		config_error(errors, 0, NULL, "out of memory");
		return -EINVAL;
	}
	*changed = *config;
	if (changed->group.has_peer == fresh->group.has_peer)
		copy_live(&config_root, (char *)changed, (const char *)fresh);
	else
		changed->log = fresh->log;
	if (same_volumes(&config->group, &fresh->group)) {
		memcpy(changed->own_sync, fresh->own_sync, sizeof(changed->own_sync));
		for (unsigned i = 0; i < changed->group.nvolumes; i++)
			changed->group.volumes[i].has_on_disconnect =
				fresh->group.volumes[i].has_on_disconnect;
	} else {
		memcpy(changed->group.volumes, config->group.volumes,
		       sizeof(changed->group.volumes));
	}
	res = change_accept(config, changed, errors);
	explicit_bzero(changed, sizeof(*changed)); /* it holds keys */
	free(changed);
	return res;
}

/* ---- one key ---------------------------------------------------------------------------------- */

/* "fec.assume.loss" from `section` on, through sections that are there once. */
static const struct config_key *key_find(const struct config_section *section,
					 const char *name)
{
	char part[NAME_MAX_TEXT];
	const char *dot = strchr(name, '.');
	const struct config_key *key;

	if (!dot)
		return config_section_find(section, name);
	(void)snprintf(part, sizeof(part), "%.*s", (int)(dot - name), name);
	key = config_section_find(section, part);
	if (!key || !key->section || key->stride)
		return NULL;
	return key_find(key->section, dot + 1);
}

static const struct config_key *find_from(const char *section, const char *name)
{
	const struct config_key *key = config_section_find(&config_root, "groups");

	if (strcmp(section, "peer") == 0)
		key = config_section_find(key->section, section);
	return key_find(key->section, name);
}

static void set_text(const struct config_key *key, const char *name, const char *value,
		     struct config *config, struct config_errors *errors)
{
	char why[CONFIG_WHY_MAX], allowed[ALLOWED_MAX];

	if (config_value_text(key, value, config, why) < 0)
		config_error(errors, 0, name, "%s; allowed: %s", why,
			     config_key_allowed(key, allowed, sizeof(allowed)));
}

int config_set(struct config *config, const char *name, const char *value,
	       struct config_errors *errors)
{
	const struct config_key *key = find_from("groups", name);
	struct config *changed;
	int res = -EINVAL;

	errors_init(errors, "set");
	if (!key)
		key = find_from("peer", name);
	changed = key && key->live ? malloc(sizeof(*changed)) : NULL;
	if (!key || key->section) {
		config_error(errors, 0, name,
			     "it is no key of a group; see "
			     "wanmirror.conf(5)");
	} else if (!key->live) {
		config_error(errors, 0, name, "it needs a restart of the daemon");
	} else if (!changed) {
		config_error(errors, 0, name, "out of memory");
	} else {
		*changed = *config;
		set_text(key, name, value, changed, errors);
		if (errors->n == 0)
			res = change_accept(config, changed, errors);
		explicit_bzero(changed, sizeof(*changed)); /* it holds keys */
	}
	free(changed);
	return res;
}
