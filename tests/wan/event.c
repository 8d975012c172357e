// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/event.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct wanem_event *wanem_event_new(enum wanem_kind kind, int dir, const void *data,
				    size_t len)
{
	struct wanem_event *event = malloc(sizeof(*event) + len);

	if (event == NULL)
		return NULL;
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->dir = dir;
	event->len = (uint32_t)len;
	if (data != NULL)
		memcpy(event->data, data, len);
	return event;
}

static bool before(const struct wanem_event *a, const struct wanem_event *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->number < b->number;
}

/* Puts the event at `at`, whose place is free, or nearer to the top. */
static void rise(struct wanem_events *events, size_t at, struct wanem_event *event)
{
	while (at > 0 && before(event, events->heap[(at - 1) / 2])) {
		events->heap[at] = events->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	events->heap[at] = event;
}

int wanem_events_put(struct wanem_events *events, struct wanem_event *event)
{
	if (events->count == events->room) {
		size_t room = events->room ? 2 * events->room : 1024;
		void *heap = realloc(events->heap, room * sizeof(struct wanem_event *));

		if (heap == NULL)
			return -ENOMEM;
		events->heap = heap;
		events->room = room;
	}
	event->number = events->made++;
	rise(events, events->count++, event);
	return 0;
}

uint64_t wanem_events_next(const struct wanem_events *events)
{
	return events->count ? events->heap[0]->due_ns : UINT64_MAX;
}

struct wanem_event *wanem_events_take(struct wanem_events *events, uint64_t now)
{
	struct wanem_event *first;
	struct wanem_event *last;
	size_t at = 0;

	if (events->count == 0 || events->heap[0]->due_ns > now)
		return NULL;
	first = events->heap[0];
	last = events->heap[--events->count];
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= events->count)
			break;
		if (child + 1 < events->count &&
		    before(events->heap[child + 1], events->heap[child]))
			child++;
		if (!before(events->heap[child], last))
			break;
		events->heap[at] = events->heap[child];
		at = child;
	}
	events->heap[at] = last;
	return first;
}

void wanem_events_remove(struct wanem_events *events,
			 bool (*unwanted)(const struct wanem_event *event, void *arg),
			 void (*drop)(struct wanem_event *event, void *arg), void *arg)
{
	size_t count = events->count;

	events->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct wanem_event *event = events->heap[i];

		if (unwanted(event, arg))
			drop(event, arg);
		else
			rise(events, events->count++, event);
	}
}

void wanem_events_release(struct wanem_events *events)
{
	for (size_t i = 0; i < events->count; i++)
		free(events->heap[i]);
	free(events->heap);
	memset(events, 0, sizeof(*events));
}
