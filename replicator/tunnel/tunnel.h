/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_TUNNEL_H
#define REPLICATOR_TUNNEL_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fec/fec.h"
#include "fec/redundancy.h"
#include "rt/time.h"

/*
 * One end of a tunnel, for the life of one set of keys. It sends nothing, receives nothing
 * and reads no clock: whoever owns it brings the datagrams and the time, and asks what is
 * to be sent and when to come back. Both ends are alike; each may submit frames, and
 * whatever one submits comes out of the other whole, once and in order. replicator/tunnel
 * knows nothing of LSNs: frames are numbered 1, 2, 3, ... per direction.
 */
struct tunnel;

#define TUNNEL_SECRET_LEN 32
#define TUNNEL_DATAGRAM_MAX 1472

/* What proves that a datagram has left. */
enum tunnel_evidence {
	TUNNEL_QUEUED, /* it was handed to the kernel */
	TUNNEL_DRIVER, /* its driver took it */
	TUNNEL_NIC,    /* its card sent it */
	TUNNEL_EDGE,   /* the relay at the site's border passed it on */
	TUNNEL_MIRROR, /* onwire is what the mirror has received */
};

enum tunnel_policy {
	TUNNEL_SAFETY, /* the goal's safety */
	TUNNEL_PAPER, /* the prototype of 2009: the newest symbol in any repair that left */
};

/* How what this end sends is protected: all of it may change while it runs. */
struct tunnel_fec {
	/*
	 * code, r, c, interleave, delayed, and window: FEC_WINDOW's, 0: as large as the
	 * goal needs. The rest is the tunnel's.
	 */
	struct fec_params code;
	enum tunnel_policy policy;
	struct fec_goal goal;
	bool on_demand; /* repairs at idle and for who waits; off for experiments */
	/* For tests and experiments: m is `repairs` whatever the goal, 0 .. 64. */
	bool repairs_fixed;
	unsigned repairs;
};

struct tunnel_params {
	uint64_t
		id; /* of this set of keys; both ends agree; names the tunnel in datagrams */
	uint8_t secret[TUNNEL_SECRET_LEN]; /* from the handshake's exporter */
	bool dialed;			   /* this end dialed: says which key is whose */
	struct tunnel_fec fec;		   /* of what this end sends */
	uint16_t symbol_size;
	bool rate_auto;	       /* find the rate; rate_bps is then where it begins */
	uint64_t rate_bps;     /* of everything sent, in bits per second on the path */
	size_t send_memory;    /* bytes of frames held for sending or repair */
	size_t receive_memory; /* bytes of symbols held out of order: advertised as credit */
	uint32_t frame_max;    /* longest frame in either direction */
	enum tunnel_evidence evidence;
	int64_t timeout_ns; /* silence after which the peer has timed out */
};

/* 0, -EINVAL for parameters out of range, -ENOTSUP for what is not there yet, -ENOMEM. */
int tunnel_new(const struct tunnel_params *params, rt_time now, struct tunnel **ret);
void tunnel_free(struct tunnel *t); /* NULL is fine */

/*
 * Go on like this from the next symbol on. Nothing that was taken is lost, and what is on
 * the wire stays so: other codes, policies and goals apply to what is not yet. Errors as
 * tunnel_new(), and then nothing changed.
 */
int tunnel_set_fec(struct tunnel *t, const struct tunnel_fec *fec, rt_time now);
/*
 * As rate_auto and rate_bps of the parameters; the same errors, and -ENOSPC for a rate that
 * the tunnel was not made for: nothing changed, and a new tunnel would take it.
 */
int tunnel_set_rate(struct tunnel *t, bool automatic, uint64_t bps, rt_time now);
/* What the peer is reached over; IPv4 at first. Headers count for the rate. */
void tunnel_set_ipv6(struct tunnel *t, bool ipv6);

/* ---- frames --------------------------------------------------------------------------- */

/*
 * Take one frame (1 .. frame_max bytes, copied) for sending; it gets the next number.
 * -EAGAIN when send_memory or the other side's credit is used up: nothing happened, and
 * tunnel_room() says when there is room again.
 */
int tunnel_submit(struct tunnel *t, const uint8_t *frame, size_t len, rt_time now);
/* As above, gathered from pieces. */
struct iovec;
int tunnel_submitv(struct tunnel *t, const struct iovec *iov, unsigned n, rt_time now);
/* Whether a frame of `len` bytes would be taken now. */
bool tunnel_room(const struct tunnel *t, size_t len);
/*
 * Something waits at the gate for the newest frame: when the queue runs dry, send on-demand
 * repairs until it has its m. Without this, only paced repairs and the answers to deficits
 * are sent.
 */
void tunnel_expedite(struct tunnel *t, rt_time now);

/*
 * Whether the repairs on demand of a flow of data wait a little for the paced ones, which
 * come with the data that follows (false at first; docs/tunnel.md). The owner then asks
 * after a transmit that gave nothing whether some wait, and if it has nothing else to do
 * sends them without coalescing.
 */
void tunnel_set_coalescing(struct tunnel *t, bool coalescing);
bool tunnel_coalesces(const struct tunnel *t, rt_time now);

/*
 * The next whole frame that arrived, in order: 1 with *frame and *len (lent until the next
 * tunnel_ call), 0 when there is none; -EPROTO when what arrived is no legal framing: the
 * tunnel is of no use any more.
 */
int tunnel_next_frame(struct tunnel *t, const uint8_t **frame, size_t *len);

/*
 * The owner's watermark (persisted LSN), which only grows and is piggybacked on every
 * acknowledgement; and the peer's.
 */
void tunnel_set_watermark(struct tunnel *t, uint64_t watermark, rt_time now);
uint64_t tunnel_peer_watermark(const struct tunnel *t);

/* ---- watermarks: counts of leading frames ------------------------------------------- */

uint64_t tunnel_submitted(const struct tunnel *t);
/* Left this host with m covering repairs, proven as params.evidence says; never below
 * tunnel_received(). Falls only by a deficit (see docs/tunnel.md). */
uint64_t tunnel_onwire(const struct tunnel *t, rt_time now);
/* The other end has them all. */
uint64_t tunnel_received(const struct tunnel *t);
/* An authentic acknowledgement has lately proven the path alive. */
bool tunnel_proven(const struct tunnel *t, rt_time now);
/* Of a path that is proven: when the acknowledgement that proves it was received. */
rt_time tunnel_proof_at(const struct tunnel *t);
/*
 * params.evidence, or TUNNEL_MIRROR where there is no code or it cannot give m repairs,
 * or where the device turned out to give no timestamps.
 */
enum tunnel_evidence tunnel_evidence_level(const struct tunnel *t);
/* Nothing authentic has arrived for timeout_ns. */
bool tunnel_timed_out(const struct tunnel *t, rt_time now);
/*
 * The other end has the keys and lies, or is broken: so many of its authentic datagrams
 * were malformed (TUNNEL_MALFORMED_MAX), or its stream is none. Final: the tunnel takes
 * nothing in and sends nothing more; the owner ends the connection.
 */
#define TUNNEL_MALFORMED_MAX 64
bool tunnel_broken(const struct tunnel *t);

/* ---- datagrams -------------------------------------------------------------------------- */

/*
 * Take in one datagram of `len` bytes that arrived at `now`. Returns 0, also for a
 * duplicate; -EPROTO if it is not an authentic datagram of this tunnel, which is counted
 * and changes nothing else. The bytes are not kept.
 */
int tunnel_receive(struct tunnel *t, const uint8_t *dgram, size_t len, rt_time now);
/*
 * Write the next datagram to be sent to `buf` (TUNNEL_DATAGRAM_MAX bytes). Returns its
 * length, 0 when nothing is to be sent before tunnel_deadline(). *timestamp: nonzero asks
 * the owner to have its leaving proven, and to call tunnel_left(timestamp).
 */
size_t tunnel_transmit(struct tunnel *t, uint8_t *buf, rt_time now, uint32_t *timestamp);
/* When to call tunnel_transmit() next if nothing arrives before; RT_NEVER if idle. */
rt_time tunnel_deadline(const struct tunnel *t);
/*
 * What was transmitted and handed to the kernel has not left before the kernel has taken
 * it. Datagrams are numbered 1, 2, ... in the order of tunnel_transmit(). All before
 * `oldest` have been taken or refused; UINT64_MAX: all there are, as at the start. An
 * owner that says when sends are on their way says it after each, too. True when by that
 * something was decided.
 */
bool tunnel_lent(struct tunnel *t, uint64_t oldest, rt_time now);
/* One of first .. last at least was refused; said before tunnel_lent() passes them. */
void tunnel_unsent(struct tunnel *t, uint64_t first, uint64_t last);
/* The driver has taken the datagram that was given `timestamp`. */
void tunnel_left(struct tunnel *t, uint32_t timestamp, rt_time now);
/* TUNNEL_EDGE: the relay at the border has passed on the datagram with this number. */
void tunnel_echoed(struct tunnel *t, uint64_t number, rt_time now);
/* Our own socket has dropped datagrams, `total` since the tunnel began: not the path's loss. */
void tunnel_overflowed(struct tunnel *t, uint64_t total);
/*
 * The longest datagram that the path is known to carry; 0: nothing is known. Where those of
 * this tunnel do not come through while short ones do, tunnel_mtu_short(): a tunnel with
 * symbols of tunnel_symbol_fit() is needed. The same where larger ones would pass, too.
 */
unsigned tunnel_path_mtu(const struct tunnel *t);
bool tunnel_mtu_short(const struct tunnel *t);
/* Bytes of the shortest datagram that a path must carry for any tunnel. */
unsigned tunnel_mtu_least(void);
/* The same as an MTU: with the headers of IPv4 or IPv6, as the peer is reached now. */
unsigned tunnel_path_mtu_least(const struct tunnel *t);
/*
 * The symbol_size, at most `most`, whose datagrams are no longer than `path`; 0: it does
 * not carry even the shortest of ours.
 */
uint16_t tunnel_symbol_fit(unsigned path, uint16_t most);
/* The kernel has refused a datagram as too long, or an ICMP message says that a router has. */
void tunnel_too_long(struct tunnel *t, rt_time now);
/* The id that a datagram names, to find its tunnel; false if it is too short for one. */
bool tunnel_datagram_id(const uint8_t *dgram, size_t len, uint64_t *id);

/* ---- figures ------------------------------------------------------------------------------ */

struct tunnel_stats {
	uint64_t sent_bytes, sent_data, sent_repairs, sent_repair_bytes, sent_acks;
	uint64_t received_bytes, received_data, received_repairs, duplicates;
	uint64_t rebuilt, retransmitted, unauthentic, replayed, malformed, overflowed;
	uint64_t peer_overflowed; /* as it last said */
	uint64_t deficits;	  /* answers to deficits */
	uint64_t spurious;	  /* retransmitted, though the original was received */
	int64_t rtt_ns;		  /* smoothed; -1 before the first sample */
	int64_t rtt_min_ns;	  /* -1 before the first sample */
	/* Of first transmissions, as the receiver saw them; < 0: unknown. */
	double loss, burst;		/* mean */
	double loss_upper, burst_upper; /* what redundancy goes by */
	uint64_t outages;		/* silences of the path that count as no loss */
	uint64_t in_line;  /* datagrams sent and not yet known to have arrived */
	uint64_t rate_bps; /* in force */
	uint64_t guarded;  /* times that the path was narrower than the configured rate */
	int64_t queue_ns;  /* newest round trip, less the least one */
	const char *congestion; /* cc_state_name() of now */
	double share;		/* paced repairs per data symbol, in force */
	double residual;  /* risk per disaster that the model states; < 0: unknown */
	unsigned repairs; /* m, in force */
	unsigned window;  /* W, in force; 0 for other codes */
	unsigned mtu;	  /* longest datagram that is sent */
};
void tunnel_stats(const struct tunnel *t, struct tunnel_stats *ret);

#endif
