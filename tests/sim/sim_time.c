// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/hash.h"
#include "tests/sim/sim_impl.h"

/* The world's clock and its heap of what is to happen, ordered by (time, sequence). */

struct sim_world *sim_world_now;

void *sim_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL) {
		fprintf(stderr, "sim: out of real memory\n");
		exit(2);
	}
	return p;
}

void *sim_realloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (p == NULL) {
		fprintf(stderr, "sim: out of real memory\n");
		exit(2);
	}
	return p;
}

struct sim_world *sim_world_new(uint64_t seed)
{
	struct sim_world *w = sim_calloc(1, sizeof(*w));

	rt_assert(sim_world_now == NULL);
	sim_world_now = w;
	w->seed = seed;
	w->now = RT_S;
	sim_rng_init(&w->rng, seed);
	sim_rng_init(&w->rng_time, rt_mix64(seed ^ 1));
	sim_rng_init(&w->rng_disk, rt_mix64(seed ^ 2));
	sim_rng_init(&w->rng_net, rt_mix64(seed ^ 3));
	sim_rng_init(&w->rng_crash, rt_mix64(seed ^ 4));
	rt_list_init(&w->conns);
	return w;
}

void sim_world_free(struct sim_world *w)
{
	rt_assert(!w->running);
	for (unsigned i = 0; i < w->nnodes; i++)
		if (w->nodes[i]->loop != NULL)
			sim_node_crash_now(w->nodes[i], SIM_POWER);
	while (w->nheap > 0) {
		struct sim_event *e = w->heap[1].event;

		rt_assert(e != NULL); /* timers went with their nodes */
		sim_unschedule(e);
		e->type->over(e);
	}
	sim_conns_free(w);
	sim_links_free(w);
	for (unsigned i = 0; i < w->nnodes; i++)
		sim_node_free(w->nodes[i]);
	sim_mem_release(w);
	sim_back_release(w);
	free(w->heap);
	free(w);
	sim_world_now = NULL;
}

struct sim_world *sim_world_current(void)
{
	return sim_world_now;
}

struct sim_rng *sim_rng(struct sim_world *w)
{
	return &w->rng;
}

rt_time sim_now(const struct sim_world *w)
{
	return (rt_time){ w->now };
}

uint64_t sim_events(const struct sim_world *w)
{
	return w->nevents;
}

/* ---- the heap --------------------------------------------------------------------- */

static bool slot_before(const struct sim_slot *a, const struct sim_slot *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void heap_set(struct sim_world *w, size_t i, struct sim_slot slot)
{
	w->heap[i] = slot;
	*slot.place = i;
}

static void heap_up(struct sim_world *w, size_t i, struct sim_slot slot)
{
	while (i > 1 && slot_before(&slot, &w->heap[i / 2])) {
		heap_set(w, i, w->heap[i / 2]);
		i /= 2;
	}
	heap_set(w, i, slot);
}

static void heap_down(struct sim_world *w, size_t i, struct sim_slot slot)
{
	for (;;) {
		size_t child = 2 * i;

		if (child > w->nheap)
			break;
		if (child < w->nheap && slot_before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!slot_before(&w->heap[child], &slot))
			break;
		heap_set(w, i, w->heap[child]);
		i = child;
	}
	heap_set(w, i, slot);
}

void sim_heap_push(struct sim_slot slot)
{
	struct sim_world *w = sim_world_now;

	if (w->nheap + 2 > w->heap_size) {
		w->heap_size = w->heap_size ? 2 * w->heap_size : 256;
		w->heap = sim_realloc(w->heap, w->heap_size, sizeof(*w->heap));
	}
	slot.seq = w->seq++;
	if (slot.at < w->now)
		slot.at = w->now;
	heap_up(w, ++w->nheap, slot);
}

void sim_heap_remove(size_t place)
{
	struct sim_world *w = sim_world_now;
	struct sim_slot last = w->heap[w->nheap--];

	*w->heap[place].place = 0;
	if (place > w->nheap)
		return;
	if (place > 1 && slot_before(&last, &w->heap[place / 2]))
		heap_up(w, place, last);
	else
		heap_down(w, place, last);
}

void sim_schedule(struct sim_event *e, int64_t at)
{
	rt_assert(e->place == 0);
	sim_heap_push((struct sim_slot){
		.at = at, .place = &e->place, .event = e, .loop = e->loop });
}

void sim_unschedule(struct sim_event *e)
{
	if (e->place != 0)
		sim_heap_remove(e->place);
}

void sim_drop_events(struct rt_loop *loop)
{
	struct sim_world *w = sim_world_now;
	size_t i = 1;

	while (i <= w->nheap) {
		struct sim_event *e = w->heap[i].event;

		if (w->heap[i].loop != loop) {
			i++;
			continue;
		}
		sim_heap_remove(i);
		if (e != NULL)
			e->type->over(e);
		i = 1; /* its replacement may lie anywhere above */
	}
}

/* ---- one thing after the other ---------------------------------------------------- */

static void step_call(struct sim_node *node, struct sim_slot *slot)
{
	sim_node_enter(node);
	if (slot->timer != NULL)
		slot->timer->fire(slot->timer);
	else
		slot->event->type->call(slot->event);
	sim_node_leave(node);
}

static void step_trace(struct sim_world *w, const struct sim_slot *slot)
{
	const struct sim_node *node = slot->loop != NULL ? slot->loop->node : NULL;
	const struct sim_event *e = slot->event;

	if (e == NULL)
		sim_trace_event(w, node, "timer", 0, 0, 0);
	else
		sim_trace_event(w, node, e->type->name, e->a, e->b, 0);
}

bool sim_step(struct sim_world *w)
{
	struct sim_node *node;
	struct sim_slot slot;
	unsigned mask;
	bool crash, call;

	if (w->nheap == 0)
		return false;
	slot = w->heap[1];
	sim_heap_remove(1);
	w->now = slot.at;
	w->nevents++;
	if (slot.event != NULL && slot.event->type->effect != NULL) {
		slot.event->type->effect(slot.event);
		if (slot.event->place != 0)
			return true; /* it goes on later */
		slot.loop = slot.event->loop;
	}
	step_trace(w, &slot);
	node = slot.loop != NULL ? slot.loop->node : NULL;
	call = node != NULL && (slot.timer != NULL || slot.event->type->call != NULL);
	mask = slot.event != NULL ? slot.event->type->mask : SIM_ON_OTHER;
	crash = call && sim_node_count(node, mask);
	if (slot.timer != NULL)
		slot.loop->ntimers--;
	if (call && (!crash || sim_chance(&w->rng_crash, 0.5)))
		step_call(node, &slot);
	if (slot.event != NULL)
		slot.event->type->over(slot.event);
	if (crash) {
		w->crashed = true;
		if (node->loop != NULL) /* its callback may have done so itself */
			sim_node_crash_now(node, node->armed_kind);
	}
	return true;
}

static bool over_limit(struct sim_world *w, const struct sim_until *until, uint64_t first)
{
	if (until->events != 0)
		return w->nevents - first >= until->events;
	if (w->nevents - first >= SIM_EVENTS_MAX)
		sim_violation("no end after %llu events",
			      (unsigned long long)SIM_EVENTS_MAX);
	return false;
}

static enum sim_end run(struct sim_world *w, const struct sim_until *until)
{
	int64_t end = until->ns != 0 ? w->now + until->ns : INT64_MAX;
	uint64_t first = w->nevents;

	w->crashed = false;
	for (;;) {
		if (until->cond != NULL && until->cond(until->arg))
			return SIM_COND;
		if (w->crashed)
			return SIM_CRASHED;
		if (over_limit(w, until, first))
			return SIM_EVENTS;
		if (w->nheap == 0 && until->ns == 0)
			return SIM_IDLE;
		if (w->nheap == 0 || w->heap[1].at > end) {
			w->now = end;
			return w->nheap == 0 ? SIM_IDLE : SIM_TIME;
		}
		(void)sim_step(w); /* the heap is not empty */
	}
}

enum sim_end sim_run(struct sim_world *w, const struct sim_until *until)
{
	enum sim_end end;

	rt_assert(!w->running);
	w->running = true;
	end = run(w, until);
	w->running = false;
	return end;
}

bool sim_run_until(struct sim_world *w, bool (*cond)(void *), void *arg, int64_t ns)
{
	struct sim_until until = { .cond = cond, .arg = arg, .ns = ns };

	return sim_run(w, &until) == SIM_COND;
}

enum sim_end sim_run_for(struct sim_world *w, int64_t ns)
{
	struct sim_until until = { .ns = ns };

	return ns > 0 ? sim_run(w, &until) : SIM_TIME;
}

/* ---- calls of the scenario ---------------------------------------------------------- */

struct after {
	struct sim_event event;
	void (*fn)(void *arg);
	void *arg;
};

static void after_call(struct sim_event *e)
{
	struct after *after = rt_container_of(e, struct after, event);

	after->fn(after->arg);
}

static void after_over(struct sim_event *e)
{
	free(rt_container_of(e, struct after, event));
}

static const struct sim_event_type after_node = {
	.name = "after", .mask = SIM_ON_OTHER, .call = after_call, .over = after_over
};
static const struct sim_event_type after_world = {
	.name = "after", .mask = SIM_ON_OTHER, .effect = after_call, .over = after_over
};

void sim_after(struct sim_world *w, struct sim_node *node, int64_t ns, void (*fn)(void *),
	       void *arg)
{
	struct after *after = sim_calloc(1, sizeof(*after));

	rt_assert(node == NULL || node->loop != NULL);
	after->event.type = node != NULL ? &after_node : &after_world;
	after->event.loop = node != NULL ? node->loop : NULL;
	after->fn = fn;
	after->arg = arg;
	sim_schedule(&after->event, w->now + ns);
}
