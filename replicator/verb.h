/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_VERB_H
#define REPLICATOR_VERB_H

struct group;
struct group_verb;

#define VERB_STOPPING "the daemon is stopping"

/* The answer to a verb that a person asks of a group, such as promote: group.h's group_verb. */

/* The verb begins, and nothing has been said. */
void verb_begin(struct group_verb *v);
/* More of its text. */
void verb_text(struct group_verb *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* It is over: `done` is called with `res` in a moment. */
void verb_reply(struct group *g, struct group_verb *v, int res);

/*
 * Why a group does nothing for a person any more: -EIO its log has failed, -ESHUTDOWN it is
 * stopping, with *why for people; 0 it does.
 */
int verb_refusal(const struct group *g, const char **why);

#endif
