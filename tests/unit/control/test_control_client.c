// SPDX-License-Identifier: BSD-3-Clause
#include "control/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_daemon_that_hangs_is_given_up),
		cmocka_unit_test(a_full_queue_is_given_up),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
