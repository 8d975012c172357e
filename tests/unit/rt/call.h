/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_RT_CALL_H
#define TESTS_UNIT_RT_CALL_H

#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/unit.h"

/* An operation that a test waits for, with a bound on the wait. */
#define CALL_BOUND_NS (10 * RT_S)

struct call {
	struct rt_op op;
	struct rt_loop *loop;
	int res;
	unsigned done; /* must not become 2 */
};

struct call_bound {
	struct rt_timer timer;
	struct rt_loop *loop;
	bool late;
};

static inline void call_done(struct rt_op *op, int res)
{
	struct call *call = rt_container_of(op, struct call, op);

	call->done++;
	call->res = res;
	rt_loop_stop(call->loop);
}

static inline struct rt_op *call_op(struct rt_loop *loop, struct call *call)
{
	memset(call, 0xee, sizeof(*call)); /* nothing may count on zeroes */
	call->op.done = call_done;
	call->loop = loop;
	call->res = 0;
	call->done = 0;
	return &call->op;
}

static inline void call_bound_fire(struct rt_timer *timer)
{
	struct call_bound *bound = rt_container_of(timer, struct call_bound, timer);

	bound->late = true;
	rt_loop_stop(bound->loop);
}

/* Run the loop until *counter is at least `want`, or fail the test. */
static inline void run_until(struct rt_loop *loop, const unsigned *counter, unsigned want)
{
	struct call_bound bound = { .timer = { .fire = call_bound_fire }, .loop = loop };

	rt_timer_arm(loop, &bound.timer, rt_time_add(rt_now(loop), CALL_BOUND_NS));
	while (*counter < want && !bound.late)
		assert_int_equal(rt_loop_run(loop), 0);
	rt_timer_disarm(loop, &bound.timer);
	assert_false(bound.late);
}

/* Wait for one operation and return its result. */
static inline int call_wait(struct call *call)
{
	run_until(call->loop, &call->done, 1);
	assert_int_equal(call->done, 1);
	return call->res;
}

/* Let the loop turn n times at least, so that what can go on by itself has. */
static inline void run_turns(struct rt_loop *loop, unsigned n)
{
	struct call turn;

	while (n-- > 0) {
		rt_defer(loop, call_op(loop, &turn));
		(void)call_wait(&turn);
	}
}

#endif
