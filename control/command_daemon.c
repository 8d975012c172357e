// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/command.h"
#include "control/config.h"
#include "control/control_client.h"
#include "control/control_request.h"
#include "control/events.h"
#include "control/moment.h"
#include "control/status_json.h"
#include "rt/addr.h"
#include "rt/time.h"

/* Verbs that the daemon does. */

/* The answer to `request`, or NULL with *exit and the reason said. */
static json_t *command_send(const struct command *command,
			    const struct control_request *request,
			    enum control_exit *exit, FILE *progress, FILE *err)
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
	if (control_client_ask(path, request, progress, &answer, why) < 0) {
		fprintf(err, "wanmirror: %s\n", why);
		return NULL;
	}
	*exit = (enum control_exit)json_integer_value(json_object_get(answer, "exit"));
	if (*exit < CONTROL_DONE || *exit > CONTROL_REFUSED)
		*exit = CONTROL_FAILED;
	return answer;
}

/* A text of several lines brings its last newline along. */
static void command_print_text(const char *text, FILE *out)
{
	size_t len = strlen(text);

	fprintf(out, "%s%s", text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
}

static void command_print_error(const json_t *answer, FILE *err)
{
	const char *text = json_string_value(json_object_get(answer, "error"));

	if (!text)
		return;
	fprintf(err, "wanmirror: ");
	command_print_text(text, err);
}

static void command_print_json(const json_t *value, FILE *out)
{
	/* A full disk shows in the exit status. */
	(void)json_dumpf(value, out,
			 JSON_INDENT(2) | JSON_REAL_PRECISION(STATUS_JSON_DIGITS));
	fprintf(out, "\n");
}

/* All options are copied: command_parse() refuses those that the verb does not take. */
static void command_init_request(struct control_request *request,
				 const struct command *command)
{
	*request = (struct control_request){
		.verb = command->order,
		.force = command->force,
		.hold = command->hold,
		.undo = command->undo,
		.alone = command->alone,
		.dry_run = command->dry_run,
		.change = command->change,
	};
	if (command->argument)
		(void)snprintf(request->group, sizeof(request->group), "%.63s",
			       command->argument);
}

enum control_exit command_status(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *answer, *status;

	command_init_request(&request, command);
	answer = command_send(command, &request, &exit, err, err);
	status = json_object_get(answer, "status");
	command_print_error(answer, err);
	if (status && command->json) {
		command_print_json(status, out);
	} else if (status) {
		status_print(status, out);
	}
	json_decref(answer);
	return exit;
}

/* When --since begins: 0 where it is not said. false, and *since_ns is what it was. */
static bool command_since(const struct command *command, int64_t *since_ns, FILE *err)
{
	struct timespec now = { 0 };
	const char *why;

	if (!command->since)
		return true;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* there is such a clock */
	if (moment_parse(command->since, now.tv_sec * RT_S + now.tv_nsec, since_ns,
			 &why) == 0)
		return true;
	fprintf(err,
		"wanmirror: --since %s: %s; say how long ago, as 10min, 2h or 3d, or a "
		"time such as 2026-11-30T21:06:00Z\n",
		command->since, why);
	return false;
}

/* All pages of the answer; NULL with *exit and the reason said. */
static json_t *command_ask_events(const struct command *command,
				  struct control_request *request,
				  enum control_exit *exit, FILE *err)
{
	json_t *answer = command_send(command, request, exit, err, err);
	json_t *events = json_incref(json_object_get(answer, "events"));
	int64_t next = events_add_page(events, events);

	command_print_error(answer, err);
	/* Each begins behind the one before it: there is an end. */
	while (next > request->from_seq) {
		request->from_seq = next;
		json_decref(answer);
		answer = command_send(command, request, exit, err, err);
		command_print_error(answer, err);
		next = events_add_page(events, json_object_get(answer, "events"));
	}
	json_decref(answer);
	return events;
}

enum control_exit command_events(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *events;

	command_init_request(&request, command);
	if (!command_since(command, &request.since_ns, err))
		return CONTROL_USAGE;
	events = command_ask_events(command, &request, &exit, err);
	if (events && command->json) {
		command_print_json(events, out);
	} else if (events) {
		events_print(events, out);
	}
	json_decref(events);
	return exit;
}

/* `text` of the answer, or its error; with --json all of it. */
static enum control_exit command_print_answer(const struct command *command,
					      json_t *answer, enum control_exit exit,
					      FILE *out, FILE *err)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (answer && command->json)
		command_print_json(answer, out);
	else if (exit == CONTROL_DONE && text)
		command_print_text(text, out);
	if (exit != CONTROL_DONE)
		command_print_error(answer, err);
	json_decref(answer);
	return exit;
}

/* Send it, and print what the daemon says. */
static enum control_exit command_send_order(const struct command *command,
					    const struct control_request *request,
					    FILE *out, FILE *err)
{
	enum control_exit exit;
	json_t *answer = command_send(command, request, &exit, err, err);

	return command_print_answer(command, answer, exit, out, err);
}

enum control_exit command_set(const struct command *command, FILE *out, FILE *err)
{
	const char *equals =
		strchr(command->setting, '='); /* command_parse() has looked */
	struct control_request request;

	command_init_request(&request, command);
	(void)snprintf(request.key, sizeof(request.key), "%.*s",
		       (int)(equals - command->setting), command->setting);
	(void)snprintf(request.value, sizeof(request.value), "%s", equals + 1);
	return command_send_order(command, &request, out, err);
}

/* With --json `out` has the answer and nothing else: then progress goes to `err`. */
enum control_exit command_switchover(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;
	enum control_exit exit;
	json_t *answer;

	command_init_request(&request, command);
	answer = command_send(command, &request, &exit, command->json ? err : out, err);
	if (answer && exit == CONTROL_DONE && !command->dry_run && !command->json)
		fprintf(out, "last LSN of the old primary: %lld; pause: %lld ms\n",
			(long long)json_integer_value(json_object_get(answer, "lsn")),
			(long long)json_integer_value(
				json_object_get(answer, "pause_ms")));
	return command_print_answer(command, answer, exit, out, err);
}

enum control_exit command_order(const struct command *command, FILE *out, FILE *err)
{
	struct control_request request;

	command_init_request(&request, command);
	return command_send_order(command, &request, out, err);
}
