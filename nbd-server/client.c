// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd-server/client.h"
#include "nbd-server/server.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/mem.h"

/* Two answers of the longest kind: the greeting and what follows go out together. */
#define CLIENT_OUT_SIZE (2 * NBDS_HANDSHAKE_ROOM)

/* The least rate at which a client must move what it holds when others wait for it. */
#define CLIENT_RATE_MIN (INT64_C(1) << 20)

/*
 * All answers are in the socket's buffer, and reach a client that reads them even when we
 * have closed; this is only how long we go on emptying its side (see client_linger()).
 */
#define CLIENT_LINGER_MS 1000

static void client_arm(struct nbds_client *c, int64_t ms)
{
	rt_timer_arm(c->srv->loop, &c->timer,
		     rt_time_add(rt_now(c->srv->loop), ms * RT_MS));
}

/* How often a client that asked too early finds out whether its export is there. */
#define CLIENT_AGAIN_MS 50

/* How often one that has ended its side is looked at: has it gone? */
#define CLIENT_CHECK_MS 200

/* The one place where the state changes: it only ever goes on towards the end. */
static void client_set_state(struct nbds_client *c, enum nbds_client_state next)
{
	rt_assert(next > c->state);
	c->state = next;
	switch (next) {
	case NBDS_CL_NEGOTIATING:
		break;
	case NBDS_CL_SERVING:
		rt_timer_disarm(c->srv->loop, &c->timer);
		rt_free(c->out);
		c->out = NULL;
		break;
	case NBDS_CL_DRAINING:
		client_arm(c, c->srv->limits.patience_ms);
		break;
	case NBDS_CL_LINGERING:
		client_arm(c, CLIENT_LINGER_MS);
		break;
	case NBDS_CL_CLOSED:
		rt_timer_disarm(c->srv->loop, &c->timer);
		rt_timer_disarm(c->srv->loop, &c->retry);
		rt_timer_disarm(c->srv->loop, &c->end.check);
		rt_sock_close(c->sock);
		c->sock = NULL;
		c->srv->nopen--;
		break;
	}
}

/* ---- jobs -------------------------------------------------------------------------- */

struct nbds_job *nbds_job_new(struct nbds_client *c, uint64_t cookie)
{
	struct nbds_server *srv = c->srv;
	struct rt_list *e = rt_list_pop(&srv->jobs);
	struct nbds_job *job = e ? rt_container_of(e, struct nbds_job, link) : NULL;

	if (job)
		srv->njobs_kept--;
	else
		job = rt_alloc(sizeof(*job));
	if (!job)
		return NULL;
	*job = (struct nbds_job){
		.srv = srv,
		.client = c,
		.cookie = cookie,
		.since = rt_now(srv->loop),
	};
	rt_list_init(&job->link);
	c->njobs++;
	srv->njobs++;
	return job;
}

void nbds_job_free_buffer(struct nbds_job *job)
{
	if (!job->buf)
		return;
	if (job->client)
		job->client->memory -= nbds_payload_cost(job->span);
	nbds_payload_put(&job->srv->payload, job->buf, job->span);
	job->buf = NULL;
	nbds_server_memory_freed(job->srv);
}

void nbds_job_free(struct nbds_job *job)
{
	struct nbds_server *srv = job->srv;

	if (job->client) {
		rt_assert(job->client->njobs > 0);
		job->client->njobs--;
	}
	srv->njobs--;
	rt_list_remove(&job->link);
	nbds_job_free_buffer(job);
	if (srv->njobs_kept >= NBDS_JOBS_KEPT) {
		rt_free(job);
		return;
	}
	srv->njobs_kept++;
	rt_list_push_front(&srv->jobs, &job->link);
}

static void client_free_answers(struct nbds_client *c)
{
	struct rt_list *e;

	while ((e = rt_list_pop(&c->reply.answers)))
		nbds_job_free(rt_container_of(e, struct nbds_job, link));
}

/*
 * What the group still has stays there without its client: it must not keep the place of one
 * that is gone, for as long as a mirror is.
 */
static void client_abandon(struct nbds_client *c)
{
	struct rt_list *e;

	while ((e = rt_list_pop(&c->in_group))) {
		struct nbds_job *job = rt_container_of(e, struct nbds_job, link);

		if (job->buf)
			c->memory -= nbds_payload_cost(job->span);
		job->client = NULL;
		c->njobs--;
		c->nin_group--;
		c->abandoned++;
		nbds_server_abandon(c->srv, job);
	}
}

/* ---- what the log says of it ------------------------------------------------------- */

#define CLIENT_EXPORT_TEXT 96

/* "export=... " of the one that it has, or that it asked for and is not there; or "". */
static const char *client_export(const struct nbds_client *c,
				 char buf[CLIENT_EXPORT_TEXT])
{
	const char *name = c->attached ? c->handshake.chosen.name : c->handshake.missing;
	char quoted[80];

	buf[0] = 0;
	if (name[0])
		(void)snprintf(buf, CLIENT_EXPORT_TEXT, "export=%s ",
			       rt_log_quote(quoted, sizeof(quoted), name));
	return buf;
}

void nbds_client_fail(struct nbds_client *c, enum nbds_notice_kind kind, int err,
		      const char *why)
{
	char export[CLIENT_EXPORT_TEXT], text[NBDS_NOTICE_TEXT];

	if (c->state == NBDS_CL_CLOSED)
		return;
	(void)snprintf(text, sizeof(text), "%swhy=\"%s\"%s%s%s", client_export(c, export),
		       why, err ? " error=\"" : "", err ? strerror(-err) : "",
		       err ? "\"" : "");
	nbds_notice(&c->srv->notice, kind, rt_now(c->srv->loop), c->peer, text);
	nbds_client_close(c);
}

void nbds_client_lost(struct nbds_client *c, int res)
{
	char silent[160];

	(void)snprintf(silent, sizeof(silent),
		       "for %d s its host has answered nothing, or it has read nothing: "
		       "is the host up, and the network between?",
		       NBDS_SILENCE_MS / 1000);
	nbds_client_fail(c, NBDS_NOTICE_LOST, res,
			 res == -ETIMEDOUT ? silent : "the connection is broken");
}

/* Its negotiation has taken longer than it may. */
static void client_late(struct nbds_client *c)
{
	const char *why = "it has chosen no export in time";

	if (c->srv->stopping)
		why = "the server is stopping";
	else if (c->handshake.state == NBDS_HS_FLAGS)
		why = "it has said nothing in time: is it an NBD client?";
	c->srv->stats.handshake_timeouts++;
	nbds_client_fail(c, NBDS_NOTICE_TIMEOUT, 0, why);
}

void nbds_client_evict(struct nbds_client *c)
{
	nbds_client_fail(c, NBDS_NOTICE_EVICTED, 0,
			 c->payload.filling
				 ? "others wait for memory, and the data of a write "
				   "that it has begun do not arrive"
				 : "others wait for memory, and it does not read its "
				   "answers");
}

/* ---- negotiation ------------------------------------------------------------------- */

static void client_negotiate(struct nbds_client *c);

/* A send or a receive has come back with `res`: was it the last? */
static bool client_ends(struct nbds_client *c, int res)
{
	if (c->state == NBDS_CL_CLOSED)
		nbds_client_schedule(c);
	else if (res < 0)
		nbds_client_lost(c, res);
	else if (res == 0)
		nbds_client_close(c);
	else
		return false;
	return true;
}

static void client_flush_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, reply.send_op);

	c->reply.sending = false;
	if (client_ends(c, res))
		return;
	c->out_sent += (size_t)res;
	client_negotiate(c);
}

static void client_flush(struct nbds_client *c)
{
	c->reply.iov[0] =
		(struct iovec){ c->out + c->out_sent, c->out_len - c->out_sent };
	c->reply.sending = true;
	c->reply.send_op.done = client_flush_done;
	rt_sendv(c->sock, &c->reply.send_op, c->reply.iov, 1);
}

static void client_more_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, input.recv_op);

	c->input.receiving = false;
	if (client_ends(c, res))
		return;
	c->input.end += (size_t)res;
	client_negotiate(c);
}

static void client_more(struct nbds_client *c)
{
	/* The handshake takes what is whole, so what is left begins at the front. */
	rt_assert(c->input.begin == 0 && c->input.end < NBDS_INPUT_SIZE);
	c->input.receiving = true;
	c->input.recv_op.done = client_more_done;
	rt_recv(c->sock, &c->input.recv_op, c->input.bytes + c->input.end,
		NBDS_INPUT_SIZE - c->input.end);
}

static void client_start_serving(struct nbds_client *c)
{
	char name[80];

	c->attached = true;
	rt_log(RT_LOG_INFO, "nbd-attached export=%s client=%s read-only=%d",
	       rt_log_quote(name, sizeof(name), c->handshake.chosen.name), c->peer,
	       !!(c->handshake.chosen.flags & NBDS_FLAG_READ_ONLY));
	client_set_state(c, NBDS_CL_SERVING);
	nbds_receive(c);
}

/* The last option that was refused. */
static void client_say_option(struct nbds_client *c)
{
	char export[CLIENT_EXPORT_TEXT], text[NBDS_NOTICE_TEXT];

	(void)snprintf(text, sizeof(text), "%swhy=\"%s\" option=%u",
		       client_export(c, export), c->handshake.refused_why,
		       (unsigned)c->handshake.refused_option);
	nbds_notice(&c->srv->notice, NBDS_NOTICE_OPTION, rt_now(c->srv->loop), c->peer,
		    text);
}

/* Take in what there is; `true` when there is something to send first. */
static bool client_handshake(struct nbds_client *c)
{
	struct nbds_handshake_io io = {
		.in = c->input.bytes,
		.in_len = c->input.end,
		.out = c->out,
		.out_size = CLIENT_OUT_SIZE,
	};

	unsigned refused = c->handshake.refused;
	int err = nbds_handshake_run(&c->handshake, &io);

	refused = c->handshake.refused - refused;
	c->srv->stats.refused_options += refused;
	if (refused > 0)
		client_say_option(c);
	if (err) {
		c->srv->stats.handshake_errors++;
		nbds_client_fail(c, NBDS_NOTICE_HANDSHAKE, 0, c->handshake.broken_why);
		return false;
	}
	memmove(c->input.bytes, c->input.bytes + io.in_used, c->input.end - io.in_used);
	c->input.end -= io.in_used;
	c->out_len = io.out_len;
	c->out_sent = 0;
	return io.out_len > 0;
}

static void client_again(struct rt_timer *timer)
{
	struct nbds_client *c = rt_container_of(timer, struct nbds_client, retry);

	if (!rt_time_before(rt_now(c->srv->loop), c->wait_until))
		c->handshake.late = true;
	client_negotiate(c);
}

static void client_negotiate(struct nbds_client *c)
{
	if (c->out_sent < c->out_len) {
		client_flush(c);
		return;
	}
	if (c->handshake.state == NBDS_HS_DONE && !c->srv->stopping) {
		client_start_serving(c);
		return;
	}
	if (c->handshake.state == NBDS_HS_DONE || c->handshake.state == NBDS_HS_ABORTED) {
		nbds_client_drain(c, true);
		return;
	}
	if (client_handshake(c))
		client_flush(c);
	else if (c->state == NBDS_CL_NEGOTIATING && c->handshake.waiting)
		rt_timer_arm(c->srv->loop, &c->retry,
			     rt_time_add(rt_now(c->srv->loop), CLIENT_AGAIN_MS * RT_MS));
	else if (c->state == NBDS_CL_NEGOTIATING)
		client_more(c);
}

/* ---- the end ----------------------------------------------------------------------- */

static void client_linger(struct nbds_client *c);

void nbds_client_ignored(struct nbds_client *c, int res)
{
	if (c->state != NBDS_CL_LINGERING)
		nbds_client_schedule(c);
	else if (res <= 0)
		nbds_client_close(c);
	else
		client_linger(c);
}

static void client_linger_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, input.recv_op);

	c->input.receiving = false;
	nbds_client_ignored(c, res);
}

/*
 * A socket closed with bytes unread in it resets the connection, and the client would
 * lose the answers that it has not read yet. So end our side, and read the other out.
 */
static void client_linger(struct nbds_client *c)
{
	c->input.receiving = true;
	c->input.recv_op.done = client_linger_done;
	rt_recv(c->sock, &c->input.recv_op, c->input.bytes, NBDS_INPUT_SIZE);
}

/* Everything that was asked is answered: end, if an end is due. */
static void client_advance(struct nbds_client *c)
{
	unsigned unread = (c->payload.filling ? 1 : 0) + (c->payload.skipping ? 1 : 0);

	if (c->state != NBDS_CL_DRAINING || c->reply.sending || c->njobs > unread)
		return;
	/* A receive of before the drain still owns the buffers; it comes back here. */
	if (!c->polite) {
		nbds_client_close(c);
		return;
	}
	rt_sock_shutdown(c->sock);
	client_set_state(c, NBDS_CL_LINGERING);
	if (!c->input.receiving)
		client_linger(c);
}

void nbds_client_drain(struct nbds_client *c, bool polite)
{
	rt_assert(c->state == NBDS_CL_SERVING || c->state == NBDS_CL_NEGOTIATING);
	if (c->end.over) {
		nbds_client_close(c);
		return;
	}
	c->polite = polite;
	c->input.stuck = false;
	client_set_state(c, NBDS_CL_DRAINING);
	nbds_server_leave(c->srv, c);
	if (!c->input.receiving)
		nbds_receive_drop(c);
	nbds_client_schedule(c);
}

void nbds_client_close(struct nbds_client *c)
{
	if (c->state == NBDS_CL_CLOSED)
		return;
	c->input.stuck = false;
	client_set_state(c, NBDS_CL_CLOSED);
	nbds_server_leave(c->srv, c);
	if (!c->input.receiving)
		nbds_receive_drop(c);
	client_free_answers(c);
	client_abandon(c);
	nbds_client_schedule(c);
}

/*
 * A receive that is under way finds the end by itself, after what the client has sent before
 * it left. Without one nothing would: the client stands still, or waits for the group.
 */
static void client_is_over(struct nbds_client *c)
{
	c->end.over = true;
	if (c->state == NBDS_CL_LINGERING)
		return; /* our own end is half of this; the other side is being read out */
	if (c->state == NBDS_CL_DRAINING || !c->input.receiving)
		nbds_client_close(c);
}

/* It has ended its side only: the kernel does not say when it ends the other one. */
static void client_check_fired(struct rt_timer *timer)
{
	struct nbds_client *c = rt_container_of(timer, struct nbds_client, end.check);

	if (rt_sock_is_over(c->sock))
		client_is_over(c);
	else
		rt_timer_arm(c->srv->loop, timer,
			     rt_time_add(rt_now(c->srv->loop), CLIENT_CHECK_MS * RT_MS));
}

static void client_end_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, end.op);

	c->end.awaited = false;
	if (c->state == NBDS_CL_CLOSED) {
		nbds_client_schedule(c);
		return;
	}
	if (res < 0)
		return; /* this kernel cannot tell: a send or a receive finds out */
	c->end.half = true;
	if (res > 0)
		client_is_over(c);
	else
		client_check_fired(&c->end.check);
}

static void client_await_end(struct nbds_client *c)
{
	c->end.op.done = client_end_done;
	c->end.check.fire = client_check_fired;
	/* Of standard input and output only a receive or a send finds the end. */
	c->end.awaited = rt_sock_await_end(c->sock, &c->end.op) == 0;
}

void nbds_client_stuck(struct nbds_client *c)
{
	if (c->end.over)
		nbds_client_close(c);
}

bool nbds_client_is_leaving(const struct nbds_client *c)
{
	if (c->state == NBDS_CL_DRAINING)
		return c->nin_group > 0 && !c->polite;
	return c->state == NBDS_CL_SERVING && c->input.stuck && c->end.half;
}

void nbds_client_stop(struct nbds_client *c)
{
	if (c->state == NBDS_CL_NEGOTIATING) {
		c->handshake.stopping = true;
		client_arm(c, CLIENT_LINGER_MS);
	} else if (c->state == NBDS_CL_SERVING) {
		nbds_client_drain(c, true);
	}
}

static void client_free(struct nbds_client *c)
{
	struct nbds_server *srv = c->srv;
	char name[80];

	if (c->attached)
		rt_log(RT_LOG_INFO, "nbd-detached export=%s client=%s abandoned=%u",
		       rt_log_quote(name, sizeof(name), c->handshake.chosen.name),
		       c->peer, c->abandoned);
	rt_list_remove(&c->link);
	rt_free(c->input.bytes);
	rt_free(c->out);
	rt_free(c);
	nbds_server_client_gone(srv);
}

static void client_reap(struct nbds_client *c)
{
	nbds_done_fn *done = c->done;
	void *owner = c->owner;

	if (c->input.receiving || c->reply.sending || c->end.awaited || c->scheduled ||
	    c->njobs > 0)
		return;
	client_free(c);
	if (done)
		done(owner);
}

void nbds_client_answered(struct nbds_client *c)
{
	if (rt_timer_armed(&c->timer))
		client_arm(c, c->srv->limits.patience_ms);
}

static void client_timer_fired(struct rt_timer *timer)
{
	struct nbds_client *c = rt_container_of(timer, struct nbds_client, timer);

	if (c->state == NBDS_CL_NEGOTIATING) {
		client_late(c);
		return;
	}
	/* What a group holds will be answered; only the client's own delay is bounded. */
	if (c->nin_group > 0) {
		client_arm(c, c->srv->limits.patience_ms);
		return;
	}
	if (c->state == NBDS_CL_DRAINING)
		nbds_client_fail(
			c, NBDS_NOTICE_EVICTED, 0,
			"its connection is to end, and it does not read its last "
			"answers");
	else
		nbds_client_close(c);
}

/* ---- the turn ---------------------------------------------------------------------- */

static void client_turn_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, turn_op);

	c->scheduled = false;
	if (c->state == NBDS_CL_CLOSED) {
		client_reap(c);
		return;
	}
	if (c->input.stuck)
		nbds_receive(c);
	if (c->state == NBDS_CL_SERVING || c->state == NBDS_CL_DRAINING)
		nbds_reply_send(c);
	client_advance(c);
}

void nbds_client_schedule(struct nbds_client *c)
{
	if (c->scheduled)
		return;
	c->scheduled = true;
	rt_defer(c->srv->loop, &c->turn_op);
}

static rt_time client_due(const struct nbds_client *c, const struct nbds_job *job)
{
	int64_t ns = c->srv->limits.patience_ms * RT_MS +
		     (int64_t)job->span * RT_S / CLIENT_RATE_MIN;

	return rt_time_add(job->since, ns);
}

bool nbds_client_overdue(const struct nbds_client *c, rt_time now)
{
	const struct rt_list *first;

	if (c->state == NBDS_CL_CLOSED)
		return false;
	if (c->payload.filling && rt_time_before(client_due(c, c->payload.filling), now))
		return true;
	first = rt_list_empty(&c->reply.sent) ? &c->reply.answers : &c->reply.sent;
	if (rt_list_empty(first))
		return false;
	return rt_time_before(
		client_due(c, rt_container_of(first->next, struct nbds_job, link)), now);
}

int nbds_client_new(struct nbds_server *srv, struct rt_sock *sock, const char *peer,
		    nbds_done_fn *done, void *owner)
{
	struct nbds_client *c = rt_zalloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->input.bytes = rt_alloc(NBDS_INPUT_SIZE);
	c->out = rt_alloc(CLIENT_OUT_SIZE);
	if (!c->input.bytes || !c->out)
		goto fail;
	c->srv = srv;
	c->sock = sock;
	(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
	c->done = done;
	c->owner = owner;
	c->timer.fire = client_timer_fired;
	c->turn_op.done = client_turn_done;
	rt_list_init(&c->waiting);
	rt_list_init(&c->in_group);
	rt_list_init(&c->reply.answers);
	rt_list_init(&c->reply.sent);
	rt_list_push_back(&srv->clients, &c->link);
	srv->nclients++;
	srv->nopen++;
	nbds_handshake_init(&c->handshake, &srv->catalog);
	client_arm(c, srv->limits.handshake_ms);
	/* Half of the time, so that a refused client has as much to react. */
	c->retry.fire = client_again;
	c->wait_until =
		rt_time_add(rt_now(srv->loop), srv->limits.handshake_ms / 2 * RT_MS);
	client_await_end(c);
	client_negotiate(c);
	return 0;
fail:
	rt_free(c->input.bytes);
	rt_free(c->out);
	rt_free(c);
	return -ENOMEM;
}
