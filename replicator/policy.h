/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_POLICY_H
#define REPLICATOR_POLICY_H

#include "replicator/group.h"

/* What an absent mirror means, and the state that people see. */

void policy_turn(struct group *g);
/* The level at which the group's own mode counts now. */
enum group_mode policy_effective(const struct group *g);
/* Why it holds requests; "" in another state. */
const char *policy_why(const struct group *g);

#endif
