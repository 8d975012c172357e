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
	return c->input.end - c->input.begin;
}

static size_t receive_take(struct nbds_client *c, size_t want)
{
	size_t n = receive_left(c);

	return n < want ? n : want;
}

void nbds_receive_drop(struct nbds_client *c)
{
	rt_assert(!c->input.receiving);
	if (c->payload.filling)
		nbds_job_free(c->payload.filling);
	if (c->payload.skipping)
		nbds_job_free(c->payload.skipping);
	c->payload.filling = c->payload.skipping = NULL;
	c->payload.skip = 0;
}

/* ---- to the group ------------------------------------------------------------------ */

static void receive_group_done(struct group_request *r, int res)
{
	struct nbds_job *job = rt_container_of(r, struct nbds_job, group);
	struct nbds_client *c = job->client;

	if (res < 0)
		job->srv->stats.failed_requests++;
	if (!c) {
		nbds_server_abandoned_done(job);
		return;
	}
	rt_list_remove(&job->link);
	c->nin_group--;
	/*
	 * What the stop of the group ended has no answer: the connection's end is one, and a
	 * client that connects again asks again. An error would be final.
	 */
	if (res == -ESHUTDOWN && c->srv->stopping) {
		nbds_job_free(job);
		nbds_client_schedule(c);
		return;
	}
	nbds_reply(job, res);
	if (c->nin_group == 0)
		nbds_client_answered(c);
}

/* The data are in the log: only the answer is still owed, so let others have the memory. */
static void receive_released(struct group_request *r)
{
	struct nbds_job *job = rt_container_of(r, struct nbds_job, group);

	nbds_job_free_buffer(job);
	if (job->client)
		nbds_client_schedule(job->client);
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
	receive_count(&c->srv->stats, &job->group);
	job->group.done = receive_group_done;
	job->group.released = receive_released;
	c->nin_group++;
	rt_list_push_back(&c->in_group, &job->link);
	group_submit(&job->group);
}

/* ---- payload ----------------------------------------------------------------------- */

static enum receive_step receive_filled(struct nbds_client *c)
{
	struct nbds_job *job = c->payload.filling;

	if (c->payload.filled < job->group.len)
		return RECEIVE_MORE;
	c->payload.filling = NULL;
	receive_submit(c, job);
	return RECEIVE_WENT_ON;
}

static uint8_t *receive_place(const struct nbds_client *c)
{
	const struct nbds_job *job = c->payload.filling;

	return job->buf + job->group.offset % GROUP_BLOCK + c->payload.filled;
}

static enum receive_step receive_payload(struct nbds_client *c)
{
	size_t n = receive_take(c, c->payload.filling->group.len - c->payload.filled);

	memcpy(receive_place(c), c->input.bytes + c->input.begin, n);
	c->input.begin += n;
	c->payload.filled += (uint32_t)n;
	return receive_filled(c);
}

static enum receive_step receive_skip(struct nbds_client *c)
{
	size_t n = receive_take(c, c->payload.skip);
	struct nbds_job *job = c->payload.skipping;

	c->input.begin += n;
	c->payload.skip -= (uint32_t)n;
	if (c->payload.skip > 0)
		return RECEIVE_MORE;
	c->payload.skipping = NULL;
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
	    c->memory + nbds_payload_cost(span) > srv->limits.client_memory) {
		nbds_server_set_short(srv, c, true);
		return -EBUSY;
	}
	err = first ? nbds_payload_get(&srv->payload, span, ret) : -ENOBUFS;
	if (err == -ENOBUFS) {
		nbds_server_wait(srv, c);
		return -EBUSY;
	}
	nbds_server_leave(srv, c);
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
	c->payload.skipping = job;
	c->payload.skip = nbds_request_payload(req);
}

static void receive_accept(struct nbds_client *c, const struct nbds_request *req,
			   struct nbds_job *job)
{
	nbds_request_to_group(req, &job->group);
	if (c->input.flushes)
		job->group.flags |= GROUP_CLIENT_FLUSHES;
	if (job->group.kind == GROUP_FLUSH || (job->group.flags & GROUP_FUA))
		c->input.flushes = true;
	job->group.volume = c->handshake.chosen.volume;
	job->group.buf = job->buf;
	if (nbds_request_payload(req) == 0) {
		receive_submit(c, job);
		return;
	}
	c->payload.filling = job;
	c->payload.filled = 0;
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
		nbds_client_fail(c, NBDS_NOTICE_LOST, -ENOMEM, "no memory for a request");
		return RECEIVE_ENDED;
	}
	job->buf = buf;
	job->span = span;
	c->memory += buf ? nbds_payload_cost(span) : 0;
	c->input.begin += sizeof(struct nbds_request_head);
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
	if (nbds_request_decode((const void *)(c->input.bytes + c->input.begin), &req)) {
		c->srv->stats.protocol_errors++;
		nbds_client_fail(c, NBDS_NOTICE_PROTOCOL, 0,
				 "no request begins like this");
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
	struct nbds_client *c = rt_container_of(op, struct nbds_client, input.recv_op);

	c->input.receiving = false;
	if (c->state != NBDS_CL_SERVING) {
		nbds_receive_drop(c);
		nbds_client_ignored(c, res);
		return;
	}
	if (res < 0) {
		nbds_client_lost(c, res);
		return;
	}
	if (res == 0) {
		nbds_client_drain(c, false);
		return;
	}
	if (c->input.receiving_direct) {
		c->payload.filled += (uint32_t)res;
		(void)receive_filled(c);
	} else {
		c->input.end += (size_t)res;
	}
	nbds_receive(c);
}

static void receive_start(struct nbds_client *c)
{
	uint32_t left = c->payload.filling
				? c->payload.filling->group.len - c->payload.filled
				: 0;

	if (c->input.begin > 0) {
		memmove(c->input.bytes, c->input.bytes + c->input.begin, receive_left(c));
		c->input.end -= c->input.begin;
		c->input.begin = 0;
	}
	c->input.receiving = true;
	c->input.recv_op.done = receive_done;
	c->input.receiving_direct = left >= RECEIVE_DIRECT_MIN;
	if (c->input.receiving_direct)
		rt_recv(c->sock, &c->input.recv_op, receive_place(c), left);
	else
		rt_recv(c->sock, &c->input.recv_op, c->input.bytes + c->input.end,
			NBDS_INPUT_SIZE - c->input.end);
}

static enum receive_step receive_step(struct nbds_client *c)
{
	if (c->payload.filling)
		return receive_payload(c);
	if (c->payload.skipping)
		return receive_skip(c);
	return receive_head(c);
}

void nbds_receive(struct nbds_client *c)
{
	enum receive_step step;

	if (c->state != NBDS_CL_SERVING || c->input.receiving)
		return;
	do
		step = receive_step(c);
	while (step == RECEIVE_WENT_ON);
	c->input.stuck = step == RECEIVE_STUCK;
	if (step == RECEIVE_MORE)
		receive_start(c);
	if (!c->input.stuck)
		return;
	c->srv->stats.waited++;
	nbds_client_stuck(c);
}
