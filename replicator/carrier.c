// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/carrier.h"

#include <errno.h>

#include "replicator/pipe.h"
#include "replicator/tunnel/io.h"
#include "rt/addr.h"
#include "rt/mem.h"

struct carrier {
	struct tunnel *tunnel; /* owned, with io; or */
	struct tunnel_io *io;  /* borrowed */
	struct pipe *pipe;     /* owned */
};

int carrier_of_tunnel(struct tunnel *t, struct tunnel_io *io, const struct rt_addr *peer,
		      struct carrier **ret)
{
	struct carrier *c = rt_zalloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->tunnel = t;
	c->io = io;
	tunnel_io_attach(io, t, peer);
	*ret = c;
	return 0;
}

int carrier_of_pipe(struct pipe *p, struct carrier **ret)
{
	struct carrier *c = rt_zalloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->pipe = p;
	*ret = c;
	return 0;
}

void carrier_free(struct carrier *c)
{
	static const struct rt_addr nowhere = { .kind = RT_ADDR_NONE };

	if (!c)
		return;
	if (c->tunnel)
		tunnel_io_attach(c->io, NULL, &nowhere);
	tunnel_free(c->tunnel);
	pipe_free(c->pipe);
	rt_free(c);
}

struct tunnel *carrier_tunnel(const struct carrier *c)
{
	return c->tunnel;
}

struct pipe *carrier_pipe(const struct carrier *c)
{
	return c->pipe;
}

const char *carrier_over(const struct carrier *c)
{
	if (c->pipe)
		return pipe_over(c->pipe);
	return tunnel_broken(c->tunnel)
		       ? "the peer's datagrams are authentic and no legal "
			 "ones"
		       : NULL;
}

int carrier_submitv(struct carrier *c, const struct iovec *iov, unsigned n, rt_time now)
{
	return c->pipe ? pipe_submitv(c->pipe, iov, n)
		       : tunnel_submitv(c->tunnel, iov, n, now);
}

void carrier_expedite(struct carrier *c, rt_time now)
{
	if (c->tunnel) /* TCP knows no hurry */
		tunnel_expedite(c->tunnel, now);
}

int carrier_next_frame(struct carrier *c, const uint8_t **frame, size_t *len)
{
	return c->pipe ? pipe_next_frame(c->pipe, frame, len)
		       : tunnel_next_frame(c->tunnel, frame, len);
}

void carrier_set_note(struct carrier *c, uint64_t note, rt_time now)
{
	if (c->pipe)
		pipe_set_note(c->pipe, note);
	else
		tunnel_set_note(c->tunnel, note, now);
}

uint64_t carrier_peer_note(const struct carrier *c)
{
	return c->pipe ? pipe_peer_note(c->pipe) : tunnel_peer_note(c->tunnel);
}

void carrier_kick(struct carrier *c)
{
	if (c->pipe)
		pipe_kick(c->pipe);
	else
		tunnel_io_kick(c->io);
}

uint64_t carrier_submitted(const struct carrier *c)
{
	return c->pipe ? pipe_submitted(c->pipe) : tunnel_submitted(c->tunnel);
}

uint64_t carrier_received(const struct carrier *c)
{
	return c->pipe ? pipe_received(c->pipe) : tunnel_received(c->tunnel);
}

uint64_t carrier_onwire(const struct carrier *c, rt_time now)
{
	return c->pipe ? pipe_received(c->pipe) : tunnel_onwire(c->tunnel, now);
}

bool carrier_proven(const struct carrier *c, rt_time now)
{
	return c->pipe ? pipe_proven(c->pipe, now) : tunnel_proven(c->tunnel, now);
}

enum tunnel_evidence carrier_evidence_level(const struct carrier *c)
{
	return c->pipe ? TUNNEL_MIRROR : tunnel_evidence_level(c->tunnel);
}

void carrier_stats(const struct carrier *c, struct tunnel_stats *ret)
{
	if (c->pipe)
		pipe_stats(c->pipe, ret);
	else
		tunnel_stats(c->tunnel, ret);
}
