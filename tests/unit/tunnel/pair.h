/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_PAIR_H
#define TESTS_UNIT_TUNNEL_PAIR_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "tests/unit/tunnel/params.h"
#include "tests/unit/unit.h"

/*
 * Two tunnels and the line between them, in virtual time. Each end has a queue in its
 * host, which may drop, and whose driver timestamps what it takes; then a line per
 * direction that delays, loses, duplicates and reorders. Everything follows from one
 * seed.
 */

#define PAIR_UNUSED __attribute__((unused))

struct pair_rng {
	uint64_t state;
};

static inline uint64_t pair_draw(struct pair_rng *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return rt_mix64(r->state);
}

static inline uint64_t pair_below(struct pair_rng *r, uint64_t n)
{
	return pair_draw(r) % n;
}

static inline bool pair_chance(struct pair_rng *r, double p)
{
	return (double)(pair_draw(r) >> 11) * 0x1p-53 < p;
}

struct pair_line {
	int64_t queue_ns;    /* from transmit to the driver, which timestamps */
	int64_t delay_ns;    /* from the driver to the other end */
	int64_t jitter_ns;   /* at most, on top: reorders */
	double loss;	     /* mean share lost */
	double burst;	     /* mean length of a run of losses, >= 1 */
	double again;	     /* share that comes twice */
	double corrupt;	     /* share with a bit flipped */
	double local;	     /* share dropped before the driver */
	bool cut;	     /* everything is lost */
	size_t mtu;	     /* longer datagrams vanish; 0: none do */
	bool no_timestamps;  /* the device gives none */
	bool refuses;	     /* the kernel says what it drops before the driver */
	bool losing;	     /* in a run of losses */
	uint64_t sent, lost; /* datagrams */
};

enum pair_kind { PAIR_LEAVES, PAIR_ARRIVES };

struct pair_event {
	int64_t at_ns;
	uint64_t seq;
	enum pair_kind kind;
	int from;
	uint32_t timestamp;
	size_t len;
	struct pair_event *spare;
	uint8_t bytes[TUNNEL_DATAGRAM_MAX];
};

struct pair {
	struct tunnel *end[2];
	struct pair_line line[2]; /* line[i]: what end i sends */
	struct tunnel_params params[2];
	struct pair_rng rng;
	int64_t now_ns;
	uint64_t seq;
	struct pair_event **heap;
	size_t nheap, heap_size;
	struct pair_event *spare;
	bool dead[2]; /* neither sends nor takes in anything any more */
	/* Frames: what end i has got out of its tunnel. */
	uint64_t taken[2];
	bool not_read[2]; /* does not take its frames */
	uint64_t seed;
	uint64_t refused; /* datagrams */
	/* A datagram was made; the driver took it; anything happened. Each may be NULL. */
	void (*watch)(struct pair *p, int end, const uint8_t *dgram, size_t len);
	void (*left)(struct pair *p, int end, const uint8_t *dgram, size_t len);
	void (*look)(struct pair *p);
	void *watcher;
};

static inline rt_time pair_now(const struct pair *p)
{
	return (rt_time){ p->now_ns };
}

/* ---- the heap ---------------------------------------------------------------------- */

static inline bool pair_sooner(const struct pair_event *a, const struct pair_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static inline void pair_push(struct pair *p, struct pair_event *e)
{
	size_t i = p->nheap++;

	if (p->nheap > p->heap_size) {
		p->heap_size = p->heap_size ? 2 * p->heap_size : 1024;
		p->heap = realloc(p->heap, p->heap_size * sizeof(struct pair_event *));
		assert_non_null(p->heap);
	}
	e->seq = p->seq++;
	for (; i > 0 && pair_sooner(e, p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = e;
}

static inline struct pair_event *pair_pop(struct pair *p)
{
	struct pair_event *top = p->heap[0], *last = p->heap[--p->nheap];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < p->nheap; i = child) {
		if (child + 1 < p->nheap &&
		    pair_sooner(p->heap[child + 1], p->heap[child]))
			child++;
		if (!pair_sooner(p->heap[child], last))
			break;
		p->heap[i] = p->heap[child];
	}
	if (p->nheap > 0)
		p->heap[i] = last;
	return top;
}

static inline struct pair_event *pair_event_new(struct pair *p)
{
	struct pair_event *e = p->spare;

	if (e != NULL)
		p->spare = e->spare;
	else
		e = malloc(sizeof(*e));
	assert_non_null(e);
	return e;
}

static inline void pair_event_free(struct pair *p, struct pair_event *e)
{
	e->spare = p->spare;
	p->spare = e;
}

/* ---- frames ------------------------------------------------------------------------ */

/* Frame `number` in direction `from`: words that follow from both and the seed. */
static inline void pair_frame_word(uint64_t seed, uint64_t number, size_t at,
				   uint8_t word[8])
{
	uint64_t w = (seed ^ number) * UINT64_C(0x9e3779b97f4a7c15) + at;

	memcpy(word, &w, 8);
}

static inline void pair_frame_fill(const struct pair *p, int from, uint64_t number,
				   uint8_t *frame, size_t len)
{
	uint8_t word[8];

	for (size_t i = 0; i < len; i += 8) {
		pair_frame_word(p->seed + (uint64_t)from, number, i, word);
		memcpy(frame + i, word, len - i < 8 ? len - i : 8);
	}
}

static inline bool pair_frame_right(const struct pair *p, int from, uint64_t number,
				    const uint8_t *frame, size_t len)
{
	uint8_t word[8];

	for (size_t i = 0; i < len; i += 8) {
		pair_frame_word(p->seed + (uint64_t)from, number, i, word);
		if (memcmp(frame + i, word, len - i < 8 ? len - i : 8) != 0)
			return false;
	}
	return true;
}

/* Submit the next frame of `len` bytes. False when there is no room. */
static inline bool pair_submit(struct pair *p, int end, size_t len)
{
	uint8_t *frame;
	int res;

	frame = malloc(len);
	assert_non_null(frame);
	pair_frame_fill(p, end, tunnel_submitted(p->end[end]) + 1, frame, len);
	res = tunnel_submit(p->end[end], frame, len, pair_now(p));
	free(frame);
	if (res == -EAGAIN)
		return false;
	assert_int_equal(res, 0);
	return true;
}

static inline void pair_take(struct pair *p, int end)
{
	const uint8_t *frame;
	size_t len;
	int res;

	if (p->not_read[end])
		return;
	while ((res = tunnel_next_frame(p->end[end], &frame, &len)) == 1) {
		uint64_t number = ++p->taken[end];

		if (!pair_frame_right(p, !end, number, frame, len))
			fail_msg("seed %llu: frame %llu of %zu bytes is wrong",
				 (unsigned long long)p->seed, (unsigned long long)number,
				 len);
	}
	assert_int_equal(res, 0);
}

/* ---- the line ---------------------------------------------------------------------- */

/* A two-state chain: runs of losses have mean length `burst`. */
static inline bool pair_lost(struct pair *p, struct pair_line *l)
{
	double leave = 1 / (l->burst < 1 ? 1 : l->burst);
	double enter = l->loss >= 1 ? 1 : leave * l->loss / (1 - l->loss);

	if (l->burst <= 1)
		l->losing = pair_chance(&p->rng, l->loss);
	else
		l->losing = l->losing ? !pair_chance(&p->rng, leave)
				      : pair_chance(&p->rng, enter);
	return l->losing || l->cut;
}

static inline void pair_arrive_later(struct pair *p, const struct pair_event *left)
{
	struct pair_line *l = &p->line[left->from];
	struct pair_event *e = pair_event_new(p);

	*e = *left;
	e->kind = PAIR_ARRIVES;
	e->at_ns = p->now_ns + l->delay_ns;
	if (l->jitter_ns > 0)
		e->at_ns += (int64_t)pair_below(&p->rng, (uint64_t)l->jitter_ns);
	if (pair_chance(&p->rng, l->corrupt))
		e->bytes[pair_below(&p->rng, e->len)] ^=
			(uint8_t)(1 << pair_below(&p->rng, 8));
	pair_push(p, e);
}

static inline void pair_leaves(struct pair *p, const struct pair_event *e)
{
	struct pair_line *l = &p->line[e->from];

	if (p->dead[e->from])
		return;
	l->sent++;
	if (p->left != NULL)
		p->left(p, e->from, e->bytes, e->len);
	if (e->timestamp != 0 && !l->no_timestamps)
		tunnel_left(p->end[e->from], e->timestamp, pair_now(p));
	if (pair_lost(p, l) || (l->mtu != 0 && e->len > l->mtu)) {
		l->lost++;
		return;
	}
	pair_arrive_later(p, e);
	if (pair_chance(&p->rng, l->again))
		pair_arrive_later(p, e);
}

/* A full queue or socket of the sender's host: nobody else will ever see this one. */
static inline void pair_refuse(struct pair *p, struct pair_event *e)
{
	struct packet_head head;

	memcpy(&head, e->bytes, sizeof(head));
	if (p->line[e->from].refuses)
		tunnel_unsent(p->end[e->from], le64_get(head.number),
			      le64_get(head.number));
	pair_event_free(p, e);
}

static inline void pair_transmit(struct pair *p, int end)
{
	struct pair_line *l = &p->line[end];
	struct pair_event *e;
	unsigned burst = 0;

	if (p->dead[end])
		return;
	for (;;) {
		e = pair_event_new(p);
		e->len = tunnel_transmit(p->end[end], e->bytes, pair_now(p),
					 &e->timestamp);
		if (e->len == 0)
			break;
		assert_true(++burst < 1000000);
		e->kind = PAIR_LEAVES;
		e->from = end;
		e->at_ns = p->now_ns + l->queue_ns;
		if (p->look != NULL)
			p->look(p);
		if (p->watch != NULL)
			p->watch(p, end, e->bytes, e->len);
		if (pair_chance(&p->rng, l->local))
			pair_refuse(p, e);
		else
			pair_push(p, e);
	}
	pair_event_free(p, e);
	/* Nothing to send now must mean nothing to do now, or a daemon would spin. */
	if (!rt_time_before(pair_now(p), tunnel_deadline(p->end[end])))
		fail_msg("seed %llu: end %d at %lld has nothing to send, deadline %lld",
			 (unsigned long long)p->seed, end, (long long)p->now_ns,
			 (long long)tunnel_deadline(p->end[end]).ns);
}

/* ---- running ------------------------------------------------------------------------ */

static inline int64_t pair_next_ns(const struct pair *p)
{
	int64_t next = p->nheap > 0 ? p->heap[0]->at_ns : INT64_MAX;

	for (int i = 0; i < 2; i++)
		if (!p->dead[i] && tunnel_deadline(p->end[i]).ns < next)
			next = tunnel_deadline(p->end[i]).ns;
	return next;
}

static inline void pair_event(struct pair *p, struct pair_event *e)
{
	if (e->kind == PAIR_LEAVES)
		pair_leaves(p, e);
	else if (!p->dead[!e->from]) {
		p->refused += tunnel_receive(p->end[!e->from], e->bytes, e->len,
					     pair_now(p)) != 0;
		pair_take(p, !e->from);
	}
	pair_event_free(p, e);
}

/* Let both ends and the line do what is due; then go to the next instant <= `until`. */
static inline bool pair_step(struct pair *p, int64_t until_ns)
{
	int64_t next;

	pair_transmit(p, 0);
	pair_transmit(p, 1);
	next = pair_next_ns(p);
	if (next > until_ns) {
		p->now_ns = until_ns;
		return false;
	}
	if (next > p->now_ns)
		p->now_ns = next;
	while (p->nheap > 0 && p->heap[0]->at_ns <= p->now_ns) {
		pair_event(p, pair_pop(p));
		if (p->look != NULL)
			p->look(p);
	}
	return true;
}

PAIR_UNUSED static void pair_run(struct pair *p, int64_t for_ns)
{
	int64_t until_ns = p->now_ns + for_ns;

	while (pair_step(p, until_ns))
		;
}

/* Until end `end` has taken `frames` frames, or `within_ns` is over: then false. */
PAIR_UNUSED static bool pair_run_taken(struct pair *p, int end, uint64_t frames,
				       int64_t within_ns)
{
	int64_t until_ns = p->now_ns + within_ns;

	while (p->taken[end] < frames)
		if (!pair_step(p, until_ns))
			return p->taken[end] >= frames;
	return true;
}

/* ---- making one ---------------------------------------------------------------------- */

PAIR_UNUSED static struct tunnel_params pair_params(void)
{
	struct tunnel_params p =
		params_tunnel(UINT64_C(0x1122334455667788), 8 << 20, 1 << 20);

	p.rate_bps = 200000000;
	for (unsigned i = 0; i < sizeof(p.secret); i++)
		p.secret[i] = (uint8_t)(i * 13 + 1);
	return p;
}

PAIR_UNUSED static struct pair_line pair_line(int64_t delay_ns, double loss)
{
	return (struct pair_line){
		.queue_ns = 20 * RT_US, .delay_ns = delay_ns, .loss = loss, .burst = 1
	};
}

PAIR_UNUSED static void pair_init(struct pair *p, const struct tunnel_params *params,
				  const struct pair_line *line, uint64_t seed)
{
	*p = (struct pair){ .rng = { seed }, .seed = seed, .now_ns = 1000 * RT_S };
	for (int i = 0; i < 2; i++) {
		p->params[i] = *params;
		p->params[i].dialed = i == 0;
		p->line[i] = *line;
		assert_int_equal(tunnel_new(&p->params[i], pair_now(p), &p->end[i]), 0);
	}
}

PAIR_UNUSED static void pair_release(struct pair *p)
{
	while (p->nheap > 0)
		pair_event_free(p, pair_pop(p));
	while (p->spare != NULL) {
		struct pair_event *e = p->spare;

		p->spare = e->spare;
		free(e);
	}
	free(p->heap);
	tunnel_free(p->end[0]);
	tunnel_free(p->end[1]);
}

#endif
