// SPDX-License-Identifier: BSD-3-Clause
#include "control/control_request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "rt/check.h"
#include "rt/log.h"

#define QUOTED_MAX 100

static const char *const later[] = {
	"watch", "snapshot", "mark",  "rewind", "branches", "rejoin",
	"drill", "verify",   "scrub", "check",	"volume",   "attach",
};

static const char *const verb_names[] = {
	[CONTROL_STATUS] = "status",
	[CONTROL_PROMOTE] = "promote",
	[CONTROL_SET] = "set",
	[CONTROL_PEER] = "peer",
	[CONTROL_OPEN] = "open",
	[CONTROL_EVENTS] = "events",
	[CONTROL_SWITCHOVER] = "switchover",
};

static const char *const change_names[] = {
	[CONTROL_REPLACE] = "replace",
	[CONTROL_FORGET] = "forget",
};

bool control_verb_is_later(const char *verb)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(later); i++)
		if (strcmp(later[i], verb) == 0)
			return true;
	return false;
}

bool control_change_parse(const char *word, enum control_change *ret)
{
	for (unsigned i = CONTROL_REPLACE; i < RT_ARRAY_LEN(change_names); i++)
		if (strcmp(word, change_names[i]) == 0) {
			*ret = (enum control_change)i;
			return true;
		}
	return false;
}

static int request_wrong(char *why, const char *name, const char *what)
{
	char quoted[QUOTED_MAX];

	(void)snprintf(why, CONTROL_WHY_MAX, "%s %s",
		       rt_log_quote(quoted, sizeof(quoted), name), what);
	return -EINVAL;
}

static int verb_parse(const json_t *value, enum control_verb *ret, char *why)
{
	const char *verb = json_string_value(value);

	if (!verb)
		return request_wrong(why, "verb", "must be a string");
	if (control_verb_is_later(verb)) {
		(void)request_wrong(why, verb, "is not in this version");
		return -ENOTSUP;
	}
	for (unsigned i = 0; i < RT_ARRAY_LEN(verb_names); i++)
		if (strcmp(verb, verb_names[i]) == 0) {
			*ret = (enum control_verb)i;
			return 0;
		}
	return request_wrong(why, verb,
			     "is no verb; allowed: status, events, promote, "
			     "switchover, open, peer, set");
}

static int change_parse(const json_t *value, enum control_change *ret, char *why)
{
	const char *word = json_string_value(value);

	if (!word || !control_change_parse(word, ret))
		return request_wrong(why, "change", "must be replace or forget");
	return 0;
}

/* A string of at most `max` bytes into `to`, which has room for one more. */
static int text_parse(const char *name, const json_t *value, char *to, size_t max,
		      char *why)
{
	const char *text = json_string_value(value);
	char what[64];

	(void)snprintf(what, sizeof(what), "must be a string of at most %zu bytes", max);
	if (!text || strlen(text) > max)
		return request_wrong(why, name, what);
	(void)snprintf(to, max + 1, "%s", text);
	return 0;
}

static int request_number(const char *name, const json_t *value, int64_t *ret, char *why)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return request_wrong(why, name, "must be a whole number, 0 or more");
	*ret = json_integer_value(value);
	return 0;
}

static int member_parse(const char *name, const json_t *value,
			struct control_request *request, char *why)
{
	bool *flag;

	if (strcmp(name, "verb") == 0)
		return verb_parse(value, &request->verb, why);
	if (strcmp(name, "group") == 0)
		return text_parse(name, value, request->group, CONTROL_GROUP_MAX, why);
	if (strcmp(name, "key") == 0)
		return text_parse(name, value, request->key, CONTROL_KEY_MAX, why);
	if (strcmp(name, "value") == 0)
		return text_parse(name, value, request->value, CONTROL_VALUE_MAX, why);
	if (strcmp(name, "change") == 0)
		return change_parse(value, &request->change, why);
	if (strcmp(name, "since_ns") == 0)
		return request_number(name, value, &request->since_ns, why);
	if (strcmp(name, "from_seq") == 0)
		return request_number(name, value, &request->from_seq, why);
	if (strcmp(name, "force") == 0)
		flag = &request->force;
	else if (strcmp(name, "hold") == 0)
		flag = &request->hold;
	else if (strcmp(name, "undo") == 0)
		flag = &request->undo;
	else if (strcmp(name, "alone") == 0)
		flag = &request->alone;
	else if (strcmp(name, "dry_run") == 0)
		flag = &request->dry_run;
	else
		return request_wrong(why, name, "is no member of a request");
	if (!json_is_boolean(value))
		return request_wrong(why, name, "must be true or false");
	*flag = json_is_true(value);
	return 0;
}

static int object_parse(json_t *root, struct control_request *ret, char *why)
{
	struct control_request request = { 0 };
	const char *name;
	json_t *value;
	int res;

	if (!json_is_object(root) || !json_object_get(root, "verb")) {
		(void)snprintf(why, CONTROL_WHY_MAX,
			       "a request is a JSON object with a \"verb\"");
		return -EINVAL;
	}
	json_object_foreach(root, name, value)
	{
		res = member_parse(name, value, &request, why);
		if (res < 0)
			return res;
	}
	if (request.verb != CONTROL_PROMOTE &&
	    (request.force || request.hold || request.undo))
		return request_wrong(why, "force, hold and undo", "are for promote");
	if (request.undo && (request.force || request.hold))
		return request_wrong(why, "undo", "goes without force and hold");
	if ((request.verb == CONTROL_STATUS || request.verb == CONTROL_EVENTS) &&
	    request.dry_run)
		return request_wrong(why, "dry_run", "is for what changes something");
	if ((request.verb == CONTROL_OPEN) != request.alone)
		return request_wrong(why, "alone",
				     "is how open opens, and nothing else has");
	if ((request.verb == CONTROL_SET) != (request.key[0] != 0))
		return request_wrong(why, "key",
				     "is what set sets, and nothing else has");
	if ((request.verb == CONTROL_PEER) != (request.change != CONTROL_KEEP))
		return request_wrong(why, "change",
				     "is what peer does, and nothing else has");
	if (request.verb != CONTROL_EVENTS && (request.since_ns || request.from_seq))
		return request_wrong(why, "since_ns and from_seq", "are for events");
	*ret = request;
	return 0;
}

int control_request_parse(const char *line, size_t len, struct control_request *ret,
			  char why[CONTROL_WHY_MAX])
{
	json_error_t error;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	int res;

	if (!root) {
		char quoted[QUOTED_MAX];

		(void)snprintf(why, CONTROL_WHY_MAX, "no JSON object on one line: %s",
			       rt_log_quote(quoted, sizeof(quoted), error.text));
		return -EINVAL;
	}
	res = object_parse(root, ret, why);
	json_decref(root);
	return res;
}

size_t control_request_encode(const struct control_request *request,
			      char line[CONTROL_LINE_MAX])
{
	json_t *root = json_pack("{s:s}", "verb", verb_names[request->verb]);
	size_t len;

	rt_assert(root);
	if (request->group[0])
		(void)json_object_set_new(root, "group", json_string(request->group));
	if (request->verb == CONTROL_SWITCHOVER)
		(void)json_object_set_new(root, "dry_run",
					  json_boolean(request->dry_run));
	if (request->verb == CONTROL_OPEN)
		(void)json_object_update_new(root, json_pack("{s:b, s:b}", "alone",
							     request->alone, "dry_run",
							     request->dry_run));
	if (request->verb == CONTROL_PROMOTE)
		(void)json_object_update_new(
			root, json_pack("{s:b, s:b, s:b, s:b}", "force", request->force,
					"hold", request->hold, "undo", request->undo,
					"dry_run", request->dry_run));
	if (request->verb == CONTROL_SET)
		(void)json_object_update_new(
			root, json_pack("{s:s, s:s, s:b}", "key", request->key, "value",
					request->value, "dry_run", request->dry_run));
	if (request->verb == CONTROL_PEER)
		(void)json_object_update_new(root,
					     json_pack("{s:s, s:b}", "change",
						       change_names[request->change],
						       "dry_run", request->dry_run));
	if (request->verb == CONTROL_EVENTS)
		(void)json_object_update_new(
			root,
			json_pack("{s:I, s:I}", "since_ns", (json_int_t)request->since_ns,
				  "from_seq", (json_int_t)request->from_seq));
	len = json_dumpb(root, line, CONTROL_LINE_MAX - 1, JSON_COMPACT);
	rt_assert(len > 0 && len < CONTROL_LINE_MAX);
	line[len] = '\n';
	json_decref(root);
	return len + 1;
}
