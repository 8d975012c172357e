/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_STATE_H
#define REPLICATOR_GROUP_STATE_H

#include <stdbool.h>

#include "replicator/group.h"
#include "rt/log.h"

/*
 * What may follow what, of the state that people see and of *alone*. The rule in policy.c
 * judges both anew, whatever they were; these tables say what cannot happen between two
 * judgements. Pure.
 */

/* Promoted, and its mirror not in sync since. */
enum group_alone {
	GROUP_NOT_ALONE,
	GROUP_ALONE,	     /* every mode counts as local */
	GROUP_ALONE_HOLDING, /* by --hold: the modes count */
};

/* False for a state itself: that is no transition. */
bool group_state_may_follow(enum group_state from, enum group_state to);
/* A group that is alone may be promoted again, after a fence. One that is not alone cannot end that. */
bool group_alone_may_follow(enum group_alone from, enum group_alone to);

/* How much it is a person's concern that a group is in this state. */
enum rt_log_level group_state_level(enum group_state state);

#endif
