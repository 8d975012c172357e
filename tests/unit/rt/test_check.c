// SPDX-License-Identifier: BSD-3-Clause
/*
 * A bug of ours ends the process, and says where it is: also where nobody reads that, or who
 * did is gone. What goes on after a failed assert goes on with broken state.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/check.h"
#include "tests/unit/unit.h"

#define BOUND_S 20 /* SIGALRM ends who does not end by itself */

/* The signal that ends a child whose standard error is `fd`, which is then closed. */
static int end_of_a_failed_assert(int fd)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)dup2(fd, STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL); /* cmocka has one of its own */
		(void)close_range(3, ~0u, 0);
		(void)alarm(BOUND_S);
		rt_assert(1 + 1 == 3);
		_exit(0);
	}
	(void)close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void it_says_what_and_where(void **state)
{
	char text[256] = "";
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(end_of_a_failed_assert(fds[1]), SIGABRT);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "assert cond=\"1 + 1 == 3\" at=tests/unit/rt/"));
	(void)close(fds[0]);
}

static void a_full_pipe_keeps_nobody_alive(void **state)
{
	char byte = 'x';
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], &byte, 1) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	assert_int_equal(end_of_a_failed_assert(fds[1]), SIGABRT);
	(void)close(fds[0]);
}

static void a_reader_that_is_gone_changes_no_end(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	(void)close(fds[0]);
	assert_int_equal(end_of_a_failed_assert(fds[1]), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_and_where),
		cmocka_unit_test(a_full_pipe_keeps_nobody_alive),
		cmocka_unit_test(a_reader_that_is_gone_changes_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
