// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/notify.h"
#include "rt/check.h"

/*
 * A service manager that misses READY kills a daemon that serves, and one that does not
 * know that a start goes on kills the start. A call that waits for it stops all clients.
 */

static rt_time at_ms(int64_t ms)
{
	return (rt_time){ 1000 * RT_S + ms * RT_MS };
}

static struct notify_facts facts(bool ready, const char *status)
{
	return (struct notify_facts){ .ready = ready, .status = status };
}

/* ---- which lines are sent, and when ---------------------------------------------------- */

/* One after the other, each delivered: what the daemon finds, and what is sent of it. */
static void only_news_is_sent(void **state)
{
	static const struct {
		int64_t ms;
		struct notify_facts facts;
		const char *text;
	} steps[] = {
		{ 0, { .status = "a" }, "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=a\n" },
		{ 1, { .status = "a" }, "" },
		{ 999, { .status = "b" }, "" },
		{ 1000, { .status = "b" }, "STATUS=b\n" },
		{ 9999, { .status = "b" }, "" },
		{ 10000, { .status = "b" }, "EXTEND_TIMEOUT_USEC=60000000\n" },
		{ 12000,
		  { .status = "c\nREADY=1" },
		  "STATUS=c READY=1\n" }, /* of a peer that would like to be us */
		{ 12001, { .ready = true, .status = "d" }, "READY=1\nSTATUS=d\n" },
		{ 12002, { .ready = true, .status = "e" }, "" },
		{ 40000, { .ready = true, .status = "e" }, "STATUS=e\n" },
		{ 90000, { .status = "e" }, "" }, /* a stop serves no more */
		{ 90001, { .stopping = true, .status = "f" }, "STOPPING=1\nSTATUS=f\n" },
		{ 95000, { .stopping = true, .status = "f" }, "" },
	};
	char dir[] = "/tmp/wanmirror-notify-XXXXXX", path[64], text[1024], got[1024];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct notify n;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/n", dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(notify_init(&n, path), 0);
	for (unsigned i = 0; i < RT_ARRAY_LEN(steps); i++) {
		rt_time now = at_ms(steps[i].ms);
		ssize_t len;

		(void)notify_compose(&n, &steps[i].facts, now, text, sizeof(text));
		if (strcmp(text, steps[i].text) != 0)
			fail_msg("step %u: \"%s\"", i, text);
		assert_int_equal(notify_send(&n, &steps[i].facts, now), 0);
		len = recv(fd, got, sizeof(got) - 1, 0);
		assert_int_equal(len < 0 ? 0 : len, strlen(text));
		if (len > 0)
			assert_memory_equal(got, text, (size_t)len);
	}
	notify_release(&n);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A reason as long as it likes is cut, and is no news the next time. */
static void a_long_status_is_cut(void **state)
{
	static char status[4 * NOTIFY_STATUS_MAX];
	char text[4 * NOTIFY_STATUS_MAX];
	struct notify n = { .fd = -1 };
	struct notify_facts long_ones;

	memset(status, 'x', sizeof(status) - 1);
	long_ones = facts(true, status);
	n.ready = true;
	assert_int_equal(notify_compose(&n, &long_ones, at_ms(0), text, sizeof(text)),
			 strlen("STATUS=\n") + NOTIFY_STATUS_MAX - 1);
	memcpy(n.status, status, sizeof(n.status) - 1);
	assert_int_equal(notify_compose(&n, &long_ones, at_ms(9000), text, sizeof(text)),
			 0);
	/* What does not fit is left out whole. */
	n.status[0] = 0;
	assert_int_equal(notify_compose(&n, &long_ones, at_ms(0), text, 100), 0);
	assert_int_equal(text[0], 0);
}

/* ---- to whom ------------------------------------------------------------------------------ */

static void an_abstract_name_is_one(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct notify_facts ready = facts(true, "s");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char name[64], got[64];
	struct notify n;
	int len = snprintf(name, sizeof(name), "@wanmirror-notify-%d", (int)getpid());

	memcpy(addr.sun_path + 1, name + 1, (size_t)len - 1);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&addr,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
		0);
	assert_int_equal(notify_init(&n, name), 0);
	assert_int_equal(notify_send(&n, &ready, at_ms(0)), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen("READY=1\nSTATUS=s\n"));
	notify_release(&n);
	(void)close(fd);
}

static void other_addresses_are_refused(void **state)
{
	struct notify_facts ready = facts(true, "s");
	char longer[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct notify n;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(notify_init(&n, longer), -ENAMETOOLONG);
	assert_int_equal(notify_init(&n, "vsock:2:1234"), -EAFNOSUPPORT);
	assert_int_equal(notify_init(&n, "@"), -EAFNOSUPPORT);
	assert_int_equal(notify_init(&n, NULL), 0);
	assert_int_equal(notify_init(&n, ""), 0);
	assert_int_equal(notify_send(&n, &ready, at_ms(0)), 0); /* to nobody */
	assert_false(n.ready);
	assert_int_equal(notify_init(&n, "/nonexistent/notify"), 0);
	assert_int_equal(notify_send(&n, &ready, at_ms(0)), -ENOENT);
	notify_release(&n);
}

/* What a full queue does not take is sent when there is room. */
static void what_was_not_delivered_is_due_still(void **state)
{
	char dir[] = "/tmp/wanmirror-notify-XXXXXX", path[64], got[64];
	struct notify_facts ready = facts(true, "s");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct notify n;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/n", dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(notify_init(&n, path), 0);
	while (sendto(n.fd, "X=1", 3, 0, (struct sockaddr *)&n.addr, n.addr_len) == 3)
		;
	assert_int_equal(notify_send(&n, &ready, at_ms(0)), -EAGAIN);
	assert_int_equal(notify_send(&n, &ready, at_ms(1)), -EAGAIN);
	while (recv(fd, got, sizeof(got), 0) == 3)
		;
	assert_int_equal(notify_send(&n, &ready, at_ms(2)), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen("READY=1\nSTATUS=s\n"));
	assert_int_equal(notify_send(&n, &ready, at_ms(3)), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	notify_release(&n);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_news_is_sent),
		cmocka_unit_test(a_long_status_is_cut),
		cmocka_unit_test(an_abstract_name_is_one),
		cmocka_unit_test(other_addresses_are_refused),
		cmocka_unit_test(what_was_not_delivered_is_due_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
