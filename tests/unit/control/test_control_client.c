// SPDX-License-Identifier: BSD-3-Clause
#include "control/control_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/command.h"
#include "control/control_request.h"
#include "tests/unit/unit.h"

/*
 * A command that asks for the status must come back, whatever state the daemon is in: it is
 * what people and monitors run when something is wrong.
 */

static char dir[] = "/tmp/wanmirror-client-XXXXXX";
static char path[sizeof(dir) + 16];
static int listener = -1;

static int begin(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	memcpy(addr.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return listen(listener, 0);
}

static int end(void **state)
{
	(void)close(listener);
	(void)unlink(path);
	return rmdir(dir);
}

static double seconds_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void gives_up(const char *text)
{
	const struct control_request request = { .verb = CONTROL_STATUS };
	char why[CONTROL_CLIENT_WHY] = "";
	double began = seconds_now();
	json_t *answer = NULL;

	if (control_client_ask_within(1, path, &request, NULL, &answer, why) !=
		    -ETIMEDOUT ||
	    !strstr(why, "did not answer within 1 s"))
		fail_msg("%s: \"%s\"", text, why);
	assert_null(answer);
	assert_true(seconds_now() - began >= 0.9);
}

/* It connects, as the kernel does that, and nobody reads. */
static void a_daemon_that_hangs_is_given_up(void **state)
{
	gives_up("nobody accepts");
}

/* Not even a place in the queue of the listener. */
static void a_full_queue_is_given_up(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fds[64], n = 0;

	memcpy(addr.sun_path, path, strlen(path));
	for (; n < 64; n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(fds[n] >= 0);
		if (connect(fds[n], (struct sockaddr *)&addr, sizeof(addr)) < 0)
			break;
	}
	assert_true(n < 64);
	gives_up("the queue is full");
	for (; n >= 0; n--)
		(void)close(fds[n]);
}

/* A daemon that is in the middle of a verb, and then done: as a process of its own. */
static pid_t daemon_answers(const char *lines)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char request[CONTROL_LINE_MAX];
		int fd = accept(listener, NULL, NULL);
		bool ok = fd >= 0 && recv(fd, request, sizeof(request), 0) > 0 &&
			  send(fd, lines, strlen(lines), 0) == (ssize_t)strlen(lines);

		_exit(ok ? 0 : 1);
	}
	return pid;
}

/* wanmirror switchover, at a daemon that says `lines`; what is printed, in `out` and `err`. */
static enum control_exit run_switchover(bool json, const char *lines, char *out[2])
{
	char verb[] = "switchover", option[] = "--json", name[] = "wanmirror";
	char socket_option[] = "-s";
	char *argv[] = { name, socket_option, path, verb, json ? option : NULL, NULL };
	pid_t pid = daemon_answers(lines);
	struct command command;
	enum control_exit exit;
	FILE *files[2];
	size_t size[2];
	int status;

	for (unsigned i = 0; i < 2; i++) {
		files[i] = open_memstream(&out[i], &size[i]);
		assert_non_null(files[i]);
	}
	assert_int_equal(command_parse(json ? 5 : 4, argv, &command, files[0], files[1]),
			 CONTROL_DONE);
	exit = command_run(&command, files[0], files[1]);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fclose(files[i]), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return exit;
}

#define STEPS "{\"progress\":\"step one\"}\n{\"progress\":\"step two\"}\n"
#define DONE                                                                             \
	"{\"ok\":true,\"exit\":0,\"text\":\"it is\",\"lsn\":7,\"pause_ms\":12,"          \
	"\"clients\":[]}\n"
#define REFUSED                                                                          \
	"{\"ok\":false,\"exit\":3,\"text\":\"refused: so\",\"error\":\"refused: so\"}\n"

/* A person sees each step; a script gets one object, and the steps beside it. */
static void steps_are_shown_until_the_answer(void **state)
{
	char *out[2];
	json_t *root;

	assert_int_equal(run_switchover(false, STEPS DONE, out), CONTROL_DONE);
	assert_string_equal(out[0], "step one\nstep two\nlast LSN of the old primary: 7; "
				    "pause: 12 ms\nit is\n");
	assert_string_equal(out[1], "");
	free(out[0]);
	free(out[1]);
	assert_int_equal(run_switchover(true, STEPS DONE, out), CONTROL_DONE);
	root = json_loads(out[0], 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(root, "lsn")), 7);
	assert_true(json_is_array(json_object_get(root, "clients")));
	assert_string_equal(out[1], "step one\nstep two\n");
	json_decref(root);
	free(out[0]);
	free(out[1]);
	assert_int_equal(run_switchover(true, REFUSED, out), CONTROL_REFUSED);
	root = json_loads(out[0], 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(root, "exit")), 3);
	assert_string_equal(out[1], "wanmirror: refused: so\n");
	json_decref(root);
	free(out[0]);
	free(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			steps_are_shown_until_the_answer), /* the queue is empty */
		cmocka_unit_test(a_daemon_that_hangs_is_given_up),
		cmocka_unit_test(a_full_queue_is_given_up),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
