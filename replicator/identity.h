/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_IDENTITY_H
#define REPLICATOR_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/message.h"

/*
 * Who is at the other end of a control connection, and whether it may be this site's peer.
 * Pure. The key says that it belongs to the group; a copy of a store has the key, too.
 */
enum identity_verdict {
	IDENTITY_FITS,
	IDENTITY_FORGOTTEN,   /* this store takes nobody */
	IDENTITY_OURSELVES,   /* the same store as here: one is a copy of the other */
	IDENTITY_OTHER_STORE, /* this store is paired with another one */
	IDENTITY_OTHER_PAIR,  /* that store is paired with another one */
	/*
	 * The peer's run, but not with the number that it was given last: its clone. One that
	 * shows another run's number has met a copy of this site meanwhile, and is no clone.
	 */
	IDENTITY_CLONE,
	/*
	 * The peer has a connection: this one waits until that has ended, or has answered. Or
	 * it had one, and this is another run on another machine or boot: a copy would be here
	 * sooner than the peer, whose connection has just broken.
	 */
	IDENTITY_ASK,
};

/*
 * The peer's run that was last connected. A run and its clone, which has its
 * memory, differ by a number: each HELLO gives one, which the next connection of that run
 * must show. One HELLO may be lost, so the number before it counts until it was answered.
 */
struct identity_run {
	uint64_t run;	       /* 0: there was none */
	uint8_t boot[LFS_ID_LEN]; /* of its machine; zero: not known */
	uint64_t shown, given; /* the numbers that it may show */
};

/* What this site knows of itself and of its peer. */
struct identity_own {
	const uint8_t *store;  /* LFS_ID_LEN bytes, */
	const uint8_t *paired; /* and of its peer's; zero: none yet */
	uint64_t run;	       /* of this daemon, which gives the numbers */
	bool forgotten;	       /* it takes nobody */
	bool connected;	       /* the peer has a connection, */
	bool lately;	       /* or had one until lately, or its data still arrive */
};

enum identity_verdict identity_judge(const struct identity_own *own,
				     const struct identity_run *last,
				     const struct message_identity *newcomer);
/* It is the peer from now on, and is given `number`. */
void identity_take(struct identity_run *last, const struct message_identity *newcomer,
		   uint64_t number);
/* The peer has answered the HELLO with the number: no older one counts. */
void identity_answered(struct identity_run *last);

/* It was not the peer: nobody waits for it to be back. */
void identity_forget(struct identity_run *last);

/* The newest version of the protocol that both speak; 0: none. */
unsigned identity_version(const struct message_negotiate *ours,
			  const struct message_negotiate *theirs);

#define IDENTITY_TEXT_MAX 17 /* with its terminating 0 */
/* The first half of a store's id in hex digits: enough to tell one from another. */
const char *identity_text(const uint8_t store[LFS_ID_LEN], char text[IDENTITY_TEXT_MAX]);
bool identity_is_none(const uint8_t store[LFS_ID_LEN]);

#endif
