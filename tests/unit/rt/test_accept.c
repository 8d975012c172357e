// SPDX-License-Identifier: BSD-3-Clause
/*
 * A connection that cannot be had for want of memory is closed, which the log says now and
 * then and not each time; and those that follow are accepted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/log.h"
#include "tests/unit/alloc.h"
#include "tests/unit/rt/call.h"

static unsigned nlines, naccepted;
static char last[256];

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	nlines++;
	(void)snprintf(last, sizeof(last), "%s", line);
}

static void accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	naccepted++;
	rt_sock_close(sock);
	rt_loop_stop(owner);
}

static int connected(const struct rt_addr *addr)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr = { htonl(INADDR_LOOPBACK) },
				   .sin_port = htons(addr->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const void *)&sin, sizeof(sin)), 0);
	return fd;
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void a_connection_without_memory_is_said(void **state)
{
	struct rt_listener *listener;
	struct rt_loop *loop;
	struct rt_addr addr;
	int fd[3];

	assert_int_equal(rt_loop_new(&loop), 0);
	assert_int_equal(rt_addr_parse("tcp:127.0.0.1:0", &addr), 0);
	assert_int_equal(rt_listen(loop, &addr, accepted, loop, &listener), 0);
	rt_listener_addr(listener, &addr);
	rt_log_set_sink(line_keep, NULL);
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = connected(&addr);
		if (i == 2)
			break;
		fail_at = asked + 1; /* what it needs first */
		while (!is_closed(fd[i]))
			run_turns(loop, 1);
		assert_int_equal(nlines, 1);
	}
	assert_non_null(strstr(last, "accept-failed on=127.0.0.1:"));
	assert_non_null(strstr(last, "error=\"Cannot allocate memory\""));
	assert_int_equal(naccepted, 0);
	run_until(loop, &naccepted, 1);
	assert_int_equal(nlines, 1);
	rt_log_set_sink(NULL, NULL);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	rt_listener_close(listener);
	assert_int_equal(rt_loop_run(loop), 0);
	rt_loop_free(loop);
	assert_int_equal(held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_without_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
