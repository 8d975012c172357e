// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/* rt/loop.h: datagrams. */

#define DRIVER_MAX_NS 5000   /* from the call to the driver */
#define DONE_MAX_NS 30000    /* from the driver to the completion */
#define STAMP_MAX_NS 100000  /* from the driver to its stamp */
#define REFUSED_MAX_NS 50000 /* until a refused message is sent datagram by datagram */
#define PEERS_MAX 8	     /* addresses that one who does not listen sends to */
#define ALONE 16 /* messages after a refusal that the kernel is not asked for */

struct rt_dgram {
	struct rt_list link; /* in node->dgrams */
	struct rt_loop *loop;
	struct rt_addr local;
	const struct rt_dgram_events *events;
	void *owner;
	struct rt_list stamps; /* struct stamp, on their way */
	uint64_t overflowed;
	unsigned alone; /* messages still to be cut here, after a refusal */
	bool watches;
	struct rt_addr arrived_at; /* the datagram in received() */
	/* A socket without a port of its own receives only from addresses it has sent to. */
	bool behind_firewall;
	unsigned npeers;
	struct rt_addr peers[PEERS_MAX];
};

/* A datagram on its way: to the driver first, then in the line. */
struct packet {
	struct sim_event event;
	struct rt_list link; /* in link->in_line */
	struct sim_link *line;
	uint64_t boot; /* of the sending machine */
	struct rt_addr from, to;
	bool in_line, dropped_at_end;
	struct rt_dgram *sock; /* found at the end */
	size_t len;
	uint8_t bytes[];
};

struct stamp {
	struct sim_event event;
	struct rt_list link;
	struct rt_dgram *dgram;
	uint32_t id;
};

/* ---- sockets ---------------------------------------------------------------------- */

static bool ip_is_any(const struct rt_addr *addr)
{
	static const uint8_t any[4];

	return memcmp(addr->ip, any, sizeof(any)) == 0;
}

static struct rt_dgram *dgram_find(struct sim_node *node, uint16_t port)
{
	for (struct rt_list *l = node->dgrams.next; l != &node->dgrams; l = l->next) {
		struct rt_dgram *d = rt_container_of(l, struct rt_dgram, link);

		if (d->local.port == port)
			return d;
	}
	return NULL;
}

int rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
		  const struct rt_dgram_events *events, void *owner,
		  struct rt_dgram **ret)
{
	struct sim_node *node = loop->node;
	struct rt_dgram *d;

	rt_assert(sim_node_entered() == node);
	if (sim_node_by_addr(local, node) != node || local->kind != RT_ADDR_INET)
		return -EADDRNOTAVAIL;
	if (local->port != 0 && dgram_find(node, local->port) != NULL)
		return -EADDRINUSE;
	d = sim_calloc(1, sizeof(*d));
	d->loop = loop;
	d->local = *local;
	d->behind_firewall = local->port == 0;
	while (d->local.port == 0) {
		uint16_t port = sim_node_port(node);

		if (dgram_find(node, port) == NULL)
			d->local.port = port;
	}
	d->events = events;
	d->owner = owner;
	rt_list_init(&d->stamps);
	rt_list_push_back(&node->dgrams, &d->link);
	loop->ndgrams++;
	*ret = d;
	return 0;
}

/* The simulated card stamps what its driver takes. */
int rt_dgram_timestamp_card(struct rt_dgram *dgram, bool card)
{
	return 0;
}

void rt_dgram_addr(struct rt_dgram *dgram, struct rt_addr *ret)
{
	*ret = dgram->local;
}

int rt_dgram_watch_local(struct rt_dgram *dgram)
{
	dgram->watches = ip_is_any(&dgram->local);
	return 0;
}

void rt_dgram_local(const struct rt_dgram *dgram, struct rt_addr *ret)
{
	*ret = dgram->arrived_at;
}

static void dgram_free(struct rt_dgram *d)
{
	while (!rt_list_empty(&d->stamps)) {
		struct stamp *s = rt_container_of(d->stamps.next, struct stamp, link);

		sim_unschedule(&s->event);
		s->dgram = NULL;
		rt_list_remove(&s->link);
		free(s);
	}
	rt_list_remove(&d->link);
	free(d);
}

void rt_dgram_close(struct rt_dgram *dgram)
{
	if (dgram == NULL)
		return;
	dgram->loop->ndgrams--;
	dgram_free(dgram);
}

void sim_dgrams_crash(struct sim_node *node)
{
	while (!rt_list_empty(&node->dgrams))
		dgram_free(rt_container_of(node->dgrams.next, struct rt_dgram, link));
}

/* ---- in the line -------------------------------------------------------------------- */

static void packet_over(struct sim_event *e)
{
	struct packet *p = rt_container_of(e, struct packet, event);

	if (p->in_line)
		p->line->stats.in_line--;
	rt_list_remove(&p->link);
	free(p);
}

/* Remember where this socket sends to, as the firewall before it does. */
static void firewall_open(struct rt_dgram *d, const struct rt_addr *to)
{
	if (!d->behind_firewall)
		return;
	for (unsigned i = 0; i < d->npeers; i++)
		if (rt_addr_equal(&d->peers[i], to))
			return;
	rt_assert(d->npeers < PEERS_MAX);
	d->peers[d->npeers++] = *to;
}

static bool firewall_passes(const struct rt_dgram *d, const struct packet *p)
{
	if (!ip_is_any(&d->local) && memcmp(d->local.ip, p->to.ip, 4) != 0)
		return false;
	for (unsigned i = 0; i < d->npeers; i++)
		if (rt_addr_equal(&d->peers[i], &p->from))
			return true;
	return !d->behind_firewall;
}

/* The packet is at its end: is there somebody? */
static void arrive_effect(struct sim_event *e)
{
	struct packet *p = rt_container_of(e, struct packet, event);
	struct sim_link *l = p->line;
	struct rt_dgram *d = dgram_find(l->to, p->to.port);

	if (d == NULL || !firewall_passes(d, p))
		return;
	p->sock = d;
	e->loop = d->loop;
	if (sim_chance(&sim_world_now->rng_net, l->config.rcvbuf_drop)) {
		p->dropped_at_end = true;
		d->overflowed++;
	} else {
		l->stats.arrived++;
		l->stats.arrived_at = sim_now(sim_world_now);
	}
}

static void arrive_call(struct sim_event *e)
{
	struct packet *p = rt_container_of(e, struct packet, event);
	struct rt_dgram *d = p->sock;

	d->arrived_at = d->watches ? p->to : (struct rt_addr){ .kind = RT_ADDR_NONE };
	if (!p->dropped_at_end)
		d->events->received(d->owner, p->bytes, p->len, &p->from);
	else if (d->events->overflowed != NULL)
		d->events->overflowed(d->owner, d->overflowed);
}

static const struct sim_event_type arrive_type = { .name = "arrive",
						   .mask = SIM_ON_OTHER,
						   .effect = arrive_effect,
						   .call = arrive_call,
						   .over = packet_over };

static struct packet *packet_new(const uint8_t *bytes, size_t len)
{
	struct packet *p = sim_calloc(1, sizeof(*p) + len);

	rt_list_init(&p->link);
	memcpy(p->bytes, bytes, len);
	p->len = len;
	return p;
}

static void packet_line(struct packet *p, int64_t entered)
{
	struct sim_link *l = p->line;
	struct sim_rng *rng = &sim_world_now->rng_net;

	if (p->len > 0 && sim_chance(rng, l->config.corrupt))
		p->bytes[sim_below(rng, p->len)] ^= (uint8_t)sim_between(rng, 1, 255);
	p->event.type = &arrive_type;
	p->event.a = p->to.port;
	p->event.b = p->len;
	p->in_line = true;
	l->stats.in_line++;
	rt_list_push_back(&l->in_line, &p->link);
	sim_schedule(&p->event, sim_link_arrival(l, entered));
}

static void tap(struct sim_link *l, const struct packet *p, bool arrives)
{
	if (l->tap != NULL)
		l->tap(l->tap_arg, p->bytes, p->len, arrives);
}

void sim_packets_destroy(struct sim_link *l)
{
	while (!rt_list_empty(&l->in_line)) {
		struct packet *p = rt_container_of(l->in_line.next, struct packet, link);

		l->stats.destroyed++;
		tap(l, p, false);
		sim_unschedule(&p->event);
		packet_over(&p->event);
	}
}

/* Longer than somebody on the way takes, who does not say so. */
static bool too_long(const struct sim_link *l, size_t len)
{
	return l->config.path_mtu != 0 && len + 28 > l->config.path_mtu;
}

/* The driver has it: the line takes it, loses it, or is closed. */
static void driver_effect(struct sim_event *e)
{
	struct packet *p = rt_container_of(e, struct packet, event);
	struct sim_link *l = p->line;
	int64_t entered;

	if (l->from->boot != p->boot)
		return; /* it was still in the memory of a machine without power */
	if (l->cut || l->swallow) {
		l->stats.refused++;
		tap(l, p, false);
		return;
	}
	l->stats.entered++;
	l->stats.bytes += p->len;
	entered = sim_link_enter(l, p->len, true);
	l->stats.dropped += entered == INT64_MAX;
	if (sim_link_draw_loss(l) || entered == INT64_MAX || too_long(l, p->len)) {
		l->stats.lost++;
		tap(l, p, false);
		return;
	}
	tap(l, p, true);
	if (sim_chance(&sim_world_now->rng_net, l->config.duplicate)) {
		struct packet *twin = packet_new(p->bytes, p->len);

		twin->line = l;
		twin->from = p->from;
		twin->to = p->to;
		packet_line(twin, entered);
	}
	packet_line(p, entered);
}

static const struct sim_event_type driver_type = { .name = "driver",
						   .mask = SIM_ON_OTHER,
						   .effect = driver_effect,
						   .over = packet_over };

/* ---- sending ---------------------------------------------------------------------- */

static void stamp_call(struct sim_event *e)
{
	struct stamp *s = rt_container_of(e, struct stamp, event);

	rt_list_remove(&s->link);
	s->dgram->events->left(s->dgram->owner, s->id);
}

static void stamp_over(struct sim_event *e)
{
	struct stamp *s = rt_container_of(e, struct stamp, event);

	rt_list_remove(&s->link);
	free(s);
}

static const struct sim_event_type stamp_type = {
	.name = "stamp", .mask = SIM_ON_OTHER, .call = stamp_call, .over = stamp_over
};

static void stamp_send(struct rt_dgram *d, uint32_t id, int64_t at)
{
	struct stamp *s = sim_calloc(1, sizeof(*s));

	s->event.type = &stamp_type;
	s->event.loop = d->loop;
	s->event.a = id;
	s->dgram = d;
	s->id = id;
	rt_list_push_back(&d->stamps, &s->link);
	sim_schedule(&s->event, at);
}

static int refusal(const struct sim_link *l, size_t len)
{
	struct sim_rng *rng = &sim_world_now->rng_net;

	if (len > RT_DGRAM_MAX - 29 || (l->config.mtu != 0 && len + 28 > l->config.mtu))
		return -EMSGSIZE;
	if (sim_chance(rng, l->config.again))
		return -EAGAIN;
	if (sim_chance(rng, l->config.local_drop))
		return -ENOBUFS;
	return 0;
}

static int64_t draw_ns(int64_t max)
{
	return (int64_t)sim_below(&sim_world_now->rng_net, (uint64_t)max);
}

/* Where it leaves from: as asked, or as bound, or the first address. */
static void packet_source(struct packet *p, const struct rt_dgram *d,
			  const struct rt_addr *from)
{
	const struct sim_node *node = d->loop->node;

	sim_node_addr(node, d->local.port, &p->from);
	if (from != NULL && from->kind != RT_ADDR_NONE) {
		sim_require(from->kind == RT_ADDR_INET && sim_node_has_ip(node, from->ip),
			    "sends from an address that is not its own");
		memcpy(p->from.ip, from->ip, 4);
	} else if (!ip_is_any(&d->local)) {
		memcpy(p->from.ip, d->local.ip, 4);
	}
}

/* One datagram goes to the driver, at `at` or soon after; 0, or what the kernel says. */
static int dgram_leave(struct rt_dgram *dgram, struct sim_link *l, struct packet *p,
		       int64_t at, uint32_t stamp)
{
	int res = refusal(l, p->len);

	if (res < 0) {
		free(p);
		return res;
	}
	p->line = l;
	p->boot = l->from->boot;
	p->event.type = &driver_type;
	p->event.a = p->to.port;
	p->event.b = p->len;
	sim_schedule(&p->event, at);
	if (stamp != 0 && !sim_chance(&sim_world_now->rng_net, l->config.stamp_lost))
		stamp_send(dgram, stamp, at + draw_ns(STAMP_MAX_NS));
	return 0;
}

/*
 * Each datagram of a message has its own fate. One that the kernel refuses is sent anew:
 * later than what was sent after it, and the last datagram is the stamped one.
 */
void rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
			   const struct rt_addr *to, const struct rt_message *message)
{
	struct sim_node *node = dgram->loop->node, *peer = sim_node_by_addr(to, node);
	int64_t now = sim_world_now->now, at = now + draw_ns(DRIVER_MAX_NS);
	bool several = message->len > message->segment, refused = false;
	size_t from = 0;
	int res = 0;

	if (peer == NULL) {
		sim_op_end_in(dgram->loop, op, -EHOSTUNREACH, 0, true);
		return;
	}
	rt_assert(!several ||
		  (message->len <= RT_MESSAGE_MAX && message->segment > 0 &&
		   (message->len - 1) / message->segment < RT_MESSAGE_DATAGRAMS));
	firewall_open(dgram, to);
	if (several && dgram->alone > 0)
		dgram->alone--;
	else if (several)
		refused = sim_chance(&sim_world_now->rng_net,
				     sim_link(node, peer)->config.refuse_message);
	if (at < node->tx_last)
		at = node->tx_last;
	if (refused) {
		at += draw_ns(REFUSED_MAX_NS);
		dgram->alone = ALONE;
	} else {
		node->tx_last = at;
	}
	do {
		size_t len = message->len - from;
		bool first = from == 0, last = len <= message->segment;
		struct packet *p;
		int r;

		if (!last)
			len = message->segment;
		p = packet_new((const uint8_t *)message->buf + from, len);
		p->to = *to;
		packet_source(p, dgram, message->from);
		r = dgram_leave(dgram, sim_link(node, peer), p, at,
				(refused ? last : first) ? message->timestamp : 0);
		if (res == 0)
			res = r;
		from += len;
	} while (from < message->len);
	/* A result that a cancel replaces is gone; the datagrams are not. */
	sim_op_end_in(dgram->loop, op, res, at - now + draw_ns(DONE_MAX_NS), true);
}

void rt_dgram_send(struct rt_dgram *dgram, struct rt_op *op, const struct rt_addr *to,
		   const void *buf, size_t len, uint32_t stamp)
{
	struct rt_message message = {
		.buf = buf, .len = len, .segment = len, .timestamp = stamp
	};

	rt_dgram_send_message(dgram, op, to, &message);
}
