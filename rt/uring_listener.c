// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rt/log.h"
#include "rt/mem.h"
#include "rt/uring.h"

#define LISTEN_BACKLOG 128
/* Where the kernel keeps silent connections to itself; it takes net.core.somaxconn at most. */
#define LISTEN_BACKLOG_SILENT 4096
/* After a failed accept (no descriptors, no memory) the next one comes so much later, */
#define ACCEPT_RETRY_NS (100 * RT_MS)
/* and while that goes on there is a line so often. */
#define ACCEPT_COMPLAIN_NS (60 * RT_S)

struct rt_listener {
	struct rt_loop *loop; /* borrowed */
	int fd;		      /* owned */
	rt_accept_fn *accepted;
	void *owner; /* borrowed */
	struct rt_op op;
	bool flying; /* op */
	bool paused;
	bool closed; /* by its owner: freed when op is back */
	int held;    /* accepted while being paused: for when we go on. -1 for none */
	struct rt_timer retry;
	rt_time complained; /* of failed accepts; 0: never */
	dev_t path_dev;	    /* of the unix socket that we made, to remove that one only */
	ino_t path_ino;
	struct rt_addr addr;
};

static void listener_go(struct rt_listener *listener)
{
	if (listener->paused || listener->flying || rt_timer_armed(&listener->retry))
		return;
	listener->flying = true;
	uring_start(listener->loop, &listener->op, URING_ACCEPT, listener);
}

static void listener_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_listener *listener = op->impl[2];

	io_uring_prep_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
}

static void listener_free(struct rt_listener *listener)
{
	if (listener->held >= 0)
		(void)close(listener->held);
	if (listener->fd >= 0)
		(void)close(listener->fd);
	rt_free(listener);
}

/* What this host lacks, where it lasts: a line now and then. */
static void listener_complain(struct rt_listener *listener, int err)
{
	rt_time now = rt_now(listener->loop);
	char text[RT_ADDR_TEXT_MAX];

	if (listener->complained.ns &&
	    rt_time_since(now, listener->complained) < ACCEPT_COMPLAIN_NS)
		return;
	listener->complained = now;
	rt_log(RT_LOG_WARN, "accept-failed on=%s error=\"%s\"",
	       rt_addr_format(&listener->addr, text), strerror(-err));
}

/* Give a connection to the owner, who may pause or close us meanwhile. */
static void connection_deliver(struct rt_listener *listener, int fd)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);
	struct rt_addr peer;
	struct rt_sock *sock;

	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		len = 0; /* it has left again; its first receive will say so */
	uring_addr(&ss, len, &peer);
	if (uring_sock_new(listener->loop, fd, &sock) < 0) {
		listener_complain(listener, -ENOMEM);
		(void)close(fd);
		return;
	}
	listener->accepted(listener->owner, sock, &peer);
}

static void accept_failed(struct rt_listener *listener, int res)
{
	rt_time at = rt_time_add(rt_now(listener->loop), ACCEPT_RETRY_NS);

	/* Ours to wait for, theirs (a connection that broke at once) to ignore. */
	if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS)
		listener_complain(listener, res);
	if (res != -ECONNABORTED && res != -EINTR)
		rt_timer_arm(listener->loop, &listener->retry, at);
}

/* Deliver, and survive it if the owner closes us from there. */
static void listener_deliver(struct rt_listener *listener, int fd)
{
	listener->flying = true;
	connection_deliver(listener, fd);
	listener->flying = false;
	if (listener->closed)
		listener_free(listener);
	else
		listener_go(listener);
}

static void listener_complete(struct rt_loop *loop, struct rt_op *op, int res,
			      unsigned flags)
{
	struct rt_listener *listener = op->impl[2];

	uring_finish(loop, op, res);
	if (res >= 0 && !listener->closed && !listener->paused) {
		listener_deliver(listener, res);
		return;
	}
	listener->flying = false;
	if (res >= 0)
		listener->held = res;
	if (listener->closed) {
		listener_free(listener);
		return;
	}
	if (res < 0 && res != -ECANCELED)
		accept_failed(listener, res);
	listener_go(listener);
}

const struct uring_class uring_listener_class = { listener_prep, listener_complete };

/* The pause after a failure is over, or there is a connection from before a pause. */
static void retry_fire(struct rt_timer *timer)
{
	struct rt_listener *listener = rt_container_of(timer, struct rt_listener, retry);
	int fd = listener->held;

	if (fd < 0 || listener->paused) {
		listener_go(listener);
		return;
	}
	listener->held = -1;
	listener_deliver(listener, fd);
}

void rt_listener_pause(struct rt_listener *listener, bool paused)
{
	listener->paused = paused;
	if (paused && listener->flying)
		rt_cancel(listener->loop, &listener->op);
	/* Callbacks come from the loop only: a held connection waits for the timer. */
	if (!paused && listener->held >= 0)
		rt_timer_arm(listener->loop, &listener->retry, rt_now(listener->loop));
	if (!paused)
		listener_go(listener);
}

int rt_listener_await_data(struct rt_listener *listener, int64_t silence_ms)
{
	const int seconds = (int)((silence_ms + 999) / 1000);

	rt_assert(silence_ms > 0 && silence_ms <= INT_MAX);
	if (setsockopt(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
		       sizeof(seconds)) < 0)
		return -errno;
	return listen(listener->fd, LISTEN_BACKLOG_SILENT) < 0 ? -errno : 0;
}

void rt_listener_addr(struct rt_listener *listener, struct rt_addr *ret)
{
	*ret = listener->addr;
}

/* ---- opening and closing --------------------------------------------------------- */

/* -EADDRINUSE if somebody may listen at the unix socket `addr`, 0 if nobody does; -errno. */
static int socket_look(const struct rt_addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = uring_sockaddr(addr, AF_UNIX, &ss);
	struct stat st;
	int fd, r = -EADDRINUSE;

	if (lstat(addr->path, &st) < 0)
		return errno == ENOENT ? r : -errno; /* gone meanwhile: try again */
	if (!S_ISSOCK(st.st_mode))
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A full backlog says EAGAIN: somebody is there. */
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno == ECONNREFUSED)
		r = 0;
	(void)close(fd);
	return r;
}

static int listener_bind(const struct rt_addr *addr)
{
	int family;
	int fd = uring_bind(addr, SOCK_STREAM, &family);
	int r;

	if (fd != -EADDRINUSE || addr->kind != RT_ADDR_UNIX)
		return fd;
	r = socket_look(addr);
	if (r == 0 && unlink(addr->path) < 0)
		r = -errno;
	return r == 0 ? uring_bind(addr, SOCK_STREAM, &family) : r;
}

int rt_listen(struct rt_loop *loop, const struct rt_addr *addr, rt_accept_fn *accepted,
	      void *owner, struct rt_listener **ret)
{
	int fd = listener_bind(addr);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return fd;
	if (listen(fd, LISTEN_BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		r = rt_listen_fd(loop, fd, accepted, owner, ret);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	if (addr->kind == RT_ADDR_UNIX && lstat(addr->path, &st) == 0) {
		(*ret)->path_dev = st.st_dev;
		(*ret)->path_ino = st.st_ino;
	}
	return 0;
}

int rt_listen_fd(struct rt_loop *loop, int fd, rt_accept_fn *accepted, void *owner,
		 struct rt_listener **ret)
{
	struct rt_listener *listener;
	int r = uring_set_blocking(fd);

	if (r < 0)
		return r;
	listener = rt_zalloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->loop = loop;
	listener->fd = fd;
	listener->held = -1;
	listener->accepted = accepted;
	listener->owner = owner;
	listener->retry.fire = retry_fire;
	uring_local_addr(fd, &listener->addr);
	loop->handles++;
	listener_go(listener);
	*ret = listener;
	return 0;
}

static void path_remove(const struct rt_listener *listener)
{
	const char *path = listener->addr.path;
	struct stat st;

	if (listener->path_ino == 0)
		return;
	/* Somebody may have put a socket of his own there since. */
	if (lstat(path, &st) == 0 && st.st_dev == listener->path_dev &&
	    st.st_ino == listener->path_ino)
		(void)unlink(path);
}

void rt_listener_close(struct rt_listener *listener)
{
	if (!listener)
		return;
	rt_assert(!listener->closed);
	listener->closed = true;
	listener->loop->handles--;
	rt_timer_disarm(listener->loop, &listener->retry);
	path_remove(listener);
	if (!listener->flying) {
		listener_free(listener);
		return;
	}
	rt_cancel(listener->loop, &listener->op);
}
