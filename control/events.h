/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_EVENTS_H
#define CONTROL_EVENTS_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct group;

struct events_wanted {
	int64_t since_ns;  /* none that were before */
	uint64_t from_seq; /* nor those with a lower number */
};

/*
 * What `wanmirror events --json` prints, with "next" beside it: the past events of a group
 * that are wanted, oldest first, at most EVENTS_PAGE of them, since the daemon has more to
 * do. "next" is the number to ask from for those that follow, or null at the end. The other
 * names are a promise (wanmirror(1)). A new reference; NULL when out of memory.
 */
#define EVENTS_PAGE 64u
json_t *events_new(const struct group *group, const char *name,
		   const struct events_wanted *wanted);
/*
 * Add what `page` has behind `events`, both as of events_new(). Returns its "next", 0 at the
 * end or where it is no answer; `events` has none any more.
 */
int64_t events_add_page(json_t *events, const json_t *page);

/* A line for each, for people. What is missing or of another type is shown as "-". */
void events_print(const json_t *events, FILE *out);

#endif
