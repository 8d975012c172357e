// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/daemon_child.h"

#include <errno.h>

/*
 * What starts after the daemon believes that it finds its volumes, and a person who waits
 * for a start wants to know for what. A service manager that does not read must hold up
 * neither the clients nor the mirror.
 */

static void ends(void)
{
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_notify("STOPPING=1");
	assert_int_equal(daemon_end(), 0);
}

/* Until it serves systemd waits, and shows for what; once it serves that is said once. */
static void ready_is_who_serves(void **state)
{
	script.waits = true;
	daemon_begin(-1, -1);
	wait_notify("EXTEND_TIMEOUT_USEC=60000000\n");
	if (!strstr(notified, "STATUS=db: HOLDING: it waits\n"))
		wait_notify("STATUS=db: HOLDING: it waits\n");
	assert_int_equal(ready_times, 0);
	serve_now();
	wait_notify("READY=1\n");
	assert_null(strstr(notified, "EXTEND"));
	if (!strstr(notified, "STATUS=db: STANDALONE\n"))
		wait_notify("STATUS=db: STANDALONE\n");
	ends();
	assert_int_equal(ready_times, 1);
}

/* Served, but nobody can connect yet. */
static void ready_is_who_can_be_reached(void **state)
{
	int other = unix_listener(nbd);

	script.patience_ms = 60000;
	daemon_begin(-1, -1);
	wait_notify("the address for NBD is in use; end the process that uses it");
	assert_int_equal(ready_times, 0);
	(void)close(other);
	wait_notify("READY=1\n");
	ends();
}

static void single_is_ready_when_it_serves(void **state)
{
	int pair[2];

	script.waits = true;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	daemon_begin(pair[1], -1);
	(void)close(pair[1]);
	wait_notify("STATUS=db: HOLDING: it waits\n");
	assert_int_equal(ready_times, 0);
	serve_now();
	wait_notify("READY=1\n");
	greeting_is_there(pair[0]);
	(void)close(pair[0]);
	assert_int_equal(daemon_end(), 0);
}

/* The log failed before there was anything to serve: nobody is served by waiting on. */
static void a_start_whose_log_fails_ends(void **state)
{
	script.waits = true;
	script.fails = true;
	daemon_begin(-1, -1);
	wait_log("start-failed why=\"the log has failed\"");
	assert_int_equal(daemon_end(), 1);
}

/* Fill the queue of the socket, as one that is not read does. */
static void notify_fill(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", notify);
	while (sendto(fd, "X=1", 3, 0, (struct sockaddr *)&addr, sizeof(addr)) == 3)
		;
	assert_int_equal(errno, EAGAIN);
	(void)close(fd);
}

static void a_manager_that_does_not_read_holds_up_nobody(void **state)
{
	int fd;

	notify_bind();
	notify_fill();
	daemon_begin(-1, -1);
	wait_log("listening for=nbd");
	fd = nbd_connect();
	greeting_is_there(fd);
	wait_notify("READY=1\n"); /* now it reads */
	ends();
	(void)close(fd);
}

/* ---- what status says of a wait ------------------------------------------------------------ */

/* Until status has `part` in its reason. */
static void wait_why(const char *part)
{
	struct control_request request = { .verb = CONTROL_STATUS };
	int64_t end = now_ms() + LIMIT_MS;
	char text[CONTROL_CLIENT_WHY], last[1024] = "";
	const char *why;
	json_t *answer, *group;

	while (!strstr(last, part)) {
		if (now_ms() > end)
			fail_msg("no \"%s\" in %s; log:\n%s", part, last, log_text);
		if (control_client_ask(control, &request, NULL, &answer, text) < 0) {
			(void)poll(NULL, 0, 5); /* it does not listen yet */
			continue;
		}
		group = json_object_get(json_object_get(answer, "status"), "groups");
		why = json_string_value(json_object_get(json_array_get(group, 0), "why"));
		(void)snprintf(last, sizeof(last), "%s", why ? why : "null");
		json_decref(answer);
	}
}

static void the_open_of_a_store_is_a_wait(void **state)
{
	script.open_ms = 60000;
	daemon_begin(-1, -1);
	wait_why("it opens its store and reads the log");
	wait_notify("STATUS=db: STARTING: it opens its store");
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_log("stopping signal=15");
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 1);
	assert_int_equal(unlink(control), 0); /* left behind, as after a kill */
}

static void in_use(int res, const char *line)
{
	script.open_res = res;
	script.patience_ms = 60000;
	daemon_begin(-1, -1);
	wait_why("store in use; end the process that uses it: this start tries again for "
		 "60 s");
	wait_log(line);
	wait_notify("STATUS=db: STARTING: store in use; end the process");
	assert_int_equal(kill(child, SIGTERM), 0);
	(void)daemon_end(); /* 1 if the store was just being tried */
}

static void a_store_or_an_address_in_use_is_a_wait(void **state)
{
	in_use(-EBUSY, "waiting for=store why=\"store in use\" error=");
	in_use(-EADDRINUSE, "waiting for=peer why=\"store in use\" error=");
}

static void an_address_for_nbd_in_use_is_a_wait(void **state)
{
	int other = unix_listener(nbd);

	script.patience_ms = 60000;
	daemon_begin(-1, -1);
	wait_why("the address for NBD is in use; end the process that uses it");
	(void)close(other);
	wait_why("null");
	ends();
}

/* There is no status yet: only systemd and the log can say so. */
static void a_control_socket_in_use_is_a_wait(void **state)
{
	int other = unix_listener(control);

	script.patience_ms = 60000;
	daemon_begin(-1, -1);
	wait_notify(": the control socket is in use; end the process that uses it");
	(void)close(other);
	wait_notify("READY=1\n");
	ends();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ready_is_who_serves, fresh),
		cmocka_unit_test_setup(ready_is_who_can_be_reached, fresh),
		cmocka_unit_test_setup(single_is_ready_when_it_serves, fresh),
		cmocka_unit_test_setup(a_start_whose_log_fails_ends, fresh),
		cmocka_unit_test_setup(a_manager_that_does_not_read_holds_up_nobody,
				       fresh),
		cmocka_unit_test_setup(the_open_of_a_store_is_a_wait, fresh),
		cmocka_unit_test_setup(a_store_or_an_address_in_use_is_a_wait, fresh),
		cmocka_unit_test_setup(an_address_for_nbd_in_use_is_a_wait, fresh),
		cmocka_unit_test_setup(a_control_socket_in_use_is_a_wait, fresh),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
