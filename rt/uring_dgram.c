// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring_dgram.h"

/* Not in the headers of older systems; the numbers are the kernel's for all of ours. */
#define DGRAM_SCM_TS_OPT_ID 81

/* 50 ms at 1 Gbit/s; the kernel doubles it for its own overhead. */
#define DGRAM_RCVBUF (8 << 20)
#define DGRAM_SNDBUF (4 << 20)

static int option_on(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Beyond the system's limit where we may, else as much as it allows. */
static void buffer_size(int fd, int force, int name, int size)
{
	if (option_on(fd, SOL_SOCKET, force, size) < 0)
		(void)option_on(fd, SOL_SOCKET, name, size);
}

static int options_set(struct rt_dgram *dgram)
{
	int fd = dgram->fd, r;
	int stamps = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID;

	/* On an IPv6 socket these two rule what it sends to mapped addresses. */
	r = option_on(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	if (r == 0)
		r = option_on(fd, IPPROTO_IP, IP_RECVERR, 1);
	if (r == 0 && dgram->family == AF_INET6)
		r = option_on(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	if (r == 0 && dgram->family == AF_INET6)
		r = option_on(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (r == 0)
		r = option_on(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (r < 0)
		return r;
	buffer_size(fd, SO_RCVBUFFORCE, SO_RCVBUF, DGRAM_RCVBUF);
	buffer_size(fd, SO_SNDBUFFORCE, SO_SNDBUF, DGRAM_SNDBUF);
	/* Only which stamps to report: each send asks for its own. */
	if (!dgram->pending)
		stamps |= SOF_TIMESTAMPING_OPT_TSONLY;
	return option_on(fd, SOL_SOCKET, SO_TIMESTAMPING, stamps);
}

static void dgram_free(struct rt_dgram *dgram)
{
	if (dgram->fd >= 0)
		(void)close(dgram->fd);
	uring_dgram_recv_release(dgram);
	uring_dgram_error_release(dgram);
	rt_free(dgram);
}

void uring_dgram_unref(struct rt_dgram *dgram)
{
	dgram->flying--;
	if (dgram->closed && dgram->flying == 0)
		dgram_free(dgram);
}

static int dgram_init(struct rt_dgram *dgram, const struct rt_addr *local)
{
	int r;

	dgram->fd = uring_bind(local, SOCK_DGRAM, &dgram->family);
	if (dgram->fd < 0)
		return dgram->fd;
	uring_local_addr(dgram->fd, &dgram->addr);
	r = uring_dgram_error_init(dgram);
	if (r == 0)
		r = options_set(dgram);
	if (r < 0)
		return r;
	return uring_dgram_recv_init(dgram);
}

int rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
		  const struct rt_dgram_events *events, void *owner,
		  struct rt_dgram **ret)
{
	struct rt_dgram *dgram;
	int r;

	if (local->kind != RT_ADDR_INET && local->kind != RT_ADDR_INET6)
		return -EINVAL;
	dgram = rt_zalloc(1, sizeof(*dgram));
	if (!dgram)
		return -ENOMEM;
	dgram->loop = loop;
	dgram->events = events;
	dgram->owner = owner;
	dgram->fd = -1;
	r = dgram_init(dgram, local);
	if (r < 0) {
		dgram_free(dgram);
		return r;
	}
	loop->handles++;
	uring_dgram_error_start(dgram);
	uring_dgram_recv_start(dgram);
	*ret = dgram;
	return 0;
}

void rt_dgram_addr(struct rt_dgram *dgram, struct rt_addr *ret)
{
	*ret = dgram->addr;
}

void rt_dgram_close(struct rt_dgram *dgram)
{
	if (!dgram)
		return;
	rt_assert(!dgram->closed && dgram->flying > 0);
	dgram->closed = true;
	dgram->loop->handles--;
	/* Sends do not wait for anything: what was sent before this still leaves. */
	uring_dgram_recv_cancel(dgram);
	uring_dgram_error_cancel(dgram);
}

/* ---- sending ------------------------------------------------------------------- */

static void control_put(struct uring_msg *msg, int type, uint32_t value)
{
	struct cmsghdr *c = (void *)(msg->control + msg->hdr.msg_controllen);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(sizeof(value));
	memcpy(CMSG_DATA(c), &value, sizeof(value));
	msg->hdr.msg_control = msg->control;
	msg->hdr.msg_controllen += CMSG_SPACE(sizeof(value));
}

void rt_dgram_send(struct rt_dgram *dgram, struct rt_op *op, const struct rt_addr *to,
		   const void *buf, size_t len, uint32_t stamp)
{
	struct uring_msg *msg = uring_msg_get(dgram->loop);
	struct sockaddr_storage ss;
	socklen_t namelen = uring_sockaddr(to, dgram->family, &ss);

	rt_assert(!dgram->closed);
	dgram->flying++;
	op->msg = msg ? &msg->hdr : NULL;
	uring_start(dgram->loop, op, URING_DGRAM_SEND, dgram);
	if (!msg || namelen == 0) {
		uring_end(dgram->loop, op, msg ? -EAFNOSUPPORT : -ENOMEM);
		return;
	}
	memcpy(&msg->to, &ss, namelen);
	msg->iov = (struct iovec){ (void *)(uintptr_t)buf, len };
	msg->hdr = (struct msghdr){ .msg_name = &msg->to,
				    .msg_namelen = namelen,
				    .msg_iov = &msg->iov,
				    .msg_iovlen = 1 };
	msg->stamp = stamp;
	msg->again = false;
	if (stamp) {
		control_put(msg, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE);
		if (dgram->pending)
			uring_dgram_expect(dgram, msg);
		else
			control_put(msg, DGRAM_SCM_TS_OPT_ID, stamp);
	}
}

static void send_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_dgram *dgram = op->impl[2];

	/*
	 * Not waiting for room keeps datagrams in order: each is done, one way or the
	 * other, before the kernel looks at the next.
	 */
	io_uring_prep_sendmsg(sqe, dgram->fd, op->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What an ICMP error that came for an earlier datagram makes of a send. */
static bool error_is_old(int res)
{
	switch (res) {
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENONET:
	case -EACCES:
	case -EOPNOTSUPP:
	case -ENOPROTOOPT:
	case -EPROTO:
	case -EMSGSIZE:
		return true;
	default:
		return false;
	}
}

static void send_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct rt_dgram *dgram = op->impl[2];
	struct uring_msg *msg = (struct uring_msg *)(void *)op->msg;

	if (msg && error_is_old(res) && !msg->again) {
		msg->again = true;
		uring_restart(loop, op);
		return;
	}
	if (msg) {
		if (res < 0 && msg->stamp && dgram->pending)
			uring_dgram_unexpect(dgram, msg->stamp);
		uring_msg_put(loop, msg);
	}
	uring_dgram_unref(dgram);
	uring_finish(loop, op, res < 0 ? res : 0);
}

const struct uring_class uring_dgram_send_class = { send_prep, send_complete };

/*
 * Ask this kernel whether it knows the identifier, with a datagram from a socket of its
 * own to itself: one that does not says EINVAL before it looks at anything else.
 */
static int ts_id_probe(void)
{
	struct sockaddr_in self = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(self);
	struct uring_msg msg = { .hdr = { .msg_name = &self, .msg_namelen = len } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int known = 0;

	if (fd < 0)
		return 0;
	control_put(&msg, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE);
	control_put(&msg, DGRAM_SCM_TS_OPT_ID, 1);
	if (bind(fd, (struct sockaddr *)&self, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&self, &len) == 0 &&
	    option_on(fd, SOL_SOCKET, SO_TIMESTAMPING,
		      SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
			      SOF_TIMESTAMPING_OPT_TSONLY) == 0 &&
	    sendmsg(fd, &msg.hdr, MSG_NOSIGNAL) == 0)
		known = 1;
	(void)close(fd);
	return known;
}

int uring_dgram_ts_id(struct rt_loop *loop)
{
	if (loop->ts_id < 0)
		loop->ts_id = ts_id_probe();
	return loop->ts_id;
}
