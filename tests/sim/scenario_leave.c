// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/io.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"
#include "tests/unit/tunnel/audit.h"
#include "tests/unit/tunnel/params.h"

/*
 * What the gate counts as left, exactly. The line loses nothing and the goal is no spare
 * repairs at all, so there is no probability to hide behind: the sender's host drops
 * datagrams, refuses messages, is slow, and dies; whatever frames its evidence had let go
 * must arrive. Meanwhile codes, windows and rates change at any time, and keys are replaced
 * while stamps and sends are on their way. Protects: that nothing is promised for what
 * never left, by any code or any change of it.
 *
 * Or the line has lost some, and loses nothing any more: then what counts as left after a
 * few round trips must arrive. Protects: that what was found missing holds the gate until
 * it is made good.
 *
 * Or the gate asks for m repairs, and an auditor counts from the datagrams that leave whether
 * each symbol had them when it counted. Protects: the amount, without any luck of a line.
 */
#define FRAME_MAX 20000
#define FRAMES 3000

struct leave_end {
	struct sim_node *node;
	struct tunnel_io *io;
	struct tunnel *t;
	struct tunnel_params params;
	uint64_t submitted, taken;
};

struct leave {
	struct sim_world *w;
	struct sim_rng *rng;
	struct leave_end primary, mirror;
	uint64_t onwire; /* the most that was promised with these keys */
	double isolated; /* share of frames that are submitted by themselves */
	uint64_t frames; /* to be submitted in all */
	bool lossy;	 /* the line loses for a while, and takes promises back */
	bool audited;	 /* frames fill one symbol each, */
	unsigned m;	 /* and need this many repairs */
	struct audit audit;
	int64_t delay_ns;
};

static size_t leave_frame(const struct leave *l, uint64_t number, uint8_t *buf)
{
	size_t len = 16 + (size_t)(number * 7919 % (FRAME_MAX - 16));

	if (l->audited)
		len = AUDIT_FRAME;
	else if (number % 3 == 0)
		len = 16 + len % 1000;
	memset(buf, (int)(number & 0xff), len);
	memcpy(buf, &number, sizeof(number));
	return len;
}

/* A datagram of the primary's has left its host, whatever the line does with it. */
static void leave_tap(void *arg, const uint8_t *dgram, size_t len, bool arrives)
{
	struct leave *l = arg;

	audit_left(&l->audit, dgram, len);
}

static void leave_audit(struct leave *l, rt_time now)
{
	const struct tunnel *t = l->primary.t;
	uint64_t symbol;

	if (!l->audited)
		return;
	sim_require(audit_watermark(&l->audit, tunnel_onwire(t, now), tunnel_received(t),
				    &symbol),
		    "symbol %llu counts as on the wire without its %u repairs",
		    (unsigned long long)symbol, l->m);
}

static void leave_primary_changed(void *owner)
{
	static uint8_t frame[FRAME_MAX];
	struct leave *l = owner;
	struct leave_end *p = &l->primary;
	rt_time now = rt_now(sim_node_loop(p->node));

	leave_audit(l, now);
	if (l->lossy || tunnel_onwire(p->t, now) > l->onwire)
		l->onwire = tunnel_onwire(p->t, now);
	while (p->submitted < l->frames) {
		size_t len = leave_frame(l, p->submitted + 1, frame);

		if (sim_chance(l->rng, l->isolated))
			break;
		if (tunnel_submit(p->t, frame, len, now) != 0)
			break;
		p->submitted++;
	}
	if (sim_chance(l->rng, 0.7))
		tunnel_expedite(p->t, now);
	tunnel_io_schedule(p->io);
}

static void leave_mirror_changed(void *owner)
{
	static uint8_t want[FRAME_MAX];
	struct leave *l = owner;
	struct leave_end *m = &l->mirror;
	const uint8_t *frame;
	size_t len;
	int res;

	while ((res = tunnel_next_frame(m->t, &frame, &len)) == 1) {
		m->taken++;
		sim_require(len == leave_frame(l, m->taken, want) &&
				    memcmp(frame, want, len) == 0,
			    "frame %llu is another", (unsigned long long)m->taken);
	}
	sim_require(res == 0, "framing %d", res);
	tunnel_io_schedule(m->io);
}

/* Any code, any policy that promises what it says, no repair to spare. */
static void leave_draw_fec(struct leave *l, struct tunnel_fec *fec)
{
	static const enum fec_code codes[] = { FEC_WINDOW,  FEC_WINDOW, FEC_WINDOW,
					       FEC_LAYERED, FEC_RS,	FEC_NONE };
	struct sim_rng *rng = l->rng;

	*fec = (struct tunnel_fec){
		.code = { .code = codes[sim_below(rng, RT_ARRAY_LEN(codes))],
			  .window = (uint16_t)sim_skewed(rng, 2, 256),
			  .r = (uint16_t)sim_between(rng, 1, 12),
			  .c = (uint16_t)sim_between(rng, 1, 3),
			  .interleave = { 1, (uint16_t)sim_between(rng, 2, 20),
					  (uint16_t)sim_between(rng, 2, 41) },
			  .delayed = sim_chance(rng, 0.3) },
		.goal = { .safety = 1e-3,
			  .assume = { 0.01, 1 },
			  .min = 0.03,
			  .max = 0.5,
			  .share = 0.5 * sim_unit(rng) },
		.on_demand = sim_chance(rng, 0.8),
		.repairs_fixed = true,
		.repairs = sim_chance(rng, 0.7) ? 0 : (unsigned)sim_between(rng, 1, 3),
	};
	if (l->audited)
		fec->repairs = l->m;
}

static void leave_start_end(struct leave *l, struct leave_end *end, bool dials)
{
	static const struct tunnel_io_events events[2] = { { leave_mirror_changed },
							   { leave_primary_changed } };
	struct rt_loop *loop = sim_node_start(end->node);
	struct rt_addr local = { .kind = RT_ADDR_INET, .port = dials ? 0 : 7700 };

	end->params = params_tunnel(4711, 1 << 20, FRAME_MAX);
	end->params.secret[0] = 9;
	end->params.dialed = dials;
	end->params.rate_bps = sim_chance(l->rng, 0.5) ? 50000000 : 1000000000;
	leave_draw_fec(l, &end->params.fec);
	sim_node_enter(end->node);
	sim_require(tunnel_io_new(loop, &local, &events[dials], l, &end->io) == 0, "io");
	sim_node_leave(end->node);
}

/* The keys of both ends, the first or new ones: what was on its way is of no use now. */
static void leave_key(struct leave *l, struct leave_end *end, bool dials)
{
	struct tunnel *old = end->t;
	struct rt_addr to = { .kind = RT_ADDR_NONE };
	rt_time now = rt_now(sim_node_loop(end->node));

	sim_node_enter(end->node);
	if (dials)
		sim_node_second_addr(l->mirror.node, 7700, &to);
	end->params.id++;
	sim_require(tunnel_new(&end->params, now, &end->t) == 0, "tunnel");
	tunnel_io_attach(end->io, end->t, &to);
	tunnel_free(old);
	sim_node_leave(end->node);
	end->submitted = end->taken = 0;
}

static void leave_rekey(struct leave *l)
{
	leave_key(l, &l->mirror, false);
	leave_key(l, &l->primary, true);
	l->onwire = 0;
	if (l->audited) {
		audit_release(&l->audit);
		audit_init(&l->audit, &l->primary.params);
		l->audit.repairs = l->m;
	}
}

static void leave_network(struct leave *l)
{
	struct sim_net_config line = {
		.delay_ns = (int64_t)sim_between(l->rng, RT_MS, 60 * RT_MS),
		.jitter_ns = RT_MS / 10,
		.local_drop = sim_chance(l->rng, 0.7) ? 0.5 * sim_unit(l->rng) : 0,
		.again = sim_chance(l->rng, 0.3) ? 0.2 : 0,
		.stamp_lost = sim_chance(l->rng, 0.3) ? 0.05 : 0,
		.refuse_message = sim_chance(l->rng, 0.3) ? 0.3 : 0,
		.reorder = sim_chance(l->rng, 0.3) ? 0.1 : 0,
		.reorder_ns = RT_MS,
		.duplicate = sim_chance(l->rng, 0.3) ? 0.1 : 0,
	};
	struct sim_net_config back = { .delay_ns = line.delay_ns,
				       .loss = sim_chance(l->rng, 0.3) ? 0.3 : 0 };

	if (l->lossy)
		line.loss = 0.3 * sim_unit(l->rng);
	l->delay_ns = line.delay_ns;
	sim_net_set(l->primary.node, l->mirror.node, &line);
	sim_net_set(l->mirror.node, l->primary.node, &back);
}

static void leave_change(struct leave *l)
{
	struct leave_end *p = &l->primary;
	rt_time now = rt_now(sim_node_loop(p->node));
	struct tunnel_fec fec;

	sim_node_enter(p->node);
	leave_draw_fec(l, &fec);
	if (sim_chance(l->rng, 0.8))
		sim_require(tunnel_set_fec(p->t, &fec, now) == 0, "set_fec");
	else /* not every rate, of one that was made for 50 Mbit/s */
		(void)tunnel_set_rate(p->t, false, sim_between(l->rng, 1, 1000) * 1000000,
				      now);
	tunnel_io_schedule(p->io);
	sim_node_leave(p->node);
}

static bool leave_promised(void *arg)
{
	struct leave *l = arg;

	return l->mirror.taken >= l->onwire;
}

static bool leave_all_taken(void *arg)
{
	struct leave *l = arg;

	return l->mirror.taken >= l->frames;
}

/*
 * From now on the line loses nothing, and what it has lost is found out. Then, perhaps
 * before it can be made good, the host's queue takes nothing any more.
 */
static void leave_heal(struct leave *l)
{
	struct sim_net_config *line = sim_net_config(l->primary.node, l->mirror.node);

	line->loss = line->local_drop = line->again = line->refuse_message = 0;
	sim_net_config(l->mirror.node, l->primary.node)->loss = 0;
	(void)sim_run_for(l->w, l->delay_ns + 30 * RT_MS);
	line->local_drop = sim_chance(l->rng, 0.7);
	(void)sim_run_for(l->w, 2 * l->delay_ns + 60 * RT_MS);
}

static void leave_disaster(struct leave *l)
{
	if (l->lossy)
		leave_heal(l);
	sim_node_crash_after(l->primary.node, SIM_POWER, SIM_ON_ANY,
			     sim_skewed(l->rng, 1, 2000));
	(void)sim_run_for(l->w, RT_S);
	if (sim_node_up(l->primary.node))
		sim_node_crash(l->primary.node, SIM_POWER);
	sim_note(l->w, "disaster", l->onwire, l->mirror.taken, 0);
	sim_require(sim_run_until(l->w, leave_promised, l, 2 * RT_S),
		    "%llu frames were on the wire, %llu have come",
		    (unsigned long long)l->onwire, (unsigned long long)l->mirror.taken);
}

/* Without faults, all that was submitted arrives. */
static void leave_quiet(struct leave *l)
{
	struct sim_net_config fine = { .delay_ns = l->delay_ns };

	sim_net_set_both(l->primary.node, l->mirror.node, &fine);
	l->frames = l->primary.submitted;
	sim_require(sim_run_until(l->w, leave_all_taken, l, 180 * RT_S),
		    "%llu of %llu frames have come", (unsigned long long)l->mirror.taken,
		    (unsigned long long)l->frames);
}

static void leave_run(struct sim_world *w)
{
	struct leave l = { .w = w, .rng = sim_rng(w) };
	unsigned rounds = (unsigned)sim_below(l.rng, 6);

	l.frames = FRAMES;
	l.lossy = sim_chance(l.rng, 0.4);
	l.audited = !l.lossy && sim_chance(l.rng, 0.5);
	l.m = (unsigned)sim_skewed(l.rng, 1, 12);
	l.isolated = sim_chance(l.rng, 0.5) ? 0.9 * sim_unit(l.rng) : 0.01;
	l.primary.node = sim_node_new(w, "primary");
	l.mirror.node = sim_node_new(w, "mirror");
	if (l.audited)
		sim_net_tap(l.primary.node, l.mirror.node, leave_tap, &l);
	leave_network(&l);
	leave_start_end(&l, &l.mirror, false);
	leave_start_end(&l, &l.primary, true);
	leave_rekey(&l);
	while (rounds-- > 0) {
		(void)sim_run_for(w, (int64_t)sim_skewed(l.rng, 1, 300) * RT_MS);
		if (sim_chance(l.rng, 0.2))
			leave_network(&l);
		if (sim_chance(l.rng, 0.2))
			leave_rekey(&l);
		else
			leave_change(&l);
	}
	(void)sim_run_for(w, (int64_t)sim_skewed(l.rng, 1, 300) * RT_MS);
	if (sim_chance(l.rng, 0.9))
		leave_disaster(&l);
	else
		leave_quiet(&l);
	audit_release(&l.audit);
}

static const char *const leave_bugs[] = { "SENDS_UNHEARD",	  "COVER_IGNORES_FAILED",
					  "BLOCK_IGNORES_FAILED", "COVER_OUTSIDE_WINDOW",
					  "CHANGE_WITHOUT_FLOOR", "BLOCK_NOTHING",
					  "BLOCK_BY_NEW_GOAL",	  "GATE_ONE_LESS",
					  "GATE_HALF_OF_M",	  NULL };
SIM_SCENARIO(leave, "nothing is promised for what never left", leave_run, leave_bugs)
