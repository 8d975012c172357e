/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONTROL_CLIENT_H
#define CONTROL_CONTROL_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct control_request;

#define CONTROL_ANSWER_MAX (1u << 20) /* longest line of the daemon */
#define CONTROL_CLIENT_WHY 256
#define CONTROL_STATUS_S 5 /* a status, or events, that take longer will not come */

/*
 * Ask the daemon behind the control socket at `path` and wait for its answer; `progress`
 * gets the text of each progress line before it, unless it is NULL. 0 with *ret, the object that has "ok"
 * and "exit" (a new reference); or -errno (-ECONNREFUSED, -ENOENT, -EPROTO, ...) with
 * `why`. Blocks: it is for the command, which has nothing else to do. What only asks is given
 * up with -ETIMEDOUT when nothing comes for CONTROL_STATUS_S; other verbs take their time.
 */
int control_client_ask(const char *path, const struct control_request *request,
		       FILE *progress, json_t **ret, char why[CONTROL_CLIENT_WHY]);
/* The same with another limit for any verb; 0: none. */
int control_client_ask_within(int seconds, const char *path,
			      const struct control_request *request, FILE *progress,
			      json_t **ret, char why[CONTROL_CLIENT_WHY]);

#endif
