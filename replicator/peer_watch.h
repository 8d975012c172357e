/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PEER_WATCH_H
#define REPLICATOR_PEER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * What is known of the peer's life: when its path was last proven, whether it has timed
 * out, caught up, is in sync; and, at a mirror, when the primary was last received. Pure:
 * events in, queries out, time is an argument. Nobody else touches the fields.
 *
 * A mirror has timed out when its path was last proven the group's `away` ago, whatever
 * became of the connection since; or when `persisted` has stood still for as long, with data
 * received. So a dead mirror stalls writes for one `away`.
 */
enum peer_watch_level {
	PEER_WATCH_CATCHING_UP, /* has not timed out; may lack older operations */
	PEER_WATCH_TIMED_OUT,	/* until it has caught up again */
	/* It has received what was admitted when the path began to serve: modes count. */
	PEER_WATCH_CAUGHT_UP,
	/* And what completed until then has left this site, too. */
	PEER_WATCH_IN_SYNC,
};

/* How far the log of a primary that serves goes. */
enum peer_watch_knowledge {
	PEER_WATCH_NOT_REPORTED, /* since this daemon's start */
	PEER_WATCH_REPORTED,
	PEER_WATCH_PARTED, /* the two histories have: LSNs of both cannot be compared */
};

struct peer_watch_position {
	enum peer_watch_knowledge knowledge;
	uint64_t lsn, bytes; /* admitted, and the data of all LSNs up to it */
	rt_time at;
};

struct peer_watch {
	/* The mirror, as its primary sees it. */
	enum peer_watch_level level; /* changed by watch_set_level() only */
	bool interrupted;	     /* the path did not serve in the last turn */
	rt_time path_proven; /* last; before any proof: the first turn, or RT_NEVER */
	bool proven_once;
	rt_time path_tried;	   /* the connection began to stream, */
	bool on_trial;		   /* and its path has not been proven yet */
	uint64_t caught_up_target; /* LSN received for CAUGHT_UP, */
	uint64_t in_sync_target;   /* and LSN on the wire for IN_SYNC */
	uint64_t persisted;	   /* as last seen to move, */
	rt_time persisted_moved;   /* or to have no reason to */
	uint64_t received_most; /* over all connections since the mirror lost any data */
	bool refused; /* a connection was, or ended by the mirror, since `persisted` last moved */
	rt_time mirror_refused; /* when the mirror last said why it refuses */

	/* The primary, as its mirror sees it. */
	rt_time primary_rx;	/* last received, whatever it does, */
	rt_time primary_served; /* and as one that serves */
	rt_time awake;		/* since when this daemon would have received it */
	struct peer_watch_position position; /* of the primary, as it last said it */

	rt_time control_lost; /* when the control connection was, last */
	uint64_t epoch_seen;  /* highest number that the peer has named */
	/* The epoch that the primary was about to begin when it last opened; 0, 0: none. */
	uint64_t announced_number, announced_id;
};

void peer_watch_init(struct peer_watch *w);

/* ---- events ---------------------------------------------------------------------------- */

/*
 * READY was received: the path begins to be tried; `admitted` is the end of the log. Until
 * the path is proven the mirror is not CAUGHT_UP, and its time goes on.
 */
void peer_watch_streaming(struct peer_watch *w, uint64_t admitted, rt_time now);
void peer_watch_path_proven(struct peer_watch *w, rt_time now);
/* What was under way is under way no more. */
void peer_watch_transport_closed(struct peer_watch *w);
/* A connection was refused by either site, or ended by the mirror. */
void peer_watch_refused(struct peer_watch *w);
/* The mirror has said why: it lives, whatever became of the path of the data. */
void peer_watch_mirror_refused(struct peer_watch *w, rt_time now);
/* An epoch of this group; none that begins here has its number or a lower one. */
void peer_watch_epoch_seen(struct peer_watch *w, uint64_t number);
/* With id 0 nothing is announced: the epoch that was announced before is kept. */
void peer_watch_epoch_announced(struct peer_watch *w, uint64_t number, uint64_t id);
/* Another mirror, or one that lost data: what an earlier one received says nothing. */
void peer_watch_mirror_lost_data(struct peer_watch *w);
/* This site serves without its mirror, or with a backlog for it. */
void peer_watch_opened_alone(struct peer_watch *w);
void peer_watch_promoted(struct peer_watch *w, rt_time now);
/* This site is the primary now, and its mirror has all that is here. */
void peer_watch_switched(struct peer_watch *w, rt_time now);
void peer_watch_control_lost(struct peer_watch *w, rt_time now);
/* `serves`: it takes writes. One that is fenced, or waits to open, replaces nobody. */
void peer_watch_primary_rx(struct peer_watch *w, bool serves, rt_time now);
/* This daemon has started, or was stopped until now: a silence before that says nothing. */
void peer_watch_awake(struct peer_watch *w, rt_time now);
/* What a primary that serves has admitted, in a history that goes on from the one here. */
void peer_watch_primary_position(struct peer_watch *w, uint64_t lsn, uint64_t bytes,
				 rt_time now);
void peer_watch_parted(struct peer_watch *w);

/* What a primary knows in a turn. */
struct peer_watch_input {
	rt_time now;
	int64_t timeout_ns; /* `away` */
	bool streaming;	    /* a transport carries writes */
	uint64_t admitted;
	uint64_t persisted, received, onwire;
};

#define PEER_WATCH_NEWS_TIMED_OUT 1u
#define PEER_WATCH_NEWS_IN_SYNC 2u

/* Once in each turn. Returns what has become true in it: PEER_WATCH_NEWS_... */
unsigned peer_watch_turn(struct peer_watch *w, const struct peer_watch_input *input);

/* ---- queries --------------------------------------------------------------------------- */

/* The path is proven, and what the mirror receives it persists. */
bool peer_watch_serves(const struct peer_watch *w, bool streaming, int64_t timeout_ns,
		       rt_time now);
/* It has timed out, and nothing shows yet that this connection's path is any better. */
bool peer_watch_is_tried(const struct peer_watch *w);
/*
 * The mirror has persisted nothing of what it received for `timeout_ns`. Its `received` is not
 * counted then.
 */
bool peer_watch_stuck(const struct peer_watch *w, int64_t timeout_ns, rt_time now);
/*
 * The same, and the path lives: so the mirror's disk is what stands still. A mirror that died
 * with data received that it had not persisted is no such case, as its path fell silent then.
 */
bool peer_watch_persists_nothing(const struct peer_watch *w, int64_t timeout_ns,
				 rt_time now);
/* The same of a mirror that says lately that it refuses what it is sent. */
bool peer_watch_refuses(const struct peer_watch *w, int64_t timeout_ns, rt_time now);
bool peer_watch_timed_out(const struct peer_watch *w);
bool peer_watch_caught_up(const struct peer_watch *w);
bool peer_watch_in_sync(const struct peer_watch *w);
/* Since the path was last proven, or began to be tried. */
int64_t peer_watch_unproven_ns(const struct peer_watch *w, rt_time now);
/* Since the path was last proven, over any transport; < 0 if it never was. */
int64_t peer_watch_mirror_silence_ns(const struct peer_watch *w, rt_time now);
int64_t peer_watch_control_lost_ns(const struct peer_watch *w, rt_time now);
/* Since the primary was last received; very long when it never was. */
int64_t peer_watch_primary_silence_ns(const struct peer_watch *w, rt_time now);
/* The same of a primary that serves. */
int64_t peer_watch_primary_served_ns(const struct peer_watch *w, rt_time now);
/* It was received, serving, since this daemon has started, or was last stopped. */
bool peer_watch_primary_is_back(const struct peer_watch *w);
/*
 * How long it must still be waited for until the primary may be taken for gone; <= 0: it
 * may. `silence_ns` after it was last received as one that serves; and where it was not
 * since this daemon is awake, so long and `redial_ns` after that, as it may be on its way
 * back.
 */
int64_t peer_watch_primary_wait_ns(const struct peer_watch *w, int64_t silence_ns,
				   int64_t redial_ns, rt_time now);
const struct peer_watch_position *peer_watch_primary_says(const struct peer_watch *w);
/* How many operations the primary is known to hold beyond `lsn`. */
uint64_t peer_watch_primary_lead(const struct peer_watch *w, uint64_t lsn);

#endif
