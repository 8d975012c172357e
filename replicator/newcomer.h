/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_NEWCOMER_H
#define REPLICATOR_NEWCOMER_H

#include <stddef.h>
#include <stdint.h>

#include "replicator/message.h"
#include "rt/addr.h"
#include "rt/time.h"

struct conn;
struct session;

/*
 * A connection that has shown the key and is not the control connection yet: both sites say
 * which versions they speak, then who they are, and each decides whether the other may be
 * its peer (identity.h). The peer's present connection is not touched meanwhile: a newcomer
 * waits while that one may live, and replaces it only when it is over.
 */
#define NEWCOMERS_MAX 4 /* all have the key: a peer, and copies of its store */

enum newcomer_stage {
	NEWCOMER_NEGOTIATING, /* has said NEGOTIATE */
	NEWCOMER_IDENTIFYING, /* has said IDENTITY */
	NEWCOMER_WAITING,     /* fits, but the peer's present connection may live */
	NEWCOMER_REFUSED,     /* that was said; closed a little later */
};

struct newcomer {
	struct conn *conn; /* owned; NULL: free */
	struct rt_addr address;
	enum newcomer_stage stage; /* changed by newcomer_set_stage() only */
	rt_time until;		   /* it is closed then */
	uint64_t probe; /* WAITING: a PONG with this serial or a later one: the peer lives */
	struct message_identity identity;
};

/* Owns the connection from now on. */
void newcomer_arrived(struct session *s, struct conn *conn, const struct rt_addr *address);
struct newcomer *newcomer_of(struct session *s, const struct conn *conn); /* or NULL */
void newcomer_message(struct session *s, struct newcomer *n, unsigned type,
		      const uint8_t *body, size_t len);
/* Its connection has ended by itself. */
void newcomer_left(struct newcomer *n);
/* The present connection has answered the PING of this serial: who waits is a copy. */
void newcomer_peer_lives(struct session *s, uint64_t serial);
void newcomer_turn(struct session *s);
void newcomer_close_all(struct session *s);

#endif
