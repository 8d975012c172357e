// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define MAX_DATAGRAM 9216
#define MAX_TRAIN 60000 /* bytes that the kernel takes as one message and cuts up */
#define SOCKET_BYTES (16 << 20)

/* As much as we may have: a drop here would not be the line's. */
static void enlarge(int fd, int force, int plain)
{
	int bytes = SOCKET_BYTES;

	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	return fd;
}

int wanem_udp_open(struct wanem *w)
{
	int a = udp_socket();
	int b = udp_socket();

	w->udp[WANEM_AB] = a;
	w->udp[WANEM_BA] = b;
	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	if (bind(a, (struct sockaddr *)&w->listen, sizeof(w->listen)) != 0)
		return -errno;
	if (connect(b, (struct sockaddr *)&w->to, sizeof(w->to)) != 0)
		return -errno;
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		int err = wanem_watch(w, w->udp[dir], EPOLLIN, &w->udp[dir]);

		if (err != 0)
			return err;
	}
	return 0;
}

static void take(struct wanem *w, int dir, const void *data, size_t len, uint64_t now)
{
	struct wanem_event *event = wanem_event_new(WANEM_DATAGRAM, dir, data, len);

	if (event == NULL)
		w->tx_drops++;
	else
		wanem_packet_take(w, event, now);
}

unsigned int wanem_udp_receive(struct wanem *w, int dir)
{
	static uint8_t data[BATCH][MAX_DATAGRAM];
	struct sockaddr_in from[BATCH];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	uint64_t now;
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], MAX_DATAGRAM };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
							 .msg_namelen = sizeof(from[i]),
							 .msg_iov = &iov[i],
							 .msg_iovlen = 1 } };
	}
	n = recvmmsg(w->udp[dir], msgs, BATCH, 0, NULL);
	/* ECONNREFUSED tells of something sent before; it was taken out by this call. */
	if (n < 0 && errno == ECONNREFUSED)
		n = recvmmsg(w->udp[dir], msgs, BATCH, 0, NULL);
	if (n <= 0)
		return 0;
	now = wanem_now();
	for (int i = 0; i < n; i++) {
		if (msgs[i].msg_hdr.msg_flags & MSG_TRUNC)
			w->way[dir].count.oversize++;
		else
			take(w, dir, data[i], msgs[i].msg_len, now);
	}
	if (dir == WANEM_AB)
		w->peer = from[n - 1];
	w->more |= n == BATCH;
	return (unsigned int)n;
}

/*
 * Sends n messages. An error that names an earlier one (ECONNREFUSED: the daemon behind
 * is not there just now) is taken out and the rest is sent all the same.
 */
static void send_batch(struct wanem *w, int dir, struct mmsghdr *msgs, int n)
{
	int fd = w->udp[1 - dir];
	int sent = 0;
	bool again = false;

	while (sent < n) {
		int k = sendmmsg(fd, msgs + sent, (unsigned int)(n - sent), 0);

		if (k > 0) {
			sent += k;
			again = false;
			continue;
		}
		if (errno == ECONNREFUSED && !again) {
			w->way[dir].count.refused++;
			again = true;
			continue;
		}
		if (errno != ECONNREFUSED)
			w->tx_drops++;
		sent++;
		again = false;
	}
}

/* Datagrams that go out in one call: those of equal length are one message. */
struct batch {
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	union {
		char room[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control[BATCH];
	struct wanem_event *events[BATCH];
	int n_events;
	int n_msgs;
};

/* How many from `first` on may share a message: all but the last as long as the first. */
static int train_len(const struct batch *b, int first)
{
	uint32_t len = b->events[first]->len;
	uint32_t bytes = len;
	int n = 1;

	while (first + n < b->n_events && len != 0) {
		uint32_t next = b->events[first + n]->len;

		if (next > len || next == 0 || bytes + next > MAX_TRAIN)
			break;
		bytes += next;
		n++;
		if (next < len)
			break;
	}
	return n;
}

static void batch_messages(struct batch *b, struct sockaddr_in *to)
{
	b->n_msgs = 0;
	for (int i = 0; i < b->n_events;) {
		struct msghdr *msg = &b->msgs[b->n_msgs].msg_hdr;
		int n = train_len(b, i);
		uint16_t len = (uint16_t)b->events[i]->len;

		*msg = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = (size_t)n };
		if (to != NULL) {
			msg->msg_name = to;
			msg->msg_namelen = sizeof(*to);
		}
		if (n > 1) {
			struct cmsghdr *cmsg;

			msg->msg_control = b->control[b->n_msgs].room;
			msg->msg_controllen = CMSG_SPACE(sizeof(len));
			cmsg = CMSG_FIRSTHDR(msg);
			cmsg->cmsg_level = SOL_UDP;
			cmsg->cmsg_type = UDP_SEGMENT;
			cmsg->cmsg_len = CMSG_LEN(sizeof(len));
			memcpy(CMSG_DATA(cmsg), &len, sizeof(len));
		}
		b->n_msgs++;
		i += n;
	}
}

void wanem_udp_deliver(struct wanem *w, int dir, struct wanem_event *chain)
{
	static struct batch b;

	while (chain != NULL) {
		b.n_events = 0;
		for (; chain != NULL && b.n_events < BATCH; chain = chain->next) {
			b.iov[b.n_events] = (struct iovec){ chain->data, chain->len };
			b.events[b.n_events++] = chain;
		}
		batch_messages(&b, dir == WANEM_BA ? &w->peer : NULL);
		if (dir == WANEM_AB || w->peer.sin_port != 0)
			send_batch(w, dir, b.msgs, b.n_msgs);
		else
			w->way[dir].count.refused += (uint64_t)b.n_events;
	}
}

static uint32_t socket_drops(int fd)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	/* The counter behind SO_RXQ_OVFL, which also counts when nothing is received after. */
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) != 0)
		return UINT32_MAX;
	return mem[SK_MEMINFO_DROPS];
}

uint32_t wanem_udp_rx_drops(const struct wanem *w)
{
	uint32_t drops = 0;

	for (int dir = 0; dir < WANEM_DIRS; dir++)
		drops += socket_drops(w->udp[dir]) - w->rx_drops_before[dir];
	return drops;
}

void wanem_udp_reset_drops(struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++)
		w->rx_drops_before[dir] = socket_drops(w->udp[dir]);
}

void wanem_udp_close(struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		if (w->udp[dir] >= 0)
			(void)close(w->udp[dir]);
	}
}
