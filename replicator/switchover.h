/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_SWITCHOVER_H
#define REPLICATOR_SWITCHOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/message.h"
#include "rt/time.h"

struct group;
struct group_switchover;
struct session;

/*
 * The two sites change roles, and nothing is lost. The primary lets new writes wait, until the
 * mirror has persisted all that were admitted; makes durable that it is SEALED; and grants the
 * mirror the next epoch. The mirror makes that durable and is the primary. docs/switchover.md
 * has the steps, and what each crash leaves behind.
 */
enum switchover_step {
	SWITCHOVER_NONE,
	SWITCHOVER_DRAINING, /* new writes wait; the mirror persists the others */
	SWITCHOVER_SEALING,  /* SEALED is being made durable */
	SWITCHOVER_GRANTED,  /* the mirror may be primary: its next HELLO says */
	SWITCHOVER_UNSEALING,
	SWITCHOVER_YIELDING, /* this site is being made the mirror */
	/* Of a mirror. */
	SWITCHOVER_ASKING, /* the primary was asked */
	SWITCHOVER_TAKING, /* the granted epoch is being made durable */
};

struct switchover {
	enum switchover_step step;	/* changed by switchover_set_step() only */
	struct group_switchover *asked; /* the caller's, or NULL */
	rt_time began, until, shown_at; /* the last: when `asked` was shown progress */
	uint64_t lsn; /* SEALED at */
	struct message_grant
		late; /* of the deliberate bug GRANT_SURVIVES_CONNECTION only */
};

/* Whether `to` may follow; pure. */
bool switchover_may_follow(enum switchover_step from, enum switchover_step to);

/* New writes wait. */
bool switchover_pauses(const struct group *g);
/* Another change of the role, or of the peer, would meet this one halfway. */
bool switchover_forbids_promotion(const struct group *g);
/* Whether this site may be primary no more, or not yet: the store says so. */
bool switchover_is_sealed(const struct group *g);
/* A mirror says nothing of itself while it is being made the primary. */
bool switchover_is_taking(const struct session *s);

/* The mirror's HELLO decides about a SEALED primary. True: that is what happens now. */
bool switchover_decides(struct session *s);
/* Of the peer, over the control connection. */
void switchover_message(struct session *s, unsigned type, const uint8_t *body,
			size_t len);
void switchover_turn(struct session *s);
/* The session ends: who asked is answered. */
void switchover_end(struct session *s);

#endif
