// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/io.h"

#include <errno.h>

#include "replicator/tunnel/state.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define TUNNEL_IO_SLOTS 256 /* datagrams lent to the loop at once */
#define TUNNEL_IO_RESUME 64 /* free slots before a stopped sender goes on */

struct io_slot {
	struct rt_op op;
	struct rt_list link; /* in io->spare when not lent */
	struct tunnel_io *io;
	struct rt_addr to;
	uint8_t buf[TUNNEL_DATAGRAM_MAX];
};

struct tunnel_io {
	struct rt_loop *loop;
	struct rt_dgram *dgram; /* owned; NULL after tunnel_io_free() */
	const struct tunnel_io_events *events;
	void *owner;
	struct tunnel *tunnel; /* borrowed until replaced */
	struct rt_addr peer;
	struct rt_timer timer;
	struct rt_op turn; /* calls `changed`, then sends; once per turn of the loop */
	bool turning, starved;
	/*
	 * Stamps are numbered per socket: one of an earlier tunnel that comes late must
	 * not pass for this one's. Ours is stamp_base + the tunnel's.
	 */
	uint32_t stamp_base, stamp_last;
	struct tunnel_io_stats stats;
	unsigned nspare;
	struct rt_list spare;
	struct io_slot slots[TUNNEL_IO_SLOTS];
};

static void io_release_if_done(struct tunnel_io *io)
{
	if (io->dgram == NULL && !io->turning && io->nspare == TUNNEL_IO_SLOTS)
		rt_free(io);
}

static uint32_t io_stamp(struct tunnel_io *io, uint32_t stamp)
{
	if (stamp == 0)
		return 0;
	io->stamp_last = stamp;
	/* Once in 2^32 this is 0, and that train is not proven. */
	return io->stamp_base + stamp;
}

static void io_send(struct tunnel_io *io)
{
	rt_time now = rt_now(io->loop);

	if (io->dgram == NULL || io->tunnel == NULL || io->peer.kind == RT_ADDR_NONE)
		return;
	io->starved = false;
	while (!rt_list_empty(&io->spare)) {
		struct io_slot *slot =
			rt_container_of(io->spare.next, struct io_slot, link);
		uint32_t stamp;
		size_t len = tunnel_transmit(io->tunnel, slot->buf, now, &stamp);

		if (len == 0) {
			rt_timer_arm(io->loop, &io->timer, tunnel_deadline(io->tunnel));
			return;
		}
		rt_list_remove(&slot->link);
		io->nspare--;
		slot->to = io->peer;
		rt_dgram_send(io->dgram, &slot->op, &slot->to, slot->buf, len,
			      io_stamp(io, stamp));
	}
	io->starved = true;
	rt_timer_disarm(io->loop, &io->timer);
}

static void io_turn_done(struct rt_op *op, int res)
{
	struct tunnel_io *io = rt_container_of(op, struct tunnel_io, turn);

	/* Still `turning` in there: the owner may free us, and what it kicks goes below. */
	if (io->dgram != NULL)
		io->events->changed(io->owner);
	io->turning = false;
	if (io->dgram == NULL)
		io_release_if_done(io);
	else
		io_send(io);
}

/* Tell the owner and send, when all that has arrived in this turn has been taken in. */
static void io_turn(struct tunnel_io *io)
{
	if (io->turning)
		return;
	io->turning = true;
	rt_defer(io->loop, &io->turn);
}

static void io_send_done(struct rt_op *op, int res)
{
	struct io_slot *slot = rt_container_of(op, struct io_slot, op);
	struct tunnel_io *io = slot->io;

	rt_list_push_front(&io->spare, &slot->link);
	io->nspare++;
	if (res == -ENOBUFS)
		io->stats.enobufs++;
	else if (res < 0 && res != -ECANCELED)
		io->stats.errors++;
	if (io->dgram == NULL)
		io_release_if_done(io);
	else if (io->starved && io->nspare >= TUNNEL_IO_RESUME)
		io_send(io);
}

static void io_timer_fire(struct rt_timer *timer)
{
	io_turn(rt_container_of(timer, struct tunnel_io, timer));
}

static void io_received(void *owner, const uint8_t *dgram, size_t len,
			const struct rt_addr *from)
{
	struct tunnel_io *io = owner;
	uint64_t id;
	bool newest;

	if (io->tunnel == NULL || !tunnel_datagram_id(dgram, len, &id) ||
	    id != io->tunnel->params.id) {
		io->stats.foreign++;
		return;
	}
	if (tunnel_take(io->tunnel, dgram, len, rt_now(io->loop), &newest) != 0) {
		io->stats.refused++;
		return;
	}
	/* Only the newest datagram says where the other end is: an old one may be replayed. */
	if (newest && !rt_addr_equal(from, &io->peer))
		io->peer = *from;
	io_turn(io);
}

static void io_left(void *owner, uint32_t id)
{
	struct tunnel_io *io = owner;
	uint32_t stamp = id - io->stamp_base;

	if (io->tunnel == NULL || stamp == 0 || stamp > io->stamp_last)
		return;
	tunnel_left(io->tunnel, stamp, rt_now(io->loop));
	io_turn(io);
}

static void io_overflowed(void *owner, uint64_t total)
{
	struct tunnel_io *io = owner;

	io->stats.overflow = total;
	if (io->tunnel != NULL)
		tunnel_overflowed(io->tunnel, total);
}

static const struct rt_dgram_events io_events = { io_received, io_left, io_overflowed };

int tunnel_io_new(struct rt_loop *loop, const struct rt_addr *local,
		  const struct tunnel_io_events *events, void *owner,
		  struct tunnel_io **ret)
{
	struct tunnel_io *io = rt_zalloc(1, sizeof(*io));
	int res;

	if (io == NULL)
		return -ENOMEM;
	io->loop = loop;
	io->events = events;
	io->owner = owner;
	io->timer.fire = io_timer_fire;
	io->turn.done = io_turn_done;
	rt_list_init(&io->spare);
	for (unsigned i = 0; i < TUNNEL_IO_SLOTS; i++) {
		struct io_slot *slot = &io->slots[i];

		slot->io = io;
		slot->op.done = io_send_done;
		rt_list_push_back(&io->spare, &slot->link);
	}
	io->nspare = TUNNEL_IO_SLOTS;
	res = rt_dgram_open(loop, local, &io_events, io, &io->dgram);
	if (res != 0) {
		rt_free(io);
		return res;
	}
	*ret = io;
	return 0;
}

void tunnel_io_free(struct tunnel_io *io)
{
	if (io == NULL)
		return;
	io->tunnel = NULL;
	rt_timer_disarm(io->loop, &io->timer);
	rt_dgram_close(io->dgram);
	io->dgram = NULL;
	io_release_if_done(io);
}

void tunnel_io_local(const struct tunnel_io *io, struct rt_addr *ret)
{
	rt_dgram_addr(io->dgram, ret);
}

void tunnel_io_attach(struct tunnel_io *io, struct tunnel *t, const struct rt_addr *peer)
{
	io->tunnel = t;
	io->peer = *peer;
	io->stamp_base += io->stamp_last;
	io->stamp_last = 0;
	rt_timer_disarm(io->loop, &io->timer);
	if (t != NULL) {
		tunnel_overflowed(t, io->stats.overflow);
		io_turn(io);
	}
}

void tunnel_io_kick(struct tunnel_io *io)
{
	if (!io->turning)
		io_send(io);
}

void tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret)
{
	*ret = io->stats;
}
