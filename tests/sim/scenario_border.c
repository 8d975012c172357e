// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/edge_relay.h"
#include "replicator/tunnel/io.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"
#include "tests/unit/tunnel/params.h"

/*
 * Evidence from the border: a primary, a building whose network loses, the relay, a line
 * that does not. Protects: when building and primary vanish together, with whatever lay
 * in the building's queues, every frame that counted as on the wire arrives, since the
 * relay has seen it out; a restarted relay serves on by itself, and a tunnel that rests for
 * minutes is not forgotten. Relay and mirror listen on any address, and are sent to at one
 * that nothing leaves from by itself.
 */
#define FRAME_MAX 20000
#define FRAMES 400

struct border_end {
	struct sim_node *node;
	struct tunnel_io *io;
	struct tunnel *t;
	uint64_t submitted, taken;
};

struct border {
	struct sim_world *w;
	struct sim_rng *rng;
	struct border_end primary, mirror;
	struct sim_node *edge;
	struct edge_relay *relay;
	uint64_t frames; /* to be sent in all */
	uint64_t onwire; /* the most that was promised */
	uint8_t key[EDGE_KEY_LEN];
};

/* A frame says its number and has a length of its own. */
static size_t border_frame(uint64_t number, uint8_t *buf)
{
	size_t len = 16 + (size_t)(number * 7919 % (FRAME_MAX - 16));

	memset(buf, (int)(number & 0xff), len);
	memcpy(buf, &number, sizeof(number));
	return len;
}

static void border_primary_changed(void *owner)
{
	static uint8_t frame[FRAME_MAX];
	struct border *b = owner;
	struct border_end *p = &b->primary;
	rt_time now = rt_now(sim_node_loop(p->node));

	while (p->submitted < b->frames) {
		size_t len = border_frame(p->submitted + 1, frame);

		if (tunnel_submit(p->t, frame, len, now) != 0)
			break;
		p->submitted++;
		if (sim_chance(b->rng, 0.3))
			break;
	}
	tunnel_expedite(p->t, now);
	if (tunnel_onwire(p->t, now) > b->onwire)
		b->onwire = tunnel_onwire(p->t, now);
	tunnel_io_schedule(p->io);
}

static void border_mirror_changed(void *owner)
{
	static uint8_t want[FRAME_MAX];
	struct border *b = owner;
	struct border_end *m = &b->mirror;
	const uint8_t *frame;
	size_t len;
	int res;

	while ((res = tunnel_next_frame(m->t, &frame, &len)) == 1) {
		m->taken++;
		sim_require(len == border_frame(m->taken, want) &&
				    memcmp(frame, want, len) == 0,
			    "frame %llu is another", (unsigned long long)m->taken);
	}
	sim_require(res == 0, "framing %d", res);
	tunnel_io_schedule(m->io);
}

static void border_start_end(struct border *b, struct border_end *end, bool dials)
{
	static const struct tunnel_io_events events[2] = { { border_mirror_changed },
							   { border_primary_changed } };
	struct rt_loop *loop = sim_node_start(end->node);
	struct tunnel_params p = params_tunnel(4711, 1 << 20, FRAME_MAX);
	struct rt_addr local = { .kind = RT_ADDR_INET, .port = dials ? 0 : 7700 };
	struct rt_addr relay;
	struct rt_addr nobody = { .kind = RT_ADDR_NONE };

	p.secret[0] = 9;
	p.dialed = dials;
	p.rate_bps = 50000000;
	p.fec = params_fec(0, 0.1);
	p.fec.repairs_fixed = false;
	p.evidence = dials ? TUNNEL_EDGE : TUNNEL_DRIVER;
	sim_node_enter(end->node);
	sim_node_second_addr(b->edge, 7701, &relay);
	sim_require(tunnel_io_new(loop, &local, &events[dials], b, &end->io) == 0, "io");
	sim_require(tunnel_new(&p, rt_now(loop), &end->t) == 0, "tunnel");
	if (dials)
		sim_require(tunnel_io_set_edge(end->io, &relay, b->key) == 0, "edge");
	tunnel_io_attach(end->io, end->t, &nobody);
	sim_node_leave(end->node);
}

static void border_start_relay(struct border *b)
{
	struct rt_loop *loop = sim_node_start(b->edge);
	struct edge_relay_params p = { 0 };

	sim_node_enter(b->edge);
	p.listen = (struct rt_addr){ .kind = RT_ADDR_INET, .port = 7701 };
	sim_node_second_addr(b->mirror.node, 7700, &p.mirror);
	memcpy(p.key, b->key, sizeof(p.key));
	sim_require(edge_relay_new(loop, &p, &b->relay) == 0, "relay");
	sim_node_leave(b->edge);
}

static void border_network(struct border *b)
{
	struct sim_net_config building = {
		.delay_ns = (int64_t)sim_between(b->rng, 0, 2 * RT_MS),
		.jitter_ns = RT_MS / 10,
		.loss = sim_chance(b->rng, 0.5) ? 0.3 * sim_unit(b->rng) : 0,
		.local_drop = sim_chance(b->rng, 0.3) ? 0.1 : 0,
		.duplicate = sim_chance(b->rng, 0.3) ? 0.1 : 0,
		.reorder = sim_chance(b->rng, 0.3) ? 0.1 : 0,
		.reorder_ns = RT_MS,
		.corrupt = sim_chance(b->rng, 0.3) ? 0.05 : 0,
	};
	struct sim_net_config line = {
		.delay_ns = (int64_t)sim_between(b->rng, RT_MS, 50 * RT_MS),
		.stamp_lost = sim_chance(b->rng, 0.3) ? 0.05 : 0,
	};

	if (sim_chance(b->rng, 0.5)) {
		building.rate_bps = 30000000; /* narrower than the sender thinks */
		building.queue_bytes = sim_between(b->rng, 20000, 200000);
	}
	sim_net_set_both(b->primary.node, b->edge, &building);
	sim_net_set_both(b->edge, b->mirror.node, &line);
}

static bool border_all_taken(void *arg)
{
	struct border *b = arg;

	return b->mirror.taken >= b->frames;
}

static bool border_promised(void *arg)
{
	struct border *b = arg;

	return b->mirror.taken >= b->onwire;
}

static bool border_under_way(void *arg)
{
	struct border *b = arg;

	return b->onwire > 0;
}

/* The site is gone, with what its own network held. What has left is on the line. */
static void border_disaster(struct border *b)
{
	(void)sim_run_until(b->w, border_under_way, b, 20 * RT_S);
	(void)sim_run_for(b->w, (int64_t)sim_between(b->rng, 0, 500 * RT_MS));
	sim_net_cut_both(b->primary.node, b->edge, true);
	sim_node_crash(b->primary.node, SIM_POWER);
	sim_note(b->w, "disaster", b->onwire, b->mirror.taken, 0);
	sim_require(sim_run_until(b->w, border_promised, b, 10 * RT_S),
		    "%llu frames were on the wire, %llu have come",
		    (unsigned long long)b->onwire, (unsigned long long)b->mirror.taken);
}

/* However old a tunnel is and however little it sends: it stays registered. */
static void border_idles(struct border *b)
{
	(void)sim_run_for(b->w, (int64_t)sim_between(b->rng, 50 * RT_S, 150 * RT_S));
	b->frames += sim_between(b->rng, 1, FRAMES);
	sim_require(sim_run_until(b->w, border_all_taken, b, 60 * RT_S),
		    "after a rest: %llu of %llu frames have come",
		    (unsigned long long)b->mirror.taken, (unsigned long long)b->frames);
}

static void border_restarts(struct border *b)
{
	for (unsigned i = 0; i < 3; i++) {
		(void)sim_run_for(b->w, (int64_t)sim_between(b->rng, 0, 300 * RT_MS));
		sim_node_crash(b->edge, sim_chance(b->rng, 0.5) ? SIM_KILL : SIM_POWER);
		(void)sim_run_for(b->w, (int64_t)sim_between(b->rng, 0, 200 * RT_MS));
		border_start_relay(b);
	}
	sim_require(sim_run_until(b->w, border_all_taken, b, 300 * RT_S),
		    "%llu of %llu frames have come", (unsigned long long)b->mirror.taken,
		    (unsigned long long)b->frames);
}

static void border_run(struct sim_world *w)
{
	struct border b = { .w = w, .rng = sim_rng(w) };

	b.frames = sim_between(b.rng, 1, FRAMES);
	for (unsigned i = 0; i < sizeof(b.key); i++)
		b.key[i] = (uint8_t)sim_draw(b.rng);
	b.primary.node = sim_node_new(w, "primary");
	b.edge = sim_node_new(w, "edge");
	b.mirror.node = sim_node_new(w, "mirror");
	border_network(&b);
	border_start_relay(&b);
	border_start_end(&b, &b.mirror, false);
	border_start_end(&b, &b.primary, true);
	if (!sim_chance(b.rng, 0.3)) {
		border_disaster(&b);
		return;
	}
	border_restarts(&b);
	if (sim_chance(b.rng, 0.5))
		border_idles(&b);
}

static const char *const border_bugs[] = { "ECHO_ONE_FOR_ALL", "GATE_ON_TIMEOUT", NULL };
SIM_SCENARIO(border, "evidence from a relay at the site's border", border_run,
	     border_bugs, .all_max = 100);
