/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_WAN_EVENT_H
#define TESTS_WAN_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wanem_conn;

enum wanem_kind {
	WANEM_DATAGRAM, /* arrives at the other end */
	WANEM_LEAVES,	/* a datagram leaves the building and comes to the line */
	WANEM_CHUNK,	/* a piece of a stream arrives */
	WANEM_END,	/* the end of a stream arrives */
	WANEM_RESET,	/* a reset arrives */
	WANEM_RESUME	/* the queue has room: a stream may be read again */
};

/* Something that happens at `due`; of two at the same time the earlier made first. */
struct wanem_event {
	uint64_t due_ns;
	uint64_t number;
	uint64_t arrived_ns; /* here */
	uint64_t sent_ns;    /* left the line's queue */
	enum wanem_kind kind;
	int dir;
	struct wanem_conn *conn; /* counted in the connection; NULL for datagrams */
	struct wanem_event *next;
	uint32_t len;
	uint32_t done; /* bytes of a chunk written so far */
	uint8_t data[];
};

struct wanem_events {
	struct wanem_event **heap;
	size_t count;
	size_t room;
	uint64_t made;
};

/* A new event with room for `len` bytes, copied from `data` unless that is NULL. */
struct wanem_event *wanem_event_new(enum wanem_kind kind, int dir, const void *data,
				    size_t len);

/* Hands the event over. -ENOMEM: it stays the caller's. */
int wanem_events_put(struct wanem_events *events, struct wanem_event *event);

/* The next event's time; UINT64_MAX if there is none. */
uint64_t wanem_events_next(const struct wanem_events *events);

/* Takes out the next event, which is the caller's then; NULL if none is due at `now`. */
struct wanem_event *wanem_events_take(struct wanem_events *events, uint64_t now);

/* Takes out every event that `unwanted` says, in no order, and hands it to `drop`. */
void wanem_events_remove(struct wanem_events *events,
			 bool (*unwanted)(const struct wanem_event *event, void *arg),
			 void (*drop)(struct wanem_event *event, void *arg), void *arg);

void wanem_events_release(struct wanem_events *events);

#endif
