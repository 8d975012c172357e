// SPDX-License-Identifier: BSD-3-Clause
/*
 * A message is many datagrams for the price of one. Whoever cuts it, the kernel or we after
 * any of its refusals, each datagram arrives whole and in order, the stamp that was asked
 * for comes once, and the operation ends once.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring_dgram.h"
#include "tests/unit/rt/call.h"

#define MESSAGES 40
#define SEGMENT 1000u
#define MESSAGE_BYTES (20 * SEGMENT + 37)
#define DATAGRAMS (MESSAGES * 21u)

struct far {
	struct rt_loop *loop;
	struct rt_dgram *dgram;
	struct rt_addr addr;
	unsigned received, close_at;
	uint64_t overflowed;
	size_t want; /* the next byte, counted over all messages */
	bool wrong;
};

struct near {
	struct rt_dgram *dgram;
	unsigned left;
	uint32_t stamps[MESSAGES];
};

struct message {
	struct rt_op op;
	struct world *world;
	int res;
};

struct world {
	struct rt_loop *loop;
	struct near a;
	struct far b;
	struct message messages[MESSAGES];
	unsigned done;
	uint8_t bytes[MESSAGES * MESSAGE_BYTES];
};

static void far_received(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct far *b = owner;
	struct world *w = rt_container_of(b, struct world, b);
	size_t in_message = b->want % MESSAGE_BYTES;
	size_t len_wanted = MESSAGE_BYTES - in_message;

	if (len_wanted > SEGMENT)
		len_wanted = SEGMENT;
	b->wrong |= len != len_wanted || b->want + len > sizeof(w->bytes) ||
		    memcmp(dgram, w->bytes + b->want, len) != 0;
	b->want += len;
	b->received++;
	if (b->received == b->close_at) {
		rt_dgram_close(b->dgram);
		b->dgram = NULL;
	}
	rt_loop_stop(b->loop);
}

static void near_received(void *owner, const uint8_t *dgram, size_t len,
			  const struct rt_addr *from)
{
}

static void near_left(void *owner, uint32_t id)
{
	struct near *a = owner;

	if (a->left < MESSAGES)
		a->stamps[a->left] = id;
	a->left++;
	rt_loop_stop(rt_container_of(a, struct world, a)->loop);
}

static void far_left(void *owner, uint32_t id)
{
	assert_true(false); /* it sends nothing */
}

static void near_overflowed(void *owner, uint64_t total)
{
}

static void far_overflowed(void *owner, uint64_t total)
{
	((struct far *)owner)->overflowed = total;
}

static const struct rt_dgram_events near_events = { near_received, near_left,
						    near_overflowed, NULL };
static const struct rt_dgram_events far_events = { far_received, far_left, far_overflowed,
						   NULL };

static struct world *world_new(unsigned without, const char *addr)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rt_addr local;

	assert_non_null(w);
	assert_int_equal(uring_loop_new(without, &w->loop), 0);
	w->b.loop = w->loop;
	assert_int_equal(rt_addr_parse(addr, &local), 0);
	assert_int_equal(rt_dgram_open(w->loop, &local, &near_events, &w->a, &w->a.dgram),
			 0);
	assert_int_equal(rt_dgram_open(w->loop, &local, &far_events, &w->b, &w->b.dgram),
			 0);
	rt_dgram_addr(w->b.dgram, &w->b.addr);
	for (size_t i = 0; i < sizeof(w->bytes); i++)
		w->bytes[i] = (uint8_t)(i * 31 >> 3);
	return w;
}

static void world_free(struct world *w)
{
	rt_dgram_close(w->a.dgram);
	rt_dgram_close(w->b.dgram);
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_loop_free(w->loop);
	free(w);
}

static void message_done(struct rt_op *op, int res)
{
	struct message *t = rt_container_of(op, struct message, op);

	t->res = res;
	t->world->done++;
	rt_loop_stop(t->world->loop);
}

/* Message `i`, stamped if i is even. */
static void message_send(struct world *w, unsigned i, const struct rt_addr *to)
{
	struct rt_message message = { .buf = w->bytes + (size_t)i * MESSAGE_BYTES,
				      .len = MESSAGE_BYTES,
				      .segment = SEGMENT,
				      .timestamp = i % 2 ? 0 : 500 + i };

	memset(&w->messages[i], 0xee, sizeof(w->messages[i]));
	w->messages[i].op.done = message_done;
	w->messages[i].world = w;
	rt_dgram_send_message(w->a.dgram, &w->messages[i].op, to, &message);
}

static void all_arrive(struct world *w)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		message_send(w, i, &w->b.addr);
		if (i % 8 == 7) {
			run_until(w->loop, &w->done, i + 1);
			run_until(w->loop, &w->b.received, (i + 1) * 21);
		}
	}
	run_until(w->loop, &w->a.left, MESSAGES / 2);
	assert_int_equal(w->b.received, DATAGRAMS);
	assert_int_equal(w->b.want, sizeof(w->bytes));
	assert_int_equal(w->a.left, MESSAGES / 2);
	for (unsigned i = 0; i < MESSAGES; i++)
		assert_int_equal(w->messages[i].res, 0);
	for (unsigned i = 0; i < MESSAGES / 2; i++)
		assert_int_equal(w->a.stamps[i], 500 + 2 * i);
	if (w->b.dgram->multishot)
		assert_false(w->b.wrong);
}

static const unsigned withouts[] = {
	0,
	URING_WITHOUT_MULTISHOT,
	URING_WITHOUT_TS_ID,
	URING_WITHOUT_TS_ID | URING_WITHOUT_MULTISHOT | URING_WITHOUT_DEFER,
};

static void messages_arrive_as_datagrams(void **state)
{
	static const char *const addrs[] = { "127.0.0.1:0", "[::1]:0" };

	for (unsigned i = 0; i < RT_ARRAY_LEN(withouts) * 2; i++) {
		struct world *w = world_new(withouts[i / 2], addrs[i % 2]);

		all_arrive(w);
		assert_int_equal(w->a.dgram->cut, 0); /* this kernel cuts them itself */
		world_free(w);
	}
}

/* The same where the receiver's kernel puts nothing together. */
static void messages_arrive_without_gro(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0");

	assert_int_equal(uring_dgram_option(w->b.dgram->fd, IPPROTO_UDP, UDP_GRO, 0), 0);
	all_arrive(w);
	world_free(w);
}

/* What a kernel may say to a message; it is asked again only much later. */
static void refused_messages_are_cut(void **state)
{
	static const int refusals[] = { -EIO, -EINVAL, -EMSGSIZE };

	for (unsigned i = 0; i < RT_ARRAY_LEN(refusals) * RT_ARRAY_LEN(withouts); i++) {
		struct world *w =
			world_new(withouts[i / RT_ARRAY_LEN(refusals)], "127.0.0.1:0");

		w->a.dgram->refuse.message = refusals[i % RT_ARRAY_LEN(refusals)];
		all_arrive(w);
		assert_in_range(w->a.dgram->cut, 1, 8);
		assert_in_range(w->a.dgram->alone, DGRAM_ALONE - MESSAGES, DGRAM_ALONE);
		world_free(w);
	}
}

/* Of its own accord: it does not cut what it must not give a checksum. */
static void a_kernel_that_refuses(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0");

	assert_int_equal(uring_dgram_option(w->a.dgram->fd, SOL_SOCKET, SO_NO_CHECK, 1),
			 0);
	all_arrive(w);
	assert_in_range(w->a.dgram->cut, 1, 8);
	world_free(w);
}

static void the_kernel_is_asked_again(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0");

	w->a.dgram->alone = MESSAGES / 2;
	all_arrive(w);
	assert_int_equal(w->a.dgram->alone, 0);
	assert_int_equal(w->a.dgram->cut, 0);
	world_free(w);
}

/*
 * Datagrams too long for the path are so in a message and alone, and so are those from an
 * address that this host has not any more: that says nothing of messages.
 */
static void what_is_refused_alone_is_no_refusal(void **state)
{
	static const int refusals[] = { -EMSGSIZE, -EINVAL };

	for (unsigned i = 0; i < RT_ARRAY_LEN(refusals); i++) {
		struct world *w = world_new(0, "127.0.0.1:0");

		w->a.dgram->refuse.message = refusals[i];
		w->a.dgram->refuse.part = refusals[i];
		message_send(w, 0, &w->b.addr);
		run_until(w->loop, &w->done, 1);
		assert_int_equal(w->messages[0].res, refusals[i]);
		assert_int_equal(w->a.dgram->alone, 0);
		assert_int_equal(w->b.received, 0);
		world_free(w);
	}
}

/* Dropped in this host, datagram by datagram: the message says so. */
static void drops_of_parts_are_told(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0");

	w->a.dgram->alone = 1;
	w->a.dgram->refuse.part = -ENOBUFS;
	message_send(w, 0, &w->b.addr);
	run_until(w->loop, &w->done, 1);
	assert_int_equal(w->messages[0].res, -ENOBUFS);
	world_free(w);
}

/* An ICMP error for an earlier datagram costs no message. */
static void icmp_errors_cost_no_message(void **state)
{
	for (unsigned cut = 0; cut < 2; cut++) {
		struct world *w = world_new(0, "127.0.0.1:0");
		struct rt_addr nobody;
		struct rt_dgram *gone;
		struct rt_op op = { .done = message_done };

		assert_int_equal(rt_dgram_open(w->loop, &w->b.addr, &far_events, &w->b,
					       &gone),
				 -EADDRINUSE);
		nobody = w->b.addr;
		nobody.port = 1;
		for (unsigned i = 0; i < MESSAGES; i++) {
			struct message lost = { .op = op, .world = w };
			unsigned before = w->done;

			w->a.dgram->alone = cut;
			rt_dgram_send(w->a.dgram, &lost.op, &nobody, "lost", 4, 0);
			message_send(w, i, &w->b.addr);
			run_until(w->loop, &w->done, before + 2);
			run_until(w->loop, &w->b.received, (i + 1) * 21);
			assert_int_equal(w->messages[i].res, 0);
		}
		assert_true(w->a.dgram->icmp_errors > 0);
		assert_int_equal(w->a.dgram->cut, 0);
		world_free(w);
	}
}

/* What our own buffer drops is counted by the datagram. */
static void drops_at_the_end_are_counted(void **state)
{
	struct world *w = world_new(0, "127.0.0.1:0");
	unsigned before;

	assert_int_equal(uring_dgram_option(w->b.dgram->fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
	for (unsigned i = 0; i < MESSAGES; i++)
		message_send(w, i, &w->b.addr);
	run_until(w->loop, &w->a.left, MESSAGES / 2);
	run_until(w->loop, &w->done, MESSAGES);
	run_until(w->loop, &w->b.received, 1);
	before = w->b.received;
	assert_true(before < DATAGRAMS);
	rt_dgram_send(w->a.dgram, &w->messages[0].op, &w->b.addr, "last", 4, 0);
	run_until(w->loop, &w->b.received, before + 1);
	assert_int_equal(w->b.overflowed + w->b.received, DATAGRAMS + 1);
	world_free(w);
}

static void closing_in_the_middle(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(withouts) * 2; i++) {
		struct world *w = world_new(withouts[i / 2], "127.0.0.1:0");

		w->b.close_at = 10;
		if (i % 2)
			w->a.dgram->refuse.message = -EIO;
		message_send(w, 0, &w->b.addr);
		message_send(w, 1, &w->b.addr);
		run_until(w->loop, &w->b.received, 10);
		assert_int_equal(w->b.received, 10);
		rt_dgram_close(w->a.dgram); /* parts may still be on their way */
		w->a.dgram = NULL;
		run_until(w->loop, &w->done, 2);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_as_datagrams),
		cmocka_unit_test(messages_arrive_without_gro),
		cmocka_unit_test(refused_messages_are_cut),
		cmocka_unit_test(a_kernel_that_refuses),
		cmocka_unit_test(the_kernel_is_asked_again),
		cmocka_unit_test(what_is_refused_alone_is_no_refusal),
		cmocka_unit_test(drops_of_parts_are_told),
		cmocka_unit_test(icmp_errors_cost_no_message),
		cmocka_unit_test(drops_at_the_end_are_counted),
		cmocka_unit_test(closing_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
