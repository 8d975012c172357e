/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_CARRIER_H
#define REPLICATOR_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/tunnel/tunnel.h"
#include "rt/time.h"

/*
 * What carries wire records to the other site, for the life of one START: a tunnel of
 * datagrams, or a pipe over TCP. Whoever ships and follows does not care which. Frames
 * are numbered 1, 2, 3, ... per direction; the functions are those of the tunnel
 * (replicator/tunnel/tunnel.h), and of the pipe (replicator/pipe.h).
 */
struct carrier;
struct iovec;
struct pipe;
struct rt_addr;
struct tunnel_io;

/*
 * Of a tunnel, which it owns from success on, joined to `io` (borrowed) towards `peer`
 * (tunnel_io_attach()); or of a pipe, owned as well. 0 or -ENOMEM.
 */
int carrier_of_tunnel(struct tunnel *t, struct tunnel_io *io, const struct rt_addr *peer,
		      struct carrier **ret);
int carrier_of_pipe(struct pipe *p, struct carrier **ret);
void carrier_free(struct carrier *c); /* NULL is fine */

/* The one that it is of; the other is NULL. */
struct tunnel *carrier_tunnel(const struct carrier *c);
struct pipe *carrier_pipe(const struct carrier *c);
/* It carries nothing any more: a text for people, or NULL. */
const char *carrier_over(const struct carrier *c);

int carrier_submitv(struct carrier *c, const struct iovec *iov, unsigned n, rt_time now);
void carrier_expedite(struct carrier *c, rt_time now);
int carrier_next_frame(struct carrier *c, const uint8_t **frame, size_t *len);
void carrier_set_note(struct carrier *c, uint64_t note, rt_time now);
uint64_t carrier_peer_note(const struct carrier *c);
/* The owner has called it: send what is to be sent. */
void carrier_kick(struct carrier *c);

uint64_t carrier_submitted(const struct carrier *c);
uint64_t carrier_received(const struct carrier *c);
uint64_t carrier_onwire(const struct carrier *c, rt_time now);
bool carrier_proven(const struct carrier *c, rt_time now);
enum tunnel_evidence carrier_evidence_level(const struct carrier *c);
/* What is not known of a pipe is 0, or negative where that says so. */
void carrier_stats(const struct carrier *c, struct tunnel_stats *ret);

#endif
