// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/line.h"

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/sent.h"

void line_init(struct line *l)
{
	*l = (struct line){ .rtt_ns = -1, .rtt_min_ns = -1, .loss = -1 };
}

static void line_rtt(struct line *l, int64_t sample_ns, int64_t delay_ns)
{
	if (sample_ns < 1)
		sample_ns = 1;
	if (l->rtt_min_ns < 0 || sample_ns < l->rtt_min_ns)
		l->rtt_min_ns = sample_ns;
	/* The other side's word on its delay counts no further than the least seen. */
	if (delay_ns <= sample_ns - l->rtt_min_ns)
		sample_ns -= delay_ns;
	if (l->rtt_ns < 0)
		l->rtt_ns = sample_ns;
	else
		l->rtt_ns += (sample_ns - l->rtt_ns) / 8;
}

static void line_loss(struct line *l, const struct packet_report *report,
		      const struct sent_entry *entry)
{
	uint64_t sent = entry->firsts - l->firsts_sent;
	int64_t lost, ours;
	double sample;

	if (entry->firsts < l->firsts_sent || sent < LINE_SAMPLE)
		return;
	ours = (int64_t)(report->overflowed - l->overflowed);
	lost = (int64_t)(sent - (report->firsts - l->firsts_came)) -
	       (ours > 0 ? ours : 0);
	sample = (double)lost / (double)sent;
	if (sample < 0)
		sample = 0;
	if (sample > 1)
		sample = 1;
	l->loss = l->loss < 0 ? sample : l->loss + (sample - l->loss) / 4;
	l->firsts_sent = entry->firsts;
	l->firsts_came = report->firsts;
	l->overflowed = report->overflowed;
}

void line_acknowledged(struct line *l, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now)
{
	l->largest = report->largest;
	if (entry == NULL)
		return;
	l->largest_sent = entry->at;
	line_rtt(l, rt_time_since(now, entry->at), report->delay_us * RT_US);
	line_loss(l, report, entry);
}

bool line_proven(const struct line *l, rt_time now)
{
	int64_t bound_ns = l->rtt_ns + LINE_PROOF_NS;

	if (l->rtt_ns < 0)
		return false;
	if (bound_ns < 3 * l->rtt_ns)
		bound_ns = 3 * l->rtt_ns;
	return rt_time_since(now, l->largest_sent) < bound_ns;
}

int64_t line_probe_ns(const struct line *l)
{
	return (l->rtt_ns > LINE_PROBE_NS ? l->rtt_ns : LINE_PROBE_NS) / 2;
}
