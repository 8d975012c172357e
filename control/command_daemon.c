// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "control/command.h"
#include "control/config.h"
#include "control/control_client.h"
#include "control/control_request.h"
#include "control/status_json.h"
#include "rt/addr.h"

/* Verbs that the daemon does. */

static void progress_print(const char *text)
{
	fprintf(stderr, "%s\n", text);
}

/* The answer to `request`, or NULL with *exit and the reason said. */
static json_t *request_send(const struct command *command,
			    const struct control_request *request,
			    enum control_exit *exit, FILE *err)
{
	static struct config config; /* large */
	const char *path = command->socket;
	char why[CONTROL_CLIENT_WHY];
	json_t *answer;

	*exit = CONTROL_FAILED;
	if (!path && command_load(command, 0, &config, err) < 0)
		return NULL;
	if (!path)
		path = config.control;
	if (control_client_ask(path, request, progress_print, &answer, why) < 0) {
		fprintf(err, "wanmirror: %s\n", why);
		return NULL;
	}
	*exit = (enum control_exit)json_integer_value(json_object_get(answer, "exit"));
	if (*exit < CONTROL_DONE || *exit > CONTROL_REFUSED)
		*exit = CONTROL_FAILED;
	return answer;
}

static void error_print(const json_t *answer, FILE *err)
{
	const char *text = json_string_value(json_object_get(answer, "error"));

	if (text)
		fprintf(err, "wanmirror: %s\n", text);
}

static void request_init(struct control_request *request, enum control_verb verb,
			 const struct command *command)
{
	memset(request, 0, sizeof(*request));
	request->verb = verb;
	if (command->argument)
		(void)snprintf(request->group, sizeof(request->group), "%.63s",
			       command->argument);
}

enum control_exit command_status(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *answer, *status;

	request_init(&request, CONTROL_STATUS, command);
	answer = request_send(command, &request, &exit, err);
	status = json_object_get(answer, "status");
	error_print(answer, err);
	if (status && command->json) {
		(void)json_dumpf(
			status, out,
			JSON_INDENT(2) |
				JSON_REAL_PRECISION(9)); /* a full disk shows in exit */
		fprintf(out, "\n");
	} else if (status) {
		status_print(status, out);
	}
	json_decref(answer);
	return exit;
}

/* `text` of the answer, or its error. */
static enum control_exit answer_print(json_t *answer, enum control_exit exit, FILE *out,
				      FILE *err)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (exit != CONTROL_DONE)
		error_print(answer, err);
	else if (text)
		fprintf(out, "%s\n", text);
	json_decref(answer);
	return exit;
}

enum control_exit command_set(const struct command *command, FILE *out, FILE *err)
{
	const char *equals =
		strchr(command->setting, '='); /* command_parse() has looked */
	struct control_request request;
	enum control_exit exit;
	json_t *answer;

	request_init(&request, CONTROL_SET, command);
	request.dry_run = command->dry_run;
	(void)snprintf(request.key, sizeof(request.key), "%.*s",
		       (int)(equals - command->setting), command->setting);
	(void)snprintf(request.value, sizeof(request.value), "%s", equals + 1);
	answer = request_send(command, &request, &exit, err);
	return answer_print(answer, exit, out, err);
}

enum control_exit command_peer(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *answer;

	request_init(&request, CONTROL_PEER, command);
	request.change = command->change;
	request.dry_run = command->dry_run;
	answer = request_send(command, &request, &exit, err);
	return answer_print(answer, exit, out, err);
}

enum control_exit command_promote(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *answer;

	request_init(&request, CONTROL_PROMOTE, command);
	request.force = command->force;
	request.hold = command->hold;
	request.dry_run = command->dry_run;
	answer = request_send(command, &request, &exit, err);
	return answer_print(answer, exit, out, err);
}
