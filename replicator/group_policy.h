/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_POLICY_H
#define REPLICATOR_GROUP_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "replicator/group.h"

/* The policy (policy.h) of a group: what it looks at, and what follows from it. */

void group_policy_turn(struct group *g);
/* The level at which the group's own mode counts now. */
enum group_mode group_policy_effective(const struct group *g);
/* The mirror is behind now, though it was in sync. */
bool group_policy_mirror_behind(const struct group *g);
/* The path to the peer carries writes now; false without a peer. */
bool group_policy_path_serves(const struct group *g);
/*
 * Why the group is not in order, and the remedy, for people; "" when it is. What is known
 * of this very case comes before what the state says in general.
 */
void group_policy_why(const struct group *g, char *text, size_t size);

#endif
