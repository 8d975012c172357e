/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_PRIVATE_H
#define REPLICATOR_GROUP_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "replicator/apply.h"
#include "replicator/backlog.h"
#include "replicator/facts.h"
#include "replicator/gate.h"
#include "replicator/group.h"
#include "replicator/group_flush.h"
#include "replicator/group_state.h"
#include "replicator/lifecycle.h"
#include "replicator/log_room.h"
#include "replicator/past_event.h"
#include "replicator/peer_watch.h"
#include "replicator/primary_start.h"
#include "replicator/write.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/log.h"
#include "rt/loop.h"

/*
 * A group from inside: its parts, each with a header of its own. They are moved by one
 * function, group_turn(), which runs once per turn of the loop in which somebody called
 * group_wake(): it brings watermarks to the gate, opens it, sends the log, and judges the
 * state.
 */
struct session;

/* Reads of a volume that have failed: for the log (request_say_bad_read()). */
struct group_bad_reads {
	bool logged;
	rt_time logged_at;
	uint64_t others; /* since then */
};

struct group_volume {
	struct group *group; /* back */
	unsigned index;	     /* in lfs_meta.volumes */
	char name[LFS_NAME_MAX];
	uint64_t size;
	enum group_mode sync;
	bool has_policy;
	enum group_disconnect policy;
	uint64_t reads, writes, flushes;
	uint64_t flushes_waiting; /* in the gate */
	uint64_t replied_lsn;	  /* highest LSN that was replied to */
	struct group_bad_reads bad_reads;
};

/* Each of these, and the group's state, is changed by one function: group_set_...(). */
enum group_life {
	GROUP_LIFE_STARTING,
	GROUP_LIFE_SERVING,
	GROUP_LIFE_STOPPING, /* takes no request any more, ends those that it has */
	GROUP_LIFE_STOPPING_UNSERVED, /* the same, before it ever served */
	GROUP_LIFE_CLOSING,	      /* the log: no turn but the last */
};

/* Between the two sites. */
enum group_standing {
	GROUP_STANDING_GOOD,
	GROUP_STANDING_DIVERGED, /* until a connection streams again */
	GROUP_STANDING_FENCED,	 /* until a promotion */
};

/* group_turn(), once per turn of the loop in which somebody woke the group. */
struct group_turn {
	struct rt_op op;
	bool due;
	struct rt_timer tick; /* the heartbeat wakes it, too */
	rt_time ticked;	      /* when it last did */
};

/* What keeps the log open. */
struct group_pending {
	unsigned requests; /* of clients, not replied to */
	unsigned log_readers;
};

/* What the model says of the path that the configuration assumes. */
struct group_risk {
	unsigned repairs; /* m */
	double left;	  /* per disaster, with m repairs; < 0: not known */
};

struct group {
	struct rt_loop *loop; /* borrowed */
	struct group_config config;
	struct group_events events;
	void *owner;
	struct lfs *lfs;	       /* owned */
	struct past_events past_events;
	struct session *session;       /* owned; NULL without a peer */
	struct group_volume volumes[GROUP_VOLUMES_MAX];
	unsigned nvolumes;

	enum group_role role;
	enum group_state state;
	char why[GROUP_WHY_MAX]; /* of the state */
	enum group_life life;
	enum group_standing standing;
	enum group_alone alone;
	int failed; /* 0, or the errno that ended the log */

	struct gate gate;
	struct backlog backlog;
	struct apply apply;
	struct log_room log_room;
	struct writes writes;
	struct peer_watch watch;
	struct facts facts;
	struct primary_start start;
	struct group_flush flush;
	struct group_pending pending;
	struct group_risk risk;
	struct group_turn turn;
	struct group_ending ending;
	struct group_promote *promote; /* the caller's, while it is under way */
};

/* The log makes a checkpoint at least this often while anything changes. */
#define CHECKPOINT_MS 60000

/* ---- group.c ------------------------------------------------------------------------ */

void group_tick(struct rt_timer *timer);
void group_log_advanced(void *owner);
void group_log_failed(void *owner, int err, const char *why);

/* lfs_append() has refused an operation for good, with `err`. */
void group_log_refused(struct group *g, int err);

void group_wake(struct group *g);
/* One line to the log, "event key=value ...", and into the store for `wanmirror events`. */
void group_event(struct group *g, enum rt_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void group_set_life(struct group *g, enum group_life life);
void group_set_standing(struct group *g, enum group_standing standing);
void group_set_alone(struct group *g, enum group_alone alone);
void group_set_state(struct group *g, enum group_state state);
void group_set_why(struct group *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* An epoch that holds LSNs has gone from the history. */
void group_say_history_full(struct group *g);
/* Give each volume the number that the store has for its name. */
void group_number_volumes(struct group *g);
static inline bool group_is_stopping(const struct group *g)
{
	return g->life != GROUP_LIFE_STARTING && g->life != GROUP_LIFE_SERVING;
}

static inline bool group_is_fenced(const struct group *g)
{
	return g->standing == GROUP_STANDING_FENCED;
}

/* Its promotion is being undone: nothing may be written any more. */
static inline bool group_is_undoing(const struct group *g)
{
	return g->promote && g->promote->undo;
}

/* A primary that takes writes, as far as the two sites are concerned. */
static inline bool group_is_writable(const struct group *g)
{
	return g->role == GROUP_PRIMARY && group_serving(g) && !group_is_fenced(g) &&
	       !(g->lfs && (lfs_meta(g->lfs)->flags & LFS_SEALED));
}

/* A connection streams: what the two sites held against each other is over. */
void group_is_agreed(struct group *g);
/* A primary that starts may serve from now on. */
void group_begin_serving(struct group *g);

#endif
