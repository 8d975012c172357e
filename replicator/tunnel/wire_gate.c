// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/wire_gate.h"

#include <errno.h>
#include <stddef.h>

#include "rt/bug.h"
#include "rt/check.h"
#include "rt/mem.h"

int wire_gate_init(struct wire_gate *g, uint32_t capacity)
{
	*g = (struct wire_gate){ .capacity = capacity };
	g->proofs = rt_zalloc(capacity, sizeof(*g->proofs));
	g->memory = rt_zalloc(1, sizeof(*g->memory));
	if (g->proofs == NULL || g->memory == NULL) {
		wire_gate_release(g);
		return -ENOMEM;
	}
	return 0;
}

void wire_gate_release(struct wire_gate *g)
{
	rt_free(g->proofs);
	rt_free(g->memory);
	g->proofs = NULL;
	g->memory = NULL;
}

/* Of a symbol that is sent and not confirmed. */
static struct wire_gate_proof *gate_proof(const struct wire_gate *g, uint64_t number)
{
	rt_assert(number >= g->confirmed && number < g->sent);
	return &g->proofs[number % g->capacity];
}

/* ---- what was made ------------------------------------------------------------------ */

void wire_gate_sent(struct wire_gate *g, uint64_t window)
{
	uint64_t number = g->sent;

	rt_assert(number - g->confirmed < g->capacity);
	wire_gate_window(g, window);
	g->sent++;
	*gate_proof(g, number) = (struct wire_gate_proof){
		.repairs = g->repairs,
		.left_at = g->repairs,
		/* What was promised by another rule is not safe by today's. */
		.base = g->confirmed < g->floor ? g->confirmed : g->ready,
	};
}

void wire_gate_window(struct wire_gate *g, uint64_t window)
{
	uint64_t number = g->window > g->confirmed ? g->window : g->confirmed;

	for (; number < window && number < g->sent; number++)
		gate_proof(g, number)->left_at = g->repairs;
	if (g->window < window)
		g->window = window;
}

void wire_gate_repair(struct wire_gate *g)
{
	g->repairs++;
}

void wire_gate_block(struct wire_gate *g, const struct fec_repair *repair,
		     uint64_t number)
{
	uint64_t n = repair->first;

	g->memory->heads[++g->blocks % WIRE_GATE_HEADS] =
		(struct wire_gate_head){ repair->first, repair->count, repair->stride };
	for (unsigned i = 0; i < repair->count; i++, n += repair->stride) {
		struct wire_gate_proof *proof;

		if (n < g->confirmed)
			continue;
		proof = gate_proof(g, n);
		proof->covering = number;
		if (proof->covers_made++ == 0 || proof->covers_made <= g->rule.repairs)
			proof->enough = number;
	}
}

/* ---- what has left ------------------------------------------------------------------ */

uint64_t wire_gate_left(const struct wire_gate *g, uint64_t after)
{
	if (after >= g->resolved_repairs)
		return 0;
	/* Older ones are forgotten; then fewer count than have left. */
	if (g->resolved_repairs - after >= WIRE_GATE_REPAIRS)
		after = g->resolved_repairs - WIRE_GATE_REPAIRS + 1;
	return g->left - (after == 0 ? 0 : g->memory->left[after % WIRE_GATE_REPAIRS]);
}

uint64_t wire_gate_promised(const struct wire_gate *g, uint64_t after)
{
	uint64_t from = after > g->resolved_repairs ? after : g->resolved_repairs;

	return wire_gate_left(g, after) + (g->repairs - from);
}

static void gate_symbols_resolved(struct wire_gate *g, uint64_t to, bool left)
{
	uint64_t n = g->resolved_symbols;

	if (n < g->confirmed)
		n = g->confirmed;
	for (; n < to; n++) {
		struct wire_gate_proof *proof = gate_proof(g, n);

		g->failed += !left;
		proof->failed = g->failed;
		proof->unproven = !left;
	}
	g->resolved_symbols = to;
}

static void gate_repairs_resolved(struct wire_gate *g, uint64_t to, bool left)
{
	for (uint64_t q = g->resolved_repairs + 1; q <= to; q++) {
		g->left += left;
		g->memory->left[q % WIRE_GATE_REPAIRS] = g->left;
	}
	g->resolved_repairs = to;
}

/* A block repair has left: it counts, unless it may be needed for what has not. */
static void gate_block_left(struct wire_gate *g, const struct wire_gate_head *h)
{
	uint64_t n = h->first;

	for (unsigned i = 0; i < h->count; i++, n += h->stride)
		if (n >= g->confirmed && !RT_BUG(BLOCK_IGNORES_FAILED) &&
		    gate_proof(g, n)->unproven)
			return;
	n = h->first;
	for (unsigned i = 0; i < h->count; i++, n += h->stride)
		if (n >= g->confirmed)
			gate_proof(g, n)->covers_left++;
}

void wire_gate_resolved(struct wire_gate *g, const struct wire_gate_batch *batch)
{
	uint64_t q = g->resolved_blocks + 1;

	gate_symbols_resolved(g, batch->symbols, batch->left);
	gate_repairs_resolved(g, batch->repairs, batch->left);
	g->number = batch->number;
	g->resolved_blocks = batch->blocks;
	if (!batch->left || !g->evidence)
		return;
	if (batch->newest > g->newest)
		g->newest = batch->newest;
	for (; q <= batch->blocks; q++)
		if (g->blocks - q < WIRE_GATE_HEADS)
			gate_block_left(g, &g->memory->heads[q % WIRE_GATE_HEADS]);
}

/* ---- the rule ----------------------------------------------------------------------- */

void wire_gate_follow(struct wire_gate *g, const struct wire_gate_rule *rule)
{
	g->rule = *rule;
}

void wire_gate_choose(struct wire_gate *g)
{
	if (!RT_BUG(CHANGE_WITHOUT_FLOOR))
		g->floor = g->sent;
	if (g->rule.paper)
		g->deficit.blocks = false;
}

void wire_gate_set_evidence(struct wire_gate *g, bool evidence)
{
	if (evidence && !g->evidence && !RT_BUG(CHANGE_WITHOUT_FLOOR))
		g->floor = g->sent;
	g->evidence = evidence;
}

/* Of m repairs, those without which nothing counts. */
static uint64_t gate_asked(uint64_t m)
{
	if (RT_BUG(GATE_ONE_LESS) && m > 0)
		return m - 1;
	return RT_BUG(GATE_HALF_OF_M) ? m / 2 : m;
}

/* m(n): with all symbols below base(s) safe, and `upto` the end of what repairs cover. */
static uint64_t gate_needed(const struct wire_gate *g,
			    const struct wire_gate_proof *proof, uint64_t upto)
{
	uint64_t base = proof->base > g->confirmed ? proof->base : g->confirmed;
	uint64_t n = upto > base ? upto - base : 1;

	if (RT_BUG(GATE_IGNORES_REPAIRS))
		return 0;
	if (g->rule.paper)
		return 1;
	return gate_asked(n <= FEC_ISOLATED_MAX ? g->rule.isolated[n] : g->rule.repairs);
}

/*
 * Symbols not confirmed whose batch has failed: each takes a repair. Also those behind the
 * symbol in question, since the repairs that count for it cover them, too.
 */
static uint64_t gate_failed(const struct wire_gate *g)
{
	uint32_t failed = g->failed - g->failed_confirmed;
	uint64_t unconfirmed = g->resolved_symbols > g->confirmed
				       ? g->resolved_symbols - g->confirmed
				       : 0;

	if (RT_BUG(COVER_IGNORES_FAILED))
		return 0;
	return failed < unconfirmed ? failed : unconfirmed;
}

/* Repairs of the window that cover a symbol and have left. */
static uint64_t gate_window_left(const struct wire_gate *g,
				 const struct wire_gate_proof *proof, uint64_t number)
{
	uint64_t left = wire_gate_left(g, proof->repairs);

	if (!wire_gate_in_window(g, number) && !RT_BUG(COVER_OUTSIDE_WINDOW))
		left -= wire_gate_left(g, proof->left_at);
	return left;
}

static bool gate_paper(const struct wire_gate *g, const struct wire_gate_proof *proof,
		       uint64_t number)
{
	/* Without repairs it is the evidence for the data alone. */
	if (g->rule.code == FEC_NONE)
		return !proof->unproven;
	return number < g->newest;
}

bool wire_gate_covered(const struct wire_gate *g, uint64_t number)
{
	const struct wire_gate_proof *proof;

	if (number < g->confirmed)
		return true;
	if (number >= g->resolved_symbols || number < g->floor)
		return false;
	proof = gate_proof(g, number);
	if (g->rule.paper)
		return gate_paper(g, proof, number);
	if (proof->covers_left > 0 && proof->covers_left >= gate_asked(g->rule.repairs))
		return true;
	return gate_window_left(g, proof, number) >=
	       gate_needed(g, proof, g->resolved_symbols) + gate_failed(g);
}

/* ---- deficits ----------------------------------------------------------------------- */

/*
 * The repairs that made symbol `number` ready, or would when they have left, were sent before
 * what is acknowledged, and it is missing all the same: they will not help.
 */
static bool gate_promise_broken(const struct wire_gate *g, uint64_t number,
				const struct wire_gate_report *report)
{
	const struct wire_gate_proof *proof = gate_proof(g, number);

	/* Known already; that m has risen since does not change it. */
	if (g->deficit.promised && g->deficit.symbol == number)
		return true;
	if (proof->promised > 0 && report->largest >= proof->promised &&
	    !RT_BUG(BLOCK_BY_NEW_GOAL))
		return true;
	/* In no window, and never in one that a repair was made for. */
	if (!wire_gate_in_window(g, number) && proof->left_at == proof->repairs)
		return proof->covers_made > 0 && proof->covers_made >= g->rule.repairs &&
		       report->largest >= proof->enough;
	return report->repairs >= proof->repairs + gate_needed(g, proof, number + 1);
}

void wire_gate_acknowledged(struct wire_gate *g, const struct wire_gate_report *report)
{
	struct wire_gate_deficit *d = &g->deficit;
	uint64_t first = g->confirmed;
	bool missing = !g->rule.paper && first < g->sent &&
		       (report->deficit > 0 || report->outside > 0);
	bool known = d->blocks && d->symbol == first;

	/* Had the mirror what blocks, it would be confirmed. */
	if (known && !missing)
		return;
	d->promised = missing && gate_promise_broken(g, first, report);
	/* The repairs of the promise may still arrive, but not for what is lost. */
	d->blocks = d->promised || known ||
		    (missing && report->lost && !RT_BUG(BLOCK_BY_NEW_GOAL));
	d->symbol = first;
	d->repairs = report->repairs;
	d->missing =
		report->deficit > report->outside ? report->deficit : report->outside;
}

/* Repairs that must leave before what is missing blocks nothing more. */
static uint64_t gate_deficit_needed(const struct wire_gate *g)
{
	return g->deficit.missing + (g->deficit.promised ? g->rule.repairs : 0);
}

/* The deficit is not yet made good by what has left. */
static bool gate_blocked(const struct wire_gate *g)
{
	const struct wire_gate_deficit *d = &g->deficit;
	uint64_t end, left;

	if (!d->blocks || d->symbol < g->confirmed || RT_BUG(BLOCK_NOTHING))
		return false;
	/* Repairs up to this one cover the symbol. */
	end = wire_gate_in_window(g, d->symbol) ? g->repairs
						: gate_proof(g, d->symbol)->left_at;
	if (end <= d->repairs)
		return true;
	left = wire_gate_left(g, d->repairs);
	if (end < g->resolved_repairs)
		left -= wire_gate_left(g, end);
	return left <
	       (RT_BUG(GATE_IGNORES_REPAIRS) ? d->missing : gate_deficit_needed(g));
}

/* ---- the watermark ------------------------------------------------------------------ */

void wire_gate_confirmed(struct wire_gate *g, uint64_t below)
{
	if (below <= g->confirmed)
		return;
	rt_assert(below <= g->sent);
	g->failed_confirmed = below <= g->resolved_symbols
				      ? gate_proof(g, below - 1)->failed
				      : g->failed;
	g->confirmed = below;
}

/*
 * Symbols below `below` are covered, by what is resolved now. One that was ready before, and
 * was blocked behind a hole that is mended now, may be the next hole: it keeps what it was
 * promised by.
 */
static void gate_promise(struct wire_gate *g, uint64_t below)
{
	for (; g->reached < below; g->reached++) {
		struct wire_gate_proof *proof = gate_proof(g, g->reached);

		if (proof->promised == 0)
			proof->promised = g->number;
	}
}

/* As far as evidence goes. What was promised stays, whatever the rule is now. */
static void gate_advance(struct wire_gate *g)
{
	if (!g->evidence)
		return;
	/* The prototype's rule: up to the newest symbol that any repair includes. */
	if (g->rule.paper && g->newest > g->reached && g->confirmed >= g->floor)
		gate_promise(g, g->newest);
	while (g->reached < g->sent && wire_gate_covered(g, g->reached))
		gate_promise(g, g->reached + 1);
}

void wire_gate_update(struct wire_gate *g, bool proven)
{
	struct wire_gate_deficit *d = &g->deficit;

	if (g->ready < g->confirmed)
		g->ready = g->confirmed;
	/* What has been made good once blocks nothing any more, should m rise. */
	d->blocks = gate_blocked(g);
	d->promised = d->blocks && d->promised;
	/*
	 * A block may last for thousands of updates: what lies behind the hole is looked at
	 * once meanwhile, and once more when the block has ended.
	 */
	if (!d->blocks || g->reached < g->ready)
		g->reached = g->ready;
	gate_advance(g);
	g->ready = d->blocks && g->reached > d->symbol ? d->symbol : g->reached;
	if (proven || g->ready < g->watermark || RT_BUG(GATE_ON_TIMEOUT))
		g->watermark = g->ready;
	if (g->watermark < g->confirmed)
		g->watermark = g->confirmed;
}

/* ---- what is still to be made --------------------------------------------------------- */

uint64_t wire_gate_covering(const struct wire_gate *g, uint64_t number)
{
	return gate_proof(g, number)->covering;
}

/*
 * Block repairs that cover a symbol may still come: from a bin that is not full. Not any
 * more when so much was sent behind it that they must have gone another way, or when
 * nothing follows that would fill it.
 */
static bool gate_filling(const struct wire_gate *g, uint64_t number, bool data_follows)
{
	if (g->rule.code != FEC_LAYERED && g->rule.code != FEC_RS)
		return false;
	return gate_proof(g, number)->covers_made < g->rule.covers &&
	       g->sent - number <= 2 * g->rule.span && data_follows;
}

bool wire_gate_coming(const struct wire_gate *g, uint64_t number, uint64_t repairs,
		      bool data_follows)
{
	return repairs < gate_proof(g, number)->left_at ||
	       gate_filling(g, number, data_follows);
}

/* Of `want` repairs after the q-th, those that are still to be made. */
static uint64_t gate_missing(const struct wire_gate *g, uint64_t after, uint64_t want)
{
	uint64_t have = wire_gate_promised(g, after);

	return have < want ? want - have : 0;
}

/* Repairs that are still to be made for a symbol in the window. */
static uint64_t gate_lacking(const struct wire_gate *g, uint64_t number)
{
	const struct wire_gate_proof *proof;

	if (!wire_gate_in_window(g, number))
		return 0;
	proof = gate_proof(g, number);
	return gate_missing(g, proof->repairs,
			    gate_needed(g, proof, g->sent) + gate_failed(g));
}

uint64_t wire_gate_lacking(const struct wire_gate *g, uint64_t below)
{
	const struct wire_gate_deficit *d = &g->deficit;
	uint64_t lacking, other;

	if (below <= g->confirmed)
		return 0;
	lacking = gate_lacking(g, below - 1);
	/* One sent before it may need more, if it was less alone. */
	if (g->ready < below - 1 && g->ready >= g->confirmed) {
		other = gate_lacking(g, g->ready);
		lacking = lacking > other ? lacking : other;
	}
	if (d->blocks && d->symbol < below && wire_gate_in_window(g, d->symbol)) {
		other = gate_missing(g, d->repairs, gate_deficit_needed(g));
		lacking = lacking > other ? lacking : other;
	}
	return lacking;
}
