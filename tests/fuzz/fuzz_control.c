// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: control */
/*
 * Lines on the control socket, in both directions: a request is refused with a reason, or
 * is whole and means the same when it is written out and read again; and what a daemon
 * answers never breaks the command's screen. The same bytes are also tried as a command line.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "control/command.h"
#include "control/config.h"
#include "control/control_request.h"
#include "control/events.h"
#include "control/moment.h"
#include "control/status_json.h"
#include "rt/check.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever key and value: a configuration that is right, or a reason and the old one. */
static void key_set(const struct control_request *request)
{
	static const char text[] =
		"node = \"n\"; groups: ( { name = \"g\"; store = \"/s\"; role = "
		"\"primary\"; volumes = ( { name = \"v\"; size = \"4KiB\"; } ); peer: { "
		"address = \"10.0.0.1:7700\"; key = \"/k\"; rate = \"1Mbit\"; }; } );";
	static struct config config, before;
	static struct config_errors errors;

	rt_assert(config_parse("base", text, strlen(text), 0, &config, &errors) == 0);
	before = config;
	if (config_set(&config, request->key, request->value, &errors) < 0) {
		rt_assert(errors.n > 0);
		rt_assert(memcmp(&config, &before, sizeof(config)) == 0);
		return;
	}
	rt_assert(config.group.peer.rate_bps > 0 && config.group.peer.fec.r >= 1);
	rt_assert(config.group.peer.fec.min <= config.group.peer.fec.max);
	rt_assert(config.group.heartbeat_ms < config.group.away_ms);
}

static void request_read(const char *line, size_t len)
{
	struct control_request request, again;
	char text[CONTROL_LINE_MAX], why[CONTROL_WHY_MAX] = "";

	if (control_request_parse(line, len, &request, why) < 0) {
		rt_assert(why[0]);
		return;
	}
	rt_assert(strlen(request.group) <= CONTROL_GROUP_MAX);
	len = control_request_encode(&request, text);
	rt_assert(len <= CONTROL_LINE_MAX && text[len - 1] == '\n');
	rt_assert(control_request_parse(text, len - 1, &again, why) == 0);
	rt_assert(request.verb == again.verb && strcmp(request.group, again.group) == 0);
	rt_assert(strcmp(request.key, again.key) == 0 &&
		  strcmp(request.value, again.value) == 0);
	if (request.verb == CONTROL_SET)
		key_set(&request);
	rt_assert(request.force == again.force && request.hold == again.hold &&
		  request.dry_run == again.dry_run && request.change == again.change &&
		  request.since_ns == again.since_ns &&
		  request.from_seq == again.from_seq);
}

static void screen_show(const char *line, size_t len)
{
	static char text[1 << 16];
	json_t *status = json_loadb(line, len, 0, NULL);
	FILE *out = fmemopen(text, sizeof(text), "w");

	rt_assert(out);
	status_print(status, out);
	(void)events_add_page(status, status);
	events_print(status, out);
	(void)fclose(out); /* a text that is too long is cut */
	json_decref(status);
	for (const char *p = text; *p; p++)
		rt_assert(*p == '\n' || (unsigned char)*p >= ' ');
}

/* The input as words of a command line, a line each. */
static void command_line_read(const char *data, size_t size)
{
	static char words[CONTROL_LINE_MAX + 1], out[4096];
	char *argv[WORDS_MAX + 1] = { words };
	FILE *said = fmemopen(out, sizeof(out), "w");
	struct command command;
	int argc = 0;
	char *save, *word;

	rt_assert(said);
	memcpy(words, data, size);
	words[size] = 0;
	word = strtok_r(words, "\n", &save);
	for (; word && argc < WORDS_MAX; word = strtok_r(NULL, "\n", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	if (argc > 0 && command_parse(argc, argv, &command, said, said) == CONTROL_DONE &&
	    command.verb)
		rt_assert(command.config);
	for (int i = 0; i < argc; i++) {
		const char *why = NULL;
		int64_t ns = -1;
		int res = moment_parse(argv[i], INT64_MAX, &ns, &why);

		rt_assert(res == 0 ? ns >= 0 && !why : why != NULL);
	}
	(void)fclose(said); /* a text that is too long is cut */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > CONTROL_LINE_MAX)
		return 0;
	request_read((const char *)data, size);
	screen_show((const char *)data, size);
	command_line_read((const char *)data, size);
	return 0;
}
