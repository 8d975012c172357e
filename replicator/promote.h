/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PROMOTE_H
#define REPLICATOR_PROMOTE_H

struct group;

/* Moves a promotion on, if there is one. */
void promote_turn(struct group *g);

#endif
