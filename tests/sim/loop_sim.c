// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>

#include "tests/sim/sim_impl.h"

/* rt/loop.h: the loop itself, operations in general, and timers. */

#define LATE_MAX_NS 20000  /* a timer fires up to so much after its time */
#define BUSY_MAX_NS 400000 /* a loop is idle again */

int rt_loop_new(struct rt_loop **ret)
{
	rt_assert(sim_node_entered() != NULL);
	*ret = sim_loop_new(sim_node_entered());
	return 0;
}

void rt_loop_free(struct rt_loop *loop)
{
	if (loop == NULL)
		return;
	rt_assert(loop != loop->node->loop); /* that one is sim_node_stop()'s */
	rt_assert(loop->nops == 0 && loop->ntimers == 0);
	sim_loop_free(loop);
}

static bool loop_live(const struct rt_loop *loop)
{
	return loop->nops > 0 || loop->ntimers > 0 || loop->nlisteners > 0 ||
	       loop->ndgrams > 0;
}

/* For a program that wants its main loop: the world goes on until this loop is done. */
int rt_loop_run(struct rt_loop *loop)
{
	struct sim_world *w = sim_world_now;

	rt_assert(!w->running);
	w->running = true;
	loop->stopped = false;
	while (!loop->stopped && loop_live(loop) && sim_step(w))
		;
	w->running = false;
	return 0;
}

void rt_loop_stop(struct rt_loop *loop)
{
	loop->stopped = true;
}

int rt_signal(struct rt_loop *loop, int signo, rt_signal_fn *fn, void *owner)
{
	return -ENOTSUP;
}

/* ---- operations ------------------------------------------------------------------- */

void sim_op_begin(struct sim_op *so, struct rt_loop *loop, struct rt_op *op)
{
	rt_assert(op->done != NULL);
	rt_assert(sim_node_entered() == loop->node); /* a call without sim_node_enter() */
	so->op = op;
	so->event.loop = loop;
	op->impl[0] = so;
	loop->nops++;
}

void sim_op_call(struct sim_event *e)
{
	struct sim_op *so = rt_container_of(e, struct sim_op, event);
	struct rt_op *op = so->op;

	op->impl[0] = NULL;
	so->op = NULL;
	e->loop->nops--;
	op->done(op, so->res);
}

void sim_op_over(struct sim_event *e)
{
	free(rt_container_of(e, struct sim_op, event));
}

static const struct sim_event_type end_type = {
	.name = "op", .mask = SIM_ON_OTHER, .call = sim_op_call, .over = sim_op_over
};

void sim_op_cancel_scheduled(struct sim_op *so)
{
	struct sim_world *w = sim_world_now;

	if (so->res == -ECANCELED || sim_chance(&w->rng_time, 0.5))
		return; /* its result has come first */
	so->res = -ECANCELED;
	sim_unschedule(&so->event);
	sim_schedule(&so->event, w->now);
}

void sim_op_end_in(struct rt_loop *loop, struct rt_op *op, int res, int64_t ns,
		   bool cancellable)
{
	struct sim_op *so = sim_calloc(1, sizeof(*so));

	so->event.type = &end_type;
	so->event.a = (uint64_t)(int64_t)res;
	so->res = res;
	so->cancel = cancellable ? sim_op_cancel_scheduled : NULL;
	sim_op_begin(so, loop, op);
	sim_schedule(&so->event, sim_world_now->now + ns);
}

void rt_defer(struct rt_loop *loop, struct rt_op *op)
{
	sim_op_end_in(loop, op, 0, 0, true);
}

/* How long the loop has other things to do is the world's choice. */
void rt_defer_idle(struct rt_loop *loop, struct rt_op *op)
{
	int64_t busy_ns = (int64_t)sim_below(&sim_world_now->rng_time, BUSY_MAX_NS);

	sim_op_end_in(loop, op, 0, busy_ns, true);
}

void rt_cancel(struct rt_loop *loop, struct rt_op *op)
{
	struct sim_op *so = op->impl[0];

	if (so != NULL && so->cancel != NULL)
		so->cancel(so);
}

/* ---- timers ----------------------------------------------------------------------- */

void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, rt_time at)
{
	struct sim_world *w = sim_world_now;
	int64_t world_at;

	rt_assert(sim_node_entered() == loop->node);
	rt_timer_disarm(loop, timer);
	if (rt_time_is_never(at))
		return;
	timer->at = at;
	world_at = rt_time_add(at, loop->node->clock_base).ns;
	if (world_at < w->now)
		world_at = w->now;
	world_at = rt_time_add((rt_time){ world_at },
			       (int64_t)sim_below(&w->rng_time, LATE_MAX_NS))
			   .ns;
	loop->ntimers++;
	sim_heap_push((struct sim_slot){
		.at = world_at, .place = &timer->place, .timer = timer, .loop = loop });
}

void rt_timer_disarm(struct rt_loop *loop, struct rt_timer *timer)
{
	if (!rt_timer_armed(timer))
		return;
	sim_heap_remove(timer->place);
	loop->ntimers--;
}
