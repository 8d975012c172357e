// SPDX-License-Identifier: BSD-3-Clause
/*
 * Datagrams carry replication and its evidence: each arrives whole and with its sender,
 * a stamp comes for those that asked and for no others, and closing a socket at any
 * moment is safe. Everything also runs as on a kernel without the newer features.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/log.h"
#include "rt/mem.h"
#include "rt/uring_dgram.h"
#include "tests/unit/rt/call.h"

#define BOUND_NS (10 * RT_S)
#define SENDS_MAX 400

struct end {
	struct rt_loop *loop;
	struct rt_dgram *dgram;
	struct rt_addr addr;
	unsigned received, left, overflowed;
	size_t bytes;
	uint32_t left_ids[SENDS_MAX];
	uint32_t seen[SENDS_MAX]; /* first four bytes of each, in order */
	struct rt_addr from;
	unsigned stop_received, stop_left; /* stop the loop at so many of both */
	bool close_at_receive;
};

struct send {
	struct rt_op op;
	int res;
	bool done;
};

struct world {
	unsigned without;
	struct rt_loop *loop;
	struct end a, b;
	struct rt_timer bound;
	struct send sends[SENDS_MAX];
	unsigned sent;
	bool late;
};

static void end_check(struct end *end)
{
	if (end->received >= end->stop_received && end->left >= end->stop_left)
		rt_loop_stop(end->loop);
}

static void end_received(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct end *end = owner;

	if (end->received < SENDS_MAX && len >= 4)
		memcpy(&end->seen[end->received], dgram, 4);
	end->received++;
	end->bytes += len;
	end->from = *from;
	if (end->close_at_receive) {
		rt_dgram_close(end->dgram);
		end->dgram = NULL;
	}
	end_check(end);
}

static void end_left(void *owner, uint32_t id)
{
	struct end *end = owner;

	if (end->left < SENDS_MAX)
		end->left_ids[end->left] = id;
	end->left++;
	end_check(end);
}

static void end_overflowed(void *owner, uint64_t total)
{
	((struct end *)owner)->overflowed = (unsigned)total;
}

static const struct rt_dgram_events end_events = { end_received, end_left, end_overflowed,
						   NULL };

static void bound_fire(struct rt_timer *timer)
{
	struct world *w = rt_container_of(timer, struct world, bound);

	w->late = true;
	rt_loop_stop(w->loop);
}

static void end_open(struct end *end, struct rt_loop *loop, const char *addr)
{
	struct rt_addr local;

	end->loop = loop;
	end->stop_received = end->stop_left = UINT32_MAX;
	assert_int_equal(rt_addr_parse(addr, &local), 0);
	assert_int_equal(rt_dgram_open(loop, &local, &end_events, end, &end->dgram), 0);
	rt_dgram_addr(end->dgram, &end->addr);
	assert_true(end->addr.port != 0);
}

static struct world *world_new(unsigned without, const char *a, const char *b)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->without = without;
	assert_int_equal(uring_loop_new(without, &w->loop), 0);
	end_open(&w->a, w->loop, a);
	end_open(&w->b, w->loop, b);
	w->bound.fire = bound_fire;
	return w;
}

static void world_run(struct world *w)
{
	rt_timer_arm(w->loop, &w->bound, rt_time_add(rt_now(w->loop), BOUND_NS));
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_timer_disarm(w->loop, &w->bound);
	assert_false(w->late);
}

static void world_free(struct world *w)
{
	rt_dgram_close(w->a.dgram);
	rt_dgram_close(w->b.dgram);
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_loop_free(w->loop);
	free(w);
}

static void send_done(struct rt_op *op, int res)
{
	struct send *send = rt_container_of(op, struct send, op);

	assert_false(send->done);
	send->done = true;
	send->res = res;
}

static void world_send(struct world *w, struct end *from, const struct rt_addr *to,
		       const void *buf, size_t len, uint32_t stamp)
{
	struct send *send = &w->sends[w->sent++];

	send->op.done = send_done;
	rt_dgram_send(from->dgram, &send->op, to, buf, len, stamp);
}

/* Those sent with a stamp are stamped, each once; all arrive, in order. */
static void exchange(unsigned without, const char *local)
{
	static uint8_t bytes[SENDS_MAX][1400];
	struct world *w = world_new(without, local, local);
	unsigned n = 300;

	for (uint32_t i = 0; i < n; i++) {
		memset(bytes[i], (int)i, sizeof(bytes[i]));
		memcpy(bytes[i], &i, 4);
		world_send(w, &w->a, &w->b.addr, bytes[i], sizeof(bytes[i]),
			   i % 3 ? 0 : 7000 + i);
	}
	w->a.stop_received = 0;
	w->a.stop_left = n / 3;
	world_run(w);
	w->b.stop_received = n;
	w->b.stop_left = 0;
	if (w->b.received < n)
		world_run(w);
	assert_int_equal(w->b.received, n);
	assert_int_equal(w->b.bytes, n * sizeof(bytes[0]));
	assert_int_equal(w->a.left, n / 3);
	assert_true(rt_addr_equal(&w->b.from, &w->a.addr));
	for (uint32_t i = 0; i < n; i++) {
		assert_true(w->sends[i].done);
		assert_int_equal(w->sends[i].res, 0);
	}
	for (uint32_t i = 0; i < n / 3; i++)
		assert_int_equal(w->a.left_ids[i], 7000 + 3 * i);
	if (w->b.dgram->multishot) {
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(w->b.seen[i], i);
	}
	world_free(w);
}

static void datagrams_arrive_and_asked_ones_are_stamped(void **state)
{
	exchange(0, "127.0.0.1:0");
}

static void the_same_over_ipv6(void **state)
{
	exchange(0, "[::1]:0");
}

static void the_same_without_multishot(void **state)
{
	exchange(URING_WITHOUT_MULTISHOT, "127.0.0.1:0");
}

static void the_same_without_stamp_identifiers(void **state)
{
	exchange(URING_WITHOUT_TS_ID, "127.0.0.1:0");
	exchange(URING_WITHOUT_TS_ID, "[::1]:0");
}

static void the_same_without_anything_new(void **state)
{
	exchange(URING_WITHOUT_TS_ID | URING_WITHOUT_MULTISHOT | URING_WITHOUT_DEFER,
		 "127.0.0.1:0");
}

static void until_received(struct world *w, struct end *end, unsigned n)
{
	end->stop_received = n;
	end->stop_left = 0;
	if (end->received < n)
		world_run(w);
}

static void until_left(struct world *w, struct end *end, unsigned n)
{
	end->stop_received = 0;
	end->stop_left = n;
	if (end->left < n)
		world_run(w);
}

/*
 * An isolated write waits for two stamps, of the first datagram of its message and the last: over
 * loopback they are there together, and must not take a turn each.
 */
static void stamps_come_together(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0", "127.0.0.1:0");

	for (unsigned i = 1; i <= 20; i++) {
		world_send(w, &w->a, &w->b.addr, "data", 4, 2 * i - 1);
		world_send(w, &w->a, &w->b.addr, "fence", 5, 2 * i);
		while (w->a.left == 2 * (i - 1))
			run_turns(w->loop, 1);
		assert_int_equal(w->a.left, 2 * i);
	}
	world_free(w);
}

/* A mirror that listens on `*` talks to peers of either family by their own name. */
/*
 * Where stamps carry no identifier: one that differs in its last byte alone, and leaves
 * while the other is dropped, is not taken for it. A relay would vouch for what never left.
 */
static void a_stamp_is_of_these_bytes(void **state)
{
	static const unsigned without[] = {
		URING_WITHOUT_TS_ID, URING_WITHOUT_TS_ID | URING_WITHOUT_MULTISHOT
	};
	uint8_t dropped[1472] = { 1, 2, 3 }, sent[1472] = { 1, 2, 3 };
	struct uring_msg msg = { .iov = { dropped, sizeof(dropped) }, .timestamp = 5 };

	sent[sizeof(sent) - 1] = 1;
	for (unsigned i = 0; i < RT_ARRAY_LEN(without); i++) {
		struct world *w = world_new(without[i], "127.0.0.1:0", "127.0.0.1:0");

		uring_dgram_expect(w->a.dgram, &msg);
		world_send(w, &w->a, &w->b.addr, sent, sizeof(sent), 6);
		until_left(w, &w->a, 1);
		assert_int_equal(w->a.left_ids[0], 6);
		world_free(w);
	}
}

static void both_families_on_one_socket(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0", "*:0");
	struct rt_addr to = w->a.addr, far;

	to.port = w->b.addr.port;
	world_send(w, &w->a, &to, "ping", 4, 0);
	until_received(w, &w->b, 1);
	assert_true(rt_addr_equal(&w->b.from, &w->a.addr));
	world_send(w, &w->b, &w->b.from, "pong", 4, 99);
	until_left(w, &w->b, 1);
	assert_int_equal(w->b.left_ids[0], 99);
	until_received(w, &w->a, 1);
	assert_true(rt_addr_equal(&w->a.from, &to));
	/* The IPv4 end cannot send to IPv6, and says so. */
	assert_int_equal(rt_addr_parse("[::1]:9", &far), 0);
	world_send(w, &w->a, &far, "x", 1, 7);
	world_send(w, &w->b, &far, "x", 1, 0);
	assert_int_equal(rt_addr_parse("unix:/x", &far), 0);
	world_send(w, &w->b, &far, "x", 1, 0);
	world_send(w, &w->a, &to, "last", 4, 0);
	until_received(w, &w->b, 2);
	assert_int_equal(w->sends[2].res, -EAFNOSUPPORT);
	assert_int_equal(w->sends[4].res, -EAFNOSUPPORT);
	world_free(w);
}

/* An ICMP error for one datagram costs no other: the next send to anybody succeeds. */
static void refused_datagrams_do_not_harm_others(unsigned without)
{
	struct world *w = world_new(without, "127.0.0.1:0", "127.0.0.1:0");
	struct rt_addr nobody;
	struct end gone;

	memset(&gone, 0, sizeof(gone));
	end_open(&gone, w->loop, "127.0.0.1:0");
	nobody = gone.addr;
	rt_dgram_close(gone.dgram);
	for (uint32_t i = 1; i <= 20; i++) {
		world_send(w, &w->a, &nobody, "lost", 4, 0);
		world_send(w, &w->a, &w->b.addr, "good", 4, i);
		until_received(w, &w->b, i);
		until_left(w, &w->a, i);
	}
	assert_true(w->a.dgram->icmp_errors > 0);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(w->sends[2 * i + 1].res, 0);
		assert_int_equal(w->a.left_ids[i], i + 1);
	}
	world_free(w);
}

static void refused_datagrams(void **state)
{
	refused_datagrams_do_not_harm_others(0);
	refused_datagrams_do_not_harm_others(URING_WITHOUT_MULTISHOT);
	refused_datagrams_do_not_harm_others(URING_WITHOUT_TS_ID);
}

/* The longest goes whole, a longer one is refused, an empty one does no harm. */
static void lengths_at_the_limits(void **state)
{
	static uint8_t big[65509]; /* loopback itself would take one byte less */
	static const unsigned without[] = { 0, URING_WITHOUT_MULTISHOT,
					    URING_WITHOUT_TS_ID };

	for (unsigned i = 0; i < RT_ARRAY_LEN(without); i++) {
		struct world *w = world_new(without[i], "127.0.0.1:0", "127.0.0.1:0");

		big[0] = (uint8_t)i;
		world_send(w, &w->a, &w->b.addr, big, 65507, 11);
		world_send(w, &w->a, &w->b.addr, big, 65509, 12);
		world_send(w, &w->a, &w->b.addr, big, 0, 13);
		world_send(w, &w->a, &w->b.addr, big, 0, 0);
		world_send(w, &w->a, &w->b.addr, big, 1, 14);
		until_received(w, &w->b, 4);
		until_left(w, &w->a, 3);
		while (!w->sends[1].done) /* it is tried twice */
			run_turns(w->loop, 1);
		assert_int_equal(w->b.bytes, 65508);
		assert_int_equal(w->sends[0].res, 0);
		assert_int_equal(w->sends[1].res, -EMSGSIZE);
		assert_int_equal(w->a.left_ids[0], 11);
		assert_int_equal(w->a.left_ids[1], 13);
		assert_int_equal(w->a.left_ids[2], 14);
		world_free(w);
	}
}

/* Drops in our own buffer are not the line's: they are counted apart. */
static void our_own_drops_are_counted(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0", "127.0.0.1:0");
	static uint8_t bytes[1400];
	int small = 1;
	unsigned n = 200, before;

	assert_int_equal(setsockopt(w->b.dgram->fd, SOL_SOCKET, SO_RCVBUF, &small,
				    sizeof(small)),
			 0);
	for (unsigned i = 0; i < n; i++)
		world_send(w, &w->a, &w->b.addr, bytes, sizeof(bytes), i + 1);
	until_left(w, &w->a, n); /* they all left: the drop is at the other end */
	until_received(w, &w->b, 1);
	before = w->b.received;
	assert_true(before < n);
	world_send(w, &w->a, &w->b.addr, bytes, 4, 0);
	until_received(w, &w->b, before + 1);
	assert_int_equal(w->b.overflowed + w->b.received, n + 1);
	world_free(w);
}

static void closing_from_a_callback(void **state)
{
	for (unsigned without = 0; without < 8; without++) {
		struct world *w = world_new(without, "127.0.0.1:0", "127.0.0.1:0");

		w->b.close_at_receive = true;
		for (unsigned i = 0; i < 20; i++)
			world_send(w, &w->a, &w->b.addr, "data", 4, 0);
		until_received(w, &w->b, 1);
		assert_int_equal(w->b.received, 1);
		assert_null(w->b.dgram);
		world_free(w);
	}
}

/*
 * What was sent before the close leaves, and each send has its end. Stamps that nobody
 * has read yet keep waking the receives: the cancel must reach them all the same, or the
 * last run of the loop would not end.
 */
static void closing_with_stamps_unread(void **state)
{
	for (unsigned without = 0; without < 8; without++) {
		for (unsigned turns = 0; turns < 3; turns++) {
			struct world *w =
				world_new(without, "127.0.0.1:0", "127.0.0.1:0");
			unsigned n = 300;

			for (unsigned i = 0; i < n; i++)
				world_send(w, &w->a, &w->b.addr, "data", 4, i + 1);
			run_turns(w->loop, turns);
			rt_dgram_close(w->a.dgram);
			w->a.dgram = NULL;
			until_received(w, &w->b, n);
			for (unsigned i = 0; i < n; i++)
				assert_true(w->sends[i].done && w->sends[i].res == 0);
			world_free(w);
		}
	}
}

static void opening_tells_why_not(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0", "127.0.0.1:0");
	struct rt_dgram *dgram;
	struct rt_addr addr;

	assert_int_equal(rt_dgram_open(w->loop, &w->a.addr, &end_events, w, &dgram),
			 -EADDRINUSE);
	assert_int_equal(rt_addr_parse("unix:/x", &addr), 0);
	assert_int_equal(rt_dgram_open(w->loop, &addr, &end_events, w, &dgram), -EINVAL);
	assert_int_equal(rt_addr_parse("192.0.2.77:0", &addr), 0);
	assert_int_equal(rt_dgram_open(w->loop, &addr, &end_events, w, &dgram),
			 -EADDRNOTAVAIL);
	world_free(w);
}

/* Wall time, for a loop that does not come to rest. */
#define TEST_BOUND_S 120

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_arrive_and_asked_ones_are_stamped),
		cmocka_unit_test(the_same_over_ipv6),
		cmocka_unit_test(the_same_without_multishot),
		cmocka_unit_test(the_same_without_stamp_identifiers),
		cmocka_unit_test(stamps_come_together),
		cmocka_unit_test(the_same_without_anything_new),
		cmocka_unit_test(a_stamp_is_of_these_bytes),
		cmocka_unit_test(both_families_on_one_socket),
		cmocka_unit_test(refused_datagrams),
		cmocka_unit_test(lengths_at_the_limits),
		cmocka_unit_test(our_own_drops_are_counted),
		cmocka_unit_test(closing_from_a_callback),
		cmocka_unit_test(closing_with_stamps_unread),
		cmocka_unit_test(opening_tells_why_not),
	};

	(void)alarm(TEST_BOUND_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
