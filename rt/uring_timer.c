// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "rt/mem.h"
#include "rt/uring.h"

/*
 * A binary heap of pointers, the earliest first. Each timer knows its place in it, so
 * that disarming needs no search.
 */

#define HEAP_FIRST 1024

static void heap_set(struct rt_loop *loop, size_t i, struct rt_timer *timer)
{
	loop->heap[i] = timer;
	timer->place = i + 1;
}

static void heap_up(struct rt_loop *loop, size_t i, struct rt_timer *timer)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (!rt_time_before(timer->at, loop->heap[parent]->at))
			break;
		heap_set(loop, i, loop->heap[parent]);
		i = parent;
	}
	heap_set(loop, i, timer);
}

static void heap_down(struct rt_loop *loop, size_t i, struct rt_timer *timer)
{
	size_t child;

	while ((child = 2 * i + 1) < loop->timers) {
		if (child + 1 < loop->timers &&
		    rt_time_before(loop->heap[child + 1]->at, loop->heap[child]->at))
			child++;
		if (!rt_time_before(loop->heap[child]->at, timer->at))
			break;
		heap_set(loop, i, loop->heap[child]);
		i = child;
	}
	heap_set(loop, i, timer);
}

int uring_timer_init(struct rt_loop *loop)
{
	loop->heap = rt_zalloc(HEAP_FIRST, sizeof(*loop->heap));
	if (!loop->heap)
		return -ENOMEM;
	loop->heap_room = HEAP_FIRST;
	return 0;
}

/*
 * Arming cannot fail: no caller could go on without its timer. The heap doubles with
 * the number of objects that have one, and each of those is much larger than a pointer.
 */
static void heap_reserve(struct rt_loop *loop)
{
	struct rt_timer **heap;

	if (loop->timers < loop->heap_room)
		return;
	heap = rt_zalloc(2 * loop->heap_room, sizeof(*heap));
	if (!heap) {
		rt_log(RT_LOG_ERROR, "no_memory for=timers n=%zu", loop->timers);
		abort();
	}
	memcpy(heap, loop->heap, loop->timers * sizeof(*heap));
	rt_free(loop->heap);
	loop->heap = heap;
	loop->heap_room *= 2;
}

void rt_timer_disarm(struct rt_loop *loop, struct rt_timer *timer)
{
	size_t i = timer->place - 1;
	struct rt_timer *last;

	if (timer->place == 0)
		return;
	rt_assert(i < loop->timers && loop->heap[i] == timer);
	timer->place = 0;
	last = loop->heap[--loop->timers];
	if (last == timer)
		return;
	if (i > 0 && rt_time_before(last->at, loop->heap[(i - 1) / 2]->at))
		heap_up(loop, i, last);
	else
		heap_down(loop, i, last);
}

void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, rt_time at)
{
	rt_timer_disarm(loop, timer);
	if (rt_time_is_never(at))
		return;
	heap_reserve(loop);
	timer->at = at;
	heap_up(loop, loop->timers++, timer);
}

rt_time uring_timer_next(const struct rt_loop *loop)
{
	return loop->timers ? loop->heap[0]->at : RT_NEVER;
}

void uring_timer_run(struct rt_loop *loop)
{
	/* One that rearms itself for a time already past must not hold the loop. */
	size_t bound = loop->timers;

	while (bound-- > 0 && loop->timers > 0) {
		struct rt_timer *timer = loop->heap[0];

		if (rt_time_before(loop->now, timer->at))
			return;
		rt_timer_disarm(loop, timer);
		timer->fire(timer);
	}
}
