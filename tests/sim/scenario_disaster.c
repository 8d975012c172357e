// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * The disaster that people buy this for, as often as the processor allows: writes in
 * flight at full load, the primary dies at a random instant, the line takes nothing more,
 * and the mirror is promoted. Protects: at the loss that is assumed, no write that
 * completed in `network` mode is missing, and the image is a prefix. The host drops some
 * datagrams without a stamp, and loses some stamps.
 */

static void set_line(struct pair *p)
{
	struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(p->rng, 1, 30) * RT_MS,
		.jitter_ns = RT_MS / 4,
		.rate_bps = UINT64_C(1000000000),
		.loss = 0.01,
		.local_drop = sim_chance(p->rng, 0.5) ? 0.02 : 0,
		.stamp_lost = sim_chance(p->rng, 0.3) ? 0.01 : 0,
		.refuse_train = sim_chance(p->rng, 0.3) ? 0.1 : 0,
	};

	p->line_loss = net.loss;
	sim_net_set_all(p->w, &net);
}

static void set_group(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->hold = GROUP_HOLD_WRITE;
		c->fua_remote = false;
		c->on_disconnect = GROUP_CONTINUE;
		c->peer.evidence = GROUP_EV_DRIVER;
		c->peer.rate_bps = UINT64_C(40000000);
		for (unsigned v = 0; v < PAIR_VOLUMES; v++)
			c->volumes[v].sync = GROUP_NETWORK;
	}
}

static bool serves(void *arg)
{
	return ((struct pair *)arg)->site[0].serving;
}

static void disaster_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);

	set_line(p);
	set_group(p);
	p->flush = 0.01;
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 60 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	p->budget = UINT64_MAX;
	pair_load(p, true);
	(void)sim_run_for(w, (int64_t)sim_between(p->rng, 20 * RT_MS, 200 * RT_MS));
	if (sim_chance(p->rng, 0.3)) { /* the host's queue takes nothing any more */
		sim_net_config(p->site[0].node, p->site[1].node)->local_drop = 1;
		(void)sim_run_for(w, (int64_t)sim_between(p->rng, RT_MS, 60 * RT_MS));
	}
	pair_crash(p, 0, SIM_POWER);
	sim_net_cut_both(p->site[0].node, p->site[1].node, false);
	(void)sim_run_for(w, RT_S);
	pair_promote(p, true);
	pair_free(p);
}

static const char *const disaster_bugs[] = { "GATE_IGNORES_REPAIRS", "GATE_ON_TIMEOUT",
					     NULL };

SIM_SCENARIO(disaster, "the primary dies under load, the mirror is promoted",
	     disaster_run, disaster_bugs)
