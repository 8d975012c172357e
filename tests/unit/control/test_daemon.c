// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/control_client.h"
#include "control/control_request.h"
#include "control/daemon.h"
#include "control/version.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/control/double.h"

/*
 * A daemon that cannot be stopped in order, that says it is ready when it is not, or that
 * dies of a signal it should have served, loses what the log had promised to keep short.
 * The real daemon runs in a child of the test, with a double of the group in it.
 */

#define LIMIT_MS 10000 /* nothing here takes long; what does has failed */

/* ---- the rest of the double: one empty volume, and how long things take ---------------- */

struct group_volume {
	struct group *group;
};

static struct {
	int64_t open_ms;
	int open_res;
	int open_times; /* that open_res is the answer; 0: always */
	int64_t patience_ms;
	int64_t stop_ms; /* < 0: never */
} script;

static struct group the_group;
static struct group_volume the_volume = { &the_group };
static struct group_events the_events;
static void *the_owner;
static struct rt_timer open_timer, stop_timer;
static struct group_open *the_open;
static struct group_stop *the_stop;

static void open_fire(struct rt_timer *timer)
{
	int res = script.open_res;

	if (script.open_times > 0 && --script.open_times == 0)
		script.open_res = 0;
	if (res < 0)
		(void)snprintf(the_open->why, sizeof(the_open->why), "store in use");
	else
		the_open->group = &the_group;
	the_open->done(the_open, res);
	if (res == 0)
		the_events.serving(the_owner, &the_group, true);
}

void group_open(struct rt_loop *loop, const struct group_config *config,
		const struct group_events *events, void *owner, struct group_open *o)
{
	the_group.loop = loop;
	the_group.status.state = GROUP_STANDALONE;
	the_events = *events;
	the_owner = owner;
	the_open = o;
	open_timer.fire = open_fire;
	rt_timer_arm(loop, &open_timer,
		     rt_time_add(rt_now(loop), script.open_ms * RT_MS));
}

static void stop_fire(struct rt_timer *timer)
{
	the_stop->done(the_stop, 0);
}

void group_stop(struct group *group, int64_t timeout_ms, struct group_stop *s)
{
	the_stop = s;
	stop_timer.fire = stop_fire;
	if (script.stop_ms >= 0)
		rt_timer_arm(group->loop, &stop_timer,
			     rt_time_add(rt_now(group->loop), script.stop_ms * RT_MS));
}

struct group_volume *group_volume_find(struct group *group, const char *name)
{
	return strcmp(name, "data") == 0 ? &the_volume : NULL;
}

unsigned group_volume_count(const struct group *group)
{
	return 1;
}

struct group_volume *group_volume_at(struct group *group, unsigned i)
{
	return &the_volume;
}

const char *group_volume_name(const struct group_volume *volume)
{
	return "data";
}

uint64_t group_volume_size(const struct group_volume *volume)
{
	return 1u << 20;
}

bool group_volume_read_only(const struct group_volume *volume)
{
	return false;
}

bool group_serving(const struct group *group)
{
	return true;
}

void group_submit(struct group_request *r)
{
	rt_assert(!"no test sends a request");
}

void group_create(struct rt_loop *loop, const struct group_config *config,
		  struct group_create *c)
{
	rt_assert(!"no test makes a store");
}

/* ---- one daemon ----------------------------------------------------------------------------- */

static char dir[] = "/tmp/wanmirror-daemon-XXXXXX";
static char conf[64], control[64], nbd[64], notify[64];
static pid_t child;
static int log_fd = -1, notify_fd = -1;
static char log_text[65536];

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void conf_write(const char *log, const char *size)
{
	FILE *f = fopen(conf, "w");

	assert_non_null(f);
	fprintf(f,
		"node = \"n\"; control = \"%s\"; log = \"%s\";\n"
		"nbd: { listen = [ \"unix:%s\" ]; };\n"
		"groups: ( { name = \"db\"; store = \"%s/store\"; role = \"primary\";\n"
		"  volumes = ( { name = \"data\"; size = \"%s\"; } ); } );\n",
		control, log, nbd, dir, size);
	assert_int_equal(fclose(f), 0);
}

/* `passed` becomes descriptor 3 as systemd hands it over; -1: none. */
static void child_run(bool single, int passed)
{
	static struct config config;
	static struct config_errors errors;
	struct daemon_params params = {
		.path = conf,
		.single = single,
		.patience_ms = script.patience_ms,
	};
	struct rlimit few;
	char pid[16];

	if (passed >= 0) {
		(void)dup2(passed, 3);
		(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
		(void)setenv("LISTEN_PID", pid, 1);
		(void)setenv("LISTEN_FDS", "1", 1);
		(void)setenv("LISTEN_FDNAMES", "nbd", 1);
	}
	/* The test's own ends must be its only ones. */
	(void)close_range(passed >= 0 ? 4 : 3, ~0u, 0);
	(void)setenv("NOTIFY_SOCKET", notify, 1);
	if (config_load(conf, 0, &config, &errors) < 0)
		_exit(77);
	if (getrlimit(RLIMIT_NOFILE, &few) == 0) {
		few.rlim_cur = 64;
		(void)setrlimit(RLIMIT_NOFILE, &few);
	}
	_exit(daemon_run(&config, &params));
}

/* `connection`: becomes standard input and output of -s; -1: without -s. */
static void daemon_begin(int connection, int passed)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int pipes[2];

	(void)unlink(notify);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", notify);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(notify_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	log_text[0] = 0;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(pipes[1], STDERR_FILENO);
		if (connection >= 0) {
			(void)dup2(connection, STDIN_FILENO);
			(void)dup2(connection, STDOUT_FILENO);
			(void)close(connection);
		}
		child_run(connection >= 0, passed);
	}
	(void)close(pipes[1]);
	log_fd = pipes[0];
}

/* Read the child's log until `part` is in it. */
static void wait_log(const char *part)
{
	int64_t end = now_ms() + LIMIT_MS;

	while (!strstr(log_text, part)) {
		struct pollfd p = { .fd = log_fd, .events = POLLIN };
		size_t have = strlen(log_text);
		ssize_t n = 0;

		if (now_ms() < end && poll(&p, 1, (int)(end - now_ms())) > 0)
			n = read(log_fd, log_text + have, sizeof(log_text) - 1 - have);
		if (n <= 0)
			fail_msg("no \"%s\" in:\n%s", part, log_text);
		log_text[have + (size_t)n] = 0;
	}
}

/* The next message to systemd that has `part` in it. */
static void wait_notify(const char *part)
{
	int64_t end = now_ms() + LIMIT_MS;
	char text[1024] = "";

	while (!strstr(text, part)) {
		struct pollfd p = { .fd = notify_fd, .events = POLLIN };
		ssize_t n = 0;

		if (now_ms() < end && poll(&p, 1, (int)(end - now_ms())) > 0)
			n = recv(notify_fd, text, sizeof(text) - 1, 0);
		if (n <= 0)
			fail_msg("systemd was not told %s; log:\n%s", part, log_text);
		text[n] = 0;
	}
}

static int daemon_end(void)
{
	int64_t end = now_ms() + LIMIT_MS;
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(child, &status, WNOHANG)) == 0 && now_ms() < end)
		(void)poll(NULL, 0, 5);
	if (pid == 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, &status, 0);
		fail_msg("the daemon did not end; log:\n%s", log_text);
	}
	(void)close(log_fd);
	(void)close(notify_fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int nbd_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", nbd);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void greeting_is_there(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[18];

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_WAITALL), sizeof(text));
	assert_memory_equal(text, "NBDMAGICIHAVEOPT", 16);
}

/* ---- tests ------------------------------------------------------------------------------------- */

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

static int unix_listener(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
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

/* ---- before and after --------------------------------------------------------------------------- */

static int fresh(void **state)
{
	memset(&script, 0, sizeof(script));
	conf_write("info", "4MiB");
	return 0;
}

static int dir_make(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(conf, sizeof(conf), "%s/conf", dir);
	(void)snprintf(control, sizeof(control), "%s/control", dir);
	(void)snprintf(nbd, sizeof(nbd), "%s/nbd", dir);
	(void)snprintf(notify, sizeof(notify), "%s/notify", dir);
	return 0;
}

static int dir_remove(void **state)
{
	(void)unlink(conf);
	(void)unlink(notify);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_serves_and_stops_in_order, fresh),
		cmocka_unit_test_setup(status_is_there_while_the_store_opens, fresh),
		cmocka_unit_test_setup(stop_while_opening_waits_for_the_open, fresh),
		cmocka_unit_test_setup(store_that_cannot_be_opened_ends_it, fresh),
		cmocka_unit_test_setup(second_signal_is_immediate, fresh),
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
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
