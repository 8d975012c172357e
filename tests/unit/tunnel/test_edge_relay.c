// SPDX-License-Identifier: BSD-3-Clause
/*
 * The relay at the border, between a primary and a mirror that are sockets of this test.
 * Protects: it serves who has registered, from where he did and no other, and nobody who
 * sends what he has overheard is served, displaces another or is vouched for. A TX
 * timestamp vouches for the datagram that asked for it, once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/edge.h"
#include "replicator/tunnel/edge_relay.h"
#include "replicator/tunnel/packet.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/unit.h"

#define BOUND_NS (10 * RT_S)
#define DATAGRAM 100

enum { PRIMARY, MIRROR, STRANGER, PARTIES };

struct party {
	struct world *world;
	struct rt_dgram *dgram;
	struct rt_addr addr, from;
	unsigned came, echoed;
	struct rt_addr echoed_from;
	uint8_t last[DATAGRAM];
};

struct world {
	struct rt_loop *loop;
	struct edge_relay *relay;
	struct rt_addr at; /* of the relay */
	struct party party[PARTIES];
	struct rt_timer bound;
	const unsigned *counter; /* stop when it has reached this */
	unsigned want;
	bool late;
};

static const uint8_t key[EDGE_KEY_LEN] = { 9, 8, 7 };

/* The socket that was opened last: the relay's towards the mirror (rules.mk wraps this). */
static struct {
	const struct rt_dgram_events *events;
	void *owner;
} opened;

int __real_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret);
int __wrap_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret);

int __wrap_rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
			 const struct rt_dgram_events *events, void *owner,
			 struct rt_dgram **ret)
{
	opened.events = events;
	opened.owner = owner;
	return __real_rt_dgram_open(loop, local, events, owner, ret);
}

static void world_check(struct world *w)
{
	if (w->counter != NULL && *w->counter >= w->want)
		rt_loop_stop(w->loop);
}

static void party_received(void *owner, const uint8_t *dgram, size_t len,
			   const struct rt_addr *from)
{
	struct party *p = owner;
	struct edge_message m;

	p->from = *from;
	if (edge_is_message(dgram, len)) {
		assert_int_equal(edge_decode(dgram, len, key, &m), 0);
		assert_int_equal(m.type, EDGE_ECHO);
		p->echoed += m.count;
		p->echoed_from = *from;
	} else {
		assert_int_equal(len, DATAGRAM);
		memcpy(p->last, dgram, len);
		p->came++;
	}
	world_check(p->world);
}

static void party_left(void *owner, uint32_t id)
{
}

static void party_overflowed(void *owner, uint64_t total)
{
}

static const struct rt_dgram_events party_events = { party_received, party_left,
						     party_overflowed, NULL };

static void bound_fire(struct rt_timer *timer)
{
	struct world *w = rt_container_of(timer, struct world, bound);

	w->late = true;
	rt_loop_stop(w->loop);
}

static void world_wait(struct world *w, const unsigned *counter, unsigned want)
{
	w->counter = counter;
	w->want = want;
	rt_timer_arm(w->loop, &w->bound, rt_time_add(rt_now(w->loop), BOUND_NS));
	while (*counter < want && !w->late)
		assert_int_equal(rt_loop_run(w->loop), 0);
	rt_timer_disarm(w->loop, &w->bound);
	w->counter = NULL;
	assert_int_equal(*counter, want);
}

static struct world *world_new_at(const char *listen)
{
	struct world *w = calloc(1, sizeof(*w));
	struct edge_relay_params params = { 0 };

	assert_non_null(w);
	w->bound.fire = bound_fire;
	assert_int_equal(rt_loop_new(&w->loop), 0);
	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &params.listen), 0);
	for (unsigned i = 0; i < PARTIES; i++) {
		struct party *p = &w->party[i];

		p->world = w;
		assert_int_equal(rt_dgram_open(w->loop, &params.listen, &party_events, p,
					       &p->dgram),
				 0);
		rt_dgram_addr(p->dgram, &p->addr);
	}
	params.mirror = w->party[MIRROR].addr;
	memcpy(params.key, key, sizeof(key));
	assert_int_equal(rt_addr_parse(listen, &params.listen), 0);
	assert_int_equal(edge_relay_new(w->loop, &params, &w->relay), 0);
	edge_relay_addr(w->relay, &w->at);
	return w;
}

static struct world *world_new(void)
{
	return world_new_at("udp:127.0.0.1:0");
}

static void world_free(struct world *w)
{
	edge_relay_free(w->relay, NULL);
	for (unsigned i = 0; i < PARTIES; i++)
		rt_dgram_close(w->party[i].dgram);
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_loop_free(w->loop);
	free(w);
}

struct sending {
	struct rt_op op;
	unsigned done;
	struct world *world;
};

static void sending_done(struct rt_op *op, int res)
{
	struct sending *s = rt_container_of(op, struct sending, op);

	assert_int_equal(res, 0);
	s->done = 1;
	world_check(s->world);
}

/* When this returns the relay's socket has it, behind all that was sent before. */
static void party_send(struct party *p, const struct rt_addr *to, const uint8_t *bytes,
		       size_t len)
{
	struct sending s = { .op.done = sending_done, .world = p->world };

	rt_dgram_send(p->dgram, &s.op, to, bytes, len, 0);
	world_wait(p->world, &s.done, 1);
}

static void party_register(struct party *p, uint64_t id, uint64_t serial)
{
	const struct edge_message m = { .type = EDGE_REGISTER,
					.id = id,
					.serial = serial };
	uint8_t bytes[EDGE_MESSAGE_MAX];
	size_t len = edge_encode(&m, key, bytes);

	assert_true(len > 0);
	party_send(p, &p->world->at, bytes, len);
}

static void datagram(uint64_t id, uint64_t number, uint8_t fill, uint8_t *buf)
{
	struct packet p = { .type = PACKET_DATA, .id = id, .number = number };
	struct packet_head head;

	memset(buf, fill, DATAGRAM);
	packet_head_encode(&p, &head);
	memcpy(buf, &head, sizeof(head));
}

static void party_data(struct party *p, uint64_t id, uint64_t number)
{
	uint8_t bytes[DATAGRAM];

	datagram(id, number, (uint8_t)number, bytes);
	party_send(p, &p->world->at, bytes, sizeof(bytes));
}

/* What the mirror says to where the newest datagram has come from. */
static void mirror_answers(struct world *w, uint64_t id)
{
	struct party *m = &w->party[MIRROR];
	uint8_t bytes[DATAGRAM];

	datagram(id, 1, 0xaa, bytes);
	party_send(m, &m->from, bytes, sizeof(bytes));
}

static void who_has_registered_is_served_and_told(void **state)
{
	struct world *w = world_new();
	struct party *p = &w->party[PRIMARY], *m = &w->party[MIRROR];
	struct edge_relay_stats stats;

	party_data(p, 7, 1); /* too early */
	party_register(p, 7, 1);
	party_data(p, 7, 2);
	world_wait(w, &m->came, 1);
	assert_int_equal(m->last[DATAGRAM - 1], 2);
	world_wait(w, &p->echoed, 1);
	mirror_answers(w, 7);
	world_wait(w, &p->came, 1);
	edge_relay_stats(w->relay, &stats);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.tunnels, 1);
	world_free(w);
}

/* One that comes again, or that nobody asked for, is that of no datagram. */
static void a_timestamp_vouches_once(void **state)
{
	struct world *w = world_new();
	struct party *p = &w->party[PRIMARY];
	struct edge_relay_stats stats;

	party_register(p, 7, 1);
	party_data(p, 7, 1);
	world_wait(w, &p->echoed, 1);
	for (uint32_t id = 0; id < 3 * 4096; id++) /* the ring's length, and over */
		opened.events->left(opened.owner, id);
	party_data(p, 7, 2);
	world_wait(w, &p->echoed, 2);
	edge_relay_stats(w->relay, &stats);
	assert_int_equal(stats.echoed, 2);
	world_free(w);
}

/* Nor does one that is forged, or of another tunnel, or the mirror's from elsewhere. */
static void a_registration_that_was_overheard_moves_nobody(void **state)
{
	struct world *w = world_new();
	struct party *p = &w->party[PRIMARY], *m = &w->party[MIRROR];
	struct party *s = &w->party[STRANGER];
	uint8_t forged[40] = { EDGE_REGISTER };
	struct edge_relay_stats stats;

	party_register(p, 7, 1);
	party_register(p, 7, 2);
	party_register(s, 7, 2);
	party_register(s, 7, 1);
	party_send(s, &w->at, forged, sizeof(forged));
	party_data(s, 7, 1);
	party_data(s, 8, 1);
	party_data(s, 7, 3);
	party_data(p, 7, 2);
	world_wait(w, &m->came, 1);
	assert_int_equal(m->last[DATAGRAM - 1], 2);
	world_wait(w, &p->echoed, 1);
	s->from = m->from;
	datagram(7, 9, 0xbb, s->last);
	party_send(s, &m->from, s->last, sizeof(s->last)); /* as if it were the mirror */
	mirror_answers(w, 7);
	world_wait(w, &p->came, 1);
	assert_int_equal(p->last[DATAGRAM - 1], 0xaa);
	edge_relay_stats(w->relay, &stats);
	assert_int_equal(stats.forged, 1);
	assert_int_equal(stats.refused, 6);
	assert_int_equal(s->came + s->echoed, 0);
	world_free(w);
}

/* A year of recorded registrations, sent again at once: the tunnel that lives goes on. */
static void old_registrations_displace_nobody(void **state)
{
	struct world *w = world_new();
	struct party *p = &w->party[PRIMARY], *m = &w->party[MIRROR];

	party_register(p, 7, 1);
	party_data(p, 7, 1);
	world_wait(w, &m->came, 1);
	mirror_answers(w, 7);
	world_wait(w, &p->came, 1);
	for (uint64_t id = 1000; id < 1600; id++)
		party_register(&w->party[STRANGER], id, 1);
	party_data(p, 7, 2);
	world_wait(w, &m->came, 2);
	mirror_answers(w, 7);
	world_wait(w, &p->came, 2);
	party_register(p, 8, 1); /* and who is new finds a place */
	party_data(p, 8, 1);
	world_wait(w, &m->came, 3);
	world_free(w);
}

/*
 * A relay that listens on any address answers from the one that the primary has registered
 * at, or no firewall passes it. Whoever sends elsewhere what he has overheard moves nothing.
 */
static void answers_leave_from_where_was_registered(void **state)
{
	static const char *const listens[] = { "udp:0.0.0.0:0", "udp:*:0" };

	for (unsigned i = 0; i < RT_ARRAY_LEN(listens); i++) {
		struct world *w = world_new_at(listens[i]);
		struct party *p = &w->party[PRIMARY];
		struct rt_addr dialed;

		w->at.kind = RT_ADDR_INET;
		for (uint8_t n = 2; n < 4; n++) { /* the second time from elsewhere */
			memcpy(w->at.ip, (uint8_t[]){ 127, 0, 0, n }, 4);
			dialed = w->at;
			party_register(p, 7, n);
			w->at.ip[3] = 4;
			party_register(&w->party[STRANGER], 7, n);
			party_data(&w->party[STRANGER], 7, n);
			w->at = dialed;
			party_data(p, 7, n);
			world_wait(w, &p->echoed, n - 1);
			assert_true(rt_addr_equal(&p->echoed_from, &dialed));
			mirror_answers(w, 7);
			world_wait(w, &p->came, n - 1);
			assert_true(rt_addr_equal(&p->from, &dialed));
		}
		world_free(w);
	}
}

/*
 * Freed under load it says when it is over, and then the loop holds nothing of it: who
 * stops the loop any earlier frees it with sends in flight, which it does not survive.
 */
#define ROUNDS 30
#define BURST 40

struct ending {
	struct rt_op over, sends[BURST];
	struct world *world;
	uint8_t bytes[BURST][DATAGRAM];
	unsigned done;
};

static void ending_sent(struct rt_op *op, int res)
{
}

static void ending_over(struct rt_op *op, int res)
{
	struct ending *e = rt_container_of(op, struct ending, over);

	e->done = 1;
	rt_loop_stop(e->world->loop);
}

static void the_end_under_load_is_told(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct world *w = world_new();
		struct party *p = &w->party[PRIMARY], *m = &w->party[MIRROR];
		struct ending *e = calloc(1, sizeof(*e));

		assert_non_null(e);
		e->world = w;
		e->over.done = ending_over;
		party_register(p, 7, 1);
		for (unsigned i = 0; i < BURST; i++) {
			e->sends[i].done = ending_sent;
			datagram(7, i + 1, 0, e->bytes[i]);
			rt_dgram_send(p->dgram, &e->sends[i], &w->at, e->bytes[i],
				      DATAGRAM, 0);
		}
		w->counter = &m->came;
		w->want = 1 + round;
		assert_int_equal(rt_loop_run(w->loop), 0);
		w->counter = NULL;
		edge_relay_free(w->relay, &e->over);
		while (!e->done)
			assert_int_equal(rt_loop_run(w->loop), 0);
		for (unsigned i = 0; i < PARTIES; i++)
			rt_dgram_close(w->party[i].dgram);
		rt_loop_free(w->loop); /* asserts that nothing is lent */
		free(w);
		free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_registered_is_served_and_told),
		cmocka_unit_test(a_timestamp_vouches_once),
		cmocka_unit_test(a_registration_that_was_overheard_moves_nobody),
		cmocka_unit_test(old_registrations_displace_nobody),
		cmocka_unit_test(answers_leave_from_where_was_registered),
		cmocka_unit_test(the_end_under_load_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
