/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "control/control_request.h"
#include "control/version.h"

/* What the command line of `wanmirror` asks for, and the verbs that do it. */

struct command_verb;

struct command {
	const char *config; /* file */
	const char *socket; /* NULL: the one that the file names */
	bool json, force, hold, undo, alone, dry_run, fill;
	const struct command_verb *verb; /* NULL: --help or --version was served */
	enum control_verb order;	 /* what the daemon is asked, where it is asked */
	const char *argument;		 /* of the verb, or NULL */
	const char *setting;		 /* KEY=VALUE of set, or NULL */
	enum control_change change;	 /* of peer */
	const char *since;		 /* of events, or NULL */
	/* The whole line, lent, for a verb that has options of its own. */
	int argc;
	char **argv;
};

/*
 * Read the command line; options may stand before or after the verb. CONTROL_DONE with
 * *ret, or CONTROL_USAGE with a reason written to `err`. What --help and --version say
 * goes to `out`.
 */
enum control_exit command_parse(int argc, char **argv, struct command *ret, FILE *out,
				FILE *err);
/* Do it. What is done goes to `out`, what went wrong to `err`. */
enum control_exit command_run(const struct command *command, FILE *out, FILE *err);

/* ---- the verbs (command_create.c, command_daemon.c) ------------------------------------- */

/*
 * What libblkid knows at the beginning of the device or file at `path` ("an ext4 file
 * system"), for people, in `what` of COMMAND_FOUND_MAX bytes: 1. 0: nothing that it knows, or
 * no such file; -errno when it cannot be read.
 */
#define COMMAND_FOUND_MAX 96
int command_find_content(const char *path, char *what);

enum control_exit command_create(const struct command *command, FILE *out, FILE *err);
enum control_exit command_keygen(const struct command *command, FILE *out, FILE *err);
enum control_exit command_status(const struct command *command, FILE *out, FILE *err);
/* What the daemon does and answers with a text, such as promote. */
enum control_exit command_order(const struct command *command, FILE *out, FILE *err);
enum control_exit command_switchover(const struct command *command, FILE *out, FILE *err);
enum control_exit command_events(const struct command *command, FILE *out, FILE *err);
enum control_exit command_set(const struct command *command, FILE *out, FILE *err);
/* It asks no daemon and reads no file (command_plan.c). */
enum control_exit command_plan(const struct command *command, FILE *out, FILE *err);

struct config;
/* Read command->config into *ret, or say on `err` what is wrong with it. 0 or -EINVAL. */
int command_load(const struct command *command, unsigned flags, struct config *ret,
		 FILE *err);

#endif
