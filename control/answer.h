/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include "control/version.h"

struct group;
struct group_promote;

/*
 * The line that ends a request: {"ok":, "exit":, ...} and a newline, as text that
 * answer_free() takes back. NULL when out of memory.
 */
char *answer_error(enum control_exit exit, const char *error);
/* Done; `text` says what. */
char *answer_text(const char *text);
/* `group` NULL: not open, and in `state`. `nbd` NULL: there is no server yet. */
struct nbds_stats;
char *answer_status(const char *node, const struct nbds_stats *nbd,
		    const struct group *group, const char *name, const char *state);
char *answer_promote(const struct group_promote *promote, int res);
void answer_free(char *text);

#endif
