// SPDX-License-Identifier: BSD-3-Clause
/*
 * Tunnels over real datagrams on loopback: frames get through, time stamps of the kernel
 * move `onwire`, the listening end finds the dialing one by its first authentic datagram
 * and follows it, the dialing one follows nobody, and what is foreign or forged moves
 * nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/edge.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/tunnel/both.h"

static void frames_get_through(void **state)
{
	struct tunnel_stats stats;
	struct tunnel_io_stats io;
	rt_time begin;
	struct both b;

	both_init(&b, 300, all_received);
	begin = rt_now(b.loop);
	both_run(&b);
	tunnel_stats(b.side[0].t, &stats);
	tunnel_io_stats(b.side[0].io, &io);
	if (getenv("PAIR_VERBOSE") != NULL)
		printf("%.0f MB/s each way, rtt %.3f ms, data %llu repairs %llu again "
		       "%llu "
		       "enobufs %llu errors %llu overflow %llu level %d ahead %llu\n",
		       (double)b.frames * FRAME * 1e3 /
			       (double)rt_time_since(rt_now(b.loop), begin),
		       (double)stats.rtt_ns / 1e6, (unsigned long long)stats.sent_data,
		       (unsigned long long)stats.sent_repairs,
		       (unsigned long long)stats.retransmitted,
		       (unsigned long long)io.enobufs, (unsigned long long)io.errors,
		       (unsigned long long)io.overflow,
		       (int)tunnel_evidence_level(b.side[0].t),
		       (unsigned long long)b.onwire_ahead);
	/* At this rate they leave in send batches, or the processor is spent on system calls. */
	assert_true(io.datagrams >= stats.sent_data + stats.sent_repairs);
	assert_true(io.sends * 3 < io.datagrams);
	assert_in_range(io.longest, 10000, 65507);
	both_release(&b);
}

/*
 * The same over IPv6, and from IPv4 to an end that serves both. The longer headers count
 * for the rate, at the end that follows, too.
 */
static void frames_get_through_over_ipv6(void **state)
{
	static const char *const froms[] = { "udp:[::1]:0", "udp:127.0.0.1:0" };
	static const char *const tos[] = { "udp:[::1]:0", "udp:[::]:0" };
	static const unsigned headers[] = { PACER_IPV6, PACER_IPV4 };
	const char *old = local[0];
	struct rt_addr dialed;
	struct both b;

	symbol_size = 1376;
	for (unsigned i = 0; i < RT_ARRAY_LEN(froms); i++) {
		local[0] = froms[i];
		local[1] = tos[i];
		both_init(&b, 50, all_received);
		assert_int_equal(rt_addr_parse(froms[i], &dialed), 0);
		dialed.port = b.side[1].addr.port;
		tunnel_io_attach(b.side[0].io, b.side[0].t, &dialed);
		both_run(&b);
		assert_int_equal(tunnel_evidence_level(b.side[0].t), TUNNEL_DRIVER);
		for (int end = 0; end < 2; end++) {
			assert_int_equal(b.side[end].t->pacer.headers, headers[i]);
			assert_int_equal(tunnel_path_mtu_least(b.side[end].t),
					 tunnel_mtu_least() + headers[i]);
		}
		both_release(&b);
	}
	symbol_size = 1408;
	local[0] = local[1] = old;
}

/* No send batch is longer than a millisecond of the rate, or the pacer paces nothing. */
static void trains_are_no_bursts(void **state)
{
	struct tunnel_io_stats io;
	struct both b;

	rate_bps = 100000000;
	both_init(&b, 20, all_received);
	both_run(&b);
	tunnel_io_stats(b.side[0].io, &io);
	assert_true(io.sends < io.datagrams);
	assert_in_range(io.longest, 2000, 12500);
	both_release(&b);
	rate_bps = 4000000000;
}

/*
 * The kernel's stamps are evidence: a frame is on the wire without its receipt. The other
 * end is deaf from when the line is proven until it is not any more, so no receipt is
 * faster than a stamp.
 */
static bool ahead(struct both *b)
{
	bool proven = tunnel_proven(b->side[0].t, rt_now(b->loop));
	struct side *far = &b->side[1];

	if (b->onwire_ahead > 0 || tunnel_evidence_level(b->side[0].t) != TUNNEL_DRIVER)
		return true;
	if (proven && !b->deaf) {
		tunnel_io_attach(far->io, NULL, &b->side[0].addr);
		b->frames++;
	} else if (!proven && b->deaf) {
		tunnel_io_attach(far->io, far->t, &b->side[0].addr);
	}
	b->deaf = proven;
	return false;
}

static void stamps_move_onwire(void **state)
{
	struct both b;

	both_init(&b, 0, ahead);
	both_run(&b);
	assert_int_equal(tunnel_evidence_level(b.side[0].t), TUNNEL_DRIVER);
	assert_true(b.onwire_ahead > 0);
	both_release(&b);
}

/* Loopback has no card: its stamps never come, the driver's do not pass for them. */
static bool fallen(struct both *b)
{
	return tunnel_evidence_level(b->side[0].t) == TUNNEL_MIRROR;
}

static void without_a_card_the_mirror_is_the_evidence(void **state)
{
	struct both b;

	evidence = TUNNEL_NIC;
	both_init(&b, 1000000, fallen);
	both_run(&b);
	assert_int_equal(b.onwire_ahead, 0);
	both_release(&b);
	evidence = TUNNEL_DRIVER;
}

/* Where somebody else listens, and sends from. */
static struct rt_dgram *open_door(struct both *b, const struct rt_dgram_events *events,
				  void *owner)
{
	struct rt_dgram *door;
	struct rt_addr any;

	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &any), 0);
	assert_int_equal(rt_dgram_open(b->loop, &any, events, owner, &door), 0);
	return door;
}

/* Forged and foreign datagrams from elsewhere, before and after. */
struct stranger {
	struct rt_dgram *dgram;
	struct rt_op op;
	uint8_t bytes[100];
	unsigned left;
	struct both *b;
};

static void stranger_sent(struct rt_op *op, int res)
{
	struct stranger *s = rt_container_of(op, struct stranger, op);

	if (s->left-- == 0)
		return;
	/* Every second one names the tunnel. */
	memset(s->bytes, (int)s->left, sizeof(s->bytes));
	if (s->left % 2) {
		memset(s->bytes, 0, 20);
		s->bytes[0] = 4;
		s->bytes[4] = 77;
		s->bytes[12] = (uint8_t)s->left;
	}
	rt_dgram_send(s->dgram, &s->op, &s->b->side[1].addr, s->bytes,
		      s->left % 2 ? 36 : sizeof(s->bytes), 0);
}

static void strangers_move_nothing(void **state)
{
	static const struct rt_dgram_events none;
	struct stranger s = { .op.done = stranger_sent, .left = 100 };
	struct tunnel_io_stats io;
	struct both b;

	both_init(&b, 100, all_received);
	s.b = &b;
	s.dgram = open_door(&b, &none, NULL);
	rt_defer(b.loop, &s.op);
	both_run(&b);
	tunnel_io_stats(b.side[1].io, &io);
	assert_true(io.foreign + io.refused > 0);
	s.left = 0; /* it may be sending still */
	rt_dgram_close(s.dgram);
	both_release(&b);
}

/* The dialing end has this address configured as its peer's. */
static void dial_door(struct both *b, struct rt_dgram *door)
{
	struct rt_addr dialed;

	rt_dgram_addr(door, &dialed);
	tunnel_io_attach(b->side[0].io, b->side[0].t, &dialed);
}

/*
 * Somebody on the way carries what the end that listens says, and does so from an address
 * of his own. The one that dials goes on sending to its configured address: he takes nothing.
 */
struct detour {
	struct rt_dgram
		*door[2]; /* the address that was dialed; where answers come from */
	struct both *b;
	struct rt_addr dialer;
	unsigned swallowed;
};

static void carry_done(struct rt_op *op, int res)
{
	free(op);
}

static void carry(struct rt_dgram *from, const struct rt_addr *to, const uint8_t *dgram,
		  size_t len)
{
	struct rt_op *op = calloc(1, sizeof(*op) + len);

	assert_non_null(op);
	op->done = carry_done;
	memcpy(op + 1, dgram, len);
	rt_dgram_send(from, op, to, op + 1, len, 0);
}

static void detour_front(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct detour *d = owner;

	if (rt_addr_equal(from, &d->b->side[1].addr)) {
		carry(d->door[1], &d->dialer, dgram, len);
		return;
	}
	d->dialer = *from;
	carry(d->door[0], &d->b->side[1].addr, dgram, len);
}

static void detour_back(void *owner, const uint8_t *dgram, size_t len,
			const struct rt_addr *from)
{
	((struct detour *)owner)->swallowed++;
}

static void detour_left(void *owner, uint32_t id)
{
}

static void detour_overflowed(void *owner, uint64_t total)
{
}

static void the_end_that_dials_is_not_led_astray(void **state)
{
	static const struct rt_dgram_events front = { detour_front, detour_left,
						      detour_overflowed, NULL };
	static const struct rt_dgram_events back = { detour_back, detour_left,
						     detour_overflowed, NULL };
	struct detour d = { 0 };
	struct both b;

	both_init(&b, 20, all_received);
	d.b = &b;
	d.door[0] = open_door(&b, &front, &d);
	d.door[1] = open_door(&b, &back, &d);
	dial_door(&b, d.door[0]);
	both_run(&b);
	assert_int_equal(d.swallowed, 0);
	rt_dgram_close(d.door[0]);
	rt_dgram_close(d.door[1]);
	both_release(&b);
}

/*
 * A box that translates addresses stands before the end that dials, and forgets again and
 * again which it has given: what comes back to an old one is gone. The end that listens
 * follows to the new one, and everything arrives.
 */
#define BOX_DOORS 8
#define BOX_FORGETS 300 /* datagrams from inside */

struct box {
	struct rt_dgram *inside, *door[BOX_DOORS];
	struct both *b;
	struct rt_addr dialer;
	unsigned carried, now, swallowed;
};

static void box_out(void *owner, const uint8_t *dgram, size_t len,
		    const struct rt_addr *from)
{
	struct box *x = owner;

	x->dialer = *from;
	if (++x->carried % BOX_FORGETS == 0 && x->now + 1 < BOX_DOORS)
		x->now++;
	carry(x->door[x->now], &x->b->side[1].addr, dgram, len);
}

struct box_door {
	struct box *box;
	unsigned index;
};

static void box_in(void *owner, const uint8_t *dgram, size_t len,
		   const struct rt_addr *from)
{
	const struct box_door *d = owner;

	if (d->index == d->box->now)
		carry(d->box->inside, &d->box->dialer, dgram, len);
	else
		d->box->swallowed++;
}

static void the_end_that_listens_follows(void **state)
{
	static const struct rt_dgram_events out = { box_out, detour_left,
						    detour_overflowed, NULL };
	static const struct rt_dgram_events in = { box_in, detour_left, detour_overflowed,
						   NULL };
	struct box_door doors[BOX_DOORS];
	struct box x = { 0 };
	struct both b;

	both_init(&b, 100, all_received);
	x.b = &b;
	x.inside = open_door(&b, &out, &x);
	for (unsigned i = 0; i < BOX_DOORS; i++) {
		doors[i] = (struct box_door){ &x, i };
		x.door[i] = open_door(&b, &in, &doors[i]);
	}
	dial_door(&b, x.inside);
	both_run(&b);
	assert_int_equal(x.now, BOX_DOORS - 1);
	rt_dgram_close(x.inside);
	for (unsigned i = 0; i < BOX_DOORS; i++)
		rt_dgram_close(x.door[i]);
	both_release(&b);
}

/* New keys in the middle of a stream: the socket stays, and nothing old counts. */
static bool some_taken(struct both *b)
{
	return b->side[1].taken >= 20 && b->side[0].taken >= 20;
}

static void tunnels_are_replaced(void **state)
{
	struct both b;

	both_init(&b, 1000000, some_taken);
	for (unsigned i = 0; i < 5; i++) {
		both_run(&b);
		both_replace(&b);
	}
	both_run(&b);
	both_release(&b);
}

/* The owner may end it all in the event itself. */
static void free_in_event(void *owner)
{
	struct both *b = owner;

	for (int i = 0; i < 2; i++) {
		tunnel_io_free(b->side[i].io);
		b->side[i].io = NULL;
	}
	rt_timer_disarm(b->loop, &b->bound);
}

static void owner_frees_in_the_event(void **state)
{
	static const struct tunnel_io_events events = { free_in_event };
	struct rt_addr any;
	struct both b;

	both_init(&b, 10, all_received);
	tunnel_io_free(b.side[0].io);
	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &any), 0);
	assert_int_equal(tunnel_io_new(b.loop, &any, &events, &b, &b.side[0].io), 0);
	tunnel_io_attach(b.side[0].io, b.side[0].t, &b.side[1].addr);
	both_run(&b);
	both_release(&b);
}

/* A relay at the border that is not configured any more gets nothing. */
static void without_an_edge_datagrams_go_straight(void **state)
{
	static const uint8_t key[EDGE_KEY_LEN] = { 1 };
	struct rt_addr nobody;
	struct both b;

	both_init(&b, 20, all_received);
	both_run(&b);
	assert_int_equal(rt_addr_parse("127.0.0.1:9", &nobody), 0);
	assert_int_equal(tunnel_io_set_edge(b.side[0].io, &nobody, key), 0);
	assert_int_equal(tunnel_io_set_edge(b.side[0].io, NULL, NULL), 0);
	both_replace(&b);
	both_run(&b);
	both_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_get_through),
		cmocka_unit_test(frames_get_through_over_ipv6),
		cmocka_unit_test(trains_are_no_bursts),
		cmocka_unit_test(stamps_move_onwire),
		cmocka_unit_test(without_a_card_the_mirror_is_the_evidence),
		cmocka_unit_test(strangers_move_nothing),
		cmocka_unit_test(without_an_edge_datagrams_go_straight),
		cmocka_unit_test(the_end_that_dials_is_not_led_astray),
		cmocka_unit_test(the_end_that_listens_follows),
		cmocka_unit_test(tunnels_are_replaced),
		cmocka_unit_test(owner_frees_in_the_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
