// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/request.h"

#include <errno.h>
#include <string.h>

#include "replicator/group_private.h"

bool request_inside(const struct group_request *r)
{
	return r->offset <= r->volume->size && r->len <= r->volume->size - r->offset;
}

/* As the mode of a volume, or what a request makes of that, asks for. */
static struct gate_need request_mode_need(const struct group_volume *v,
					  enum group_mode mode)
{
	const struct group_config *config = &v->group->config;

	if (!config->has_peer)
		return (struct gate_need){ .mode = GROUP_LOCAL };
	return (struct gate_need){
		.mode = mode,
		.lowerable = v->has_policy ? v->policy == GROUP_CONTINUE
					   : gate_lowerable(config->on_disconnect, mode),
	};
}

void request_volume_need(const struct group_volume *v, struct gate_need *ret)
{
	*ret = request_mode_need(v, v->sync);
}

void request_kind_need(const struct group_volume *v, const struct gate_rule_request *kind,
		       struct gate_need *ret)
{
	const struct group_config *config = &v->group->config;
	enum group_mode mode = gate_rule_mode(config->hold, v->sync, kind);

	if (kind->durable && config->fua_remote)
		mode = GROUP_REMOTE;
	*ret = request_mode_need(v, mode);
	ret->durable = kind->durable;
}

void request_need(const struct group_request *r, struct gate_need *ret)
{
	const struct gate_rule_request kind = {
		.durable = r->kind == GROUP_FLUSH || (r->flags & GROUP_FUA),
		.client_flushes = r->flags & GROUP_CLIENT_FLUSHES,
	};

	request_kind_need(r->volume, &kind, ret);
}

/* ---- replies --------------------------------------------------------------------------- */

static void request_reply(struct group_request *r, int res)
{
	struct group_volume *v = r->volume;
	struct group *g = v->group;
	struct request_state *s = request_state(r);

	if (res == 0) {
		if (s->lsn > v->replied_lsn)
			v->replied_lsn = s->lsn;
		v->reads += r->kind == GROUP_READ;
		v->writes += r->kind == GROUP_WRITE || r->kind == GROUP_ZERO ||
			     r->kind == GROUP_TRIM;
		v->flushes += r->kind == GROUP_FLUSH;
	}
	g->pending.requests--;
	if (group_is_stopping(g))
		group_wake(g);
	r->done(r, res);
}

void request_part_done(struct group_request *r, int res, uint64_t lsn)
{
	struct request_state *s = request_state(r);

	if (res < 0 && s->res == 0)
		s->res = res;
	if (lsn > s->lsn)
		s->lsn = lsn;
	rt_assert(s->parts > 0);
	if (--s->parts == 0)
		request_reply(r, s->res);
}

static void request_reply_deferred(struct rt_op *op, int res)
{
	struct request_state *s = rt_container_of(op, struct request_state, reply_op);

	(void)res; /* rt_defer has no result of its own */
	request_reply(request_of(s), s->res);
}

void request_end(struct group_request *r, int res)
{
	struct request_state *s = request_state(r);

	s->res = res;
	s->reply_op = (struct rt_op){ .done = request_reply_deferred };
	rt_defer(r->volume->group->loop, &s->reply_op);
}

/* ---- reads ------------------------------------------------------------------------------- */

static void request_read_next(struct group_request *r);

void request_say_bad_read(struct group_volume *volume, const struct lfs_read *read,
			  int res)
{
	struct group *g = volume->group;
	struct group_bad_reads *bad = &volume->bad_reads;
	rt_time now = rt_now(g->loop);

	if (bad->logged && rt_time_since(now, bad->logged_at) < RT_S) {
		bad->others++;
		return;
	}
	if (res == -EBADMSG)
		group_event(g, RT_LOG_ERROR,
			    "checksum-error volume=%s lba=%llu others=%llu", volume->name,
			    (unsigned long long)read->bad_lba,
			    (unsigned long long)bad->others);
	else
		group_event(g, RT_LOG_ERROR,
			    "read-error volume=%s lba=%llu error=\"%s\" others=%llu",
			    volume->name, (unsigned long long)read->bad_lba,
			    strerror(-read->disk_err), (unsigned long long)bad->others);
	*bad = (struct group_bad_reads){ .logged = true, .logged_at = now };
}

static void request_read_done(struct lfs_read *read, int res)
{
	struct request_state *s = rt_container_of(read, struct request_state, read);
	struct group_request *r = request_of(s);

	if (res < 0) {
		request_say_bad_read(r->volume, read, res);
		request_reply(r, -EIO);
		return;
	}
	s->read_done += read->blocks;
	request_read_next(r);
}

/* Read the next piece that lfs_read() takes in one go. */
static void request_read_next(struct group_request *r)
{
	struct request_state *s = request_state(r);
	struct group *g = r->volume->group;
	uint32_t blocks = (uint32_t)(group_request_span(r->offset, r->len) / GROUP_BLOCK);
	uint32_t most = g->config.max_request / GROUP_BLOCK;

	if (s->read_done == blocks) {
		request_reply(r, 0);
		return;
	}
	if (most < 256)
		most = 256;
	blocks -= s->read_done;
	s->read = (struct lfs_read){
		.volume = r->volume->index,
		.lba = r->offset / GROUP_BLOCK + s->read_done,
		.blocks = blocks < most ? blocks : most,
		.buf = r->buf + (size_t)s->read_done * GROUP_BLOCK,
		.done = request_read_done,
	};
	lfs_read(g->lfs, &s->read);
}

/* ---- flush --------------------------------------------------------------------------------- */

static void request_flush_opened(struct gate_waiter *w, int res)
{
	struct group_request *r =
		request_of(rt_container_of(w, struct request_state, flush));

	r->volume->flushes_waiting--;
	request_reply(r, res);
}

static void request_flush_need(const struct gate_waiter *w, struct gate_need *ret)
{
	request_need(request_of(rt_container_of(w, struct request_state, flush)), ret);
}

static void request_flush_submit(struct group_request *r)
{
	struct request_state *s = request_state(r);
	struct group *g = r->volume->group;

	s->flush = (struct gate_waiter){ .lsn = r->volume->replied_lsn,
					 .since = rt_now(g->loop),
					 .need = request_flush_need,
					 .opened = request_flush_opened };
	r->volume->flushes_waiting++;
	gate_wait(&g->gate, &s->flush);
	group_wake(g);
}

/* No mirror will ever confirm what this site still had when it was superseded. */
static int request_flush_fenced(const struct group_request *r)
{
	return r->volume->replied_lsn > r->volume->group->gate.marks.persisted ? -EIO : 0;
}

/* ---- the doorway ------------------------------------------------------------------------------ */

/* Everything that is decided about a request before it is begun. 0 or -errno. */
static int request_judge(const struct group_request *r)
{
	const struct group *g = r->volume->group;
	bool changes =
		r->kind == GROUP_WRITE || r->kind == GROUP_ZERO || r->kind == GROUP_TRIM;

	if (group_is_stopping(g))
		return -ESHUTDOWN;
	if (!group_serving(g))
		return -EAGAIN;
	if (changes && group_volume_read_only(r->volume))
		return -EPERM;
	if (r->kind != GROUP_FLUSH && r->len == 0)
		return -EINVAL;
	if (r->kind != GROUP_FLUSH && !request_inside(r))
		return r->kind == GROUP_WRITE || r->kind == GROUP_ZERO ? -ENOSPC
								       : -EINVAL;
	if ((r->kind == GROUP_READ || r->kind == GROUP_WRITE) &&
	    r->len > GROUP_REQUEST_MAX)
		return -EINVAL;
	if (g->failed && r->kind != GROUP_READ)
		return -EIO;
	return 0;
}

void group_submit(struct group_request *r)
{
	struct request_state *s = request_state(r);
	struct group *g = r->volume->group;
	int err = request_judge(r);

	memset(s, 0, sizeof(*s));
	g->pending.requests++;
	if (err < 0) {
		request_end(r, err);
		return;
	}
	switch (r->kind) {
	case GROUP_READ:
		rt_assert((uintptr_t)r->buf % GROUP_BLOCK == 0);
		request_read_next(r);
		return;
	case GROUP_WRITE:
		rt_assert((uintptr_t)r->buf % GROUP_BLOCK == 0);
		write_submit(r);
		return;
	case GROUP_ZERO:
	case GROUP_TRIM:
		write_submit(r);
		return;
	case GROUP_FLUSH:
		if (g->role == GROUP_MIRROR)
			request_end(r, 0); /* read-only: nothing to be made durable */
		else if (group_is_fenced(g))
			request_end(r, request_flush_fenced(r));
		else
			request_flush_submit(r);
		return;
	}
}
