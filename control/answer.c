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

char *answer_promote(const struct group_promote *promote, int res)
{
	/* Promoting a primary asks for what is so already: verbs are idempotent. */
	enum control_exit exit = res == 0 || res == -EALREADY ? CONTROL_DONE
				 : res == -EPERM	      ? CONTROL_REFUSED
							      : CONTROL_FAILED;
	json_t *root;

	root = json_pack("{s:b, s:i, s:o, s:I, s:o}", "ok", exit == CONTROL_DONE, "exit",
			 (int)exit, "text", json_words(promote->verb.text), "lsn",
			 (json_int_t)promote->recovery.lsn, "recovery",
			 status_recovery_json(promote->found ? &promote->recovery
							     : NULL));
	if (root && exit != CONTROL_DONE)
		(void)json_object_set_new(root, "error",
					  json_words(promote->verb.text[0]
							     ? promote->verb.text
							     : strerror(-res)));
	return json_line(root);
}

char *answer_switchover(const struct group_switchover *switchover, int res,
			const struct attached *attached)
{
	enum control_exit exit = res == 0	 ? CONTROL_DONE
				 : res == -EPERM ? CONTROL_REFUSED
						 : CONTROL_FAILED;
	json_t *clients = attached ? attached_json(attached) : NULL;
	json_t *root = json_pack("{s:b, s:i, s:o, s:I, s:I, s:o}", "ok", res == 0, "exit",
				 (int)exit, "text", json_words(switchover->verb.text),
				 "lsn", (json_int_t)switchover->lsn, "pause_ms",
				 (json_int_t)switchover->pause_ms, "clients",
				 clients ? clients : json_null());

	if (root && res < 0)
		(void)json_object_set_new(root, "error",
					  json_words(switchover->verb.text[0]
							     ? switchover->verb.text
							     : strerror(-res)));
	return json_line(root);
}

char *answer_peer(const struct group_peer *peer, int res)
{
	return res == 0 ? answer_text(peer->verb.text)
			: answer_error(CONTROL_FAILED, peer->verb.text[0]
							       ? peer->verb.text
							       : strerror(-res));
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
