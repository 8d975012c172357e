// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the system does not grant is said at the start, with what would help: a stack that
 * is too small would be a SIGSEGV later, a limit on file sizes a SIGXFSZ.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/process.h"
#include "rt/log.h"
#include "tests/unit/unit.h"

/* Standard error of `body`, in text. */
static void captured(void (*body)(void), char text[512])
{
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_true(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
	body();
	(void)fflush(stderr);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	(void)close(before);
	(void)close(ends[1]);
	n = read(ends[0], text, 511);
	assert_true(n >= 0);
	text[n] = 0;
	(void)close(ends[0]);
}

static void prepare_with_a_small_stack(void)
{
	struct rlimit limit, small;

	assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
	small = (struct rlimit){ PROCESS_STACK_MIN - 4096, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
	assert_int_equal(process_prepare("prog"), -ENOMEM);
	small.rlim_cur = PROCESS_STACK_MIN;
	assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
	assert_int_equal(process_prepare("prog"), 0);
	assert_int_equal(setrlimit(RLIMIT_STACK, &limit), 0);
}

static void a_small_stack_is_refused_with_what_is_needed(void **state)
{
	char text[512];

	captured(prepare_with_a_small_stack, text);
	assert_string_equal(text,
			    "prog: the stack may have 508 KiB and needs 512: see ulimit "
			    "-s, or LimitSTACK= of the service\n");
}

static void a_limit_on_files_is_no_signal(void **state)
{
	struct sigaction action;

	(void)signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(process_prepare("prog"), 0);
	assert_int_equal(sigaction(SIGXFSZ, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, SIG_IGN);
}

static void limits_have_a_hint(void **state)
{
	static const struct {
		int error;
		const char *part;
	} cases[] = {
		{ -EPERM, "seccomp" },	       { -ENOSYS, "Linux 6.1" },
		{ -EFBIG, "ulimit -f" },       { -EMFILE, "ulimit -n" },
		{ -EAGAIN, "ulimit -u" },      { -ENOMEM, "ulimit -v" },
		{ -ENFILE, "fs.file-max" },    { -EACCES, "right" },
		{ -EADDRINUSE, "another" },    { -ENOLCK, "locks" },
		{ -EADDRNOTAVAIL, "address" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(strstr(process_hint(cases[i].error), cases[i].part));
	assert_string_equal(process_hint(-EIO), "");
	assert_non_null(strstr(process_hint_loop(-EPERM), "kernel.io_uring_disabled"));
	assert_non_null(strstr(process_hint_loop(-ENOMEM), "ulimit -l"));
	assert_non_null(strstr(process_hint_loop(-EAGAIN), "ulimit -u"));
}

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	(void)snprintf(owner, 512, "%d %s", (int)level, line);
}

static void an_error_is_one_line_with_its_hint(void **state)
{
	char text[512] = "";

	rt_log_set_sink(line_keep, text);
	process_complain("start-failed", "at=here", -EIO, "");
	assert_string_equal(text, "0 start-failed at=here error=\"Input/output error\"");
	process_complain("start-failed", "at=here", -EIO, "look");
	assert_string_equal(
		text,
		"0 start-failed at=here error=\"Input/output error\" hint=\"look\"");
	rt_log_set_sink(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_stack_is_refused_with_what_is_needed),
		cmocka_unit_test(a_limit_on_files_is_no_signal),
		cmocka_unit_test(limits_have_a_hint),
		cmocka_unit_test(an_error_is_one_line_with_its_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
