// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/evidence.h"

#include "replicator/tunnel/wire_gate.h"
#include "rt/bug.h"
#include "rt/check.h"

void evidence_init(struct evidence *e, enum tunnel_evidence level)
{
	*e = (struct evidence){
		.level = level,
		.next_stamp = 1,
		.train_max = EVIDENCE_TRAIN_MAX,
		.bound_ns = EVIDENCE_BOUND_NS,
		.longest = EVIDENCE_TRAIN_LONG,
		.lent = UINT64_MAX,
	};
}

/*
 * A stamp costs two calls and a message of its own, and long trains have fewer: that of a
 * fast line takes no longer for it.
 */
void evidence_set_rate(struct evidence *e, uint64_t rate_bps)
{
	uint64_t most = rate_bps / 8 * EVIDENCE_TRAIN_NS / RT_S / TUNNEL_DATAGRAM_MAX;

	if (most < EVIDENCE_TRAIN_MAX)
		most = EVIDENCE_TRAIN_MAX;
	if (rate_bps == 0 || most > EVIDENCE_TRAIN_LONG)
		most = EVIDENCE_TRAIN_LONG;
	e->train_max = (uint32_t)most;
}

static struct train *evidence_train(struct evidence *e, uint64_t i)
{
	return &e->trains[i % EVIDENCE_TRAINS];
}

static const struct train *evidence_newest(const struct evidence *e)
{
	return e->head == e->tail ? NULL : &e->trains[(e->tail - 1) % EVIDENCE_TRAINS];
}

static uint32_t evidence_new_stamp(struct evidence *e)
{
	if (e->next_stamp == 0)
		e->next_stamp = 1; /* 0 means none */
	return e->next_stamp++;
}

/* All of train i may have been echoed, and it will not grow any more. */
static void evidence_echoed(struct evidence *e, uint64_t i, rt_time now)
{
	struct train *t = evidence_train(e, i);

	if (!t->closed || t->echoed < (RT_BUG(ECHO_ONE_FOR_ALL) ? 1 : t->echoes))
		return;
	t->first_left = t->fence_left = true;
	e->delay_ns += (rt_time_since(now, t->sent) - e->delay_ns) / 8;
	if (i >= e->complete)
		e->complete = i + 1;
}

/* By the rate, and by what the kernel has refused of late. */
static uint32_t evidence_longest(const struct evidence *e)
{
	return e->longest < e->train_max ? e->longest : e->train_max;
}

uint32_t evidence_add(struct evidence *e, const struct evidence_sent *sent)
{
	const struct train *newest = evidence_newest(e);
	struct train *t;
	uint32_t stamp = 0;
	bool full;

	if (newest == NULL || newest->closed) {
		rt_assert(e->tail - e->head < EVIDENCE_TRAINS);
		t = evidence_train(e, e->tail++);
		*t = (struct train){ 0 };
		stamp = t->first_stamp = evidence_new_stamp(e);
	} else {
		t = evidence_train(e, e->tail - 1);
	}
	t->sent = sent->now;
	t->number = sent->number;
	t->symbols = sent->symbols;
	t->repairs = sent->repairs;
	t->blocks = sent->blocks;
	if (sent->newest > t->newest)
		t->newest = sent->newest;
	t->datagrams++;
	t->echoes += !sent->probe;
	/* The last place of the ring stays open: its train grows instead. */
	full = e->tail - e->head == EVIDENCE_TRAINS;
	if ((sent->last || t->datagrams >= evidence_longest(e)) && !full) {
		if (stamp == 0)
			stamp = evidence_new_stamp(e);
		t->fence_stamp = stamp;
		t->closed = true;
		if (e->level == TUNNEL_EDGE)
			evidence_echoed(e, e->tail - 1, sent->now);
	}
	return stamp;
}

void evidence_stamp(struct evidence *e, uint32_t stamp, rt_time now)
{
	e->stamped = true;
	for (uint64_t i = e->head; i < e->tail; i++) {
		struct train *t = evidence_train(e, i);
		bool first = t->first_stamp == stamp;
		bool fence = t->closed && t->fence_stamp == stamp;

		if (!first && !fence)
			continue;
		t->first_left |= first;
		t->fence_left |= fence;
		if (fence)
			e->delay_ns += (rt_time_since(now, t->sent) - e->delay_ns) / 8;
		if (t->first_left && t->fence_left && i >= e->complete)
			e->complete = i + 1;
		return;
	}
}

void evidence_lent(struct evidence *e, uint64_t oldest)
{
	e->lent = oldest;
}

void evidence_unsent(struct evidence *e, uint64_t first, uint64_t last)
{
	uint64_t before =
		e->resolved; /* number of the newest datagram of the train before */

	e->longest = EVIDENCE_TRAIN_MIN;
	for (uint64_t i = e->head; i < e->tail; i++) {
		struct train *t = evidence_train(e, i);

		if (first <= t->number && last > before && !RT_BUG(SENDS_UNHEARD))
			t->unsent = true;
		before = t->number;
	}
}

void evidence_echo(struct evidence *e, uint64_t number, rt_time now)
{
	e->stamped = true;
	if (number <= e->resolved)
		return;
	for (uint64_t i = e->head; i < e->tail; i++) {
		struct train *t = evidence_train(e, i);

		if (number > t->number)
			continue;
		t->echoed++;
		evidence_echoed(e, i, now);
		return;
	}
}

/* Whether trains are proven one by one, or what was sent is taken to have left. */
static bool evidence_is_proof(const struct evidence *e)
{
	return e->level == TUNNEL_DRIVER || e->level == TUNNEL_NIC ||
	       e->level == TUNNEL_EDGE;
}

/* Nothing of the train is still on its way into the kernel. */
static bool evidence_is_sent(const struct evidence *e, const struct train *t)
{
	return t->number < e->lent || RT_BUG(SENDS_UNHEARD);
}

void evidence_arrived(struct evidence *e, uint64_t number)
{
	if (number > e->arrived)
		e->arrived = number;
}

static void evidence_done(struct evidence *e, const struct train *t, bool left,
			  struct wire_gate_batch *ret)
{
	*ret = (struct wire_gate_batch){
		.number = t->number,
		.symbols = t->symbols,
		.repairs = t->repairs,
		.blocks = t->blocks,
		.newest = t->newest,
		.left = left,
	};
	e->resolved = t->number;
	e->head++;
	e->failures = left ? 0 : e->failures + 1;
	e->longest += left && e->longest < EVIDENCE_TRAIN_LONG;
	e->bound_ns = EVIDENCE_BOUND_NS;
	if (e->bound_ns < 4 * e->delay_ns)
		e->bound_ns = 4 * e->delay_ns;
	for (unsigned i = 0; i < e->failures && e->bound_ns < EVIDENCE_BOUND_MAX_NS; i++)
		e->bound_ns *= 2;
	if (e->bound_ns > EVIDENCE_BOUND_MAX_NS)
		e->bound_ns = EVIDENCE_BOUND_MAX_NS;
}

/*
 * One more train has arrived without proof. A relay at the border that is behind may pass
 * many on before its first echo gets here: then time counts, too.
 */
static bool evidence_is_blind(struct evidence *e, rt_time now)
{
	int64_t least_ns = e->level == TUNNEL_EDGE ? EVIDENCE_BLIND_NS : 0;

	if (e->blind++ == 0)
		e->blind_since = now;
	return e->blind >= EVIDENCE_BLIND &&
	       rt_time_since(now, e->blind_since) >= least_ns;
}

bool evidence_resolve(struct evidence *e, rt_time now, struct wire_gate_batch *ret)
{
	const struct train *t;

	if (e->head == e->tail)
		return false;
	t = evidence_train(e, e->head);
	if (!evidence_is_proof(e)) {
		evidence_done(e, t, true, ret);
		return true;
	}
	if (!t->closed)
		return false;
	if (t->unsent) {
		evidence_done(e, t, false, ret);
		return true;
	}
	if (t->first_left && t->fence_left && evidence_is_sent(e, t)) {
		evidence_done(e, t, true, ret);
		return true;
	}
	if (rt_time_since(now, t->sent) < e->bound_ns &&
	    (e->complete <= e->head + EVIDENCE_OVERTAKEN || !evidence_is_sent(e, t)))
		return false;
	if (!e->stamped && t->number <= e->arrived && evidence_is_blind(e, now)) {
		e->blinded = true;
		e->level = TUNNEL_MIRROR;
	}
	evidence_done(e, t, RT_BUG(GATE_ON_TIMEOUT), ret);
	return true;
}

rt_time evidence_deadline(const struct evidence *e)
{
	const struct train *t = &e->trains[e->head % EVIDENCE_TRAINS];

	if (e->head == e->tail || !t->closed)
		return RT_NEVER;
	return rt_time_add(t->sent, e->bound_ns);
}

rt_time evidence_fence_at(const struct evidence *e)
{
	const struct train *t = evidence_newest(e);

	if (t == NULL || t->closed || e->tail - e->head == EVIDENCE_TRAINS)
		return RT_NEVER;
	return rt_time_add(t->sent, EVIDENCE_LINGER_NS);
}

bool evidence_wants_fence(const struct evidence *e, rt_time now)
{
	return !rt_time_before(now, evidence_fence_at(e));
}
