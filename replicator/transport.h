/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TRANSPORT_H
#define REPLICATOR_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/tunnel/tunnel.h"
#include "rt/time.h"

/*
 * Carries frames to the peer and from it, for the life of one START: datagrams over UDP
 * (transport_udp.h) or a connection of its own over TCP (transport_tcp.h). No caller asks
 * which one it is. Frames are numbered 1, 2, 3, ... per direction.
 */
struct transport;
struct iovec;
struct conn;

struct transport_events {
	/*
	 * Something arrived, left, was acknowledged, has room, has ended, or time has
	 * passed. The owner calls no function of the transport in here.
	 */
	void (*changed)(void *owner);
};

/* The protection and the rate of what this end sends. */
struct transport_rules {
	const struct tunnel_fec *fec; /* NULL: as it is */
	bool rate_auto;
	uint64_t rate_bps;
};

/* What the path carries, where the symbols of this transport do not fit it. */
struct transport_path {
	unsigned mtu;	      /* bytes of the longest datagram */
	uint16_t symbol_size; /* that fits; 0: the path carries not even the shortest */
	unsigned least;	      /* bytes of that one, */
	unsigned mtu_least; /* and of the MTU that it takes, with the headers in front */
};

/* A figure that a transport does not know is 0, or negative where that is said. */
/* What only grows; a transport counts from 0. */
struct transport_counters {
	uint64_t sent_bytes, repair_bytes;
	uint64_t rebuilt, retransmitted;
	uint64_t duplicates; /* datagrams whose symbol this end already had */
	uint64_t spurious;   /* retransmitted, though the original was received */
	uint64_t deficits;   /* answers to symbols that the peer could not rebuild */
	uint64_t unauthentic, replayed, malformed; /* datagrams that were refused */
	uint64_t guarded; /* times that the path was narrower than the configured rate */
	uint64_t outages, overflowed;
};

void transport_counters_add(struct transport_counters *to,
			    const struct transport_counters *from);

struct transport_stats {
	bool tcp;
	struct transport_counters counters;
	int64_t rtt_ns;		/* < 0: unknown */
	int64_t queue_ns;	/* newest round trip less the least one; < 0: unknown */
	double loss, burst;	/* of originals, mean; < 0: unknown */
	uint64_t rate_bps;	/* in force */
	const char *congestion; /* state of congestion control; "": the kernel's */
	uint64_t in_flight;	/* datagrams or frames, not known to have arrived */
	uint64_t waiting;	/* bytes that the kernel has not taken yet */
	unsigned repairs;	/* m, in force */
	double overhead;	/* repairs per data symbol sent; < 0: unknown */
	double residual; /* risk per disaster that the model states; < 0: unknown */
};

struct transport_ops {
	void (*free)(struct transport *t);
	void (*begin)(struct transport *t);
	bool (*join)(struct transport *t, struct conn *conn, const uint8_t *body,
		     size_t len);
	const char *(*over)(const struct transport *t);
	int (*error)(const struct transport *t);

	int (*submitv)(struct transport *t, const struct iovec *iov, unsigned n,
		       rt_time now);
	void (*expedite)(struct transport *t, rt_time now);
	int (*next_frame)(struct transport *t, const uint8_t **frame, size_t *len);
	void (*set_watermark)(struct transport *t, uint64_t watermark, rt_time now);
	uint64_t (*peer_watermark)(const struct transport *t);
	void (*transmit)(struct transport *t);

	uint64_t (*submitted)(const struct transport *t);
	uint64_t (*received)(const struct transport *t);
	uint64_t (*onwire)(const struct transport *t, rt_time now);
	bool (*proven)(const struct transport *t, rt_time now);
	rt_time (*proof_at)(const struct transport *t);
	bool (*stalled)(const struct transport *t, rt_time now, int64_t limit_ns);
	enum tunnel_evidence (*evidence)(const struct transport *t);

	bool (*path_differs)(const struct transport *t, uint16_t most,
			     struct transport_path *ret);
	int (*set_rules)(struct transport *t, const struct transport_rules *rules,
			 rt_time now);
	void (*stats)(const struct transport *t, struct transport_stats *ret);
};

/* The head of every transport; only transport.c and the implementations look into it. */
struct transport {
	const struct transport_ops *ops;
};

void transport_free(struct transport *t); /* NULL is fine */
/* The peer expects us: connect, where connecting is this end's part. */
void transport_begin(struct transport *t);
/*
 * An accepted data connection has said JOIN. True when it belongs to this transport, which
 * owns it from then on.
 */
bool transport_join(struct transport *t, struct conn *conn, const uint8_t *body,
		    size_t len);
/* It has ended, for good: a text for people, or NULL. */
const char *transport_over(const struct transport *t);
/* 0, or why: -ENOMEM at this end, -EPROTO for what the peer sent, or another -errno. */
int transport_error(const struct transport *t);

/*
 * Take one frame for sending (1 .. frame_max bytes, copied); it gets the next number.
 * -EAGAIN when there is no room now: nothing happened, and `changed` comes with room.
 */
int transport_submitv(struct transport *t, const struct iovec *iov, unsigned n,
		      rt_time now);
/* A completion waits for the newest frame: protect it now rather than with what follows. */
void transport_expedite(struct transport *t, rt_time now);
/*
 * The next whole frame that arrived, in order, also when the transport has ended: 1 with
 * *frame and *len (lent until the next call), 0 when there is none, -EPROTO when what
 * arrived is no legal framing.
 */
int transport_next_frame(struct transport *t, const uint8_t **frame, size_t *len);
/* A number that only grows and rides along to the peer; and the peer's. */
void transport_set_watermark(struct transport *t, uint64_t watermark, rt_time now);
uint64_t transport_peer_watermark(const struct transport *t);
/* The owner has called the transport: send what is to be sent. */
void transport_transmit(struct transport *t);

/* Counts of leading frames: submitted; received by the peer; safely under way. */
uint64_t transport_submitted(const struct transport *t);
uint64_t transport_received(const struct transport *t);
uint64_t transport_onwire(const struct transport *t, rt_time now);
/* The peer has lately answered over this transport. */
bool transport_proven(const struct transport *t, rt_time now);
/*
 * Of a path that is proven: when the peer's last sign of life on it was received. A path
 * whose window is full stands still from then on, though it is proven for a while longer.
 */
rt_time transport_proof_at(const struct transport *t);
/*
 * What was handed over has not moved for `limit_ns`, and the transport has no rule of its
 * own for that: a new connection may be faster.
 */
bool transport_stalled(const struct transport *t, rt_time now, int64_t limit_ns);
/* What proves that a frame is under way; TUNNEL_MIRROR: only that the peer received it. */
enum tunnel_evidence transport_evidence(const struct transport *t);

/* True where symbols of another size, at most `most`, fit the path better. */
bool transport_path_differs(const struct transport *t, uint16_t most,
			    struct transport_path *ret);
/* 0, or -errno where only a new transport can follow these rules. */
int transport_set_rules(struct transport *t, const struct transport_rules *rules,
			rt_time now);
void transport_stats(const struct transport *t, struct transport_stats *ret);

#endif
