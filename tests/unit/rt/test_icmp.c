// SPDX-License-Identifier: BSD-3-Clause
/*
 * Anybody can send an ICMP message in a router's name. Protects: one that says that the
 * path takes short datagrams only does not stop ours, be it over IPv4 or IPv6. What the
 * path carries is found out by datagrams that come or do not (docs/tunnel.md).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/bytes.h"
#include "tests/unit/rt/call.h"

#define LOOPBACK UINT32_C(0x7f000001)
#define ROUNDS 3
#define ICMP_LEN 64 /* more than the longest here */

struct icmp_end {
	struct rt_loop *loop;
	struct rt_dgram *dgram;
	struct rt_addr addr;
	unsigned came, too_long;
};

static void end_received(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct icmp_end *end = owner;

	end->came++;
	rt_loop_stop(end->loop);
}

static void end_left(void *owner, uint32_t id)
{
}

static void end_overflowed(void *owner, uint64_t total)
{
}

static void end_too_long(void *owner)
{
	struct icmp_end *end = owner;

	end->too_long++;
	rt_loop_stop(end->loop);
}

static const struct rt_dgram_events end_events = { end_received, end_left, end_overflowed,
						   end_too_long };

static void end_open(struct icmp_end *end, struct rt_loop *loop, const char *addr)
{
	struct rt_addr local;

	*end = (struct icmp_end){ .loop = loop };
	assert_int_equal(rt_addr_parse(addr, &local), 0);
	assert_int_equal(rt_dgram_open(loop, &local, &end_events, end, &end->dgram), 0);
	rt_dgram_addr(end->dgram, &end->addr);
}

/* A network of our own, so that what is forged here is believed nowhere else. */
static int network_of_our_own(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, res;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	res = ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
	(void)close(fd);
	return res;
}

static void forge(int family, int protocol, const void *to, socklen_t to_len,
		  const uint8_t *icmp, size_t len)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);

	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, icmp, len, 0, to, to_len), (ssize_t)len);
	(void)close(fd);
}

static void put_ports(uint8_t *udp, const struct icmp_end *a, const struct icmp_end *b,
		      uint16_t len)
{
	be16 ports[3] = { be16_make(a->addr.port), be16_make(b->addr.port),
			  be16_make(len) };

	memcpy(udp, ports, sizeof(ports));
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* "Fragmentation needed", and no more than 552 bytes pass. */
static void forge_ipv4(const struct icmp_end *a, const struct icmp_end *b)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_addr = { htonl(LOOPBACK) } };
	uint8_t icmp[ICMP_LEN] = { 3, 4, 0, 0, 0, 0, 552 >> 8, 552 & 0xff };
	uint8_t *ip = icmp + 8;
	be32 host = be32_make(LOOPBACK);
	be16 sum;

	ip[0] = 0x45;
	ip[2] = 1488 >> 8;
	ip[3] = 1488 & 0xff;
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &host, 4);
	memcpy(ip + 16, &host, 4);
	put_ports(ip + 20, a, b, 1468);
	sum = be16_make(checksum(icmp, 8 + 20 + 8));
	memcpy(icmp + 2, &sum, 2);
	forge(AF_INET, IPPROTO_ICMP, &to, sizeof(to), icmp, 8 + 20 + 8);
}

/* "Packet too big", and no more than 1280 bytes pass; the kernel adds the checksum. */
static void forge_ipv6(const struct icmp_end *a, const struct icmp_end *b)
{
	const struct sockaddr_in6 to = { .sin6_family = AF_INET6,
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	uint8_t icmp[ICMP_LEN] = { 2, 0, 0, 0, 0, 0, 1280 >> 8, 1280 & 0xff };
	uint8_t *ip = icmp + 8;

	ip[0] = 0x60;
	ip[4] = 1436 >> 8;
	ip[5] = 1436 & 0xff;
	ip[6] = IPPROTO_UDP;
	ip[7] = 64;
	memcpy(ip + 8, &to.sin6_addr, 16);
	memcpy(ip + 24, &to.sin6_addr, 16);
	put_ports(ip + 40, a, b, 1436);
	forge(AF_INET6, IPPROTO_ICMPV6, &to, sizeof(to), icmp, 8 + 40 + 8);
}

static void send_one(struct icmp_end *a, struct icmp_end *b, size_t len)
{
	static uint8_t bytes[1472];
	unsigned want = b->came + 1;
	struct call call;

	rt_dgram_send(a->dgram, call_op(a->loop, &call), &b->addr, bytes, len, 0);
	assert_int_equal(call_wait(&call), 0);
	run_until(a->loop, &b->came, want);
}

static void datagrams_go_on(const char *addr, size_t len,
			    void (*forge_one)(const struct icmp_end *a,
					      const struct icmp_end *b))
{
	struct rt_loop *loop;
	struct icmp_end a, b;
	int err = network_of_our_own();

	if (err == -EPERM)
		skip(); /* that needs root */
	assert_int_equal(err, 0);
	assert_int_equal(rt_loop_new(&loop), 0);
	end_open(&a, loop, addr);
	end_open(&b, loop, addr);
	for (unsigned i = 0; i < ROUNDS; i++) {
		send_one(&a, &b, len);
		forge_one(&a, &b);
		run_until(loop, &a.too_long, i + 1); /* reported, and not believed */
	}
	send_one(&a, &b, len);
	rt_dgram_close(a.dgram);
	rt_dgram_close(b.dgram);
	assert_int_equal(rt_loop_run(loop), 0);
	rt_loop_free(loop);
}

static void over_ipv4(void **state)
{
	datagrams_go_on("127.0.0.1:0", 1460, forge_ipv4);
}

static void over_ipv6(void **state)
{
	datagrams_go_on("[::1]:0", 1428, forge_ipv6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_ipv4),
		cmocka_unit_test(over_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
