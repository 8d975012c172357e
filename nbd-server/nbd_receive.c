// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "nbd-server/client.h"
#include "nbd-server/nbd_request.h"
#include "nbd-server/payload.h"
#include "nbd-server/server.h"
#include "rt/check.h"

/* What is left of a payload goes straight to its place if it is at least this long. */
#define RECEIVE_DIRECT_MIN (16u << 10)

/* What a step of the input can come to, besides an error. */
enum receive_step {
	RECEIVE_MORE = 0, /* input is needed */
	RECEIVE_WENT_ON = 1,
	RECEIVE_STUCK = 2, /* a limit is reached */
	RECEIVE_ENDED = 3, /* no more requests will be read */
};

static size_t receive_left(const struct nbds_client *c)
{
	return c->in_end - c->in_begin;
}

static size_t receive_take(struct nbds_client *c, size_t want)
{
	size_t n = receive_left(c);

	return n < want ? n : want;
}

void nbds_receive_drop(struct nbds_client *c)
{
	rt_assert(!c->receiving);
	if (c->filling)
		nbds_job_free(c->filling);
	if (c->skipping)
		nbds_job_free(c->skipping);
	c->filling = c->skipping = NULL;
	c->skip = 0;
}

/* ---- to the group ------------------------------------------------------------------ */

static void receive_group_done(struct group_request *r, int res)
{
	struct nbds_job *job = rt_container_of(r, struct nbds_job, group);
	struct nbds_client *c = job->client;

	c->in_group--;
	if (res < 0)
		c->srv->stats.failed_requests++;
	if (c->state == NBDS_CL_CLOSED) {
		nbds_job_free(job);
		nbds_client_schedule(c);
		return;
	}
	nbds_reply(job, res);
}

static void receive_count(struct nbds_stats *stats, const struct group_request *r)
{
	switch (r->kind) {
	case GROUP_READ:
		stats->reads++;
		stats->read_bytes += r->len;
		return;
	case GROUP_WRITE:
		stats->writes++;
		stats->write_bytes += r->len;
		return;
	case GROUP_TRIM:
		stats->trims++;
		return;
	case GROUP_ZERO:
		stats->zeroes++;
		return;
	case GROUP_FLUSH:
		stats->flushes++;
		return;
	}
}

static void receive_submit(struct nbds_client *c, struct nbds_job *job)
{
	/* It began before the stop, but no group may be asked any more. */
	if (c->srv->stopping) {
		nbds_reply(job, -ESHUTDOWN);
		return;
	}
	receive_count(&c->srv->stats, &job->group);
	job->group.done = receive_group_done;
	c->in_group++;
	group_submit(&job->group);
}

/* ---- payload ----------------------------------------------------------------------- */

static enum receive_step receive_filled(struct nbds_client *c)
{
	struct nbds_job *job = c->filling;

	if (c->filled < job->group.len)
		return RECEIVE_MORE;
	c->filling = NULL;
	receive_submit(c, job);
	return RECEIVE_WENT_ON;
}

static uint8_t *receive_place(const struct nbds_client *c)
{
	const struct nbds_job *job = c->filling;

	return job->buf + job->group.offset % GROUP_BLOCK + c->filled;
}

static enum receive_step receive_payload(struct nbds_client *c)
{
	size_t n = receive_take(c, c->filling->group.len - c->filled);

	memcpy(receive_place(c), c->in + c->in_begin, n);
	c->in_begin += n;
	c->filled += (uint32_t)n;
	return receive_filled(c);
}

static enum receive_step receive_skip(struct nbds_client *c)
{
	size_t n = receive_take(c, c->skip);
	struct nbds_job *job = c->skipping;

	c->in_begin += n;
	c->skip -= (uint32_t)n;
	if (c->skip > 0)
		return RECEIVE_MORE;
	c->skipping = NULL;
	nbds_reply(job, job->res);
	return RECEIVE_WENT_ON;
}

/* ---- requests ---------------------------------------------------------------------- */

/*
 * Memory for `span` bytes. 0; -EBUSY when the client has to wait for it; -ENOMEM. Who
 * waits keeps its turn: nobody overtakes the queue.
 */
static int receive_memory(struct nbds_client *c, size_t span, uint8_t **ret)
{
	struct nbds_server *srv = c->srv;
	bool first = rt_list_empty(&srv->waiters) || srv->waiters.next == &c->waiting;
	int err;

	/* Its own requests will be answered, and then it goes on. */
	if (c->memory > 0 &&
	    c->memory + nbds_payload_cost(span) > srv->limits.client_memory)
		return -EBUSY;
	err = first ? nbds_payload_get(&srv->payload, span, ret) : -ENOBUFS;
	if (err == -ENOBUFS) {
		nbds_server_wait(srv, c);
		return -EBUSY;
	}
	if (!rt_list_empty(&c->waiting)) {
		rt_list_remove(&c->waiting);
		nbds_server_memory_freed(srv);
	}
	return err;
}

/* Answer a request that no group will see; its payload, if any, is thrown away. */
static void receive_refuse(struct nbds_client *c, const struct nbds_request *req,
			   struct nbds_job *job, int err)
{
	c->srv->stats.refused_requests++;
	if (nbds_request_payload(req) == 0 || nbds_request_hopeless(req)) {
		nbds_reply(job, err);
		return;
	}
	job->res = err;
	c->skipping = job;
	c->skip = nbds_request_payload(req);
}

static void receive_accept(struct nbds_client *c, const struct nbds_request *req,
			   struct nbds_job *job)
{
	nbds_request_to_group(req, &job->group);
	job->group.volume = c->handshake.chosen.volume;
	job->group.buf = job->buf;
	if (nbds_request_payload(req) == 0) {
		receive_submit(c, job);
		return;
	}
	c->filling = job;
	c->filled = 0;
}

static bool receive_has_data(const struct nbds_request *req)
{
	return req->type == NBDS_CMD_READ || req->type == NBDS_CMD_WRITE;
}

/* A request whose header is there, and stays there until everything it needs is ours. */
static enum receive_step receive_request(struct nbds_client *c,
					 const struct nbds_request *req)
{
	const struct nbds_export *export = &c->handshake.chosen;
	struct nbds_job *job;
	uint8_t *buf = NULL;
	size_t span = 0;
	int err;

	if (c->njobs >= c->srv->limits.inflight)
		return RECEIVE_STUCK;
	err = nbds_request_check(req, export->size, export->flags);
	if (c->srv->stopping)
		err = -ESHUTDOWN;
	if (!err && receive_has_data(req)) {
		span = group_request_span(req->offset, req->len);
		err = receive_memory(c, span, &buf);
		if (err == -EBUSY)
			return RECEIVE_STUCK;
	}
	job = nbds_job_new(c, req->cookie);
	if (!job) {
		if (buf)
			nbds_payload_put(&c->srv->payload, buf, span);
		nbds_client_close(c);
		return RECEIVE_ENDED;
	}
	job->buf = buf;
	job->span = span;
	c->memory += buf ? nbds_payload_cost(span) : 0;
	c->in_begin += sizeof(struct nbds_request_head);
	if (err)
		receive_refuse(c, req, job, err);
	else
		receive_accept(c, req, job);
	if (!nbds_request_hopeless(req))
		return RECEIVE_WENT_ON;
	nbds_client_drain(c, true);
	return RECEIVE_ENDED;
}

static enum receive_step receive_head(struct nbds_client *c)
{
	struct nbds_request req;

	if (receive_left(c) < sizeof(struct nbds_request_head))
		return RECEIVE_MORE;
	if (nbds_request_decode((const void *)(c->in + c->in_begin), &req)) {
		c->srv->stats.protocol_errors++;
		nbds_client_close(c);
		return RECEIVE_ENDED;
	}
	if (req.type == NBDS_CMD_DISC) {
		nbds_client_drain(c, false);
		return RECEIVE_ENDED;
	}
	return receive_request(c, &req);
}

/* ---- from the socket --------------------------------------------------------------- */

static void receive_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, recv_op);

	c->receiving = false;
	if (c->state != NBDS_CL_SERVING) {
		nbds_receive_drop(c);
		nbds_client_ignored(c, res);
		return;
	}
	if (res < 0) {
		nbds_client_close(c);
		return;
	}
	if (res == 0) {
		nbds_client_drain(c, false);
		return;
	}
	if (c->receiving_direct) {
		c->filled += (uint32_t)res;
		(void)receive_filled(c);
	} else {
		c->in_end += (size_t)res;
	}
	nbds_receive(c);
}

static void receive_start(struct nbds_client *c)
{
	uint32_t left = c->filling ? c->filling->group.len - c->filled : 0;

	if (c->in_begin > 0) {
		memmove(c->in, c->in + c->in_begin, receive_left(c));
		c->in_end -= c->in_begin;
		c->in_begin = 0;
	}
	c->receiving = true;
	c->recv_op.done = receive_done;
	c->receiving_direct = left >= RECEIVE_DIRECT_MIN;
	if (c->receiving_direct)
		rt_recv(c->sock, &c->recv_op, receive_place(c), left);
	else
		rt_recv(c->sock, &c->recv_op, c->in + c->in_end,
			NBDS_INPUT_SIZE - c->in_end);
}

static enum receive_step receive_step(struct nbds_client *c)
{
	if (c->filling)
		return receive_payload(c);
	if (c->skipping)
		return receive_skip(c);
	return receive_head(c);
}

void nbds_receive(struct nbds_client *c)
{
	enum receive_step step;

	if (c->state != NBDS_CL_SERVING || c->receiving)
		return;
	do
		step = receive_step(c);
	while (step == RECEIVE_WENT_ON);
	c->stuck = step == RECEIVE_STUCK;
	if (step == RECEIVE_MORE)
		receive_start(c);
	if (c->stuck)
		c->srv->stats.waited++;
}
