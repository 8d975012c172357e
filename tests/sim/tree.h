/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_TREE_H
#define TESTS_SIM_TREE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The histories of a group as one tree: every LSN that any store ever took. An LSN is named
 * by its epoch and its number, and has one content and one LSN before it, wherever it is
 * taken; an epoch is written by one run of one daemon. Where stores part, the tree has
 * branches. Pure: it is given what each store takes, and says whether that may be.
 */
struct tree;

struct tree_node {
	const struct tree_node *parent; /* NULL: the root, before the first LSN */
	uint64_t epoch;			/* its id; 0 at the root */
	uint64_t lsn;
	uint64_t hash;	 /* history after it, as the log computes it */
	uint64_t digest; /* of the image after it (oracle.h) */
	int64_t wall_ns; /* when a primary admitted it, by its wall clock */
	uint64_t bytes;	 /* of data, of all LSNs up to it */
	struct tree_node *chain;
};

struct tree *tree_new(void);
void tree_free(struct tree *t);
const struct tree_node *tree_root(const struct tree *t);

/*
 * A store whose last LSN is `tip` takes one more: its node, made by `run` when nobody has
 * taken it before; run 0: it may only be one that somebody has. NULL where that breaks a
 * rule, with *why (static text).
 */
const struct tree_node *tree_take(struct tree *t, const struct tree_node *tip,
				  const struct tree_node *what, uint64_t run,
				  const char **why);
/* NULL when nobody has taken it; LSN 0 is the root. */
const struct tree_node *tree_find(const struct tree *t, uint64_t epoch, uint64_t lsn);
/* `node` is `tip`, or lies on the way from the root to it. */
bool tree_holds(const struct tree_node *tip, const struct tree_node *node);

#endif
