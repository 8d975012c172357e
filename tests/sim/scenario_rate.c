// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "replicator/tunnel/io.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"
#include "tests/unit/tunnel/params.h"

/*
 * `rate = "auto"` with whole tunnels over the simulated line: a line of unknown rate
 * is filled within a few seconds whatever it loses, its queue stays short, a change of
 * its rate is followed, be it to next to nothing or in fits, and two tunnels of one host
 * share it. Protects: everything between the controller (which has its own tests) and the
 * datagrams: what is counted, who wakes up when the window opens, that nothing stalls when
 * acknowledgements are lost.
 */
#define TUNNELS 2
#define FRAME 20000

struct end {
	struct tunnel_io *io;
	struct tunnel *t;
	struct rt_addr addr;
	struct rt_loop *loop;
};

struct flow {
	struct end end[2];
	uint64_t taken;
	bool feeding;
};

struct rate {
	struct sim_world *w;
	struct sim_node *node[2];
	struct sim_net_config line;
	struct flow flow[TUNNELS];
	uint8_t frame[FRAME];
};

static struct rate *rate_now; /* one world at a time */

static void flow_changed(void *owner)
{
	struct flow *f = owner;
	const uint8_t *got;
	size_t len;
	int res;

	for (int i = 0; i < 2; i++) {
		struct end *e = &f->end[i];

		if (e->t == NULL)
			continue;
		while ((res = tunnel_next_frame(e->t, &got, &len)) == 1) {
			sim_require(i == 1 && len == FRAME &&
					    memcmp(got, rate_now->frame, FRAME) == 0,
				    "another frame");
			f->taken++;
		}
		sim_require(res == 0, "%d", res);
	}
}

static void flow_feed(struct flow *f)
{
	struct end *e = &f->end[0];
	rt_time now = rt_now(e->loop);

	while (f->feeding && tunnel_submit(e->t, rate_now->frame, FRAME, now) == 0)
		;
}

/* At the end that sends: its queue never runs dry. */
static void sender_changed(void *owner)
{
	flow_changed(owner);
	flow_feed(owner);
}

static const struct tunnel_io_events sender_events = { sender_changed };
static const struct tunnel_io_events receiver_events = { flow_changed };

static struct tunnel_params flow_params(unsigned id, int end, uint64_t rate_bps)
{
	struct tunnel_params p = params_tunnel(id + 1, 16 << 20, FRAME);

	p.secret[0] = (uint8_t)id;
	p.secret[1] = 7;
	p.dialed = end == 0;
	p.rate_auto = rate_bps == 0;
	p.rate_bps = rate_bps;
	return p;
}

/* rate_bps 0: auto. */
static void flow_start(struct rate *r, unsigned id, uint64_t rate_bps)
{
	struct flow *f = &r->flow[id];

	*f = (struct flow){ .feeding = true };
	for (int i = 0; i < 2; i++) {
		struct end *e = &f->end[i];
		struct rt_addr local;

		sim_node_enter(r->node[i]);
		e->loop = sim_node_loop(r->node[i]);
		sim_node_addr(r->node[i], (uint16_t)(7000 + id), &local);
		sim_require(tunnel_io_new(e->loop, &local,
					  i == 0 ? &sender_events : &receiver_events, f,
					  &e->io) == 0,
			    "io");
		tunnel_io_local(e->io, &e->addr);
		sim_node_leave(r->node[i]);
	}
	for (int i = 0; i < 2; i++) {
		struct end *e = &f->end[i];
		struct tunnel_params p = flow_params(id, i, i == 0 ? rate_bps : 0);

		sim_node_enter(r->node[i]);
		sim_require(tunnel_new(&p, rt_now(e->loop), &e->t) == 0, "tunnel");
		tunnel_io_attach(e->io, e->t, &f->end[!i].addr);
		sim_node_leave(r->node[i]);
	}
}

static void flow_stop(struct rate *r, unsigned id)
{
	for (int i = 0; i < 2; i++) {
		struct end *e = &r->flow[id].end[i];

		sim_node_enter(r->node[i]);
		tunnel_io_free(e->io);
		tunnel_free(e->t);
		e->t = NULL;
		sim_node_leave(r->node[i]);
	}
}

static double line_loss(const struct rate *r)
{
	const struct sim_net_config *l = &r->line;

	return l->bad > 0 ? l->bad / (l->bad + l->good) : l->loss;
}

/* ---- what comes of it ----------------------------------------------------------------- */

struct figures {
	double share[TUNNELS]; /* of the line: datagrams with their headers */
	double queue_ms;       /* mean of what the first sender sees */
	double goodput;	       /* of the line: frames */
};

static void measure(struct rate *r, int64_t ns, struct figures *ret)
{
	uint64_t sent[TUNNELS] = { 0 }, taken = 0;
	double bits = (double)r->line.rate_bps * (double)ns / 1e9, queue = 0;
	struct tunnel_stats s;
	unsigned n = 0;

	*ret = (struct figures){ 0 };
	for (unsigned i = 0; i < TUNNELS; i++) {
		if (r->flow[i].end[0].t == NULL)
			continue;
		tunnel_stats(r->flow[i].end[1].t, &s);
		sent[i] = s.received_bytes + 28 * (s.received_data + s.received_repairs);
		taken += r->flow[i].taken;
	}
	for (int64_t t = 0; t < ns; t += ns / 200, n++) {
		sim_run_for(r->w, ns / 200);
		tunnel_stats(r->flow[0].end[0].t, &s);
		queue += (double)s.queue_ns / 1e6;
	}
	ret->queue_ms = queue / n;
	ret->goodput = -(double)taken * FRAME * 8 / bits;
	for (unsigned i = 0; i < TUNNELS; i++) {
		if (r->flow[i].end[0].t == NULL)
			continue;
		tunnel_stats(r->flow[i].end[1].t, &s);
		ret->share[i] =
			(double)(s.received_bytes +
				 28 * (s.received_data + s.received_repairs) - sent[i]) *
			8 / bits;
		ret->goodput += (double)r->flow[i].taken * FRAME * 8 / bits;
	}
	tunnel_stats(r->flow[0].end[0].t, &s);
	if (sim_verbose)
		printf("  %6.1f Mbit/s %3lld ms loss %.3f: %.3f %.3f of the line, frames "
		       "%.3f, queue %.1f ms, rate %.1f Mbit/s\n",
		       (double)r->line.rate_bps / 1e6,
		       (long long)(2 * r->line.delay_ns / RT_MS), line_loss(r),
		       ret->share[0], ret->share[1], ret->goodput, ret->queue_ms,
		       (double)s.rate_bps / 1e6);
}

static void set_line(struct rate *r)
{
	struct sim_net_config back = r->line;

	/* Runs are runs in time: acknowledgements are too few to be lost in such. */
	back.loss = line_loss(r);
	back.bad = 0;
	sim_net_set(r->node[0], r->node[1], &r->line);
	sim_net_set(r->node[1], r->node[0], &back);
}

static int64_t round_trip(const struct rate *r)
{
	return 2 * r->line.delay_ns;
}

/* A few datagrams are a queue of their own on a slow line. */
static double queue_bound_ms(const struct rate *r)
{
	return (double)round_trip(r) / 4e6 + 12 * 12e6 / (double)r->line.rate_bps + 3;
}

/* Within a tenth of what the line, with its loss, can bring; the queue is short. */
static void is_full(struct rate *r, int64_t after_ns, const char *what)
{
	struct figures f;

	sim_run_for(r->w, after_ns);
	measure(r, 5 * RT_S + 20 * round_trip(r), &f);
	sim_require(f.share[0] > 0.9 * (1 - line_loss(r)), "%s: %.3f of the line", what,
		    f.share[0]);
	sim_require(f.queue_ms < queue_bound_ms(r), "%s: queue of %.1f ms", what,
		    f.queue_ms);
	/* 1408 of 1488 bytes, 1 of 1.125 datagrams. */
	sim_require(f.goodput > 0.9 * 0.84 * (1 - line_loss(r)), "%s: goodput %.3f", what,
		    f.goodput);
}

static void draw_line(struct rate *r)
{
	static const double losses[] = { 0, 0.01, 0.05 };
	struct sim_rng *rng = sim_rng(r->w);
	uint64_t bdp;

	r->line = (struct sim_net_config){
		.rate_bps = 1000000 * sim_skewed(rng, 4, 100),
		.delay_ns = (int64_t)sim_between(rng, 2, 40) * RT_MS,
		.loss = losses[sim_below(rng, 3)],
	};
	bdp = r->line.rate_bps / 8 * (uint64_t)round_trip(r) / (uint64_t)RT_S;
	/* Half to two products of rate and round trip, and never next to nothing. */
	r->line.queue_bytes = bdp / 2 + sim_below(rng, bdp * 3 / 2) + 30000;
	if (sim_chance(rng, 0.3) && r->line.rate_bps >= 20000000) {
		/*
		 * The same loss in runs of eight datagrams. On a slow line that closes the
		 * window for long, as the run does not end before eight more were sent.
		 */
		r->line.bad = r->line.loss / 8;
		r->line.good = 0.125;
		r->line.bad_loss = 1;
		r->line.loss = 0;
	}
	set_line(r);
}

static void run_alone(struct rate *r)
{
	flow_start(r, 0, 0);
	is_full(r, 2 * RT_S + 30 * round_trip(r), "at first");
	r->line.rate_bps /= 2;
	set_line(r);
	is_full(r, 5 * RT_S + 30 * round_trip(r), "at half the rate");
	r->line.rate_bps *= 2;
	set_line(r);
	is_full(r, 5 * RT_S + 60 * round_trip(r), "at the rate again");
	flow_stop(r, 0);
}

static void run_two(struct rate *r)
{
	struct figures f;

	flow_start(r, 0, 0);
	sim_run_for(r->w, 3 * RT_S);
	flow_start(r, 1, 0);
	sim_run_for(r->w, 20 * RT_S + 100 * round_trip(r));
	measure(r, 20 * RT_S, &f);
	sim_require(f.share[0] + f.share[1] > 0.88 * (1 - line_loss(r)), "%.3f + %.3f",
		    f.share[0], f.share[1]);
	sim_require(f.share[0] > 0.25 * (1 - line_loss(r)) &&
			    f.share[1] > 0.25 * (1 - line_loss(r)),
		    "not fair: %.3f, %.3f", f.share[0], f.share[1]);
	flow_stop(r, 0);
	flow_stop(r, 1);
}

/* A rate that is configured, and a line that is narrower than that for a while. */
static void run_guarded(struct rate *r)
{
	uint64_t configured = r->line.rate_bps;
	struct tunnel_stats s;
	struct figures f;

	r->line.queue_bytes += r->line.rate_bps / 8; /* a second of it */
	set_line(r);
	flow_start(r, 0, configured);
	sim_run_for(r->w, 5 * RT_S);
	tunnel_stats(r->flow[0].end[0].t, &s);
	sim_require(s.guarded == 0 && s.rate_bps == configured,
		    "%llu times, rate %llu of %llu", (unsigned long long)s.guarded,
		    (unsigned long long)s.rate_bps, (unsigned long long)configured);
	r->line.rate_bps = configured / 3;
	set_line(r);
	sim_run_for(r->w, 10 * RT_S + 40 * round_trip(r));
	tunnel_stats(r->flow[0].end[0].t, &s);
	sim_require(s.guarded > 0, "not noticed");
	measure(r, 10 * RT_S, &f);
	sim_require(f.share[0] > 0.88 * (1 - line_loss(r)), "%.3f of the line",
		    f.share[0]);
	sim_require(f.queue_ms < queue_bound_ms(r), "queue of %.1f ms", f.queue_ms);
	flow_stop(r, 0);
}

/*
 * A line that is cut and mended: nobody waits for what never comes, and unless it was short
 * it is not taken for a line that loses so many in a row.
 */
static void run_cut(struct rate *r)
{
	int64_t cut_ns = (int64_t)sim_between(sim_rng(r->w), 10, 8000) * RT_MS;
	struct tunnel_stats s;

	flow_start(r, 0, 0);
	sim_run_for(r->w, 3 * RT_S);
	sim_net_cut_both(r->node[0], r->node[1], true);
	sim_run_for(r->w, cut_ns);
	sim_net_mend(r->node[0], r->node[1]);
	is_full(r, 4 * RT_S + 60 * round_trip(r), "after a cut");
	tunnel_stats(r->flow[0].end[0].t, &s);
	/* Proof lasts three round trips and more with a queue; two are not seen of a cut. */
	if (cut_ns > 8 * round_trip(r) + 300 * RT_MS)
		sim_require(s.outages == 1 && s.burst_upper < 32,
			    "%llu outages, bursts of %.1f", (unsigned long long)s.outages,
			    s.burst_upper);
	flow_stop(r, 0);
}

/* A line that stops for moments, again and again: what that taught is soon forgotten. */
static void run_stutter(struct rate *r)
{
	flow_start(r, 0, 0);
	sim_run_for(r->w, 3 * RT_S);
	for (unsigned i = 0; i < 12; i++) {
		sim_net_cut_both(r->node[0], r->node[1], true);
		sim_run_for(r->w, (int64_t)sim_between(sim_rng(r->w), 10, 600) * RT_MS);
		sim_net_mend(r->node[0], r->node[1]);
		sim_run_for(r->w, (int64_t)sim_between(sim_rng(r->w), 10, 600) * RT_MS);
	}
	is_full(r, 4 * RT_S + 60 * round_trip(r), "after stutters");
	flow_stop(r, 0);
}

/* Next to nothing for a while, and then all of it again. */
static void run_narrow(struct rate *r)
{
	uint64_t rate = r->line.rate_bps;

	flow_start(r, 0, 0);
	sim_run_for(r->w, 3 * RT_S);
	r->line.rate_bps = rate / 30;
	set_line(r);
	sim_run_for(r->w, (int64_t)sim_between(sim_rng(r->w), 1, 30) * RT_S);
	r->line.rate_bps = rate;
	set_line(r);
	is_full(r, 10 * RT_S + 150 * round_trip(r), "after a narrow time");
	flow_stop(r, 0);
}

static void run_rate(struct sim_world *w)
{
	static void (*const runs[])(struct rate *) = { run_alone,   run_two,
						       run_guarded, run_cut,
						       run_stutter, run_narrow };
	static struct rate rate;
	struct rate *r = &rate;

	memset(r, 0, sizeof(*r));
	rate_now = r;
	r->w = w;
	for (size_t i = 0; i < FRAME; i++)
		r->frame[i] = (uint8_t)(i * 31 >> 2);
	for (unsigned i = 0; i < 2; i++) {
		r->node[i] = sim_node_new(w, i == 0 ? "a" : "b");
		sim_node_start(r->node[i]);
	}
	draw_line(r);
	runs[sim_below(sim_rng(w), RT_ARRAY_LEN(runs))](r);
	sim_run_for(w, RT_S);
	for (unsigned i = 0; i < 2; i++)
		sim_node_stop(r->node[i]);
}

SIM_SCENARIO(rate, "tunnels that find a line's rate, alone and together", run_rate, NULL,
	     .all_max = 20);
