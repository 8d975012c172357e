// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "rt/uring_dgram.h"

/*
 * Sending. The kernel gets a message whole, and it or the card cuts it into
 * datagrams. Where that is refused (a device without checksums, a tunnel, an MTU below
 * the datagram's length, an old kernel) its datagrams go one by one, as parts: operations
 * of our own, and the message's ends with the last of them.
 */

/* Not in the headers of older systems; the numbers are the kernel's for all of ours. */
#define DGRAM_SCM_TS_OPT_ID 81

static void control_put(struct uring_msg *msg, int level, int type, const void *value,
			size_t len)
{
	struct cmsghdr *c = (void *)(msg->control + msg->hdr.msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	msg->hdr.msg_control = msg->control;
	msg->hdr.msg_controllen += CMSG_SPACE(len);
}

static void control_put_u32(struct uring_msg *msg, int type, uint32_t value)
{
	control_put(msg, SOL_SOCKET, type, &value, sizeof(value));
}

/* `len` bytes at `buf` between the addresses that are in msg->from and ->to already. */
static void msg_fill(struct rt_dgram *dgram, struct uring_msg *msg, const void *buf,
		     size_t len)
{
	msg->iov = (struct iovec){ (void *)(uintptr_t)buf, len };
	msg->hdr = (struct msghdr){ .msg_name = &msg->to,
				    .msg_namelen = dgram->family == AF_INET6
							   ? sizeof(struct sockaddr_in6)
							   : sizeof(struct sockaddr_in),
				    .msg_iov = &msg->iov,
				    .msg_iovlen = 1 };
	msg->message = NULL;
	msg->timestamp = 0;
	msg->segment = 0;
	msg->again = false;
	msg->elsewhere = false;
	if (msg->from.len > 0) /* the first of all: msg_elsewhere() takes it off */
		control_put(msg, msg->from.level, msg->from.type, &msg->from.info,
			    msg->from.len);
}

/* Let the kernel choose where it leaves from. */
static void msg_elsewhere(struct uring_msg *msg)
{
	size_t len = CMSG_SPACE(msg->from.len);

	msg->elsewhere = true;
	msg->hdr.msg_control = msg->control + len;
	msg->hdr.msg_controllen -= len;
}

static void msg_segment(struct uring_msg *msg, size_t segment)
{
	msg->segment = (uint16_t)segment;
	control_put(msg, IPPROTO_UDP, UDP_SEGMENT, &msg->segment, sizeof(msg->segment));
}

static void msg_timestamp(struct rt_dgram *dgram, struct uring_msg *msg,
			  uint32_t timestamp)
{
	msg->timestamp = timestamp;
	control_put_u32(msg, SO_TIMESTAMPING,
			dgram->card ? SOF_TIMESTAMPING_TX_HARDWARE
				    : SOF_TIMESTAMPING_TX_SOFTWARE);
	if (dgram->pending)
		uring_dgram_expect(dgram, msg);
	else
		control_put_u32(msg, DGRAM_SCM_TS_OPT_ID, timestamp);
}

/* What a test wants to hear instead of the kernel's word. */
static void refuse_for_test(struct rt_dgram *dgram, struct rt_op *op,
			    const struct uring_msg *msg)
{
	int res = msg->message ? dgram->refuse.part : dgram->refuse.message;

	if (res && (msg->message || msg->segment))
		uring_end(dgram->loop, op, res);
}

/* What a kernel that does not cut this message says; of a part it has another reason. */
static bool error_is_refusal(int res)
{
	return res == -EIO || res == -EINVAL || res == -EMSGSIZE;
}

/* ---- the datagrams of a message one by one ----------------------------------------- */

/*
 * A message that waits for its parts is LANDED: it cannot be cancelled, and need not be,
 * since they do not wait. word[0] counts them, word[1] says whether the kernel is on trial:
 * it refused the message, and its answer to the parts shows why.
 */
static void message_part_over(struct rt_dgram *dgram, struct rt_op *op, int res)
{
	struct rt_loop *loop = dgram->loop;

	if (res < 0 && op->res == 0)
		op->res = res;
	if (--op->word[0] > 0)
		return;
	/* Too long, or from nowhere, alone as well: cutting is not what it refuses. */
	if (op->word[1] && !error_is_refusal(op->res))
		dgram->alone = DGRAM_ALONE;
	uring_dgram_unref(dgram);
	uring_finish(loop, op, op->res);
}

static void part_start(struct rt_dgram *dgram, struct rt_op *message,
		       struct uring_msg *msg)
{
	msg->message = message;
	msg->part = (struct rt_op){ .msg = &msg->hdr };
	message->word[0]++;
	dgram->flying++;
	uring_start(dgram->loop, &msg->part, URING_DGRAM_PART, dgram);
	refuse_for_test(dgram, &msg->part, msg);
}

/* Cut what `whole` has into parts; the TX timestamp goes to the first or the last. */
static void message_cut(struct rt_dgram *dgram, struct rt_op *op,
			const struct uring_msg *whole, const struct rt_message *message)
{
	bool trial = whole->segment != 0;
	size_t timestamped =
		trial ? (message->len - 1) / message->segment * message->segment : 0;

	uring_set_state(op, URING_LANDED);
	op->msg = NULL;
	op->res = 0;
	op->word[0] = 0;
	op->word[1] = trial;
	for (size_t at = 0; at < message->len; at += message->segment) {
		struct uring_msg *msg = uring_msg_get(dgram->loop);
		size_t len = message->len - at;

		if (!msg) {
			op->res = -ENOMEM;
			break;
		}
		msg->to = whole->to;
		msg->from = whole->from;
		msg_fill(dgram, msg, (const uint8_t *)message->buf + at,
			 len < message->segment ? len : message->segment);
		if (message->timestamp && at == timestamped)
			msg_timestamp(dgram, msg, message->timestamp);
		part_start(dgram, op, msg);
	}
	if (op->word[0] == 0)
		uring_end(dgram->loop, op, op->res);
}

/* The kernel has refused the message `msg`: send its datagrams, and remember. */
static void message_refused(struct rt_dgram *dgram, struct rt_op *op,
			    struct uring_msg *msg)
{
	struct rt_message message = { .buf = msg->iov.iov_base,
				      .len = msg->iov.iov_len,
				      .segment = msg->segment,
				      .timestamp = msg->timestamp };

	dgram->cut++;
	if (msg->timestamp && dgram->pending)
		uring_dgram_unexpect(dgram, msg->timestamp);
	message_cut(dgram, op, msg, &message);
	uring_msg_put(dgram->loop, msg);
}

/* ---- the door ---------------------------------------------------------------------- */

void rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
			   const struct rt_addr *to, const struct rt_message *message)
{
	struct uring_msg *msg = uring_msg_get(dgram->loop);
	bool several = message->len > message->segment;
	struct sockaddr_storage ss;
	socklen_t namelen = uring_sockaddr(to, dgram->family, &ss);

	rt_assert(!dgram->closed);
	rt_assert(!several ||
		  (message->len <= RT_MESSAGE_MAX && message->segment > 0 &&
		   (message->len - 1) / message->segment < RT_MESSAGE_DATAGRAMS));
	dgram->flying++;
	op->msg = msg ? &msg->hdr : NULL;
	uring_start(dgram->loop, op, URING_DGRAM_SEND, dgram);
	if (!msg || namelen == 0) {
		uring_end(dgram->loop, op, msg ? -EAFNOSUPPORT : -ENOMEM);
		return;
	}
	memcpy(&msg->to, &ss, namelen);
	uring_source(message->from, &msg->from);
	msg_fill(dgram, msg, message->buf, message->len);
	if (several && dgram->alone > 0) {
		dgram->alone--;
		rt_list_remove(uring_link(op));
		message_cut(dgram, op, msg, message);
		uring_msg_put(dgram->loop, msg);
		return;
	}
	if (several)
		msg_segment(msg, message->segment);
	if (message->timestamp)
		msg_timestamp(dgram, msg, message->timestamp);
	refuse_for_test(dgram, op, msg);
}

void rt_dgram_send(struct rt_dgram *dgram, struct rt_op *op, const struct rt_addr *to,
		   const void *buf, size_t len, uint32_t timestamp)
{
	struct rt_message message = {
		.buf = buf, .len = len, .segment = len, .timestamp = timestamp
	};

	rt_dgram_send_message(dgram, op, to, &message);
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

/* A send fails with the ICMP error of an earlier datagram. */
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

/* This host has no such address, of IPv6 and of IPv4; or it has no route, which shows then. */
static bool error_is_of_source(int res)
{
	return res == -EINVAL || res == -ENETUNREACH;
}

/*
 * True when it is sent once more: because of an error that is not its own, or that goes
 * away when the kernel chooses where it leaves from.
 */
static bool sent_again(struct rt_loop *loop, struct rt_op *op, int res)
{
	struct uring_msg *msg = (struct uring_msg *)(void *)op->msg;

	if (!msg)
		return false;
	if (!msg->again && error_is_old(res))
		msg->again = true;
	else if (msg->from.len > 0 && !msg->elsewhere && error_is_of_source(res))
		msg_elsewhere(msg);
	else
		return false;
	uring_restart(loop, op);
	refuse_for_test(op->impl[2], op, msg);
	return true;
}

static void msg_over(struct rt_dgram *dgram, struct uring_msg *msg, int res)
{
	if (res < 0 && msg->timestamp && dgram->pending)
		uring_dgram_unexpect(dgram, msg->timestamp);
	uring_msg_put(dgram->loop, msg);
}

static void send_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct rt_dgram *dgram = op->impl[2];
	struct uring_msg *msg = (struct uring_msg *)(void *)op->msg;

	if (sent_again(loop, op, res))
		return;
	if (msg && msg->segment && error_is_refusal(res)) {
		message_refused(dgram, op, msg);
		return;
	}
	if (msg)
		msg_over(dgram, msg, res);
	uring_dgram_unref(dgram);
	uring_finish(loop, op, res < 0 ? res : 0);
}

const struct uring_class uring_dgram_send_class = { send_prep, send_complete };

static void part_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct uring_msg *msg = rt_container_of(op, struct uring_msg, part);
	struct rt_dgram *dgram = op->impl[2];
	struct rt_op *message = msg->message;

	if (sent_again(loop, op, res))
		return;
	uring_finish(loop, op, res);
	msg_over(dgram, msg, res);
	/* The message's own count keeps the socket. */
	uring_dgram_unref(dgram);
	message_part_over(dgram, message, res < 0 ? res : 0);
}

const struct uring_class uring_dgram_part_class = { send_prep, part_complete };

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
	control_put_u32(&msg, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE);
	control_put_u32(&msg, DGRAM_SCM_TS_OPT_ID, 1);
	if (bind(fd, (struct sockaddr *)&self, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&self, &len) == 0 &&
	    uring_dgram_option(fd, SOL_SOCKET, SO_TIMESTAMPING,
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
