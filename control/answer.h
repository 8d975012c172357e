/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include <stdint.h>

#include "control/version.h"

struct attached;
struct events_wanted;
struct group;
struct group_peer;
struct group_promote;
struct group_switchover;
struct nbds_stats;

/*
 * The line that ends a request: {"ok":, "exit":, ...} and a newline, as text that
 * answer_free() takes back. NULL when out of memory.
 */
char *answer_error(enum control_exit exit, const char *error);
/* A line before the answer: the verb goes on. */
char *answer_progress(const char *text);
/* `second` after `first`, which may be NULL; both are taken. NULL when out of memory. */
char *answer_join(char *first, char *second);
/* The exit status of a verb that ended with `res`: where it is so already, the verb is done. */
enum control_exit answer_exit(int res);
/* Done; `text` says what. */
char *answer_text(const char *text);

/* What a status is about. */
struct answer_subject {
	const char *node;
	const char *name;	   /* of the group */
	const struct group *group; /* NULL: not open, and in `state` */
	const char *state;
	const char *why; /* of the daemon, before what the group says; "": nothing */
	const struct nbds_stats *nbd; /* NULL: there is no server yet */
	uint64_t control_refused;     /* at the control socket */
};
char *answer_status(const struct answer_subject *subject);
char *answer_promote(const struct group_promote *promote, int res);
/* `attached`: when it was asked; NULL: not known. */
char *answer_switchover(const struct group_switchover *switchover, int res,
			const struct attached *attached);
char *answer_peer(const struct group_peer *peer, int res);
/* Of an open group. */
char *answer_events(const struct group *group, const char *name,
		    const struct events_wanted *wanted);
void answer_free(char *text);

#endif
