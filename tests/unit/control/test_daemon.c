// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/daemon_child.h"

#include <errno.h>

/*
 * A daemon that cannot be stopped in order, that says it is ready when it is not, or that
 * dies of a signal it should have served, loses what the log had promised to keep short.
 */

static void it_serves_and_stops_in_order(void **state)
{
	struct control_request request = { .verb = CONTROL_STATUS };
	char why[CONTROL_CLIENT_WHY];
	json_t *answer;
	struct stat st;
	int fd;

	daemon_begin(-1, -1);
	wait_notify("READY=1");
	assert_int_equal(stat(control, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = nbd_connect();
	greeting_is_there(fd);
	assert_int_equal(control_client_ask(control, &request, NULL, &answer, why), 0);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_notify("STOPPING=1");
	assert_int_equal(daemon_end(), 0);
	(void)close(fd);
	assert_int_equal(access(control, F_OK), -1);
	assert_int_equal(access(nbd, F_OK), -1);
}

static void status_is_there_while_the_store_opens(void **state)
{
	struct control_request request = { .verb = CONTROL_STATUS };
	char why[CONTROL_CLIENT_WHY];
	json_t *answer, *g;

	script.open_ms = 60000;
	daemon_begin(-1, -1);
	wait_log("started");
	while (access(control, F_OK) < 0)
		(void)poll(NULL, 0, 5);
	while (control_client_ask(control, &request, NULL, &answer, why) == -ECONNREFUSED)
		(void)poll(NULL, 0, 5);
	g = json_array_get(json_object_get(json_object_get(answer, "status"), "groups"),
			   0);
	assert_string_equal(json_string_value(json_object_get(g, "state")), "STARTING");
	json_decref(answer);
	/* An open runs to its end, but a person who insists is obeyed. */
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_log("stopping signal=15");
	assert_int_equal(kill(child, SIGINT), 0);
	assert_int_equal(daemon_end(), 1);
	assert_int_equal(unlink(control), 0); /* left behind, as after a kill */
}

static void stop_while_opening_waits_for_the_open(void **state)
{
	script.open_ms = 150;
	daemon_begin(-1, -1); /* over the socket that a killed daemon left */
	wait_log("started");
	while (access(control, F_OK) < 0)
		(void)poll(NULL, 0, 5);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
}

static void store_that_cannot_be_opened_ends_it(void **state)
{
	script.open_res = -EBUSY;
	script.patience_ms = 150;
	daemon_begin(-1, -1);
	wait_log("why=\"store in use\"");
	assert_int_equal(daemon_end(), 1);
}

/*
 * A killed daemon's ring holds its sockets and its store for a moment after it is gone:
 * whoever starts the next one at once must not be refused.
 */
static void store_in_use_is_waited_for(void **state)
{
	script.open_res = -EBUSY;
	script.open_times = 3;
	daemon_begin(-1, -1);
	wait_log("waiting for=store");
	wait_notify("READY=1");
	assert_null(strstr(log_text, "open-failed"));
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
}

static void addresses_in_use_are_waited_for(void **state)
{
	int first = unix_listener(control);
	int second = unix_listener(nbd);
	int fd;

	daemon_begin(-1, -1);
	wait_log("waiting for=control");
	(void)close(first);
	wait_log("waiting for=nbd");
	(void)close(second);
	wait_notify("READY=1");
	assert_null(strstr(log_text, "listen_failed"));
	fd = nbd_connect();
	greeting_is_there(fd);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
	(void)close(fd);
}

static void stop_while_waiting_is_obeyed(void **state)
{
	script.open_res = -EBUSY;
	script.patience_ms = 60000;
	daemon_begin(-1, -1);
	wait_log("waiting for=store");
	assert_int_equal(kill(child, SIGTERM), 0);
	(void)daemon_end(); /* within its limit: 1 if the store was just being tried */
}

/* Each client is a descriptor; the limit of old for programs that use select() is few. */
static void soft_limit_of_descriptors_is_raised(void **state)
{
	unsigned long long soft = 0, hard = 1;
	char path[64], line[256];
	FILE *f;

	daemon_begin(-1, -1);
	wait_notify("READY=1");
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)child);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Max open files %llu %llu", &soft, &hard) == 2)
			break;
	assert_int_equal(fclose(f), 0);
	assert_int_equal(soft, hard);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
}

/* The group's `why`, empty outside of this state. */
static void ask_why(const char *state, char text[GROUP_STATUS_WHY_MAX])
{
	struct control_request request = { .verb = CONTROL_STATUS };
	char why[CONTROL_CLIENT_WHY];
	const char *said;
	json_t *answer, *g;

	if (control_client_ask(control, &request, NULL, &answer, why) < 0)
		fail_msg("%s", why);
	g = json_array_get(json_object_get(json_object_get(answer, "status"), "groups"),
			   0);
	said = json_string_value(json_object_get(g, "why"));
	text[0] = 0;
	if (said && strcmp(json_string_value(json_object_get(g, "state")), state) == 0)
		(void)snprintf(text, GROUP_STATUS_WHY_MAX, "%s", said);
	json_decref(answer);
}

/* `part` is in the group's `why`, in this state; asked again until it is. */
static void wait_why(const char *state, const char *part)
{
	int64_t end = now_ms() + LIMIT_MS;
	char text[GROUP_STATUS_WHY_MAX];

	do
		ask_why(state, text);
	while (!strstr(text, part) && now_ms() < end);
	if (!strstr(text, part))
		fail_msg("never %s ... %s", state, part);
}

/* The number behind `part` in the group's `why`, in this state. */
static int why_number(const char *state, const char *part)
{
	char text[GROUP_STATUS_WHY_MAX];
	const char *at;

	ask_why(state, text);
	at = strstr(text, part);
	if (!at)
		fail_msg("%s instead of %s", text, part);
	return (int)strtol(at + strlen(part), NULL, 10);
}

/* It falls: the daemon is alive. */
static void why_number_falls(const char *state, const char *part)
{
	int64_t end = now_ms() + LIMIT_MS;
	int first = why_number(state, part);

	while (why_number(state, part) >= first)
		if (now_ms() >= end)
			fail_msg("%s is %d for ever", part, first);
}

/*
 * Clients take what descriptors there are, but for those that the mirror and people need: at
 * a low limit there are fewer clients, and who looks is still answered.
 */
static void few_descriptors_leave_some_for_people(void **state)
{
	enum { CLIENTS = 5 };
	int fd[CLIENTS], over;
	char byte;

	script.descriptors = DAEMON_DESCRIPTORS + CLIENTS;
	daemon_begin(-1, -1);
	wait_notify("READY=1");
	wait_log("connections-lowered from=1024 to=5 ");
	for (unsigned i = 0; i < CLIENTS; i++) {
		fd[i] = nbd_connect();
		greeting_is_there(fd[i]);
	}
	over = nbd_connect();
	assert_int_equal(recv(over, &byte, 1, 0), 0); /* it is sent away at once */
	wait_log("nbd-connection-refused");
	wait_why("STANDALONE", "");
	(void)close(over);
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)close(fd[i]);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
	assert_null(strstr(log_text, "accept-failed"));
}

static void too_few_descriptors_are_refused(void **state)
{
	script.descriptors = DAEMON_DESCRIPTORS;
	daemon_begin(-1, -1);
	wait_log("too-few-descriptors limit=64 ");
	assert_int_equal(daemon_end(), 1);
}

static void second_signal_is_immediate(void **state)
{
	script.stop_ms = -1;
	daemon_begin(-1, -1);
	wait_notify("READY=1");
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_log("stopping signal=15");
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_log("stopping-at-once");
	assert_int_equal(daemon_end(), 1);
	(void)unlink(control);
	(void)unlink(nbd);
}

/* The answer's exit code to `set key value`; `text` is in what it says. */
static void set_answers(const char *key, const char *value, bool dry_run, int exit,
			const char *part)
{
	struct control_request request = { .verb = CONTROL_SET, .dry_run = dry_run };
	char why[CONTROL_CLIENT_WHY];
	const char *text;
	json_t *answer;

	(void)snprintf(request.key, sizeof(request.key), "%s", key);
	(void)snprintf(request.value, sizeof(request.value), "%s", value);
	if (control_client_ask(control, &request, NULL, &answer, why) < 0)
		fail_msg("%s", why);
	assert_int_equal(json_integer_value(json_object_get(answer, "exit")), exit);
	text = json_string_value(
		json_object_get(answer, exit == CONTROL_DONE ? "text" : "error"));
	if (!text || !strstr(text, part))
		fail_msg("%s\n  instead of ... %s", text ? text : "nothing", part);
	json_decref(answer);
}

/* A flush of "data", which the group has then. */
static int nbd_flush(void)
{
	static const uint8_t ask[] = "\0\0\0\3"
				     "IHAVEOPT\0\0\0\7\0\0\0\12\0\0\0\4data\0\0"
				     "\x25\x60\x95\x13\0\0\0\3abcdefgh"
				     "\0\0\0\0\0\0\0\0\0\0\0\0";
	uint8_t granted[20 + 14 + 20 + 12 + 20];
	int fd = nbd_connect();

	greeting_is_there(fd);
	assert_int_equal(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
	assert_int_equal(recv(fd, granted, sizeof(granted), MSG_WAITALL),
			 sizeof(granted));
	return fd;
}

/*
 * A stop that waits for held writes takes its time: who looks then must see that it waits,
 * for what, and for how long, at the control socket and at the service manager.
 */
static void a_stop_that_waits_says_for_what(void **state)
{
	int fd;

	script.stop_ms = -1;
	daemon_begin(-1, -1);
	wait_notify("READY=1");
	fd = nbd_flush();
	wait_log("nbd-attached");
	assert_int_equal(kill(child, SIGTERM), 0);
	wait_notify("STATUS=db: STOPPING: 1 requests of clients are not answered yet "
		    "(STANDALONE)");
	wait_why("STOPPING", "1 requests of clients are not answered yet (STANDALONE)");
	why_number_falls("STOPPING", "it waits for ");
	wait_notify("STATUS=db: STOPPING: 1 requests");
	set_answers("hold", "flush", false, CONTROL_FAILED, "STOPPING");
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 1);
	(void)close(fd);
	(void)unlink(control);
	(void)unlink(nbd);
}

static void hangup_reads_the_file_again(void **state)
{
	FILE *f;

	daemon_begin(-1, -1);
	wait_notify("READY=1");
	conf_write("debug", "8MiB");
	assert_int_equal(kill(child, SIGHUP), 0);
	wait_log("configuration-read");
	assert_non_null(strstr(log_text, "configuration-applied key=log"));
	assert_non_null(
		strstr(log_text, "configuration-needs-restart key=groups[].volumes"));
	f = fopen(conf, "a");
	assert_non_null(f);
	fprintf(f, "frobnicate = 1;\n");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(kill(child, SIGHUP), 0);
	wait_log("configuration-refused");
	wait_log("frobnicate: unknown key");
	assert_int_equal(kill(child, SIGINT), 0);
	assert_int_equal(daemon_end(), 0);
}

static void one_key_is_set_until_the_file_is_read_again(void **state)
{
	daemon_begin(-1, -1);
	wait_notify("READY=1");
	set_answers("hold", "flush", true, CONTROL_DONE, "may be set");
	set_answers("hold", "flush", false, CONTROL_DONE, "hold is flush until");
	wait_log("configuration-applied key=groups[].hold");
	set_answers("sync", "network", false, CONTROL_USAGE, "needs a peer");
	set_answers("store", "/x", false, CONTROL_USAGE, "needs a restart");
	assert_int_equal(kill(child, SIGHUP), 0);
	wait_log("configuration-read");
	/* Back to the file's. */
	assert_non_null(strstr(strstr(log_text, "groups[].hold") + 1, "groups[].hold"));
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
}

static void single_connection_on_standard_input(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	daemon_begin(pair[1], -1);
	(void)close(pair[1]);
	greeting_is_there(pair[0]);
	assert_int_equal(access(nbd, F_OK), -1);
	assert_int_equal(access(control, F_OK), -1);
	(void)close(pair[0]);
	assert_int_equal(daemon_end(), 0);
}

static void sockets_of_systemd_replace_ours(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/passed", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 5), 0);
	daemon_begin(-1, listener);
	(void)close(listener);
	wait_notify("READY=1");
	assert_int_equal(access(nbd, F_OK), -1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	greeting_is_there(fd);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(daemon_end(), 0);
	(void)close(fd);
	(void)unlink(addr.sun_path);
}

/* The configuration's rule about plaintext holds for them as well. */
static void passed_socket_beyond_loopback_is_refused(void **state)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(listen(listener, 5), 0); /* unbound: on any address */
	daemon_begin(-1, listener);
	(void)close(listener);
	wait_log("listen-refused");
	assert_int_equal(daemon_end(), 1);
}

static void address_in_use_is_said(void **state)
{
	int listener = unix_listener(nbd);

	script.patience_ms = 150;
	daemon_begin(-1, -1);
	wait_log("listen-failed for=nbd");
	assert_int_equal(daemon_end(), 1);
	(void)close(listener);
	(void)unlink(nbd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_serves_and_stops_in_order, fresh),
		cmocka_unit_test_setup(status_is_there_while_the_store_opens, fresh),
		cmocka_unit_test_setup(stop_while_opening_waits_for_the_open, fresh),
		cmocka_unit_test_setup(store_that_cannot_be_opened_ends_it, fresh),
		cmocka_unit_test_setup(second_signal_is_immediate, fresh),
		cmocka_unit_test_setup(a_stop_that_waits_says_for_what, fresh),
		cmocka_unit_test_setup(hangup_reads_the_file_again, fresh),
		cmocka_unit_test_setup(one_key_is_set_until_the_file_is_read_again,
				       fresh),
		cmocka_unit_test_setup(single_connection_on_standard_input, fresh),
		cmocka_unit_test_setup(sockets_of_systemd_replace_ours, fresh),
		cmocka_unit_test_setup(passed_socket_beyond_loopback_is_refused, fresh),
		cmocka_unit_test_setup(address_in_use_is_said, fresh),
		cmocka_unit_test_setup(store_in_use_is_waited_for, fresh),
		cmocka_unit_test_setup(addresses_in_use_are_waited_for, fresh),
		cmocka_unit_test_setup(stop_while_waiting_is_obeyed, fresh),
		cmocka_unit_test_setup(soft_limit_of_descriptors_is_raised, fresh),
		cmocka_unit_test_setup(few_descriptors_leave_some_for_people, fresh),
		cmocka_unit_test_setup(too_few_descriptors_are_refused, fresh),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
