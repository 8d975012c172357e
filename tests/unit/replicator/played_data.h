/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_PLAYED_DATA_H
#define TESTS_UNIT_REPLICATOR_PLAYED_DATA_H

/*
 * A transport over TCP whose connection and loop are played by the test. In place of
 * replicator/conn.h, rt/loop.h and rt/mem.h; rules.mk wraps rt_free(). Included once per
 * test program.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/conn.h"
#include "replicator/transport.h"
#include "replicator/transport_tcp.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

#define ID 4711u
#define FRAME_MAX 1000u
#define SEND_MEMORY 2000u
#define PROBE_NS 1000
#define SAID_MAX 16

static const uint8_t key[32] = "both sites were given this key.";
static const uint8_t proofs[2][MESSAGE_PROOF_LEN] = { "who dials has so",
						      "who serves, this" };

/* ---- the double of a connection --------------------------------------------------------------- */

struct rt_loop {
	rt_time now;
	struct rt_timer *timer;
};

struct conn {
	bool room, paused;
	int congestion, send_error;
	uint64_t sent;
	rt_time last_tx;
	unsigned closings;
	const struct conn_events *events;
	void *owner;
	unsigned nsaid, types[SAID_MAX];
	uint8_t body[64]; /* of the last message */
	size_t len;
};

static struct rt_loop loop;
static struct conn conn;
static unsigned dialings, changes;
static int dial_error;
static struct transport *t;

void __real_rt_free(void *p);
void __wrap_rt_free(void *p);

/* No proof stays behind in freed memory. */
void __wrap_rt_free(void *p)
{
	for (unsigned i = 0; i < 2 && p; i++)
		assert_null(
			memmem(p, malloc_usable_size(p), proofs[i], MESSAGE_PROOF_LEN));
	__real_rt_free(p);
}

rt_time rt_now(struct rt_loop *l)
{
	return l->now;
}

void rt_timer_disarm(struct rt_loop *l, struct rt_timer *timer)
{
	timer->place = 0;
	l->timer = NULL;
}

void rt_timer_arm(struct rt_loop *l, struct rt_timer *timer, rt_time at)
{
	timer->at = at;
	timer->place = 1;
	l->timer = timer;
}

int conn_dial(struct rt_loop *l, const struct rt_addr *addr, enum secure_purpose purpose,
	      const struct conn_params *params, struct conn **ret)
{
	dialings++;
	assert_int_equal(purpose, SECURE_DATA);
	assert_true(params->message_max >= FRAME_MAX);
	if (dial_error)
		return dial_error;
	conn_hand_over(&conn, params->events, params->owner);
	*ret = &conn;
	return 0;
}

void conn_hand_over(struct conn *c, const struct conn_events *events, void *owner)
{
	c->events = events;
	c->owner = owner;
}

void conn_close(struct conn *c)
{
	if (c)
		c->closings++;
}

int conn_congestion(struct conn *c, const char *name)
{
	assert_string_equal(name, "bbr");
	return c->congestion;
}

int conn_sendv(struct conn *c, unsigned type, const struct iovec *iov, unsigned n)
{
	assert_int_equal(c->closings, 0);
	if (c->send_error)
		return c->send_error;
	assert_true(c->nsaid < SAID_MAX);
	c->types[c->nsaid++] = type;
	c->len = 0;
	for (unsigned i = 0; i < n && type != MESSAGE_FRAME; i++) {
		memcpy(c->body + c->len, iov[i].iov_base, iov[i].iov_len);
		c->len += iov[i].iov_len;
	}
	return 0;
}

int conn_send(struct conn *c, unsigned type, const void *body, size_t len)
{
	const struct iovec iov = { (void *)(uintptr_t)body, len };

	return conn_sendv(c, type, &iov, 1);
}

bool conn_room(const struct conn *c)
{
	return c->room;
}

void conn_pause(struct conn *c, bool paused)
{
	assert_int_equal(c->closings, 0);
	c->paused = paused;
}

size_t conn_waiting(const struct conn *c)
{
	return 77;
}

uint64_t conn_sent(const struct conn *c)
{
	return c->sent;
}

rt_time conn_last_tx(const struct conn *c)
{
	return c->last_tx;
}

/* ---- the two ends ---------------------------------------------------------------------------------- */

static inline void changed(void *owner)
{
	assert_ptr_equal(owner, &changes);
	changes++;
}

static size_t send_memory = SEND_MEMORY;
static bool without_memory; /* its first allocation fails */

static inline int new_result(bool sends, bool dials, const char *congestion)
{
	static const struct transport_events events = { .changed = changed };
	struct transport_tcp_params params = { .id = ID,
					       .sends = sends,
					       .dials = dials,
					       .group = "db",
					       .key = key,
					       .congestion = congestion,
					       .frame_max = FRAME_MAX,
					       .send_memory = send_memory,
					       .handshake_ns = RT_S,
					       .probe_ns = PROBE_NS };

	memcpy(params.proofs, proofs, sizeof(proofs));
	loop = (struct rt_loop){ .now = { 5000 } };
	conn = (struct conn){ .room = true };
	dialings = changes = asked = 0;
	dial_error = 0;
	held = 0;
	fail_at = without_memory;
	return transport_tcp_new(&loop, &params, &events, &changes, &t);
}

static inline void new_end(bool sends, bool dials, const char *congestion)
{
	assert_int_equal(new_result(sends, dials, congestion), 0);
}

static inline void say(unsigned type, const void *body, size_t len)
{
	conn.events->message(conn.owner, &conn, type, body, len);
}

static inline size_t put_join(uint8_t body[64], unsigned proof)
{
	struct message_join join = { .tunnel_id = ID };

	memcpy(join.proof, proofs[proof], sizeof(join.proof));
	return message_encode_join(&join, body, 64);
}

/* The end under test has dialed, and both have shown their proof. */
static inline void meet(bool sends)
{
	uint8_t body[64];

	new_end(sends, true, "");
	transport_begin(t);
	conn.events->established(conn.owner, &conn);
	say(MESSAGE_JOIN, body, put_join(body, 1));
	assert_null(transport_over(t));
	conn.nsaid = changes = 0;
}

/* Ended, with this in its reason: the owner knows, the connection is closed, no timer runs. */
static inline void has_ended(const char *why, unsigned closings)
{
	assert_non_null(transport_over(t));
	if (!strstr(transport_over(t), why))
		fail_msg("\"%s\" where \"%s\" was expected", transport_over(t), why);
	assert_int_equal(conn.closings, closings);
	assert_true(changes > 0);
	assert_null(loop.timer);
	assert_false(transport_proven(t, loop.now));
}

static inline void end(void)
{
	bool owns = conn.events && !transport_over(t);
	unsigned closings = conn.closings + owns;

	transport_free(t);
	assert_int_equal(conn.closings, closings);
	assert_null(loop.timer);
	assert_int_equal(held, 0);
}

static inline int submit(size_t len)
{
	static const uint8_t bytes[FRAME_MAX];
	const struct iovec iov = { (void *)(uintptr_t)bytes, len };

	return transport_submitv(t, &iov, 1, loop.now);
}

static inline void pass(int64_t ns)
{
	struct rt_timer *timer = loop.timer;

	loop.now = rt_time_add(loop.now, ns);
	if (!timer || rt_time_before(loop.now, timer->at))
		return;
	loop.timer = NULL;
	timer->place = 0;
	timer->fire(timer);
}

#endif
