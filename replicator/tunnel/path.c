// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/path.h"

#include <math.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/sent.h"

void path_init(struct path *p)
{
	*p = (struct path){ .rtt_ns = -1, .rtt_min_ns = -1 };
}

static void path_rtt(struct path *p, int64_t sample_ns, int64_t delay_ns)
{
	int64_t off_ns;

	if (sample_ns < 1)
		sample_ns = 1;
	if (p->rtt_min_ns < 0 || sample_ns < p->rtt_min_ns)
		p->rtt_min_ns = sample_ns;
	/* The other side's word on its delay counts no further than the least seen. */
	if (delay_ns <= sample_ns - p->rtt_min_ns)
		sample_ns -= delay_ns;
	if (p->rtt_ns < 0) {
		p->rtt_ns = sample_ns;
		p->rtt_var_ns = sample_ns / 2;
		return;
	}
	off_ns = sample_ns - p->rtt_ns;
	p->rtt_var_ns += ((off_ns < 0 ? -off_ns : off_ns) - p->rtt_var_ns) / 4;
	p->rtt_ns += off_ns / 8;
}

/*
 * Runs are counted over datagrams of all kinds, loss over first transmissions: the runs
 * of these are taken to be as long as those of all, so of a run that took three of them
 * and five others three eighths are told. A part counts as a whole one at first, so that
 * no loss is without a run, and is owed by what follows.
 */
static uint64_t path_runs(struct path *p, uint64_t lost, uint64_t missing, uint64_t runs)
{
	double n = missing > 0 ? (double)lost * (double)runs / (double)missing : 0;
	uint64_t whole;

	/* Longer ones are not told apart. */
	if (runs > 0 && n < (double)lost / FEC_BURST_MAX)
		n = (double)lost / FEC_BURST_MAX;
	p->runs_owed += n < (double)lost ? n : (double)lost;
	whole = p->runs_owed > 0 ? (uint64_t)ceil(p->runs_owed) : 0;
	if (whole > lost)
		whole = lost;
	p->runs_owed -= (double)whole;
	return whole;
}

/*
 * How many of `lost` the receiver's own socket dropped. Its count runs ahead of what is
 * settled, so what is not used up waits for the next sample, and no longer.
 */
static uint64_t path_ours(struct path *p, const struct packet_report *report,
			  uint64_t lost)
{
	uint64_t fresh = report->overflowed >= p->overflowed
				 ? report->overflowed - p->overflowed
				 : 0;
	uint64_t used;

	p->ours += fresh;
	if (p->ours > fresh + p->ours_fresh)
		p->ours = fresh + p->ours_fresh;
	p->ours_fresh = fresh;
	used = p->ours < lost ? p->ours : lost;
	p->ours -= used;
	return used;
}

static void path_without(uint64_t *total, uint64_t part)
{
	*total -= part < *total ? part : *total;
}

bool path_decided(struct path *p, const struct packet_report *report,
		  const struct sent_entry *entry, const struct path_outage *outage,
		  struct fec_sample *ret)
{
	uint64_t sent = entry->firsts - p->firsts_sent;
	uint64_t came = report->firsts - p->firsts_came;
	uint64_t missing = report->missing - p->missing, runs = report->runs - p->runs;
	uint64_t lost;

	if (report->settled <= p->settled || entry->firsts <= p->firsts_sent)
		return false;
	/* Totals that fall are no totals: that one tells us nothing. */
	lost = came < sent && report->firsts >= p->firsts_came ? sent - came : 0;
	lost -= path_ours(p, report, lost);
	if (report->missing < p->missing || report->runs < p->runs)
		missing = runs = lost;
	if (outage != NULL) {
		path_without(&lost, outage->firsts);
		path_without(&sent, outage->firsts);
		path_without(&missing, outage->numbers);
		path_without(&runs, 1);
	}
	*ret = (struct fec_sample){ .sent = sent,
				    .lost = lost,
				    .bursts = path_runs(p, lost, missing, runs) };
	p->settled = report->settled;
	p->firsts_sent = entry->firsts;
	p->firsts_came = report->firsts;
	p->missing = report->missing;
	p->runs = report->runs;
	p->overflowed = report->overflowed;
	return true;
}

void path_acknowledged(struct path *p, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now)
{
	p->largest = report->largest;
	if (entry == NULL)
		return;
	p->largest_sent = entry->at;
	path_rtt(p, rt_time_since(now, entry->at), report->delay_us * RT_US);
}

int64_t path_reo_wnd_ns(const struct path *p)
{
	int64_t reo_wnd_ns = PATH_REO_WND_NS, most_ns = PATH_REO_WND_MAX_NS;

	if (most_ns < p->rtt_ns)
		most_ns = p->rtt_ns;
	if (reo_wnd_ns < p->rtt_ns / 4)
		reo_wnd_ns = p->rtt_ns / 4;
	if (reo_wnd_ns < 2 * p->rtt_var_ns)
		reo_wnd_ns = 2 * p->rtt_var_ns;
	reo_wnd_ns += p->reo_extra_ns;
	return reo_wnd_ns < most_ns ? reo_wnd_ns : most_ns;
}

void path_retransmitted(struct path *p, bool in_vain)
{
	if (!in_vain)
		p->reo_extra_ns -= p->reo_extra_ns / 8;
	else if (path_reo_wnd_ns(p) < PATH_REO_WND_MAX_NS ||
		 path_reo_wnd_ns(p) < p->rtt_ns)
		p->reo_extra_ns += path_reo_wnd_ns(p) / 4;
}

int64_t path_proof_ns(const struct path *p)
{
	int64_t bound_ns = p->rtt_ns + PATH_PROOF_NS;

	return bound_ns < 3 * p->rtt_ns ? 3 * p->rtt_ns : bound_ns;
}

bool path_proven(const struct path *p, rt_time now)
{
	return p->rtt_ns >= 0 && rt_time_since(now, p->largest_sent) < path_proof_ns(p);
}

int64_t path_probe_ns(const struct path *p)
{
	return (p->rtt_ns > PATH_PROBE_NS ? p->rtt_ns : PATH_PROBE_NS) / 2;
}
