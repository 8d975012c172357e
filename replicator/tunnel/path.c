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
 * Bursts are counted over datagrams of all kinds, loss over originals. The bursts of
 * originals are taken to be as long as those of all: a burst of three originals and five
 * others counts as three eighths. A part counts as a whole burst at first, so that no loss
 * is without a burst, and the following samples owe the difference.
 */
static uint64_t path_bursts(struct path *p, uint64_t lost, uint64_t missing,
			    uint64_t bursts)
{
	double n = missing > 0 ? (double)lost * (double)bursts / (double)missing : 0;
	uint64_t whole;

	/* The estimator does not distinguish longer ones. */
	if (bursts > 0 && n < (double)lost / FEC_BURST_MAX)
		n = (double)lost / FEC_BURST_MAX;
	p->bursts_owed += n < (double)lost ? n : (double)lost;
	whole = p->bursts_owed > 0 ? (uint64_t)ceil(p->bursts_owed) : 0;
	if (whole > lost)
		whole = lost;
	p->bursts_owed -= (double)whole;
	return whole;
}

/*
 * How many of `lost` the receiver's own socket dropped. Its count is ahead of the
 * decided numbers, so the unused rest waits for the next sample, and no longer.
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
	uint64_t sent = entry->originals - p->originals_sent;
	uint64_t received = report->originals - p->originals_received;
	uint64_t missing = report->missing - p->missing,
		 bursts = report->bursts - p->bursts;
	uint64_t lost;

	if (report->decided <= p->decided || entry->originals <= p->originals_sent)
		return false;
	/* Totals that fall are no totals: that one tells us nothing. */
	lost = received < sent && report->originals >= p->originals_received
		       ? sent - received
		       : 0;
	lost -= path_ours(p, report, lost);
	if (report->missing < p->missing || report->bursts < p->bursts)
		missing = bursts = lost;
	if (outage != NULL) {
		path_without(&lost, outage->originals);
		path_without(&sent, outage->originals);
		path_without(&missing, outage->numbers);
		path_without(&bursts, 1);
	}
	*ret = (struct fec_sample){ .sent = sent,
				    .lost = lost,
				    .bursts = path_bursts(p, lost, missing, bursts) };
	p->decided = report->decided;
	p->originals_sent = entry->originals;
	p->originals_received = report->originals;
	p->missing = report->missing;
	p->bursts = report->bursts;
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
	p->proof_at = now;
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

void path_retransmitted(struct path *p, bool spurious)
{
	if (!spurious)
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
