// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/control/run.h"

/*
 * The command line is where an operator's word becomes an order: options count wherever
 * they stand, what is not understood is refused with exit code 2 and does nothing, and
 * nothing that exists is overwritten.
 */

static void options_stand_before_or_after_the_verb(void **state)
{
	static const char *const lines[] = {
		"-s /s --force --hold promote db",
		"promote db -s /s --force --hold",
		"--hold promote -s /s db --force",
		"promote --force --hold db --socket=/s",
		"--force promote db --socket /s --hold",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(parse(lines[i]), CONTROL_DONE);
		assert_string_equal(command.socket, "/s");
		assert_string_equal(command.argument, "db");
		assert_true(command.force && command.hold && !command.dry_run);
		assert_string_equal(command.config, "/etc/wanmirror/wanmirror.conf");
	}
	assert_int_equal(parse("status --json -c f"), CONTROL_DONE);
	assert_string_equal(command.config, "f");
	assert_null(command.argument);
	assert_true(command.json);
	assert_int_equal(parse("set db fec.code=rs"), CONTROL_DONE);
	assert_string_equal(command.argument, "db");
	assert_string_equal(command.setting, "fec.code=rs");
	assert_int_equal(parse("set --dry-run congestion="), CONTROL_DONE);
	assert_null(command.argument);
	assert_string_equal(command.setting, "congestion=");
	assert_int_equal(parse("peer replace"), CONTROL_DONE);
	assert_int_equal(command.change, CONTROL_REPLACE);
	assert_null(command.argument);
	assert_false(command.dry_run);
	assert_int_equal(parse("--dry-run peer forget db -s /s"), CONTROL_DONE);
	assert_int_equal(command.change, CONTROL_FORGET);
	assert_string_equal(command.argument, "db");
	assert_true(command.dry_run);
	assert_int_equal(parse("events db --since 10min --json"), CONTROL_DONE);
	assert_string_equal(command.argument, "db");
	assert_string_equal(command.since, "10min");
	assert_true(command.json);
	assert_int_equal(parse("--since 2h events"), CONTROL_DONE);
	assert_string_equal(command.since, "2h");
	assert_null(command.argument);
	assert_int_equal(parse("create --dry-run"), CONTROL_DONE);
	assert_true(command.dry_run && !command.fill);
	assert_int_equal(parse("--fill create db"), CONTROL_DONE);
	assert_true(command.fill);
}

static void wrong_usage_is_refused(void **state)
{
	static const char *const lines[][2] = {
		{ "", "usage:" },
		{ "destroy", "no verb" },
		{ "--wipe status", "--wipe is no option" },
		{ "status --wipe", "--wipe is no option" },
		{ "status -c", "-c wants a value" },
		{ "status --force", "no --force" },
		{ "create --json", "no --json" },
		{ "create --hold", "no --hold" },
		{ "status --fill", "no --fill" },
		{ "keygen", "wants a FILE" },
		{ "keygen a b", "one argument" },
		{ "promote a b", "one argument" },
		{ "set", "wants KEY=VALUE" },
		{ "set db", "db is no KEY=VALUE" },
		{ "set db =x", "=x is no KEY=VALUE" },
		{ "set sync=local db", "db is no KEY=VALUE" },
		{ "set a b c=d", "wants KEY=VALUE" },
		{ "set sync=local --force", "no --force" },
		{ "status --dry-run", "no --dry-run" },
		{ "open", "open wants --alone" },
		{ "open db", "open wants --alone" },
		{ "promote --alone", "promote takes no --alone" },
		{ "open db lon --alone", "open takes one argument" },
		{ "peer", "peer wants replace or forget" },
		{ "peer --dry-run", "peer wants replace or forget" },
		{ "peer db", "no peer db; allowed: replace, forget" },
		{ "peer db replace", "no peer db; allowed: replace, forget" },
		{ "peer replace db nyc", "peer wants replace or forget" },
		{ "peer replace --force", "no --force" },
		{ "status --since 10min", "no --since" },
		{ "events --since", "--since wants a value" },
		{ "events --dry-run", "no --dry-run" },
		{ "events a b", "one argument" },
		{ "destroy", "events" },
		{ "status "
		  "a234567890123456789012345678901234567890123456789012345678901234",
		  "no group's name" },
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(parse(lines[i][0]), CONTROL_USAGE);
		if (!strstr(complained, lines[i][1]))
			fail_msg("%s: %s", lines[i][0], complained);
	}
}

/* A time that is none is refused before anybody is asked. */
static void a_time_that_is_none_is_refused(void **state)
{
	assert_int_equal(run("events --since yesterday -s /no/such/socket"),
			 CONTROL_USAGE);
	assert_non_null(strstr(complained, "--since yesterday: it does not begin"));
	assert_non_null(strstr(complained, "10min, 2h or 3d"));
	assert_int_equal(run("events --since 10min -s /no/such/socket"), CONTROL_FAILED);
	assert_non_null(strstr(complained, "no daemon listens"));
}

/* Also with options that only a later version knows. */
static void verbs_of_later_versions_are_named(void **state)
{
	static const char *const lines[] = {
		"snapshot db s1",	"-c /f verify db",	 "-s /s drill db --run x",
		"volume add db v 1GiB", "attach data /dev/nbd0", "watch",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(parse(lines[i]), CONTROL_USAGE);
		if (!strstr(complained, "not in this version"))
			fail_msg("%s: %s", lines[i], complained);
	}
}

static void help_and_version_are_no_errors(void **state)
{
	assert_int_equal(run("--help"), CONTROL_DONE);
	assert_int_equal(run("--version"), CONTROL_DONE);
	assert_int_equal(parse("status --help"), CONTROL_DONE);
	assert_non_null(strstr(said, "usage:"));
	assert_null(command.verb);
}

static void keygen_refuses_what_is_there(void **state)
{
	char dir[] = "/tmp/wanmirror-command-XXXXXX";
	char line[100];
	struct stat before, after;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(line, sizeof(line), "keygen %s/key --dry-run", dir);
	assert_int_equal(run(line), CONTROL_DONE);
	assert_int_equal(stat(command.argument, &before), -1);
	(void)snprintf(line, sizeof(line), "keygen %s/key", dir);
	assert_int_equal(run(line), CONTROL_DONE);
	assert_int_equal(stat(command.argument, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	assert_int_equal(run(line), CONTROL_REFUSED);
	assert_non_null(strstr(complained, "never overwritten"));
	assert_int_equal(stat(command.argument, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	(void)unlink(command.argument);
	(void)rmdir(dir);
	assert_int_equal(run("keygen /nonexistent/folder/key"), CONTROL_FAILED);
}

static void daemon_that_is_not_there_is_said(void **state)
{
	assert_int_equal(run("-s /nonexistent/control.sock status"), CONTROL_FAILED);
	assert_non_null(
		strstr(complained, "no daemon listens on /nonexistent/control.sock"));
	assert_int_equal(run("-s /nonexistent/control.sock promote"), CONTROL_FAILED);
	assert_int_equal(run("-c /nonexistent/wm.conf status"), CONTROL_FAILED);
	assert_non_null(strstr(complained, "cannot be read"));
}

static void create_takes_the_group_of_its_file(void **state)
{
	assert_int_equal(run("-c etc/wanmirror-mirror.conf create other"), CONTROL_USAGE);
	assert_non_null(strstr(complained, "allowed: db"));
	assert_int_equal(run("-c etc/wanmirror-mirror.conf create db --dry-run"),
			 CONTROL_DONE);
	assert_non_null(strstr(said, "would create group db as mirror"));
}

/* /dev/full takes everything and keeps nothing: an answer that nobody got is no success. */
static void what_a_full_disk_swallows_is_a_failure(void **state)
{
	static const char *const lines[] = {
		"plan --rtt 50 --rate 1Gbit",
		"plan --rtt 50 --rate 1Gbit --json",
		"plan --help",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		FILE *full = fopen("/dev/full", "w"), *none = fopen("/dev/null", "w");
		char *argv[16], copy[128], *save;
		int argc = 0;
		struct command line;

		assert_true(full && none);
		argv[argc++] = (char[]){ "wanmirror" };
		(void)snprintf(copy, sizeof(copy), "%s", lines[i]);
		for (char *word = strtok_r(copy, " ", &save); word;
		     word = strtok_r(NULL, " ", &save))
			argv[argc++] = word;
		argv[argc] = NULL;
		assert_int_equal(command_parse(argc, argv, &line, full, none),
				 CONTROL_DONE);
		assert_int_equal(command_run(&line, full, none), CONTROL_FAILED);
		(void)fclose(full);
		(void)fclose(none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_before_or_after_the_verb),
		cmocka_unit_test(wrong_usage_is_refused),
		cmocka_unit_test(a_time_that_is_none_is_refused),
		cmocka_unit_test(verbs_of_later_versions_are_named),
		cmocka_unit_test(help_and_version_are_no_errors),
		cmocka_unit_test(keygen_refuses_what_is_there),
		cmocka_unit_test(daemon_that_is_not_there_is_said),
		cmocka_unit_test(create_takes_the_group_of_its_file),
		cmocka_unit_test(what_a_full_disk_swallows_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
