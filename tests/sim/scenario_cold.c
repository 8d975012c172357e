// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>

#include "replicator/group_private.h"
#include "tests/sim/sites.h"

/*
 * A primary was down, for a moment or for long, and its mirror may have been promoted
 * meanwhile, or be down, too. Protects: it does not serve what may be old without a word of
 * its mirror or of a person; and when both sites are back, in whichever order, one of them
 * serves, and nobody has to force it.
 */
#define NYC 0
#define LON 1
#define WARM_NS (PRIMARY_WARM_MS * RT_MS)

struct cold {
	struct sites *a;
	struct sim_rng *rng;
	bool promoted; /* lon */
	bool warm;     /* nyc was down for a moment only, and its machine was not */
};

static void let_it_run(struct cold *c, uint64_t most_ms)
{
	for (unsigned i = 0; i < 2; i++)
		sites_load(c->a, i, sim_skewed(c->rng, 1, 200));
	sites_run_for(c->a, (int64_t)sim_skewed(c->rng, 1, most_ms) * RT_MS);
}

/* Whether its machine has lost its power. */
static bool down(struct cold *c, unsigned i)
{
	bool power = sim_chance(c->rng, 0.4);

	if (!power && sim_chance(c->rng, 0.5))
		sites_stop(c->a, i);
	else
		sites_crash(c->a, i, power ? SIM_POWER : SIM_KILL);
	return power;
}

static bool wait_writable(struct cold *c, unsigned i, int64_t ns)
{
	for (; ns > 0 && !sites_writable(c->a, i); ns -= 50 * RT_MS)
		sites_run_for(c->a, 50 * RT_MS);
	return sites_writable(c->a, i);
}

static const char *name_of(const struct cold *c, unsigned i)
{
	return sim_node_name(c->a->side[i].site.node);
}

/* What lon does while nyc is down. */
static void meanwhile(struct cold *c)
{
	if (sim_chance(c->rng, 0.5)) {
		c->promoted = site_promote(&c->a->side[LON].site, true) == 0;
		let_it_run(c, 3000);
	}
	if (sim_chance(c->rng, 0.4))
		(void)down(c, LON);
}

/* nyc is back, and lon does not answer, whatever it is. */
static void must_hold(struct cold *c)
{
	bool serve = c->a->side[NYC].site.config.cold_serve;

	if (wait_writable(c, NYC, 20 * RT_S))
		sim_require(serve || c->warm,
			    "%s serves after it was down, and %s has not answered",
			    name_of(c, NYC), name_of(c, LON));
	else if (serve)
		sim_require(primary_start_bound(c->a->side[NYC].site.group) !=
				    PRIMARY_NOT_BOUND,
			    "%s waits for ever, and nothing forbids it to open",
			    name_of(c, NYC));
}

static void a_person_opens_it(struct cold *c)
{
	struct site *s = &c->a->side[NYC].site;
	char text[GROUP_OPEN_TEXT_MAX];

	sim_node_enter(s->node);
	(void)group_open_alone(s->group, false, text);
	sim_node_leave(s->node);
	sim_require(wait_writable(c, NYC, 5 * RT_S), "%s was opened, and does not serve: %s",
		    name_of(c, NYC), text);
}

/* Both are up, and the path works: who serves is found without force. */
static void must_serve(struct cold *c)
{
	unsigned who = c->promoted ? LON : NYC;

	sim_require(wait_writable(c, who, 60 * RT_S), "both are back, and %s is %s: %s",
		    name_of(c, who),
		    group_state_name(c->a->side[who].site.group->state),
		    c->a->side[who].site.group->why);
	if (!c->promoted)
		return;
	sites_run_for(c->a, 20 * RT_S);
	sim_require(!sites_writable(c->a, NYC), "%s serves, and %s was promoted",
		    name_of(c, NYC), name_of(c, LON));
}

static void cold_run(struct sim_world *w)
{
	struct cold c = { .a = sites_new(w, 2), .rng = sim_rng(w) };
	struct sim_node *nyc = c.a->side[NYC].site.node, *lon = c.a->side[LON].site.node;
	bool alone = sim_chance(c.rng, 0.2);
	rt_time went;
	bool power;

	c.a->side[NYC].site.config.cold_serve = sim_chance(c.rng, 0.3);
	sites_start(c.a, LON);
	sites_start(c.a, NYC);
	sim_require(wait_writable(&c, NYC, 60 * RT_S), "the pair does not begin");
	let_it_run(&c, 3000);
	power = down(&c, NYC);
	went = sim_now(w);
	sim_net_cut_both(nyc, lon, true);
	meanwhile(&c);
	sites_run_for(c.a, (int64_t)sim_skewed(c.rng, 1, 30000) * RT_MS);
	/* The last sign of life is up to a heartbeat older than its end. */
	c.warm = !power && rt_time_since(sim_now(w), went) < WARM_NS;
	sites_start(c.a, NYC);
	must_hold(&c);
	if (alone && !sites_writable(c.a, NYC)) {
		a_person_opens_it(&c);
		sites_free(c.a);
		return;
	}
	if (sites_writable(c.a, NYC)) { /* the tree judges what comes of it */
		sim_net_mend(nyc, lon);
		let_it_run(&c, 10000);
		sites_free(c.a);
		return;
	}
	sim_net_mend(nyc, lon);
	if (!sites_up(c.a, LON))
		sites_start(c.a, LON);
	must_serve(&c);
	sites_free(c.a);
}

static const char *const cold_bugs[] = { "COLD_OPENS_ALONE", NULL };

SIM_SCENARIO(cold, "a primary that was down does not serve what may be old", cold_run,
	     cold_bugs, .all_max = 60)
