// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/conn.h"

#include <errno.h>
#include <string.h>

#include "replicator/tunnel/secure.h"
#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define CONN_IN_BYTES (64u << 10)
#define CONN_OUT_BYTES (256u << 10)
#define CONN_QUEUED_MAX (4u << 20) /* conn_room() is false beyond */
#define CONN_QUEUE_FIRST (16u << 10)
/* Sealed at once: of many small messages one record of TLS. */
#define CONN_CHUNK (64u << 10)

struct frame_head {
	le32 len;
	le16 type;
	le16 zero;
};
_Static_assert(sizeof(struct frame_head) == 8, "wire size");

/* Plaintext that waits to be sealed: bytes[head .. tail). */
struct conn_queue {
	uint8_t *bytes; /* owned */
	size_t head, tail, size;
};

/* A message could not be sent: `closed` comes from the loop. */
struct conn_broken {
	struct rt_timer timer;
	int err; /* 0: no */
};

struct conn_times {
	rt_time rx, tx; /* of bytes received, of bytes handed to the kernel */
};

struct conn {
	struct rt_loop *loop;  /* borrowed */
	struct rt_sock *sock;  /* owned until closed */
	struct secure *secure; /* owned */
	struct conn_params params;
	uint8_t key[SECURE_KEY_LEN];
	struct rt_op connect_op, recv_op, send_op;
	struct rt_timer handshake;
	struct conn_broken broken;
	bool connecting, receiving, sending, established, dead;
	bool paused;
	uint64_t sent; /* bytes handed to the kernel */
	struct conn_times last;
	unsigned depth; /* inside our own callbacks: memory stays */
	struct conn_queue queue;
	struct rt_op resume_op;
	bool resuming;
	uint8_t *in, *out; /* owned: CONN_IN_BYTES, CONN_OUT_BYTES */
	size_t out_len, out_at;
	struct iovec iov;
	uint8_t *message; /* owned: head and body under assembly */
	size_t message_len, message_size;
};

static void conn_reap(struct conn *l)
{
	if (!l->dead || l->depth > 0 || l->connecting || l->receiving || l->sending ||
	    l->resuming)
		return;
	secure_free(l->secure);
	rt_free(l->in);
	rt_free(l->out);
	rt_free(l->queue.bytes);
	rt_free(l->message);
	explicit_bzero(l->key, sizeof(l->key));
	rt_free(l);
}

/* No event any more; what is in flight ends by itself. */
static void conn_die(struct conn *l)
{
	if (l->dead)
		return;
	l->dead = true;
	rt_timer_disarm(l->loop, &l->handshake);
	rt_timer_disarm(l->loop, &l->broken.timer);
	rt_sock_close(l->sock);
	l->sock = NULL;
}

static void conn_fail(struct conn *l, int err, const char *why)
{
	if (l->dead)
		return;
	conn_die(l);
	l->depth++;
	l->params.events->closed(l->params.owner, l, err, why);
	l->depth--;
}

void conn_close(struct conn *l)
{
	if (!l || l->dead)
		return;
	conn_die(l);
	conn_reap(l);
}

/* ---- sending ---------------------------------------------------------------------- */

static size_t queue_len(const struct conn_queue *q)
{
	return q->tail - q->head;
}

/* Room for `len` more bytes behind the tail. */
static int queue_grow(struct conn_queue *q, size_t len)
{
	size_t have = queue_len(q), size = q->size ? q->size : CONN_QUEUE_FIRST;
	uint8_t *bytes = q->bytes;

	if (q->tail + len <= q->size)
		return 0;
	while (have + len > size / 2)
		size *= 2;
	if (size > q->size) {
		bytes = rt_alloc(size);
		if (!bytes)
			return -ENOMEM;
		if (have > 0)
			memcpy(bytes, q->bytes + q->head, have);
		rt_free(q->bytes);
		q->bytes = bytes;
		q->size = size;
	} else {
		memmove(q->bytes, q->bytes + q->head, have);
	}
	q->head = 0;
	q->tail = have;
	return 0;
}

static void queue_put(struct conn_queue *q, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(q->bytes + q->tail, bytes, len);
	q->tail += len;
}

/* Seal what waits, as far as the buffer for the wire has room. */
static int conn_seal(struct conn *l)
{
	struct conn_queue *q = &l->queue;

	l->out_len = secure_output(l->secure, l->out, CONN_OUT_BYTES);
	l->out_at = 0;
	while (queue_len(q) > 0 && l->out_len < CONN_OUT_BYTES / 2) {
		size_t len = queue_len(q) < CONN_CHUNK ? queue_len(q) : CONN_CHUNK;

		int err = secure_write(l->secure, q->bytes + q->head, len);

		if (err < 0)
			return err;
		q->head += len;
		l->out_len += secure_output(l->secure, l->out + l->out_len,
					    CONN_OUT_BYTES - l->out_len);
	}
	if (queue_len(q) == 0)
		q->head = q->tail = 0;
	return 0;
}

static void conn_fail_later(struct conn *l, int err)
{
	if (l->broken.err)
		return; /* the first one is the reason */
	l->broken.err = err;
	rt_timer_arm(l->loop, &l->broken.timer, rt_now(l->loop));
}

static void conn_pump(struct conn *l)
{
	int err = 0;

	if (l->dead || l->sending || l->connecting || l->broken.err)
		return;
	if (l->out_at == l->out_len)
		err = conn_seal(l);
	if (err < 0) {
		conn_fail_later(l, err);
		return;
	}
	if (l->out_len == l->out_at)
		return;
	l->iov = (struct iovec){ l->out + l->out_at, l->out_len - l->out_at };
	l->sending = true;
	rt_sendv(l->sock, &l->send_op, &l->iov, 1);
}

static void conn_send_done(struct rt_op *op, int res)
{
	struct conn *l = rt_container_of(op, struct conn, send_op);

	l->sending = false;
	l->depth++;
	if (res < 0) {
		conn_fail(l, res, "the connection broke while sending");
	} else if (!l->dead) {
		l->out_at += (size_t)res;
		l->sent += (uint64_t)res;
		l->last.tx = rt_now(l->loop);
		conn_pump(l);
		if (!l->dead && conn_room(l) && l->params.events->drained)
			l->params.events->drained(l->params.owner, l);
	}
	l->depth--;
	conn_reap(l);
}

bool conn_room(const struct conn *l)
{
	return !l->dead && queue_len(&l->queue) < CONN_QUEUED_MAX;
}

rt_time conn_last_rx(const struct conn *l)
{
	return l->last.rx;
}

rt_time conn_last_tx(const struct conn *l)
{
	return l->last.tx;
}

size_t conn_waiting(const struct conn *l)
{
	return queue_len(&l->queue) + (l->out_len - l->out_at);
}

uint64_t conn_sent(const struct conn *l)
{
	return l->sent;
}

static const char *conn_send_error_text(int err)
{
	switch (err) {
	case -ENOMEM:
		return "out of memory for a message to the peer";
	case -ENOBUFS:
		return "more is written than is sent";
	default:
		return "a message to the peer could not be sealed";
	}
}

static void conn_send_failed(struct rt_timer *timer)
{
	struct conn *l = rt_container_of(timer, struct conn, broken.timer);

	conn_fail(l, l->broken.err, conn_send_error_text(l->broken.err));
	conn_reap(l);
}

int conn_sendv(struct conn *l, unsigned type, const struct iovec *iov, unsigned n)
{
	struct frame_head head = { .type = le16_make((uint16_t)type) };
	size_t len = 0;

	if (l->dead || !l->established || l->broken.err)
		return -EPIPE;
	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	head.len = le32_make((uint32_t)len);
	if (queue_grow(&l->queue, sizeof(head) + len) < 0) {
		conn_fail_later(l, -ENOMEM);
		return -ENOMEM;
	}
	queue_put(&l->queue, &head, sizeof(head));
	for (unsigned i = 0; i < n; i++)
		queue_put(&l->queue, iov[i].iov_base, iov[i].iov_len);
	conn_pump(l);
	return 0;
}

int conn_send(struct conn *l, unsigned type, const void *body, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)body, len };

	return conn_sendv(l, type, &iov, 1);
}

bool conn_key_shown(const struct conn *l)
{
	return l->established;
}

bool conn_answered(const struct conn *l)
{
	return secure_hello_keyed(l->secure);
}

enum secure_purpose conn_purpose(const struct conn *l)
{
	return secure_purpose(l->secure);
}

void conn_hand_over(struct conn *l, const struct conn_events *events, void *owner)
{
	l->params.events = events;
	l->params.owner = owner;
}

int conn_congestion(struct conn *l, const char *name)
{
	return l->dead ? -EPIPE : rt_sock_congestion(l->sock, name);
}

int conn_export(struct conn *l, const char *label, uint8_t *out, size_t len)
{
	return secure_export(l->secure, label, out, len);
}

/* ---- receiving -------------------------------------------------------------------- */

static size_t conn_message_want(const struct conn *l)
{
	struct frame_head head;

	if (l->message_len < sizeof(head))
		return sizeof(head);
	memcpy(&head, l->message, sizeof(head));
	return sizeof(head) + le32_get(head.len);
}

static int conn_message_grow(struct conn *l, size_t size)
{
	uint8_t *bigger;

	if (size <= l->message_size)
		return 0;
	bigger = rt_alloc(size);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger, l->message, l->message_len);
	rt_free(l->message);
	l->message = bigger;
	l->message_size = size;
	return 0;
}

/* A whole message is assembled: check its head and hand it up. */
static int conn_message_deliver(struct conn *l)
{
	struct frame_head head;

	memcpy(&head, l->message, sizeof(head));
	l->message_len = 0;
	l->params.events->message(l->params.owner, l, le16_get(head.type),
				  l->message + sizeof(head), le32_get(head.len));
	return 0;
}

/* Take what the peer sent out of the secured stream. 0, or a negative errno. */
static int conn_read_messages(struct conn *l)
{
	while (!l->dead && !l->paused) {
		size_t want = conn_message_want(l);
		long n;

		if (want > sizeof(struct frame_head) + l->params.message_max)
			return -EPROTO;
		if (conn_message_grow(l, want) < 0)
			return -ENOMEM;
		if (l->message_len == want && want >= sizeof(struct frame_head)) {
			struct frame_head head;

			memcpy(&head, l->message, sizeof(head));
			if (le16_get(head.zero) != 0)
				return -EPROTO;
			conn_message_deliver(l);
			continue;
		}
		n = secure_read(l->secure, l->message + l->message_len,
				want - l->message_len);
		if (n <= 0)
			return (int)n;
		l->message_len += (size_t)n;
	}
	return 0;
}

static void conn_recv(struct conn *l)
{
	if (l->dead || l->paused || l->receiving)
		return;
	l->receiving = true;
	rt_recv(l->sock, &l->recv_op, l->in, CONN_IN_BYTES);
}

static void conn_established(struct conn *l)
{
	if (l->established || !secure_established(l->secure))
		return;
	l->established = true;
	rt_timer_disarm(l->loop, &l->handshake);
	l->params.events->established(l->params.owner, l);
}

static const char *conn_error_text(int err)
{
	switch (err) {
	case -EPROTO:
		return "the peer sent a message that is no legal one";
	case -ENOMEM:
		return "out of memory";
	case -ENODATA:
		return "the peer ended the connection";
	default:
		return "the secured connection is broken";
	}
}

static void conn_take_messages(struct conn *l)
{
	int err = l->established ? conn_read_messages(l) : 0;

	if (err < 0) {
		conn_fail(l, err, conn_error_text(err));
		return;
	}
	conn_pump(l);
	conn_recv(l);
}

static void conn_take(struct conn *l, size_t len)
{
	const char *why = "the peer speaks no TLS or has another key";
	int err = secure_input(l->secure, l->in, len, &why);

	if (err < 0) {
		conn_pump(
			l); /* an alert may be waiting; it is lost with the socket or not */
		conn_fail(l, err, why);
		return;
	}
	conn_established(l);
	if (!l->dead)
		conn_take_messages(l);
}

static void conn_resumed(struct rt_op *op, int res)
{
	struct conn *l = rt_container_of(op, struct conn, resume_op);

	(void)res; /* rt_defer has no result of its own */
	l->resuming = false;
	l->depth++;
	if (!l->dead && !l->paused)
		conn_take_messages(l);
	l->depth--;
	conn_reap(l);
}

void conn_pause(struct conn *l, bool paused)
{
	if (l->paused == paused)
		return;
	l->paused = paused;
	if (paused || l->dead || l->resuming)
		return;
	l->resuming = true; /* events come from the loop only */
	rt_defer(l->loop, &l->resume_op);
}

static void conn_received(struct conn *l, size_t len)
{
	l->last.rx = rt_now(l->loop);
	conn_take(l, len);
}

static void conn_recv_done(struct rt_op *op, int res)
{
	struct conn *l = rt_container_of(op, struct conn, recv_op);

	l->receiving = false;
	l->depth++;
	if (l->dead)
		;
	else if (res == 0)
		conn_fail(l, -ECONNRESET, "the peer ended the connection");
	else if (res < 0)
		conn_fail(l, res, "the connection broke");
	else
		conn_received(l, (size_t)res);
	l->depth--;
	conn_reap(l);
}

/* ---- beginning ---------------------------------------------------------------------- */

static void conn_connect_done(struct rt_op *op, int res)
{
	struct conn *l = rt_container_of(op, struct conn, connect_op);

	l->connecting = false;
	l->depth++;
	if (l->dead)
		;
	else if (res < 0)
		conn_fail(l, res, "cannot connect");
	else {
		conn_pump(l);
		conn_recv(l);
	}
	l->depth--;
	conn_reap(l);
}

static void conn_handshake_late(struct rt_timer *timer)
{
	struct conn *l = rt_container_of(timer, struct conn, handshake);

	conn_fail(l, -ETIMEDOUT, "no handshake within its time");
	conn_reap(l);
}

static int conn_new(struct rt_loop *loop, const struct conn_params *params,
		    struct conn **ret)
{
	struct conn *l = rt_zalloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->params = *params;
	memcpy(l->key, params->key, sizeof(l->key));
	l->params.key = l->key;
	l->connect_op.done = conn_connect_done;
	l->recv_op.done = conn_recv_done;
	l->send_op.done = conn_send_done;
	l->resume_op.done = conn_resumed;
	l->handshake.fire = conn_handshake_late;
	l->broken.timer.fire = conn_send_failed;
	l->message_size = sizeof(struct frame_head);
	l->in = rt_alloc(CONN_IN_BYTES);
	l->out = rt_alloc(CONN_OUT_BYTES);
	l->message = rt_alloc(l->message_size);
	if (!l->in || !l->out || !l->message)
		goto fail;
	rt_timer_arm(loop, &l->handshake,
		     rt_time_add(rt_now(loop), params->handshake_ns));
	*ret = l;
	return 0;
fail:
	l->dead = true;
	conn_reap(l);
	return err;
}

int conn_dial(struct rt_loop *loop, const struct rt_addr *addr,
	      enum secure_purpose purpose, const struct conn_params *params,
	      struct conn **ret)
{
	struct conn *l;
	int err = conn_new(loop, params, &l);

	if (err < 0)
		return err;
	err = secure_dial(purpose, l->params.group, l->key, &l->secure);
	if (err == 0)
		err = rt_connect(loop, addr, &l->connect_op, &l->sock);
	if (err < 0) {
		conn_close(l);
		return err;
	}
	l->connecting = true;
	*ret = l;
	return 0;
}

int conn_serve(struct rt_loop *loop, struct rt_sock *sock,
	       const struct conn_params *params, struct conn **ret)
{
	struct conn *l;
	int err = conn_new(loop, params, &l);

	if (err < 0) {
		rt_sock_close(sock);
		return err;
	}
	l->sock = sock;
	err = secure_accept(l->params.group, l->key, &l->secure);
	if (err < 0) {
		conn_close(l);
		return err;
	}
	conn_recv(l);
	*ret = l;
	return 0;
}
