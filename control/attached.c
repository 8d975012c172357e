// SPDX-License-Identifier: BSD-3-Clause
#include "control/attached.h"

#include <stdio.h>
#include <string.h>

#include "nbd-server/nbds.h"

static unsigned attached_named(const struct attached *a)
{
	return a->total < ATTACHED_MAX ? a->total : ATTACHED_MAX;
}

void attached_take(struct attached *a, const struct nbds_attached *list, unsigned total)
{
	memset(a, 0, sizeof(*a));
	a->total = total;
	for (unsigned i = 0; i < attached_named(a); i++) {
		struct attached_client *c = &a->list[i];

		(void)snprintf(c->client, sizeof(c->client), "%s", list[i].client);
		(void)snprintf(c->export, sizeof(c->export), "%s", list[i].export);
		c->read_only = list[i].read_only;
	}
}

void attached_text(const struct attached *a, char text[ATTACHED_TEXT])
{
	unsigned named = attached_named(a);
	int used = 0;

	if (a->total == 0) {
		(void)snprintf(text, ATTACHED_TEXT, "no client is attached here");
		return;
	}
	used = snprintf(text, ATTACHED_TEXT, "%u %s attached here:", a->total,
			a->total == 1 ? "client is" : "clients are");
	/* Each line is shorter than its share of the text. */
	for (unsigned i = 0; i < named; i++)
		used += snprintf(text + used, ATTACHED_TEXT - (size_t)used,
				 "\n  export %s: %s%s", a->list[i].export,
				 a->list[i].client,
				 a->list[i].read_only ? ", reads only" : "");
	if (named < a->total)
		(void)snprintf(text + used, ATTACHED_TEXT - (size_t)used,
			       "\n  and %u more", a->total - named);
}
_Static_assert(ATTACHED_TEXT >= (ATTACHED_MAX + 2) * (2 * ATTACHED_NAME + 32),
	       "each line fits");

json_t *attached_json(const struct attached *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; list && i < attached_named(a); i++) {
		const struct attached_client *c = &a->list[i];

		if (json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "export",
							  c->export, "client", c->client,
							  "read_only", c->read_only)) <
		    0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
