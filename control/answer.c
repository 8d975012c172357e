// SPDX-License-Identifier: BSD-3-Clause
#include "control/answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/attached.h"
#include "control/events.h"
#include "control/status_json.h"
#include "replicator/group.h"
#include "rt/log.h"

#define LINE_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(STATUS_JSON_DIGITS))

/* `root` is taken. */
static char *json_line(json_t *root)
{
	size_t len = root ? json_dumpb(root, NULL, 0, LINE_FLAGS) : 0;
	char *text = len > 0 ? malloc(len + 2) : NULL;

	if (text) {
		(void)json_dumpb(root, text, len, LINE_FLAGS);
		text[len] = '\n';
		text[len + 1] = 0;
	}
	json_decref(root);
	return text;
}

/* What is said is mostly ours, but a name in it may come from anywhere. */
static json_t *json_words(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("(a text that is no UTF-8)");
}

char *answer_error(enum control_exit exit, const char *error)
{
	return json_line(json_pack("{s:b, s:i, s:o}", "ok", 0, "exit", (int)exit, "error",
				   json_words(error)));
}

enum control_exit answer_exit(int res)
{
	if (res == 0 || res == -EALREADY) /* verbs are idempotent */
		return CONTROL_DONE;
	return res == -EPERM ? CONTROL_REFUSED : CONTROL_FAILED;
}

char *answer_progress(const char *text)
{
	return json_line(json_pack("{s:o}", "progress", json_words(text)));
}

char *answer_join(char *first, char *second)
{
	size_t len = first ? strlen(first) : 0;
	char *both;

	if (!first || !second) {
		free(second ? first : NULL);
		return second;
	}
	both = realloc(first, len + strlen(second) + 1);
	if (both)
		memcpy(both + len, second, strlen(second) + 1);
	else
		free(first);
	free(second);
	return both;
}

char *answer_text(const char *text)
{
	return json_line(json_pack("{s:b, s:i, s:o}", "ok", 1, "exit", CONTROL_DONE,
				   "text", json_words(text)));
}

/* What the daemon waits for comes before what the group says of itself. */
static void status_put_first(struct group_status *s, const char *why)
{
	char rest[sizeof(s->why)];
	int room = (int)(sizeof(rest) - strlen(why) - strlen("; and "));

	if (!why[0])
		return;
	memcpy(rest, s->why, sizeof(rest));
	(void)snprintf(s->why, sizeof(s->why), "%s%s%.*s", why, rest[0] ? "; and " : "",
		       room, rest);
}

static json_t *status_json(const struct answer_subject *subject)
{
	json_t *status = status_new(&(struct status_daemon){
		.node = subject->node,
		.nbd = subject->nbd,
		.control_refused = subject->control_refused,
		.log_dropped = rt_log_dropped(),
	});
	struct group_status *s;
	int res;

	if (!status)
		return NULL;
	if (!subject->group) {
		res = status_add_closed_group(status, subject->name, subject->state,
					      subject->why);
	} else {
		s = malloc(sizeof(*s)); /* large: it has room for all volumes */
		res = -ENOMEM;
		if (s) {
			group_status(subject->group, s);
			status_put_first(s, subject->why);
			res = status_add_group(status, s);
		}
		free(s);
	}
	if (res == 0)
		return status;
	json_decref(status);
	return NULL;
}

char *answer_status(const struct answer_subject *subject)
{
	return json_line(json_pack("{s:b, s:i, s:o}", "ok", 1, "exit", CONTROL_DONE,
				   "status", status_json(subject)));
}

/* The end of `verb`, with its own members, which are taken. */
static char *answer_verb(const struct group_verb *verb, int res, json_t *members)
{
	const enum control_exit exit = answer_exit(res);
	json_t *root = json_pack("{s:b, s:i, s:o}", "ok", exit == CONTROL_DONE, "exit",
				 (int)exit, "text", json_words(verb->text));

	if (!root || !members || json_object_update(root, members) < 0) {
		json_decref(root);
		root = NULL;
	}
	json_decref(members);
	if (root && exit != CONTROL_DONE)
		(void)json_object_set_new(root, "error",
					  json_words(verb->text[0] ? verb->text
								   : strerror(-res)));
	return json_line(root);
}

char *answer_promote(const struct group_promote *promote, int res)
{
	const struct group_recovery *found = promote->found ? &promote->recovery : NULL;

	return answer_verb(&promote->verb, res,
			   json_pack("{s:I, s:o}", "lsn",
				     (json_int_t)promote->recovery.lsn, "recovery",
				     status_recovery_json(found)));
}

char *answer_switchover(const struct group_switchover *switchover, int res,
			const struct attached *attached)
{
	json_t *clients = attached ? attached_json(attached) : NULL;

	return answer_verb(&switchover->verb, res,
			   json_pack("{s:I, s:I, s:o}", "lsn",
				     (json_int_t)switchover->lsn, "pause_ms",
				     (json_int_t)switchover->pause_ms, "clients",
				     clients ? clients : json_null()));
}

char *answer_peer(const struct group_peer *peer, int res)
{
	return answer_verb(&peer->verb, res, json_object());
}

char *answer_events(const struct group *group, const char *name,
		    const struct events_wanted *wanted)
{
	return json_line(json_pack("{s:b, s:i, s:o}", "ok", 1, "exit", CONTROL_DONE,
				   "events", events_new(group, name, wanted)));
}

void answer_free(char *text)
{
	free(text);
}
