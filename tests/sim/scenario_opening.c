// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>

#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * A site is opened again and again, and dies at the n-th completion of that, n = 1, 2, ...
 * until an opening meets no crash; the openings that follow may die, too, at any completion
 * of theirs. Protects: whatever an opening has done when it ends, the next one finds all
 * that was promised, takes no LSN twice, and serves.
 */
#define DEPTH_MAX 3
#define CRASHES_MAX 200u
#define OTHER_STEP_MAX 8u

struct openings {
	struct pair *p;
	unsigned site; /* that dies */
	unsigned mask;
	uint64_t step, crashes;
};

static bool serves(void *arg)
{
	struct pair *p = arg;

	return p->site[0].serving || !sim_node_up(p->site[0].node);
}

static bool follows(void *arg)
{
	struct pair *p = arg;

	return !sim_node_up(p->site[1].node) || pair_state(p, 1) == GROUP_FOLLOWING;
}

/* The line loses nothing: what is completed in `network` is at the mirror, or will be. */
static void configure(struct pair *p)
{
	struct sim_net_config net = { .delay_ns =
					      (int64_t)sim_between(p->rng, 1, 5) * RT_MS,
				      .rate_bps = 400000000 };

	sim_net_set_all(p->w, &net);
	p->line_loss = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->hold = GROUP_HOLD_WRITE;
		c->store_size = UINT64_C(512) << 20;
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync = v == 2 ? GROUP_REMOTE : GROUP_NETWORK;
	}
	p->flush = p->fua = sim_chance(p->rng, 0.5) ? 0.01 : 0.1;
	p->work.shape.blocks_max = 4;
}

/* Start the site, to die at the n-th completion; 0: never. False when it has died. */
static bool start(struct openings *o, enum sim_crash kind, uint64_t n)
{
	struct pair *p = o->p;
	struct site *s = &p->site[o->site];

	sim_node_crash_after(s->node, kind, o->mask, n);
	pair_start(p, o->site);
	if (sim_node_up(s->node))
		sim_require(sim_run_until(p->w, o->site == 0 ? serves : follows, p,
					  120 * RT_S),
			    "%s does not come back", sim_node_name(s->node));
	sim_node_crash_after(s->node, kind, o->mask, 0);
	if (sim_node_up(s->node))
		return true;
	sim_note(p->w, "died", o->site, n, 0);
	pair_crash(p, o->site, kind); /* what the harness has of it */
	return false;
}

/* What is there again, against what was promised. */
static void check(struct openings *o, enum sim_crash worst)
{
	struct pair *p = o->p;
	struct group_status status;

	pair_status(p, o->site, &status);
	if (o->site == 1) {
		sim_require(status.lsn.durable >= p->promises.remote,
			    "remote has completed to %llu, lon has %llu",
			    (unsigned long long)p->promises.remote,
			    (unsigned long long)status.lsn.durable);
		return;
	}
	sim_require(status.lsn.admitted >= p->promises.network,
		    "network has completed to %llu, nyc took back %llu",
		    (unsigned long long)p->promises.network,
		    (unsigned long long)status.lsn.admitted);
	pair_check_reopened(p, worst);
}

/* True when the opening was over before its n-th completion. */
static bool one_opening(struct openings *o, uint64_t n)
{
	struct pair *p = o->p;
	enum sim_crash kind = sim_chance(p->rng, 0.7) ? SIM_POWER : SIM_KILL;
	enum sim_crash worst = kind;
	bool over;

	p->budget = sim_between(p->rng, 1, 40);
	pair_load(p, true);
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 60) * RT_MS);
	pair_crash(p, o->site, kind);
	if (sim_chance(p->rng, 0.5)) /* what is in the line arrives, or it does not yet */
		(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 50) * RT_MS);
	kind = sim_chance(p->rng, 0.7) ? SIM_POWER : SIM_KILL;
	over = start(o, kind, n);
	if (!over && kind == SIM_POWER)
		worst = SIM_POWER;
	for (unsigned deep = 1; !sim_node_up(p->site[o->site].node); deep++) {
		uint64_t next = deep < DEPTH_MAX && sim_chance(p->rng, 0.5)
					? sim_skewed(p->rng, 1, n + 10)
					: 0;

		kind = sim_chance(p->rng, 0.7) ? SIM_POWER : SIM_KILL;
		if (!start(o, kind, next) && kind == SIM_POWER)
			worst = SIM_POWER;
	}
	check(o, worst);
	return over;
}

static void opening_run(struct sim_world *w)
{
	static const unsigned masks[] = { SIM_ON_DISK, SIM_ON_WRITE | SIM_ON_FLUSH,
					  SIM_ON_OTHER, SIM_ON_ANY };
	struct openings o = { .p = pair_new(w) };
	struct pair *p = o.p;
	uint64_t n;

	configure(p);
	o.site = (unsigned)sim_below(p->rng, 2);
	o.mask = masks[sim_below(p->rng, RT_ARRAY_LEN(masks))];
	o.step = o.mask & SIM_ON_OTHER ? sim_between(p->rng, 1, OTHER_STEP_MAX) : 1;
	n = o.mask & SIM_ON_OTHER ? sim_between(p->rng, 1, o.step) : 1;
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 120 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	for (; !one_opening(&o, n) && o.crashes < CRASHES_MAX; n += o.step)
		o.crashes++;
	sim_require(o.crashes > 0, "no opening has met its crash");
	sim_note(w, "openings", o.site, o.crashes, n);
	if (sim_verbose)
		printf("site %u mask %u step %llu: %llu openings\n", o.site, o.mask,
		       (unsigned long long)o.step, (unsigned long long)o.crashes);
	pair_load(p, false);
	sim_require(sim_run_until(w, pair_idle, p, 120 * RT_S), "requests hang");
	pair_wait_in_sync(p);
	pair_free(p);
}

static const char *const opening_bugs[] = { "PULL_NOT_FLUSHED", NULL };

SIM_SCENARIO(opening, "each completion of an opening is a site's last", opening_run,
	     opening_bugs, .all_max = 24)
