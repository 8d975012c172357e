// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/* Lines between nodes, one per direction: what they lose, and when they deliver. */

#define SELF_DELAY_NS 5000 /* a machine to itself */
#define HEADERS 28	   /* of IP and UDP, for the rate */

struct sim_link *sim_link(struct sim_node *a, struct sim_node *b)
{
	struct sim_link **l = &sim_world_now->links[a->index][b->index];

	if (*l == NULL) {
		*l = sim_calloc(1, sizeof(**l));
		(*l)->from = a;
		(*l)->to = b;
		rt_list_init(&(*l)->in_line);
		if (a == b)
			(*l)->config.delay_ns = SELF_DELAY_NS;
	}
	return *l;
}

void sim_links_free(struct sim_world *w)
{
	for (unsigned a = 0; a < SIM_NODES_MAX; a++)
		for (unsigned b = 0; b < SIM_NODES_MAX; b++)
			free(w->links[a][b]);
}

struct sim_net_config *sim_net_config(struct sim_node *a, struct sim_node *b)
{
	return &sim_link(a, b)->config;
}

void sim_net_set(struct sim_node *a, struct sim_node *b, const struct sim_net_config *c)
{
	sim_link(a, b)->config = *c;
}

void sim_net_set_both(struct sim_node *a, struct sim_node *b,
		      const struct sim_net_config *c)
{
	sim_net_set(a, b, c);
	sim_net_set(b, a, c);
}

void sim_net_set_all(struct sim_world *w, const struct sim_net_config *c)
{
	for (unsigned a = 0; a < w->nnodes; a++)
		for (unsigned b = 0; b < w->nnodes; b++)
			if (a != b)
				sim_net_set(w->nodes[a], w->nodes[b], c);
}

void sim_net_cut(struct sim_node *a, struct sim_node *b, bool destroy)
{
	struct sim_link *l = sim_link(a, b);

	sim_note(sim_world_now, destroy ? "cut-destroy" : "cut", a->index, b->index,
		 l->stats.in_line);
	l->cut = true;
	if (destroy)
		sim_packets_destroy(l);
}

void sim_net_cut_both(struct sim_node *a, struct sim_node *b, bool destroy)
{
	sim_net_cut(a, b, destroy);
	sim_net_cut(b, a, destroy);
}

void sim_net_mend(struct sim_node *a, struct sim_node *b)
{
	sim_note(sim_world_now, "mend", a->index, b->index, 0);
	sim_link(a, b)->cut = false;
	sim_link(b, a)->cut = false;
}

void sim_net_swallow_datagrams(struct sim_node *a, struct sim_node *b, bool on)
{
	sim_note(sim_world_now, "swallow", a->index, b->index, on);
	sim_link(a, b)->swallow = on;
}

void sim_net_stats(struct sim_node *a, struct sim_node *b, struct sim_net_stats *ret)
{
	*ret = sim_link(a, b)->stats;
}

void sim_net_tap(struct sim_node *a, struct sim_node *b, sim_net_tap_fn *fn, void *arg)
{
	sim_link(a, b)->tap = fn;
	sim_link(a, b)->tap_arg = arg;
}

struct sim_node *sim_node_by_addr(const struct rt_addr *addr, struct sim_node *self)
{
	struct sim_world *w = sim_world_now;
	static const uint8_t any[4];

	if (addr->kind == RT_ADDR_UNIX)
		return self;
	if (addr->kind != RT_ADDR_INET)
		return NULL;
	if (addr->ip[0] == 127 || memcmp(addr->ip, any, sizeof(any)) == 0)
		return self;
	for (unsigned i = 0; i < w->nnodes; i++)
		if (sim_node_has_ip(w->nodes[i], addr->ip))
			return w->nodes[i];
	return NULL;
}

/* Gilbert's two states step with each datagram or piece; independent loss on top. */
bool sim_link_draw_loss(struct sim_link *l)
{
	struct sim_rng *rng = &sim_world_now->rng_net;
	bool lost = sim_chance(rng, l->config.loss);

	l->bad = l->bad ? !sim_chance(rng, l->config.good)
			: sim_chance(rng, l->config.bad);
	if (l->bad && sim_chance(rng, l->config.bad_loss))
		lost = true;
	return lost;
}

/* INT64_MAX when the queue before the rate is full. */
int64_t sim_link_enter(struct sim_link *l, size_t bytes, bool may_drop)
{
	struct sim_net_config *c = &l->config;
	int64_t now = sim_world_now->now;

	if (c->rate_bps == 0)
		return now;
	if (l->busy_until < now)
		l->busy_until = now;
	if (may_drop && c->queue_bytes != 0 &&
	    (double)(l->busy_until - now) * 1e-9 * (double)c->rate_bps / 8 >
		    (double)c->queue_bytes)
		return INT64_MAX;
	l->busy_until += (int64_t)((double)(bytes + HEADERS) * 8e9 / (double)c->rate_bps);
	return l->busy_until;
}

int64_t sim_link_arrival(struct sim_link *l, int64_t entered)
{
	struct sim_net_config *c = &l->config;
	struct sim_rng *rng = &sim_world_now->rng_net;
	int64_t at = entered + c->delay_ns;

	if (c->jitter_ns > 0)
		at += (int64_t)sim_below(rng, (uint64_t)c->jitter_ns + 1);
	if (at < l->last_arrival)
		at = l->last_arrival;
	l->last_arrival = at;
	if (sim_chance(rng, c->reorder) && c->reorder_ns > 0)
		at += (int64_t)sim_below(rng, (uint64_t)c->reorder_ns + 1);
	return at;
}
