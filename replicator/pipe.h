/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PIPE_H
#define REPLICATOR_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/message.h"
#include "rt/addr.h"
#include "rt/time.h"

/*
 * One end of the data path of transport = "tcp": whole frames in order over a secured
 * connection of its own, for the life of one START. One end sends frames, the other takes
 * them and says how far it is. What is taken was received; there is no evidence but that.
 *
 * Memory: at the end that sends, frames that were not taken yet are at most send_memory
 * (or one frame), of which the link holds a bounded part and the sockets the rest; at the
 * end that takes, PIPE_TAKE_BYTES and one frame, and then its socket holds the sender.
 */
struct iovec;
struct link;
struct pipe;
struct rt_loop;
struct tunnel_stats;

#define PIPE_TAKE_BYTES (4u << 20)

struct pipe_events {
	/* Something arrived, was taken, has room, or is over. It must call nothing here. */
	void (*changed)(void *owner);
};

struct pipe_params {
	uint64_t id;
	uint8_t proofs
		[2][MESSAGE_PROOF_LEN]; /* that the end that dials says, and the other */
	bool sends;			/* frames; the other end takes them */
	bool dials;
	struct rt_addr addr;	/* to be dialed */
	const uint8_t *key;	/* SECURE_KEY_LEN bytes, borrowed */
	const char *congestion; /* of what this end sends, copied; "": the system's */
	uint32_t frame_max;
	size_t send_memory;
	int64_t handshake_ns;
	int64_t probe_ns; /* between probes of the end that sends */
};

/* 0 or -ENOMEM. */
int pipe_new(struct rt_loop *loop, const struct pipe_params *params,
	     const struct pipe_events *events, void *owner, struct pipe **ret);
void pipe_free(struct pipe *p); /* NULL is fine */
/* The other end expects us: dial, if that is our part. */
void pipe_begin(struct pipe *p);
/*
 * An accepted data connection has said JOIN. True when it is the other end of this pipe,
 * which owns it from then on.
 */
bool pipe_join(struct pipe *p, struct link *link, const uint8_t *body, size_t len);
/* It has ended, for good: a text for people, or NULL. */
const char *pipe_over(const struct pipe *p);

/* As tunnel_submitv(): 0 or -EAGAIN. */
int pipe_submitv(struct pipe *p, const struct iovec *iov, unsigned n);
/* As tunnel_next_frame(), also when it is over. */
int pipe_next_frame(struct pipe *p, const uint8_t **frame, size_t *len);
/* The other end is told on the next pipe_kick(). */
void pipe_set_note(struct pipe *p, uint64_t note);
uint64_t pipe_peer_note(const struct pipe *p);
void pipe_kick(struct pipe *p);

uint64_t pipe_submitted(const struct pipe *p);
uint64_t pipe_received(const struct pipe *p);
/* The other end has lately answered, or taken something. */
bool pipe_proven(const struct pipe *p, rt_time now);
/* When the kernel last took a part of a frame: behind one that is long, no proof comes. */
rt_time pipe_moved(const struct pipe *p);
void pipe_stats(const struct pipe *p, struct tunnel_stats *ret);

#endif
