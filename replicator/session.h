/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_SESSION_H
#define REPLICATOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/catchup.h"
#include "replicator/group_log_reader.h"
#include "replicator/identity.h"
#include "replicator/intake.h"
#include "replicator/log_hash.h"
#include "replicator/message.h"
#include "replicator/newcomer.h"
#include "replicator/pending.h"
#include "replicator/refusal.h"
#include "replicator/session_machine.h"
#include "replicator/switchover.h"
#include "replicator/transport.h"
#include "rt/loop.h"

struct group;
struct group_peer_config;
struct conn;
struct log_sender;
struct transport;
struct tunnel_io;

/*
 * A group's side of replication with its one peer: the control connection that comes back
 * by itself, the hellos and what follows from them, the transport of the connection. All
 * decisions are taken in session_turn(), from group_turn(); messages only leave their
 * content here. Its states are session_machine.h's.
 */

#define SESSION_REDIAL_MIN_MS 100
#define SESSION_HANDSHAKE_MS 10000
#define SESSION_REFUSED_STAYS_MS 500 /* so that the reason arrives */
#define SESSION_PENDING_MAX 32 /* accepted, key not shown yet */
/* So long the kernel keeps a connection that says nothing to itself. */
#define SESSION_SILENT_MS 1000

/* A mirror gives back what it holds, from an LSN on. */
struct session_pull {
	uint64_t from;
	struct group_log_reader *reader; /* owned; NULL until the PULL is served */
	bool reading, at_end;
	uint64_t sent; /* bytes */
};

/* What belongs to one control connection. A new one resets it as a whole. */
struct session_control {
	struct conn *conn;	/* owned; NULL: there is none */
	struct rt_addr address; /* of its other end, */
	struct message_identity identity; /* and who that is */
	bool hello_received;  /* session.peer is what it said; by session_event() only */
	bool goes_on; /* a mirror's: the primary's history goes on from this one */
	struct message_ping last_ping; /* of the peer; flags 0: it serves nobody */
	bool refused_by_peer; /* it leads nowhere: dropped by the next turn */
	bool mirror_was_unpaired; /* the peer is a mirror that has just been paired */
	struct session_pull pull;
	struct log_hash log_hash; /* at the peer's last LSN, where this site holds more */
};

/* What repeats with each connection, as the log has it. */
struct session_logged {
	struct refusal refused, refused_by_peer;
	struct refusal heartbeat; /* of the peer, that is too long */
	rt_time complained;	  /* when a failed connection was last */
};

/* Who this site is on its connections, and who was its peer last. */
struct session_identity {
	uint64_t run;	 /* of this daemon: random, never 0 */
	/* As the peer gave it to this run before the last START, and which run of it; or 0. */
	uint64_t number, giver;
	struct identity_run peer;
	rt_time lost;		  /* when its last connection ended */
	/* The peer has said that this store is not the one, or not the only one. */
	bool refused_us;
	struct group_peer *asked; /* the caller's: a change of the pairing, or NULL */
};

/* The last PING on the control connection. */
struct session_ping {
	uint64_t serial;
	rt_time at;
	double rtt_ms; /* < 0: unknown */
};

struct session_callers {
	uint64_t accepted;  /* connections, in total */
	uint64_t strangers; /* of these, ended without having shown the key */
};

struct session {
	struct group *group;	      /* back */
	enum session_state state;     /* changed by session_event() only */
	struct rt_listener *listener; /* owned; NULL when we dial */
	struct session_control control;
	struct conn *dialing; /* owned; key not shown yet */
	struct pending_place pending[SESSION_PENDING_MAX];
	struct newcomer newcomers[NEWCOMERS_MAX];
	struct session_identity identity;
	struct session_callers callers;
	struct switchover switchover;
	struct rt_timer redial;
	int64_t redial_ms;
	struct rt_timer drain; /* mirror: until then the old tunnel may bring the rest */
	struct intake intake;  /* whether records of the peer are taken */
	rt_time close_at;      /* a refused connection is closed then */
	/* Why the last connection led nowhere, in our words and in the peer's; or "". */
	char refusal[MESSAGE_TEXT_MAX + 1];
	char peer_refusal[MESSAGE_TEXT_MAX + 32];
	struct session_logged logged;

	struct message_hello *peer;  /* owned */
	struct message_start *start; /* owned; sent or received */
	uint8_t *scratch;	     /* owned, MESSAGE_MAX, for encoding */

	struct tunnel_io *io;		   /* owned, for good */
	struct transport *transport;	   /* owned, of one connection */
	struct transport_counters counted; /* of the transports before this one */
	uint64_t guarded;		   /* of this transport, as last logged */
	uint16_t symbol_size; /* primary: what the path carries; 0: all as far as known */
	/* Why the last transport ended by itself; or "". */
	char transport_why[MESSAGE_TEXT_MAX + 1];
	struct log_sender *log_sender; /* owned, primary */
	struct catchup catchup;	       /* of the mirror, as a primary sees it */

	struct session_ping ping;
};

/* 0, or -errno with `why` (GROUP_WHY_MAX): an address in use, out of memory. */
int session_new(struct group *g, char *why, struct session **ret);
void session_free(struct session *s); /* NULL is fine */

/* The one function that changes the state: asserts that the event may happen, and acts. */
void session_event(struct session *s, enum session_event event);
/* Whether a message may be said now: else it is refused, and is no event. */
bool session_takes(const struct session *s, enum session_event event);

void session_turn(struct session *s);
void session_tick(struct session *s);
/* Tell the peer why, and end this connection a little later. */
void session_refuse(struct session *s, const char *why);
/* The connection ends now, unless it has by itself; a new one begins soon. */
void session_drop(struct session *s);
/* The group's peer configuration has changed from `before`. */
void session_change(struct session *s, const struct group_peer_config *before);
/* The peer as its last HELLO names it; `unknown` before that, or without a session. */
const char *session_peer_node(const struct session *s, const char *unknown);
/* Why the last connection, or its transport, led nowhere; or "". */
const char *session_why(const struct session *s);
/* A connection is there and carries writes. */
bool session_streaming(const struct session *s);
/* The path has been proven within `away`, and the mirror persists what it receives. */
bool session_path_serves(const struct session *s);
/* The path is proven now; false without a transport. */
bool session_path_proven(const struct session *s);

/* ---- connections (session_conns.c) ------------------------------------------------------ */

/* Unless the peer dials. */
void session_dial_later(struct session *s);
void session_redial(struct rt_timer *timer);
void session_accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer);

/* ---- the control connection (session.c) -------------------------------------------------- */

/* This is the control connection from now on; the one before is closed. */
void session_connected(struct session *s, struct conn *conn, const struct rt_addr *address,
		       const struct message_identity *identity);
/* The peer's history goes on from the one here: what it says of its log counts. */
void session_goes_on(struct session *s);
/* START is on its way: the next IDENTITY shows the number that the peer has given. */
void session_number_counts(struct session *s);
/* Say PING on the control connection, and which serial it has. */
uint64_t session_say_ping(struct session *s);
/* For status, and for the log where it is news: this site refuses `peer`; or a REFUSE of it. */
void session_say_refused(struct session *s, const char *peer, const char *why);
void session_refused_by_peer(struct session *s, const uint8_t *body, size_t len);
/* All that belonged to the one before goes; NULL: there is none. */
void session_control_reset(struct session *s, struct conn *conn);
void session_message(struct session *s, unsigned type, const uint8_t *body, size_t len);
/* Connections lead nowhere: each would be logged. */
bool session_is_refused(const struct session *s);
/* What was refused is of the past: `why` does not name it any more. */
void session_forget_refusals(struct session *s);

/* ---- the two ends (session_primary.c, session_mirror.c) -------------------------------- */

void primary_turn(struct session *s);
void primary_message(struct session *s, unsigned type, const uint8_t *body, size_t len);
/* The mirror promises to hold what was never sent: its connection and its transport end. */
void primary_false_claim(struct session *s);
/* The peer has shown that its content of the last LSN here is another one. */
void primary_is_parted(struct session *s);
void mirror_is_parted(struct session *s);
/* What the old transport still brings is waited for, until the peer's HELLO. */
void mirror_await_rest(struct session *s);
/* The PULL of control.pull.from begins to be answered. */
void mirror_serve_pull(struct session *s);
void mirror_hello_received(struct session *s);
void mirror_turn(struct session *s);
void mirror_message(struct session *s, unsigned type, const uint8_t *body, size_t len);
/* Everything that arrived whole is in the log and durable. */
bool mirror_is_drained(struct session *s);

/* ---- shared by the two ends --------------------------------------------------------------- */

/* What the peer's HELLO says of epochs. Of this group only; another version says none. */
void session_epochs_seen(struct session *s);
void session_send_number(struct session *s, unsigned type, uint64_t n);
/* A transport as `start` says, keys from this connection. 0 or -errno. */
int session_open_transport(struct session *s, const struct message_start *start);
void session_close_transport(struct session *s);
/* transport_over() says something: end the connection with it. */
void session_transport_over(struct session *s);
extern const struct tunnel_io_events session_io_events;
/*
 * Primary: where the path carries less than is being sent, or more, end this connection;
 * the next one begins with symbols that fit.
 */
void session_fit_path(struct session *s);
/* What START says of the code. */
void session_choose_code(const struct group *g, struct message_start *start);
/* What the model says of the path that is assumed: once, since it takes a while. */
void session_weigh_risk(struct group *g);
/* Log it where the peer's heartbeat does not go with the times here; once. */
void session_check_heartbeat(struct session *s);
/* Records could not be taken: none are for a while, where that may help. */
void session_intake_failed(struct session *s, int err, const char *why);
bool session_intake_open(struct session *s);
/*
 * Whether a peer that holds no more than this site holds the same up to its last LSN; one
 * that holds more looks itself. Where that is not so, or cannot be known, the connection is refused.
 */
enum session_same {
	SESSION_SAME,
	SESSION_SAME_ASKED, /* the log is being read: a later turn knows */
	SESSION_NOT_SAME,   /* one LSN has two contents; the peer is shown it */
	SESSION_SAME_NOT_KNOWN,
};
enum session_same session_compare(struct session *s);
#define SESSION_TWO_CONTENTS "split brain: one LSN has another content at each site"
/* What both sides check of a hello before anything else; a text, or NULL when it fits. */
const char *session_judge_hello(const struct session *s);

#endif
