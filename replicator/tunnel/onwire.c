// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/onwire.h"

#include "replicator/tunnel/state.h"
#include "rt/bug.h"

/* Repairs numbered up to this one cover the held symbol. */
static uint64_t onwire_held_end(const struct tunnel *t)
{
	uint64_t held = t->onwire.held_symbol;

	return tunnel_in_window(t, held) ? t->sent.last.repairs
					 : stream_tx_symbol(&t->tx, held)->left_at;
}

/* The deficit is not yet made good by what has left. */
static bool onwire_holds(const struct tunnel *t)
{
	const struct onwire *o = &t->onwire;
	uint64_t end, left, m = o->held_passed ? t->redundancy.now.repairs : 0;

	if (!o->held || o->held_symbol < t->tx.confirmed || RT_BUG(HOLD_NOTHING))
		return false;
	end = onwire_held_end(t);
	if (end <= o->held_repairs)
		return true;
	left = evidence_left(&t->evidence, o->held_repairs);
	if (end < t->evidence.repairs)
		left -= evidence_left(&t->evidence, end);
	return left < o->held_deficit + (RT_BUG(GATE_IGNORES_REPAIRS) ? 0 : m);
}

/* Take in what became of the trains. */
static void onwire_resolve(struct tunnel *t, rt_time now)
{
	struct evidence_outcome out;

	while (evidence_resolve(&t->evidence, now, &out)) {
		uint64_t n = out.symbols_from;

		if (n < t->tx.confirmed)
			n = t->tx.confirmed;
		for (; n < out.symbols_to; n++) {
			struct stream_symbol *sym = stream_tx_symbol(&t->tx, n);

			t->onwire.failed += !out.left;
			sym->failed = t->onwire.failed;
			sym->unproven = !out.left;
		}
		tunnel_cover_resolved(t, &out);
	}
}

void tunnel_onwire_confirm(struct tunnel *t, uint64_t below)
{
	struct onwire *o = &t->onwire;

	if (below <= t->tx.confirmed)
		return;
	o->failed_confirmed = below <= t->evidence.symbols
				      ? stream_tx_symbol(&t->tx, below - 1)->failed
				      : o->failed;
}

/*
 * Symbols below `below` count as left, by what is decided now. What counted before, and was
 * held behind a hole that is mended now, may be the next hole: it stays known since when.
 */
static void onwire_open(struct tunnel *t, uint64_t below)
{
	for (; t->onwire.wire < below; t->onwire.wire++) {
		struct stream_symbol *sym = stream_tx_symbol(&t->tx, t->onwire.wire);

		if (sym->opened == 0)
			sym->opened = t->evidence.resolved;
	}
}

/* As far as evidence goes. What was promised stays, whatever the rule is now. */
static void onwire_advance(struct tunnel *t)
{
	struct onwire *o = &t->onwire;

	if (t->evidence.level == TUNNEL_MIRROR)
		return;
	/* The prototype's rule: up to the newest symbol that any repair includes. */
	if (t->params.fec.policy == TUNNEL_PAPER && t->cover.newest > o->wire &&
	    t->tx.confirmed >= t->cover.floor)
		onwire_open(t, t->cover.newest);
	while (o->wire < t->tx.sent && tunnel_symbol_covered(t, o->wire))
		onwire_open(t, o->wire + 1);
}

void tunnel_onwire_update(struct tunnel *t, rt_time now)
{
	struct onwire *o = &t->onwire;

	onwire_resolve(t, now);
	if (o->wire < t->tx.confirmed)
		o->wire = t->tx.confirmed;
	onwire_advance(t);
	/* What has been made good once holds nothing any more, should m rise. */
	o->held = onwire_holds(t);
	o->held_passed = o->held && o->held_passed;
	if (o->held && o->wire > o->held_symbol)
		o->wire = o->held_symbol;
	if (tunnel_proven(t, now) || o->wire < o->opened || RT_BUG(GATE_ON_TIMEOUT))
		o->opened = o->wire;
	if (o->opened < t->tx.confirmed)
		o->opened = t->tx.confirmed;
}
