// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"

/*
 * The simulated network: streams are whole and in order whatever happens, or break; what
 * datagrams suffer is what was asked for. Every scenario with two sites believes it.
 */
#define BYTES 300000
#define CHUNK 5000
#define DGRAMS 4000

struct peer {
	struct rt_op connect, send, recv;
	struct rt_sock *sock;
	struct iovec iov[2];
	uint8_t out[CHUNK], in[CHUNK];
	size_t sent, received, goal;
	bool connected, recv_ended, send_ended;
	int connect_res, recv_res, send_res;
	uint64_t key;
};

struct net {
	struct sim_world *w;
	struct sim_node *a, *b;
	struct rt_listener *listener;
	struct peer x, y; /* x dials from a, y is accepted on b */
};

static uint8_t stream_byte(uint64_t key, size_t i)
{
	return (uint8_t)((i * 2654435761u + key) >> 7);
}

/* ---- both ways at once over one stream ---------------------------------------------- */

static void peer_send(struct peer *p);
static void peer_recv(struct peer *p);

static void peer_sent(struct rt_op *op, int res)
{
	struct peer *p = rt_container_of(op, struct peer, send);

	if (res < 0) {
		p->send_ended = true;
		p->send_res = res;
		return;
	}
	p->sent += (size_t)res;
	peer_send(p);
}

static void peer_send(struct peer *p)
{
	size_t n = p->goal - p->sent;

	if (n == 0) {
		rt_sock_shutdown(p->sock);
		p->send_ended = true;
		return;
	}
	if (n > CHUNK)
		n = CHUNK;
	for (size_t i = 0; i < n; i++)
		p->out[i] = stream_byte(p->key, p->sent + i);
	p->iov[0] = (struct iovec){ p->out, n / 3 };
	p->iov[1] = (struct iovec){ p->out + n / 3, n - n / 3 };
	p->send.done = peer_sent;
	rt_sendv(p->sock, &p->send, p->iov, 2);
}

static void peer_received(struct rt_op *op, int res)
{
	struct peer *p = rt_container_of(op, struct peer, recv);

	if (res <= 0) {
		p->recv_ended = true;
		p->recv_res = res;
		return;
	}
	for (int i = 0; i < res; i++)
		sim_require(p->in[i] == stream_byte(~p->key, p->received + (size_t)i),
			    "byte %zu is another one", p->received + (size_t)i);
	p->received += (size_t)res;
	peer_recv(p);
}

static void peer_recv(struct peer *p)
{
	p->recv.done = peer_received;
	rt_recv(p->sock, &p->recv, p->in, CHUNK);
}

static void peer_start(struct peer *p)
{
	p->connected = true;
	peer_recv(p);
	peer_send(p);
}

static void net_accepted(void *owner, struct rt_sock *sock, const struct rt_addr *from)
{
	struct net *net = owner;

	sim_require(!net->y.connected, "accepted twice");
	net->y.sock = sock;
	peer_start(&net->y);
}

static void net_connected(struct rt_op *op, int res)
{
	struct peer *p = rt_container_of(op, struct peer, connect);

	p->connect_res = res;
	if (res == 0)
		peer_start(p);
	else
		p->connected = true;
}

static void net_listen(struct net *net, const struct rt_addr *addr)
{
	struct rt_addr got;
	int err;

	sim_node_enter(net->b);
	err = rt_listen(sim_node_loop(net->b), addr, net_accepted, net, &net->listener);
	sim_require(err == 0, "listen: %d", err);
	rt_listener_addr(net->listener, &got);
	sim_require(got.port == addr->port, "port");
	sim_node_leave(net->b);
}

static void net_dial(struct net *net, const struct rt_addr *addr, size_t goal)
{
	int err;

	memset(&net->x, 0, sizeof(net->x));
	memset(&net->y, 0, sizeof(net->y));
	net->x.key = sim_draw(sim_rng(net->w));
	net->y.key = ~net->x.key;
	net->x.goal = net->y.goal = goal;
	net->x.connect.done = net_connected;
	sim_node_enter(net->a);
	err = rt_connect(sim_node_loop(net->a), addr, &net->x.connect, &net->x.sock);
	sim_node_leave(net->a);
	sim_require(err == 0, "connect: %d", err);
}

static void net_close(struct net *net)
{
	sim_node_enter(net->a);
	rt_sock_close(net->x.sock);
	sim_node_leave(net->a);
	net->x.sock = NULL;
	sim_node_enter(net->b);
	rt_sock_close(net->y.sock);
	sim_node_leave(net->b);
	net->y.sock = NULL;
}

static bool net_over(void *arg)
{
	struct net *net = arg;

	if (net->x.connected && net->x.connect_res < 0)
		return true;
	return net->x.recv_ended && net->x.send_ended && net->y.recv_ended &&
	       net->y.send_ended;
}

static bool net_connected_both(void *arg)
{
	struct net *net = arg;

	return net->x.connected && net->y.connected;
}

/* Everything arrives, in order, then the end: over loss, jitter, small pieces. */
static void streams_are_whole(struct net *net, const struct rt_addr *addr)
{
	net_dial(net, addr, BYTES);
	sim_require(sim_run_until(net->w, net_over, net, 3600 * RT_S), "not over");
	sim_require(net->x.connect_res == 0, "connect: %d", net->x.connect_res);
	sim_require(net->x.received == BYTES && net->y.received == BYTES, "%zu, %zu",
		    net->x.received, net->y.received);
	sim_require(net->x.recv_res == 0 && net->y.recv_res == 0, "an error");
	net_close(net);
	sim_run_for(net->w, RT_S);
}

/* A killed process resets its streams or ends them; the peer hears of it. */
static void a_kill_is_heard(struct net *net, const struct rt_addr *addr)
{
	net_dial(net, addr, 100 * BYTES);
	sim_require(sim_run_until(net->w, net_connected_both, net, 60 * RT_S), "connect");
	sim_run_for(net->w, (int64_t)sim_below(sim_rng(net->w), 300 * RT_MS));
	sim_node_crash(net->a, SIM_KILL);
	net->x = (struct peer){ .recv_ended = true, .send_ended = true };
	sim_require(sim_run_until(net->w, net_over, net, 300 * RT_S), "not heard");
	sim_node_start(net->a);
	net_close(net);
	sim_run_for(net->w, RT_S);
}

/* A machine without power is silent: who sends to it gives up after a while. */
static void a_power_loss_is_silence(struct net *net, const struct rt_addr *addr)
{
	net_dial(net, addr, 100 * BYTES);
	sim_require(sim_run_until(net->w, net_connected_both, net, 60 * RT_S), "connect");
	sim_node_crash(net->a, SIM_POWER);
	sim_run_for(net->w, 10 * RT_S);
	sim_require(!net->y.recv_ended && !net->y.send_ended, "heard from the dead");
	net->x = (struct peer){ .recv_ended = true, .send_ended = true };
	sim_require(sim_run_until(net->w, net_over, net, 300 * RT_S), "no timeout");
	sim_require(net->y.send_res == -ETIMEDOUT && net->y.recv_res == -ETIMEDOUT,
		    "%d %d", net->y.send_res, net->y.recv_res);
	sim_node_start(net->a);
	net_close(net);
	sim_run_for(net->w, RT_S);
}

/* Across a cut nothing connects and nothing moves; a short one only delays. */
static void a_cut_stops_streams(struct net *net, const struct rt_addr *addr)
{
	size_t had;

	net_dial(net, addr, BYTES * 10);
	sim_require(sim_run_until(net->w, net_connected_both, net, 60 * RT_S), "connect");
	sim_run_for(net->w, 100 * RT_MS);
	sim_net_cut_both(net->a, net->b, false);
	sim_run_for(net->w, RT_S); /* what was in the line */
	had = net->y.received;
	sim_run_for(net->w, 10 * RT_S);
	sim_require(net->y.received == had && !net->y.recv_ended, "crossed a cut");
	sim_net_mend(net->a, net->b);
	sim_require(sim_run_until(net->w, net_over, net, 3600 * RT_S), "not over");
	sim_require(net->y.received == BYTES * 10, "lost");
	net_close(net);

	sim_net_cut(net->b, net->a, false);
	net_dial(net, addr, 1);
	sim_require(sim_run_until(net->w, net_over, net, 60 * RT_S), "never gave up");
	sim_require(net->x.connect_res == -ETIMEDOUT, "%d", net->x.connect_res);
	net_close(net);
	sim_net_mend(net->a, net->b);
}

static void connects_are_refused_and_cancelled(struct net *net)
{
	struct rt_addr addr;

	sim_node_addr(net->b, 99, &addr);
	net_dial(net, &addr, 1);
	sim_require(sim_run_until(net->w, net_over, net, 60 * RT_S), "never ended");
	sim_require(net->x.connect_res == -ECONNREFUSED, "%d", net->x.connect_res);
	net_close(net);
	net_dial(net, &addr, 1);
	net_close(net);
	sim_require(sim_run_until(net->w, net_over, net, 60 * RT_S), "never ended");
	sim_require(net->x.connect_res == -ECANCELED, "%d", net->x.connect_res);
}

static void net_config(struct net *net, double loss)
{
	struct sim_net_config c = {
		.delay_ns = (int64_t)sim_below(sim_rng(net->w), 50) * RT_MS,
		.jitter_ns = (int64_t)sim_below(sim_rng(net->w), 5) * RT_MS,
		.loss = loss,
		.partial = sim_unit(sim_rng(net->w)),
		.rate_bps = 100000000,
	};

	sim_net_set_both(net->a, net->b, &c);
}

static void run_stream(struct sim_world *w)
{
	struct net net = { .w = w };
	struct rt_addr addr, local = { .kind = RT_ADDR_UNIX, .path = "/run/socket" };

	net.a = sim_node_new(w, "a");
	net.b = sim_node_new(w, "b");
	sim_node_start(net.a);
	sim_node_start(net.b);
	net_config(&net, 0.02);
	sim_node_addr(net.b, 7700, &addr);
	net_listen(&net, &addr);
	streams_are_whole(&net, &addr);
	a_kill_is_heard(&net, &addr);
	a_power_loss_is_silence(&net, &addr);
	a_cut_stops_streams(&net, &addr);
	connects_are_refused_and_cancelled(&net);
	rt_listener_close(net.listener);
	sim_node_stop(net.a);
	net.a = net.b;
	net_listen(&net, &local);
	streams_are_whole(&net, &local);
	rt_listener_close(net.listener);
	sim_run_for(w, RT_S);
	sim_node_stop(net.b);
}

SIM_SCENARIO(stream, "simulated streams: whole, in order, or broken", run_stream, NULL,
	     .all_max = 20);

/* ---- datagrams -------------------------------------------------------------------- */

#define LETTER 100u /* bytes */
#define LETTERS_MAX 20u

struct letter {
	struct rt_op op;
	struct udp *udp;
	uint32_t n, copy;
	bool sent, left;
	unsigned arrived;
	int res;
};

struct udp {
	struct sim_world *w;
	struct sim_node *a, *b;
	struct rt_dgram *from, *to;
	struct rt_addr addr;
	struct letter *letters; /* DGRAMS */
	uint32_t next, highest;
	unsigned message; /* letters in one, less the shorter one at its end; 0: none */
	unsigned arrived, late, broken, left, refused, tapped;
	uint64_t overflowed;
};

static void udp_received(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct udp *u = owner;
	uint32_t n[2];

	sim_require((len == LETTER || (len == LETTER / 2 && u->message > 0)) &&
			    from->ip[3] == 1,
		    "another datagram");
	memcpy(n, dgram, sizeof(n));
	u->arrived++;
	if (n[0] >= DGRAMS || n[1] != n[0]) {
		u->broken++;
		return;
	}
	u->letters[n[0]].arrived++;
	if (n[0] < u->highest)
		u->late++;
	else
		u->highest = n[0];
}

static void udp_left(void *owner, uint32_t id)
{
	struct udp *u = owner;

	sim_require(!u->letters[id - 1].left, "stamped twice");
	u->letters[id - 1].left = true;
	u->left++;
}

static void udp_overflowed(void *owner, uint64_t total)
{
	struct udp *u = owner;

	sim_require(total > u->overflowed, "it goes back");
	u->overflowed = total;
}

static const struct rt_dgram_events udp_events = { udp_received, udp_left, udp_overflowed,
						   NULL };

static void udp_sent(struct rt_op *op, int res)
{
	struct letter *l = rt_container_of(op, struct letter, op);

	l->sent = true;
	l->res = res;
	l->udp->refused += res < 0;
}

static void udp_send(void *arg)
{
	struct udp *u = arg;
	struct letter *l = &u->letters[u->next];
	uint8_t bytes[LETTER] = { 0 };

	l->udp = u;
	l->n = l->copy = u->next++;
	memcpy(bytes, &l->n, 4);
	memcpy(bytes + 4, &l->n, 4);
	l->op.done = udp_sent;
	rt_dgram_send(u->from, &l->op, &u->addr, bytes, sizeof(bytes), l->n + 1);
	memset(bytes, 0xff, sizeof(bytes));
	if (u->next < DGRAMS)
		sim_after(u->w, u->a, 100 * RT_US, udp_send, u);
}

/* A message of letters, the last one half as long. */
static void message_send(void *arg)
{
	struct udp *u = arg;
	uint8_t bytes[LETTERS_MAX * LETTER] = { 0 };
	struct letter *first = &u->letters[u->next];
	struct rt_message message = { .buf = bytes,
				      .len = u->message * LETTER - LETTER / 2,
				      .segment = LETTER,
				      .timestamp = u->next + 1 };

	for (unsigned i = 0; i < u->message; i++, u->next++) {
		struct letter *l = &u->letters[u->next];

		l->sent = i > 0; /* the first stands for all */
		memcpy(bytes + i * LETTER, &u->next, 4);
		memcpy(bytes + i * LETTER + 4, &u->next, 4);
	}
	first->udp = u;
	first->op.done = udp_sent;
	rt_dgram_send_message(u->from, &first->op, &u->addr, &message);
	memset(bytes, 0xff, sizeof(bytes));
	if (u->next + u->message <= DGRAMS)
		sim_after(u->w, u->a, 100 * RT_US, message_send, u);
}

static void udp_tap(void *arg, const uint8_t *dgram, size_t len, bool arrives)
{
	((struct udp *)arg)->tapped += arrives;
}

static void udp_run(struct udp *u, const struct sim_net_config *c)
{
	struct rt_addr any = { .kind = RT_ADDR_INET };

	memset(u->letters, 0, DGRAMS * sizeof(*u->letters));
	u->next = u->highest = 0;
	u->arrived = u->late = u->broken = u->left = u->refused = u->tapped = 0;
	u->overflowed = 0;
	sim_net_set_both(u->a, u->b, c);
	sim_node_addr(u->b, 7700, &u->addr);
	sim_net_tap(u->a, u->b, udp_tap, u);
	sim_node_enter(u->b);
	sim_require(rt_dgram_open(sim_node_loop(u->b), &u->addr, &udp_events, u,
				  &u->to) == 0,
		    "open");
	sim_node_leave(u->b);
	sim_node_enter(u->a);
	sim_require(rt_dgram_open(sim_node_loop(u->a), &any, &udp_events, u, &u->from) ==
			    0,
		    "open");
	if (u->message > 0)
		message_send(u);
	else
		udp_send(u);
	sim_node_leave(u->a);
}

static void udp_close(struct udp *u)
{
	sim_run_for(u->w, 2 * RT_S);
	for (unsigned i = 0; i < u->next; i++)
		sim_require(u->letters[i].sent, "a send without an end");
	rt_dgram_close(u->from);
	rt_dgram_close(u->to);
}

/* Without faults: everything once, in order, stamped. */
static void datagrams_arrive(struct udp *u)
{
	udp_run(u, &(struct sim_net_config){ .delay_ns = 20 * RT_MS,
					     .jitter_ns = 10 * RT_MS });
	udp_close(u);
	sim_require(u->arrived == DGRAMS && u->late == 0 && u->left == DGRAMS &&
			    u->refused == 0 && u->tapped == DGRAMS,
		    "arrived %u late %u left %u refused %u", u->arrived, u->late, u->left,
		    u->refused);
}

/* Each fault at its rate, within six standard deviations. */
static void near(const char *what, double got, double p)
{
	double mean = p * DGRAMS, bound = 36 * mean * (1 - p) + 4;

	sim_require((got - mean) * (got - mean) < bound, "%s: %.0f of %.0f", what, got,
		    mean);
}

static void faults_have_their_rates(struct udp *u)
{
	udp_run(u, &(struct sim_net_config){ .loss = 0.05 });
	udp_close(u);
	near("loss", DGRAMS - u->arrived, 0.05);
	sim_require(u->left == DGRAMS, "what the line loses has left");
	udp_run(u, &(struct sim_net_config){ .duplicate = 0.1, .corrupt = 0.2 });
	udp_close(u);
	near("duplicate", u->arrived - DGRAMS, 0.1);
	sim_require(u->broken > 0, "corruption");
	udp_run(u, &(struct sim_net_config){ .local_drop = 0.1, .stamp_lost = 0.1 });
	udp_close(u);
	near("local drop", u->refused, 0.1);
	near("stamps", u->left, 0.9 * 0.9);
	for (unsigned i = 0; i < DGRAMS; i++)
		sim_require(!u->letters[i].left || u->letters[i].res == 0,
			    "a stamp for what was dropped here");
	udp_run(u, &(struct sim_net_config){ .reorder = 0.1,
					     .reorder_ns = 50 * RT_MS,
					     .rcvbuf_drop = 0.1 });
	udp_close(u);
	sim_require(u->late > DGRAMS / 50, "reordered: %u", u->late);
	near("overflow", (double)u->overflowed, 0.1);
	sim_require(u->arrived + u->overflowed == DGRAMS, "who dropped it");
}

/* Gilbert: the mean loss, and bursts as long as asked. */
static void bursts_are_bursts(struct udp *u)
{
	unsigned bursts = 0, lost;

	udp_run(u, &(struct sim_net_config){ .bad = 0.01, .good = 0.125, .bad_loss = 1 });
	udp_close(u);
	lost = DGRAMS - u->arrived;
	for (unsigned i = 1; i < DGRAMS; i++)
		bursts += u->letters[i].arrived == 0 && u->letters[i - 1].arrived == 1;
	sim_require(bursts > 5 && lost > 3 * bursts && lost < 20 * bursts,
		    "%u lost in %u bursts", lost, bursts);
}

/* The rate holds, and what its queue cannot take is dropped. */
static void the_queue_overflows(struct udp *u)
{
	struct sim_net_stats before, after;
	/* offered: 128 bytes in 100 us, 10.24 Mbit/s */
	struct sim_net_config c = { .rate_bps = 5120000, .queue_bytes = 6400 };

	sim_net_stats(u->a, u->b, &before);
	udp_run(u, &c);
	udp_close(u);
	sim_net_stats(u->a, u->b, &after);
	sim_require(u->arrived > DGRAMS * 0.49 && u->arrived < DGRAMS * 0.53, "%u",
		    u->arrived);
	sim_require(after.lost - before.lost == DGRAMS - u->arrived, "counted");
}

/* A cut delivers what is in the line; with destroy it does not. Stamps go on. */
static void cuts_cut(struct udp *u, bool destroy)
{
	struct sim_net_stats stats, start;
	unsigned had;

	sim_net_stats(u->a, u->b, &start);
	udp_run(u, &(struct sim_net_config){ .delay_ns = 50 * RT_MS });
	sim_run_for(u->w, 200 * RT_MS);
	sim_net_stats(u->a, u->b, &stats);
	had = u->arrived;
	sim_require(stats.in_line > 400 && had > 1000, "%u there, %llu in line", had,
		    (unsigned long long)stats.in_line);
	sim_net_cut(u->a, u->b, destroy);
	sim_run_for(u->w, 2 * RT_S);
	sim_require(u->arrived == had + (destroy ? 0 : stats.in_line),
		    "%u arrived of %llu after the cut", u->arrived - had,
		    (unsigned long long)stats.in_line);
	sim_require(u->left == DGRAMS, "stamps: %u", u->left);
	sim_net_stats(u->a, u->b, &stats);
	sim_require(stats.in_line == 0 && stats.entered - start.entered + stats.refused -
							  start.refused ==
						  DGRAMS,
		    "counted");
	sim_net_mend(u->a, u->b);
	udp_close(u);
}

/* Each datagram of a message has its own fate; refused ones go out all the same. */
static void messages_are_datagrams(struct udp *u)
{
	unsigned messages;

	u->message = LETTERS_MAX;
	udp_run(u, &(struct sim_net_config){ .delay_ns = 20 * RT_MS });
	udp_close(u);
	messages = u->next / u->message;
	sim_require(u->arrived == u->next && u->late == 0 && u->broken == 0 &&
			    u->left == messages,
		    "arrived %u left %u", u->arrived, u->left);
	udp_run(u, &(struct sim_net_config){ .refuse_message = 0.3 });
	udp_close(u);
	sim_require(u->arrived == u->next && u->broken == 0 && u->left == messages,
		    "refused: arrived %u left %u", u->arrived, u->left);
	udp_run(u, &(struct sim_net_config){ .loss = 0.05 });
	udp_close(u);
	near("loss in messages", DGRAMS - u->arrived, 0.05);
	sim_require(u->left == messages, "what the line loses has left");
	udp_run(u, &(struct sim_net_config){ .path_mtu = LETTER + 27 });
	udp_close(u);
	sim_require(u->arrived == messages && u->left == messages && u->refused == 0,
		    "only the short ones pass: %u", u->arrived);
	u->message = 0;
}

static void run_dgram(struct sim_world *w)
{
	struct udp u = { .w = w, .letters = calloc(DGRAMS, sizeof(struct letter)) };

	sim_require(u.letters != NULL, "memory");
	u.a = sim_node_new(w, "a");
	u.b = sim_node_new(w, "b");
	sim_node_start(u.a);
	sim_node_start(u.b);
	datagrams_arrive(&u);
	faults_have_their_rates(&u);
	bursts_are_bursts(&u);
	the_queue_overflows(&u);
	cuts_cut(&u, false);
	cuts_cut(&u, true);
	messages_are_datagrams(&u);
	sim_node_stop(u.a);
	sim_node_stop(u.b);
	free(u.letters);
}

SIM_SCENARIO(dgram, "simulated datagrams: loss, bursts, queues, cuts, stamps", run_dgram,
	     NULL, .all_max = 10);
