/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_SESSION_MACHINE_H
#define REPLICATOR_SESSION_MACHINE_H

#include <stdbool.h>

#include "replicator/group.h"

/*
 * The states of a session and what each event does in them, as one table with a name and a
 * reason for every row. docs/session.md draws it. Pure: the caller carries out the actions.
 */
enum session_state {
	/* No control connection. */
	SESSION_DISCONNECTED,
	SESSION_DATA_ONLY,	       /* the transport goes on, until control_timeout */
	SESSION_DRAINING_DISCONNECTED, /* mirror: makes durable what has arrived */

	/* A control connection that has shown the key. */
	SESSION_DRAINING, /* mirror: as above, and takes what the old transport brings */
	SESSION_HELLO,	  /* has said HELLO; waits for the peer's */
	SESSION_DECIDING, /* both have said HELLO: this site's conclusion is due */
	SESSION_STREAMING,
	SESSION_REFUSED, /* leads nowhere; closed a little later */

	/* Of a mirror. */
	SESSION_DECIDING_START,	   /* START arrived before the conclusion */
	SESSION_DECIDING_PULL,	   /* PULL arrived before the conclusion */
	SESSION_UNPAIRED,	   /* has said HELLO of a store without a group */
	SESSION_UNPAIRED_DECIDING, /* and knows the primary whose group it may join */
	SESSION_PAIRING,	   /* makes the group's identity durable */
	SESSION_WAITING,	   /* for PULL or START */
	SESSION_SERVING_PULL,	   /* gives records back */
	SESSION_START_RECEIVED,
	SESSION_WRITING_HISTORY, /* makes the history of START durable */

	/* Of a primary. */
	SESSION_PULLING,  /* takes records back */
	SESSION_PULLED,	  /* has them all; makes them durable */
	SESSION_STARTING, /* has said START; waits for READY */

	SESSION_STATES
};

enum session_event {
	SESSION_EV_CONNECTED, /* a control connection has shown the key */
	/* It ended, or this site ends it: no transport brings more, or one still works. */
	SESSION_EV_CONN_LOST,
	SESSION_EV_CONN_LOST_DATA_GOOD,
	SESSION_EV_CONTROL_TIMEOUT, /* there was none for control_timeout */
	SESSION_EV_TRANSPORT_ENDED, /* by itself; a mirror's while it streams */
	SESSION_EV_REFUSE,	    /* this site ends the connection, with a reason */
	SESSION_EV_PEER_HELLO,
	SESSION_EV_HELLO_BAD, /* a HELLO that is not legal: the one before it is lost, too */
	SESSION_EV_PROMOTE,  /* a promotion begins */
	SESSION_EV_PROMOTED, /* this site is primary from now on */

	/* Of a mirror. */
	SESSION_EV_DRAINED,	     /* all that arrived is durable */
	SESSION_EV_DRAINED_UNPAIRED, /* there was nothing, and there is no group yet */
	SESSION_EV_DRAINED_BROKEN,   /* what arrived could not all be applied */
	SESSION_EV_FRAMES_BAD,	     /* what arrives is no use any more */
	SESSION_EV_PAIR,	     /* the primary's volumes fit: join its group */
	SESSION_EV_PAIRED,	     /* the group's identity is durable */
	SESSION_EV_AGREED,	     /* the primary may PULL or START */
	SESSION_EV_START,
	SESSION_EV_PULL,
	SESSION_EV_PULL_SERVED,
	SESSION_EV_WRITE_HISTORY, /* that of START is another than the store's */
	SESSION_EV_FOLLOW,	  /* the history is durable, the transport open */

	/* Of a primary. */
	SESSION_EV_PEER_UNPAIRED, /* the mirror pairs, and says HELLO again */
	SESSION_EV_PULL_SENT,
	SESSION_EV_PULLED,
	SESSION_EV_PULL_DONE, /* what was pulled is all there, and durable */
	SESSION_EV_START_SENT,
	SESSION_EV_READY,

	SESSION_EVENTS
};

/* What the caller does, in this order, once the state is the new one. */
enum session_action {
	/* End the connection, unless it has ended, and forget all that belonged to it. */
	SESSION_DROP = 1u << 0,
	SESSION_KEEP_HELLO = 1u << 1,	/* what the peer has said counts, */
	SESSION_FORGET_HELLO = 1u << 2, /* or not any more */
	SESSION_CLOSE_TRANSPORT = 1u << 3,
	SESSION_SAY_HELLO = 1u << 4,
	SESSION_AWAIT_REST = 1u << 5, /* of the old transport, until the peer's HELLO */
	SESSION_TIME_LOSS = 1u << 6,  /* control_timeout counts from now */
	SESSION_CLOSE_DELAYED = 1u << 7,
	SESSION_SERVE_PULL = 1u << 8,
	SESSION_OUT_OF_TURN = 1u << 9, /* the peer may not say this now: refuse it */
};

struct session_step {
	const char *row; /* its name in the table */
	enum session_state state;
	unsigned actions; /* of enum session_action */
};

/* False when the event cannot happen in this state: a bug of ours. */
bool session_machine_next(enum group_role role, enum session_state state,
			  enum session_event event, struct session_step *ret);

/* "WAITING", ...; "START", ... */
const char *session_state_name(enum session_state state);
const char *session_event_name(enum session_event event);
/* There is a control connection in this state. */
bool session_state_connected(enum session_state state);

#endif
