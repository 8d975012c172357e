/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_CONTROL_RUN_H
#define TESTS_UNIT_CONTROL_RUN_H

#include <stdio.h>
#include <string.h>

#include "control/command.h"
#include "tests/unit/unit.h"

/*
 * `wanmirror` as it is called: parse() understands a line, which is cut at its blanks, and
 * run() does what it says, too. What it wrote is in `said` and `complained`. The exit code.
 */
static struct command command;
static char said[8192], complained[8192];

static enum control_exit parse(const char *line)
{
	/* The command points into both. */
	static char copy[1024], program[] = "wanmirror";
	static char *argv[32] = { program };
	FILE *out = fmemopen(said, sizeof(said), "w");
	FILE *err = fmemopen(complained, sizeof(complained), "w");
	enum control_exit exit;
	int argc = 1;
	char *save, *word;

	said[0] = complained[0] = 0;
	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	exit = command_parse(argc, argv, &command, out, err);
	(void)fclose(out);
	(void)fclose(err);
	return exit;
}

static enum control_exit run(const char *line)
{
	enum control_exit exit = parse(line);
	FILE *out, *err;

	if (exit != CONTROL_DONE)
		return exit;
	out = fmemopen(said, sizeof(said), "w");
	err = fmemopen(complained, sizeof(complained), "w");
	exit = command_run(&command, out, err);
	(void)fclose(out);
	(void)fclose(err);
	return exit;
}

#endif
