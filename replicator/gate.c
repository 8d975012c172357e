// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/gate.h"

#include "rt/bug.h"
#include "rt/check.h"

static unsigned gate_queue_of(const struct gate_need *need)
{
	return (unsigned)need->mode * 4 + (need->durable ? 2 : 0) +
	       (need->lowerable ? 1 : 0);
}

static enum group_mode gate_queue_mode(unsigned q)
{
	return (enum group_mode)(q / 4);
}

static bool gate_queue_durable(unsigned q)
{
	return q & 2;
}

static bool gate_queue_lowerable(unsigned q)
{
	return q & 1;
}

static struct gate_waiter *waiter_of(struct rt_list *link)
{
	return rt_container_of(link, struct gate_waiter, link);
}

void gate_init(struct gate *gate)
{
	*gate = (struct gate){ .conditions.local_max = UINT64_MAX };
	for (unsigned q = 0; q < GATE_QUEUES; q++)
		rt_list_init(&gate->queue[q]);
}

static struct rt_list *gate_waiter_queue(struct gate *gate, const struct gate_waiter *w)
{
	struct gate_need need;

	w->need(w, &need);
	return &gate->queue[gate_queue_of(&need)];
}

void gate_wait(struct gate *gate, struct gate_waiter *w)
{
	struct rt_list *head = gate_waiter_queue(gate, w);
	struct rt_list *at = head->prev;

	/* A flush may cover less than a FUA write before it: nearly always the last place. */
	while (at != head && waiter_of(at)->lsn > w->lsn)
		at = at->prev;
	rt_list_push_front(at, &w->link);
}

void gate_follow_rules(struct gate *gate)
{
	struct rt_list moved, *head, *at, *next;

	rt_list_init(&moved);
	for (unsigned q = 0; q < GATE_QUEUES; q++) {
		head = &gate->queue[q];
		for (at = head->next; at != head; at = next) {
			next = at->next;
			if (gate_waiter_queue(gate, waiter_of(at)) == head)
				continue;
			rt_list_remove(at);
			rt_list_push_back(&moved, at);
		}
	}
	while ((at = rt_list_pop(&moved)))
		gate_wait(gate, waiter_of(at));
}

void gate_set_marks(struct gate *gate, const struct gate_marks *marks)
{
	rt_assert(marks->written >= gate->marks.written);
	rt_assert(marks->durable >= gate->marks.durable);
	rt_assert(marks->persisted >= gate->marks.persisted);
	rt_assert(marks->onwire >= marks->received);
	rt_assert(marks->received >= marks->persisted);
	gate->marks = *marks;
}

void gate_set_conditions(struct gate *gate, const struct gate_conditions *conditions)
{
	gate->conditions = *conditions;
}

uint64_t gate_onwire(const struct gate *gate)
{
	return gate->conditions.stuck ? gate->marks.persisted : gate->marks.onwire;
}

uint64_t gate_received(const struct gate *gate)
{
	return gate->conditions.stuck ? gate->marks.persisted : gate->marks.received;
}

void gate_forget_mirror(struct gate *gate)
{
	gate->marks.onwire = gate->marks.received = gate->marks.persisted = 0;
}

enum group_mode gate_counts_as(const struct gate_need *need, bool lowered, bool alone)
{
	return alone || (lowered && need->lowerable) ? GROUP_LOCAL : need->mode;
}

enum group_mode gate_mode(const struct gate *gate, const struct gate_need *need)
{
	return gate_counts_as(need, gate->conditions.lowered, gate->conditions.alone);
}

static enum group_mode gate_effective(const struct gate *gate, unsigned q)
{
	return gate_mode(gate,
			 &(struct gate_need){ .mode = gate_queue_mode(q),
					      .lowerable = gate_queue_lowerable(q) });
}

/* Up to which LSN a queue is open. */
static uint64_t gate_open_to(const struct gate *gate, unsigned q)
{
	const struct gate_marks *marks = &gate->marks;
	uint64_t local = gate_queue_durable(q) ? marks->durable : marks->written;
	uint64_t far = UINT64_MAX;

	if (RT_BUG(ACK_BEFORE_WRITTEN) && !gate_queue_durable(q))
		local = UINT64_MAX;
	switch (gate_effective(gate, q)) {
	case GROUP_LOCAL:
		far = gate->conditions.local_max;
		break;
	case GROUP_NETWORK:
		far = gate_onwire(gate);
		break;
	case GROUP_REMOTE:
		far = RT_BUG(RECEIVED_AS_PERSISTED) ? marks->received : marks->persisted;
		break;
	}
	return local < far ? local : far;
}

unsigned gate_run(struct gate *gate)
{
	unsigned opened = 0;

	for (unsigned q = 0; q < GATE_QUEUES; q++) {
		struct rt_list *head = &gate->queue[q];
		uint64_t limit = gate_open_to(gate, q);

		while (!rt_list_empty(head) && waiter_of(head->next)->lsn <= limit) {
			struct gate_waiter *w = waiter_of(rt_list_pop(head));

			opened++;
			w->opened(w, 0);
		}
	}
	return opened;
}

uint64_t gate_wants_durable(const struct gate *gate)
{
	uint64_t lsn = 0;

	for (unsigned q = 0; q < GATE_QUEUES; q++) {
		const struct rt_list *head = &gate->queue[q];

		if (gate_queue_durable(q) && !rt_list_empty(head) &&
		    waiter_of(head->prev)->lsn > lsn)
			lsn = waiter_of(head->prev)->lsn;
	}
	return lsn;
}

static bool gate_wants(const struct gate *gate, enum group_mode mode)
{
	for (unsigned q = 0; q < GATE_QUEUES; q++)
		if (gate_effective(gate, q) == mode && !rt_list_empty(&gate->queue[q]))
			return true;
	return false;
}

bool gate_wants_wire(const struct gate *gate)
{
	return gate_wants(gate, GROUP_NETWORK);
}

bool gate_wants_mirror(const struct gate *gate)
{
	return gate_wants(gate, GROUP_REMOTE);
}

unsigned gate_expire(struct gate *gate, rt_time limit, int err)
{
	unsigned ended = 0;

	for (unsigned q = 0; q < GATE_QUEUES; q++) {
		struct rt_list *head = &gate->queue[q], *at = head->next, *next;

		for (; at != head; at = next) {
			struct gate_waiter *w = waiter_of(at);

			next = at->next;
			if (!rt_time_before(w->since, limit))
				continue;
			rt_list_remove(&w->link);
			ended++;
			w->opened(w, err);
		}
	}
	return ended;
}

unsigned gate_fail(struct gate *gate, int err)
{
	return gate_expire(gate, RT_NEVER, err);
}

bool gate_empty(const struct gate *gate)
{
	for (unsigned q = 0; q < GATE_QUEUES; q++)
		if (!rt_list_empty(&gate->queue[q]))
			return false;
	return true;
}
