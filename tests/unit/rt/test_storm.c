// SPDX-License-Identifier: BSD-3-Clause
/*
 * Whatever is started, cancelled and closed in whatever order: each operation ends
 * exactly once, nothing is touched after its end (the sanitizers watch), and the loop
 * comes to rest. STORM_SEED=n repeats a run, STORM_STEPS=n makes it longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/hash.h"
#include "rt/uring.h"
#include "tests/unit/rt/call.h"

#define PAIRS 12
#define SLOTS 64
#define PIECE 40000
/* Of wall time, for a loop that does not come to rest. */
#define STORM_BOUND_S 120

struct storm;

/* One operation with memory of its own, so that a sanitizer sees a late touch. */
struct part {
	struct rt_op op;
	struct storm *storm;
	struct part **slot; /* where it is listed while in flight */
	bool ended;
	struct iovec iov;
	uint8_t buf[PIECE];
};

struct side {
	struct rt_sock *sock;
	struct part *recv, *send;
};

struct storm {
	struct rt_loop *loop;
	uint64_t seed, draws;
	struct side sides[2 * PAIRS];
	struct part *deferred[SLOTS], *grams[SLOTS];
	struct rt_dgram *dgrams[2];
	struct rt_addr addrs[2];
	struct rt_timer timer;
	unsigned steps, started, ended, received, left;
};

static unsigned draw(struct storm *s, unsigned n)
{
	return (unsigned)(rt_mix64(s->seed + ++s->draws * UINT64_C(0x9e3779b97f4a7c15)) %
			  n);
}

static void part_done(struct rt_op *op, int res)
{
	struct part *part = rt_container_of(op, struct part, op);

	assert_false(part->ended);
	part->ended = true;
	part->storm->ended++;
	if (part->slot)
		*part->slot = NULL;
	free(part);
}

static struct part *part_new(struct storm *s, struct part **slot)
{
	struct part *part = malloc(sizeof(*part));

	assert_non_null(part);
	memset(&part->op, 0xee, sizeof(part->op));
	part->op.done = part_done;
	part->storm = s;
	part->slot = slot;
	part->ended = false;
	*slot = part;
	s->started++;
	return part;
}

static void pair_open(struct storm *s, unsigned pair)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &s->sides[2 * pair + i];

		assert_null(side->sock);
		assert_int_equal(rt_sock_from_fds(s->loop, fds[i], fds[i], &side->sock),
				 0);
	}
}

static void side_close(struct side *side)
{
	/* They end later, on their own. */
	if (side->recv)
		side->recv->slot = NULL;
	if (side->send)
		side->send->slot = NULL;
	side->recv = side->send = NULL;
	rt_sock_close(side->sock);
	side->sock = NULL;
}

static void stream_step(struct storm *s, unsigned what)
{
	unsigned i = draw(s, 2 * PAIRS);
	struct side *side = &s->sides[i];

	if (!side->sock) {
		if (!s->sides[i ^ 1].sock)
			pair_open(s, i / 2);
	} else if (what < 4 && !side->recv) {
		side->recv = part_new(s, &side->recv);
		rt_recv(side->sock, &side->recv->op, side->recv->buf, 1 + draw(s, PIECE));
	} else if (what < 8 && !side->send) {
		struct part *part = part_new(s, &side->send);

		memset(part->buf, 7, sizeof(part->buf));
		part->iov = (struct iovec){ part->buf, 1 + draw(s, PIECE) };
		rt_sendv(side->sock, &part->op, &part->iov, 1);
	} else if (what == 8 && side->recv) {
		rt_cancel(s->loop, &side->recv->op);
	} else if (what == 9 && side->send) {
		rt_cancel(s->loop, &side->send->op);
	} else if (what == 10) {
		rt_sock_shutdown(side->sock);
	} else if (what == 11) {
		side_close(side);
	}
}

static void storm_received(void *owner, const uint8_t *dgram, size_t len,
			   const struct rt_addr *from)
{
	((struct storm *)owner)->received++;
}

static void storm_left(void *owner, uint32_t id)
{
	((struct storm *)owner)->left++;
}

static void storm_overflowed(void *owner, uint64_t total)
{
}

static const struct rt_dgram_events storm_events = { storm_received, storm_left,
						     storm_overflowed, NULL };

static void dgram_step(struct storm *s)
{
	unsigned i = draw(s, 2), slot = draw(s, SLOTS);
	struct rt_addr any = { .kind = RT_ADDR_INET, .ip = { 127, 0, 0, 1 } };
	struct part *part;

	if (!s->dgrams[i]) {
		assert_int_equal(
			rt_dgram_open(s->loop, &any, &storm_events, s, &s->dgrams[i]), 0);
		rt_dgram_addr(s->dgrams[i], &s->addrs[i]);
	} else if (draw(s, 200) == 0) {
		rt_dgram_close(s->dgrams[i]);
		s->dgrams[i] = NULL;
	} else if (!s->grams[slot] && s->addrs[1 - i].port) {
		part = part_new(s, &s->grams[slot]);
		rt_dgram_send(s->dgrams[i], &part->op, &s->addrs[1 - i], part->buf,
			      draw(s, 3000), draw(s, 3) ? 0 : s->started);
	} else if (s->grams[slot]) {
		rt_cancel(s->loop, &s->grams[slot]->op);
	}
}

static void defer_step(struct storm *s)
{
	unsigned slot = draw(s, SLOTS);

	if (s->deferred[slot])
		rt_cancel(s->loop, &s->deferred[slot]->op);
	else
		rt_defer(s->loop, &part_new(s, &s->deferred[slot])->op);
}

static void storm_end(struct storm *s)
{
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		side_close(&s->sides[i]);
	for (unsigned i = 0; i < 2; i++) {
		rt_dgram_close(s->dgrams[i]);
		s->dgrams[i] = NULL;
	}
}

static void storm_fire(struct rt_timer *timer)
{
	struct storm *s = rt_container_of(timer, struct storm, timer);

	for (unsigned n = 1 + draw(s, 30); n > 0 && s->steps > 0; n--, s->steps--) {
		unsigned what = draw(s, 16);

		if (what < 12)
			stream_step(s, what);
		else if (what < 15)
			dgram_step(s);
		else
			defer_step(s);
	}
	if (s->steps > 0)
		rt_timer_arm(s->loop, timer, rt_now(s->loop));
	else
		storm_end(s);
}

static void storm_run(unsigned without, uint64_t seed, unsigned steps)
{
	struct storm *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->seed = seed;
	s->steps = steps;
	s->timer.fire = storm_fire;
	assert_int_equal(uring_loop_new(without, &s->loop), 0);
	rt_timer_arm(s->loop, &s->timer, rt_now(s->loop));
	assert_int_equal(rt_loop_run(s->loop), 0);
	assert_int_equal(s->steps, 0);
	assert_int_equal(s->started, s->ended);
	rt_loop_free(s->loop);
	free(s);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void everything_ends_once(void **state)
{
	unsigned seed = from_environment("STORM_SEED", (unsigned)getpid());
	unsigned steps = from_environment("STORM_STEPS", 20000);

	print_message("STORM_SEED=%u STORM_STEPS=%u\n", seed, steps);
	for (unsigned without = 0; without < 8; without++)
		storm_run(without, seed, steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(everything_ends_once) };

	(void)alarm(STORM_BOUND_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
