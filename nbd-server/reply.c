// SPDX-License-Identifier: BSD-3-Clause
#include "nbd-server/client.h"
#include "nbd-server/error.h"
#include "nbd-server/server.h"
#include "rt/check.h"

void nbds_reply(struct nbds_job *job, int res)
{
	struct nbds_client *c = job->client;

	job->res = res;
	job->since = rt_now(c->srv->loop);
	rt_list_push_back(&c->reply.answers, &job->link);
	nbds_client_schedule(c);
}

static void reply_add(struct nbds_client *c, void *p, size_t len)
{
	struct iovec *last =
		c->reply.iov_end > 0 ? &c->reply.iov[c->reply.iov_end - 1] : NULL;

	/* Heads lie one behind the other: answers without data become one piece. */
	if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += len;
		return;
	}
	rt_assert(c->reply.iov_end < RT_ARRAY_LEN(c->reply.iov));
	c->reply.iov[c->reply.iov_end++] = (struct iovec){ p, len };
}

/* Bytes of data in the answer to `job`. */
static size_t reply_data(const struct nbds_job *job)
{
	bool data = job->res == 0 && job->buf && job->group.kind == GROUP_READ;

	return data ? job->group.len : 0;
}

static void reply_gather_one(struct nbds_client *c, struct nbds_job *job, unsigned i)
{
	size_t data = reply_data(job);

	c->reply.heads[i] = (struct nbds_reply_head){
		.magic = be32_make(NBDS_REPLY_MAGIC),
		.error = be32_make(nbds_error(job->res)),
		.cookie = be64_make(job->cookie),
	};
	reply_add(c, &c->reply.heads[i], sizeof(c->reply.heads[i]));
	if (data > 0)
		reply_add(c, job->buf + job->group.offset % GROUP_BLOCK, data);
	rt_list_push_back(&c->reply.sent, &job->link);
}

static void reply_send_rest(struct nbds_client *c)
{
	c->reply.sending = true;
	rt_sendv(c->sock, &c->reply.send_op, &c->reply.iov[c->reply.iov_at],
		 c->reply.iov_end - c->reply.iov_at);
}

/* `n` bytes more have been sent: move on in the iovec array. */
static void reply_advance(struct nbds_client *c, size_t n)
{
	while (c->reply.iov_at < c->reply.iov_end &&
	       n >= c->reply.iov[c->reply.iov_at].iov_len)
		n -= c->reply.iov[c->reply.iov_at++].iov_len;
	if (c->reply.iov_at == c->reply.iov_end)
		return;
	c->reply.iov[c->reply.iov_at].iov_base =
		(uint8_t *)c->reply.iov[c->reply.iov_at].iov_base + n;
	c->reply.iov[c->reply.iov_at].iov_len -= n;
}

/*
 * The same `n` bytes: free what has been sent whole. The client's time for the next answer
 * begins now, since it has read until here.
 */
static void reply_free_whole(struct nbds_client *c, size_t n)
{
	bool moved = false;

	c->reply.passed += n;
	while (!rt_list_empty(&c->reply.sent)) {
		struct nbds_job *job =
			rt_container_of(c->reply.sent.next, struct nbds_job, link);
		size_t len = sizeof(struct nbds_reply_head) + reply_data(job);

		if (moved)
			job->since = rt_now(c->srv->loop);
		if (c->reply.passed < len)
			return;
		c->reply.passed -= len;
		nbds_job_free(job);
		moved = true;
	}
}

/* The connection is over: nobody reads the rest. */
static void reply_free_sent(struct nbds_client *c)
{
	struct rt_list *e;

	while ((e = rt_list_pop(&c->reply.sent)))
		nbds_job_free(rt_container_of(e, struct nbds_job, link));
}

static void reply_send_done(struct rt_op *op, int res)
{
	struct nbds_client *c = rt_container_of(op, struct nbds_client, reply.send_op);

	c->reply.sending = false;
	if (c->state == NBDS_CL_CLOSED) {
		reply_free_sent(c);
		nbds_client_schedule(c);
		return;
	}
	if (res <= 0) {
		reply_free_sent(c);
		nbds_client_lost(c, res);
		return;
	}
	reply_advance(c, (size_t)res);
	reply_free_whole(c, (size_t)res);
	if (c->reply.iov_at < c->reply.iov_end) {
		reply_send_rest(c);
		return;
	}
	rt_assert(rt_list_empty(&c->reply.sent) && c->reply.passed == 0);
	nbds_reply_send(c);
	if (c->input.stuck || c->state != NBDS_CL_SERVING || c->srv->stopping)
		nbds_client_schedule(c);
}

void nbds_reply_send(struct nbds_client *c)
{
	struct rt_list *e;
	unsigned i;

	if (c->reply.sending || rt_list_empty(&c->reply.answers))
		return;
	c->reply.iov_at = c->reply.iov_end = 0;
	for (i = 0; i < NBDS_BATCH && (e = rt_list_pop(&c->reply.answers)); i++)
		reply_gather_one(c, rt_container_of(e, struct nbds_job, link), i);
	c->reply.send_op.done = reply_send_done;
	reply_send_rest(c);
}
