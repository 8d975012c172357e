// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_stream.h"

/* Connections: pieces that enter, arrive, are put in order, or meet a reset. */

#define STREAM_TIMEOUT_NS (60 * RT_S)
#define HEADERS 40

struct reset {
	struct sim_event event;
	struct sim_conn *conn;
	unsigned side; /* who gets it */
};

static struct sim_link *line_from(const struct sim_conn *conn, unsigned side)
{
	return sim_link(conn->end[side].node, conn->end[!side].node);
}

struct sim_conn *sim_conn_new(struct sim_node *a, struct sim_node *b)
{
	struct sim_conn *conn = sim_calloc(1, sizeof(*conn));

	conn->end[0].node = a;
	conn->end[0].boot = a->boot;
	conn->end[1].node = b;
	conn->end[1].boot = b->boot;
	rt_list_init(&conn->pipe[0].pieces);
	rt_list_init(&conn->pipe[1].pieces);
	rt_list_push_back(&sim_world_now->conns, &conn->link);
	return conn;
}

bool sim_end_machine_gone(const struct sim_conn_end *end)
{
	return end->boot != end->node->boot;
}

/* ---- pipes ------------------------------------------------------------------------ */

/* `running` is the piece whose event is under way: its event frees it. */
static void pipe_drop(struct sim_pipe *pipe, struct sim_piece *running)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&pipe->pieces)) != NULL) {
		struct sim_piece *p = rt_container_of(l, struct sim_piece, link);

		sim_unschedule(&p->event);
		pipe->held -= p->len;
		if (p != running)
			free(p);
	}
}

static void pipe_forget_ready(struct sim_pipe *pipe)
{
	free(pipe->ready);
	pipe->ready = NULL;
	pipe->held -= pipe->nready;
	pipe->nready = pipe->ready_at = pipe->ready_size = 0;
}

size_t sim_pipe_room(const struct sim_pipe *pipe)
{
	return pipe->held < PIPE_MAX ? PIPE_MAX - pipe->held : 0;
}

static void pipe_ready(struct sim_pipe *pipe, const struct sim_piece *p)
{
	if (p->len == 0) {
		pipe->ended = true;
		return;
	}
	if (pipe->ready_at + pipe->nready + p->len > pipe->ready_size) {
		if (pipe->nready > 0)
			memmove(pipe->ready, pipe->ready + pipe->ready_at, pipe->nready);
		pipe->ready_at = 0;
		if (pipe->nready + p->len > pipe->ready_size) {
			pipe->ready_size = 2 * (pipe->nready + p->len);
			pipe->ready = sim_realloc(pipe->ready, pipe->ready_size, 1);
		}
	}
	memcpy(pipe->ready + pipe->ready_at + pipe->nready, p->bytes, p->len);
	pipe->nready += p->len;
}

size_t sim_pipe_take(struct sim_pipe *pipe, uint8_t *buf, size_t len)
{
	if (len > pipe->nready)
		len = pipe->nready;
	if (len == 0)
		return 0;
	memcpy(buf, pipe->ready + pipe->ready_at, len);
	pipe->ready_at += len;
	pipe->nready -= len;
	pipe->held -= len;
	return len;
}

/* ---- resets ----------------------------------------------------------------------- */

static void end_fail(struct sim_conn *conn, unsigned side, int err,
		     struct sim_piece *running)
{
	struct sim_conn_end *end = &conn->end[side];

	if (end->err == 0)
		end->err = err;
	pipe_drop(&conn->pipe[side], running);
	sim_end_wake(end);
}

static void reset_effect(struct sim_event *e)
{
	struct reset *r = rt_container_of(e, struct reset, event);
	struct sim_conn_end *end = &r->conn->end[r->side];

	if (!sim_end_machine_gone(end))
		end_fail(r->conn, r->side, -ECONNRESET, NULL);
}

static void reset_over(struct sim_event *e)
{
	free(rt_container_of(e, struct reset, event));
}

static const struct sim_event_type reset_type = {
	.name = "reset", .mask = SIM_ON_OTHER, .effect = reset_effect, .over = reset_over
};

static void reset_in(struct sim_conn *conn, unsigned side, int64_t ns)
{
	struct reset *r = sim_calloc(1, sizeof(*r));

	r->event.type = &reset_type;
	r->event.a = side;
	r->conn = conn;
	r->side = side;
	sim_schedule(&r->event, sim_world_now->now + ns);
}

void sim_conn_reset_peer(struct sim_conn *conn, unsigned side)
{
	struct sim_link *l = line_from(conn, side);

	if (!l->cut)
		reset_in(conn, !side, l->config.delay_ns);
}

void sim_net_reset(struct sim_node *a, struct sim_node *b)
{
	struct rt_list *conns = &sim_world_now->conns;

	for (struct rt_list *l = conns->next; l != conns; l = l->next) {
		struct sim_conn *conn = rt_container_of(l, struct sim_conn, link);
		struct sim_node *x = conn->end[0].node, *y = conn->end[1].node;

		if (!(x == a && y == b) && !(x == b && y == a))
			continue;
		reset_in(conn, 0, line_from(conn, 1)->config.delay_ns);
		reset_in(conn, 1, line_from(conn, 0)->config.delay_ns);
	}
}

/* ---- pieces ----------------------------------------------------------------------- */

static void piece_again(struct sim_piece *p, const struct sim_link *l)
{
	int64_t now = sim_world_now->now;
	int64_t timeout = l->config.stream_timeout_ns;

	if (now - p->since > (timeout ? timeout : STREAM_TIMEOUT_NS)) {
		end_fail(p->conn, p->from, -ETIMEDOUT, p);
		return;
	}
	p->entered = false;
	sim_schedule(&p->event, now + p->rto_ns);
	p->rto_ns = 2 * p->rto_ns < RTO_MAX_NS ? 2 * p->rto_ns : RTO_MAX_NS;
}

static void piece_enter(struct sim_piece *p, struct sim_link *l)
{
	if (sim_end_machine_gone(&p->conn->end[p->from])) {
		pipe_drop(&p->conn->pipe[p->from],
			  p); /* what is in the line, too: late */
		return;
	}
	if (l->cut || sim_link_draw_loss(l)) {
		piece_again(p, l);
		return;
	}
	if (sim_chance(&sim_world_now->rng_net, l->config.reset)) {
		reset_in(p->conn, !p->from, l->config.delay_ns);
		end_fail(p->conn, p->from, -ECONNRESET, p);
		return;
	}
	p->entered = true;
	l->stats.bytes += p->len;
	sim_schedule(&p->event,
		     sim_link_arrival(l, sim_link_enter(l, p->len + HEADERS, false)));
}

static void deliver(struct sim_pipe *pipe, struct sim_piece *running)
{
	while (!rt_list_empty(&pipe->pieces)) {
		struct sim_piece *p =
			rt_container_of(pipe->pieces.next, struct sim_piece, link);

		if (!p->arrived)
			return;
		pipe_ready(pipe, p);
		rt_list_remove(&p->link);
		if (p != running)
			free(p);
	}
}

static void piece_arrive(struct sim_piece *p, struct sim_link *l)
{
	struct sim_conn *conn = p->conn;
	struct sim_pipe *pipe = &conn->pipe[p->from];
	struct sim_conn_end *to = &conn->end[!p->from];

	if (!to->node->powered) {
		piece_again(p, l);
	} else if (sim_end_machine_gone(to) || to->closed) {
		if (p->len > 0)
			sim_conn_reset_peer(conn, !p->from);
		pipe->held -= p->len;
		rt_list_remove(&p->link);
	} else {
		p->arrived = true;
		l->stats.arrived_at = sim_now(sim_world_now);
		deliver(pipe, p);
		sim_end_wake(to);
	}
}

static void piece_effect(struct sim_event *e)
{
	struct sim_piece *p = rt_container_of(e, struct sim_piece, event);
	struct sim_link *l = line_from(p->conn, p->from);

	if (p->entered)
		piece_arrive(p, l);
	else
		piece_enter(p, l);
}

/* One that waits for those before it belongs to its pipe. */
static void piece_over(struct sim_event *e)
{
	struct sim_piece *p = rt_container_of(e, struct sim_piece, event);

	if (rt_list_empty(&p->link))
		free(p);
}

static const struct sim_event_type piece_type = {
	.name = "piece", .mask = SIM_ON_OTHER, .effect = piece_effect, .over = piece_over
};

static void piece_send(struct sim_conn *conn, unsigned from, const uint8_t *bytes,
		       size_t len)
{
	struct sim_piece *p = sim_calloc(1, sizeof(*p) + len);

	p->event.type = &piece_type;
	p->event.a = from;
	p->event.b = len;
	p->conn = conn;
	p->from = from;
	p->rto_ns = RTO_NS;
	p->since = sim_world_now->now;
	p->len = len;
	if (len > 0)
		memcpy(p->bytes, bytes, len);
	conn->pipe[from].held += len;
	rt_list_push_back(&conn->pipe[from].pieces, &p->link);
	sim_schedule(&p->event, p->since);
}

void sim_pipe_send(struct sim_conn *conn, unsigned from, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		piece_send(conn, from, NULL, 0);
	while (len > 0) {
		size_t n = (size_t)sim_skewed(&sim_world_now->rng_net, 1, PIECE_MAX);

		if (n > len)
			n = len;
		piece_send(conn, from, bytes, n);
		bytes += n;
		len -= n;
	}
}

/* ---- the end of a connection -------------------------------------------------------- */

void sim_conn_end_closed(struct sim_conn *conn, unsigned side)
{
	struct sim_conn_end *end = &conn->end[side];
	struct sim_pipe *in = &conn->pipe[!side];

	end->sock = NULL;
	end->closed = true;
	if (in->nready > 0 && end->err == 0) {
		pipe_drop(&conn->pipe[side], NULL);
		sim_conn_reset_peer(conn, side);
	} else if (!end->shut && end->err == 0) {
		sim_pipe_send(conn, side, NULL, 0);
	}
	pipe_forget_ready(in);
	end->shut = true;
}

/* The peer probes a window that never opens: let it send, and time out. */
void sim_conn_end_vanished(struct sim_conn *conn, unsigned side)
{
	conn->end[side].sock = NULL;
	pipe_forget_ready(&conn->pipe[!side]);
	sim_end_wake(&conn->end[!side]);
}

void sim_conns_free(struct sim_world *w)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&w->conns)) != NULL) {
		struct sim_conn *conn = rt_container_of(l, struct sim_conn, link);

		for (unsigned i = 0; i < 2; i++) {
			pipe_drop(&conn->pipe[i], NULL);
			free(conn->pipe[i].ready);
		}
		free(conn);
	}
}
