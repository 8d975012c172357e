// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/io.h"

#include <errno.h>
#include <string.h>

#include "replicator/tunnel/edge_client.h"
#include "replicator/tunnel/state.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define TUNNEL_IO_SENDS 256 /* datagrams and messages lent to the loop at once */
#define TUNNEL_IO_MEMORY (512u << 10) /* and their bytes */
/* What must be free before a stopped sender goes on. */
#define TUNNEL_IO_RESUME_SENDS 64
#define TUNNEL_IO_RESUME_MEMORY (TUNNEL_IO_MEMORY / 2)
#define TUNNEL_IO_QUANTUM_NS RT_MS /* of the rate: a message is no longer */
static_assert(TUNNEL_IO_MEMORY > 2 * RT_MESSAGE_MAX,
	      "a message fits before and after the end");

/* One datagram or message that the loop has. */
struct io_send {
	struct rt_op op;
	struct tunnel_io *io;
	struct rt_addr to;
	size_t begin, len;    /* in io->memory */
	uint64_t first, last; /* numbers of its datagrams, */
	unsigned attached;    /* of this tunnel */
	bool over;
};

/* Datagrams one behind the other in io->memory that are to leave together. */
struct io_message {
	size_t begin, len; /* len 0: there is none */
	size_t segment;
	unsigned datagrams;
	uint64_t first, last; /* numbers of its datagrams */
	uint32_t timestamp;
	bool full; /* its last datagram was a shorter one */
};

struct tunnel_io {
	struct rt_loop *loop;
	struct rt_dgram *dgram; /* owned; NULL after tunnel_io_free() */
	const struct tunnel_io_events *events;
	void *owner;
	struct tunnel *tunnel; /* borrowed until replaced */
	unsigned attached;     /* so many tunnels so far */
	struct rt_addr peer;
	struct rt_addr from; /* ours that the peer sends to; NONE: the kernel chooses */
	struct rt_timer timer;
	struct rt_op turn;  /* calls `changed`, then sends; once per turn of the loop */
	struct rt_op spare; /* sends what waits patiently, if the loop has time */
	bool turning, send_blocked, sparing;
	bool follows; /* the peer is where its datagrams come from */
	bool card;    /* TX timestamps are the card's */
	/*
	 * TX timestamps are numbered per socket: one that is late, of an earlier
	 * tunnel, must not pass for one of this. Ours is timestamp_base + the tunnel's.
	 */
	uint32_t timestamp_base, timestamp_last;
	uint64_t overflow_base; /* dropped before this tunnel was attached */
	struct tunnel_io_stats stats;
	struct edge_client *edge; /* owned; NULL: datagrams go straight to the peer */
	struct rt_addr edge_addr;
	uint8_t edge_key[EDGE_KEY_LEN];
	/*
	 * Bytes are given out and come back in the order of the sends first .. next - 1,
	 * modulo TUNNEL_IO_SENDS. Those in use lie from the first one's begin to `write`,
	 * around the end of the memory where write is the smaller one; the two are equal
	 * only when nothing is in use.
	 */
	uint8_t *memory; /* owned */
	size_t write;
	struct io_message message;
	unsigned first, next;
	struct io_send sends[TUNNEL_IO_SENDS];
};

/* The key of the relay at the border must not stay in freed memory. */
static void io_edge_free(struct tunnel_io *io)
{
	if (io->edge != NULL)
		explicit_bzero(io->edge, sizeof(*io->edge));
	rt_free(io->edge);
	io->edge = NULL;
	explicit_bzero(io->edge_key, sizeof(io->edge_key));
}

static void io_release_if_done(struct tunnel_io *io)
{
	if (io->dgram != NULL || io->turning || io->sparing || io->first != io->next)
		return;
	io_edge_free(io);
	rt_free(io->memory);
	rt_free(io);
}

static uint32_t io_timestamp(struct tunnel_io *io, uint32_t timestamp)
{
	if (timestamp == 0)
		return 0;
	io->timestamp_last = timestamp;
	/* Once in 2^32 this is 0, and that send batch is not proven. */
	return io->timestamp_base + timestamp;
}

/* ---- messages ------------------------------------------------------------------------ */

static struct io_send *io_send_at(struct tunnel_io *io, unsigned i)
{
	return &io->sends[i % TUNNEL_IO_SENDS];
}

/* Tell the owner and send, when all that has arrived in this turn has been taken in. */
static void io_turn(struct tunnel_io *io)
{
	if (io->turning)
		return;
	io->turning = true;
	rt_defer(io->loop, &io->turn);
}

/* Tell the tunnel which of its datagrams the kernel has not yet said a word about. */
static void io_lent(struct tunnel_io *io)
{
	const struct io_send *send = io_send_at(io, io->first);
	uint64_t oldest = UINT64_MAX;

	if (io->tunnel == NULL)
		return;
	if (io->first != io->next)
		oldest = send->attached == io->attached ? send->first : 0;
	if (tunnel_lent(io->tunnel, oldest, rt_now(io->loop)))
		io_turn(io);
}

/* The message that was gathered goes out. */
static void io_flush(struct tunnel_io *io)
{
	const struct io_message *t = &io->message;
	struct io_send *send = io_send_at(io, io->next);
	struct rt_message message = { .buf = io->memory + t->begin,
				      .len = t->len,
				      .segment = t->segment,
				      .timestamp = t->timestamp,
				      .from = &io->from };

	if (t->len == 0)
		return;
	io->next++;
	send->over = false;
	send->begin = t->begin;
	send->len = t->len;
	send->first = t->first;
	send->last = t->last;
	send->attached = io->attached;
	send->to = io->peer;
	io->stats.datagrams += t->datagrams;
	io->stats.sends++;
	if (io->stats.longest < t->len)
		io->stats.longest = t->len;
	rt_dgram_send_message(io->dgram, &send->op, &send->to, &message);
	io->message.len = 0;
	if (io->next - io->first == 1)
		io_lent(io);
}

/* Bytes in one piece behind io->write. */
static size_t io_space(struct tunnel_io *io)
{
	size_t read = io->first == io->next ? io->message.begin
					    : io_send_at(io, io->first)->begin;

	if (io->first == io->next && io->message.len == 0)
		io->write = read = 0; /* nothing is in use: the same memory is warm */
	return io->write >= read ? TUNNEL_IO_MEMORY - io->write : read - io->write - 1;
}

/* Room for one more datagram, also if it must begin a message; false: wait for some end. */
static bool io_room(struct tunnel_io *io)
{
	if (io_space(io) < TUNNEL_DATAGRAM_MAX) {
		size_t read;

		io_flush(io); /* so that there is a first one */
		read = io_send_at(io, io->first)->begin;
		if (io->write < read || read <= TUNNEL_DATAGRAM_MAX)
			return false;
		io->write = 0;
	}
	/* What was gathered needs a send, and so may what comes. */
	return io->next - io->first + 1 < TUNNEL_IO_SENDS;
}

/* Longer messages would make the queue before the path longer than the pacer meant. */
static size_t io_quantum(const struct tunnel_io *io)
{
	uint64_t rate = io->tunnel->pacer.rate_bps;
	uint64_t bytes = rate / 8 * TUNNEL_IO_QUANTUM_NS / RT_S;

	return rate == 0 || bytes > RT_MESSAGE_MAX ? RT_MESSAGE_MAX : (size_t)bytes;
}

/*
 * A datagram of `len` bytes lies at io->write. It joins the message, or begins the next: a
 * TX timestamp belongs to the first of a message only, and what follows a shorter one
 * would be cut wrongly.
 */
static void io_gather(struct tunnel_io *io, size_t len, uint32_t timestamp)
{
	struct io_message *t = &io->message;
	uint64_t number = io->tunnel->sent.last.number;

	if (timestamp != 0 || t->full || len > t->segment ||
	    t->datagrams == RT_MESSAGE_DATAGRAMS || t->len + len > io_quantum(io))
		io_flush(io);
	if (t->len == 0)
		*t = (struct io_message){ .begin = io->write,
					  .segment = len,
					  .first = number,
					  .timestamp = timestamp };
	t->last = number;
	t->full = len < t->segment;
	t->len += len;
	t->datagrams++;
	io->write += len;
}

/* The relay at the border learns anew, now and then, whose tunnel this is. */
static void io_register(struct tunnel_io *io, rt_time now)
{
	size_t len;

	if (io->edge == NULL || !io_room(io))
		return;
	len = edge_client_register(io->edge, io->memory + io->write, now);
	if (len > 0)
		io_gather(io, len, 0);
}

static rt_time io_deadline(const struct tunnel_io *io)
{
	rt_time at = tunnel_deadline(io->tunnel);

	return io->edge == NULL ? at : rt_time_min(at, io->edge->register_at);
}

/* What waits patiently goes out when this thread has time. */
static void io_spare(struct tunnel_io *io, rt_time now)
{
	if (io->sparing || !tunnel_coalesces(io->tunnel, now))
		return;
	io->sparing = true;
	rt_defer_idle(io->loop, &io->spare);
}

static void io_send(struct tunnel_io *io)
{
	rt_time now = rt_now(io->loop);

	if (io->dgram == NULL || io->tunnel == NULL || io->peer.kind == RT_ADDR_NONE)
		return;
	io->send_blocked = false;
	io_register(io, now);
	while (io_room(io)) {
		uint32_t timestamp;
		size_t len = tunnel_transmit(io->tunnel, io->memory + io->write, now,
					     &timestamp);

		if (len == 0) {
			io_flush(io);
			rt_timer_arm(io->loop, &io->timer, io_deadline(io));
			io_spare(io, now);
			return;
		}
		if (io->edge != NULL)
			edge_client_await(io->edge, io->memory + io->write, len);
		io_gather(io, len, io_timestamp(io, timestamp));
	}
	io_flush(io);
	io->send_blocked = true;
	rt_timer_disarm(io->loop, &io->timer);
}

/* Enough is free to go on. */
static bool io_may_resume(struct tunnel_io *io)
{
	const struct io_send *first = io_send_at(io, io->first);
	size_t used;

	if (io->first == io->next)
		return true;
	used = io->write > first->begin ? io->write - first->begin
					: TUNNEL_IO_MEMORY - first->begin + io->write;
	return TUNNEL_IO_SENDS - (io->next - io->first) >= TUNNEL_IO_RESUME_SENDS &&
	       TUNNEL_IO_MEMORY - used >= TUNNEL_IO_RESUME_MEMORY;
}

static void io_send_done(struct rt_op *op, int res)
{
	struct io_send *send = rt_container_of(op, struct io_send, op);
	struct tunnel_io *io = send->io;

	send->over = true;
	while (io->first != io->next && io_send_at(io, io->first)->over)
		io->first++;
	if (res == -ENOBUFS)
		io->stats.enobufs++;
	else if (res < 0 && res != -ECANCELED)
		io->stats.errors++;
	if (res < 0 && io->tunnel != NULL && send->attached == io->attached)
		tunnel_unsent(io->tunnel, send->first, send->last);
	io_lent(io);
	/* Of an earlier tunnel it may be: the path is the same. */
	if (res == -EMSGSIZE && io->tunnel != NULL)
		tunnel_too_long(io->tunnel, rt_now(io->loop));
	if (io->dgram == NULL)
		io_release_if_done(io);
	else if (io->send_blocked && io_may_resume(io))
		io_send(io);
}

/* ---- events ------------------------------------------------------------------------ */

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

static void io_spare_done(struct rt_op *op, int res)
{
	struct tunnel_io *io = rt_container_of(op, struct tunnel_io, spare);

	io->sparing = false;
	if (io->dgram == NULL) {
		io_release_if_done(io);
		return;
	}
	if (io->tunnel == NULL)
		return;
	tunnel_set_coalescing(io->tunnel, false);
	io_send(io);
	tunnel_set_coalescing(io->tunnel, true);
}

static void io_timer_fire(struct rt_timer *timer)
{
	io_turn(rt_container_of(timer, struct tunnel_io, timer));
}

static void io_echo(struct tunnel_io *io, const uint8_t *dgram, size_t len)
{
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	int n = edge_client_echo(io->edge, dgram, len, numbers);

	if (n < 0) {
		io->stats.forged++;
		return;
	}
	io->stats.echoes++;
	for (int i = 0; i < n; i++)
		tunnel_echoed(io->tunnel, numbers[i], rt_now(io->loop));
	io_turn(io);
}

/* Where datagrams go from now on. */
static void io_towards(struct tunnel_io *io, const struct rt_addr *addr)
{
	io->peer = *addr;
	if (io->tunnel != NULL)
		tunnel_set_ipv6(io->tunnel, addr->kind == RT_ADDR_INET6);
}

/*
 * Only the newest datagram says where the other end is, and which of our addresses it has
 * dialed: an old one may be replayed. Answers from another one do not pass a firewall.
 */
static void io_follow(struct tunnel_io *io, const struct rt_addr *from)
{
	if (!rt_addr_equal(from, &io->peer))
		io_towards(io, from);
	rt_dgram_local(io->dgram, &io->from);
}

static void io_received(void *owner, const uint8_t *dgram, size_t len,
			const struct rt_addr *from)
{
	struct tunnel_io *io = owner;
	uint64_t id;
	bool newest;

	if (io->tunnel != NULL && io->edge != NULL && edge_is_message(dgram, len)) {
		io_echo(io, dgram, len);
		return;
	}
	if (io->tunnel == NULL || !tunnel_datagram_id(dgram, len, &id) ||
	    id != io->tunnel->params.id) {
		io->stats.foreign++;
		return;
	}
	if (tunnel_take(io->tunnel, dgram, len, rt_now(io->loop), &newest) != 0) {
		io->stats.refused++;
		return;
	}
	if (newest && io->follows)
		io_follow(io, from);
	io_turn(io);
}

static void io_left(void *owner, uint32_t id)
{
	struct tunnel_io *io = owner;
	uint32_t timestamp = id - io->timestamp_base;

	if (io->tunnel == NULL || timestamp == 0 || timestamp > io->timestamp_last)
		return;
	tunnel_left(io->tunnel, timestamp, rt_now(io->loop));
	io_turn(io);
}

static void io_overflowed(void *owner, uint64_t total)
{
	struct tunnel_io *io = owner;

	io->stats.overflow = total;
	if (io->tunnel != NULL)
		tunnel_overflowed(io->tunnel, total - io->overflow_base);
}

/* True or forged: ask the path itself. */
static void io_too_long(void *owner)
{
	struct tunnel_io *io = owner;

	if (io->tunnel == NULL)
		return;
	tunnel_too_long(io->tunnel, rt_now(io->loop));
	io_turn(io);
}

static const struct rt_dgram_events io_events = { io_received, io_left, io_overflowed,
						  io_too_long };

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
	io->spare.done = io_spare_done;
	for (unsigned i = 0; i < TUNNEL_IO_SENDS; i++) {
		io->sends[i].io = io;
		io->sends[i].op.done = io_send_done;
	}
	io->memory = rt_alloc_blocks(TUNNEL_IO_MEMORY);
	res = io->memory == NULL ? -ENOMEM : 0;
	if (res == 0)
		res = rt_dgram_open(loop, local, &io_events, io, &io->dgram);
	if (res != 0) {
		rt_free(io->memory);
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

/* A card that has none of its own leaves batches unproven, and the tunnel finds out. */
static void io_choose_timestamps(struct tunnel_io *io, bool card)
{
	if (card == io->card || rt_dgram_timestamp_card(io->dgram, card) != 0)
		return;
	io->card = card;
}

void tunnel_io_attach(struct tunnel_io *io, struct tunnel *t, const struct rt_addr *peer)
{
	io->tunnel = t;
	io->attached++;
	io_towards(io, peer);
	io->from.kind = RT_ADDR_NONE;
	io->follows = peer->kind == RT_ADDR_NONE;
	if (t != NULL)
		io_choose_timestamps(io, t->params.evidence == TUNNEL_NIC);
	if (io->edge != NULL && t != NULL) {
		io_towards(io, &io->edge_addr);
		io->follows = false;
		edge_client_init(io->edge, io->edge_key, t->params.id, rt_now(io->loop));
	}
	if (io->follows && t != NULL) /* if that fails, the kernel chooses */
		(void)rt_dgram_watch_local(io->dgram);
	io->overflow_base = io->stats.overflow;
	io->timestamp_base += io->timestamp_last;
	io->timestamp_last = 0;
	rt_timer_disarm(io->loop, &io->timer);
	if (t != NULL) {
		tunnel_set_coalescing(t, true);
		io_lent(io);
		io_turn(io);
	}
}

int tunnel_io_set_edge(struct tunnel_io *io, const struct rt_addr *edge,
		       const uint8_t *key)
{
	if (edge == NULL) {
		io_edge_free(io);
		return 0;
	}
	if (io->edge == NULL)
		io->edge = rt_zalloc(1, sizeof(*io->edge));
	if (io->edge == NULL)
		return -ENOMEM;
	io->edge_addr = *edge;
	memcpy(io->edge_key, key, sizeof(io->edge_key));
	return 0;
}

void tunnel_io_schedule(struct tunnel_io *io)
{
	if (!io->turning)
		io_send(io);
}

void tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret)
{
	*ret = io->stats;
}
