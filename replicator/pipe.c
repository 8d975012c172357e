// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/link.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "rt/mem.h"

#define PIPE_CONGESTION_MAX 16

/* A frame that arrived and was not taken yet. */
struct pipe_frame {
	struct rt_list link;
	size_t len;
	uint8_t bytes[];
};

/*
 * Counted in both frames and bytes of them: taken <= submitted at the end that sends, as
 * the other one says. The end that takes counts what it has given to its owner.
 */
struct pipe {
	struct rt_loop *loop; /* borrowed */
	struct pipe_params params;
	char congestion[PIPE_CONGESTION_MAX];
	const struct pipe_events *events; /* borrowed */
	void *owner;
	struct link *link; /* owned; NULL before it is there and when over */
	bool joined;	   /* both ends have shown their proof */
	char why[128];	   /* it is over; or "" */

	uint64_t frames, bytes; /* submitted */
	uint64_t taken_frames, taken_bytes;
	uint64_t note; /* ours at the end that takes, the other's at the one that sends */
	uint64_t serial, echo; /* newest probe; the newest that came back, or came */
	rt_time probed_at, proof_at;
	int64_t rtt_ns; /* < 0: unknown */
	struct rt_timer probe;

	struct rt_list frames_here;   /* struct pipe_frame */
	size_t bytes_here;	      /* with what keeping a frame costs */
	struct pipe_frame *lent;      /* to the owner, until its next call */
	struct message_progress said; /* last */
};

static void pipe_changed(struct pipe *p)
{
	p->events->changed(p->owner);
}

static void pipe_end(struct pipe *p, const char *why)
{
	if (p->why[0])
		return;
	(void)snprintf(p->why, sizeof(p->why), "%s", why);
	rt_timer_disarm(p->loop, &p->probe);
	link_close(p->link);
	p->link = NULL;
	p->joined = false;
	pipe_changed(p);
}

const char *pipe_over(const struct pipe *p)
{
	return p->why[0] ? p->why : NULL;
}

/* ---- joining ---------------------------------------------------------------------------- */

static void pipe_say_join(struct pipe *p)
{
	struct message_join join = { .tunnel_id = p->params.id };
	uint8_t body[64];

	memcpy(join.proof, p->params.proofs[!p->params.dials], sizeof(join.proof));
	(void)link_send(p->link, MESSAGE_JOIN, body,
			message_encode_join(&join, body,
					    sizeof(body))); /* told by closed */
}

static bool pipe_join_fits(const struct pipe *p, const uint8_t *body, size_t len)
{
	const uint8_t *proof = p->params.proofs[p->params.dials];
	struct message_join join;
	uint8_t differs = 0;

	if (message_decode_join(body, len, &join) < 0 || join.tunnel_id != p->params.id)
		return false;
	for (unsigned i = 0; i < sizeof(join.proof);
	     i++) /* no early end: it is a proof */
		differs |= join.proof[i] ^ proof[i];
	return differs == 0;
}

static void pipe_joined(struct pipe *p)
{
	rt_time now = rt_now(p->loop);

	p->joined = true;
	p->proof_at = now;
	if (p->params.sends)
		rt_timer_arm(p->loop, &p->probe, now);
	pipe_changed(p);
}

/* ---- the end that sends -------------------------------------------------------------------- */

static void pipe_probe(struct rt_timer *timer)
{
	struct pipe *p = rt_container_of(timer, struct pipe, probe);
	uint8_t body[8];

	rt_timer_arm(p->loop, &p->probe,
		     rt_time_add(rt_now(p->loop), p->params.probe_ns));
	pipe_changed(p); /* time has passed: the line may not be proven any more */
	if (!p->joined || p->echo < p->serial || !link_room(p->link))
		return;
	p->serial++;
	p->probed_at = rt_now(p->loop);
	(void)link_send(p->link, MESSAGE_PROBE, body,
			message_encode_number(p->serial, body, sizeof(body)));
}

int pipe_submitv(struct pipe *p, const struct iovec *iov, unsigned n)
{
	uint64_t ahead = p->bytes - p->taken_bytes;
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	rt_assert(p->params.sends && len > 0 && len <= p->params.frame_max);
	if (!p->joined || !link_room(p->link) ||
	    (ahead > 0 && ahead + len > p->params.send_memory))
		return -EAGAIN;
	if (link_sendv(p->link, MESSAGE_FRAME, iov, n) < 0)
		return -EAGAIN; /* it closes */
	p->frames++;
	p->bytes += len;
	return 0;
}

/* What the other end says of itself is believed as a whole or not at all. */
static void pipe_progress(struct pipe *p, const uint8_t *body, size_t len)
{
	struct message_progress m;
	rt_time now = rt_now(p->loop);

	if (message_decode_progress(body, len, &m) < 0 || m.frames < p->taken_frames ||
	    m.frames > p->frames || m.bytes < p->taken_bytes || m.bytes > p->bytes ||
	    (m.frames == p->frames) != (m.bytes == p->bytes) || m.echo > p->serial) {
		pipe_end(p, "the mirror says that it took what was never sent");
		return;
	}
	if (m.frames > p->taken_frames || m.echo > p->echo)
		p->proof_at = now;
	if (m.echo > p->echo)
		p->rtt_ns = rt_time_since(now, p->probed_at);
	p->taken_frames = m.frames;
	p->taken_bytes = m.bytes;
	p->echo = m.echo;
	if (m.note > p->note)
		p->note = m.note;
	pipe_changed(p);
}

/* ---- the end that takes ----------------------------------------------------------------------- */

static void pipe_frame_came(struct pipe *p, const uint8_t *body, size_t len)
{
	struct pipe_frame *f;

	if (len == 0 || len > p->params.frame_max) {
		pipe_end(p, "a frame of an impossible length");
		return;
	}
	f = rt_alloc(sizeof(*f) + len);
	if (!f) {
		pipe_end(p, "out of memory");
		return;
	}
	f->len = len;
	memcpy(f->bytes, body, len);
	rt_list_push_back(&p->frames_here, &f->link);
	p->bytes_here += sizeof(*f) + len;
	if (p->bytes_here >= PIPE_TAKE_BYTES)
		link_pause(p->link, true);
	pipe_changed(p);
}

int pipe_next_frame(struct pipe *p, const uint8_t **frame, size_t *len)
{
	struct pipe_frame *f;

	rt_free(p->lent);
	p->lent = NULL;
	if (rt_list_empty(&p->frames_here))
		return 0;
	f = rt_container_of(rt_list_pop(&p->frames_here), struct pipe_frame, link);
	p->lent = f;
	p->bytes_here -= sizeof(*f) + f->len;
	p->taken_frames++;
	p->taken_bytes += f->len;
	if (p->link && p->bytes_here < PIPE_TAKE_BYTES / 2)
		link_pause(p->link, false);
	*frame = f->bytes;
	*len = f->len;
	return 1;
}

void pipe_kick(struct pipe *p)
{
	const struct message_progress m = { .frames = p->taken_frames,
					    .bytes = p->taken_bytes,
					    .note = p->note,
					    .echo = p->echo };
	uint8_t body[64];

	if (p->params.sends || !p->joined || !link_room(p->link) ||
	    memcmp(&m, &p->said, sizeof(m)) == 0)
		return;
	p->said = m;
	(void)link_send(p->link, MESSAGE_PROGRESS, body,
			message_encode_progress(&m, body, sizeof(body)));
}

void pipe_set_note(struct pipe *p, uint64_t note)
{
	if (note > p->note)
		p->note = note;
}

/* ---- the connection ------------------------------------------------------------------------------ */

static void pipe_established(void *owner, struct link *link)
{
	struct pipe *p = owner;

	if (p->congestion[0] && link_congestion(link, p->congestion) < 0)
		pipe_end(p, "this kernel does not offer the congestion control that is "
			    "configured");
	else
		pipe_say_join(p);
}

static void pipe_message(void *owner, struct link *link, unsigned type,
			 const uint8_t *body, size_t len)
{
	struct pipe *p = owner;
	uint64_t serial;

	(void)link; /* there is one */
	if (type == MESSAGE_JOIN && !p->joined && pipe_join_fits(p, body, len)) {
		pipe_joined(p);
	} else if (!p->joined) {
		pipe_end(p, "what was dialed is not the other end of this connection");
	} else if (type == MESSAGE_PROGRESS && p->params.sends) {
		pipe_progress(p, body, len);
	} else if (type == MESSAGE_FRAME && !p->params.sends) {
		pipe_frame_came(p, body, len);
	} else if (type == MESSAGE_PROBE && !p->params.sends &&
		   message_decode_number(body, len, &serial) == 0) {
		p->echo = serial;
		pipe_changed(p);
	} else {
		pipe_end(p, "a message that does not belong to the data connection");
	}
}

static void pipe_closed(void *owner, struct link *link, int err, const char *why)
{
	struct pipe *p = owner;

	(void)link; /* dead already */
	(void)err;
	p->link = NULL;
	pipe_end(p, why);
}

static void pipe_drained(void *owner, struct link *link)
{
	(void)link;
	pipe_changed(owner);
}

static const struct link_events pipe_link_events = {
	.established = pipe_established,
	.message = pipe_message,
	.closed = pipe_closed,
	.drained = pipe_drained,
};

static void pipe_dial(struct pipe *p)
{
	const struct link_params params = {
		.key = p->params.key,
		.message_max = p->params.frame_max < MESSAGE_MAX ? MESSAGE_MAX
								 : p->params.frame_max,
		.handshake_ns = p->params.handshake_ns,
		.events = &pipe_link_events,
		.owner = p,
	};

	if (link_dial(p->loop, &p->params.addr, SECURE_DATA, &params, &p->link) < 0)
		pipe_end(p, "the data connection cannot be dialed");
}

void pipe_begin(struct pipe *p)
{
	if (p->params.dials && !p->link && !p->why[0])
		pipe_dial(p);
}

bool pipe_join(struct pipe *p, struct link *link, const uint8_t *body, size_t len)
{
	if (p->params.dials || p->link || p->why[0] || !pipe_join_fits(p, body, len))
		return false;
	link_hand_over(link, &pipe_link_events, p);
	p->link = link;
	pipe_established(p, link);
	if (p->link)
		pipe_joined(p);
	return true;
}

/* ---- life ------------------------------------------------------------------------------------------ */

int pipe_new(struct rt_loop *loop, const struct pipe_params *params,
	     const struct pipe_events *events, void *owner, struct pipe **ret)
{
	struct pipe *p = rt_zalloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	rt_assert(params->probe_ns > 0 && params->frame_max > 0);
	p->loop = loop;
	p->params = *params;
	(void)snprintf(p->congestion, sizeof(p->congestion), "%s", params->congestion);
	p->params.congestion = p->congestion;
	p->events = events;
	p->owner = owner;
	p->rtt_ns = -1;
	p->probe.fire = pipe_probe;
	rt_list_init(&p->frames_here);
	*ret = p;
	return 0;
}

void pipe_free(struct pipe *p)
{
	if (!p)
		return;
	rt_timer_disarm(p->loop, &p->probe);
	link_close(p->link);
	while (!rt_list_empty(&p->frames_here))
		rt_free(rt_container_of(rt_list_pop(&p->frames_here), struct pipe_frame,
					link));
	rt_free(p->lent);
	explicit_bzero(&p->params, sizeof(p->params)); /* the proofs */
	rt_free(p);
}

/* ---- figures ----------------------------------------------------------------------------------------- */

uint64_t pipe_peer_note(const struct pipe *p)
{
	return p->params.sends ? p->note : 0;
}

uint64_t pipe_submitted(const struct pipe *p)
{
	return p->frames;
}

uint64_t pipe_received(const struct pipe *p)
{
	return p->taken_frames;
}

bool pipe_proven(const struct pipe *p, rt_time now)
{
	int64_t rtt = p->rtt_ns > 0 ? p->rtt_ns : 0;

	return p->joined &&
	       rt_time_since(now, p->proof_at) < 2 * p->params.probe_ns + 3 * rtt;
}

rt_time pipe_moved(const struct pipe *p)
{
	return p->link ? link_moved(p->link) : p->proof_at;
}

void pipe_stats(const struct pipe *p, struct tunnel_stats *ret)
{
	uint64_t waiting = p->link ? link_waiting(p->link) : 0;

	memset(ret, 0, sizeof(*ret));
	ret->sent_bytes = p->bytes > waiting ? p->bytes - waiting : 0;
	ret->sent_data = p->frames;
	ret->rtt_ns = p->rtt_ns;
	ret->rtt_min_ns = -1;
	ret->loss = ret->burst = ret->loss_upper = ret->burst_upper = -1;
	ret->residual = 0; /* what counts as on the line has been received */
	ret->in_line = p->frames - p->taken_frames;
}
