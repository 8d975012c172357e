// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/evidence.h"

#include "replicator/tunnel/wire_gate.h"
#include "rt/bug.h"
#include "rt/check.h"

void evidence_init(struct evidence *e, enum tunnel_evidence level)
{
	*e = (struct evidence){
		.level = level,
		.next_timestamp = 1,
		.batch_max = EVIDENCE_BATCH_MAX,
		.bound_ns = EVIDENCE_BOUND_NS,
		.longest = EVIDENCE_BATCH_LONG,
		.lent = UINT64_MAX,
	};
}

void evidence_choose(struct evidence *e, enum tunnel_evidence level)
{
	e->level = e->blinded ? TUNNEL_MIRROR : level;
}

/*
 * A timestamp costs two calls and a message of its own, and long send batches need fewer
 * of them: at a high rate a longer batch takes no more time.
 */
void evidence_set_rate(struct evidence *e, uint64_t rate_bps)
{
	uint64_t most = rate_bps / 8 * EVIDENCE_BATCH_NS / RT_S / TUNNEL_DATAGRAM_MAX;

	if (most < EVIDENCE_BATCH_MAX)
		most = EVIDENCE_BATCH_MAX;
	if (rate_bps == 0 || most > EVIDENCE_BATCH_LONG)
		most = EVIDENCE_BATCH_LONG;
	e->batch_max = (uint32_t)most;
}

/* One that is not resolved. */
static struct send_batch *evidence_batch(struct evidence *e, uint64_t i)
{
	rt_assert(i >= e->head && i < e->tail);
	return &e->batches[i % EVIDENCE_BATCHES];
}

static const struct send_batch *evidence_newest(const struct evidence *e)
{
	return e->head == e->tail ? NULL : &e->batches[(e->tail - 1) % EVIDENCE_BATCHES];
}

static uint32_t evidence_new_timestamp(struct evidence *e)
{
	if (e->next_timestamp == 0)
		e->next_timestamp = 1; /* 0 means none */
	return e->next_timestamp++;
}

/* The oldest one whose newest datagram has number `number` or a higher one, or e->tail. */
static uint64_t evidence_find(struct evidence *e, uint64_t number)
{
	uint64_t low = e->head, high = e->tail;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (evidence_batch(e, middle)->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The newest one that may have asked for this timestamp, or e->tail. */
static uint64_t evidence_find_timestamp(struct evidence *e, uint32_t timestamp)
{
	uint64_t low = e->head, high = e->tail;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint32_t first = evidence_batch(e, middle)->first_timestamp;

		/* Modulo 2^32, and of those asked for at one time all are near. */
		if ((int32_t)(timestamp - first) >= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > e->head ? low - 1 : e->tail;
}

/* All of send batch i may have been echoed, and it will not grow any more. */
static void evidence_echoed(struct evidence *e, uint64_t i, rt_time now)
{
	struct send_batch *b = evidence_batch(e, i);

	if (!b->closed || b->echoed < (RT_BUG(ECHO_ONE_FOR_ALL) ? 1 : b->echoes))
		return;
	b->first_left = b->closing_left = true;
	e->delay_ns += (rt_time_since(now, b->sent) - e->delay_ns) / 8;
	if (i >= e->complete)
		e->complete = i + 1;
}

/* By the rate, and by what the kernel has refused of late. */
static uint32_t evidence_longest(const struct evidence *e)
{
	return e->longest < e->batch_max ? e->longest : e->batch_max;
}

uint32_t evidence_add(struct evidence *e, const struct evidence_sent *sent)
{
	const struct send_batch *newest = evidence_newest(e);
	struct send_batch *b;
	uint32_t timestamp = 0;
	bool full;

	if (newest == NULL || newest->closed) {
		rt_assert(e->tail - e->head < EVIDENCE_BATCHES);
		b = evidence_batch(e, e->tail++);
		*b = (struct send_batch){ .first = sent->number };
		timestamp = b->first_timestamp = evidence_new_timestamp(e);
	} else {
		b = evidence_batch(e, e->tail - 1);
	}
	b->sent = sent->now;
	b->number = sent->number;
	b->symbols = sent->symbols;
	b->repairs = sent->repairs;
	b->blocks = sent->blocks;
	if (sent->newest > b->newest)
		b->newest = sent->newest;
	b->datagrams++;
	b->echoes += !sent->probe;
	/* The last place of the ring stays open: its send batch grows instead. */
	full = e->tail - e->head == EVIDENCE_BATCHES;
	if ((sent->last || b->datagrams >= evidence_longest(e)) && !full) {
		if (timestamp == 0)
			timestamp = evidence_new_timestamp(e);
		b->closing_timestamp = timestamp;
		b->closed = true;
		if (e->level == TUNNEL_EDGE)
			evidence_echoed(e, e->tail - 1, sent->now);
	}
	return timestamp;
}

void evidence_timestamp(struct evidence *e, uint32_t timestamp, rt_time now)
{
	uint64_t i = evidence_find_timestamp(e, timestamp);
	struct send_batch *b;
	bool closing;

	e->timestamped = true;
	if (i == e->tail) /* of a send batch that is decided */
		return;
	b = evidence_batch(e, i);
	closing = b->closed && b->closing_timestamp == timestamp;
	if (b->first_timestamp != timestamp && !closing)
		return;
	b->first_left |= b->first_timestamp == timestamp;
	b->closing_left |= closing;
	if (closing)
		e->delay_ns += (rt_time_since(now, b->sent) - e->delay_ns) / 8;
	if (b->first_left && b->closing_left && i >= e->complete)
		e->complete = i + 1;
}

void evidence_lent(struct evidence *e, uint64_t oldest)
{
	e->lent = oldest;
}

void evidence_unsent(struct evidence *e, uint64_t first, uint64_t last)
{
	uint64_t i = evidence_find(e, first);

	e->longest = EVIDENCE_BATCH_MIN;
	/* What only acknowledges has a number between two send batches, and is of neither. */
	for (; i < e->tail && evidence_batch(e, i)->first <= last; i++)
		evidence_batch(e, i)->unsent |= !RT_BUG(SENDS_UNHEARD);
}

void evidence_echo(struct evidence *e, uint64_t number, rt_time now)
{
	uint64_t i;

	e->timestamped = true;
	if (number <= e->resolved)
		return;
	i = evidence_find(e, number);
	if (i == e->tail)
		return;
	evidence_batch(e, i)->echoed++;
	evidence_echoed(e, i, now);
}

/* Whether send batches are proven one by one, or what was sent is taken to have left. */
static bool evidence_is_proof(const struct evidence *e)
{
	return e->level == TUNNEL_DRIVER || e->level == TUNNEL_NIC ||
	       e->level == TUNNEL_EDGE;
}

/* Nothing of the send batch is still on its way into the kernel. */
static bool evidence_is_sent(const struct evidence *e, const struct send_batch *b)
{
	return b->number < e->lent || RT_BUG(SENDS_UNHEARD);
}

void evidence_arrived(struct evidence *e, uint64_t number)
{
	if (number > e->arrived)
		e->arrived = number;
}

static void evidence_done(struct evidence *e, const struct send_batch *b, bool left,
			  struct wire_gate_batch *ret)
{
	*ret = (struct wire_gate_batch){
		.number = b->number,
		.symbols = b->symbols,
		.repairs = b->repairs,
		.blocks = b->blocks,
		.newest = b->newest,
		.left = left,
	};
	e->resolved = b->number;
	e->head++;
	e->failures = left ? 0 : e->failures + 1;
	e->longest += left && e->longest < EVIDENCE_BATCH_LONG;
	e->bound_ns = EVIDENCE_BOUND_NS;
	if (e->bound_ns < 4 * e->delay_ns)
		e->bound_ns = 4 * e->delay_ns;
	for (unsigned i = 0; i < e->failures && e->bound_ns < EVIDENCE_BOUND_MAX_NS; i++)
		e->bound_ns *= 2;
	if (e->bound_ns > EVIDENCE_BOUND_MAX_NS)
		e->bound_ns = EVIDENCE_BOUND_MAX_NS;
}

/*
 * One more send batch has arrived without proof. A relay at the border that is behind may
 * pass many on before its first echo gets here: then time counts, too.
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
	const struct send_batch *b;

	if (e->head == e->tail)
		return false;
	b = evidence_batch(e, e->head);
	if (!evidence_is_proof(e)) {
		evidence_done(e, b, true, ret);
		return true;
	}
	if (!b->closed)
		return false;
	if (b->unsent) {
		evidence_done(e, b, false, ret);
		return true;
	}
	if (b->first_left && b->closing_left && evidence_is_sent(e, b)) {
		evidence_done(e, b, true, ret);
		return true;
	}
	if (rt_time_since(now, b->sent) < e->bound_ns &&
	    (e->complete <= e->head + EVIDENCE_OVERTAKEN || !evidence_is_sent(e, b)))
		return false;
	if (!e->timestamped && b->number <= e->arrived && evidence_is_blind(e, now)) {
		e->blinded = true;
		evidence_choose(e, TUNNEL_MIRROR);
	}
	evidence_done(e, b, RT_BUG(GATE_ON_TIMEOUT), ret);
	return true;
}

rt_time evidence_deadline(const struct evidence *e)
{
	const struct send_batch *b = &e->batches[e->head % EVIDENCE_BATCHES];

	if (e->head == e->tail || !b->closed)
		return RT_NEVER;
	return rt_time_add(b->sent, e->bound_ns);
}

rt_time evidence_closing_at(const struct evidence *e)
{
	const struct send_batch *b = evidence_newest(e);

	if (b == NULL || b->closed || e->tail - e->head == EVIDENCE_BATCHES)
		return RT_NEVER;
	return rt_time_add(b->sent, EVIDENCE_LINGER_NS);
}

bool evidence_wants_closing(const struct evidence *e, rt_time now)
{
	return !rt_time_before(now, evidence_closing_at(e));
}
