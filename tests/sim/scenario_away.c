// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * The line is cut until writes complete without the mirror, and the load never ends: it is
 * less than the line carries, or more.
 * Protects: IN_SYNC is said only once all that has completed is on the wire (pair.c looks
 * when it is said), so that the site may vanish at any moment after it; and it is said,
 * under that load, whatever comes on the way back.
 */
#define STEP_MS 50 /* the client's requests come so often, so many at once */

static bool serves(void *arg)
{
	return ((struct pair *)arg)->site[0].serving;
}

static bool away(void *arg)
{
	struct group_status status;

	pair_status(arg, 0, &status);
	return status.sync_effective == GROUP_LOCAL;
}

static bool in_sync(void *arg)
{
	return pair_state(arg, 0) == GROUP_IN_SYNC;
}

/* So many requests a step come to half of what the line carries, or up to twice that. */
static uint64_t draw_requests(struct pair *p, uint64_t rate_bps)
{
	uint64_t bytes = rate_bps / 8 * STEP_MS / 1000;

	if (p->site[0].config.peer.tcp)
		return 1; /* which knows of no rate, and is slow behind a full queue */
	return 1 + bytes * sim_between(p->rng, 50, 200) / 100 / (2 * ORACLE_BLOCK);
}

/* Run until `cond` holds, with the load going on. False: not within that time. */
static bool run_until(struct pair *p, uint64_t requests, bool (*cond)(void *), int64_t ms)
{
	for (int64_t t = 0; t < ms; t += STEP_MS) {
		p->budget = requests;
		pair_load(p, true);
		if (sim_run_until(p->w, cond, p, STEP_MS * RT_MS))
			return true;
	}
	return false;
}

static bool no(void *arg)
{
	(void)arg;
	return false;
}

static void run_some(struct pair *p, uint64_t requests, uint64_t ms_max)
{
	(void)run_until(p, requests, no, (int64_t)sim_skewed(p->rng, 1, ms_max));
}

/*
 * It has no loss of its own: what is missing in the end was never on the wire. It is slow,
 * for what is written in these minutes stays in the log.
 */
static void draw_line(struct pair *p, struct group_peer_config *peer)
{
	static const uint64_t rates[] = { 4000000, 8000000, 16000000 };
	struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(p->rng, 1, 40) * RT_MS,
		.rate_bps = rates[sim_below(p->rng, RT_ARRAY_LEN(rates))],
		.queue_bytes = 128u << 10,
	};

	p->line_loss = 0;
	sim_net_set_all(p->w, &net);
	peer->rate_bps = net.rate_bps * 9 / 10;
}

static void configure(struct pair *p)
{
	struct group_config *c = &p->site[0].config;
	enum group_mode last = sim_chance(p->rng, 0.2) ? GROUP_REMOTE : GROUP_NETWORK;

	draw_line(p, &c->peer);
	c->hold = GROUP_HOLD_WRITE;
	c->on_disconnect = GROUP_CONTINUE;
	c->away_ms = (int64_t)sim_between(p->rng, 500, 2000);
	p->work.shape.blocks_max = 4;
	p->site[0].config.store_size = p->site[1].config.store_size = UINT64_C(512) << 20;
	if (sim_chance(p->rng, 0.3))
		c->exposure_writes = sim_between(p->rng, 1, 500);
	c->volumes[0].sync = c->volumes[1].sync = GROUP_NETWORK;
	c->volumes[2].sync = last;
	p->site[1].config.away_ms = c->away_ms;
	p->site[1].config.peer.rate_bps = c->peer.rate_bps;
}

/*
 * Cut it until the mirror is away, or for a moment; often when it has just come back. At
 * last until it is away: what a moment's cut takes from the line, nobody has noticed yet.
 */
static void cut_line(struct pair *p, uint64_t requests)
{
	struct sim_node *a = p->site[0].node, *b = p->site[1].node;
	bool gone;

	do {
		gone = sim_chance(p->rng, 0.7);
		if (sim_chance(p->rng, 0.3))
			sim_net_reset(a, b);
		sim_net_cut_both(a, b, sim_chance(p->rng, 0.5));
		if (gone)
			sim_require(run_until(p, requests, away, 120000),
				    "the line is cut, and the mirror is not away");
		if (gone) /* it may have been away before this cut: that, too, is noticed */
			(void)run_until(p, requests, no, 3 * p->site[0].config.away_ms);
		run_some(p, requests, 1000);
		sim_net_mend(a, b);
		run_some(p, requests, 2000);
	} while (!gone || sim_chance(p->rng, 0.4));
}

static void away_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	struct site *s = p->site;
	unsigned rounds = (unsigned)sim_between(p->rng, 1, 2);
	uint64_t requests;

	configure(p);
	requests = draw_requests(p, s[0].config.peer.rate_bps);
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, serves, p, 60 * RT_S), "the primary never serves");
	pair_wait_in_sync(p);
	while (rounds-- > 0) {
		run_some(p, requests, 500);
		cut_line(p, requests);
		sim_require(run_until(p, requests, in_sync, 600000),
			    "never in sync under load: %s",
			    group_state_name(pair_state(p, 0)));
	}
	if (sim_chance(p->rng, 0.5))
		run_some(p, requests, 100);
	pair_crash(p, 0, SIM_POWER);
	sim_net_cut_both(s[0].node, s[1].node, false);
	(void)sim_run_for(w, 2 * RT_S); /* what is in the line arrives */
	pair_promote(p, true);
	pair_free(p);
}

static const char *const away_bugs[] = { "IN_SYNC_OFF_WIRE", NULL };

SIM_SCENARIO(away, "the mirror comes back under a load that never ends", away_run,
	     away_bugs, .all_max = 20)
