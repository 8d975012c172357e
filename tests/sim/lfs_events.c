// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "tests/sim/lfs_site.h"

/*
 * The events of a store. Whatever happens to it, those that were durable are there, in order,
 * once each, and none that was not written.
 */

static void event_text(uint64_t stamp, char *text, size_t size)
{
	(void)snprintf(text, size, "event stamp=%016llx", (unsigned long long)stamp);
}

static struct lfs_event_figures event_figures(struct lfs_site *s)
{
	struct lfs_event_figures f;

	sim_node_enter(s->node);
	lfs_event_log_figures(s->lfs, &f);
	sim_node_leave(s->node);
	return f;
}

void lfs_site_events_add(struct lfs_site *s)
{
	unsigned n = (unsigned)sim_skewed(s->rng, 1, 400);

	for (unsigned i = 0; i < n; i++) {
		uint64_t stamp = sim_draw(s->rng);
		struct lfs_event_figures before = event_figures(s), after;
		char text[64];

		event_text(stamp, text, sizeof(text));
		sim_node_enter(s->node);
		lfs_event_log_append(s->lfs, 2, text);
		sim_node_leave(s->node);
		after = event_figures(s);
		sim_require(after.last - before.last + after.lost - before.lost == 1,
			    "an event is neither kept nor lost");
		s->events.last = after.last;
		if (after.last == before.last)
			continue;
		s->events.stamps[after.last % SITE_EVENTS_MAX] = stamp;
		s->events.durable[after.last % SITE_EVENTS_MAX] = false;
	}
}

void lfs_site_events_durable(struct lfs_site *s, uint64_t upto)
{
	for (; s->events.noted < upto; s->events.noted++)
		s->events.durable[(s->events.noted + 1) % SITE_EVENTS_MAX] = true;
}

void lfs_site_events_note(struct lfs_site *s)
{
	struct lfs_event_figures f;

	if (!s->lfs || s->closing || !sim_node_up(s->node))
		return;
	f = event_figures(s);
	sim_require(f.durable <= s->events.last, "event %llu is durable, %llu the last",
		    (unsigned long long)f.durable, (unsigned long long)s->events.last);
	if (!f.lost)
		lfs_site_events_durable(s, f.durable);
}

bool lfs_site_events_all_taken(struct lfs_site *s)
{
	return !event_figures(s).lost;
}

/* None of these was found. */
static unsigned events_missing(struct lfs_site *s, uint64_t from, uint64_t before)
{
	unsigned missing = 0;

	for (; from < before; from++) {
		missing += s->events.durable[from % SITE_EVENTS_MAX];
		s->events.durable[from % SITE_EVENTS_MAX] = false;
	}
	return missing;
}

void lfs_site_events_check(struct lfs_site *s)
{
	struct lfs_event event = { 0 };
	struct lfs_event_figures f = event_figures(s);
	uint64_t next = f.last > LFS_EVENTS ? f.last - LFS_EVENTS + 1 : 1;
	unsigned missing = 0;
	char text[64];
	int res;

	sim_require(f.last <= s->events.last, "event %llu was never written",
		    (unsigned long long)f.last);
	for (;;) {
		sim_node_enter(s->node);
		res = lfs_event_log_find(s->lfs, next, &event);
		sim_node_leave(s->node);
		if (res)
			break;
		sim_require(event.seq >= next && event.seq <= f.last,
			    "event %llu after %llu", (unsigned long long)event.seq,
			    (unsigned long long)next);
		event_text(s->events.stamps[event.seq % SITE_EVENTS_MAX], text,
			   sizeof(text));
		sim_require(strcmp(text, event.text) == 0, "event %llu is another: %s",
			    (unsigned long long)event.seq, event.text);
		missing += events_missing(s, next, event.seq);
		/* Its open has flushed what it found. */
		s->events.durable[event.seq % SITE_EVENTS_MAX] = true;
		next = event.seq + 1;
	}
	missing += events_missing(s, next, s->events.noted + 1);
	sim_require(missing <= s->damaged, "%u durable events are missing", missing);
	s->events.last = s->events.noted = f.last;
}
