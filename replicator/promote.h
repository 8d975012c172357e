/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PROMOTE_H
#define REPLICATOR_PROMOTE_H

struct group;
struct recovery;

/* Moves a promotion on, if there is one. */
void promote_turn(struct group *g);
/* What a promotion would find now. */
void promote_recovery(const struct group *g, struct recovery *ret);

#endif
