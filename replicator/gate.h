/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GATE_H
#define REPLICATOR_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"
#include "rt/list.h"
#include "rt/time.h"

/*
 * The gate turns watermarks into completed requests. It keeps one queue per condition,
 * each in LSN order, so that modes overtake each other and opening costs O(completed).
 * Pure: no I/O, no clock.
 *
 *   written >= durable                      of the local log, only grow
 *   onwire, received                        of one connection; never below persisted
 *   persisted                               at the mirror, only grows
 */
struct gate_marks {
	uint64_t written, durable, onwire, received, persisted;
};

/* What one request waits for. */
struct gate_need {
	enum group_mode mode;
	bool durable;	/* FLUSH and FUA: durable instead of written */
	bool lowerable; /* its policy for an absent mirror is `continue` */
};

/* A group's policy lowers `network`; only a volume's own one lowers `remote`, too. */
static inline bool gate_lowerable(enum group_disconnect policy, enum group_mode mode)
{
	return policy == GROUP_CONTINUE && mode == GROUP_NETWORK;
}

/* The mode that counts for `need` now. A mode is lowered here and nowhere else. */
enum group_mode gate_counts_as(const struct gate_need *need, bool lowered, bool alone);

struct gate_waiter {
	struct rt_list link;
	uint64_t lsn;
	rt_time since;
	/* What it waits for, by the rules of now. */
	void (*need)(const struct gate_waiter *w, struct gate_need *ret);
	/* The condition holds (0), or never will (-errno). The waiter is out of the gate. */
	void (*opened)(struct gate_waiter *w, int res);
};

#define GATE_QUEUES 12 /* 3 modes x durable x lowerable */

/* What is known of the mirror, and follows from it. */
struct gate_conditions {
	bool lowered;	    /* it has timed out: need.lowerable counts */
	bool alone;	    /* promoted: every mode counts as local */
	bool stuck;	    /* it persists nothing: what it receives counts for nothing */
	uint64_t local_max; /* max_exposure: local completions only up to this LSN */
};

struct gate {
	struct rt_list queue[GATE_QUEUES];
	struct gate_marks marks;
	struct gate_conditions conditions; /* changed by gate_set_conditions() only */
};

void gate_init(struct gate *gate);

/* Put a waiter in; it is opened by a later gate_run(), never from inside this call. */
void gate_wait(struct gate *gate, struct gate_waiter *w);
/* The rules have changed: each waiter waits for what it needs now. Opens nothing. */
void gate_follow_rules(struct gate *gate);

/* The mode that counts for `need` in this gate now. */
enum group_mode gate_mode(const struct gate *gate, const struct gate_need *need);

/* New watermarks; asserts what only grows. Opens nothing by itself. */
void gate_set_marks(struct gate *gate, const struct gate_marks *marks);

/* From now on; opens nothing by itself. */
void gate_set_conditions(struct gate *gate, const struct gate_conditions *conditions);
/* What counts as on the wire, and as received: of a stuck mirror, what it has persisted. */
uint64_t gate_onwire(const struct gate *gate);
uint64_t gate_received(const struct gate *gate);

/* Another mirror, or one that has lost what it had: its watermarks begin at nothing. */
void gate_forget_mirror(struct gate *gate);

/* Open everything whose condition holds. Returns how many. */
unsigned gate_run(struct gate *gate);

/* The highest LSN that somebody in the gate wants durable; 0 for none. */
uint64_t gate_wants_durable(const struct gate *gate);
/* Whether somebody waits for the wire (network), or for the mirror (remote), by now. */
bool gate_wants_wire(const struct gate *gate);
bool gate_wants_mirror(const struct gate *gate);

/* End every waiter, or only those that wait since before `limit`, with `err`. */
unsigned gate_fail(struct gate *gate, int err);
unsigned gate_expire(struct gate *gate, rt_time limit, int err);
bool gate_empty(const struct gate *gate);

#endif
