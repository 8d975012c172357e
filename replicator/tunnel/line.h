/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_LINE_H
#define REPLICATOR_TUNNEL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

struct packet_report;
struct sent_entry;

/*
 * What acknowledgements say about the line: its round trip (RFC 6298's smoothing), its
 * loss, and whether it is alive.
 *
 * Loss is of first transmissions only, and without what the receiver's own socket
 * dropped: redundancy must not feed itself.
 *
 * Proof: an authentic acknowledgement covers a datagram sent less than
 * max(3 RTT, RTT + LINE_PROOF_NS) ago.
 */
#define LINE_PROOF_NS (50 * RT_MS)
#define LINE_PROBE_NS (25 * RT_MS)
#define LINE_SAMPLE 512 /* first transmissions in one sample of the loss */

struct line {
	int64_t rtt_ns, rtt_min_ns; /* -1 before the first sample */
	double loss;		    /* < 0 before the first sample */
	uint64_t largest;	    /* highest number acknowledged */
	rt_time largest_sent;	    /* when that one was sent */
	/* Totals where the current sample of the loss began. */
	uint64_t firsts_sent, firsts_came, overflowed;
};

void line_init(struct line *l);
/* An acknowledgement whose `largest` is new; `entry` (or NULL) is what was sent so. */
void line_acknowledged(struct line *l, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now);
bool line_proven(const struct line *l, rt_time now);
/* Silence after which a probe goes out: max(RTT, LINE_PROBE_NS) / 2. */
int64_t line_probe_ns(const struct line *l);

#endif
