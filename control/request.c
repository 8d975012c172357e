// SPDX-License-Identifier: BSD-3-Clause
#include "control/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "rt/check.h"
#include "rt/log.h"

#define QUOTED_MAX 100

static const char *const later[] = {
	"watch",      "snapshot", "mark",  "rewind", "branches",
	"switchover", "rejoin",	  "drill", "verify", "scrub",
	"check",      "plan",	  "set",   "volume", "attach",
};

bool control_verb_is_later(const char *verb)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(later); i++)
		if (strcmp(later[i], verb) == 0)
			return true;
	return false;
}

static int wrong(char *why, const char *name, const char *what)
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
		return wrong(why, "verb", "must be a string");
	if (control_verb_is_later(verb)) {
		(void)wrong(why, verb, "is not in this version");
		return -ENOTSUP;
	}
	if (strcmp(verb, "status") == 0)
		*ret = CONTROL_STATUS;
	else if (strcmp(verb, "promote") == 0)
		*ret = CONTROL_PROMOTE;
	else
		return wrong(why, verb, "is no verb; allowed: status, promote");
	return 0;
}

static int group_parse(const json_t *value, char *group, char *why)
{
	const char *name = json_string_value(value);

	if (!name || strlen(name) > CONTROL_GROUP_MAX)
		return wrong(why, "group", "must be a string of at most 63 bytes");
	(void)snprintf(group, CONTROL_GROUP_MAX + 1, "%s", name);
	return 0;
}

static int member_parse(const char *name, const json_t *value,
			struct control_request *request, char *why)
{
	bool *flag;

	if (strcmp(name, "verb") == 0)
		return verb_parse(value, &request->verb, why);
	if (strcmp(name, "group") == 0)
		return group_parse(value, request->group, why);
	if (strcmp(name, "force") == 0)
		flag = &request->force;
	else if (strcmp(name, "hold") == 0)
		flag = &request->hold;
	else if (strcmp(name, "dry_run") == 0)
		flag = &request->dry_run;
	else
		return wrong(why, name, "is no member of a request");
	if (!json_is_boolean(value))
		return wrong(why, name, "must be true or false");
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
	    (request.force || request.hold || request.dry_run))
		return wrong(why, "force, hold and dry_run", "are for promote");
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
	bool promote = request->verb == CONTROL_PROMOTE;
	json_t *root = json_pack("{s:s}", "verb", promote ? "promote" : "status");
	size_t len;

	rt_assert(root);
	if (request->group[0])
		(void)json_object_set_new(root, "group", json_string(request->group));
	if (promote)
		(void)json_object_update_new(root, json_pack("{s:b, s:b, s:b}", "force",
							     request->force, "hold",
							     request->hold, "dry_run",
							     request->dry_run));
	len = json_dumpb(root, line, CONTROL_LINE_MAX - 1, JSON_COMPACT);
	rt_assert(len > 0 && len < CONTROL_LINE_MAX);
	line[len] = '\n';
	json_decref(root);
	return len + 1;
}
