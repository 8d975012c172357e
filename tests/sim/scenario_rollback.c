// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>

#include "replicator/group_private.h"
#include "tests/sim/sites.h"

/*
 * A primary's store is put back to an older state of itself, as somebody restores a disk,
 * and its mirror has gone on. Protects: it takes back all that the mirror holds, before it
 * serves, and is fenced by nobody; one that has served before it meets the mirror takes
 * nothing of the mirror's for its own.
 */
#define NYC 0
#define LON 1

struct rollback {
	struct sites *a;
	struct sim_rng *rng;
};

static void let_it_run(struct rollback *r, uint64_t most_ms)
{
	sites_load(r->a, NYC, sim_skewed(r->rng, 1, 300));
	sites_run_for(r->a, (int64_t)sim_skewed(r->rng, 1, most_ms) * RT_MS);
}

static void down(struct rollback *r, unsigned i)
{
	if (!sites_up(r->a, i))
		return;
	if (sim_chance(r->rng, 0.4))
		sites_stop(r->a, i);
	else
		sites_crash(r->a, i, sim_chance(r->rng, 0.5) ? SIM_KILL : SIM_POWER);
}

static bool streams(void *arg)
{
	const struct rollback *r = arg;

	return sites_streams_with(r->a, NYC) == LON && sites_writable(r->a, NYC);
}

static void require_streams(struct rollback *r, const char *when)
{
	for (unsigned n = 0; n < 1200 && !streams(r); n++)
		sites_run_for(r->a, 50 * RT_MS);
	sim_require(streams(r), "%s: %s is %s, and does not stream: %s", when,
		    sim_node_name(r->a->side[NYC].site.node),
		    group_state_name(r->a->side[NYC].site.group->state),
		    r->a->side[NYC].site.group->why);
}

/* Further openings of nyc, each an epoch of its own. */
static void go_on(struct rollback *r)
{
	unsigned openings = (unsigned)sim_below(r->rng, 4);

	let_it_run(r, 3000);
	while (openings-- > 0) {
		down(r, sim_chance(r->rng, 0.3) ? LON : NYC);
		if (sim_chance(r->rng, 0.3))
			down(r, NYC);
		for (unsigned i = LON + 1; i-- > 0;)
			if (!sites_up(r->a, i))
				sites_start(r->a, i);
		let_it_run(r, 8000);
	}
}

/* It serves once, beside the mirror, before it meets it. */
static void serve_alone(struct rollback *r)
{
	struct sim_node *nyc = r->a->side[NYC].site.node;
	struct sim_node *lon = r->a->side[LON].site.node;

	sim_net_cut_both(nyc, lon, true);
	sites_start(r->a, NYC);
	sites_load(r->a, NYC, sim_chance(r->rng, 0.5) ? 0 : sim_below(r->rng, 50));
	sites_run_for(r->a, 8 * RT_S);
	sim_net_mend(nyc, lon);
	sites_run_for(r->a, 6 * RT_S); /* they meet; and then */
	sites_load(r->a, NYC, 100);
	sites_run_for(r->a, 6 * RT_S); /* the tree judges what comes of it */
}

static void rollback_run(struct sim_world *w)
{
	struct rollback r = { .a = sites_new(w, 2), .rng = sim_rng(w) };
	const struct tree_node *held;
	struct sites_copy copy;

	/* A mirror that dials does so each 3 s. */
	for (unsigned i = 0; i < r.a->n; i++)
		r.a->side[i].site.config.open_timeout_ms = 5000;
	sites_start(r.a, LON);
	sites_start(r.a, NYC);
	let_it_run(&r, 3000);
	require_streams(&r, "at first");
	sites_copy(r.a, NYC, &copy);
	go_on(&r);
	if (!sites_up(r.a, LON))
		sites_start(r.a, LON);
	down(&r, NYC);
	sites_run_for(r.a, 10 * RT_S); /* what is under way is applied */
	held = r.a->side[LON].tip;
	sites_put(r.a, NYC, &copy);
	if (sim_chance(r.rng, 0.3)) {
		serve_alone(&r);
		sites_free(r.a);
		return;
	}
	sites_start(r.a, NYC);
	/* What was copied from under a daemon may have been lost by the daemon itself. */
	if (tree_holds(held, r.a->side[NYC].tip)) {
		require_streams(&r, "after it was put back");
		sim_require(tree_holds(r.a->side[NYC].tip, held),
			    "LSN %llu, which the mirror held, is not taken back",
			    (unsigned long long)held->lsn);
	}
	let_it_run(&r, 3000);
	sites_free(r.a);
}

static const char *const rollback_bugs[] = { "ROLLED_BACK_WHILE_SERVING", NULL };

SIM_SCENARIO(rollback, "a primary's store is put back to an older state of itself",
	     rollback_run, rollback_bugs, .all_max = 40)
