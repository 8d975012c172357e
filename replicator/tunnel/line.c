// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/line.h"

#include <math.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/sent.h"

void line_init(struct line *l)
{
	*l = (struct line){ .rtt_ns = -1, .rtt_min_ns = -1 };
}

static void line_rtt(struct line *l, int64_t sample_ns, int64_t delay_ns)
{
	int64_t off_ns;

	if (sample_ns < 1)
		sample_ns = 1;
	if (l->rtt_min_ns < 0 || sample_ns < l->rtt_min_ns)
		l->rtt_min_ns = sample_ns;
	/* The other side's word on its delay counts no further than the least seen. */
	if (delay_ns <= sample_ns - l->rtt_min_ns)
		sample_ns -= delay_ns;
	if (l->rtt_ns < 0) {
		l->rtt_ns = sample_ns;
		l->rtt_var_ns = sample_ns / 2;
		return;
	}
	off_ns = sample_ns - l->rtt_ns;
	l->rtt_var_ns += ((off_ns < 0 ? -off_ns : off_ns) - l->rtt_var_ns) / 4;
	l->rtt_ns += off_ns / 8;
}

/*
 * Runs are counted over datagrams of all kinds, loss over first transmissions: the runs of
 * these are taken to be as long as those of all, so of a run that took three of them and
 * five others three eighths are told. A part counts as a whole one at first, so that no loss
 * is without a run, and is owed by what follows.
 */
static uint64_t line_runs(struct line *l, uint64_t lost, uint64_t missing, uint64_t runs)
{
	double n = missing > 0 ? (double)lost * (double)runs / (double)missing : 0;
	uint64_t whole;

	/* Longer ones are not told apart. */
	if (runs > 0 && n < (double)lost / FEC_BURST_MAX)
		n = (double)lost / FEC_BURST_MAX;
	l->runs_owed += n < (double)lost ? n : (double)lost;
	whole = l->runs_owed > 0 ? (uint64_t)ceil(l->runs_owed) : 0;
	if (whole > lost)
		whole = lost;
	l->runs_owed -= (double)whole;
	return whole;
}

/*
 * How many of `lost` the receiver's own socket dropped. Its count runs ahead of what is
 * settled, so what is not used up waits for the next sample, and no longer.
 */
static uint64_t line_ours(struct line *l, const struct packet_report *report,
			  uint64_t lost)
{
	uint64_t fresh = report->overflowed >= l->overflowed
				 ? report->overflowed - l->overflowed
				 : 0;
	uint64_t used;

	l->ours += fresh;
	if (l->ours > fresh + l->ours_fresh)
		l->ours = fresh + l->ours_fresh;
	l->ours_fresh = fresh;
	used = l->ours < lost ? l->ours : lost;
	l->ours -= used;
	return used;
}

static void line_without(uint64_t *total, uint64_t part)
{
	*total -= part < *total ? part : *total;
}

bool line_settled(struct line *l, const struct packet_report *report,
		  const struct sent_entry *entry, const struct line_outage *outage,
		  struct fec_sample *ret)
{
	uint64_t sent = entry->firsts - l->firsts_sent;
	uint64_t came = report->firsts - l->firsts_came;
	uint64_t missing = report->missing - l->missing, runs = report->runs - l->runs;
	uint64_t lost;

	if (report->settled <= l->settled || entry->firsts <= l->firsts_sent)
		return false;
	/* Totals that fall are no totals: that one tells us nothing. */
	lost = came < sent && report->firsts >= l->firsts_came ? sent - came : 0;
	lost -= line_ours(l, report, lost);
	if (report->missing < l->missing || report->runs < l->runs)
		missing = runs = lost;
	if (outage != NULL) {
		line_without(&lost, outage->firsts);
		line_without(&sent, outage->firsts);
		line_without(&missing, outage->numbers);
		line_without(&runs, 1);
	}
	*ret = (struct fec_sample){ .sent = sent,
				    .lost = lost,
				    .bursts = line_runs(l, lost, missing, runs) };
	l->settled = report->settled;
	l->firsts_sent = entry->firsts;
	l->firsts_came = report->firsts;
	l->missing = report->missing;
	l->runs = report->runs;
	l->overflowed = report->overflowed;
	return true;
}

void line_acknowledged(struct line *l, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now)
{
	l->largest = report->largest;
	if (entry == NULL)
		return;
	l->largest_sent = entry->at;
	line_rtt(l, rt_time_since(now, entry->at), report->delay_us * RT_US);
}

int64_t line_grace_ns(const struct line *l)
{
	int64_t grace_ns = LINE_GRACE_NS, most_ns = LINE_GRACE_MAX_NS;

	if (most_ns < l->rtt_ns)
		most_ns = l->rtt_ns;
	if (grace_ns < l->rtt_ns / 4)
		grace_ns = l->rtt_ns / 4;
	if (grace_ns < 2 * l->rtt_var_ns)
		grace_ns = 2 * l->rtt_var_ns;
	grace_ns += l->grace_ns;
	return grace_ns < most_ns ? grace_ns : most_ns;
}

void line_sent_again(struct line *l, bool in_vain)
{
	if (!in_vain)
		l->grace_ns -= l->grace_ns / 8;
	else if (line_grace_ns(l) < LINE_GRACE_MAX_NS || line_grace_ns(l) < l->rtt_ns)
		l->grace_ns += line_grace_ns(l) / 4;
}

int64_t line_proof_ns(const struct line *l)
{
	int64_t bound_ns = l->rtt_ns + LINE_PROOF_NS;

	return bound_ns < 3 * l->rtt_ns ? 3 * l->rtt_ns : bound_ns;
}

bool line_proven(const struct line *l, rt_time now)
{
	return l->rtt_ns >= 0 && rt_time_since(now, l->largest_sent) < line_proof_ns(l);
}

int64_t line_probe_ns(const struct line *l)
{
	return (l->rtt_ns > LINE_PROBE_NS ? l->rtt_ns : LINE_PROBE_NS) / 2;
}
