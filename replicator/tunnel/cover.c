// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cover.h"

#include <errno.h>

#include "replicator/tunnel/state.h"
#include "rt/bug.h"
#include "rt/mem.h"

int cover_init(struct cover *c)
{
	*c = (struct cover){ 0 };
	c->heads = rt_zalloc(COVER_HEADS, sizeof(*c->heads));
	return c->heads == NULL ? -ENOMEM : 0;
}

void cover_release(struct cover *c)
{
	rt_free(c->heads);
	c->heads = NULL;
}

/* ---- blocks ------------------------------------------------------------------------ */

void tunnel_cover_sent(struct tunnel *t, const struct fec_repair *repair)
{
	struct cover *c = &t->cover;
	uint64_t n = repair->first;

	c->heads[++c->made % COVER_HEADS] =
		(struct cover_head){ repair->first, repair->count, repair->stride };
	for (unsigned i = 0; i < repair->count; i++, n += repair->stride) {
		struct stream_symbol *sym;

		if (n < t->tx.confirmed)
			continue;
		sym = stream_tx_symbol(&t->tx, n);
		sym->covering = t->sent.last.number;
		sym->covers_made++;
	}
}

/* A repair has left: it counts, unless it may be needed for what has not. */
static void cover_left(struct tunnel *t, const struct cover_head *h)
{
	uint64_t n = h->first;

	for (unsigned i = 0; i < h->count; i++, n += h->stride)
		if (n >= t->tx.confirmed && !RT_BUG(BLOCK_IGNORES_FAILED) &&
		    stream_tx_symbol(&t->tx, n)->unproven)
			return;
	n = h->first;
	for (unsigned i = 0; i < h->count; i++, n += h->stride)
		if (n >= t->tx.confirmed)
			stream_tx_symbol(&t->tx, n)->covers_left++;
}

void tunnel_cover_resolved(struct tunnel *t, const struct evidence_outcome *out)
{
	struct cover *c = &t->cover;

	if (!out->left || t->evidence.level == TUNNEL_MIRROR)
		return;
	if (out->newest > c->newest)
		c->newest = out->newest;
	for (uint64_t q = out->blocks_from + 1; q <= out->blocks_to; q++)
		if (c->made - q < COVER_HEADS)
			cover_left(t, &c->heads[q % COVER_HEADS]);
}

/*
 * Block repairs that cover a symbol may still come: from a bin that is not full. Not any
 * more when so much was sent behind it that they must have gone another way, or when
 * nothing follows that would fill it.
 */
static bool cover_filling(const struct tunnel *t, const struct stream_symbol *sym,
			  uint64_t number)
{
	uint64_t span = t->redundancy.code.r;

	if (t->redundancy.code.code != FEC_LAYERED && t->redundancy.code.code != FEC_RS)
		return false;
	for (unsigned i = 0;
	     t->redundancy.code.code == FEC_LAYERED && i < t->redundancy.code.c; i++)
		if (span <
		    (uint64_t)t->redundancy.code.r * t->redundancy.code.interleave[i])
			span = (uint64_t)t->redundancy.code.r *
			       t->redundancy.code.interleave[i];
	return sym->covers_made < t->redundancy.code.c &&
	       t->tx.sent - number <= 2 * span && stream_tx_unsent(&t->tx) &&
	       t->tx.sent < t->credit;
}

bool tunnel_cover_coming(const struct tunnel *t, uint64_t number, uint64_t passed)
{
	const struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);

	return passed < sym->left_at || cover_filling(t, sym, number);
}

/* ---- the gate's rule --------------------------------------------------------------- */

bool tunnel_gate_able(const struct tunnel *t)
{
	if (t->params.fec.policy == TUNNEL_PAPER)
		return true;
	switch (t->redundancy.code.code) {
	case FEC_NONE:
		return false;
	case FEC_LAYERED:
	case FEC_RS:
		return t->redundancy.now.repairs <= t->redundancy.code.c;
	case FEC_WINDOW:
		return !t->redundancy.unreachable;
	}
	return false;
}

void tunnel_gate_changed(struct tunnel *t)
{
	struct evidence *e = &t->evidence;
	enum tunnel_evidence old = e->level;

	e->level =
		e->blinded || !tunnel_gate_able(t) ? TUNNEL_MIRROR : t->params.evidence;
	if (old == TUNNEL_MIRROR && e->level != old && !RT_BUG(CHANGE_WITHOUT_FLOOR))
		t->cover.floor = t->tx.sent;
}

/* Of m repairs, those without which nothing counts. */
static uint64_t cover_asked(uint64_t m)
{
	if (RT_BUG(GATE_ONE_LESS) && m > 0)
		return m - 1;
	return RT_BUG(GATE_HALF_OF_M) ? m / 2 : m;
}

/* m(n): with all symbols below `base` safe, and `upto` the end of what the repairs cover. */
static uint64_t cover_needed(const struct tunnel *t, const struct stream_symbol *sym,
			     uint64_t upto)
{
	uint64_t base = sym->base > t->tx.confirmed ? sym->base : t->tx.confirmed;
	uint64_t n = upto > base ? upto - base : 1;

	if (RT_BUG(GATE_IGNORES_REPAIRS))
		return 0;
	if (t->params.fec.policy == TUNNEL_PAPER)
		return 1;
	return cover_asked(n <= FEC_LONE_MAX ? t->redundancy.now.lone[n]
					     : t->redundancy.now.repairs);
}

/*
 * Symbols not confirmed whose train has failed: each eats a repair. Also those behind the
 * symbol in question, since the repairs that count for it cover them, too.
 */
static uint64_t cover_failed(const struct tunnel *t)
{
	uint32_t failed = t->onwire.failed - t->onwire.failed_confirmed;
	uint64_t unconfirmed = t->evidence.symbols > t->tx.confirmed
				       ? t->evidence.symbols - t->tx.confirmed
				       : 0;

	if (RT_BUG(COVER_IGNORES_FAILED))
		return 0;
	return failed < unconfirmed ? failed : unconfirmed;
}

/* Repairs of the window that cover a symbol and have left. */
static uint64_t cover_window_left(const struct tunnel *t, const struct stream_symbol *sym,
				  uint64_t number)
{
	uint64_t left = evidence_left(&t->evidence, sym->repairs);

	if (!tunnel_in_window(t, number) && !RT_BUG(COVER_OUTSIDE_WINDOW))
		left -= evidence_left(&t->evidence, sym->left_at);
	return left;
}

static bool cover_paper(const struct tunnel *t, const struct stream_symbol *sym,
			uint64_t number)
{
	/* Without repairs it is the evidence for the data alone. */
	if (t->redundancy.code.code == FEC_NONE)
		return !sym->unproven;
	return number < t->cover.newest;
}

bool tunnel_symbol_covered(const struct tunnel *t, uint64_t number)
{
	const struct stream_symbol *sym;

	if (number < t->tx.confirmed)
		return true;
	if (number >= t->evidence.symbols || number < t->cover.floor)
		return false;
	sym = stream_tx_symbol(&t->tx, number);
	if (t->params.fec.policy == TUNNEL_PAPER)
		return cover_paper(t, sym, number);
	if (sym->covers_left > 0 &&
	    sym->covers_left >= cover_asked(t->redundancy.now.repairs))
		return true;
	return cover_window_left(t, sym, number) >=
	       cover_needed(t, sym, t->evidence.symbols) + cover_failed(t);
}

bool tunnel_cover_passed(const struct tunnel *t, uint64_t number, uint64_t largest,
			 uint64_t repairs)
{
	const struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);
	const struct onwire *o = &t->onwire;

	/*
	 * It has been let go. What did that is behind us, be it that more is asked for by
	 * now: a line that turns bad raises m, and is just what takes promises back.
	 */
	if (o->held_passed && o->held_symbol == number)
		return true;
	if (sym->opened > 0 && largest >= sym->opened && !RT_BUG(HOLD_BY_NEW_GOAL))
		return true;
	/* In no window, and never in one that a repair was made for. */
	if (!tunnel_in_window(t, number) && sym->left_at == sym->repairs)
		return sym->covers_made > 0 &&
		       sym->covers_made >= t->redundancy.now.repairs &&
		       largest >= sym->covering;
	return repairs >= sym->repairs + cover_needed(t, sym, number + 1);
}

/* Repairs that are still to be made for a symbol in the window. */
static uint64_t cover_lacking(const struct tunnel *t, uint64_t number)
{
	const struct stream_symbol *sym;
	uint64_t want, have;

	if (!tunnel_in_window(t, number))
		return 0;
	sym = stream_tx_symbol(&t->tx, number);
	want = cover_needed(t, sym, t->tx.sent) + cover_failed(t);
	have = evidence_promised(&t->evidence, sym->repairs, t->sent.last.repairs);
	return have < want ? want - have : 0;
}

uint64_t tunnel_repairs_lacking(const struct tunnel *t, uint64_t below)
{
	const struct onwire *o = &t->onwire;
	uint64_t lacking, other, want, have;

	if (below <= t->tx.confirmed)
		return 0;
	lacking = cover_lacking(t, below - 1);
	/* One sent before it may need more, if it was less alone. */
	if (o->wire < below - 1 && o->wire >= t->tx.confirmed) {
		other = cover_lacking(t, o->wire);
		lacking = lacking > other ? lacking : other;
	}
	if (o->held && o->held_symbol < below && tunnel_in_window(t, o->held_symbol)) {
		want = o->held_deficit;
		if (o->held_passed)
			want += t->redundancy.now.repairs;
		have = evidence_promised(&t->evidence, o->held_repairs,
					 t->sent.last.repairs);
		if (have < want && want - have > lacking)
			lacking = want - have;
	}
	return lacking;
}
