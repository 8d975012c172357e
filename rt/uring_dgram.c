// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring_dgram.h"

/* 50 ms at 1 Gbit/s; the kernel doubles it for its own overhead. */
#define DGRAM_RCVBUF (8 << 20)
#define DGRAM_SNDBUF (4 << 20)

int uring_dgram_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Beyond the system's limit where we may, else as much as it allows. */
static void buffer_size(int fd, int force, int name, int size)
{
	if (uring_dgram_option(fd, SOL_SOCKET, force, size) < 0)
		(void)uring_dgram_option(fd, SOL_SOCKET, name, size);
}

/* Only which TX timestamps to report: each send asks for its own. */
static int timestamps_set(struct rt_dgram *dgram)
{
	int timestamps = SOF_TIMESTAMPING_OPT_ID;

	timestamps |=
		dgram->card ? SOF_TIMESTAMPING_RAW_HARDWARE : SOF_TIMESTAMPING_SOFTWARE;
	if (!dgram->pending)
		timestamps |= SOF_TIMESTAMPING_OPT_TSONLY;
	return uring_dgram_option(dgram->fd, SOL_SOCKET, SO_TIMESTAMPING, timestamps);
}

static int options_set(struct rt_dgram *dgram)
{
	int fd = dgram->fd, r;

	/*
	 * On an IPv6 socket these two rule what it sends to mapped addresses. PROBE, for with
	 * DO the kernel believes every ICMP message about the path, and refuses for minutes
	 * what is longer than that says; anybody can send one.
	 */
	r = uring_dgram_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (r == 0)
		r = uring_dgram_option(fd, IPPROTO_IP, IP_RECVERR, 1);
	if (r == 0 && dgram->family == AF_INET6)
		r = uring_dgram_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
				       IPV6_PMTUDISC_PROBE);
	if (r == 0 && dgram->family == AF_INET6)
		r = uring_dgram_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (r == 0)
		r = uring_dgram_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (r < 0)
		return r;
	/* Whether several datagrams may come as one: not before 5.0, and then each alone. */
	dgram->gro = uring_dgram_option(fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
	buffer_size(fd, SO_RCVBUFFORCE, SO_RCVBUF, DGRAM_RCVBUF);
	buffer_size(fd, SO_SNDBUFFORCE, SO_SNDBUF, DGRAM_SNDBUF);
	return timestamps_set(dgram);
}

int rt_dgram_timestamp_card(struct rt_dgram *dgram, bool card)
{
	dgram->card = card;
	return timestamps_set(dgram);
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

int rt_dgram_watch_local(struct rt_dgram *dgram)
{
	static const uint8_t any[16];

	if (memcmp(dgram->addr.ip, any, sizeof(any)) != 0)
		return 0;
	if (dgram->family == AF_INET6) /* and mapped addresses */
		return uring_dgram_option(dgram->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	return uring_dgram_option(dgram->fd, IPPROTO_IP, IP_PKTINFO, 1);
}

void rt_dgram_local(const struct rt_dgram *dgram, struct rt_addr *ret)
{
	*ret = dgram->local;
	ret->port = dgram->addr.port;
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
