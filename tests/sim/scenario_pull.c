// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * A primary has lost what it had not flushed, and takes it back from its mirror over a line
 * on which a single record takes longer than control_timeout.
 * Protects: a long message on a narrow line is no silence. What was completed in `network`
 * mode is there when the primary opens, and it opens.
 */
#define BACK_BPS 100000

static bool serves(void *arg)
{
	return ((struct pair *)arg)->site[0].serving;
}

static void configure(struct pair *p)
{
	bool stop = sim_chance(p->rng, 0.5);

	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->peer.tcp = false;
		c->on_disconnect = stop ? GROUP_STOP : GROUP_CONTINUE;
		c->fua_remote = false;
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync = GROUP_NETWORK;
	}
	p->site[0].config.control_timeout_ms = 3000;
	p->site[1].config.control_timeout_ms = 240000; /* the primary is asked, not it */
	p->work.shape.blocks_max = PAIR_REQUEST_MAX / ORACLE_BLOCK;
	p->work.shape.zero = p->work.shape.trim = 0;
	p->flush = p->fua = 0;
	p->depth = 8;
}

static void pull_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	struct sim_net_config fast = { .delay_ns = RT_MS };
	struct sim_net_config narrow = { .delay_ns = 10 * RT_MS,
					 .rate_bps = BACK_BPS,
					 .queue_bytes = 33u << 10 };

	configure(p);
	sim_net_set_all(w, &fast);
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 60 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	p->budget = 60;
	pair_load(p, true);
	(void)sim_run_for(w, (int64_t)sim_between(p->rng, 20, 200) * RT_MS);
	pair_crash(p, 0, SIM_POWER);
	sim_net_set_all(w, &narrow);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 3600 * RT_S),
		    "the mirror is there, and the primary does not open");
	(void)pair_image(p, 0, p->promises.network, UINT64_MAX,
			 "what the primary took back");
	pair_free(p);
}

SIM_SCENARIO(pull, "a record takes longer than control_timeout to come back", pull_run,
	     NULL, .all_max = 10)
