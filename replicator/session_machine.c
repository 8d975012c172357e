// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/session_machine.h"

#include "rt/check.h"

#define STATE(name) (1u << SESSION_##name)
#define ALL (STATE(STATES) - 1)
#define WITHOUT_CONN                                                                     \
	(STATE(DISCONNECTED) | STATE(DATA_ONLY) | STATE(DRAINING_DISCONNECTED))
#define WITH_CONN (ALL & ~WITHOUT_CONN)
/* States that only a mirror has, and those that only a primary has. */
#define OF_MIRROR                                                                        \
	(STATE(DRAINING) | STATE(DECIDING_START) | STATE(DECIDING_PULL) |                \
	 STATE(UNPAIRED) | STATE(UNPAIRED_DECIDING) | STATE(PAIRING) | STATE(WAITING) |  \
	 STATE(SERVING_PULL) | STATE(START_RECEIVED) | STATE(WRITING_HISTORY))
#define OF_PRIMARY (STATE(PULLING) | STATE(PULLED) | STATE(STARTING))
#define MIRROR_CONN (WITH_CONN & ~OF_PRIMARY)
#define PRIMARY_CONN (WITH_CONN & ~OF_MIRROR)

#define EVENT(name) (1ull << SESSION_EV_##name)
#define LOST (EVENT(CONN_LOST) | EVENT(CONN_LOST_DATA_GOOD))

#define BOTH (GROUP_PRIMARY | GROUP_MIRROR)
#define STAY SESSION_STATES

struct row {
	const char *name;
	unsigned roles;	 /* of enum group_role */
	unsigned from;	 /* states */
	uint64_t events; /* any of these */
	enum session_state to;
	unsigned actions;
};

/* Of the rows that match, the first counts. */
static const struct row rows[] = {
	/*
	 * Connections. A new one replaces whatever there was. A primary closes the
	 * transport and says at once what it holds. A mirror first makes durable what has
	 * arrived, so that the position in its HELLO never falls.
	 */
	{ "connected: the mirror drains", GROUP_MIRROR, ALL, EVENT(CONNECTED),
	  SESSION_DRAINING, SESSION_AWAIT_REST },
	{ "connected: the primary says HELLO", GROUP_PRIMARY, ALL, EVENT(CONNECTED),
	  SESSION_HELLO, SESSION_CLOSE_TRANSPORT | SESSION_SAY_HELLO },
	/*
	 * Writes go on through the transport without the control connection: a broken TCP
	 * connection says nothing about the path of the datagrams. After control_timeout
	 * the primary gives up, and the mirror makes durable what it has.
	 */
	{ "lost while streaming", BOTH, STATE(STREAMING), LOST, SESSION_DATA_ONLY,
	  SESSION_DROP | SESSION_TIME_LOSS },
	{ "lost while draining: the old transport is still the one", BOTH,
	  STATE(DRAINING), EVENT(CONN_LOST_DATA_GOOD), SESSION_DATA_ONLY,
	  SESSION_DROP | SESSION_TIME_LOSS },
	{ "lost while draining: drain on", BOTH, STATE(DRAINING), EVENT(CONN_LOST),
	  SESSION_DRAINING_DISCONNECTED, SESSION_DROP },
	{ "lost before anything was agreed", BOTH, WITH_CONN, LOST, SESSION_DISCONNECTED,
	  SESSION_DROP },
	{ "no connection for control_timeout: the mirror drains", GROUP_MIRROR,
	  STATE(DATA_ONLY), EVENT(CONTROL_TIMEOUT), SESSION_DRAINING_DISCONNECTED, 0 },
	{ "no connection for control_timeout: the primary gives up", GROUP_PRIMARY,
	  STATE(DATA_ONLY), EVENT(CONTROL_TIMEOUT), SESSION_DISCONNECTED,
	  SESSION_CLOSE_TRANSPORT },
	/*
	 * A transport that ended takes the connection with it: the next connection goes on
	 * from what the mirror holds. A mirror drops its connection at once, and takes what
	 * has arrived. One that ended the transport has said why, on the other connection,
	 * which may be a little slower.
	 */
	{ "transport ended: begin again, once the mirror had time to say why",
	  GROUP_PRIMARY, STATE(STARTING) | STATE(STREAMING), EVENT(TRANSPORT_ENDED),
	  SESSION_REFUSED, SESSION_CLOSE_TRANSPORT | SESSION_CLOSE_DELAYED },
	{ "transport ended: the connection is being closed already", GROUP_PRIMARY,
	  STATE(REFUSED), EVENT(TRANSPORT_ENDED), STAY, SESSION_CLOSE_TRANSPORT },
	{ "transport ended: nothing is left", GROUP_PRIMARY, WITHOUT_CONN,
	  EVENT(TRANSPORT_ENDED), SESSION_DISCONNECTED, SESSION_CLOSE_TRANSPORT },
	{ "transport ended: the mirror waits for the next connection", GROUP_MIRROR,
	  STATE(STREAMING), EVENT(TRANSPORT_ENDED), SESSION_DATA_ONLY,
	  SESSION_DROP | SESSION_TIME_LOSS },
	/*
	 * Refusals. The first reason is the one; the connection stays for a moment, so
	 * that the reason arrives.
	 */
	{ "refused already", BOTH, STATE(REFUSED), EVENT(REFUSE), STAY, 0 },
	{ "refused", BOTH, WITH_CONN, EVENT(REFUSE), SESSION_REFUSED,
	  SESSION_CLOSE_DELAYED },
	/* HELLO may be said again; only the first one of a connection was waited for. */
	{ "the peer's HELLO", BOTH, STATE(HELLO), EVENT(PEER_HELLO), SESSION_DECIDING,
	  SESSION_KEEP_HELLO },
	{ "the primary's HELLO to a mirror without a group", GROUP_MIRROR,
	  STATE(UNPAIRED), EVENT(PEER_HELLO), SESSION_UNPAIRED_DECIDING,
	  SESSION_KEEP_HELLO },
	{ "a HELLO that nobody waits for", BOTH, WITH_CONN, EVENT(PEER_HELLO), STAY,
	  SESSION_KEEP_HELLO },
	{ "a HELLO that is not legal: it is refused next", BOTH, WITH_CONN,
	  EVENT(HELLO_BAD), STAY, SESSION_FORGET_HELLO },
	/*
	 * A promotion drops the connection and drains. What it has drained is its own; the
	 * former mirror then meets its peer as a primary. It drops a connection that was made
	 * meanwhile, too.
	 */
	{ "promotion: drain", BOTH, ALL, EVENT(PROMOTE), SESSION_DRAINING_DISCONNECTED,
	  SESSION_DROP },
	{ "promoted", GROUP_PRIMARY, ALL, EVENT(PROMOTED), SESSION_DISCONNECTED,
	  SESSION_DROP },

	/*
	 * The mirror has drained. What could not be applied was refused then; the
	 * connection only waits to be closed.
	 */
	{ "drained without a connection", GROUP_MIRROR, STATE(DRAINING_DISCONNECTED),
	  EVENT(DRAINED) | EVENT(DRAINED_UNPAIRED) | EVENT(DRAINED_BROKEN),
	  SESSION_DISCONNECTED, 0 },
	{ "drained: say HELLO", GROUP_MIRROR, STATE(DRAINING), EVENT(DRAINED),
	  SESSION_HELLO, SESSION_SAY_HELLO },
	{ "drained: say HELLO without a group", GROUP_MIRROR, STATE(DRAINING),
	  EVENT(DRAINED_UNPAIRED), SESSION_UNPAIRED, SESSION_SAY_HELLO },
	{ "drained, but broken", GROUP_MIRROR, STATE(DRAINING), EVENT(DRAINED_BROKEN),
	  SESSION_REFUSED, 0 },
	/*
	 * Frames that are no use: the mirror says so, takes no more, and drains what it
	 * could apply. The transport goes silent, which ends it at the primary.
	 */
	{ "bad frames: drain, once it was said", GROUP_MIRROR, STATE(REFUSED),
	  EVENT(FRAMES_BAD), SESSION_DRAINING, 0 },
	{ "bad frames without a connection: drain", GROUP_MIRROR, WITHOUT_CONN,
	  EVENT(FRAMES_BAD), SESSION_DRAINING_DISCONNECTED, 0 },
	/*
	 * A store without a group joins that of the first primary whose volumes fit, and
	 * then says HELLO again, as what it is from now on. The write may have been begun
	 * on an earlier connection: then it is durable before this one decides.
	 */
	{ "pair", GROUP_MIRROR, STATE(UNPAIRED_DECIDING), EVENT(PAIR), SESSION_PAIRING,
	  0 },
	{ "paired: say HELLO again", GROUP_MIRROR,
	  STATE(PAIRING) | STATE(UNPAIRED_DECIDING), EVENT(PAIRED), SESSION_HELLO,
	  SESSION_SAY_HELLO },
	/*
	 * The mirror's conclusion is that the primary's history contains its own. START
	 * and PULL answer the mirror's HELLO, which the primary may read before the mirror
	 * has come to that conclusion: then they wait for it.
	 */
	{ "agreed: wait for PULL or START", GROUP_MIRROR, STATE(DECIDING), EVENT(AGREED),
	  SESSION_WAITING, 0 },
	{ "agreed: START is here", GROUP_MIRROR, STATE(DECIDING_START), EVENT(AGREED),
	  SESSION_START_RECEIVED, 0 },
	{ "agreed: PULL is here", GROUP_MIRROR, STATE(DECIDING_PULL), EVENT(AGREED),
	  SESSION_SERVING_PULL, SESSION_SERVE_PULL },
	{ "START before the conclusion", GROUP_MIRROR, STATE(DECIDING), EVENT(START),
	  SESSION_DECIDING_START, 0 },
	{ "START", GROUP_MIRROR, STATE(WAITING), EVENT(START), SESSION_START_RECEIVED,
	  0 },
	{ "PULL before the conclusion", GROUP_MIRROR, STATE(DECIDING), EVENT(PULL),
	  SESSION_DECIDING_PULL, 0 },
	{ "PULL", GROUP_MIRROR, STATE(WAITING), EVENT(PULL), SESSION_SERVING_PULL,
	  SESSION_SERVE_PULL },
	{ "PULL is served", GROUP_MIRROR, STATE(SERVING_PULL), EVENT(PULL_SERVED),
	  SESSION_WAITING, 0 },
	{ "START or PULL out of turn", GROUP_MIRROR, MIRROR_CONN,
	  EVENT(START) | EVENT(PULL), STAY, SESSION_OUT_OF_TURN },
	/* READY says that the history is durable; so it is, before the first record. */
	{ "another history: write it", GROUP_MIRROR, STATE(START_RECEIVED),
	  EVENT(WRITE_HISTORY), SESSION_WRITING_HISTORY, 0 },
	{ "follow", GROUP_MIRROR, STATE(START_RECEIVED) | STATE(WRITING_HISTORY),
	  EVENT(FOLLOW), SESSION_STREAMING, 0 },

	/* The primary's conclusions. */
	{ "the mirror has no group yet: wait for its next HELLO", GROUP_PRIMARY,
	  STATE(DECIDING), EVENT(PEER_UNPAIRED), SESSION_HELLO, SESSION_FORGET_HELLO },
	{ "the mirror is ahead: PULL", GROUP_PRIMARY, STATE(DECIDING), EVENT(PULL_SENT),
	  SESSION_PULLING, 0 },
	{ "PULL the next part", GROUP_PRIMARY, STATE(PULLED), EVENT(PULL_SENT),
	  SESSION_PULLING, 0 },
	{ "PULLED", GROUP_PRIMARY, STATE(PULLING) | STATE(PULLED), EVENT(PULLED),
	  SESSION_PULLED, 0 },
	{ "PULLED to nobody", GROUP_PRIMARY, PRIMARY_CONN, EVENT(PULLED), STAY, 0 },
	{ "pulled back: decide again", GROUP_PRIMARY, STATE(PULLED), EVENT(PULL_DONE),
	  SESSION_DECIDING, 0 },
	{ "the mirror is behind: START", GROUP_PRIMARY, STATE(DECIDING),
	  EVENT(START_SENT), SESSION_STARTING, 0 },
	{ "READY", GROUP_PRIMARY, STATE(STARTING), EVENT(READY), SESSION_STREAMING, 0 },
	{ "READY out of turn", GROUP_PRIMARY, PRIMARY_CONN, EVENT(READY), STAY,
	  SESSION_OUT_OF_TURN },
};

bool session_machine_next(enum group_role role, enum session_state state,
			  enum session_event event, struct session_step *ret)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		if (!(row->roles & role) || !(row->from & 1u << state) ||
		    !(row->events & 1ull << event))
			continue;
		*ret = (struct session_step){
			.row = row->name,
			.state = row->to == STAY ? state : row->to,
			.actions = row->actions,
		};
		return true;
	}
	return false;
}

bool session_state_connected(enum session_state state)
{
	return WITH_CONN & 1u << state;
}

static const char *const state_names[] = {
	[SESSION_DISCONNECTED] = "DISCONNECTED",
	[SESSION_DATA_ONLY] = "DATA_ONLY",
	[SESSION_DRAINING_DISCONNECTED] = "DRAINING_DISCONNECTED",
	[SESSION_DRAINING] = "DRAINING",
	[SESSION_HELLO] = "HELLO",
	[SESSION_DECIDING] = "DECIDING",
	[SESSION_STREAMING] = "STREAMING",
	[SESSION_REFUSED] = "REFUSED",
	[SESSION_DECIDING_START] = "DECIDING_START",
	[SESSION_DECIDING_PULL] = "DECIDING_PULL",
	[SESSION_UNPAIRED] = "UNPAIRED",
	[SESSION_UNPAIRED_DECIDING] = "UNPAIRED_DECIDING",
	[SESSION_PAIRING] = "PAIRING",
	[SESSION_WAITING] = "WAITING",
	[SESSION_SERVING_PULL] = "SERVING_PULL",
	[SESSION_START_RECEIVED] = "START_RECEIVED",
	[SESSION_WRITING_HISTORY] = "WRITING_HISTORY",
	[SESSION_PULLING] = "PULLING",
	[SESSION_PULLED] = "PULLED",
	[SESSION_STARTING] = "STARTING",
};
_Static_assert(RT_ARRAY_LEN(state_names) == SESSION_STATES, "a name for each");

static const char *const event_names[] = {
	[SESSION_EV_CONNECTED] = "CONNECTED",
	[SESSION_EV_CONN_LOST] = "CONN_LOST",
	[SESSION_EV_CONN_LOST_DATA_GOOD] = "CONN_LOST_DATA_GOOD",
	[SESSION_EV_CONTROL_TIMEOUT] = "CONTROL_TIMEOUT",
	[SESSION_EV_TRANSPORT_ENDED] = "TRANSPORT_ENDED",
	[SESSION_EV_REFUSE] = "REFUSE",
	[SESSION_EV_PEER_HELLO] = "PEER_HELLO",
	[SESSION_EV_HELLO_BAD] = "HELLO_BAD",
	[SESSION_EV_PROMOTE] = "PROMOTE",
	[SESSION_EV_PROMOTED] = "PROMOTED",
	[SESSION_EV_DRAINED] = "DRAINED",
	[SESSION_EV_DRAINED_UNPAIRED] = "DRAINED_UNPAIRED",
	[SESSION_EV_DRAINED_BROKEN] = "DRAINED_BROKEN",
	[SESSION_EV_FRAMES_BAD] = "FRAMES_BAD",
	[SESSION_EV_PAIR] = "PAIR",
	[SESSION_EV_PAIRED] = "PAIRED",
	[SESSION_EV_AGREED] = "AGREED",
	[SESSION_EV_START] = "START",
	[SESSION_EV_PULL] = "PULL",
	[SESSION_EV_PULL_SERVED] = "PULL_SERVED",
	[SESSION_EV_WRITE_HISTORY] = "WRITE_HISTORY",
	[SESSION_EV_FOLLOW] = "FOLLOW",
	[SESSION_EV_PEER_UNPAIRED] = "PEER_UNPAIRED",
	[SESSION_EV_PULL_SENT] = "PULL_SENT",
	[SESSION_EV_PULLED] = "PULLED",
	[SESSION_EV_PULL_DONE] = "PULL_DONE",
	[SESSION_EV_START_SENT] = "START_SENT",
	[SESSION_EV_READY] = "READY",
};
_Static_assert(RT_ARRAY_LEN(event_names) == SESSION_EVENTS, "a name for each");

const char *session_state_name(enum session_state state)
{
	return state_names[state];
}

const char *session_event_name(enum session_event event)
{
	return event_names[event];
}
