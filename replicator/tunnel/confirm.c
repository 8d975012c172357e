// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "replicator/tunnel/state.h"

/*
 * What an acknowledgement does at the sender: symbols are confirmed and forgotten,
 * credit and watermark rise, the path's round trip and loss are sampled, and what is missing is
 * answered: with fresh repairs while the symbols are in the code's window, with the
 * symbols themselves after that. What is on its way is not sent again.
 */

/* An acknowledgement with what was sent when, and what it says is missing. */
struct confirm {
	const struct packet_report *report;
	const struct sent_entry
		*entry;	 /* of the highest number received; NULL: forgotten */
	uint64_t old;	 /* missing symbols that have left the window */
	uint64_t lost;	 /* those in the window whose datagram must be lost */
	uint64_t gone;	 /* all whose datagram must be lost, or the one before */
	uint64_t tail;	 /* such ones above all that the peer has reported */
	unsigned looked; /* symbols looked at so far */
};

/*
 * Whether what was sent as `number` must be lost: a datagram that was sent a good while
 * later was received. Time and not a count of datagrams decides, so a path that reorders is
 * not taken for one that loses (after RACK, RFC 8985).
 */
static bool confirm_lost(const struct tunnel *t, const struct confirm *c, uint64_t number)
{
	const struct sent_entry *e;

	if (number >= c->report->largest)
		return false;
	e = sent_find(&t->sent, number);
	return e == NULL || c->entry == NULL ||
	       rt_time_since(c->entry->at, e->at) >= path_reo_wnd_ns(&t->path);
}

static void confirm_resend(struct tunnel *t, uint64_t number)
{
	struct tunnel_resend *r = &t->resend;
	struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);

	if (sym->queued || r->count == TUNNEL_RESEND_MAX)
		return;
	sym->queued = true;
	r->ring[(r->head + r->count) % TUNNEL_RESEND_MAX] = number;
	r->count++;
}

/* One symbol that the other side does not have. */
static void confirm_missing(struct tunnel *t, struct confirm *c, uint64_t number)
{
	const struct stream_symbol *sym = stream_tx_symbol(&t->tx, number);
	bool data_follows = stream_tx_unsent(&t->tx) && t->tx.sent < t->peer.credit;
	uint64_t covering = wire_gate_covering(&t->gate, number);
	bool lost = confirm_lost(t, c, sym->number);

	c->gone += lost || sym->retransmitted; /* of that one nothing is known yet */
	if (wire_gate_in_window(&t->gate, number)) {
		c->lost += lost;
		return;
	}
	c->old++;
	/* The last repair that covers it may still be on its way. */
	if (c->entry != NULL &&
	    wire_gate_coming(&t->gate, number, c->entry->repairs, data_follows))
		return;
	if (covering > 0 && !confirm_lost(t, c, covering))
		return;
	if (lost)
		confirm_resend(t, number);
}

/*
 * Symbols sent above the highest one that the peer has reported. A retransmitted one is as
 * unknown as one in a reported hole.
 */
static void confirm_tail(struct tunnel *t, struct confirm *c)
{
	uint64_t n = c->report->seen;

	if (n < t->tx.confirmed)
		n = t->tx.confirmed;
	for (; n < t->tx.sent && c->looked < TUNNEL_RESEND_SCAN; n++, c->looked++) {
		const struct stream_symbol *sym = stream_tx_symbol(&t->tx, n);

		/* First transmissions go out in order: behind one on its way all are. */
		if (!sym->retransmitted && !confirm_lost(t, c, sym->number))
			return;
		c->tail++;
		confirm_missing(t, c, n);
	}
}

static void confirm_holes(struct tunnel *t, struct confirm *c)
{
	const struct packet_report *r = c->report;

	for (unsigned i = 0; i < r->nholes; i++) {
		uint64_t n = r->holes[i].first, end = n + r->holes[i].count;

		if (n < t->tx.confirmed)
			n = t->tx.confirmed;
		for (; n < end; n++) {
			if (c->looked++ == TUNNEL_RESEND_SCAN)
				return;
			confirm_missing(t, c, n);
		}
	}
	confirm_tail(t, c);
}

/* Fresh repairs for what those on their way cannot make good, and the gate's rule. */
static void confirm_deficit(struct tunnel *t, struct confirm *c)
{
	uint64_t deficit = c->report->deficit + c->tail, first = t->tx.confirmed;
	uint64_t made = t->sent.last.repairs, fresh;
	uint64_t passed = c->entry == NULL ? made : c->entry->repairs;
	uint64_t coming = made - passed;
	struct wire_gate_report report;

	/* No more can be missing than was sent, whatever they say. */
	if (deficit > t->tx.sent - first)
		deficit = t->tx.sent - first;
	fresh = deficit > c->old ? deficit - c->old : 0;
	/* A symbol that is not lost may still arrive, if the path reorders. */
	if (fresh > c->lost)
		fresh = c->lost;
	if (fresh > t->redundancy.code.window)
		fresh = t->redundancy.code.window;
	/* On an idle path one more costs nothing, and saves a round trip if one is lost. */
	if (fresh > 0 && !stream_tx_unsent(&t->tx))
		fresh++;
	t->repairs.answers = fresh > coming ? fresh - coming : 0;
	t->stats.deficits += t->repairs.answers > 0;
	report = (struct wire_gate_report){
		.largest = c->report->largest,
		.repairs = passed,
		.deficit = deficit,
		.outside = c->old,
		.lost = c->gone > 0,
	};
	wire_gate_acknowledged(&t->gate, &report);
}

/*
 * Whether the run of missing numbers that is reported is an outage: nothing that
 * was sent for longer than a path stays proven was received. Redundancy does not cover an
 * outage: the closed gate does. A shorter run is a loss burst.
 */
static bool confirm_outage(const struct tunnel *t, const struct packet_report *report,
			   struct path_outage *ret)
{
	const struct sent *s = &t->sent;
	uint64_t from = report->gap_first, decided = t->path.decided;
	const struct sent_entry *before, *first,
		*last = sent_find(s, report->gap_end - 1);

	if (report->gap_end <= decided + 1 || t->path.rtt_ns < 0 || last == NULL)
		return false; /* it was in an earlier sample; or nothing is known of it */
	if (from <= decided)
		from = decided + 1;
	before = sent_find(s, from - 1);
	first = sent_find(s, from);
	if (first == NULL) /* forgotten: of the rest of it */
		first = sent_find(s, s->last.number - s->size + 1);
	if (first == NULL || rt_time_since(last->at, first->at) < path_proof_ns(&t->path))
		return false;
	ret->numbers = report->gap_end - from;
	/* If `before` is forgotten, the sample's originals before the outage go with it. */
	ret->originals = last->originals -
			 (before == NULL ? t->path.originals_sent : before->originals);
	return true;
}

/* The path's losses since the last sample. */
static void confirm_sample(struct tunnel *t, const struct packet_report *report,
			   rt_time now)
{
	const struct sent_entry *e = sent_find(&t->sent, report->decided);
	const struct sent_entry *before = sent_find(&t->sent, t->path.decided);
	struct path_outage gap;
	struct fec_sample sample;
	bool outage = confirm_outage(t, report, &gap);

	if (e == NULL ||
	    !path_decided(&t->path, report, e, outage ? &gap : NULL, &sample))
		return;
	t->stats.outages += outage;
	sample.congested = cc_congested(&t->cc, before == NULL ? 0 : before->eliciting,
					e->eliciting);
	fec_estimate_add(&t->redundancy.estimate, &sample, now);
	tunnel_redundancy_follow(t, now);
}

static void confirm_mtu(struct tunnel *t, const struct confirm *c, rt_time now)
{
	const struct packet_report *r = c->report;
	const struct sent_entry *before = sent_find(&t->sent, r->largest - 1);
	struct mtu_news news = {
		.largest = r->largest,
		.full_largest = c->entry != NULL && before != NULL &&
				c->entry->full > before->full,
		.full = c->entry == NULL ? t->sent.last.full : c->entry->full,
		.marks = r->seen + r->below + r->rebuilt,
		.echo = r->probe,
		.rtt_ns = t->path.rtt_ns,
	};

	mtu_acknowledged(&t->mtu, &news, now);
}

/*
 * A retransmission is spurious if the receiver confirms its symbol before it has received
 * the retransmission (after Eifel, RFC 3522).
 */
static void confirm_retransmitted(struct tunnel *t, const struct packet_report *report)
{
	uint64_t n = t->tx.confirmed;

	for (; n < report->below && n < t->resend.upto; n++) {
		const struct stream_symbol *sym = stream_tx_symbol(&t->tx, n);
		bool spurious = sym->number > report->largest;

		if (!sym->retransmitted)
			continue;
		path_retransmitted(&t->path, spurious);
		t->stats.spurious += spurious;
	}
}

static bool confirm_honest(const struct tunnel *t, const struct packet_report *r)
{
	return r->largest <= t->sent.last.number && r->below <= t->tx.sent &&
	       r->seen <= t->tx.sent && r->originals <= t->sent.last.originals &&
	       r->decided <= t->sent.last.number;
}

int tunnel_confirm(struct tunnel *t, const struct packet *p,
		   const struct packet_report *report, rt_time now)
{
	struct confirm c = { .report = report };

	if (!confirm_honest(t, report))
		return -EPROTO;
	if (report->below > t->tx.confirmed) {
		confirm_retransmitted(t, report);
		wire_gate_confirmed(&t->gate, report->below);
		stream_tx_confirm(&t->tx, report->below);
		fec_encoder_confirm(t->encoder, report->below);
	}
	if (report->credit > t->peer.credit)
		t->peer.credit = report->credit;
	if (report->watermark > t->peer.watermark)
		t->peer.watermark = report->watermark;
	/* One that was overtaken has nothing more to say. */
	if (p->number > t->peer.ack_seen && report->largest >= t->path.largest) {
		t->peer.ack_seen = p->number;
		c.entry = sent_find(&t->sent, report->largest);
		if (report->largest > t->path.largest) {
			path_acknowledged(&t->path, report, c.entry, now);
			tunnel_rate_acked(t, report, c.entry, now);
		}
		confirm_sample(t, report, now);
		evidence_arrived(&t->evidence, report->largest);
		confirm_mtu(t, &c, now);
		confirm_holes(t, &c);
		confirm_deficit(t, &c);
	}
	tunnel_gate_update(t, now);
	return 0;
}
