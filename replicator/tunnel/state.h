/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_STATE_H
#define REPLICATOR_TUNNEL_STATE_H

#include "replicator/tunnel/ack.h"
#include "replicator/tunnel/cc.h"
#include "replicator/tunnel/evidence.h"
#include "replicator/tunnel/mtu.h"
#include "replicator/tunnel/pacer.h"
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/path.h"
#include "replicator/tunnel/replay.h"
#include "replicator/tunnel/seal.h"
#include "replicator/tunnel/sent.h"
#include "replicator/tunnel/stream_rx.h"
#include "replicator/tunnel/stream_tx.h"
#include "replicator/tunnel/tally.h"
#include "replicator/tunnel/tunnel.h"
#include "replicator/tunnel/tunnel_redundancy.h"
#include "replicator/tunnel/wire_gate.h"

/* What the files of one tunnel share; nobody else includes this. */

#define TUNNEL_CREDIT_FIRST 64	/* symbols that every receiver has room for */
#define TUNNEL_RESEND_MAX 256	/* symbols that wait to be retransmitted */
#define TUNNEL_RESEND_SCAN 4096 /* missing symbols looked at per acknowledgement */
#define TUNNEL_PROVE_NS                                                                  \
	(60 * RT_S) /* how long after the last gate the path is kept proven */
#define TUNNEL_SLOW_NS (500 * RT_MS) /* between probes when nobody answers */
#define TUNNEL_PROBE_FULL 8 /* full datagrams under load between small probes, at least */
/* rate = "auto": the rings that remember datagrams are made for at least this rate. */
#define TUNNEL_AUTO_MEMORY_BPS UINT64_C(2000000000)
#define TUNNEL_SHARE_ONE (UINT64_C(1) << 32)

/*
 * Coalescing of repairs on demand: with at least so many symbols that are not safe (an
 * isolated write leaves with its repairs, in one send batch) they wait so long after the
 * newest symbol was sent.
 */
#define TUNNEL_COALESCE_SYMBOLS 16
#define TUNNEL_COALESCE_NS (500 * RT_US)

/* Symbols to be retransmitted, oldest first; each is marked `queued`. */
struct tunnel_resend {
	uint64_t ring[TUNNEL_RESEND_MAX];
	unsigned head, count;
	uint64_t upto; /* one above the newest retransmitted symbol */
};

/* The peer, as its authentic datagrams describe it. */
struct tunnel_peer {
	rt_time last_rx;    /* anything authentic */
	uint64_t received;  /* datagrams received by it, acknowledgements aside */
	uint64_t credit;    /* symbols below this may be sent */
	uint64_t ack_seen;  /* packet number of the newest acknowledgement */
	uint64_t watermark; /* piggybacked */
};

/* Which repairs are owed: paced ones, answers to deficits, repairs on demand. */
struct tunnel_repairs {
	/* Of TUNNEL_SHARE_ONE: paced repairs per symbol, and of these not yet sent. */
	uint64_t share, share_owed;
	uint64_t answers; /* fresh repairs owed for a deficit */
	uint64_t newest;  /* one above the newest symbol in the repair just made, or 0 */
	uint64_t urgent;  /* symbols below this hold frames that wait at the gate */
	bool coalescing;  /* repairs on demand may wait for paced ones */
	rt_time data_at;  /* when a symbol was first sent */
};

/* When the path was last probed, and how long it is kept proven. */
struct tunnel_probing {
	rt_time eliciting_at; /* when something that is acknowledged was sent */
	rt_time prove_until;  /* the path is kept proven until then */
	bool at_once;
	rt_time probed_at;    /* when the last small probe was sent, behind so many */
	uint64_t probed_full; /* datagrams of full size */
};

struct tunnel {
	struct tunnel_params params;
	struct tunnel_stats stats;
	struct tunnel_peer peer;

	/* Sending. */
	struct seal *seal_tx; /* owned */
	enum seal_suite suite;
	struct fec_encoder *encoder; /* owned */
	struct tunnel_redundancy redundancy;
	struct stream_tx tx;
	struct sent sent;
	struct pacer pacer;
	struct cc cc;
	struct evidence evidence;
	struct wire_gate gate;
	struct path path;
	struct mtu mtu;
	struct tunnel_resend resend;
	struct tunnel_repairs repairs;
	struct tunnel_probing probing;
	uint64_t unsealed; /* packet number of the newest that left without its content */

	/* Receiving. */
	struct seal *seal_rx; /* owned */
	struct replay replay;
	struct tally tally;
	struct stream_rx rx;
	struct ack ack;
	uint64_t watermark; /* of this end, to be piggybacked */
	uint64_t overflowed;
	uint16_t probe; /* highest serial of a padded probe */

	uint8_t *scratch; /* owned; a payload, its symbol aligned for the code */
};

/* Where in `scratch` a payload begins, so that its symbol is aligned. */
#define TUNNEL_SCRATCH_LEN 2048
static inline uint8_t *tunnel_payload(const struct tunnel *t)
{
	return t->scratch + FEC_SYMBOL_ALIGN - sizeof(struct packet_data);
}

/* tunnel_redundancy.c: how much is sent. Errors as tunnel_new(). */
int tunnel_redundancy_init(struct tunnel *t, rt_time now);
/* The estimate has learned something. */
void tunnel_redundancy_follow(struct tunnel *t, rt_time now);

/*
 * Code, policy or redundancy have changed: the gate's rule follows, and the level of the
 * evidence, which the gate learns with its next update.
 */
void tunnel_gate_changed(struct tunnel *t);

/* rate.c: how fast. */
void tunnel_rate_init(struct tunnel *t, rt_time now);
/* The rate for which memory is to be set aside; and for so many datagrams. */
uint64_t tunnel_rate_memory(const struct tunnel_params *p);
uint64_t tunnel_rate_datagrams(uint64_t bps);
/* Rate and window allow a datagram; the window alone. Only acknowledgements open it. */
bool tunnel_may_send(const struct tunnel *t, rt_time now);
bool tunnel_rate_open(const struct tunnel *t);
/* An acknowledgement whose `largest` is new; `entry` (or NULL) is what was sent so. */
void tunnel_rate_acked(struct tunnel *t, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now);

/* send.c: what goes out next. */
enum tunnel_next {
	TUNNEL_NOTHING,
	TUNNEL_RESEND,
	TUNNEL_REPAIR,
	TUNNEL_DATA,
	TUNNEL_FLUSH, /* what is partial becomes due; no datagram by itself */
	TUNNEL_CLOSE, /* a probe behind an open send batch */
};
enum tunnel_next tunnel_next(const struct tunnel *t, rt_time now);

/* confirm.c: what an acknowledgement does. 0, or -EPROTO for a dishonest one. */
int tunnel_confirm(struct tunnel *t, const struct packet *p,
		   const struct packet_report *report, rt_time now);

/* tunnel.c: after anything that may have moved the gate's watermark. */
void tunnel_gate_update(struct tunnel *t, rt_time now);

/*
 * receive.c: as tunnel_receive(), and *newest (false on error): this datagram's number is
 * the highest so far, so its source address is the peer's.
 */
int tunnel_take(struct tunnel *t, const uint8_t *dgram, size_t len, rt_time now,
		bool *newest);

#endif
