// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/onwire.h"

#include "replicator/tunnel/state.h"
#include "rt/bug.h"
#include "rt/check.h"

/* m, or what a build with a deliberate bug takes for it. */
static uint64_t onwire_repairs(const struct tunnel *t)
{
	return RT_BUG(GATE_IGNORES_REPAIRS) ? 0 : t->redundancy.repairs;
}

/* failed(s), with every symbol below `confirmed` forgiven. */
static uint64_t onwire_failed(const struct tunnel *t, const struct stream_symbol *sym,
			      uint64_t number)
{
	uint32_t upto = number < t->evidence.symbols ? sym->failed : t->onwire.failed;
	uint64_t unconfirmed = number + 1 - t->tx.confirmed;
	uint32_t failed = upto - t->onwire.failed_confirmed;

	return failed < unconfirmed ? failed : unconfirmed;
}

bool tunnel_symbol_covered(const struct tunnel *t, uint64_t number)
{
	const struct stream_symbol *sym;

	if (number < t->tx.confirmed)
		return true;
	if (number >= t->evidence.symbols)
		return false;
	sym = stream_tx_symbol(&t->tx, number);
	return evidence_left(&t->evidence, sym->repairs) >=
	       onwire_repairs(t) + onwire_failed(t, sym, number);
}

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
	uint64_t end, left;

	if (!o->held || o->held_symbol < t->tx.confirmed)
		return false;
	end = onwire_held_end(t);
	if (end <= o->held_repairs)
		return true;
	left = evidence_left(&t->evidence, o->held_repairs);
	if (end < t->evidence.repairs)
		left -= evidence_left(&t->evidence, end);
	return left < o->held_deficit + onwire_repairs(t);
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
			t->onwire.failed += !out.left;
			stream_tx_symbol(&t->tx, n)->failed = t->onwire.failed;
		}
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

void tunnel_onwire_update(struct tunnel *t, rt_time now)
{
	struct onwire *o = &t->onwire;

	onwire_resolve(t, now);
	if (o->wire < t->tx.confirmed)
		o->wire = t->tx.confirmed;
	while (o->wire < t->tx.sent && tunnel_symbol_covered(t, o->wire))
		o->wire++;
	if (onwire_holds(t) && o->wire > o->held_symbol)
		o->wire = o->held_symbol;
	if (line_proven(&t->line, now) || o->wire < o->opened || RT_BUG(GATE_ON_TIMEOUT))
		o->opened = o->wire;
	if (o->opened < t->tx.confirmed)
		o->opened = t->tx.confirmed;
}

uint64_t tunnel_repairs_lacking(const struct tunnel *t, uint64_t below)
{
	const struct onwire *o = &t->onwire;
	const struct evidence *e = &t->evidence;
	uint64_t made = t->sent.last.repairs, want, have, lacking = 0;
	uint64_t number = below - 1;

	if (below <= t->tx.confirmed)
		return 0;
	if (tunnel_in_window(t, number)) {
		const struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);

		want = t->redundancy.repairs + onwire_failed(t, sym, number);
		have = evidence_promised(e, sym->repairs, made);
		lacking = have < want ? want - have : 0;
	}
	if (o->held && o->held_symbol < below && tunnel_in_window(t, o->held_symbol)) {
		want = o->held_deficit + t->redundancy.repairs;
		have = evidence_promised(e, o->held_repairs, made);
		if (have < want && want - have > lacking)
			lacking = want - have;
	}
	return lacking;
}
