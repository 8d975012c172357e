// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/tree.h"

#include <stdlib.h>

#include "rt/check.h"
#include "rt/hash.h"
#include "tests/sim/sim_impl.h"

#define BUCKETS (1u << 14)

/* Who writes an epoch. */
struct tree_epoch {
	struct tree_epoch *next;
	uint64_t id, run;
};

struct tree {
	struct tree_node root;
	struct tree_node *buckets[BUCKETS];
	struct tree_epoch *epochs;
};

struct tree *tree_new(void)
{
	return sim_calloc(1, sizeof(struct tree));
}

void tree_free(struct tree *t)
{
	struct tree_epoch *e;

	for (unsigned i = 0; i < BUCKETS; i++) {
		struct tree_node *n;

		while ((n = t->buckets[i])) {
			t->buckets[i] = n->chain;
			free(n);
		}
	}
	while ((e = t->epochs)) {
		t->epochs = e->next;
		free(e);
	}
	free(t);
}

const struct tree_node *tree_root(const struct tree *t)
{
	return &t->root;
}

static unsigned bucket_of(uint64_t epoch, uint64_t lsn)
{
	return (unsigned)(rt_mix64(epoch + lsn * UINT64_C(0x9e3779b97f4a7c15)) % BUCKETS);
}

const struct tree_node *tree_find(const struct tree *t, uint64_t epoch, uint64_t lsn)
{
	const struct tree_node *n = t->buckets[bucket_of(epoch, lsn)];

	if (lsn == 0)
		return &t->root;
	while (n && (n->epoch != epoch || n->lsn != lsn))
		n = n->chain;
	return n;
}

/* False when another run has written in this epoch before. */
static bool may_write(struct tree *t, uint64_t epoch, uint64_t run)
{
	struct tree_epoch *e = t->epochs;

	while (e && e->id != epoch)
		e = e->next;
	if (e)
		return e->run == run;
	e = sim_calloc(1, sizeof(*e));
	*e = (struct tree_epoch){ .next = t->epochs, .id = epoch, .run = run };
	t->epochs = e;
	return true;
}

static const struct tree_node *add(struct tree *t, const struct tree_node *tip,
				   const struct tree_node *what)
{
	struct tree_node *n = sim_calloc(1, sizeof(*n));
	struct tree_node **bucket = &t->buckets[bucket_of(what->epoch, what->lsn)];

	*n = *what;
	n->parent = tip;
	n->chain = *bucket;
	*bucket = n;
	return n;
}

const struct tree_node *tree_take(struct tree *t, const struct tree_node *tip,
				  const struct tree_node *what, uint64_t run,
				  const char **why)
{
	const struct tree_node *n = tree_find(t, what->epoch, what->lsn);

	*why = NULL;
	if (what->lsn != tip->lsn + 1)
		*why = "it does not follow the one before";
	else if (n && (n->hash != what->hash || n->digest != what->digest))
		*why = "it has two contents in one epoch";
	else if (n && n->wall_ns != what->wall_ns)
		*why = "it is said to have been admitted at another time";
	else if (n && n->bytes != what->bytes)
		*why = "it follows another amount of data";
	else if (n && n->parent != tip)
		*why = "it follows two LSNs";
	else if (!n && run == 0)
		*why = "nobody has written it";
	else if (!n && !may_write(t, what->epoch, run))
		*why = "two runs write in one epoch";
	if (*why)
		return NULL;
	return n ? n : add(t, tip, what);
}

bool tree_holds(const struct tree_node *tip, const struct tree_node *node)
{
	while (tip->lsn > node->lsn)
		tip = tip->parent;
	return tip == node;
}
