// SPDX-License-Identifier: BSD-3-Clause
#include "control/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "control/config.h"
#include "control/control_request.h"
#include "rt/check.h"

enum {
	OPTION_FORCE = 256,
	OPTION_HOLD,
	OPTION_UNDO,
	OPTION_ALONE,
	OPTION_DRY_RUN,
	OPTION_FILL,
	OPTION_JSON,
	OPTION_SINCE,
	OPTION_VERSION,
};

#define TAKES_JSON 1u
#define TAKES_FORCE 2u
#define TAKES_UNDO 4096u
#define TAKES_HOLD 256u
#define TAKES_DRY_RUN 4u
#define WANTS_ARGUMENT 8u
#define MAY_HAVE_ARGUMENT 16u
#define WANTS_SETTING 32u /* after the group, which may be left out: KEY=VALUE */
#define READS_ITS_LINE 64u
#define TAKES_FILL 128u
#define WANTS_ALONE 2048u /* --alone, which says how */
#define WANTS_CHANGE 512u /* before the group, which may be left out: replace or forget */

#define TAKES_SINCE 1024u

#define TAKES_OF_PROMOTE                                                                 \
	(TAKES_FORCE | TAKES_HOLD | TAKES_UNDO | TAKES_DRY_RUN | MAY_HAVE_ARGUMENT)

struct command_verb {
	const char *name;
	unsigned takes;
	enum control_exit (*run)(const struct command *command, FILE *out, FILE *err);
	enum control_verb order; /* of the daemon, where it is asked */
};

static const struct command_verb verbs[] = {
	{ "create", TAKES_FORCE | TAKES_DRY_RUN | TAKES_FILL | MAY_HAVE_ARGUMENT,
	  .run = command_create },
	{ "keygen", TAKES_DRY_RUN | WANTS_ARGUMENT, .run = command_keygen },
	{ "status", TAKES_JSON | MAY_HAVE_ARGUMENT, command_status, CONTROL_STATUS },
	{ "promote", TAKES_OF_PROMOTE, command_order, CONTROL_PROMOTE },
	{ "switchover", TAKES_JSON | TAKES_DRY_RUN | MAY_HAVE_ARGUMENT,
	  command_switchover, CONTROL_SWITCHOVER },
	{ "open", TAKES_DRY_RUN | MAY_HAVE_ARGUMENT | WANTS_ALONE, command_order,
	  CONTROL_OPEN },
	{ "peer", TAKES_DRY_RUN | MAY_HAVE_ARGUMENT | WANTS_CHANGE, command_order,
	  CONTROL_PEER },
	{ "set", TAKES_DRY_RUN | MAY_HAVE_ARGUMENT | WANTS_SETTING, command_set,
	  CONTROL_SET },
	{ "events", TAKES_JSON | TAKES_SINCE | MAY_HAVE_ARGUMENT, command_events,
	  CONTROL_EVENTS },
	{ "plan", READS_ITS_LINE, .run = command_plan },
};

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "force", no_argument, NULL, OPTION_FORCE },
	{ "hold", no_argument, NULL, OPTION_HOLD },
	{ "undo", no_argument, NULL, OPTION_UNDO },
	{ "alone", no_argument, NULL, OPTION_ALONE },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "fill", no_argument, NULL, OPTION_FILL },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 },
};

static const char usage[] =
	"usage: wanmirror [-c FILE | -s SOCKET] VERB ...\n"
	"  create [GROUP] [--fill] [--force] [--dry-run]\n"
	"                                 make the store that the file names; never over "
	"another\n"
	"  keygen FILE                    make a new key, readable by its owner only\n"
	"  status [GROUP] [--json]        what the daemon does now\n"
	"  events [GROUP] [--since TIME] [--json]\n"
	"                                 what happened to the group, and when\n"
	"  promote [GROUP] [--force] [--hold] [--dry-run]\n"
	"                                 make this mirror the primary\n"
	"  promote --undo [GROUP] [--dry-run]\n"
	"                                 the mirror again, while nothing was written\n"
	"  switchover [GROUP] [--dry-run] [--json]\n"
	"                                 primary and mirror change roles; asked at "
	"either\n"
	"  open [GROUP] --alone [--dry-run]\n"
	"                                 let a primary that waits for its mirror open "
	"without it\n"
	"  peer replace|forget [GROUP] [--dry-run]\n"
	"                                 take another store for the peer, or none\n"
	"  set [GROUP] KEY=VALUE [--dry-run]\n"
	"                                 change what may change while the daemon runs\n"
	"  plan --rtt MS --rate RATE ...  what a link costs, and its risk; see plan "
	"--help\n"
	"FILE is " CONFIG_DEFAULT_PATH " if it is not said. See wanmirror(1).\n";

static const struct command_verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* The first word that is neither an option nor an option's value: it tells what the rest
 * means, so a verb of a later version is named before its options are found unknown. */
static const char *verb_guess(int argc, char **argv)
{
	static const char *const with_value[] = { "-c", "-s", "--config", "--socket",
						  "--since" };

	for (int i = 1; i < argc; i++) {
		bool value = false;

		if (argv[i][0] != '-')
			return argv[i];
		for (unsigned j = 0; j < RT_ARRAY_LEN(with_value); j++)
			value |= strcmp(argv[i], with_value[j]) == 0;
		i += value;
	}
	return NULL;
}

__attribute__((format(printf, 2, 3))) static enum control_exit wrong(FILE *err,
								     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(err, "wanmirror: ");
	(void)vfprintf(err, fmt, args); /* standard error is all there is to tell */
	fprintf(err, "\n");
	va_end(args);
	return CONTROL_USAGE;
}

/* One option; false when it ends the command line's reading (help, version). */
static bool option_take(int option, struct command *c, FILE *out)
{
	switch (option) {
	case 'c':
		c->config = optarg;
		break;
	case 's':
		c->socket = optarg;
		break;
	case OPTION_JSON:
		c->json = true;
		break;
	case OPTION_FORCE:
		c->force = true;
		break;
	case OPTION_HOLD:
		c->hold = true;
		break;
	case OPTION_UNDO:
		c->undo = true;
		break;
	case OPTION_ALONE:
		c->alone = true;
		break;
	case OPTION_DRY_RUN:
		c->dry_run = true;
		break;
	case OPTION_FILL:
		c->fill = true;
		break;
	case OPTION_SINCE:
		c->since = optarg;
		break;
	case 'h':
		fprintf(out, "%s", usage);
		return false;
	case OPTION_VERSION:
		fprintf(out, "wanmirror %s\n", WANMIRROR_VERSION);
		return false;
	}
	return true;
}

static enum control_exit verb_check(const struct command *c, int nargs, FILE *err)
{
	unsigned takes = c->verb->takes;
	const char *name = c->verb->name;

	if (c->json && !(takes & TAKES_JSON))
		return wrong(err, "%s takes no --json", name);
	if (c->force && !(takes & TAKES_FORCE))
		return wrong(err, "%s takes no --force", name);
	if (c->hold && !(takes & TAKES_HOLD))
		return wrong(err, "%s takes no --hold", name);
	if (c->undo && !(takes & TAKES_UNDO))
		return wrong(err, "%s takes no --undo", name);
	if (c->undo && (c->force || c->hold))
		return wrong(err, "%s --undo takes no --force and no --hold", name);
	if (c->alone && !(takes & WANTS_ALONE))
		return wrong(err, "%s takes no --alone", name);
	if (!c->alone && takes & WANTS_ALONE)
		return wrong(err, "%s wants --alone: it opens without the mirror", name);
	if (c->dry_run && !(takes & TAKES_DRY_RUN))
		return wrong(err, "%s takes no --dry-run: it changes nothing", name);
	if (c->fill && !(takes & TAKES_FILL))
		return wrong(err, "%s takes no --fill", name);
	if (c->since && !(takes & TAKES_SINCE))
		return wrong(err, "%s takes no --since", name);
	if (nargs == 0 && takes & WANTS_ARGUMENT)
		return wrong(err, "%s wants a FILE", name);
	if (takes & WANTS_SETTING && (nargs == 0 || nargs > 2))
		return wrong(err, "%s wants KEY=VALUE, after the group if it is named",
			     name);
	if (takes & WANTS_CHANGE && (nargs == 0 || nargs > 2))
		return wrong(
			err,
			"%s wants replace or forget, before the group if it is named",
			name);
	if (nargs > 1 && !(takes & (WANTS_SETTING | WANTS_CHANGE)))
		return wrong(err, "%s takes one argument at most, not %d", name, nargs);
	return CONTROL_DONE;
}

static bool setting_is_one(const char *setting)
{
	const char *equals = strchr(setting, '=');

	return equals && equals > setting && equals - setting <= CONTROL_KEY_MAX &&
	       strlen(equals + 1) <= CONTROL_VALUE_MAX;
}

enum control_exit command_parse(int argc, char **argv, struct command *ret, FILE *out,
				FILE *err)
{
	struct command c = { .config = CONFIG_DEFAULT_PATH };
	const char *guess = verb_guess(argc, argv);
	enum control_exit exit;
	int option;

	if (guess && control_verb_is_later(guess))
		return wrong(err, "%s is not in this version", guess);
	c.verb = guess ? verb_find(guess) : NULL;
	if (c.verb && c.verb->takes & READS_ITS_LINE) {
		c.argc = argc;
		c.argv = argv;
		*ret = c;
		return CONTROL_DONE;
	}
	opterr = 0;
	optind = 0; /* all over again, for tests that parse twice */
	while ((option = getopt_long(argc, argv, ":c:s:h", options, NULL)) != -1) {
		if (option == ':')
			return wrong(err, "%s wants a value", argv[optind - 1]);
		if (option == '?')
			return wrong(err, "%s is no option; see wanmirror --help",
				     argv[optind - 1]);
		if (!option_take(option, &c, out)) {
			*ret = (struct command){ 0 };
			return CONTROL_DONE;
		}
	}
	if (optind == argc) {
		fprintf(err, "%s", usage);
		return CONTROL_USAGE;
	}
	c.verb = verb_find(argv[optind]);
	if (!c.verb)
		return wrong(err,
			     "%s is no verb; allowed: create, keygen, status, events, "
			     "promote, switchover, open, peer, set, plan",
			     argv[optind]);
	exit = verb_check(&c, argc - optind - 1, err);
	if (exit != CONTROL_DONE)
		return exit;
	if (c.verb->takes & WANTS_CHANGE &&
	    !control_change_parse(argv[++optind], &c.change))
		return wrong(err, "there is no peer %s; allowed: replace, forget",
			     argv[optind]);
	if (c.verb->takes & WANTS_SETTING)
		c.setting = argv[--argc];
	if (c.setting && !setting_is_one(c.setting))
		return wrong(err, "%s is no KEY=VALUE", c.setting);
	c.order = c.verb->order;
	c.argument = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (c.argument && !(c.verb->takes & WANTS_ARGUMENT) &&
	    strlen(c.argument) > CONTROL_GROUP_MAX)
		return wrong(err, "%s is no group's name", c.argument);
	*ret = c;
	return CONTROL_DONE;
}

enum control_exit command_run(const struct command *command, FILE *out, FILE *err)
{
	enum control_exit exit = CONTROL_DONE;

	if (command->verb)
		exit = command->verb->run(command, out, err);
	/* What a full disk has swallowed was not said. */
	if ((fflush(out) != 0 || ferror(out)) && exit == CONTROL_DONE) {
		fprintf(err, "wanmirror: standard output: %s\n", strerror(errno));
		exit = CONTROL_FAILED;
	}
	return exit;
}

int command_load(const struct command *command, unsigned flags, struct config *ret,
		 FILE *err)
{
	struct config_errors errors;
	int res = config_load(command->config, flags, ret, &errors);

	config_errors_print(&errors, err);
	return res;
}
