// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "replicator/group.h"
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * The disaster that people buy this for, as often as the processor allows: writes in
 * flight at full load, the primary dies at a random instant, the line takes nothing more,
 * and the mirror is promoted. Protects: at the loss that is assumed, no write that
 * completed in `network` mode is missing, and the image is a prefix. The host drops some
 * datagrams without a stamp, and loses some stamps. Every code, fixed redundancy and such
 * that adapts, and in some runs another one of them under load, another rate, or another transport.
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
		.refuse_message = sim_chance(p->rng, 0.3) ? 0.1 : 0,
	};

	p->line_loss = net.loss;
	sim_net_set_all(p->w, &net);
}

/* Codes that reach the goal, and one in eight that does not and must say so. */
static void draw_fec(struct pair *p, struct group_fec_config *c)
{
	static const struct {
		const char *code;
		double share;
		unsigned repairs;
	} codes[] = {
		{ "window", 0, 3 },	{ "window", 0, 3 },    { "window", 0.1, 3 },
		{ "window", 0.375, 3 }, { "window", 0, 3 },    { "rs", 0.1, 7 },
		{ "layered", 0.1, 7 },	{ "layered", 0.1, 3 },
	};
	unsigned i = (unsigned)sim_below(p->rng, RT_ARRAY_LEN(codes));

	memset(c->code, 0, sizeof(c->code));
	(void)snprintf(c->code, sizeof(c->code), "%s", codes[i].code);
	c->share = codes[i].share;
	c->r = 8;
	c->c = codes[i].repairs;
	for (unsigned k = 0; k < 7; k++)
		c->interleave[k] = (uint16_t)(1 + 3 * k);
}

/*
 * The primary goes on with another code or rate, in the midst of its load; or with other
 * evidence or over TCP, for which the sites must begin anew.
 */
static void change_line(struct pair *p)
{
	struct site *s = &p->site[0];
	struct group_peer_config *c = &s->config.peer;

	switch (sim_below(p->rng, 4)) {
	case 0:
		c->tcp = !c->tcp;
		break;
	case 1:
		c->evidence = c->evidence == GROUP_EV_DRIVER ? GROUP_EV_MIRROR
							     : GROUP_EV_DRIVER;
		break;
	case 2:
		c->rate_auto = !c->rate_auto;
		break;
	default:
		draw_fec(p, &c->fec);
		break;
	}
	if (!s->group || !sim_node_up(s->node))
		return;
	sim_node_enter(s->node);
	group_change(s->group, &s->config);
	sim_node_leave(s->node);
}

static void set_group(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->hold = GROUP_HOLD_WRITE;
		c->fua_remote = false;
		c->on_disconnect = GROUP_CONTINUE;
		c->peer.tcp = false;
		c->peer.evidence = GROUP_EV_DRIVER;
		c->peer.rate_bps = UINT64_C(40000000);
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
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
	draw_fec(p, &p->site[0].config.peer.fec);
	p->flush = 0.01;
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 60 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	p->budget = UINT64_MAX;
	pair_load(p, true);
	(void)sim_run_for(w, (int64_t)sim_between(p->rng, 20 * RT_MS, 200 * RT_MS));
	while (sim_chance(p->rng, 0.4)) {
		change_line(p);
		(void)sim_run_for(w, (int64_t)sim_skewed(p->rng, 1, 400) * RT_MS);
	}
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

static const char *const disaster_bugs[] = { "GATE_IGNORES_REPAIRS", NULL };

SIM_SCENARIO(disaster, "the primary dies under load, the mirror is promoted",
	     disaster_run, disaster_bugs)
