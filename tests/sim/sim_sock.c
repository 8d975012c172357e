// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_stream.h"

/* rt/loop.h: streams as the program sees them. */

#define WAKE_MAX_NS 20000

/* A receive or a send that is lent to us. */
struct sim_transfer {
	struct sim_op so;
	struct rt_sock *sock; /* NULL: closed since */
	bool send;
	void *buf; /* of a receive */
	size_t len;
	const struct iovec *iov; /* of a send */
	unsigned niov;
};

struct rt_sock *sim_sock_new(struct rt_loop *loop)
{
	struct rt_sock *sock = sim_calloc(1, sizeof(*sock));

	sock->loop = loop;
	rt_list_push_back(&loop->node->socks, &sock->link);
	loop->nsocks++;
	return sock;
}

void sim_sock_attach(struct rt_sock *sock, struct sim_conn *conn, unsigned side)
{
	sock->conn = conn;
	sock->side = side;
	conn->end[side].sock = sock;
}

/* ---- transfers -------------------------------------------------------------------- */

static size_t share(struct rt_sock *sock, size_t len)
{
	struct sim_conn *conn = sock->conn;
	struct sim_link *l =
		sim_link(conn->end[sock->side].node, conn->end[!sock->side].node);

	if (len > 1 && sim_chance(&sim_world_now->rng_net, l->config.partial))
		return (size_t)sim_skewed(&sim_world_now->rng_net, 1, len);
	return len;
}

static int transfer_recv(struct sim_transfer *t, struct rt_sock *sock)
{
	struct sim_conn *conn = sock->conn;
	struct sim_pipe *pipe = &conn->pipe[!sock->side];
	size_t n = pipe->nready < t->len ? pipe->nready : t->len;

	if (n > 0) {
		n = sim_pipe_take(pipe, t->buf, share(sock, n));
		sim_end_wake(&conn->end[!sock->side]);
		return (int)n;
	}
	if (pipe->ended)
		return 0;
	return conn->end[sock->side].err;
}

static int transfer_send(struct sim_transfer *t, struct rt_sock *sock)
{
	struct sim_conn *conn = sock->conn;
	struct sim_conn_end *end = &conn->end[sock->side];
	size_t room = sim_pipe_room(&conn->pipe[sock->side]), n = 0;

	if (end->err != 0)
		return end->err;
	if (end->shut)
		return -EPIPE;
	room = share(sock, room);
	for (unsigned i = 0; i < t->niov && n < room; i++) {
		size_t part = t->iov[i].iov_len < room - n ? t->iov[i].iov_len : room - n;

		if (part > 0)
			sim_pipe_send(conn, sock->side, t->iov[i].iov_base, part);
		n += part;
	}
	return (int)n;
}

static void transfer_effect(struct sim_event *e)
{
	struct sim_transfer *t = rt_container_of(e, struct sim_transfer, so.event);
	struct rt_sock *sock = t->sock;

	if (sock != NULL) {
		if (t->send)
			sock->send = NULL;
		else
			sock->recv = NULL;
		if (t->so.res == 0)
			t->so.res =
				t->send ? transfer_send(t, sock) : transfer_recv(t, sock);
	}
	e->a = (uint64_t)(int64_t)t->so.res;
}

static const struct sim_event_type recv_type = { .name = "recv",
						 .mask = SIM_ON_OTHER,
						 .effect = transfer_effect,
						 .call = sim_op_call,
						 .over = sim_op_over };
static const struct sim_event_type send_type = { .name = "send",
						 .mask = SIM_ON_OTHER,
						 .effect = transfer_effect,
						 .call = sim_op_call,
						 .over = sim_op_over };

static bool transfer_can(const struct sim_transfer *t)
{
	const struct rt_sock *sock = t->sock;
	const struct sim_conn *conn = sock->conn;
	const struct sim_conn_end *end = &conn->end[sock->side];
	const struct sim_pipe *in = &conn->pipe[!sock->side];

	if (end->err != 0)
		return true;
	if (t->send)
		return end->shut || t->len == 0 ||
		       sim_pipe_room(&conn->pipe[sock->side]) > 0;
	return in->nready > 0 || in->ended || t->len == 0;
}

static void transfer_wake(struct sim_transfer *t)
{
	struct sim_world *w = sim_world_now;

	if (t == NULL || t->so.event.place != 0 || !transfer_can(t))
		return;
	sim_schedule(&t->so.event, w->now + (int64_t)sim_below(&w->rng_net, WAKE_MAX_NS));
}

void sim_end_wake(struct sim_conn_end *end)
{
	if (end->sock == NULL)
		return;
	transfer_wake(end->sock->recv);
	transfer_wake(end->sock->send);
}

static void transfer_end(struct sim_transfer *t, int res)
{
	t->so.res = res;
	sim_unschedule(&t->so.event);
	sim_schedule(&t->so.event, sim_world_now->now);
}

static void transfer_cancel(struct sim_op *so)
{
	struct sim_transfer *t = rt_container_of(so, struct sim_transfer, so);

	/* Scheduled: its bytes have not moved yet, but it may as well come first. */
	if (so->event.place != 0 && sim_chance(&sim_world_now->rng_net, 0.5))
		return;
	transfer_end(t, -ECANCELED);
}

static struct sim_transfer *transfer_new(struct rt_sock *sock, struct rt_op *op,
					 const struct sim_event_type *type)
{
	struct sim_transfer *t = sim_calloc(1, sizeof(*t));

	t->so.event.type = type;
	t->so.cancel = transfer_cancel;
	t->sock = sock;
	sim_op_begin(&t->so, sock->loop, op);
	return t;
}

static void transfer_begin(struct sim_transfer *t)
{
	if (t->sock->conn == NULL)
		transfer_end(t, -ENOTCONN);
	else
		transfer_wake(t);
}

void rt_recv(struct rt_sock *sock, struct rt_op *op, void *buf, size_t len)
{
	struct sim_transfer *t = transfer_new(sock, op, &recv_type);

	if (sock->recv != NULL)
		sim_violation("two receives at once on a stream");
	sock->recv = t;
	t->buf = buf;
	t->len = len;
	memset(buf, 0xe8, len);
	transfer_begin(t);
}

void rt_sendv(struct rt_sock *sock, struct rt_op *op, const struct iovec *iov, unsigned n)
{
	struct sim_transfer *t = transfer_new(sock, op, &send_type);

	if (sock->send != NULL)
		sim_violation("two sends at once on a stream");
	sock->send = t;
	t->send = true;
	t->iov = iov;
	t->niov = n;
	for (unsigned i = 0; i < n; i++)
		t->len += iov[i].iov_len;
	transfer_begin(t);
}

/* ---- ends ------------------------------------------------------------------------- */

void rt_sock_shutdown(struct rt_sock *sock)
{
	struct sim_conn *conn = sock->conn;

	if (conn == NULL || conn->end[sock->side].shut)
		return;
	conn->end[sock->side].shut = true;
	if (conn->end[sock->side].err == 0)
		sim_pipe_send(conn, sock->side, NULL, 0);
	sim_end_wake(&conn->end[sock->side]);
}

static void transfer_let_go(struct sim_transfer *t)
{
	if (t == NULL)
		return;
	t->sock = NULL;
	transfer_end(t, -ECANCELED);
}

void rt_sock_close(struct rt_sock *sock)
{
	if (sock == NULL)
		return;
	transfer_let_go(sock->recv);
	transfer_let_go(sock->send);
	if (sock->dial != NULL)
		sim_dial_cancel(sock->dial);
	if (sock->conn != NULL)
		sim_conn_end_closed(sock->conn, sock->side);
	rt_list_remove(&sock->link);
	sock->loop->nsocks--;
	free(sock);
}

int rt_sock_congestion(struct rt_sock *sock, const char *name)
{
	return 0;
}

/* Engines have heartbeats of their own; nobody here relies on the kernel's. */
int rt_sock_watch(struct rt_sock *sock, int64_t silence_ms)
{
	return 0;
}

int rt_sock_from_fds(struct rt_loop *loop, int in, int out, struct rt_sock **ret)
{
	return -ENOTSUP; /* there are no descriptors in here */
}

static void transfer_drop(struct sim_transfer *t)
{
	if (t == NULL)
		return;
	sim_unschedule(&t->so.event);
	free(t);
}

void sim_socks_crash(struct sim_node *node, enum sim_crash kind)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&node->socks)) != NULL) {
		struct rt_sock *sock = rt_container_of(l, struct rt_sock, link);

		transfer_drop(sock->recv);
		transfer_drop(sock->send);
		if (sock->dial != NULL)
			sim_dial_drop(sock->dial);
		if (sock->conn != NULL && kind == SIM_KILL)
			sim_conn_end_closed(sock->conn, sock->side);
		else if (sock->conn != NULL)
			sim_conn_end_vanished(sock->conn, sock->side);
		free(sock);
	}
	sim_listeners_crash(node, kind);
}
