/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_ATTACHED_H
#define CONTROL_ATTACHED_H

#include <jansson.h>
#include <stdbool.h>

struct nbds_attached;

/*
 * The clients that have an export at one moment, for who is asked whether these may fail. A
 * copy: they may be gone the turn after.
 */
#define ATTACHED_MAX 64 /* as many are named; of the others the number is said */
#define ATTACHED_NAME 64
#define ATTACHED_TEXT 12288

struct attached {
	unsigned total;
	struct attached_client {
		char client[ATTACHED_NAME], export[ATTACHED_NAME];
		bool read_only;
	} list[ATTACHED_MAX];
};

/* `list` has the first ATTACHED_MAX of `total`, or all. */
void attached_take(struct attached *a, const struct nbds_attached *list, unsigned total);
/* In lines, the last one without its newline. */
void attached_text(const struct attached *a, char text[ATTACHED_TEXT]);
/* Those that are named; NULL without memory. */
json_t *attached_json(const struct attached *a);

#endif
