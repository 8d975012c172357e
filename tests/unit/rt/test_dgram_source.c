// SPDX-License-Identifier: BSD-3-Clause
/*
 * A host has several addresses, and a firewall passes an answer from the one that was
 * dialed. Protects: a socket for any address sends from the one that is asked for, whoever
 * cuts its messages; it knows which one a datagram was sent to; and an address that is
 * gone costs no datagram, nor does it pass for a kernel that cuts no messages.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rt/uring_dgram.h"
#include "tests/unit/rt/call.h"

#define SEGMENT 1000u
#define PARTS 5u
#define TIMESTAMP 77
#define DROPPED 40 /* most of them, by a receive buffer that has no room */

struct end {
	struct rt_loop *loop;
	struct rt_dgram *dgram;
	struct rt_addr from, local;	/* of the datagram that was received last */
	unsigned received, left, wrong; /* wrong: from elsewhere than `expected` */
	struct rt_addr expected;
	uint64_t overflowed;
};

static uint8_t bytes[PARTS * SEGMENT];
static bool alone_here; /* in a network of our own, with the addresses below */

static const unsigned withouts[] = {
	0,
	URING_WITHOUT_TS_ID | URING_WITHOUT_MULTISHOT | URING_WITHOUT_DEFER,
};

static struct rt_addr parsed(const char *text)
{
	struct rt_addr addr;

	assert_int_equal(rt_addr_parse(text, &addr), 0);
	return addr;
}

static bool same_ip(const struct rt_addr *a, const struct rt_addr *b)
{
	struct rt_addr c = *a;

	c.port = b->port;
	return rt_addr_equal(&c, b);
}

static void end_received(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct end *end = owner;

	end->received++;
	end->wrong += !same_ip(from, &end->expected);
	end->from = *from;
	rt_dgram_local(end->dgram, &end->local);
	rt_loop_stop(end->loop);
}

static void end_left(void *owner, uint32_t id)
{
	struct end *end = owner;

	assert_int_equal(id, TIMESTAMP);
	end->left++;
	rt_loop_stop(end->loop);
}

static void end_overflowed(void *owner, uint64_t total)
{
	((struct end *)owner)->overflowed = total;
}

static const struct rt_dgram_events end_events = { end_received, end_left, end_overflowed,
						   NULL };

static void end_open(struct end *end, struct rt_loop *loop, const char *at)
{
	const struct rt_addr local = parsed(at);

	*end = (struct end){ .loop = loop };
	assert_int_equal(rt_dgram_open(loop, &local, &end_events, end, &end->dgram), 0);
}

struct world {
	struct rt_loop *loop;
	struct end near, far; /* near sends, far listens for everybody */
};

static void world_open(struct world *w, unsigned without, const char *near,
		       const char *far)
{
	assert_int_equal(uring_loop_new(without, &w->loop), 0);
	end_open(&w->near, w->loop, near);
	end_open(&w->far, w->loop, far);
}

static void world_close(struct world *w)
{
	rt_dgram_close(w->near.dgram);
	rt_dgram_close(w->far.dgram);
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_loop_free(w->loop);
}

/* Where the far end is, at this address of the host. */
static struct rt_addr far_at(const struct world *w, const char *to)
{
	struct rt_addr addr = parsed(to), far;

	rt_dgram_addr(w->far.dgram, &far);
	addr.port = far.port;
	return addr;
}

static int send_from(struct world *w, const struct rt_addr *to,
		     const struct rt_addr *from, size_t len)
{
	const struct rt_message message = { .buf = bytes,
					    .len = len,
					    .segment = SEGMENT,
					    .timestamp = TIMESTAMP,
					    .from = from };
	struct call call;

	rt_dgram_send_message(w->near.dgram, call_op(w->loop, &call), to, &message);
	return call_wait(&call);
}

/* One datagram and a message go from `from`, and arrive from `expected`, each with a timestamp. */
static void arrive_from(struct world *w, const struct rt_addr *to,
			const struct rt_addr *from, const char *expected)
{
	const struct rt_addr *end = &w->far.expected;

	w->far.expected = parsed(expected);
	w->far.received = w->far.wrong = w->near.left = 0;
	assert_int_equal(send_from(w, to, from, 10), 0);
	run_until(w->loop, &w->far.received, 1);
	assert_true(same_ip(&w->far.from, end));
	assert_int_equal(send_from(w, to, from, sizeof(bytes)), 0);
	run_until(w->loop, &w->far.received, 1 + PARTS);
	assert_int_equal(w->far.received, 1 + PARTS);
	assert_int_equal(w->far.wrong, 0);
	run_until(w->loop, &w->near.left, 2);
}

/* `local` is bound, and `from` is not the address that the kernel sends from to `to`. */
struct way {
	const char *local, *to, *from, *chosen, *gone;
};

static const struct way ways[] = {
	{ "0.0.0.0:0", "127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:1", "192.0.2.77:1" },
	{ "*:0", "127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:1", "192.0.2.77:1" },
	{ "*:0", "[::1]:1", "[2001:db8::2]:1", "[::1]:1", "[2001:db8::77]:1" },
};

static bool way_is_open(const struct way *way)
{
	return alone_here || way->to[0] != '[';
}

static void datagrams_leave_from_where_they_are_told(void **state)
{
	static const int refusals[] = { 0, -EIO, -EINVAL, -EMSGSIZE };

	for (unsigned i = 0; i < RT_ARRAY_LEN(ways) * RT_ARRAY_LEN(withouts); i++) {
		const struct way *way = &ways[i / RT_ARRAY_LEN(withouts)];

		if (!way_is_open(way))
			continue;
		for (unsigned k = 0; k < RT_ARRAY_LEN(refusals); k++) {
			const struct rt_addr from = parsed(way->from);
			struct rt_addr to;
			struct world w;

			world_open(&w, withouts[i % RT_ARRAY_LEN(withouts)], way->local,
				   "*:0");
			to = far_at(&w, way->to);
			arrive_from(&w, &to, NULL, way->chosen);
			w.near.dgram->refuse.message = refusals[k];
			arrive_from(&w, &to, &from, way->from);
			assert_int_equal(w.near.dgram->cut, refusals[k] != 0);
			arrive_from(&w, &to, &from, way->from); /* cut without asking */
			assert_int_equal(w.near.dgram->cut, refusals[k] != 0);
			world_close(&w);
		}
	}
}

/* Of its own accord: it does not cut what it must not give a checksum. */
static void parts_for_a_kernel_that_refuses_do_so_too(void **state)
{
	const struct rt_addr from = parsed("127.0.0.2:1");
	struct rt_addr to;
	struct world w;

	world_open(&w, 0, "*:0", "*:0");
	to = far_at(&w, "127.0.0.1:1");
	assert_int_equal(uring_dgram_option(w.near.dgram->fd, SOL_SOCKET, SO_NO_CHECK, 1),
			 0);
	arrive_from(&w, &to, &from, "127.0.0.2:1");
	assert_int_equal(w.near.dgram->cut, 1);
	world_close(&w);
}

/*
 * An address that has left this host: the kernel chooses, and is not taken for one that
 * cuts no messages. The same for each part.
 */
static void an_address_that_is_gone_costs_nothing(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(ways) * RT_ARRAY_LEN(withouts); i++) {
		const struct way *way = &ways[i / RT_ARRAY_LEN(withouts)];
		const struct rt_addr gone = parsed(way->gone);
		struct rt_addr to;
		struct world w;

		if (!way_is_open(way))
			continue;
		world_open(&w, withouts[i % RT_ARRAY_LEN(withouts)], way->local, "*:0");
		to = far_at(&w, way->to);
		arrive_from(&w, &to, &gone, way->chosen);
		assert_int_equal(w.near.dgram->cut, 0);
		assert_int_equal(w.near.dgram->alone, 0);
		w.near.dgram->alone = 1;
		arrive_from(&w, &to, &gone, way->chosen);
		assert_int_equal(w.near.dgram->alone, 0);
		world_close(&w);
	}
}

/* What the choice of an address does not mend is reported. */
static void no_route_is_no_route(void **state)
{
	const struct rt_addr from = parsed("127.0.0.2:1"), to = parsed("192.0.2.1:9");
	struct world w;

	if (!alone_here)
		skip(); /* that needs root */
	world_open(&w, 0, "*:0", "*:0");
	assert_int_equal(send_from(&w, &to, &from, 10), -ENETUNREACH);
	assert_int_equal(send_from(&w, &to, &from, sizeof(bytes)), -ENETUNREACH);
	world_close(&w);
}

/* Nowhere, and an address of the other family, say nothing. */
static void what_is_no_source_is_none(void **state)
{
	const struct rt_addr none = { .kind = RT_ADDR_NONE };

	for (unsigned i = 0; i < RT_ARRAY_LEN(ways); i++) {
		struct rt_addr to, other = parsed(i < 2 ? "[::1]:1" : "127.0.0.2:1");
		struct world w;

		if (!way_is_open(&ways[i]))
			continue;
		world_open(&w, 0, ways[i].local, "*:0");
		to = far_at(&w, ways[i].to);
		arrive_from(&w, &to, &none, ways[i].chosen);
		arrive_from(&w, &to, &other, ways[i].chosen);
		world_close(&w);
	}
}

static void expect_local(struct world *w, const char *to, const char *told)
{
	const struct rt_addr addr = far_at(w, to);
	const struct rt_addr want =
		told ? far_at(w, told) : (struct rt_addr){ .kind = RT_ADDR_NONE };

	for (unsigned i = 0; i < 2; i++) {
		w->far.received = 0;
		assert_int_equal(send_from(w, &addr, NULL, i ? sizeof(bytes) : 10), 0);
		run_until(w->loop, &w->far.received, i ? PARTS : 1);
		assert_true(rt_addr_equal(&w->far.local, &want));
	}
}

static void who_watches_is_told_where_it_was_sent_to(void **state)
{
	static const char *const fars[] = { "0.0.0.0:0", "*:0" };

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(withouts); i++) {
		struct world w;

		world_open(&w, withouts[i / 2], "*:0", fars[i % 2]);
		expect_local(&w, "127.0.0.2:1", NULL);
		assert_int_equal(rt_dgram_watch_local(w.far.dgram), 0);
		expect_local(&w, "127.0.0.2:1", "127.0.0.2:1");
		expect_local(&w, "127.0.0.3:1", "127.0.0.3:1");
		if (i % 2 && alone_here) {
			expect_local(&w, "[2001:db8::2]:1", "[2001:db8::2]:1");
			expect_local(&w, "[::1]:1", "[::1]:1");
		}
		world_close(&w);
	}
}

/* What else the kernel says of a datagram leaves room for it, and one address is not another's. */
static void it_is_told_beside_everything_else(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(withouts); i++) {
		struct call calls[DROPPED];
		struct rt_addr to;
		struct world w;
		int fd;

		world_open(&w, withouts[i], "*:0", "*:0");
		fd = w.far.dgram->fd;
		to = far_at(&w, "127.0.0.3:1");
		assert_int_equal(rt_dgram_watch_local(w.far.dgram), 0);
		assert_int_equal(uring_dgram_option(fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
		for (unsigned n = 0; n < DROPPED; n++)
			rt_dgram_send(w.near.dgram, call_op(w.loop, &calls[n]), &to,
				      bytes, SEGMENT, 0);
		for (unsigned n = 0; n < DROPPED; n++)
			assert_int_equal(call_wait(&calls[n]), 0);
		run_until(w.loop, &w.far.received, 1);
		assert_int_equal(uring_dgram_option(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20),
				 0);
		expect_local(&w, "127.0.0.2:1", "127.0.0.2:1");
		assert_true(w.far.overflowed > 0);
		assert_int_equal(
			uring_dgram_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0), 0);
		expect_local(&w, "127.0.0.2:1", NULL);
		world_close(&w);
	}
}

/* A socket of one address has no other to answer from. */
static void one_address_is_not_watched(void **state)
{
	struct world w;

	world_open(&w, 0, "*:0", "127.0.0.2:0");
	assert_int_equal(rt_dgram_watch_local(w.far.dgram), 0);
	expect_local(&w, "127.0.0.2:1", NULL);
	world_close(&w);
}

/* What the kernel wants for SIOCSIFADDR; its own header does not go with the system's. */
struct ifreq_inet6 {
	struct in6_addr addr;
	uint32_t prefix_len;
	int index;
};

/* A network of our own, since loopback has one address of IPv6 only. */
static bool network_of_our_own(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct ifreq_inet6 second = { .prefix_len = 128, .index = 1 };
	const struct rt_addr addr = parsed("[2001:db8::2]:1");
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	memcpy(&second.addr, addr.ip, sizeof(second.addr));
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &second), 0);
	(void)close(fd);
	return true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_leave_from_where_they_are_told),
		cmocka_unit_test(parts_for_a_kernel_that_refuses_do_so_too),
		cmocka_unit_test(an_address_that_is_gone_costs_nothing),
		cmocka_unit_test(no_route_is_no_route),
		cmocka_unit_test(what_is_no_source_is_none),
		cmocka_unit_test(who_watches_is_told_where_it_was_sent_to),
		cmocka_unit_test(it_is_told_beside_everything_else),
		cmocka_unit_test(one_address_is_not_watched),
	};

	alone_here = network_of_our_own();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
