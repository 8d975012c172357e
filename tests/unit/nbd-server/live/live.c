// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/nbd-server/live/fake_group.h"
#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

struct live {
	struct rt_loop *loop;
	struct nbds_server *srv;
	struct group *group, *other;
	pthread_t thread;
	char dir[64];
	char path[96];
	bool stopping;

	/* A call from the test's thread; the loop looks for one every millisecond. */
	pthread_mutex_t lock;
	pthread_cond_t called;
	void (*fn)(struct live *live, void *arg);
	void *arg;
	struct rt_timer poll;
};

static void live_poll(struct rt_timer *timer)
{
	struct live *live = rt_container_of(timer, struct live, poll);

	pthread_mutex_lock(&live->lock);
	if (live->fn) {
		live->fn(live, live->arg);
		live->fn = NULL;
		pthread_cond_broadcast(&live->called);
	}
	pthread_mutex_unlock(&live->lock);
	rt_timer_arm(live->loop, timer, rt_time_add(rt_now(live->loop), RT_MS));
}

void live_call(struct live *live, void (*fn)(struct live *live, void *arg), void *arg)
{
	pthread_mutex_lock(&live->lock);
	live->fn = fn;
	live->arg = arg;
	while (live->fn)
		pthread_cond_wait(&live->called, &live->lock);
	pthread_mutex_unlock(&live->lock);
}

static void live_listen(struct live *live)
{
	struct rt_addr addr;
	char text[128];

	(void)snprintf(text, sizeof(text), "unix:%s", live->path);
	rt_assert(rt_addr_parse(text, &addr) == 0);
	rt_assert(nbds_server_listen(live->srv, &addr) == 0);
	rt_assert(rt_addr_parse("tcp:127.0.0.1:0", &addr) == 0);
	rt_assert(nbds_server_listen(live->srv, &addr) == 0);
	rt_assert(rt_addr_parse("tcp:[::1]:0", &addr) == 0);
	rt_assert(nbds_server_listen(live->srv, &addr) == 0);
}

/* The loop belongs to the thread that runs it, so everything is made there. */
struct live_start {
	struct live *live;
	const struct nbds_limits *limits;
	pthread_mutex_t lock;
	pthread_cond_t ready;
	bool is_ready;
};

static void *live_main(void *arg)
{
	struct live_start *start = arg;
	struct live *live = start->live;

	rt_assert(rt_loop_new(&live->loop) == 0);
	live->group = fake_group_new(live->loop, LIVE_SIZE, 0);
	live->other = fake_group_new(live->loop, LIVE_OTHER_SIZE, FAKE_VOLUMES);
	rt_assert(nbds_server_new(live->loop, start->limits, &live->srv) == 0);
	rt_assert(nbds_server_add_group(live->srv, live->group) == 0);
	rt_assert(nbds_server_add_group(live->srv, live->group) == -EEXIST);
	rt_assert(nbds_server_add_group(live->srv, live->other) == 0);
	live_listen(live);
	live->poll.fire = live_poll;
	rt_timer_arm(live->loop, &live->poll, rt_now(live->loop));
	pthread_mutex_lock(&start->lock);
	start->is_ready = true;
	pthread_cond_signal(&start->ready);
	pthread_mutex_unlock(&start->lock);
	rt_assert(rt_loop_run(live->loop) == 0);
	nbds_server_free(live->srv);
	fake_group_free(live->group);
	fake_group_free(live->other);
	rt_loop_free(live->loop);
	return NULL;
}

struct live *live_start(const struct nbds_limits *limits)
{
	struct live *live = calloc(1, sizeof(*live));
	struct live_start start = { .live = live, .limits = limits };
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(live->dir, sizeof(live->dir), "%s/nbds-XXXXXX",
		       tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(live->dir));
	(void)snprintf(live->path, sizeof(live->path), "%s/sock", live->dir);
	pthread_mutex_init(&live->lock, NULL);
	pthread_cond_init(&live->called, NULL);
	pthread_mutex_init(&start.lock, NULL);
	pthread_cond_init(&start.ready, NULL);
	assert_int_equal(pthread_create(&live->thread, NULL, live_main, &start), 0);
	pthread_mutex_lock(&start.lock);
	while (!start.is_ready)
		pthread_cond_wait(&start.ready, &start.lock);
	pthread_mutex_unlock(&start.lock);
	return live;
}

static void live_stopped(void *owner)
{
	struct live *live = owner;

	rt_timer_disarm(live->loop, &live->poll);
	rt_loop_stop(live->loop);
}

static void live_stop_in_loop(struct live *live, void *arg)
{
	nbds_server_stop(live->srv, live_stopped, live);
}

void live_stop(struct live *live)
{
	live->stopping = true;
	live_call(live, live_stop_in_loop, NULL);
}

void live_end(struct live *live)
{
	if (!live->stopping)
		live_stop(live);
	pthread_join(live->thread, NULL);
	(void)unlink(live->path); /* the listener may have done so */
	assert_int_equal(rmdir(live->dir), 0);
	free(live);
}

struct nbds_server *live_server(struct live *live)
{
	return live->srv;
}

struct group *live_group(struct live *live)
{
	return live->group;
}

/* ---- doors ------------------------------------------------------------------------- */

static void live_get_stats(struct live *live, void *arg)
{
	nbds_server_stats(live->srv, arg);
}

void live_stats(struct live *live, struct nbds_stats *ret)
{
	live_call(live, live_get_stats, ret);
}

static void live_do_hold(struct live *live, void *arg)
{
	fake_group_hold(live->group, *(bool *)arg);
}

void live_hold(struct live *live, bool hold)
{
	live_call(live, live_do_hold, &hold);
}

static void live_do_hold_writes(struct live *live, void *arg)
{
	fake_group_hold_writes(live->group, *(bool *)arg);
}

void live_hold_writes(struct live *live, bool hold)
{
	live_call(live, live_do_hold_writes, &hold);
}

static void live_do_fail(struct live *live, void *arg)
{
	fake_group_fail(live->group, *(int *)arg);
}

void live_fail(struct live *live, int res)
{
	live_call(live, live_do_fail, &res);
}

static void live_do_set(struct live *live, void *arg)
{
	fake_group_set(live->group, ((bool *)arg)[0], ((bool *)arg)[1]);
}

void live_set(struct live *live, bool serving, bool read_only)
{
	bool both[2] = { serving, read_only };

	live_call(live, live_do_set, both);
}

static void live_get_seen(struct live *live, void *arg)
{
	*(uint64_t *)arg = fake_group_seen(live->group);
}

uint64_t live_seen(struct live *live)
{
	uint64_t n;

	live_call(live, live_get_seen, &n);
	return n;
}

static void live_get_held(struct live *live, void *arg)
{
	*(unsigned *)arg = fake_group_held(live->group);
}

unsigned live_held(struct live *live)
{
	unsigned n;

	live_call(live, live_get_held, &n);
	return n;
}

static void live_pause(void)
{
	const struct timespec ms = { 0, 1000000 };

	(void)nanosleep(&ms, NULL); /* between two looks at a condition */
}

static uint64_t live_field(struct live *live, size_t at, size_t size)
{
	struct nbds_stats stats;
	uint64_t value = 0;

	live_stats(live, &stats);
	memcpy(&value, (char *)&stats + at, size);
	return value;
}

void live_wait_field(struct live *live, size_t at, size_t size, uint64_t value,
		     const char *name)
{
	for (int ms = 0; ms < LIVE_WAIT_MS; ms++) {
		if (live_field(live, at, size) == value)
			return;
		live_pause();
	}
	fail_msg("%s is %llu, not %llu", name,
		 (unsigned long long)live_field(live, at, size),
		 (unsigned long long)value);
}

void live_wait_seen(struct live *live, uint64_t n)
{
	for (int ms = 0; ms < LIVE_WAIT_MS; ms++) {
		if (live_seen(live) == n)
			return;
		live_pause();
	}
	fail_msg("the group has seen %llu requests", (unsigned long long)live_seen(live));
}

const char *live_socket(const struct live *live)
{
	return live->path;
}

struct live_port {
	unsigned listener;
	unsigned port;
};

static void live_get_port(struct live *live, void *arg)
{
	struct live_port *p = arg;
	struct rt_addr addr;

	rt_assert(nbds_server_addr(live->srv, p->listener, &addr) == 0);
	p->port = addr.port;
}

unsigned live_port(struct live *live, bool v6)
{
	struct live_port p = { v6 ? 2 : 1, 0 };

	live_call(live, live_get_port, &p);
	return p.port;
}

/* ---- the raw client ---------------------------------------------------------------- */

int raw_connect(struct live *live)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { LIVE_WAIT_MS / 1000, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", live->path);
	assert_int_equal(connect(fd, (void *)&sun, sizeof(sun)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
			 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)),
			 0);
	return fd;
}

void raw_send(int fd, const void *p, size_t len)
{
	const uint8_t *at = p;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

void raw_recv(int fd, void *p, size_t len)
{
	assert_int_equal(recv(fd, p, len, MSG_WAITALL), len);
}

void raw_expect_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

int raw_open(struct live *live)
{
	static const uint8_t hello[] = "\0\0\0\3"
				       "IHAVEOPT\0\0\0\7\0\0\0\12"
				       "\0\0\0\4vol0\0\0";
	uint8_t answer[18 + 20 + 14 + 20 + 12 + 20];
	int fd = raw_connect(live);

	raw_send(fd, hello, sizeof(hello) - 1);
	raw_recv(fd, answer, sizeof(answer));
	return fd;
}

void raw_request(int fd, uint16_t type, uint16_t flags, uint64_t cookie, uint64_t offset,
		 uint32_t len)
{
	struct nbds_request_head head = {
		.magic = be32_make(NBDS_REQUEST_MAGIC),
		.flags = be16_make(flags),
		.type = be16_make(type),
		.cookie = be64_make(cookie),
		.offset = be64_make(offset),
		.len = be32_make(len),
	};

	raw_send(fd, &head, sizeof(head));
}

void raw_expect(int fd, uint64_t cookie, uint32_t error)
{
	struct nbds_reply_head head;

	raw_recv(fd, &head, sizeof(head));
	assert_int_equal(be32_get(head.magic), NBDS_REPLY_MAGIC);
	assert_int_equal(be64_get(head.cookie), cookie);
	assert_int_equal(be32_get(head.error), error);
}

void raw_write(int fd, uint64_t cookie, uint64_t offset, uint32_t len)
{
	raw_request(fd, NBDS_CMD_WRITE, 0, cookie, offset, len);
}

void raw_send_any(int fd, size_t len)
{
	static uint8_t bytes[RAW_PIECE];

	for (; len > 0; len -= len < RAW_PIECE ? len : RAW_PIECE)
		raw_send(fd, bytes, len < RAW_PIECE ? len : RAW_PIECE);
}

void raw_recv_any(int fd, size_t len)
{
	static uint8_t bytes[RAW_PIECE];

	for (; len > 0; len -= len < RAW_PIECE ? len : RAW_PIECE)
		raw_recv(fd, bytes, len < RAW_PIECE ? len : RAW_PIECE);
}

void raw_expect_service(struct live *live)
{
	int fd = raw_open(live);

	raw_write(fd, 1, 3, 5);
	raw_send(fd, "hello", 5);
	raw_expect(fd, 1, NBDS_OK);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 3, 5);
	raw_expect(fd, 2, NBDS_OK);
	raw_recv_any(fd, 5);
	raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
	raw_expect_end(fd);
	close(fd);
}
