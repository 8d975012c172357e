/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SIM_STREAM_H
#define TESTS_SIM_SIM_STREAM_H

#include "tests/sim/sim_impl.h"

/*
 * Streams, TCP and unix alike. A connection has two ends and a pipe from each. What an
 * end sends is cut into pieces; each piece tries to enter the line until it does, arrives
 * later, and is handed over when all before it have been.
 */
#define PIPE_MAX ((size_t)256 << 10) /* sent and not yet received by the program */
#define PIECE_MAX ((size_t)32 << 10)
#define RTO_NS (200 * RT_MS)
#define RTO_MAX_NS (5 * RT_S)

struct sim_conn;
struct sim_dial;
struct sim_transfer;

/* On its way; one without bytes is the end of the stream. */
struct sim_piece {
	struct sim_event event;
	struct rt_list link; /* in pipe->pieces, in order */
	struct sim_conn *conn;
	unsigned from;	       /* which end */
	bool entered;	       /* in the line; else the next event is another try */
	bool arrived;	       /* waits for those before it */
	int64_t rto_ns, since; /* first try */
	size_t len;
	uint8_t bytes[];
};

struct sim_pipe {
	struct rt_list pieces;
	uint8_t *ready; /* in order, not received yet */
	size_t nready, ready_at, ready_size;
	size_t held; /* bytes in pieces and ready */
	bool ended;  /* everything before the end is ready */
};

struct sim_conn_end {
	struct sim_node *node;
	uint64_t boot;	      /* of the machine; another one knows nothing of us */
	struct rt_sock *sock; /* NULL: closed, or not yet accepted */
	struct rt_addr addr;
	bool closed; /* by the program; what comes is answered by a reset */
	bool shut;   /* nothing is sent after what was */
	int err;     /* reset or timed out */
};

struct sim_conn {
	struct rt_list link;	    /* in world->conns */
	struct sim_conn_end end[2]; /* 0 has dialed */
	struct sim_pipe pipe[2];    /* [i]: sent by end i */
};

struct rt_sock {
	struct rt_list link; /* in node->socks */
	struct rt_loop *loop;
	struct sim_conn *conn; /* NULL: not connected (yet) */
	unsigned side;
	struct sim_dial *dial; /* while connecting */
	struct sim_transfer *recv, *send;
};

struct rt_listener {
	struct rt_list link; /* in node->listeners */
	struct rt_loop *loop;
	struct rt_addr addr;
	rt_accept_fn *accepted;
	void *owner;
	bool paused;
	struct rt_list backlog; /* struct sim_knock, while paused */
};

struct rt_sock *sim_sock_new(struct rt_loop *loop);
void sim_sock_attach(struct rt_sock *sock, struct sim_conn *conn, unsigned side);
struct sim_conn *sim_conn_new(struct sim_node *a, struct sim_node *b);
/* The program at this end is gone, in order or not. */
void sim_conn_end_closed(struct sim_conn *conn, unsigned side);
void sim_conn_end_vanished(struct sim_conn *conn, unsigned side); /* with its machine */
/* Tell the other end of `side`, after the delay, unless the line is cut. */
void sim_conn_reset_peer(struct sim_conn *conn, unsigned side);
bool sim_end_machine_gone(const struct sim_conn_end *end); /* its power has gone since */

void sim_pipe_send(struct sim_conn *conn, unsigned from, const uint8_t *bytes,
		   size_t len);
size_t sim_pipe_room(const struct sim_pipe *pipe);
size_t sim_pipe_take(struct sim_pipe *pipe, uint8_t *buf, size_t len);
/* Something has changed for the socket at this end: let what waits go on. */
void sim_end_wake(struct sim_conn_end *end);

void sim_dial_cancel(struct sim_dial *dial); /* its operation ends */
void sim_dial_drop(struct sim_dial *dial);   /* with its process */
void sim_listeners_crash(struct sim_node *node, enum sim_crash kind);

#endif
