// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/pair.h"
#include "tests/sim/secure_sim.h"

/*
 * Strangers connect a thousand times a second, from one host, from a few, or from more than
 * there are places, and say nothing, a part of something, garbage, or what anybody gets an
 * answer to; the round trip is long. Protects: the peer
 * connects within two seconds, whenever it does, and the pair works meanwhile; strangers
 * are counted, and take no memory for good.
 */
#define HOSTS_MAX 3
#define HOSTS_MANY (SESSION_PENDING_MAX + 8) /* each place may be another one's */
#define SLOTS 2048
#define KNOCK_NS RT_MS
#define PEER_NS (2 * RT_S)

struct crowd;

struct stranger {
	struct crowd *crowd;
	struct rt_sock *sock;
	struct rt_op connect_op, send_op;
	struct iovec iov;
	bool connecting, sending;
};

struct crowd {
	struct pair *p;
	struct sim_node *host[HOSTS_MANY];
	unsigned hosts;
	struct rt_addr addr;
	bool on;
	struct stranger slot[SLOTS];
	uint64_t knocks;
	uint8_t words[32];
	size_t nwords; /* that each says */
};

static void said(struct rt_op *op, int res)
{
	(void)res; /* refused or not */
	rt_container_of(op, struct stranger, send_op)->sending = false;
}

static void connected(struct rt_op *op, int res)
{
	struct stranger *s = rt_container_of(op, struct stranger, connect_op);

	s->connecting = false;
	if (res < 0 || !s->sock || s->crowd->nwords == 0)
		return;
	s->sending = true;
	s->iov = (struct iovec){ s->crowd->words, s->crowd->nwords };
	rt_sendv(s->sock, &s->send_op, &s->iov, 1);
}

/* Each slot is of one host, so its operations are, too. */
static void leave(struct stranger *s)
{
	rt_sock_close(s->sock);
	s->sock = NULL;
}

static void knock(void *arg)
{
	struct crowd *c = arg;
	unsigned i = (unsigned)(c->knocks % SLOTS);
	struct sim_node *host = c->host[i % c->hosts];
	struct stranger *s = &c->slot[i];

	if (!c->on)
		return;
	c->knocks++;
	sim_node_enter(host);
	leave(s);
	if (!s->connecting && !s->sending) {
		s->connecting = true;
		sim_require(rt_connect(sim_node_loop(host), &c->addr, &s->connect_op,
				       &s->sock) == 0,
			    "a stranger cannot even begin");
	}
	sim_node_leave(host);
	sim_after(c->p->w, NULL, KNOCK_NS, knock, c);
}

static struct crowd *crowd_new(struct pair *p, unsigned listens)
{
	struct crowd *c = calloc(1, sizeof(*c));
	char name[16];

	rt_assert(c);
	c->p = p;
	c->hosts = (unsigned)sim_between(p->rng, 1, HOSTS_MAX);
	if (sim_chance(p->rng, 0.3))
		c->hosts = HOSTS_MANY;
	for (unsigned i = 0; i < c->hosts; i++) {
		(void)snprintf(name, sizeof(name), "eve%u", i);
		c->host[i] = sim_node_new(p->w, name);
		(void)sim_node_start(c->host[i]);
	}
	c->addr = p->site[listens].config.peer.addr;
	sim_node_addr(p->site[listens].node, c->addr.port, &c->addr);
	for (unsigned i = 0; i < SLOTS; i++) {
		c->slot[i].crowd = c;
		c->slot[i].connect_op.done = connected;
		c->slot[i].send_op.done = said;
	}
	switch (sim_below(p->rng, 4)) {
	case 0: /* nothing */
		break;
	case 1: /* the first byte of the peer's own first message */
		c->words[0] = 0xa5;
		c->nwords = 1;
		break;
	case 2: /* a hello without a key, which GnuTLS answers by asking for another */
		c->nwords = secure_sim_ask(c->words, sizeof(c->words));
		break;
	default:
		c->nwords = sizeof(c->words);
		break;
	}
	c->on = true;
	knock(c);
	return c;
}

static void crowd_free(struct crowd *c)
{
	c->on = false;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct sim_node *host = c->host[i % c->hosts];

		sim_node_enter(host);
		leave(&c->slot[i]);
		sim_node_leave(host);
	}
	(void)sim_run_for(c->p->w, RT_S);
	for (unsigned i = 0; i < c->hosts; i++)
		sim_node_stop(c->host[i]);
	free(c);
}

static bool peers_connected(void *arg)
{
	struct pair *p = arg;

	return p->site[0].group && p->site[1].group &&
	       p->site[0].group->session->control.hello_received &&
	       p->site[1].group->session->control.hello_received;
}

static bool parted(void *arg)
{
	struct pair *p = arg;

	return !p->site[0].group->session->control.conn ||
	       !p->site[1].group->session->control.conn;
}

static bool in_sync(void *arg)
{
	return pair_state(arg, 0) == GROUP_IN_SYNC;
}

static void run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	const struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(p->rng, 20, 50) * RT_MS,
		.rate_bps = 400000000,
	};
	unsigned listens = p->site[0].config.peer.dials ? 1 : 0;
	struct group_status status;
	struct crowd *crowd;

	sim_net_set_all(w, &net);
	p->line_loss = 0;
	pair_create(p);
	pair_start(p, listens);
	crowd = crowd_new(p, listens);
	(void)sim_run_for(w, RT_S);
	pair_start(p, !listens);
	sim_require(sim_run_until(w, peers_connected, p, PEER_NS),
		    "strangers keep the peer out");
	p->budget = sim_skewed(p->rng, 10, 500);
	pair_load(p, true);
	sim_require(sim_run_until(w, in_sync, p, 30 * RT_S), "not in sync: %s",
		    group_state_name(pair_state(p, 0)));
	for (unsigned n = 0; n < 3; n++) {
		sim_net_reset(p->site[0].node, p->site[1].node);
		sim_require(sim_run_until(w, parted, p, RT_S), "no reset is seen");
		sim_require(sim_run_until(w, peers_connected, p, PEER_NS),
			    "strangers keep the peer out when it comes back");
		sim_require(sim_run_until(w, in_sync, p, 30 * RT_S), "not in sync again");
	}
	pair_status(p, listens, &status);
	sim_require(status.link.strangers + 2000 > crowd->knocks,
		    "%llu strangers are counted, of %llu",
		    (unsigned long long)status.link.strangers,
		    (unsigned long long)crowd->knocks);
	pair_load(p, false);
	sim_require(sim_run_until(w, pair_idle, p, 60 * RT_S), "requests hang");
	crowd_free(crowd);
	pair_free(p);
}

SIM_SCENARIO(stranger, "strangers connect a thousand times a second", run, NULL,
	     .all_max = 20)
