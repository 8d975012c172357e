// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_private.h"
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * The mirror's disk is slow: what has arrived waits in its memory when the primary dies,
 * and the mirror is promoted at once. Or its store is replaced by a fresh one first.
 * Protects: the new epoch begins behind all that arrived, so that nothing that completed in
 * network mode is missing; and a mirror that lost all is filled again before it counts.
 */
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

static void configure(struct pair *p)
{
	struct sim_net_config net = { .delay_ns =
					      (int64_t)sim_between(p->rng, 1, 20) * RT_MS,
				      .rate_bps = 400000000 };

	sim_net_set_all(p->w, &net);
	p->line_loss = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->hold = GROUP_HOLD_WRITE;
		c->fua_remote = false;
		c->away_ms = 20000;
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync = GROUP_NETWORK;
	}
	p->flush = p->fua = 0;
}

static void load(struct pair *p, uint64_t budget, uint64_t ms)
{
	p->budget = budget;
	pair_load(p, true);
	(void)sim_run_for(p->w, (int64_t)ms * RT_MS);
}

/* As if someone had bought a new disk for it. */
static void replace_mirror(struct pair *p)
{
	struct site *s = &p->site[1];

	load(p, 200, sim_skewed(p->rng, 1, 500));
	pair_crash(p, 1, sim_chance(p->rng, 0.5) ? SIM_POWER : SIM_KILL);
	sim_disk_remove(sim_disk(s->node, SITE_STORE));
	load(p, 200, sim_skewed(p->rng, 1, 3000));
	pair_create_site(p, 1);
	sim_require(site_change_peer(&p->site[0], GROUP_PEER_REPLACE) == 0,
		    "the peer cannot be replaced");
	pair_start(p, 1);
	load(p, 200, sim_skewed(p->rng, 1, 3000));
	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 120 * RT_S), "requests hang");
	pair_wait_in_sync(p);
	sim_require(sim_run_until(p->w, mirror_has_all, p, 120 * RT_S),
		    "a fresh mirror is never filled");
	site_at_rest(&p->site[0]);
	site_at_rest(&p->site[1]);
}

static void slow_disk(struct pair *p)
{
	struct sim_disk_config *disk =
		sim_disk_config(sim_disk(p->site[1].node, SITE_STORE));

	disk->write_min_ns = 50 * RT_MS;
	disk->write_max_ns = (int64_t)sim_between(p->rng, 50, 800) * RT_MS;
}

static void queued_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	struct site *s = p->site;

	configure(p);
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 120 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	if (sim_chance(p->rng, 0.3))
		replace_mirror(p);
	slow_disk(p);
	load(p, UINT64_MAX, sim_skewed(p->rng, 20, 500));
	pair_crash(p, 0, SIM_POWER);
	sim_net_cut_both(s[0].node, s[1].node, false);
	(void)sim_run_for(w, 60 * RT_MS); /* what is in the line arrives */
	sim_note(w, "queued", s[1].group->apply.bytes, s[1].group->apply.inflight, 0);
	pair_promote(p, true);
	pair_free(p);
}

static const char *const queued_bugs[] = { "PROMOTE_UNDRAINED", NULL };

SIM_SCENARIO(queued, "promotion while what arrived waits, also of a replaced mirror",
	     queued_run, queued_bugs, .all_max = 60)
