/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_REFUSAL_H
#define REPLICATOR_REFUSAL_H

#include <stdbool.h>

#include "replicator/message.h"
#include "rt/time.h"

/*
 * Why connections are refused, one after the other, as the log has it: one line where the
 * reason is another one, and none for as long as the same comes back within REFUSAL_REPEATS
 * each time, whatever a connection led to in between. Pure; zeroed at first.
 */
#define REFUSAL_REPEATS (60 * RT_S)

struct refusal {
	char text[MESSAGE_TEXT_MAX + 1]; /* the last one */
	rt_time last;			 /* when it was, last; 0: never */
};

/* Refused because of `why`: is it news? */
bool refusal_is_news(struct refusal *r, const char *why, rt_time now);

#endif
