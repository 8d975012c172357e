/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_URING_DGRAM_H
#define RT_URING_DGRAM_H

#include "rt/uring.h"

/* Private to uring_dgram*.c: one UDP socket. */

/* Entries of the error queue fetched at once. */
#define DGRAM_ERRORS 64
/* Receives in flight where the kernel has no multishot receive. */
#define DGRAM_RECVS 16
/* Room for a sockaddr_in6, and the control messages behind it are aligned. */
#define DGRAM_NAME 32
/* Bytes of control messages asked for with a datagram, and with an error. */
#define DGRAM_CONTROL 128 /* SO_RXQ_OVFL, UDP_GRO, and where it was sent to */
#define DGRAM_ERROR_CONTROL 256
/* Enough of a timestamped datagram, with headers of lower layers, to recognise it. */
#define DGRAM_ERROR_DATA 2048
/* TX timestamps waited for at a time, without identifiers in the kernel (see below). */
#define DGRAM_PENDING 1024u
#define DGRAM_HEAD 1500u /* bytes by which one is recognised: all that a tunnel sends */
#define DGRAM_TOGETHER_ONE 256u /* of rt_dgram.together */
/* Messages that we cut ourselves before we ask the kernel once more. */
#define DGRAM_ALONE 4096u
/* Headers that lower layers put before a datagram: link, tags, tunnels, IPv6, UDP. */
#define DGRAM_HEADERS_MAX 256u

struct rt_dgram;

/* The operation that waits for the error queue, and room for what it finds there. */
struct dgram_error {
	struct rt_op op;
	bool flying;
	struct mmsghdr msgs[DGRAM_ERRORS];
	struct iovec iov[DGRAM_ERRORS];
	_Alignas(struct cmsghdr) uint8_t control[DGRAM_ERRORS][DGRAM_ERROR_CONTROL];
	uint8_t *data; /* owned: DGRAM_ERROR_DATA for each; NULL where identifiers do */
};

/* One receive; with multishot only the first is used, and it has no buffer. */
struct dgram_recv {
	struct rt_op op;
	struct msghdr hdr;
	struct iovec iov;
	_Alignas(8) uint8_t from[DGRAM_NAME];
	_Alignas(struct cmsghdr) uint8_t control[DGRAM_CONTROL];
	uint8_t *data; /* owned; RT_DGRAM_MAX */
	bool flying;
};

/*
 * Before 6.13 a TX timestamp cannot carry our identifier, and the kernel's own count goes
 * wrong when a send fails half-way. There the kernel gives the datagram back with its
 * TX timestamp, and we look which one it was. Equal datagrams cannot be distinguished, but
 * then the evidence is about the same bytes: so all of them are compared, since who forges
 * one for a relay has its head right.
 */
struct dgram_pending {
	uint32_t timestamp; /* 0: nothing is waited for */
	uint32_t len;
	uint32_t first; /* of a message: length of its first datagram; else len */
	uint8_t head[DGRAM_HEAD];
};

struct rt_dgram {
	struct rt_loop *loop;		      /* borrowed */
	const struct rt_dgram_events *events; /* borrowed until closed */
	void *owner;			      /* borrowed until closed */
	int fd;				      /* owned */
	int family;
	bool closed; /* by its owner: freed with the last op in flight */
	bool multishot;
	bool card;	/* TX timestamps are the card's, not the driver's */
	bool gro;	/* several datagrams may come as one */
	unsigned alone; /* messages that are still to be sent one datagram at a time */
	uint64_t cut;	/* messages that the kernel refused, in total */
	struct {	/* for tests, what the kernel is to say; 0: ask it */
		int message, part;
	} refuse;
	uint32_t flying;     /* ops of all kinds */
	uint32_t drops_seen; /* the kernel's counter, which wraps */
	uint64_t drops;
	uint64_t
		together; /* mean number of datagrams in a received message; 0: none yet */
	uint64_t icmp_errors;
	struct rt_addr addr;
	struct rt_addr local;  /* where the datagram in received() was sent to; no port */
	struct rt_timer retry; /* to receive again after a failure */
	struct dgram_recv recvs[DGRAM_RECVS];
	struct dgram_error error;
	struct dgram_pending *pending;	     /* owned; NULL where not needed */
	uint32_t pending_first, pending_end; /* modulo DGRAM_PENDING */
};

/* One op less in flight; frees a closed socket with the last. */
void uring_dgram_unref(struct rt_dgram *dgram);

int uring_dgram_recv_init(struct rt_dgram *dgram); /* 0 or -ENOMEM */
void uring_dgram_recv_start(struct rt_dgram *dgram);
void uring_dgram_recv_cancel(struct rt_dgram *dgram);
void uring_dgram_recv_release(struct rt_dgram *dgram);

int uring_dgram_error_init(struct rt_dgram *dgram); /* 0 or -ENOMEM */
void uring_dgram_error_release(struct rt_dgram *dgram);
void uring_dgram_error_start(struct rt_dgram *dgram);
void uring_dgram_error_cancel(struct rt_dgram *dgram);
/* 1 where a TX timestamp may carry our identifier, 0 where it may not. */
int uring_dgram_ts_id(struct rt_loop *loop);
/* Set a socket option to `value`: 0 or -errno. */
int uring_dgram_option(int fd, int level, int name, int value);
/* A datagram with a TX timestamp is about to be sent; or it failed. */
void uring_dgram_expect(struct rt_dgram *dgram, const struct uring_msg *msg);
void uring_dgram_unexpect(struct rt_dgram *dgram, uint32_t timestamp);

#endif
