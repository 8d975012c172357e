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

#include "rt/log.h"
#include "rt/mem.h"
#include "rt/uring_dgram.h"
#include "tests/unit/unit.h"

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

static const struct rt_dgram_events end_events = { end_received, end_left,
						   end_overflowed };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_arrive_and_asked_ones_are_stamped),
		cmocka_unit_test(the_same_over_ipv6),
		cmocka_unit_test(the_same_without_multishot),
		cmocka_unit_test(the_same_without_stamp_identifiers),
		cmocka_unit_test(the_same_without_anything_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
