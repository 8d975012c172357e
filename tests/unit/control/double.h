/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_CONTROL_DOUBLE_H
#define TESTS_UNIT_CONTROL_DOUBLE_H

/*
 * A double of replicator/group.h, as far as the control socket asks: a status that tests
 * fill in, and promotions and changes of the peer that end when they say. Included once per test program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group.h"
#include "rt/check.h"
#include "rt/loop.h"

struct group {
	struct group_status status;
	struct group_promote *promoting;
	struct group_promote *asked[32]; /* all that were begun, the first 32 */
	unsigned promotions;
	struct group_peer *changing; /* the peer */
	unsigned opened;	     /* alone */
	unsigned steps;		     /* that a switchover shows */
	struct rt_loop *loop;
	struct rt_op op;
	int result;
	int64_t promote_ms; /* < 0: until double_promote_end() */
	struct rt_timer timer;
	unsigned changes; /* group_change() was called so often, last with this: */
	struct group_config changed;
	const struct group_past_event *past; /* npast of them, by number */
	unsigned npast;
};

const char *group_state_name(enum group_state state)
{
	static const char *const names[] = {
		"STANDALONE",  "STARTING",  "RECOVERING", "IN_SYNC", "EXPOSED",
		"CATCHING_UP", "HOLDING",   "PROMOTING",  "FENCED",  "DIVERGED",
		"FAILED",      "LISTENING", "FOLLOWING",
	};

	return names[state];
}

const char *group_mode_name(enum group_mode mode)
{
	static const char *const names[] = { "local", "network", "remote" };

	return names[mode];
}

void group_status(const struct group *group, struct group_status *ret)
{
	*ret = group->status;
}

static inline void double_promote_end(struct group *group)
{
	struct group_promote *p = group->promoting;

	group->promoting = NULL;
	p->found = true;
	p->recovery = (struct group_recovery){ .lsn = 4711,
					       .epoch = 3,
					       .admitted_at = 1796085133.592,
					       .age_s = 0.25,
					       .known = true,
					       .missing_writes = 2,
					       .missing_bytes = 8192 };
	(void)snprintf(p->verb.text, sizeof(p->verb.text), "%s",
		       p->force ? "forced" : "mirror is fresh");
	p->verb.done(&p->verb, group->result);
}

static inline void double_fire(struct rt_timer *timer)
{
	double_promote_end(rt_container_of(timer, struct group, timer));
}

void group_promote(struct group *group, struct group_promote *p)
{
	group->promoting = p;
	if (group->promotions < RT_ARRAY_LEN(group->asked))
		group->asked[group->promotions] = p;
	group->promotions++;
	group->timer.fire = double_fire;
	if (group->promote_ms >= 0)
		rt_timer_arm(group->loop, &group->timer,
			     rt_time_add(rt_now(group->loop), group->promote_ms * RT_MS));
}

static inline void double_peer_end(struct group *group)
{
	struct group_peer *p = group->changing;

	group->changing = NULL;
	(void)snprintf(p->verb.text, sizeof(p->verb.text), "%s%s",
		       p->change == GROUP_PEER_FORGET ? "forget" : "replace",
		       p->dry_run ? " dry" : "");
	p->verb.done(&p->verb, group->result);
}

void group_switchover(struct group *group, struct group_switchover *p)
{
	for (unsigned i = 0; i < group->steps; i++) {
		(void)snprintf(p->verb.text, sizeof(p->verb.text), "step %u", i);
		p->progress(p, p->verb.text);
	}
	(void)snprintf(p->verb.text, sizeof(p->verb.text), "switchover%s",
		       p->dry_run ? " dry" : "");
	p->lsn = 4711;
	p->pause_ms = 12;
	p->verb.done(&p->verb, group->result);
}

int group_open_alone(struct group *group, bool dry_run, char text[GROUP_OPEN_TEXT_MAX])
{
	(void)snprintf(text, GROUP_OPEN_TEXT_MAX, "opens%s", dry_run ? " dry" : "");
	group->opened += !dry_run;
	return group->result;
}

void group_peer(struct group *group, struct group_peer *p)
{
	rt_assert(!group->changing);
	group->changing = p;
}

int group_past_event(const struct group *group, uint64_t seq,
		     struct group_past_event *ret)
{
	for (unsigned i = 0; i < group->npast; i++)
		if (group->past[i].seq >= seq) {
			*ret = group->past[i];
			return 0;
		}
	return -ENOENT;
}

void group_set_memory_short(struct group *group, bool is_short)
{
}

void group_change(struct group *group, const struct group_config *config)
{
	group->changes++;
	group->changed = *config;
}

#endif
