/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_LINE_H
#define REPLICATOR_TUNNEL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/estimate.h"
#include "rt/time.h"

struct packet_report;
struct sent_entry;

/*
 * What acknowledgements say about the line: its round trip (RFC 6298's smoothing), its
 * losses, and whether it is alive.
 *
 * Loss is of first transmissions only, and without what the receiver's own socket
 * dropped: redundancy must not feed itself.
 *
 * Proof: an authentic acknowledgement covers a datagram sent less than
 * max(3 RTT, RTT + LINE_PROOF_NS) ago.
 */
#define LINE_PROOF_NS (50 * RT_MS)
#define LINE_PROBE_NS (25 * RT_MS)

struct line {
	int64_t rtt_ns, rtt_min_ns; /* -1 before the first sample */
	int64_t rtt_var_ns;	    /* mean deviation, as RFC 6298 has it */
	int64_t grace_ns;	    /* on top of what these ask for */
	uint64_t largest;	    /* highest number acknowledged */
	rt_time largest_sent;	    /* when that one was sent */
	/* Totals where the current sample of the loss began. */
	uint64_t settled, firsts_sent, firsts_came, missing, runs, overflowed;
	double runs_owed;	   /* of runs, less those told: -1 .. 0 */
	uint64_t ours, ours_fresh; /* dropped by the receiver, not yet found missing */
};

void line_init(struct line *l);
/* Successive numbers that say nothing of the line's losses: it was cut. */
struct line_outage {
	uint64_t numbers, firsts;
};
/*
 * What the receiver's tally says of all that was sent up to report->settled, which is
 * `entry`, without an outage that ended among it (or NULL). True with *ret (lost, by the
 * line, of sent; in so many runs) if it is news.
 */
bool line_settled(struct line *l, const struct packet_report *report,
		  const struct sent_entry *entry, const struct line_outage *outage,
		  struct fec_sample *ret);
/* An acknowledgement whose `largest` is new; `entry` (or NULL) is what was sent so. */
void line_acknowledged(struct line *l, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now);
bool line_proven(const struct line *l, rt_time now);
/* So long after it was sent the newest datagram that is known to have come proves nothing. */
int64_t line_proof_ns(const struct line *l);
/*
 * How much later than a datagram another must have been sent whose arrival shows that the
 * first is lost: max(RTT/4, twice its deviation, LINE_GRACE_NS), and more for as long as
 * that turns out to be too little, never above max(RTT, LINE_GRACE_MAX_NS). A host whose
 * processor is busy puts datagrams in disorder by milliseconds on a line that needs none.
 */
#define LINE_GRACE_NS RT_MS
#define LINE_GRACE_MAX_NS (20 * RT_MS)
int64_t line_grace_ns(const struct line *l);
/* Something was sent again: in vain, since the first one came, or not. */
void line_sent_again(struct line *l, bool in_vain);
/* Silence after which a probe goes out: max(RTT, LINE_PROBE_NS) / 2. */
int64_t line_probe_ns(const struct line *l);

#endif
