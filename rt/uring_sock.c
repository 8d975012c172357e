// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring.h"

/* A stream: one descriptor for both directions, or two (standard input and output). */
struct rt_sock {
	struct rt_loop *loop; /* borrowed */
	int in, out;	      /* owned; may be the same */
	bool in_socket, out_socket;
	bool closed;	    /* by its owner: freed with the last of the four below */
	bool shutdown;	    /* asked for, to be done after the send in flight */
	struct rt_op *recv; /* borrowed while in flight, as the next three */
	struct rt_op *send;
	struct rt_op *connect;
	struct rt_op *await_end;
	struct msghdr hdr; /* of the send in flight */
	socklen_t peer_len;
	struct sockaddr_storage peer; /* of the connect in flight */
};

static struct rt_sock *sock_alloc(struct rt_loop *loop)
{
	struct rt_sock *sock = rt_zalloc(1, sizeof(*sock));

	if (sock) {
		sock->loop = loop;
		sock->in = sock->out = -1;
	}
	return sock;
}

static void sock_free(struct rt_sock *sock)
{
	if (sock->in >= 0)
		(void)close(sock->in);
	if (sock->out >= 0 && sock->out != sock->in)
		(void)close(sock->out);
	rt_free(sock);
}

int uring_sock_new(struct rt_loop *loop, int fd, struct rt_sock **ret)
{
	struct rt_sock *sock = sock_alloc(loop);
	int on = 1;

	if (!sock)
		return -ENOMEM;
	sock->in = sock->out = fd;
	sock->in_socket = sock->out_socket = true;
	/* We send whole messages; of a unix socket this fails, and does no harm. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*ret = sock;
	return 0;
}

/* What is non-blocking would answer -EAGAIN instead of waiting in the ring. */
int uring_set_blocking(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	if (fl & O_NONBLOCK && fcntl(fd, F_SETFL, fl & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int fd_is_socket(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISSOCK(st.st_mode);
}

int rt_sock_from_fds(struct rt_loop *loop, int in, int out, struct rt_sock **ret)
{
	int in_socket = fd_is_socket(in), out_socket = fd_is_socket(out);
	struct rt_sock *sock;
	int r;

	if (in_socket < 0 || out_socket < 0)
		return -EBADF;
	r = uring_set_blocking(in);
	if (r == 0)
		r = uring_set_blocking(out);
	if (r < 0)
		return r;
	/* For a pipe there is no MSG_NOSIGNAL: its end must be -EPIPE all the same. */
	if (!out_socket && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	sock = sock_alloc(loop);
	if (!sock)
		return -ENOMEM;
	sock->in = in;
	sock->out = out;
	sock->in_socket = in_socket;
	sock->out_socket = out_socket;
	*ret = sock;
	return 0;
}

int rt_connect(struct rt_loop *loop, const struct rt_addr *addr, struct rt_op *op,
	       struct rt_sock **ret)
{
	int fd = uring_socket(addr, SOCK_STREAM);
	struct rt_sock *sock;
	int r;

	if (fd < 0)
		return fd;
	r = uring_sock_new(loop, fd, &sock);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	sock->peer_len = uring_sockaddr(addr, uring_family(addr), &sock->peer);
	sock->connect = op;
	uring_start(loop, op, URING_CONNECT, sock);
	*ret = sock;
	return 0;
}

void rt_recv(struct rt_sock *sock, struct rt_op *op, void *buf, size_t len)
{
	rt_assert(!sock->recv && !sock->closed);
	sock->recv = op;
	op->impl[3] = buf;
	op->word[1] = len < URING_IO_MAX ? len : URING_IO_MAX;
	uring_start(sock->loop, op, URING_RECV, sock);
}

void rt_sendv(struct rt_sock *sock, struct rt_op *op, const struct iovec *iov, unsigned n)
{
	rt_assert(!sock->send && !sock->closed);
	sock->send = op;
	op->impl[3] = (void *)(uintptr_t)iov;
	op->word[1] = n < URING_IOV_MAX ? n : URING_IOV_MAX;
	sock->hdr = (struct msghdr){ .msg_iov = op->impl[3],
				     .msg_iovlen = (size_t)op->word[1] };
	uring_start(sock->loop, op, URING_SEND, sock);
}

int rt_sock_await_end(struct rt_sock *sock, struct rt_op *op)
{
	rt_assert(!sock->await_end && !sock->closed);
	/* Of a pipe it would keep the writing end open that shutdown_now() closes. */
	if (!sock->in_socket || sock->in != sock->out)
		return -EOPNOTSUPP;
	sock->await_end = op;
	uring_start(sock->loop, op, URING_AWAIT_END, sock);
	return 0;
}

bool rt_sock_is_over(const struct rt_sock *sock)
{
	struct pollfd p = { .fd = sock->in };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void shutdown_now(struct rt_sock *sock)
{
	if (sock->out_socket) {
		(void)shutdown(sock->out, SHUT_WR); /* gone already: as good */
	} else if (sock->out >= 0 && sock->out != sock->in) {
		(void)close(sock->out);
		sock->out = -1;
	}
}

void rt_sock_shutdown(struct rt_sock *sock)
{
	if (sock->send)
		sock->shutdown = true;
	else
		shutdown_now(sock);
}

static void sock_reap(struct rt_sock *sock)
{
	if (sock->closed && !sock->recv && !sock->send && !sock->connect &&
	    !sock->await_end)
		sock_free(sock);
}

void rt_sock_close(struct rt_sock *sock)
{
	if (!sock)
		return;
	rt_assert(!sock->closed);
	sock->closed = true;
	if (sock->recv)
		rt_cancel(sock->loop, sock->recv);
	if (sock->send)
		rt_cancel(sock->loop, sock->send);
	if (sock->connect)
		rt_cancel(sock->loop, sock->connect);
	if (sock->await_end)
		rt_cancel(sock->loop, sock->await_end);
	sock_reap(sock);
}

int rt_sock_congestion(struct rt_sock *sock, const char *name)
{
	size_t len = strlen(name);

	if (setsockopt(sock->out, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)len) < 0)
		return -errno;
	return 0;
}

int rt_sock_watch(struct rt_sock *sock, int64_t silence_ms)
{
	const int on = 1, probes = 4, most_ms = (int)silence_ms;
	/* The first probe after half of the time, and four of them in the other half. */
	const int idle_s = (int)(silence_ms / 2000), between_s = (int)(silence_ms / 8000);
	int fd = sock->in;

	rt_assert(silence_ms >= 8000 && silence_ms <= INT_MAX);
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof(between_s)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof(most_ms)) < 0)
		return -errno;
	return 0;
}

/* ---- operations -------------------------------------------------------------- */

static void sock_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_sock *sock = op->impl[2];
	size_t n = (size_t)op->word[1];

	switch (uring_kind(op)) {
	case URING_CONNECT:
		io_uring_prep_connect(sqe, sock->in, (struct sockaddr *)&sock->peer,
				      sock->peer_len);
		break;
	case URING_RECV:
		if (sock->in_socket)
			io_uring_prep_recv(sqe, sock->in, op->impl[3], n, 0);
		else
			io_uring_prep_read(sqe, sock->in, op->impl[3], (unsigned)n, -1);
		break;
	case URING_AWAIT_END:
		io_uring_prep_poll_add(sqe, sock->in, POLLRDHUP);
		break;
	default:
		if (sock->out_socket)
			io_uring_prep_sendmsg(sqe, sock->out, &sock->hdr, MSG_NOSIGNAL);
		else
			io_uring_prep_writev(sqe, sock->out, op->impl[3], (unsigned)n,
					     -1);
		break;
	}
}

static void sock_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct rt_sock *sock = op->impl[2];

	if (res == -EINTR && !sock->closed) {
		uring_restart(loop, op);
		return;
	}
	if (sock->closed && (res == -EINTR || op == sock->connect))
		res = -ECANCELED;
	if (op == sock->await_end) {
		sock->await_end = NULL;
		if (res >= 0)
			res = res & (POLLHUP | POLLERR) ? 1 : 0;
	} else if (op == sock->recv)
		sock->recv = NULL;
	else if (op == sock->connect)
		sock->connect = NULL;
	else
		sock->send = NULL;
	if (sock->shutdown && !sock->send) {
		sock->shutdown = false;
		shutdown_now(sock);
	}
	sock_reap(sock);
	uring_finish(loop, op, res);
}

const struct uring_class uring_sock_class = { sock_prep, sock_complete };
