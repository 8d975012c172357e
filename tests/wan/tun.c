// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE "wan0"
#define BATCH 256
#define MAX_PACKET 9216 /* the devices' MTU is less */
#define IP_HEAD 20
#define ICMP_HEAD 8
#define ICMP_QUOTES (IP_HEAD + 8)

/* ---- devices in namespaces ------------------------------------------------------------- */

static int open_netns(const char *name)
{
	char path[128];
	int n = snprintf(path, sizeof(path), "%s%s",
			 strchr(name, '/') ? "" : "/run/netns/", name);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* To be called inside the namespace: what is opened there stays of it. */
static int open_device(struct wanem_tun *tun)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	memcpy(request.ifr_name, DEVICE, sizeof(DEVICE));
	tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun->fd < 0)
		return -errno;
	if (ioctl(tun->fd, TUNSETIFF, &request) != 0)
		return -errno;
	tun->counters = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
	return tun->counters < 0 ? -errno : 0;
}

static int open_side(struct wanem *w, int dir, int home)
{
	int netns = open_netns(w->netns[dir]);
	int err;

	if (netns < 0)
		return netns;
	err = setns(netns, CLONE_NEWNET) == 0 ? 0 : -errno;
	(void)close(netns);
	if (err == 0)
		err = open_device(&w->tun[dir]);
	if (setns(home, CLONE_NEWNET) != 0 && err == 0)
		err = -errno;
	if (err == 0)
		err = wanem_watch(w, w->tun[dir].fd, EPOLLIN, &w->tun[dir]);
	return err;
}

int wanem_tun_open(struct wanem *w)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (home < 0)
		return -errno;
	for (int dir = 0; dir < WANEM_DIRS && err == 0; dir++) {
		w->way[dir].line.overhead = 0;
		err = open_side(w, dir, home);
	}
	(void)close(home);
	return err;
}

void wanem_tun_close(struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		if (w->tun[dir].fd >= 0)
			(void)close(w->tun[dir].fd);
		if (w->tun[dir].counters >= 0)
			(void)close(w->tun[dir].counters);
	}
}

/* ---- counters -------------------------------------------------------------------------- */

/*
 * Packets that the device dropped: those that we were too slow to read, and those that we
 * wrote and the kernel had no room for.
 */
static void read_drops(const struct wanem_tun *tun, uint64_t *unread, uint64_t *unwritten)
{
	enum { RECEIVE_DROP = 3, SEND_DROP = 11 };
	char text[4096];
	ssize_t n = pread(tun->counters, text, sizeof(text) - 1, 0);
	char *at;

	*unread = *unwritten = UINT64_MAX;
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, DEVICE ":");
	if (at == NULL)
		return; /* the device is gone: the run is void */
	at += sizeof(DEVICE ":") - 1;
	for (int field = 0; field <= SEND_DROP; field++) {
		uint64_t value = strtoull(at, &at, 10);

		if (field == RECEIVE_DROP)
			*unwritten = value;
		if (field == SEND_DROP)
			*unread = value;
	}
}

uint64_t wanem_tun_drops(const struct wanem *w)
{
	uint64_t drops = 0;

	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		uint64_t unread, unwritten;

		read_drops(&w->tun[dir], &unread, &unwritten);
		drops += unread - w->tun[dir].unread_before;
		drops += unwritten - w->tun[dir].unwritten_before;
	}
	return drops;
}

void wanem_tun_reset_drops(struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++)
		read_drops(&w->tun[dir], &w->tun[dir].unread_before,
			   &w->tun[dir].unwritten_before);
}

/* ---- packets --------------------------------------------------------------------------- */

unsigned int wanem_tun_receive(struct wanem *w, int dir)
{
	static uint8_t data[MAX_PACKET];
	unsigned int n;

	for (n = 0; n < BATCH; n++) {
		ssize_t len = read(w->tun[dir].fd, data, sizeof(data));
		struct wanem_event *event;

		if (len <= 0)
			break;
		event = wanem_event_new(WANEM_DATAGRAM, dir, data, (size_t)len);
		if (event == NULL)
			w->tx_drops++;
		else
			wanem_packet_take(w, event, wanem_now());
	}
	w->more |= n == BATCH;
	return n;
}

void wanem_tun_deliver(struct wanem *w, int dir, const struct wanem_event *chain)
{
	int fd = w->tun[1 - dir].fd;

	for (; chain != NULL; chain = chain->next) {
		if (write(fd, chain->data, chain->len) >= 0)
			continue;
		/* A packet with a flipped bit may be none that the kernel takes. */
		if (errno == EINVAL)
			w->way[dir].count.refused++;
		else
			w->tx_drops++;
	}
}

/* ---- path MTU -------------------------------------------------------------------------- */

static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* RFC 792 and 1191: destination unreachable, fragmentation needed, and the next MTU. */
void wanem_tun_too_big(struct wanem *w, const struct wanem_event *event, uint64_t mtu,
		       uint64_t now)
{
	uint8_t answer[IP_HEAD + ICMP_HEAD + ICMP_QUOTES] = { 0x45 };
	uint8_t *icmp = answer + IP_HEAD;
	const uint8_t *packet = event->data;
	struct wanem_event *reply;

	/* IPv6 and IPv4 with options: the sender finds out by itself. */
	if (event->len < ICMP_QUOTES || packet[0] != 0x45)
		return;
	put16(answer + 2, sizeof(answer));
	answer[8] = 64;
	answer[9] = IPPROTO_ICMP;
	memcpy(answer + 12, packet + 16, 4); /* as if from the other end */
	memcpy(answer + 16, packet + 12, 4);
	put16(answer + 10, checksum(answer, IP_HEAD));
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, (uint16_t)mtu);
	memcpy(icmp + ICMP_HEAD, packet, ICMP_QUOTES);
	put16(icmp + 2, checksum(icmp, ICMP_HEAD + ICMP_QUOTES));
	reply = wanem_event_new(WANEM_DATAGRAM, 1 - event->dir, answer, sizeof(answer));
	if (reply == NULL) {
		w->tx_drops++;
		return;
	}
	/* Its router stands at this end of the line. */
	reply->arrived_ns = reply->sent_ns = now;
	wanem_packet_put(w, reply, now);
}
