/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PAIRING_H
#define REPLICATOR_PAIRING_H

#include <stdbool.h>

struct group;
struct session;

/*
 * Which store is this store's peer: durable at both ends, so that no copy of a store, and no
 * other store of the group, takes the peer's place by connecting first.
 */

/*
 * The store at the other end of the control connection is the peer's, for good. False while
 * that is being made durable: the next turn asks again.
 */
bool pairing_is_bound(struct session *s);
/* The event of that, for a mirror, which makes it durable together with the group's id. */
void pairing_say_bound(struct group *g);

/* What a person asked of the pairing goes on, if there is something. */
void pairing_turn(struct session *s);
/* The session ends: nothing is changed any more. */
void pairing_end(struct session *s);

#endif
