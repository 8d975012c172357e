// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_stream.h"

/* rt/loop.h: how streams come to be. */

#define CONNECT_TIMEOUT_NS (10 * RT_S)
#define SYN_RTO_NS RT_S

/* A connect under way. Its event is the world's, its operation the process's. */
struct sim_dial {
	struct sim_event event;
	struct sim_op *so;
	struct rt_sock *sock;
	struct sim_node *to; /* NULL: there is no such machine */
	struct rt_addr addr;
	enum { DIAL_TRY, DIAL_AT_PEER, DIAL_REFUSED, DIAL_BACK } state;
	int64_t since;
	struct sim_conn *conn;
};

/* A connection that wants to be accepted. */
struct sim_knock {
	struct sim_event event;
	struct rt_list link; /* in listener->backlog, while it is paused */
	struct sim_conn *conn;
	struct rt_listener *listener;
	struct rt_sock *sock;
	struct rt_addr addr;
};

/* ---- listeners -------------------------------------------------------------------- */

static bool same_place(const struct rt_addr *a, const struct rt_addr *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == RT_ADDR_UNIX ? strcmp(a->path, b->path) == 0
				       : a->port == b->port;
}

static struct rt_listener *listener_find(struct sim_node *node,
					 const struct rt_addr *addr)
{
	for (struct rt_list *l = node->listeners.next; l != &node->listeners;
	     l = l->next) {
		struct rt_listener *ls = rt_container_of(l, struct rt_listener, link);

		if (same_place(&ls->addr, addr))
			return ls;
	}
	return NULL;
}

int rt_listen(struct rt_loop *loop, const struct rt_addr *addr, rt_accept_fn *accepted,
	      void *owner, struct rt_listener **ret)
{
	struct sim_node *node = loop->node;
	struct rt_listener *ls;

	rt_assert(sim_node_entered() == node);
	if (sim_node_by_addr(addr, node) != node)
		return -EADDRNOTAVAIL;
	if ((addr->kind == RT_ADDR_UNIX || addr->port != 0) &&
	    listener_find(node, addr) != NULL)
		return -EADDRINUSE;
	ls = sim_calloc(1, sizeof(*ls));
	ls->addr = *addr;
	while (addr->kind == RT_ADDR_INET && ls->addr.port == 0) {
		struct rt_addr try = *addr;

		try.port = sim_node_port(node);
		if (listener_find(node, &try) == NULL)
			ls->addr.port = try.port;
	}
	ls->loop = loop;
	ls->accepted = accepted;
	ls->owner = owner;
	rt_list_init(&ls->backlog);
	rt_list_push_back(&node->listeners, &ls->link);
	loop->nlisteners++;
	*ret = ls;
	return 0;
}

int rt_listen_fd(struct rt_loop *loop, int fd, rt_accept_fn *accepted, void *owner,
		 struct rt_listener **ret)
{
	return -ENOTSUP; /* there are no descriptors in here */
}

void rt_listener_addr(struct rt_listener *listener, struct rt_addr *ret)
{
	*ret = listener->addr;
}

/* The engine gets each stranger at once, which is harder for it. */
int rt_listener_await_data(struct rt_listener *listener, int64_t silence_ms)
{
	return listener->addr.kind == RT_ADDR_UNIX ? -EOPNOTSUPP : 0;
}

void rt_listener_pause(struct rt_listener *listener, bool paused)
{
	struct rt_list *l;

	listener->paused = paused;
	while (!paused && (l = rt_list_pop(&listener->backlog)) != NULL)
		sim_schedule(&rt_container_of(l, struct sim_knock, link)->event,
			     sim_world_now->now);
}

static void listener_free(struct rt_listener *ls, bool say_so)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&ls->backlog)) != NULL) {
		struct sim_knock *k = rt_container_of(l, struct sim_knock, link);

		if (say_so)
			sim_conn_reset_peer(k->conn, 1);
		k->conn->end[1].closed = true;
		free(k);
	}
	rt_list_remove(&ls->link);
	free(ls);
}

void rt_listener_close(struct rt_listener *listener)
{
	if (listener == NULL)
		return;
	listener->loop->nlisteners--;
	listener_free(listener, true);
}

void sim_listeners_crash(struct sim_node *node, enum sim_crash kind)
{
	while (!rt_list_empty(&node->listeners))
		listener_free(rt_container_of(node->listeners.next, struct rt_listener,
					      link),
			      kind == SIM_KILL);
}

/* ---- accept ----------------------------------------------------------------------- */

static void knock_effect(struct sim_event *e)
{
	struct sim_knock *k = rt_container_of(e, struct sim_knock, event);
	struct sim_conn_end *end = &k->conn->end[1];
	struct rt_listener *ls = listener_find(end->node, &k->addr);

	if (sim_end_machine_gone(end))
		return; /* silence; the dialer finds out by itself */
	if (ls == NULL) {
		end->closed = true;
		sim_conn_reset_peer(k->conn, 1);
		return;
	}
	k->listener = ls;
	if (ls->paused) {
		rt_list_push_back(&ls->backlog, &k->link);
		return;
	}
	k->sock = sim_sock_new(ls->loop);
	sim_sock_attach(k->sock, k->conn, 1);
	e->loop = ls->loop;
}

static void knock_call(struct sim_event *e)
{
	struct sim_knock *k = rt_container_of(e, struct sim_knock, event);

	k->listener->accepted(k->listener->owner, k->sock, &k->conn->end[0].addr);
}

/* One that waits belongs to its listener. */
static void knock_over(struct sim_event *e)
{
	struct sim_knock *k = rt_container_of(e, struct sim_knock, event);

	if (rt_list_empty(&k->link))
		free(k);
}

static const struct sim_event_type knock_type = { .name = "accept",
						  .mask = SIM_ON_OTHER,
						  .effect = knock_effect,
						  .call = knock_call,
						  .over = knock_over };

static void knock_in(struct sim_conn *conn, const struct rt_addr *addr, int64_t ns)
{
	struct sim_knock *k = sim_calloc(1, sizeof(*k));

	k->event.type = &knock_type;
	k->event.a = addr->port;
	rt_list_init(&k->link);
	k->conn = conn;
	k->addr = *addr;
	sim_schedule(&k->event, sim_world_now->now + ns);
}

/* ---- connect ---------------------------------------------------------------------- */

static const struct sim_event_type connected_type = {
	.name = "connect", .mask = SIM_ON_OTHER, .call = sim_op_call, .over = sim_op_over
};

static void dial_end(struct sim_dial *d, int res)
{
	d->so->res = res;
	d->so->event.a = (uint64_t)(int64_t)res;
	d->so->cancel = NULL;
	sim_schedule(&d->so->event, sim_world_now->now);
	d->so = NULL;
	d->sock->dial = NULL;
}

static void dial_go(struct sim_dial *d, int state, int64_t ns)
{
	d->state = state;
	sim_schedule(&d->event, sim_world_now->now + ns);
}

static void dial_again(struct sim_dial *d, const struct sim_link *there)
{
	int64_t timeout = there->config.connect_timeout_ns;

	if (sim_world_now->now - d->since > (timeout ? timeout : CONNECT_TIMEOUT_NS))
		dial_end(d, -ETIMEDOUT);
	else
		dial_go(d, DIAL_TRY, SYN_RTO_NS);
}

static void dial_at_peer(struct sim_dial *d, struct sim_link *there,
			 struct sim_link *back)
{
	struct sim_node *from = d->sock->loop->node;

	if (!d->to->powered || back->cut || sim_link_draw_loss(back)) {
		dial_again(d, there);
	} else if (listener_find(d->to, &d->addr) == NULL) {
		dial_go(d, DIAL_REFUSED, back->config.delay_ns);
	} else {
		d->conn = sim_conn_new(from, d->to);
		d->conn->end[0].addr.kind = d->addr.kind;
		if (d->addr.kind == RT_ADDR_INET)
			sim_node_addr(from, sim_node_port(from), &d->conn->end[0].addr);
		knock_in(d->conn, &d->addr,
			 back->config.delay_ns + there->config.delay_ns);
		dial_go(d, DIAL_BACK, back->config.delay_ns);
	}
}

static void dial_effect(struct sim_event *e)
{
	struct sim_dial *d = rt_container_of(e, struct sim_dial, event);
	struct sim_node *from = d->sock->loop->node;
	struct sim_link *there, *back;

	if (d->to == NULL) {
		dial_end(d, -EHOSTUNREACH);
		return;
	}
	there = sim_link(from, d->to);
	back = sim_link(d->to, from);
	switch (d->state) {
	case DIAL_TRY:
		if (there->cut || sim_link_draw_loss(there))
			dial_again(d, there);
		else
			dial_go(d, DIAL_AT_PEER, there->config.delay_ns);
		break;
	case DIAL_AT_PEER:
		dial_at_peer(d, there, back);
		break;
	case DIAL_REFUSED:
		dial_end(d, -ECONNREFUSED);
		break;
	case DIAL_BACK:
		sim_sock_attach(d->sock, d->conn, 0);
		dial_end(d, 0);
		break;
	}
}

static void dial_over(struct sim_event *e)
{
	struct sim_dial *d = rt_container_of(e, struct sim_dial, event);

	free(d->so); /* left when the world ends */
	free(d);
}

static const struct sim_event_type dial_type = {
	.name = "dial", .mask = SIM_ON_OTHER, .effect = dial_effect, .over = dial_over
};

static void dial_stop(struct sim_dial *d)
{
	if (d->conn != NULL)
		sim_conn_end_closed(d->conn, 0);
	sim_unschedule(&d->event);
	dial_over(&d->event);
}

void sim_dial_cancel(struct sim_dial *d)
{
	dial_end(d, -ECANCELED);
	dial_stop(d);
}

void sim_dial_drop(struct sim_dial *d)
{
	dial_stop(d);
}

static void connect_cancel(struct sim_op *so)
{
	struct rt_sock *sock = so->op->impl[1];

	sim_dial_cancel(sock->dial);
}

int rt_connect(struct rt_loop *loop, const struct rt_addr *addr, struct rt_op *op,
	       struct rt_sock **ret)
{
	struct sim_dial *d = sim_calloc(1, sizeof(*d));

	d->so = sim_calloc(1, sizeof(*d->so));
	d->so->event.type = &connected_type;
	d->so->cancel = connect_cancel;
	sim_op_begin(d->so, loop, op);
	d->sock = sim_sock_new(loop);
	d->sock->dial = d;
	op->impl[1] = d->sock;
	d->to = sim_node_by_addr(addr, loop->node);
	d->addr = *addr;
	d->since = sim_world_now->now;
	d->event.type = &dial_type;
	dial_go(d, DIAL_TRY, 0);
	*ret = d->sock;
	return 0;
}
