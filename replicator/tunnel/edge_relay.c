// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/edge_relay.h"

#include <errno.h>
#include <string.h>

#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define RELAY_TUNNELS 256    /* registered at once */
#define RELAY_SLOTS 4096     /* datagrams on their way out */
#define RELAY_ECHO_SLOTS 256 /* of these, kept for echoes: no gate opens without them */
#define RELAY_PENDING 4096   /* datagrams whose timestamp is awaited; a power of two */
#define RELAY_SILENT_NS (60 * RT_S) /* a tunnel not registered again is forgotten */

struct relay_tunnel {
	uint64_t serial, echo_serial;
	struct rt_addr primary;
	struct rt_addr dialed; /* ours that it sends to; NONE: the kernel chooses */
	rt_time last_rx;
	rt_time answered; /* by the mirror; 0: never */
	unsigned count;	  /* to be echoed at the end of this turn */
	struct edge_seen seen[EDGE_ECHO_ENTRIES];
};

struct relay_slot {
	struct rt_op op;
	struct rt_list link; /* in relay->spare when not lent */
	struct edge_relay *relay;
	struct rt_addr to;
	uint8_t buf[TUNNEL_DATAGRAM_MAX];
};

/* What timestamp number s stands for lies at s % RELAY_PENDING. */
struct relay_pending {
	uint32_t timestamp; /* 0: nothing */
	uint64_t id;
	struct edge_seen seen;
};

struct edge_relay {
	struct rt_loop *loop;
	struct edge_relay_params params;
	struct rt_dgram *inner, *outer; /* owned; NULL after edge_relay_free() */
	struct edge_relay_stats stats;
	uint64_t inner_overflow, outer_overflow;
	uint32_t timestamp;
	struct rt_op *over; /* borrowed: who freed us waits for it */
	struct rt_op turn;  /* sends the echoes of a turn together */
	bool turning;
	unsigned nspare;
	struct rt_list spare;
	uint64_t ids[RELAY_TUNNELS]; /* 0: free; apart, to be searched fast */
	struct relay_tunnel tunnels[RELAY_TUNNELS];
	struct relay_pending pending[RELAY_PENDING];
	struct relay_slot slots[RELAY_SLOTS];
};

static_assert(EDGE_MESSAGE_MAX <= TUNNEL_DATAGRAM_MAX, "a message fits a slot");

static void relay_release_if_done(struct edge_relay *r)
{
	struct rt_loop *loop = r->loop;
	struct rt_op *over = r->over;

	if (r->inner != NULL || r->turning || r->nspare != RELAY_SLOTS)
		return;
	rt_free(r);
	if (over != NULL)
		rt_defer(loop, over);
}

/* ---- tunnels ------------------------------------------------------------------------ */

static struct relay_tunnel *relay_find(struct edge_relay *r, uint64_t id)
{
	for (unsigned i = 0; id != 0 && i < RELAY_TUNNELS; i++)
		if (r->ids[i] == id)
			return &r->tunnels[i];
	return NULL;
}

static uint64_t relay_id(const struct edge_relay *r, const struct relay_tunnel *t)
{
	return r->ids[t - r->tunnels];
}

/*
 * The mirror knows this one. Registrations that were seen long ago and are sent again, by
 * whoever saw them, are of tunnels that no mirror answers.
 */
static bool relay_is_answered(const struct edge_relay *r, const struct relay_tunnel *t)
{
	return t->answered.ns != 0 &&
	       rt_time_since(rt_now(r->loop), t->answered) < RELAY_SILENT_NS;
}

/* Which of two gives up its place first. */
static bool relay_goes_before(const struct edge_relay *r, const struct relay_tunnel *a,
			      const struct relay_tunnel *b)
{
	if (relay_is_answered(r, a) != relay_is_answered(r, b))
		return relay_is_answered(r, b);
	return rt_time_before(a->last_rx, b->last_rx);
}

/* A free place, or that of an unanswered tunnel, or of the one with the oldest last_rx. */
static struct relay_tunnel *relay_place(struct edge_relay *r, uint64_t id)
{
	unsigned best = 0;

	for (unsigned i = 0; i < RELAY_TUNNELS && r->ids[best] != 0; i++)
		if (r->ids[i] == 0 ||
		    relay_goes_before(r, &r->tunnels[i], &r->tunnels[best]))
			best = i;
	r->ids[best] = id;
	r->tunnels[best] = (struct relay_tunnel){ 0 };
	return &r->tunnels[best];
}

static void relay_register(struct edge_relay *r, const struct edge_message *m,
			   const struct rt_addr *from)
{
	struct relay_tunnel *t = relay_find(r, m->id);

	if (m->id == 0)
		return;
	if (t == NULL) {
		t = relay_place(r, m->id);
	} else if (m->serial <= t->serial) {
		r->stats.refused++; /* replayed, or overtaken */
		return;
	}
	t->serial = m->serial;
	t->primary = *from;
	rt_dgram_local(r->inner, &t->dialed);
	t->last_rx = rt_now(r->loop);
}

/* A tunnel that is registered still; its primary says so every second. */
static struct relay_tunnel *relay_known(struct edge_relay *r, const uint8_t *dgram,
					size_t len)
{
	struct relay_tunnel *t;
	uint64_t id;

	if (len > TUNNEL_DATAGRAM_MAX || !tunnel_datagram_id(dgram, len, &id))
		return NULL;
	t = relay_find(r, id);
	if (t == NULL || rt_time_since(rt_now(r->loop), t->last_rx) >= RELAY_SILENT_NS)
		return NULL;
	return t;
}

/* ---- sending ------------------------------------------------------------------------ */

static void relay_sent(struct rt_op *op, int res)
{
	struct relay_slot *slot = rt_container_of(op, struct relay_slot, op);
	struct edge_relay *r = slot->relay;

	rt_list_push_front(&r->spare, &slot->link);
	r->nspare++;
	r->stats.dropped += res < 0 && res != -ECANCELED;
	relay_release_if_done(r);
}

static struct relay_slot *relay_slot_take(struct edge_relay *r, const struct rt_addr *to,
					  unsigned keep)
{
	struct relay_slot *slot;

	if (r->nspare <= keep) {
		r->stats.dropped++;
		return NULL;
	}
	slot = rt_container_of(r->spare.next, struct relay_slot, link);
	rt_list_remove(&slot->link);
	r->nspare--;
	slot->to = *to;
	return slot;
}

/* To the primary, from the address that it has dialed. */
static void relay_answer(struct edge_relay *r, const struct relay_tunnel *t,
			 struct relay_slot *slot, size_t len)
{
	const struct rt_message message = {
		.buf = slot->buf, .len = len, .segment = len, .from = &t->dialed
	};

	rt_dgram_send_message(r->inner, &slot->op, &slot->to, &message);
}

static void relay_echo(struct edge_relay *r, struct relay_tunnel *t)
{
	struct edge_message m = { .type = EDGE_ECHO,
				  .id = relay_id(r, t),
				  .count = t->count };
	struct relay_slot *slot = relay_slot_take(r, &t->primary, 0);
	size_t len;

	t->count = 0;
	if (slot == NULL)
		return; /* as good as lost: the primary makes new repairs */
	m.serial = ++t->echo_serial;
	memcpy(m.seen, t->seen, m.count * sizeof(m.seen[0]));
	len = edge_encode(&m, r->params.key, slot->buf);
	if (len == 0) {
		relay_sent(&slot->op, -ENOMEM);
		return;
	}
	r->stats.echoed += m.count;
	relay_answer(r, t, slot, len);
}

static void relay_turn_done(struct rt_op *op, int res)
{
	struct edge_relay *r = rt_container_of(op, struct edge_relay, turn);

	r->turning = false;
	for (unsigned i = 0; r->inner != NULL && i < RELAY_TUNNELS; i++)
		if (r->tunnels[i].count > 0)
			relay_echo(r, &r->tunnels[i]);
	relay_release_if_done(r);
}

/* ---- towards the mirror --------------------------------------------------------------- */

static uint32_t relay_expect(struct edge_relay *r, uint64_t id, const uint8_t *dgram,
			     size_t len)
{
	struct relay_pending p = { .id = id };

	if (!edge_recognize(dgram, len, r->params.key, &p.seen))
		return 0;
	if (++r->timestamp == 0)
		r->timestamp = 1; /* 0 asks for none */
	p.timestamp = r->timestamp;
	r->pending[p.timestamp % RELAY_PENDING] = p;
	return p.timestamp;
}

static void relay_inner_received(void *owner, const uint8_t *dgram, size_t len,
				 const struct rt_addr *from)
{
	struct edge_relay *r = owner;
	struct edge_message m;
	struct relay_tunnel *t;
	struct relay_slot *slot;

	if (edge_is_message(dgram, len)) {
		if (edge_decode(dgram, len, r->params.key, &m) < 0)
			r->stats.forged++;
		else if (m.type == EDGE_REGISTER)
			relay_register(r, &m, from);
		return;
	}
	t = relay_known(r, dgram, len);
	if (t == NULL || !rt_addr_equal(from, &t->primary)) {
		r->stats.refused++;
		return;
	}
	slot = relay_slot_take(r, &r->params.mirror, RELAY_ECHO_SLOTS);
	if (slot == NULL)
		return;
	memcpy(slot->buf, dgram, len);
	r->stats.forwarded++;
	rt_dgram_send(r->outer, &slot->op, &slot->to, slot->buf, len,
		      relay_expect(r, relay_id(r, t), slot->buf, len));
}

/* The driver has it: it has left the site. */
static void relay_left(void *owner, uint32_t timestamp)
{
	struct edge_relay *r = owner;
	struct relay_pending *p = &r->pending[timestamp % RELAY_PENDING];
	struct relay_tunnel *t;

	if (p->timestamp != timestamp || (t = relay_find(r, p->id)) == NULL)
		return;
	p->timestamp = 0;
	if (t->count == EDGE_ECHO_ENTRIES)
		relay_echo(r, t);
	t->seen[t->count++] = p->seen;
	if (r->turning)
		return;
	r->turning = true;
	rt_defer(r->loop, &r->turn);
}

/* ---- towards the primary ---------------------------------------------------------------- */

static void relay_outer_received(void *owner, const uint8_t *dgram, size_t len,
				 const struct rt_addr *from)
{
	struct edge_relay *r = owner;
	struct relay_tunnel *t = relay_known(r, dgram, len);
	struct relay_slot *slot;

	if (t == NULL || !rt_addr_equal(from, &r->params.mirror)) {
		r->stats.refused++;
		return;
	}
	t->answered = rt_now(r->loop);
	slot = relay_slot_take(r, &t->primary, RELAY_ECHO_SLOTS);
	if (slot == NULL)
		return;
	memcpy(slot->buf, dgram, len);
	r->stats.returned++;
	relay_answer(r, t, slot, len);
}

static void relay_no_timestamp(void *owner, uint32_t timestamp)
{
	/* No datagram asks for a TX timestamp on the way back. */
}

static void relay_inner_overflowed(void *owner, uint64_t total)
{
	struct edge_relay *r = owner;

	r->inner_overflow = total;
}

static void relay_outer_overflowed(void *owner, uint64_t total)
{
	struct edge_relay *r = owner;

	r->outer_overflow = total;
}

static const struct rt_dgram_events relay_inner_events = { relay_inner_received,
							   relay_no_timestamp,
							   relay_inner_overflowed, NULL };
static const struct rt_dgram_events relay_outer_events = { relay_outer_received,
							   relay_left,
							   relay_outer_overflowed, NULL };

/* ---- beginning and end -------------------------------------------------------------------- */

int edge_relay_new(struct rt_loop *loop, const struct edge_relay_params *params,
		   struct edge_relay **ret)
{
	struct rt_addr any = { .kind = params->mirror.kind };
	struct edge_relay *r = rt_zalloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->loop = loop;
	r->params = *params;
	r->turn.done = relay_turn_done;
	rt_list_init(&r->spare);
	for (unsigned i = 0; i < RELAY_SLOTS; i++) {
		r->slots[i].relay = r;
		r->slots[i].op.done = relay_sent;
		rt_list_push_back(&r->spare, &r->slots[i].link);
	}
	r->nspare = RELAY_SLOTS;
	err = rt_dgram_open(loop, &params->listen, &relay_inner_events, r, &r->inner);
	if (err == 0)
		err = rt_dgram_watch_local(r->inner);
	if (err == 0)
		err = rt_dgram_open(loop, &any, &relay_outer_events, r, &r->outer);
	if (err < 0)
		goto fail;
	*ret = r;
	return 0;
fail:
	rt_dgram_close(r->inner);
	explicit_bzero(r->params.key, sizeof(r->params.key));
	rt_free(r);
	return err;
}

void edge_relay_free(struct edge_relay *r, struct rt_op *over)
{
	if (r == NULL)
		return;
	r->over = over;
	rt_dgram_close(r->inner);
	rt_dgram_close(r->outer);
	r->inner = r->outer = NULL;
	explicit_bzero(r->params.key, sizeof(r->params.key));
	relay_release_if_done(r);
}

void edge_relay_addr(const struct edge_relay *r, struct rt_addr *ret)
{
	rt_dgram_addr(r->inner, ret);
}

void edge_relay_stats(const struct edge_relay *r, struct edge_relay_stats *ret)
{
	rt_time now = rt_now(r->loop);

	*ret = r->stats;
	ret->overflowed = r->inner_overflow + r->outer_overflow;
	for (unsigned i = 0; i < RELAY_TUNNELS; i++)
		ret->tunnels +=
			r->ids[i] != 0 &&
			rt_time_since(now, r->tunnels[i].last_rx) < RELAY_SILENT_NS;
}
