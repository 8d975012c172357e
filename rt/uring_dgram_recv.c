// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "rt/mem.h"
#include "rt/uring_dgram.h"

/*
 * Receiving. With multishot receive one operation stays with the kernel, and what comes is
 * in a buffer of the ring's; without, several receives wait in line, each with a buffer of
 * its own. A buffer holds one datagram, or several of one sender that the kernel has put
 * together (UDP_GRO): then all but the last have the length that it says.
 */

/* After a failure that is no ICMP error (no memory, ...), so much later. */
#define RECV_RETRY_NS (10 * RT_MS)

static unsigned recv_slots(const struct rt_dgram *dgram)
{
	return dgram->multishot ? 1 : DGRAM_RECVS;
}

static void recv_go(struct rt_dgram *dgram, struct dgram_recv *recv)
{
	if (dgram->closed || recv->flying || rt_timer_armed(&dgram->retry))
		return;
	recv->hdr = (struct msghdr){ .msg_name = recv->from,
				     .msg_namelen = sizeof(recv->from),
				     .msg_control = recv->control,
				     .msg_controllen = sizeof(recv->control),
				     .msg_iov = &recv->iov,
				     .msg_iovlen = 1 };
	if (dgram->multishot) /* the kernel wants sizes only */
		recv->hdr.msg_iovlen = 0;
	recv->iov = (struct iovec){ recv->data, RT_DGRAM_MAX };
	recv->flying = true;
	recv->op.impl[3] = recv;
	dgram->flying++;
	uring_start(dgram->loop, &recv->op, URING_DGRAM_RECV, dgram);
}

void uring_dgram_recv_start(struct rt_dgram *dgram)
{
	for (unsigned i = 0; i < recv_slots(dgram); i++)
		recv_go(dgram, &dgram->recvs[i]);
}

static void retry_fire(struct rt_timer *timer)
{
	uring_dgram_recv_start(rt_container_of(timer, struct rt_dgram, retry));
}

static int recv_plain_init(struct rt_dgram *dgram)
{
	dgram->multishot = false;
	for (unsigned i = 0; i < DGRAM_RECVS; i++) {
		dgram->recvs[i].data = rt_alloc(RT_DGRAM_MAX);
		if (!dgram->recvs[i].data)
			return -ENOMEM;
	}
	return 0;
}

int uring_dgram_recv_init(struct rt_dgram *dgram)
{
	int r = -EINVAL;

	dgram->retry.fire = retry_fire;
	if (!(dgram->loop->without & URING_WITHOUT_MULTISHOT))
		r = uring_buffers_init(dgram->loop);
	if (r == 0) {
		dgram->multishot = true;
		return 0;
	}
	return recv_plain_init(dgram);
}

void uring_dgram_recv_cancel(struct rt_dgram *dgram)
{
	rt_timer_disarm(dgram->loop, &dgram->retry);
	for (unsigned i = 0; i < DGRAM_RECVS; i++) {
		if (dgram->recvs[i].flying)
			rt_cancel(dgram->loop, &dgram->recvs[i].op);
	}
}

void uring_dgram_recv_release(struct rt_dgram *dgram)
{
	for (unsigned i = 0; i < DGRAM_RECVS; i++)
		rt_free(dgram->recvs[i].data);
}

static void recv_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_dgram *dgram = op->impl[2];
	struct dgram_recv *recv = op->impl[3];

	if (!dgram->multishot) {
		io_uring_prep_recvmsg(sqe, dgram->fd, &recv->hdr, 0);
		return;
	}
	io_uring_prep_recvmsg_multishot(sqe, dgram->fd, &recv->hdr, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_BGID;
}

/*
 * The kernel counts what it has put together as one, dropped ones too: take those to be
 * like the ones received lately.
 */
static void drops_take(struct rt_dgram *dgram, uint32_t drops)
{
	uint64_t more = drops - dgram->drops_seen; /* modulo 2^32 */

	if (more == 0)
		return;
	dgram->drops_seen = drops;
	dgram->drops +=
		(more * dgram->together + DGRAM_TOGETHER_ONE / 2) / DGRAM_TOGETHER_ONE;
	dgram->events->overflowed(dgram->owner, dgram->drops);
}

static void together_take(struct rt_dgram *dgram, size_t segment, size_t len)
{
	size_t n = segment == 0 || len == 0 ? 1 : (len - 1) / segment + 1;
	uint64_t sample = n * DGRAM_TOGETHER_ONE;

	if (dgram->together == 0)
		dgram->together = sample;
	dgram->together = (7 * dgram->together + sample) / 8;
}

/*
 * Look for the kernel's count of drops among the control messages, and for where it was
 * sent to. Returns the length of each datagram, where several were received as one; else 0.
 */
static size_t control_take(struct rt_dgram *dgram, void *control, size_t len)
{
	struct msghdr hdr = { .msg_control = control, .msg_controllen = len };
	struct cmsghdr *c;
	size_t segment = 0;
	uint32_t value;

	dgram->local.kind = RT_ADDR_NONE;
	for (c = CMSG_FIRSTHDR(&hdr); c && !dgram->closed; c = CMSG_NXTHDR(&hdr, c)) {
		if (c->cmsg_len < CMSG_LEN(sizeof(value)))
			continue;
		memcpy(&value, CMSG_DATA(c), sizeof(value));
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			drops_take(dgram, value);
		else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			segment = value;
		else
			uring_source_addr(c, &dgram->local);
	}
	return segment;
}

static void message_received(struct rt_dgram *dgram, const struct msghdr *hdr,
			     const uint8_t *data, size_t len)
{
	size_t segment = control_take(dgram, hdr->msg_control, hdr->msg_controllen);
	struct rt_addr from;

	if (dgram->closed || hdr->msg_flags & MSG_TRUNC)
		return;
	together_take(dgram, segment, len);
	uring_addr(hdr->msg_name, hdr->msg_namelen, &from);
	do {
		size_t n = segment == 0 || segment > len ? len : segment;

		dgram->events->received(dgram->owner, data, n, &from);
		data += n;
		len -= n;
	} while (len > 0 && !dgram->closed);
}

/* The kernel's layout of a buffer: a head, the name, the control messages, the data. */
static void buffer_received(struct rt_dgram *dgram, struct dgram_recv *recv, int res,
			    unsigned id)
{
	uint8_t *buf = uring_buffers_at(dgram->loop, id);
	struct io_uring_recvmsg_out *out =
		io_uring_recvmsg_validate(buf, res, &recv->hdr);
	struct msghdr hdr = { 0 };

	if (out && !dgram->closed) {
		hdr.msg_name = io_uring_recvmsg_name(out);
		hdr.msg_namelen = out->namelen < sizeof(recv->from) ? out->namelen
								    : sizeof(recv->from);
		hdr.msg_control = (uint8_t *)hdr.msg_name + recv->hdr.msg_namelen;
		hdr.msg_controllen = out->controllen < sizeof(recv->control)
					     ? out->controllen
					     : sizeof(recv->control);
		hdr.msg_flags = (int)out->flags;
		message_received(dgram, &hdr, io_uring_recvmsg_payload(out, &recv->hdr),
				 io_uring_recvmsg_payload_length(out, res, &recv->hdr));
	}
	uring_buffers_put(dgram->loop, id);
}

/* `res` < 0 from a receive: decide when to receive again. */
static void recv_failed(struct rt_dgram *dgram, int res)
{
	switch (res) {
	case -ENOBUFS: /* all are with callbacks of this very turn */
	case -EINTR:
	case -EAGAIN:
	case -ECANCELED:
		return;
	case -ECONNREFUSED: /* an ICMP error; also in the error queue, counted there */
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EMSGSIZE:
		return;
	case -EINVAL:
		/* Buffers, but no multishot receive: a kernel before 6.0. */
		if (dgram->multishot && recv_plain_init(dgram) == 0)
			return;
		break;
	default:
		break;
	}
	rt_timer_arm(dgram->loop, &dgram->retry,
		     rt_time_add(rt_now(dgram->loop), RECV_RETRY_NS));
}

static void recv_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct rt_dgram *dgram = op->impl[2];
	struct dgram_recv *recv = op->impl[3];

	if (flags & IORING_CQE_F_BUFFER)
		buffer_received(dgram, recv, res, flags >> IORING_CQE_BUFFER_SHIFT);
	else if (res >= 0 && !dgram->closed)
		message_received(dgram, &recv->hdr, recv->data, (size_t)res);
	if (flags & IORING_CQE_F_MORE)
		return;
	/* Until here op counted as in flight: a close from a callback left us alive. */
	recv->flying = false;
	uring_finish(loop, op, res);
	if (!dgram->closed) {
		if (res < 0)
			recv_failed(dgram, res);
		uring_dgram_recv_start(dgram);
	}
	uring_dgram_unref(dgram);
}

const struct uring_class uring_dgram_recv_class = { recv_prep, recv_complete };
