/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_PLAYED_H
#define TESTS_UNIT_REPLICATOR_PLAYED_H

/*
 * A connection whose loop, socket and TLS are played by the test: each completion comes when
 * the test says so and with the result that it chooses, so that every order of events can be
 * had, without time and without a kernel. In place of rt/loop.h, rt/mem.h and
 * tunnel/secure.h; rules.mk wraps rt_free(). Included once per test program.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "replicator/conn.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

#define PLAYED_TIMERS 4
#define PLAYED_MESSAGE_MAX 1000u

static const uint8_t played_key[SECURE_KEY_LEN] = "nobody finds this in memory...";

/* ---- memory ------------------------------------------------------------------------------- */

void __real_rt_free(void *p);
void __wrap_rt_free(void *p);

/* Freed memory must not hold the key. It is overwritten, so that a later use of it fails. */
void __wrap_rt_free(void *p)
{
	if (p) {
		assert_null(memmem(p, malloc_usable_size(p), played_key, 8));
		memset(p, 0xdd, malloc_usable_size(p));
	}
	__real_rt_free(p);
}

/* ---- the loop ----------------------------------------------------------------------------- */

struct rt_loop {
	rt_time now;
	struct rt_timer *timers[PLAYED_TIMERS];
	struct rt_op *deferred;
};

struct rt_sock {
	struct rt_op *connecting, *receiving, *sending;
	uint8_t *in;
	size_t in_size;
	struct iovec out;
	unsigned closings;
	int connect_error; /* of the start */
	int congestion;	   /* what the kernel says to every choice */
};

static struct rt_loop loop;
static struct rt_sock sock;
static uint8_t wire[16u << 20]; /* all that the kernel has taken */
static size_t wired;

rt_time rt_now(struct rt_loop *l)
{
	return l->now;
}

void rt_defer(struct rt_loop *l, struct rt_op *op)
{
	assert_null(l->deferred);
	l->deferred = op;
}

void rt_timer_disarm(struct rt_loop *l, struct rt_timer *timer)
{
	if (timer->place)
		l->timers[timer->place - 1] = NULL;
	timer->place = 0;
}

void rt_timer_arm(struct rt_loop *l, struct rt_timer *timer, rt_time at)
{
	size_t i = 0;

	rt_timer_disarm(l, timer);
	while (l->timers[i])
		i++;
	assert_true(i < PLAYED_TIMERS);
	l->timers[i] = timer;
	timer->place = i + 1;
	timer->at = at;
}

int rt_connect(struct rt_loop *l, const struct rt_addr *addr, struct rt_op *op,
	       struct rt_sock **ret)
{
	if (sock.connect_error)
		return sock.connect_error;
	sock.connecting = op;
	*ret = &sock;
	return 0;
}

void rt_recv(struct rt_sock *s, struct rt_op *op, void *buf, size_t len)
{
	assert_true(!s->closings && !s->connecting && !s->receiving && len > 0);
	s->receiving = op;
	s->in = buf;
	s->in_size = len;
}

void rt_sendv(struct rt_sock *s, struct rt_op *op, const struct iovec *iov, unsigned n)
{
	assert_true(!s->closings && !s->connecting && !s->sending);
	assert_true(n == 1 && iov->iov_len > 0);
	s->sending = op;
	s->out = *iov;
}

void rt_sock_close(struct rt_sock *s)
{
	if (s)
		s->closings++;
}

int rt_sock_congestion(struct rt_sock *s, const char *name)
{
	return s->congestion;
}

/* ---- what the loop does in its turn --------------------------------------------------------- */

static inline void end_op(struct rt_op **place, int res)
{
	struct rt_op *op = *place;

	assert_non_null(op);
	*place = NULL;
	op->done(op, res);
}

static inline void connected(int res)
{
	end_op(&sock.connecting, res);
}

/* As many pieces as it takes. */
static inline void arrive(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		size_t n = len < sock.in_size ? len : sock.in_size;

		assert_non_null(sock.receiving);
		memcpy(sock.in, at, n);
		end_op(&sock.receiving, (int)n);
		at += n;
		len -= n;
	}
}

/* The kernel takes `n` bytes, or as many as there are. */
static inline void take(size_t n)
{
	assert_non_null(sock.sending);
	n = n < sock.out.iov_len ? n : sock.out.iov_len;
	assert_true(wired + n <= sizeof(wire));
	memcpy(wire + wired, sock.out.iov_base, n);
	wired += n;
	end_op(&sock.sending, (int)n);
}

static inline void take_all(void)
{
	while (sock.sending)
		take(SIZE_MAX);
}

static inline void turn(void)
{
	end_op(&loop.deferred, 0);
}

/* Moves the clock on by `ns` and fires the timers that are due. */
static inline void pass(int64_t ns)
{
	loop.now = rt_time_add(loop.now, ns);
	for (unsigned i = 0; i < PLAYED_TIMERS; i++) {
		struct rt_timer *timer = loop.timers[i];

		if (!timer || rt_time_before(loop.now, timer->at))
			continue;
		rt_timer_disarm(&loop, timer);
		timer->fire(timer);
	}
}

static inline unsigned timers_armed(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLAYED_TIMERS; i++)
		n += loop.timers[i] != NULL;
	return n;
}

/* ---- TLS ---------------------------------------------------------------------------------- */

/*
 * A handshake of one byte each, the purpose first, and then the bytes as they are. A dot is a
 * part of a handshake, a question mark one that shows no key and gets an answer, and whatever
 * does not belong there is answered by an alert.
 */
struct secure {
	enum secure_purpose purpose;
	bool dialed, established;
	uint8_t in[256u << 10], out[256u << 10];
	size_t in_len, out_len;
};

#define PLAYED_ANSWER 'a'
#define PLAYED_PART '.'
#define PLAYED_ALERT '!'
#define PLAYED_RETRY '?'

static struct secure_errors {
	int open, write;
	long read;
} secure_errors;

static inline int secure_new(bool dialed, enum secure_purpose purpose, const uint8_t *key,
			     struct secure **ret)
{
	struct secure *s;

	assert_memory_equal(key, played_key, SECURE_KEY_LEN);
	if (secure_errors.open)
		return secure_errors.open;
	s = rt_zalloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->dialed = dialed;
	s->purpose = purpose;
	if (dialed)
		s->out[s->out_len++] = (uint8_t)purpose;
	*ret = s;
	return 0;
}

int secure_dial(enum secure_purpose purpose, const char *group,
		const uint8_t key[SECURE_KEY_LEN], struct secure **ret)
{
	return secure_new(true, purpose, key, ret);
}

int secure_accept(const char *group, const uint8_t key[SECURE_KEY_LEN],
		  struct secure **ret)
{
	return secure_new(false, SECURE_CONTROL, key, ret);
}

enum secure_purpose secure_purpose(const struct secure *s)
{
	return s->purpose;
}

void secure_free(struct secure *s)
{
	rt_free(s);
}

bool secure_established(const struct secure *s)
{
	return s->established;
}

bool secure_hello_keyed(const struct secure *s)
{
	return s->established && !s->dialed;
}

int secure_input(struct secure *s, const uint8_t *bytes, size_t len, const char **why)
{
	if (!s->established && bytes[0] == PLAYED_PART)
		return 0;
	if (!s->established && !s->dialed && bytes[0] == PLAYED_RETRY) {
		s->out[s->out_len++] = PLAYED_RETRY;
		return 0;
	}
	if (!s->established) {
		if (s->dialed ? bytes[0] != PLAYED_ANSWER : bytes[0] > SECURE_DATA) {
			*why = "no handshake";
			s->out[s->out_len++] = PLAYED_ALERT;
			return -EBADMSG;
		}
		s->established = true;
		if (!s->dialed) {
			s->purpose = bytes[0];
			s->out[s->out_len++] = PLAYED_ANSWER;
		}
		bytes++;
		len--;
	}
	assert_true(s->in_len + len <= sizeof(s->in));
	memcpy(s->in + s->in_len, bytes, len);
	s->in_len += len;
	return 0;
}

size_t secure_output(struct secure *s, uint8_t *buf, size_t size)
{
	size_t n = s->out_len < size ? s->out_len : size;

	memcpy(buf, s->out, n);
	memmove(s->out, s->out + n, s->out_len - n);
	s->out_len -= n;
	return n;
}

int secure_write(struct secure *s, const void *plain, size_t len)
{
	assert_true(s->established && s->out_len + len <= sizeof(s->out));
	if (secure_errors.write)
		return secure_errors.write;
	memcpy(s->out + s->out_len, plain, len);
	s->out_len += len;
	return 0;
}

long secure_read(struct secure *s, void *plain, size_t size)
{
	size_t n = s->in_len < size ? s->in_len : size;

	assert_true(size > 0);
	if (n == 0)
		return secure_errors.read;
	memcpy(plain, s->in, n);
	memmove(s->in, s->in + n, s->in_len - n);
	s->in_len -= n;
	return (long)n;
}

int secure_export(struct secure *s, const char *label, uint8_t *out, size_t len)
{
	memset(out, label[0], len);
	return 0;
}

/* ---- its owner ------------------------------------------------------------------------------ */

/* E: established, M: message, D: drained, C: closed. */
struct owner {
	char events[32]; /* the first of them */
	unsigned nevents, messages;
	unsigned type; /* of the last message */
	size_t len;
	uint8_t body[PLAYED_MESSAGE_MAX];
	int err;
	char why[128];
	/* What is done at the next event of this letter. */
	char at;
	void (*act)(void);
};

static struct conn *conn;
static struct owner owner, heir;

static inline void owner_event(struct owner *o, struct conn *c, char letter)
{
	assert_ptr_equal(c, conn);
	if (o->nevents < sizeof(o->events) - 1)
		o->events[o->nevents] = letter;
	o->nevents++;
	if (o->at == letter) {
		o->at = 0;
		o->act();
	}
}

static inline void owner_established(void *o, struct conn *c)
{
	owner_event(o, c, 'E');
}

static inline void owner_message(void *arg, struct conn *c, unsigned type,
				 const uint8_t *body, size_t len)
{
	struct owner *o = arg;

	assert_true(len <= sizeof(o->body));
	o->messages++;
	o->type = type;
	o->len = len;
	memcpy(o->body, body, len);
	owner_event(o, c, 'M');
}

static inline void owner_closed(void *arg, struct conn *c, int err, const char *why)
{
	struct owner *o = arg;

	o->err = err;
	(void)strncpy(o->why, why, sizeof(o->why) - 1);
	owner_event(o, c, 'C');
}

static inline void owner_drained(void *o, struct conn *c)
{
	owner_event(o, c, 'D');
}

static const struct conn_events owner_events = { .established = owner_established,
						 .message = owner_message,
						 .closed = owner_closed,
						 .drained = owner_drained };

#define HANDSHAKE_NS (5 * RT_S)

static inline struct conn_params played_params(void)
{
	return (struct conn_params){ .group = "db",
				     .key = played_key,
				     .message_max = PLAYED_MESSAGE_MAX,
				     .handshake_ns = HANDSHAKE_NS,
				     .events = &owner_events,
				     .owner = &owner };
}

static inline void played_begin(void)
{
	loop = (struct rt_loop){ .now = { 1000 } };
	sock = (struct rt_sock){ 0 };
	secure_errors = (struct secure_errors){ 0 };
	owner = heir = (struct owner){ 0 };
	conn = NULL;
	wired = 0;
	asked = fail_at = 0;
	held = 0;
}

static inline int dial_result(void)
{
	const struct rt_addr addr = { .kind = RT_ADDR_INET };
	uint8_t key[SECURE_KEY_LEN];
	struct conn_params params = played_params();
	int res;

	memcpy(key, played_key, sizeof(key)); /* of the caller, who may wipe it */
	params.key = key;
	res = conn_dial(&loop, &addr, SECURE_DATA, &params, &conn);
	memset(key, 0, sizeof(key));
	return res;
}

static inline int serve_result(void)
{
	const struct conn_params params = played_params();

	return conn_serve(&loop, &sock, &params, &conn);
}

static inline void dial(void)
{
	played_begin();
	assert_int_equal(dial_result(), 0);
}

/* Accepted, and the handshake is over. */
static inline void serve(void)
{
	const uint8_t hello = SECURE_DATA;

	played_begin();
	assert_int_equal(serve_result(), 0);
	arrive(&hello, 1);
	take_all();
	owner.nevents = 0;
	memset(owner.events, 0, sizeof(owner.events));
	wired = 0;
}

/* What is in flight on a closed socket ends; the memory goes with the last of it. */
static inline void cancel_all(void)
{
	struct rt_op **ops[] = { &sock.connecting, &sock.receiving, &sock.sending,
				 &loop.deferred };

	for (unsigned i = 0; i < RT_ARRAY_LEN(ops); i++) {
		if (!*ops[i])
			continue;
		assert_true(held > 0);
		end_op(ops[i], ops[i] == &loop.deferred ? 0 : -ECANCELED);
	}
}

/* It has ended as it should: one close of the socket, no timer, no memory. */
static inline void all_gone(void)
{
	cancel_all();
	assert_int_equal(sock.closings, 1);
	assert_int_equal(timers_armed(), 0);
	assert_int_equal(held, 0);
}

static inline void close_conn(void)
{
	conn_close(conn);
}

/* For the caller's sake the memory stays for the length of an event, too. */
static inline void close_in_event(void)
{
	conn_close(conn);
	assert_true(held > 0);
}

#endif
