/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_BOTTLENECK_H
#define TESTS_UNIT_TUNNEL_BOTTLENECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/cc.h"
#include "replicator/tunnel/pacer.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

/*
 * One line with one queue in virtual time, and the flows that share it: ours, which are a
 * pacer and a struct cc and nothing else of a tunnel, and what stands for TCP: a window
 * that grows as Reno's, CUBIC's or BBR's does, selective acknowledgements, and no data.
 * Everything follows from one seed.
 */

#define BN_DATAGRAM 1488 /* bytes on the line */
#define BN_FLOWS 4
#define BN_RING (1u << 16)

static const struct cc_params bn_automatic = { .automatic = true,
					       .datagram = BN_DATAGRAM };

/* Whether the figures are printed. */
static inline bool bn_verbose(void)
{
	return getenv("CC_VERBOSE") != NULL;
}

enum bn_kind { BN_OURS, BN_RENO, BN_CUBIC };

/* What was sent under one number. */
struct bn_sent {
	uint64_t number;
	int64_t at_ns;
	bool came, lost;
};

struct bn_flow {
	enum bn_kind kind;
	bool on;
	uint64_t seq;	      /* newest number sent */
	struct bn_sent *ring; /* BN_RING */
	/* The receiver. */
	uint64_t arrived, highest, waiting;
	int64_t highest_ns, ack_due_ns;
	/* Ours. */
	struct cc cc;
	struct pacer pacer;
	uint64_t largest;
	double offered; /* the application's datagrams per second; 0: no end of them */
	double allowed;
	int64_t allowed_ns;
	int64_t late_ns; /* the host wakes up late by up to this */
	int64_t wake_ns;
	/* TCP. */
	double window, slow;
	struct cubic cubic;
	uint64_t flight, lowest, recover;
	int64_t srtt_ns, grown_ns;
};

struct bn_event {
	int64_t at_ns;
	uint64_t seq;
	int kind, flow;
	uint64_t number, arrived;
	int64_t delay_ns;
};

enum { BN_ARRIVES, BN_ACK, BN_ACK_DUE, BN_WAKE };

struct bn {
	int64_t now_ns;
	double rate_bps, loss, burst;
	int64_t delay_ns, buffer_ns, jitter_ns;
	int64_t busy_ns; /* the queue is empty then */
	bool losing;
	uint64_t rng, seq, drops;
	struct bn_flow flow[BN_FLOWS];
	struct bn_event *heap;
	size_t nheap, heap_size;
	double queue_sum; /* of what each datagram waited, and the most */
	uint64_t queue_n;
	int64_t queue_max_ns, arrival_ns;
};

static inline uint64_t bn_draw(struct bn *b)
{
	b->rng += UINT64_C(0x9e3779b97f4a7c15);
	return rt_mix64(b->rng);
}

static inline bool bn_chance(struct bn *b, double p)
{
	return (double)(bn_draw(b) >> 11) * 0x1p-53 < p;
}

static inline bool bn_sooner(const struct bn_event *x, const struct bn_event *y)
{
	return x->at_ns != y->at_ns ? x->at_ns < y->at_ns : x->seq < y->seq;
}

static inline void bn_push(struct bn *b, struct bn_event e)
{
	size_t i = b->nheap++;

	if (b->nheap > b->heap_size) {
		b->heap_size = b->heap_size ? 2 * b->heap_size : 1024;
		b->heap = realloc(b->heap, b->heap_size * sizeof(*b->heap));
		assert_non_null(b->heap);
	}
	e.seq = b->seq++;
	for (; i > 0 && bn_sooner(&e, &b->heap[(i - 1) / 2]); i = (i - 1) / 2)
		b->heap[i] = b->heap[(i - 1) / 2];
	b->heap[i] = e;
}

static inline struct bn_event bn_pop(struct bn *b)
{
	struct bn_event top = b->heap[0], last = b->heap[--b->nheap];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < b->nheap; i = child) {
		if (child + 1 < b->nheap &&
		    bn_sooner(&b->heap[child + 1], &b->heap[child]))
			child++;
		if (!bn_sooner(&b->heap[child], &last))
			break;
		b->heap[i] = b->heap[child];
	}
	if (b->nheap > 0)
		b->heap[i] = last;
	return top;
}

/* ---- the line -------------------------------------------------------------------------- */

static inline bool bn_lost(struct bn *b)
{
	double leave = 1 / b->burst, enter = leave * b->loss / (1 - b->loss);

	b->losing = b->losing ? !bn_chance(b, leave) : bn_chance(b, enter);
	return b->losing;
}

static inline void bn_enter(struct bn *b, int flow, uint64_t number)
{
	int64_t wait_ns, cost_ns = (int64_t)(BN_DATAGRAM * 8e9 / b->rate_bps);
	int64_t at_ns;

	if (b->busy_ns < b->now_ns)
		b->busy_ns = b->now_ns;
	wait_ns = b->busy_ns - b->now_ns;
	if (wait_ns > b->buffer_ns) {
		b->drops++;
		return;
	}
	b->queue_sum += (double)wait_ns;
	b->queue_n++;
	if (wait_ns > b->queue_max_ns)
		b->queue_max_ns = wait_ns;
	b->busy_ns += cost_ns;
	if (bn_lost(b))
		return;
	at_ns = b->busy_ns + b->delay_ns;
	if (b->jitter_ns > 0)
		at_ns += (int64_t)(bn_draw(b) % (uint64_t)b->jitter_ns);
	if (at_ns < b->arrival_ns)
		at_ns = b->arrival_ns;
	b->arrival_ns = at_ns;
	bn_push(b, (struct bn_event){ .at_ns = at_ns,
				      .kind = BN_ARRIVES,
				      .flow = flow,
				      .number = number });
}

static inline struct bn_sent *bn_send(struct bn *b, int flow)
{
	struct bn_flow *f = &b->flow[flow];
	struct bn_sent *s = &f->ring[++f->seq % BN_RING];

	*s = (struct bn_sent){ .number = f->seq, .at_ns = b->now_ns };
	bn_enter(b, flow, f->seq);
	return s;
}

/* ---- ours ------------------------------------------------------------------------------ */

static inline void bn_wake_at(struct bn *b, int flow, int64_t at_ns)
{
	struct bn_flow *f = &b->flow[flow];

	if (f->late_ns > 0)
		at_ns += (int64_t)(bn_draw(b) % (uint64_t)f->late_ns);
	if (f->wake_ns > b->now_ns && f->wake_ns <= at_ns)
		return;
	f->wake_ns = at_ns;
	bn_push(b, (struct bn_event){ .at_ns = at_ns, .kind = BN_WAKE, .flow = flow });
}

static inline void bn_ours_send(struct bn *b, int flow)
{
	struct bn_flow *f = &b->flow[flow];
	rt_time now = { b->now_ns };
	uint64_t rate = cc_rate_bps(&f->cc), old = f->pacer.rate_bps;

	if (rate > old + old / 32 || rate < old - old / 32)
		pacer_set_rate(&f->pacer, rate, now);
	if (f->offered > 0) {
		f->allowed += f->offered * (double)(b->now_ns - f->allowed_ns) / 1e9;
		f->allowed_ns = b->now_ns;
		if (f->allowed > 1000)
			f->allowed = 1000;
	}
	while (cc_open(&f->cc, f->seq - f->largest)) {
		if (!pacer_ready(&f->pacer, now)) {
			bn_wake_at(b, flow, f->pacer.ready_at.ns);
			return;
		}
		if (f->offered > 0 && f->allowed < 1) {
			cc_limited(&f->cc);
			pacer_idle(&f->pacer);
			bn_wake_at(b, flow, b->now_ns + RT_MS);
			return;
		}
		f->allowed -= f->offered > 0;
		pacer_charge(&f->pacer, BN_DATAGRAM - PACER_IPV4, now);
		(void)bn_send(b, flow);
	}
	/* Nobody answers: ask, as a tunnel would. */
	bn_wake_at(b, flow, b->now_ns + 25 * RT_MS);
}

static inline void bn_ours_ack(struct bn *b, const struct bn_event *e)
{
	struct bn_flow *f = &b->flow[e->flow];
	struct bn_sent *s = &f->ring[e->number % BN_RING];
	struct cc_ack a = {
		.arrived = { b->now_ns - e->delay_ns },
		.sent_at = { s->at_ns },
		.sent_all = f->seq,
		.sent = e->number,
		.received = (double)e->arrived,
		.rtt_ns = b->now_ns - e->delay_ns - s->at_ns,
	};

	if (e->number <= f->largest || s->number != e->number)
		return;
	f->largest = e->number;
	cc_acked(&f->cc, &a);
	bn_ours_send(b, e->flow);
}

/* ---- TCP --------------------------------------------------------------------------------- */

static inline void bn_tcp_send(struct bn *b, int flow)
{
	struct bn_flow *f = &b->flow[flow];

	while ((double)f->flight < f->window) {
		f->flight++;
		(void)bn_send(b, flow);
	}
}

static inline void bn_tcp_grow(struct bn *b, struct bn_flow *f)
{
	if (f->window < f->slow) {
		f->window++;
	} else if (f->kind == BN_RENO) {
		f->window += 1 / f->window;
	} else if (b->now_ns - f->grown_ns >= f->srtt_ns) {
		f->grown_ns = b->now_ns;
		cubic_grow(&f->cubic, f->srtt_ns, (rt_time){ b->now_ns });
		f->window = f->cubic.window;
	}
}

static inline void bn_tcp_lose(struct bn *b, struct bn_flow *f)
{
	f->recover = f->seq;
	if (f->kind == BN_CUBIC) {
		if (f->window < f->slow || f->cubic.window == 0)
			cubic_init(&f->cubic, f->window, f->window,
				   (rt_time){ b->now_ns });
		f->cubic.window = f->window;
		cubic_lose(&f->cubic, (rt_time){ b->now_ns });
		f->window = f->slow = f->cubic.window;
	} else {
		f->window = f->window > 4 ? f->window / 2 : 2;
		f->slow = f->window;
	}
}

static inline void bn_tcp_ack(struct bn *b, const struct bn_event *e)
{
	struct bn_flow *f = &b->flow[e->flow];
	struct bn_sent *s = &f->ring[e->number % BN_RING];

	if (s->number != e->number || s->came)
		return;
	s->came = true;
	f->flight -= !s->lost;
	f->srtt_ns = f->srtt_ns == 0
			     ? b->now_ns - s->at_ns
			     : f->srtt_ns + (b->now_ns - s->at_ns - f->srtt_ns) / 8;
	if (e->number > f->recover)
		bn_tcp_grow(b, f);
	for (; f->lowest + 3 <= e->number; f->lowest++) {
		s = &f->ring[f->lowest % BN_RING];
		if (s->number != f->lowest || s->came || s->lost)
			continue;
		s->lost = true;
		f->flight--;
		if (f->lowest > f->recover)
			bn_tcp_lose(b, f);
	}
	bn_tcp_send(b, e->flow);
}

/* ---- running ------------------------------------------------------------------------------- */

static inline void bn_ack(struct bn *b, int flow)
{
	struct bn_flow *f = &b->flow[flow];

	f->waiting = 0;
	f->ack_due_ns = INT64_MAX;
	bn_push(b, (struct bn_event){ .at_ns = b->now_ns + b->delay_ns,
				      .kind = BN_ACK,
				      .flow = flow,
				      .number = f->highest,
				      .arrived = f->arrived,
				      .delay_ns = b->now_ns - f->highest_ns });
}

static inline void bn_arrives(struct bn *b, const struct bn_event *e)
{
	struct bn_flow *f = &b->flow[e->flow];
	bool gap = e->number > f->highest + 1;

	f->arrived++;
	f->highest = e->number;
	f->highest_ns = b->now_ns;
	if (f->kind != BN_OURS) {
		bn_push(b, (struct bn_event){ .at_ns = b->now_ns + b->delay_ns,
					      .kind = BN_ACK,
					      .flow = e->flow,
					      .number = e->number });
		return;
	}
	if (++f->waiting >= (gap ? 4 : 16)) {
		bn_ack(b, e->flow);
	} else if (f->waiting == 1) {
		f->ack_due_ns = b->now_ns + 2 * RT_MS;
		bn_push(b, (struct bn_event){ .at_ns = f->ack_due_ns,
					      .kind = BN_ACK_DUE,
					      .flow = e->flow });
	}
}

static inline void bn_event(struct bn *b, const struct bn_event *e)
{
	struct bn_flow *f = &b->flow[e->flow];

	if (!f->on)
		return;
	switch (e->kind) {
	case BN_ARRIVES:
		bn_arrives(b, e);
		break;
	case BN_ACK_DUE:
		if (f->ack_due_ns == e->at_ns)
			bn_ack(b, e->flow);
		break;
	case BN_ACK:
		if (f->kind == BN_OURS)
			bn_ours_ack(b, e);
		else
			bn_tcp_ack(b, e);
		break;
	case BN_WAKE:
		if (f->wake_ns != e->at_ns)
			break;
		/* The window is closed and nothing has come for long: a probe. */
		if (!cc_open(&f->cc, f->seq - f->largest)) {
			(void)bn_send(b, e->flow);
		}
		bn_ours_send(b, e->flow);
		break;
	}
}

static inline void bn_run(struct bn *b, int64_t for_ns)
{
	int64_t until_ns = b->now_ns + for_ns;

	while (b->nheap > 0 && b->heap[0].at_ns <= until_ns) {
		struct bn_event e = bn_pop(b);

		b->now_ns = e.at_ns;
		bn_event(b, &e);
	}
	b->now_ns = until_ns;
}

/* Shares of the line over `for_ns`: what each flow's receiver got. */
static inline void bn_measure(struct bn *b, int64_t for_ns, double *share)
{
	uint64_t before[BN_FLOWS];

	b->queue_sum = 0;
	b->queue_n = 0;
	b->queue_max_ns = 0;
	for (int i = 0; i < BN_FLOWS; i++)
		before[i] = b->flow[i].arrived;
	bn_run(b, for_ns);
	for (int i = 0; i < BN_FLOWS; i++)
		share[i] = (double)(b->flow[i].arrived - before[i]) * BN_DATAGRAM * 8 /
			   (b->rate_bps * (double)for_ns / 1e9);
}

static inline double bn_queue_ms(const struct bn *b)
{
	return b->queue_n > 0 ? b->queue_sum / (double)b->queue_n / 1e6 : 0;
}

static inline void bn_start(struct bn *b, int flow, enum bn_kind kind,
			    const struct cc_params *params)
{
	struct bn_flow *f = &b->flow[flow];
	rt_time now = { b->now_ns };

	*f = (struct bn_flow){ .kind = kind, .on = true, .lowest = 1 };
	f->ack_due_ns = INT64_MAX;
	f->allowed_ns = b->now_ns;
	f->ring = calloc(BN_RING, sizeof(*f->ring));
	assert_non_null(f->ring);
	if (kind == BN_OURS) {
		cc_init(&f->cc, params, now);
		pacer_init(&f->pacer, cc_rate_bps(&f->cc), BN_DATAGRAM - PACER_IPV4, now);
		bn_ours_send(b, flow);
		return;
	}
	f->window = 10;
	f->slow = 1e9;
	bn_tcp_send(b, flow);
}

static inline void bn_init(struct bn *b, double mbps, int64_t rtt_ms, double bdps,
			   double loss)
{
	*b = (struct bn){ .now_ns = 1000 * RT_S, .rate_bps = mbps * 1e6, .loss = loss };
	b->burst = 1 / (1 - loss); /* independent */
	b->rng = 1;
	b->delay_ns = rtt_ms * RT_MS / 2;
	b->buffer_ns = (int64_t)(bdps * (double)rtt_ms * RT_MS);
}

static inline void bn_release(struct bn *b)
{
	for (int i = 0; i < BN_FLOWS; i++)
		free(b->flow[i].ring);
	free(b->heap);
}

#endif
