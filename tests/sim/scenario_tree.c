// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/tree.h"

/*
 * The tree of histories: what it must refuse, and that it finds what was put into it. If this
 * fails, no verdict of `copies` means anything.
 */
#define LSNS 200

static struct tree_node node(uint64_t epoch, uint64_t lsn)
{
	return (struct tree_node){
		.epoch = epoch, .lsn = lsn, .hash = epoch * 1000 + lsn, .digest = lsn
	};
}

static const struct tree_node *take(struct tree *t, const struct tree_node *tip,
				    struct tree_node what, uint64_t run)
{
	const char *why;
	const struct tree_node *n = tree_take(t, tip, &what, run, &why);

	sim_require(n, "LSN %llu of epoch %llu: %s", (unsigned long long)what.lsn,
		    (unsigned long long)what.epoch, why);
	return n;
}

static void refuses(struct tree *t, const struct tree_node *tip, struct tree_node what,
		    uint64_t run, const char *want)
{
	const char *why = "taken";

	sim_require(!tree_take(t, tip, &what, run, &why) && strcmp(why, want) == 0,
		    "wanted \"%s\", and it says \"%s\"", want, why);
}

/* Two branches that part at LSN `at`, by runs 1 and 2 in epochs 1 and 2. */
static void tree_run(struct sim_world *w)
{
	struct tree *t = tree_new();
	uint64_t at = sim_between(sim_rng(w), 1, LSNS - 2);
	const struct tree_node *branch[LSNS + 1] = { tree_root(t) };
	const struct tree_node *other;
	struct tree_node altered;

	for (uint64_t lsn = 1; lsn <= LSNS; lsn++)
		branch[lsn] = take(t, branch[lsn - 1], node(1, lsn), 1);
	other = branch[at];
	for (uint64_t lsn = at + 1; lsn <= LSNS; lsn++)
		other = take(t, other, node(2, lsn), 2);

	/* What somebody has taken, a mirror takes: it is the same node. */
	sim_require(take(t, branch[at - 1], node(1, at), 0) == branch[at],
		    "the mirror has a node of its own");
	sim_require(tree_find(t, 1, at) == branch[at] && tree_find(t, 3, at) == NULL &&
			    tree_find(t, 9, 0) == branch[0],
		    "an LSN is not found");
	for (uint64_t lsn = 0; lsn <= LSNS; lsn++)
		sim_require(tree_holds(other, branch[lsn]) == (lsn <= at),
			    "LSN %llu is on the wrong branch", (unsigned long long)lsn);
	sim_require(!tree_holds(branch[at], other), "an LSN holds what comes after it");

	refuses(t, branch[at], node(1, at + 2), 1, "it does not follow the one before");
	refuses(t, branch[LSNS], node(1, LSNS + 1), 0, "nobody has written it");
	refuses(t, branch[LSNS], node(1, LSNS + 1), 2, "two runs write in one epoch");
	refuses(t, other, node(1, LSNS + 1), 3, "two runs write in one epoch");
	altered = node(1, at);
	altered.digest++;
	refuses(t, branch[at - 1], altered, 1, "it has two contents in one epoch");
	altered = node(1, at);
	altered.hash++;
	refuses(t, branch[at - 1], altered, 0, "it has two contents in one epoch");
	refuses(t, tree_find(t, 2, at + 1), node(1, at + 2), 1, "it follows two LSNs");
	tree_free(t);
}

SIM_SCENARIO(tree, "the tree of histories against what it must refuse", tree_run, NULL,
	     .all_max = 20)
