// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/transport_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/conn.h"
#include "replicator/transport.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define TCP_CONGESTION_MAX 16

/* A frame that arrived and was not taken yet. */
struct tcp_frame {
	struct rt_list link;
	size_t len;
	uint8_t bytes[];
};

/*
 * Counted in both frames and bytes of them: taken <= submitted at the end that sends, as
 * the other one says. The end that takes counts what it has given to its owner.
 */
struct transport_tcp {
	struct transport base;
	struct rt_loop *loop; /* borrowed */
	struct transport_tcp_params params;
	char congestion[TCP_CONGESTION_MAX];
	const struct transport_events *events; /* borrowed */
	void *owner;
	struct conn *conn; /* owned; NULL before it is there and when over */
	bool joined;	   /* both ends have shown their proof */
	int err;	   /* it has ended; or 0 */
	char why[128];	   /* of the same; or "" */

	uint64_t frames, bytes; /* submitted */
	uint64_t taken_frames, taken_bytes;
	uint64_t sent_before;  /* on the socket, by connections that are gone */
	uint64_t watermark;    /* ours at the end that takes, the peer's at the other */
	uint64_t serial, echo; /* newest probe; the newest that returned, or arrived */
	rt_time probed_at, proof_at;
	int64_t rtt_ns; /* < 0: unknown */
	struct rt_timer probe;

	struct rt_list frames_here;	  /* struct tcp_frame */
	size_t bytes_here;		  /* with what keeping a frame costs */
	struct tcp_frame *lent;		  /* to the owner, until its next call */
	struct message_progress reported; /* last */
};

static struct transport_tcp *tcp_of(const struct transport *base)
{
	return rt_container_of(base, struct transport_tcp, base);
}

static void tcp_changed(struct transport_tcp *t)
{
	t->events->changed(t->owner);
}

/* There is no connection any more; what it has sent still counts. */
static void tcp_forget_conn(struct transport_tcp *t)
{
	if (t->conn)
		t->sent_before += conn_sent(t->conn);
	t->conn = NULL;
}

static void tcp_end(struct transport_tcp *t, int err, const char *why)
{
	struct conn *conn;

	if (t->why[0])
		return;
	t->err = err;
	(void)snprintf(t->why, sizeof(t->why), "%s", why);
	rt_timer_disarm(t->loop, &t->probe);
	conn = t->conn;
	tcp_forget_conn(t);
	conn_close(conn);
	t->joined = false;
	tcp_changed(t);
}

static const char *tcp_over(const struct transport *base)
{
	const struct transport_tcp *t = tcp_of(base);

	return t->why[0] ? t->why : NULL;
}

static int tcp_error(const struct transport *base)
{
	return tcp_of(base)->err;
}

/* ---- joining ---------------------------------------------------------------------------- */

static void tcp_say_join(struct transport_tcp *t)
{
	struct message_join join = { .tunnel_id = t->params.id };
	uint8_t body[64];

	memcpy(join.proof, t->params.proofs[!t->params.dials], sizeof(join.proof));
	(void)conn_send(t->conn, MESSAGE_JOIN, body,
			message_encode_join(&join, body,
					    sizeof(body))); /* `closed` follows */
}

static bool tcp_join_fits(const struct transport_tcp *t, const uint8_t *body, size_t len)
{
	const uint8_t *proof = t->params.proofs[t->params.dials];
	struct message_join join;
	uint8_t differs = 0;

	if (message_decode_join(body, len, &join) < 0 || join.tunnel_id != t->params.id)
		return false;
	for (unsigned i = 0; i < sizeof(join.proof);
	     i++) /* no early end: it is a proof */
		differs |= join.proof[i] ^ proof[i];
	return differs == 0;
}

static void tcp_joined(struct transport_tcp *t)
{
	rt_time now = rt_now(t->loop);

	t->joined = true;
	t->proof_at = now;
	if (t->params.sends)
		rt_timer_arm(t->loop, &t->probe, now);
	tcp_changed(t);
}

/* ---- the end that sends -------------------------------------------------------------------- */

static void tcp_probe(struct rt_timer *timer)
{
	struct transport_tcp *t = rt_container_of(timer, struct transport_tcp, probe);
	uint8_t body[8];

	rt_timer_arm(t->loop, &t->probe,
		     rt_time_add(rt_now(t->loop), t->params.probe_ns));
	tcp_changed(t); /* time has passed: the path may not be proven any more */
	if (!t->joined || t->echo < t->serial || !conn_room(t->conn))
		return;
	t->serial++;
	t->probed_at = rt_now(t->loop);
	(void)conn_send(t->conn, MESSAGE_PROBE, body,
			message_encode_number(t->serial, body, sizeof(body)));
}

static int tcp_submitv(struct transport *base, const struct iovec *iov, unsigned n,
		       rt_time now)
{
	struct transport_tcp *t = tcp_of(base);
	uint64_t ahead = t->bytes - t->taken_bytes;
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	rt_assert(t->params.sends && len > 0 && len <= t->params.frame_max);
	if (!t->joined || !conn_room(t->conn) ||
	    (ahead > 0 && ahead + len > t->params.send_memory))
		return -EAGAIN;
	if (conn_sendv(t->conn, MESSAGE_FRAME, iov, n) < 0)
		return -EAGAIN; /* it closes */
	t->frames++;
	t->bytes += len;
	return 0;
}

/* What the other end says of itself is believed as a whole or not at all. */
static void tcp_progress(struct transport_tcp *t, const uint8_t *body, size_t len)
{
	struct message_progress m;
	rt_time now = rt_now(t->loop);

	if (message_decode_progress(body, len, &m) < 0 || m.frames < t->taken_frames ||
	    m.frames > t->frames || m.bytes < t->taken_bytes || m.bytes > t->bytes ||
	    (m.frames == t->frames) != (m.bytes == t->bytes) || m.echo > t->serial) {
		tcp_end(t, -EPROTO, "the mirror says that it took what was never sent");
		return;
	}
	if (m.frames > t->taken_frames || m.echo > t->echo)
		t->proof_at = now;
	if (m.echo > t->echo)
		t->rtt_ns = rt_time_since(now, t->probed_at);
	t->taken_frames = m.frames;
	t->taken_bytes = m.bytes;
	t->echo = m.echo;
	if (m.watermark > t->watermark)
		t->watermark = m.watermark;
	tcp_changed(t);
}

/* ---- the end that takes ----------------------------------------------------------------------- */

static void tcp_frame_received(struct transport_tcp *t, const uint8_t *body, size_t len)
{
	struct tcp_frame *f;

	if (len == 0 || len > t->params.frame_max) {
		tcp_end(t, -EPROTO, "a frame of an impossible length");
		return;
	}
	f = rt_alloc(sizeof(*f) + len);
	if (!f) {
		tcp_end(t, -ENOMEM, "out of memory");
		return;
	}
	f->len = len;
	memcpy(f->bytes, body, len);
	rt_list_push_back(&t->frames_here, &f->link);
	t->bytes_here += sizeof(*f) + len;
	if (t->bytes_here >= TRANSPORT_TCP_TAKE_BYTES)
		conn_pause(t->conn, true);
	tcp_changed(t);
}

static int tcp_next_frame(struct transport *base, const uint8_t **frame, size_t *len)
{
	struct transport_tcp *t = tcp_of(base);
	struct tcp_frame *f;

	rt_free(t->lent);
	t->lent = NULL;
	if (rt_list_empty(&t->frames_here))
		return 0;
	f = rt_container_of(rt_list_pop(&t->frames_here), struct tcp_frame, link);
	t->lent = f;
	t->bytes_here -= sizeof(*f) + f->len;
	t->taken_frames++;
	t->taken_bytes += f->len;
	if (t->conn && t->bytes_here < TRANSPORT_TCP_TAKE_BYTES / 2)
		conn_pause(t->conn, false);
	*frame = f->bytes;
	*len = f->len;
	return 1;
}

static void tcp_transmit(struct transport *base)
{
	struct transport_tcp *t = tcp_of(base);
	const struct message_progress m = { .frames = t->taken_frames,
					    .bytes = t->taken_bytes,
					    .watermark = t->watermark,
					    .echo = t->echo };
	uint8_t body[64];

	if (t->params.sends || !t->joined || !conn_room(t->conn) ||
	    memcmp(&m, &t->reported, sizeof(m)) == 0)
		return;
	t->reported = m;
	(void)conn_send(t->conn, MESSAGE_PROGRESS, body,
			message_encode_progress(&m, body, sizeof(body)));
}

static void tcp_set_watermark(struct transport *base, uint64_t watermark, rt_time now)
{
	struct transport_tcp *t = tcp_of(base);

	(void)now;
	if (watermark > t->watermark)
		t->watermark = watermark;
}

/* ---- the connection ------------------------------------------------------------------------------ */

static void tcp_established(void *owner, struct conn *conn)
{
	struct transport_tcp *t = owner;

	if (t->congestion[0] && conn_congestion(conn, t->congestion) < 0)
		tcp_end(t, -ENOTSUP,
			"this kernel does not offer the congestion control that is "
			"configured");
	else
		tcp_say_join(t);
}

static void tcp_message(void *owner, struct conn *conn, unsigned type,
			const uint8_t *body, size_t len)
{
	struct transport_tcp *t = owner;
	uint64_t serial;

	(void)conn; /* there is one */
	if (type == MESSAGE_JOIN && !t->joined && tcp_join_fits(t, body, len)) {
		tcp_joined(t);
	} else if (!t->joined) {
		tcp_end(t, -ECONNREFUSED,
			"what was dialed is not the other end of this connection");
	} else if (type == MESSAGE_PROGRESS && t->params.sends) {
		tcp_progress(t, body, len);
	} else if (type == MESSAGE_FRAME && !t->params.sends) {
		tcp_frame_received(t, body, len);
	} else if (type == MESSAGE_PROBE && !t->params.sends &&
		   message_decode_number(body, len, &serial) == 0) {
		t->echo = serial;
		tcp_changed(t);
	} else {
		tcp_end(t, -EPROTO,
			"a message that does not belong to the data connection");
	}
}

static void tcp_closed(void *owner, struct conn *conn, int err, const char *why)
{
	struct transport_tcp *t = owner;

	(void)conn; /* dead already */
	tcp_forget_conn(t);
	/* Bytes that TLS refuses are not what the peer sent. */
	tcp_end(t, err == -EBADMSG ? -ECONNRESET : err, why);
}

static void tcp_drained(void *owner, struct conn *conn)
{
	(void)conn;
	tcp_changed(owner);
}

static const struct conn_events tcp_conn_events = {
	.established = tcp_established,
	.message = tcp_message,
	.closed = tcp_closed,
	.drained = tcp_drained,
};

static void tcp_dial(struct transport_tcp *t)
{
	const struct conn_params params = {
		.group = t->params.group,
		.key = t->params.key,
		.message_max = t->params.frame_max < MESSAGE_MAX ? MESSAGE_MAX
								 : t->params.frame_max,
		.handshake_ns = t->params.handshake_ns,
		.events = &tcp_conn_events,
		.owner = t,
	};
	int err;

	err = conn_dial(t->loop, &t->params.addr, SECURE_DATA, &params, &t->conn);
	if (err < 0)
		tcp_end(t, err, "the data connection cannot be dialed");
}

static void tcp_begin(struct transport *base)
{
	struct transport_tcp *t = tcp_of(base);

	if (t->params.dials && !t->conn && !t->why[0])
		tcp_dial(t);
}

static bool tcp_join(struct transport *base, struct conn *conn, const uint8_t *body,
		     size_t len)
{
	struct transport_tcp *t = tcp_of(base);

	if (t->params.dials || t->conn || t->why[0] || !tcp_join_fits(t, body, len))
		return false;
	conn_hand_over(conn, &tcp_conn_events, t);
	t->conn = conn;
	tcp_established(t, conn);
	if (t->conn)
		tcp_joined(t);
	return true;
}

/* ---- figures ----------------------------------------------------------------------------------------- */

static uint64_t tcp_peer_watermark(const struct transport *base)
{
	const struct transport_tcp *t = tcp_of(base);

	return t->params.sends ? t->watermark : 0;
}

static uint64_t tcp_submitted(const struct transport *base)
{
	return tcp_of(base)->frames;
}

static uint64_t tcp_received(const struct transport *base)
{
	return tcp_of(base)->taken_frames;
}

static bool tcp_proven(const struct transport *base, rt_time now)
{
	const struct transport_tcp *t = tcp_of(base);
	int64_t rtt = t->rtt_ns > 0 ? t->rtt_ns : 0;

	return t->joined &&
	       rt_time_since(now, t->proof_at) < 2 * t->params.probe_ns + 3 * rtt;
}

static rt_time tcp_proof_at(const struct transport *base)
{
	return tcp_of(base)->proof_at;
}

/* TCP waits longer and longer before it tries again; a new connection does not. */
static bool tcp_stalled(const struct transport *base, rt_time now, int64_t limit_ns)
{
	const struct transport_tcp *t = tcp_of(base);
	rt_time moved = t->conn ? conn_last_tx(t->conn) : t->proof_at;

	return rt_time_since(now, moved) > limit_ns;
}

static void tcp_expedite(struct transport *base, rt_time now)
{
	(void)base; /* TCP knows no hurry */
	(void)now;
}

static uint64_t tcp_onwire(const struct transport *base, rt_time now)
{
	(void)now;
	return tcp_received(base);
}

static enum tunnel_evidence tcp_evidence(const struct transport *base)
{
	(void)base;
	return TUNNEL_MIRROR;
}

static bool tcp_path_differs(const struct transport *base, uint16_t most,
			     struct transport_path *ret)
{
	(void)base; /* TCP finds its own segments */
	(void)most;
	(void)ret;
	return false;
}

static int tcp_set_rules(struct transport *base, const struct transport_rules *rules,
			 rt_time now)
{
	(void)base; /* TCP has no code, and finds its own rate */
	(void)rules;
	(void)now;
	return 0;
}

static void tcp_stats(const struct transport *base, struct transport_stats *ret)
{
	const struct transport_tcp *t = tcp_of(base);

	*ret = (struct transport_stats){
		.tcp = true,
		.counters.sent_bytes =
			t->sent_before + (t->conn ? conn_sent(t->conn) : 0),
		.waiting = t->conn ? conn_waiting(t->conn) : 0,
		.rtt_ns = t->rtt_ns,
		.queue_ns = -1,
		.loss = -1,
		.burst = -1,
		.congestion = "",
		.in_flight = t->frames - t->taken_frames,
		.overhead = -1,
		.residual = 0, /* what counts as on the wire has been received */
	};
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void tcp_free(struct transport *base)
{
	struct transport_tcp *t = tcp_of(base);

	rt_timer_disarm(t->loop, &t->probe);
	conn_close(t->conn);
	while (!rt_list_empty(&t->frames_here))
		rt_free(rt_container_of(rt_list_pop(&t->frames_here), struct tcp_frame,
					link));
	rt_free(t->lent);
	explicit_bzero(&t->params, sizeof(t->params)); /* the proofs */
	rt_free(t);
}

static const struct transport_ops tcp_ops = {
	.free = tcp_free,
	.begin = tcp_begin,
	.join = tcp_join,
	.over = tcp_over,
	.error = tcp_error,
	.submitv = tcp_submitv,
	.expedite = tcp_expedite,
	.next_frame = tcp_next_frame,
	.set_watermark = tcp_set_watermark,
	.peer_watermark = tcp_peer_watermark,
	.transmit = tcp_transmit,
	.submitted = tcp_submitted,
	.received = tcp_received,
	.onwire = tcp_onwire,
	.proven = tcp_proven,
	.proof_at = tcp_proof_at,
	.stalled = tcp_stalled,
	.evidence = tcp_evidence,
	.path_differs = tcp_path_differs,
	.set_rules = tcp_set_rules,
	.stats = tcp_stats,
};

int transport_tcp_new(struct rt_loop *loop, const struct transport_tcp_params *params,
		      const struct transport_events *events, void *owner,
		      struct transport **ret)
{
	struct transport_tcp *t = rt_zalloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	rt_assert(params->probe_ns > 0 && params->frame_max > 0);
	t->base.ops = &tcp_ops;
	t->loop = loop;
	t->params = *params;
	(void)snprintf(t->congestion, sizeof(t->congestion), "%s", params->congestion);
	t->params.congestion = t->congestion;
	t->events = events;
	t->owner = owner;
	t->rtt_ns = -1;
	t->probe.fire = tcp_probe;
	rt_list_init(&t->frames_here);
	*ret = &t->base;
	return 0;
}
