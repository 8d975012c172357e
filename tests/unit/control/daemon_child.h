/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_CONTROL_DAEMON_CHILD_H
#define TESTS_UNIT_CONTROL_DAEMON_CHILD_H

/*
 * The real daemon in a child of the test, with a double of the group in it; what it logs,
 * and what it tells the service manager. Included once per test program.
 */
#include "tests/unit/unit.h"

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
	int64_t stop_ms;      /* < 0: never */
	bool waits;	      /* open, it does not serve until serve_now() */
	bool fails;	      /* and is FAILED meanwhile */
	unsigned descriptors; /* that it may have, and no more; 0: as we */
} script;

static struct group the_group;
static struct group_volume the_volume = { &the_group };
static struct group_events the_events;
static void *the_owner;
static struct rt_timer open_timer, stop_timer;
static struct group_open *the_open;
static struct group_stop *the_stop;

static bool the_group_serves;
static struct rt_timer serve_timer;
static char serve_path[64]; /* there is such a file: it serves */

static inline void serve_fire(struct rt_timer *timer)
{
	if (script.waits && access(serve_path, F_OK) < 0) {
		rt_timer_arm(the_group.loop, timer,
			     rt_time_add(rt_now(the_group.loop), 5 * RT_MS));
		return;
	}
	the_group.status.state = GROUP_STANDALONE;
	the_group.status.why[0] = 0;
	the_group_serves = true;
	the_events.serving(the_owner, &the_group, true);
}

static inline void serve_now(void)
{
	int fd = open(serve_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	(void)close(fd);
}

static inline void open_fire(struct rt_timer *timer)
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
		serve_fire(&serve_timer);
}

void group_open(struct rt_loop *loop, const struct group_config *config,
		const struct group_events *events, void *owner, struct group_open *o)
{
	the_group.loop = loop;
	the_group.status.state = script.fails ? GROUP_FAILED : GROUP_HOLDING;
	(void)snprintf(the_group.status.why, sizeof(the_group.status.why), "%s",
		       "it waits");
	serve_timer.fire = serve_fire;
	the_events = *events;
	the_owner = owner;
	the_open = o;
	open_timer.fire = open_fire;
	rt_timer_arm(loop, &open_timer,
		     rt_time_add(rt_now(loop), script.open_ms * RT_MS));
}

static inline void stop_fire(struct rt_timer *timer)
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
	return the_group_serves;
}

/* For as long as it stops, it holds what it was asked. */
void group_submit(struct group_request *r)
{
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
static char notified[2048];  /* the last message to systemd that was read */
static unsigned ready_times; /* messages that said READY=1 */

static inline int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static inline void conf_write(const char *log, const char *size)
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
static inline void child_run(bool single, int passed)
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
		if (script.descriptors)
			few.rlim_cur = few.rlim_max = script.descriptors;
		(void)setrlimit(RLIMIT_NOFILE, &few);
	}
	_exit(daemon_run(&config, &params));
}

/* The socket of the service manager; before daemon_begin(), which makes it otherwise. */
static inline void notify_bind(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	(void)unlink(notify);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", notify);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(notify_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

/* `connection`: becomes standard input and output of -s; -1: without -s. */
static inline void daemon_begin(int connection, int passed)
{
	int pipes[2];

	if (notify_fd < 0)
		notify_bind();
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
static inline void wait_log(const char *part)
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

/* The next message to systemd that has `part` in it; it is then in `notified`. */
static inline void wait_notify(const char *part)
{
	int64_t end = now_ms() + LIMIT_MS;

	do {
		struct pollfd p = { .fd = notify_fd, .events = POLLIN };
		ssize_t n = 0;

		if (now_ms() < end && poll(&p, 1, (int)(end - now_ms())) > 0)
			n = recv(notify_fd, notified, sizeof(notified) - 1, 0);
		if (n <= 0)
			fail_msg("systemd was not told %s; log:\n%s", part, log_text);
		notified[n] = 0;
		ready_times += strstr(notified, "READY=1") != NULL;
	} while (!strstr(notified, part));
}

static inline int daemon_end(void)
{
	int64_t end = now_ms() + LIMIT_MS;
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(child, &status, WNOHANG)) == 0 && now_ms() < end)
		(void)poll(NULL, 0, 5);
	if (pid == 0)
		fail_msg("the daemon did not end; log:\n%s", log_text);
	child = 0;
	(void)close(log_fd);
	(void)close(notify_fd);
	notify_fd = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline int nbd_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", nbd);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline int unix_listener(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static inline void greeting_is_there(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[18];

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_WAITALL), sizeof(text));
	assert_memory_equal(text, "NBDMAGICIHAVEOPT", 16);
}

/* ---- before and after --------------------------------------------------------------------------- */

/* A test that failed has left its daemon, and what that listens on. */
static inline void daemon_clear(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
		child = 0;
		(void)close(log_fd);
		(void)close(notify_fd);
		notify_fd = -1;
	}
	(void)unlink(control);
	(void)unlink(nbd);
}

static inline int fresh(void **state)
{
	daemon_clear();
	memset(&script, 0, sizeof(script));
	ready_times = 0;
	(void)unlink(serve_path);
	conf_write("info", "4MiB");
	return 0;
}

static inline int dir_make(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(conf, sizeof(conf), "%s/conf", dir);
	(void)snprintf(control, sizeof(control), "%s/control", dir);
	(void)snprintf(nbd, sizeof(nbd), "%s/nbd", dir);
	(void)snprintf(notify, sizeof(notify), "%s/notify", dir);
	(void)snprintf(serve_path, sizeof(serve_path), "%s/serve", dir);
	return 0;
}

static inline int dir_remove(void **state)
{
	daemon_clear();
	(void)unlink(conf);
	(void)unlink(notify);
	(void)unlink(serve_path);
	return rmdir(dir);
}

#endif
