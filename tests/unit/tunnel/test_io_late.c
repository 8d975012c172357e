// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the kernel says late proves nothing: a TX timestamp of a tunnel that is no more, or
 * those around a send that it has refused. And what waits for the loop to be idle ends before
 * its memory goes. rules.mk wraps what is between `kernel` and the loop.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "rt/mem.h"
#include "tests/unit/tunnel/both.h"

#define IDS 8

/* Between the loop and the socket that is opened first. */
static struct {
	bool holds;   /* TX timestamps are not passed on */
	bool refuses; /* the first message of several datagrams without TX timestamp */
	struct rt_dgram_events events, caught;
	void *owner;
	uint32_t ids[IDS]; /* the first ones that have left */
	unsigned left;
	struct rt_op *refused; /* to be ended when two have left, */
	bool keeps;	       /* or when the test says so */
	struct rt_op later;
	struct rt_loop *loop;
} kernel;

int __real_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local_addr,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret);
int __wrap_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local_addr,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret);
void __real_rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
				  const struct rt_addr *to,
				  const struct rt_message *message);
void __wrap_rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
				  const struct rt_addr *to,
				  const struct rt_message *message);
void __real_rt_free(void *p);
void __wrap_rt_free(void *p);

static int kernel_quiet(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static void kernel_refused(struct rt_op *op, int res)
{
	kernel.refused->done(kernel.refused, -ENOBUFS);
}

static void kernel_left(void *owner, uint32_t id)
{
	if (kernel.left < IDS)
		kernel.ids[kernel.left] = id;
	kernel.left++;
	if (!kernel.holds)
		kernel.events.left(owner, id);
	if (kernel.refused != NULL && !kernel.keeps && kernel.left == 2)
		rt_defer(kernel.loop, &kernel.later);
}

int __wrap_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local_addr,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret)
{
	if ((!kernel.holds && !kernel.refuses) || kernel.owner != NULL)
		return __real_rt_dgram_open(loop, local_addr, events, owner, ret);
	kernel.loop = loop;
	kernel.later.done = kernel_refused;
	kernel.owner = owner;
	kernel.events = kernel.caught = *events;
	kernel.caught.left = kernel_left;
	return __real_rt_dgram_open(loop, local_addr, &kernel.caught, owner, ret);
}

void __wrap_rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
				  const struct rt_addr *to,
				  const struct rt_message *message)
{
	if (kernel.refuses && message->timestamp == 0 &&
	    message->len > 2 * message->segment) {
		kernel.refuses = false;
		kernel.refused = op;
		return;
	}
	__real_rt_dgram_send_message(dgram, op, to, message);
}

/* Whoever still uses it falls. */
void __wrap_rt_free(void *p)
{
	if (p != NULL)
		memset(p, 0xdd, malloc_usable_size(p));
	__real_rt_free(p);
}

/* The TX timestamps of both ends are in before the refusal of what lies between them. */
static bool refused_and_received(struct both *b)
{
	return kernel.left > 2 && all_received(b);
}

static void a_refusal_that_comes_last_counts(void **state)
{
	struct both b;

	kernel.refuses = true;
	both_init(&b, 2, refused_and_received);
	both_run(&b);
	assert_non_null(kernel.refused);
	assert_true(b.side[0].t->gate.failed > 0);
	both_release(&b);
}

/* Repairs that wait for the loop to be idle still do when all else has ended. */
static void owner_frees_while_repairs_wait(void **state)
{
	struct side *s;
	struct both b;

	both_init(&b, 0, all_received);
	both_run(&b);
	s = &b.side[0];
	assert_int_equal(tunnel_submit(s->t, frame, FRAME, rt_now(b.loop)), 0);
	tunnel_expedite(s->t, rt_now(b.loop));
	tunnel_io_schedule(s->io);
	assert_true(tunnel_coalesces(s->t, rt_now(b.loop)));
	tunnel_io_free(s->io);
	s->io = NULL;
	both_release(&b);
}

static void late_timestamps_are_not_the_next_tunnels(void **state)
{
	uint32_t old[IDS];
	unsigned n;
	struct both b;

	kernel.holds = true;
	both_init(&b, 20, all_received);
	both_run(&b);
	n = kernel.left < IDS ? kernel.left : IDS;
	assert_true(n > 0);
	memcpy(old, kernel.ids, sizeof(old));
	both_replace(&b);
	kernel.left = 0;
	both_run(&b);
	for (unsigned i = 0; i < n; i++)
		kernel.events.left(kernel.owner, old[i]);
	assert_false(b.side[0].t->evidence.timestamped);
	assert_true(kernel.left > 0);
	kernel.events.left(kernel.owner, kernel.ids[0]);
	assert_true(b.side[0].t->evidence.timestamped);
	both_release(&b);
}

static bool never(struct both *b)
{
	return false;
}

struct wait {
	struct rt_timer look;
	struct both *both;
};

static void wait_looked(struct rt_timer *timer)
{
	struct wait *w = rt_container_of(timer, struct wait, look);

	if (w->both->side[0].t->evidence.lent == UINT64_MAX)
		rt_loop_stop(w->both->loop);
	else
		rt_timer_arm(w->both->loop, timer,
			     rt_time_add(rt_now(w->both->loop), RT_MS));
}

/* Other sends of the earlier tunnel may be with the kernel still. */
static void wait_until_nothing_is_lent(struct both *b)
{
	struct wait w = { .look = { .fire = wait_looked }, .both = b };

	rt_timer_arm(b->loop, &w.look, rt_now(b->loop));
	both_run(b);
	rt_timer_disarm(b->loop, &w.look);
}

/* Its numbers are not the new tunnel's: nothing of that is with the kernel before it ends. */
static void a_send_of_an_earlier_tunnel_is_waited_for(void **state)
{
	struct both b;

	kernel.refuses = kernel.keeps = true;
	both_init(&b, 2, all_received);
	both_run(&b);
	assert_non_null(kernel.refused);
	both_replace(&b);
	assert_int_equal(b.side[0].t->evidence.lent, 0);
	b.frames = 0; /* nothing of the new one is sent meanwhile */
	kernel_refused(&kernel.later, 0);
	b.done = never;
	wait_until_nothing_is_lent(&b);
	b.frames = 2;
	b.done = all_received;
	both_changed(&b);
	both_run(&b);
	both_release(&b);
}

static uint64_t both_overflowed(const struct both *b)
{
	struct tunnel_stats stats;

	tunnel_stats(b->side[0].t, &stats);
	return stats.overflowed;
}

/* The socket counts for all tunnels that it has had, a tunnel for its own time. */
static void a_tunnel_is_told_of_drops_in_its_time(void **state)
{
	struct both b;

	kernel.holds = true;
	both_init(&b, 2, all_received);
	kernel.events.overflowed(kernel.owner, 5);
	assert_int_equal(both_overflowed(&b), 5);
	both_replace(&b);
	assert_int_equal(both_overflowed(&b), 0);
	kernel.events.overflowed(kernel.owner, 7);
	assert_int_equal(both_overflowed(&b), 2);
	both_run(&b);
	both_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_refusal_that_comes_last_counts, kernel_quiet),
		cmocka_unit_test_setup(owner_frees_while_repairs_wait, kernel_quiet),
		cmocka_unit_test_setup(late_timestamps_are_not_the_next_tunnels,
				       kernel_quiet),
		cmocka_unit_test_setup(a_send_of_an_earlier_tunnel_is_waited_for,
				       kernel_quiet),
		cmocka_unit_test_setup(a_tunnel_is_told_of_drops_in_its_time,
				       kernel_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
