// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * While clients are served the n-th allocation of a site fails, n = 1, 2, ... until some
 * steps in a row ask for less memory than that. Protects: a write is refused or done, never half; the
 * sites come in sync again by themselves; nothing stays counted.
 */
#define STEPS_MAX 60u
#define MISSES_MAX 4u

static bool serves(void *arg)
{
	return ((struct pair *)arg)->site[0].serving;
}

static bool mirror_has_all(void *arg)
{
	struct group_status a, b;

	pair_status(arg, 0, &a);
	pair_status(arg, 1, &b);
	return a.lsn.persisted == a.lsn.admitted && b.lsn.durable == a.lsn.admitted;
}

/* True when an allocation was refused. */
static bool step(struct pair *p, struct sim_node *node, uint64_t n)
{
	uint64_t before = sim_mem_allocs(node);

	sim_mem_fail_at(node, n);
	p->budget = sim_between(p->rng, 8, 20);
	pair_load(p, true);
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 20, 400) * RT_MS);
	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 60 * RT_S), "requests hang");
	sim_mem_fail_at(node, 0);
	sim_require(pair_state(p, 0) != GROUP_FAILED && pair_state(p, 1) != GROUP_FAILED,
		    "a want of memory has ended a log");
	return sim_mem_allocs(node) - before >= n;
}

static void memory_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	unsigned steps = 0, misses = 0;
	uint64_t n = 1;

	p->site[0].config.store_size = p->site[1].config.store_size = UINT64_C(512) << 20;
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 120 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	while (steps < STEPS_MAX && misses < MISSES_MAX) {
		bool refused = step(p, p->site[sim_below(p->rng, 2)].node, n);

		misses = refused ? 0 : misses + 1;
		steps += refused;
		n += !refused		       ? 0
		     : sim_chance(p->rng, 0.7) ? 1
					       : sim_skewed(p->rng, 1, 10);
	}
	sim_note(w, "steps", steps, n, 0);
	sim_require(steps > 0, "no allocation was refused");
	pair_wait_in_sync(p);
	sim_require(sim_run_until(w, mirror_has_all, p, 120 * RT_S),
		    "the mirror does not get the rest");
	site_at_rest(&p->site[0]);
	site_at_rest(&p->site[1]);
	pair_free(p);
}

static const char *const memory_bugs[] = { "LEAVES_STAY_PENDING", NULL };

SIM_SCENARIO(memory, "memory runs out while clients are served", memory_run, memory_bugs,
	     .all_max = 40)
