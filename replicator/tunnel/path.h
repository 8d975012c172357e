/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_PATH_H
#define REPLICATOR_TUNNEL_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/estimate.h"
#include "rt/time.h"

struct packet_report;
struct sent_entry;

/*
 * What acknowledgements say about the path: its round trip (RFC 6298's smoothing), its
 * losses, and whether it is alive.
 *
 * Loss is of first transmissions only, and without what the receiver's own socket
 * dropped: redundancy must not feed itself.
 *
 * Proof: an authentic acknowledgement covers a datagram sent less than
 * max(3 RTT, RTT + PATH_PROOF_NS) ago.
 */
#define PATH_PROOF_NS (50 * RT_MS)
#define PATH_PROBE_NS (25 * RT_MS)

struct path {
	int64_t rtt_ns, rtt_min_ns; /* -1 before the first sample */
	int64_t rtt_var_ns;	    /* mean deviation, as RFC 6298 has it */
	int64_t reo_extra_ns;	    /* on top of what these ask for */
	uint64_t largest;	    /* highest number acknowledged */
	rt_time largest_sent;	    /* when that one was sent */
	rt_time proof_at;	    /* when it was acknowledged, so that the path is proven */
	/* Totals where the current sample of the loss began. */
	uint64_t decided, originals_sent, originals_received, missing, bursts, overflowed;
	double bursts_owed;	   /* of bursts, less those counted: -1 .. 0 */
	uint64_t ours, ours_fresh; /* dropped by the receiver, not yet found missing */
};

void path_init(struct path *p);
/* Successive numbers that say nothing of the path's losses: it was cut. */
struct path_outage {
	uint64_t numbers, originals;
};
/*
 * The receiver's tally of all that was sent up to report->decided, which is `entry`, less
 * an outage that ended among it (or NULL). If it is news: true with *ret, which counts the
 * originals sent, those that the path lost, and their bursts.
 */
bool path_decided(struct path *p, const struct packet_report *report,
		  const struct sent_entry *entry, const struct path_outage *outage,
		  struct fec_sample *ret);
/* An acknowledgement whose `largest` is new; `entry` (or NULL) is what was sent so. */
void path_acknowledged(struct path *p, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now);
bool path_proven(const struct path *p, rt_time now);
/*
 * So long after it was sent the newest datagram that is known to have come proves
 * nothing.
 */
int64_t path_proof_ns(const struct path *p);
/*
 * How much later than a datagram another must have been sent whose arrival shows that the
 * first is lost: max(RTT/4, twice its deviation, PATH_REO_WND_NS), and more for as long
 * as that turns out to be too little, never above max(RTT, PATH_REO_WND_MAX_NS). A host
 * whose processor is busy puts datagrams in disorder by milliseconds on a path that needs
 * none.
 */
#define PATH_REO_WND_NS RT_MS
#define PATH_REO_WND_MAX_NS (20 * RT_MS)
int64_t path_reo_wnd_ns(const struct path *p);
/* A symbol was retransmitted; `spurious`: its original was received. */
void path_retransmitted(struct path *p, bool spurious);
/* Silence after which a probe goes out: max(RTT, PATH_PROBE_NS) / 2. */
int64_t path_probe_ns(const struct path *p);

#endif
