// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/command.h"
#include "control/config.h"
#include "control/config_key.h"
#include "control/process.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "rt/loop.h"

struct create {
	struct rt_loop *loop;
	struct group_create op;
	FILE *progress; /* NULL: nobody looks on */
	unsigned percent;
	int res;
};

/* What can take hours shows that it goes on. */
static void create_filled(struct group_create *op, uint64_t bytes, uint64_t size)
{
	struct create *create = rt_container_of(op, struct create, op);
	unsigned percent = (unsigned)((double)bytes * 100 / (double)size);

	if (!create->progress || (percent == create->percent && bytes < size))
		return;
	create->percent = percent;
	fprintf(create->progress, "\rfilling the store: %u %%%s", percent,
		bytes < size ? "" : "\n");
	(void)fflush(create->progress); /* it is only to be looked at */
}

static void create_done(struct group_create *op, int res)
{
	struct create *create = rt_container_of(op, struct create, op);

	create->res = res;
	rt_loop_stop(create->loop);
}

static const char *role_name(const struct group_config *g)
{
	return g->role == GROUP_MIRROR ? "mirror" : "primary";
}

static enum control_exit create_finished(const struct group_config *g, int res,
					 const char *why, FILE *out, FILE *err)
{
	const char *hint = process_hint(res);

	if (res == 0) {
		fprintf(out, "created group %s as %s in %s\n", g->name, role_name(g),
			g->store);
		return CONTROL_DONE;
	}
	fprintf(err, "wanmirror: group %s: %s%s%s%s\n", g->name,
		why[0] ? why : strerror(-res), hint[0] ? " (" : "", hint,
		hint[0] ? ")" : "");
	if (res == -EBUSY) {
		fprintf(err,
			"It is in use, so it is there already; the daemon that has it "
			"was not disturbed.\n");
		return CONTROL_REFUSED;
	}
	if (res != -EEXIST)
		return CONTROL_FAILED;
	fprintf(err, "A store that exists is never overwritten. To make a new one, first "
		     "remove the file, or wipe the beginning of the device.\n");
	return CONTROL_REFUSED;
}

static enum control_exit create_group(const struct group_config *g, bool fill, FILE *out,
				      FILE *err)
{
	struct create create = {
		.op = { .done = create_done, .filled = create_filled, .fill = fill },
		.progress = isatty(fileno(err)) ? err : NULL,
		.res = -ECANCELED,
	};
	int res = rt_loop_new(&create.loop);

	if (res < 0) {
		fprintf(err, "wanmirror: no io_uring: %s (%s)\n", strerror(-res),
			process_hint_loop(res));
		return CONTROL_FAILED;
	}
	group_create(create.loop, g, &create.op);
	res = rt_loop_run(create.loop);
	if (res < 0) { /* and the loop cannot be freed any more */
		fprintf(err,
			"wanmirror: group %s: io_uring has failed, and the store is not "
			"whole: %s (%s)\n",
			g->name, strerror(-res), process_hint_loop(res));
		return CONTROL_FAILED;
	}
	rt_loop_free(create.loop);
	return create_finished(g, create.res, create.op.why, out, err);
}

/*
 * True, and said, when something else may be on the device. `force`: said all the same, for
 * who has named the wrong device reads here what is gone.
 */
static bool create_would_destroy(const struct group_config *g, bool force, FILE *err)
{
	char what[COMMAND_FOUND_MAX];
	struct stat st;
	int res;

	/* A file that exists is never overwritten anyway. */
	if (stat(g->store, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	res = command_find_content(g->store, what);
	if (res == 0)
		return false;
	if (res < 0)
		fprintf(err, "wanmirror: group %s: cannot see what is on %s: %s\n",
			g->name, g->store, strerror(-res));
	else
		fprintf(err, "wanmirror: group %s: %s holds %s\n", g->name, g->store,
			what);
	if (force)
		fprintf(err, "It is overwritten (--force).\n");
	else
		fprintf(err,
			"create would destroy it. Check that this is the right device; "
			"--force then makes the store all the same.\n");
	return true;
}

enum control_exit command_create(const struct command *command, FILE *out, FILE *err)
{
	static struct config config; /* large */

	if (command_load(command, 0, &config, err) < 0)
		return CONTROL_FAILED;
	if (command->argument && strcmp(command->argument, config.group.name) != 0) {
		fprintf(err, "wanmirror: %s has no group %s; allowed: %s\n",
			command->config, command->argument, config.group.name);
		return CONTROL_USAGE;
	}
	if (create_would_destroy(&config.group, command->force, err) && !command->force)
		return CONTROL_REFUSED;
	if (!command->dry_run)
		return create_group(&config.group, command->fill, out, err);
	fprintf(out, "would create group %s as %s in %s\n", config.group.name,
		role_name(&config.group), config.group.store);
	return CONTROL_DONE;
}

enum control_exit command_keygen(const struct command *command, FILE *out, FILE *err)
{
	char why[CONFIG_KEY_WHY];
	int res;

	if (command->dry_run) {
		res = access(command->argument, F_OK) == 0 ? -EEXIST : 0;
		if (res == 0)
			fprintf(out, "would make a key in %s\n", command->argument);
		else
			fprintf(err, "wanmirror: %s is there already\n",
				command->argument);
		return res == 0 ? CONTROL_DONE : CONTROL_REFUSED;
	}
	res = config_key_make(command->argument, why);
	if (res == 0)
		return CONTROL_DONE;
	fprintf(err, "wanmirror: %s: %s\n", command->argument, why);
	return res == -EEXIST ? CONTROL_REFUSED : CONTROL_FAILED;
}
