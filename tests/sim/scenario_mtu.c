// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * The path between the sites changes: it swallows datagrams that it used to carry, or the
 * kernel refuses them, in one direction or both; and it carries them again. Protects: the
 * pair finds it out by itself and comes in sync over what is left; no completed write is
 * lost by it, not even when the primary dies over a path that has become short, also while
 * nobody wrote.
 */

#define SMALLEST 720u /* IPv4 and UDP around our shortest */

static void set_line(struct pair *p)
{
	struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(p->rng, 1, 40) * RT_MS,
		.jitter_ns = RT_MS / 4,
		.rate_bps = UINT64_C(1000000000),
		.loss = sim_chance(p->rng, 0.5) ? 0.01 : 0,
		.refuse_message = sim_chance(p->rng, 0.3) ? 0.1 : 0,
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
		c->peer.tcp = false; /* has no datagrams that are too long */
		c->peer.evidence = GROUP_EV_DRIVER;
		c->peer.rate_bps = UINT64_C(40000000);
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync = GROUP_NETWORK;
	}
}

/* How long an idle tunnel takes to notice, lost probes included (docs/tunnel.md). */
static int64_t noticed_ns(const struct pair *p)
{
	int64_t rtt_ns = 2 * sim_net_config(p->site[0].node, p->site[1].node)->delay_ns;

	return 8 * (rtt_ns > 25 * RT_MS ? rtt_ns : 25 * RT_MS);
}

/* What the path carries from now on, towards the mirror, towards the primary, or both. */
static void change_path(struct pair *p)
{
	static const uint16_t mtus[] = { 0, 1500, 1492, 1476, 1420, 1280, 1200, 900 };
	uint32_t mtu = mtus[sim_below(p->rng, RT_ARRAY_LEN(mtus))];
	bool told = sim_chance(p->rng, 0.3);

	if (sim_chance(p->rng, 0.2))
		mtu = (uint32_t)sim_between(p->rng, SMALLEST, 1500);
	for (unsigned i = 0; i < 2; i++) {
		struct sim_net_config *c =
			sim_net_config(p->site[i].node, p->site[!i].node);

		if (sim_chance(p->rng, 0.3))
			continue;
		c->path_mtu = mtu;
		c->mtu = told ? mtu : 0;
	}
	sim_note(p->w, "path-mtu", mtu, told, 0);
}

static void let_it_run(struct pair *p)
{
	p->budget = sim_skewed(p->rng, 10, 500);
	pair_load(p, true);
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 3000) * RT_MS);
}

static bool is_exposed(void *arg)
{
	return pair_state(arg, 0) == GROUP_EXPOSED;
}

/*
 * What it carries is too short for any tunnel: the mirror is gone until that is mended, and
 * connections that lead nowhere are no reason to say anything else in between, nor to log
 * the same of each.
 */
static void too_short(struct pair *p)
{
	uint32_t mtu = (uint32_t)sim_between(p->rng, 300, SMALLEST - 1);
	unsigned refusals[2];
	struct group_status status;
	char least[64];

	for (unsigned i = 0; i < 2; i++)
		refusals[i] = p->site[i].refusals;
	for (unsigned i = 0; i < 2; i++)
		sim_net_config(p->site[i].node, p->site[!i].node)->path_mtu = mtu;
	p->budget = sim_skewed(p->rng, 10, 200);
	pair_load(p, true);
	sim_require(sim_run_until(p->w, is_exposed, p, 60 * RT_S),
		    "over a path of %u bytes it is %s", mtu,
		    group_state_name(pair_state(p, 0)));
	for (unsigned i = 0; i < 1000; i++) {
		(void)sim_run_for(p->w, 20 * RT_MS);
		pair_status(p, 0, &status);
		sim_require(status.state == GROUP_EXPOSED && !status.link.connected,
			    "over a path of %u bytes it is %s, connected %d", mtu,
			    group_state_name(status.state), status.link.connected);
	}
	/* It is IPv4's: the longer headers of IPv6 ask for more. */
	(void)snprintf(least, sizeof(least), "give it an MTU of %u or more", SMALLEST);
	sim_require(strstr(status.why, "carries no datagrams of") != NULL &&
			    strstr(status.why, least) != NULL,
		    "over a path of %u bytes: \"%s\"", mtu, status.why);
	for (unsigned i = 0; i < 2; i++)
		sim_require(p->site[i].refusals == refusals[i] + 1,
			    "%u lines of one refusal", p->site[i].refusals - refusals[i]);
	pair_load(p, false);
	for (unsigned i = 0; i < 2; i++)
		sim_net_config(p->site[i].node, p->site[!i].node)->path_mtu = 0;
	pair_wait_in_sync(p);
}

static bool serves(void *arg)
{
	return ((struct pair *)arg)->site[0].serving;
}

static void mtu_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	unsigned changes = (unsigned)sim_between(p->rng, 1, 5);

	set_line(p);
	set_group(p);
	p->flush = 0.01;
	pair_create(p);
	if (sim_chance(p->rng, 0.5))
		change_path(p); /* short from the beginning */
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 60 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	while (changes-- > 0) {
		let_it_run(p);
		change_path(p);
		let_it_run(p);
		/* What the path does is known when something has passed it (docs/tunnel.md). */
		sim_require(sim_run_until(w, pair_idle, p, 120 * RT_S),
			    "writes do not complete over what is left of the path");
		pair_wait_in_sync(p);
	}
	if (sim_chance(p->rng, 0.2))
		too_short(p);
	if (sim_chance(p->rng, 0.5)) {
		/* It changes once more, and nothing but probes shows it to the next write. */
		(void)sim_run_for(w, (int64_t)sim_skewed(p->rng, 1, 20000) * RT_MS);
		change_path(p);
		(void)sim_run_for(w, noticed_ns(p));
	}
	/* Writes complete over what is left, and the primary dies among them. */
	p->budget = UINT64_MAX;
	pair_load(p, true);
	(void)sim_run_for(w, (int64_t)sim_between(p->rng, 5 * RT_MS, 500 * RT_MS));
	pair_crash(p, 0, SIM_POWER);
	sim_net_cut_both(p->site[0].node, p->site[1].node, false);
	(void)sim_run_for(w, RT_S);
	pair_promote(p, true);
	pair_free(p);
}

static const char *const mtu_bugs[] = { "PROBES_UNPADDED", NULL };

SIM_SCENARIO(mtu,
	     "the path between the sites carries shorter datagrams, and longer again",
	     mtu_run, mtu_bugs, .all_max = 30)
