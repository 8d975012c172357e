/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PAST_EVENT_H
#define REPLICATOR_PAST_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"
#include "rt/log.h"
#include "rt/time.h"

/*
 * Which of a group's events its store keeps, for `wanmirror events`. The store has room for
 * some thousand: what happens again and again may not displace what happens once.
 */

/* Of kinds that repeat: how often one is kept, and one whose text is another. */
#define PAST_EVENT_REPEATS (3600 * RT_S)
#define PAST_EVENT_OTHER (60 * RT_S)
#define PAST_EVENT_KINDS_MAX 24u

struct past_event_repeat {
	bool known;
	rt_time last;	   /* when one was kept */
	uint32_t crc;	   /* of its text */
	uint64_t left_out; /* since then */
};

/* Zeroed at first. */
struct past_events {
	bool mode_known;      /* a primary serves, */
	enum group_mode mode; /* and its writes complete at this level */
	struct past_event_repeat repeats[PAST_EVENT_KINDS_MAX];
};

/*
 * Is this one, "event key=value ...", to be kept? *left_out is then how many of its kind were
 * not, since the last one that was.
 */
bool past_event_keeps(struct past_events *log, enum rt_log_level level, const char *text,
		      rt_time now, uint64_t *left_out);

/* An event of a group; as long as its store is open. */
void past_event_add(struct group *g, enum rt_log_level level, const char *text);
/* The level at which a serving primary's own mode counts: an event when that changes. */
void past_event_mode(struct group *g, enum group_mode mode);
/* The state that people see has become g->state: why it has. */
void past_event_add_state(struct group *g, enum group_state from);

#endif
