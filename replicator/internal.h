/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_INTERNAL_H
#define REPLICATOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "replicator/apply.h"
#include "replicator/exposure.h"
#include "replicator/gate.h"
#include "replicator/group.h"
#include "replicator/peer_watch.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/log.h"
#include "rt/loop.h"

/*
 * What the files of replicator/ share. A group's parts are moved by one function,
 * group_turn(), which runs once per turn of the loop in which somebody called
 * group_wake(): it brings watermarks to the gate, opens it, ships, and looks at the state.
 */
struct session;

struct group_volume {
	struct group *group; /* back */
	unsigned index;	     /* in lfs_meta.volumes */
	char name[LFS_NAME_MAX];
	uint64_t size;
	enum group_mode sync;
	bool has_policy;
	enum group_disconnect policy;
	uint64_t reads, writes, flushes;
	uint64_t replied_lsn; /* highest LSN that was replied to */
};

/* How far an opening primary is (RUNNING for good at all others). */
enum group_phase {
	PHASE_ASKING,  /* asks the mirror what it has */
	PHASE_PULLING, /* takes back what it lost */
	PHASE_EPOCH,   /* makes the new epoch durable */
	PHASE_RUNNING,
};

struct group {
	struct rt_loop *loop; /* borrowed */
	struct group_config config;
	struct group_events events;
	void *owner;
	struct lfs *lfs;	 /* owned */
	struct session *session; /* owned; NULL without a peer */
	struct group_volume volumes[GROUP_VOLUMES_MAX];
	unsigned nvolumes;

	enum group_role role;
	enum group_state state;
	enum group_phase phase;
	char why[GROUP_WHY_MAX]; /* of the state */
	bool serving, stopping;
	bool was_clean;	  /* the last stop was in order */
	unsigned repairs; /* m, for the line that is assumed */
	double risk;	  /* that m repairs leave, per disaster; < 0: not known */
	bool fenced, diverged, alone, hold_alone;
	int failed; /* 0, or the errno that ended the log */

	struct gate gate;
	struct exposure exposure;
	struct apply apply;
	struct rt_list waiting;	 /* struct write: not admitted yet, in order */
	struct rt_list holds;	 /* struct write: reads its edges, or has read them */
	struct rt_list inflight; /* struct write: admitted and not replied to, by LSN */
	bool log_held;		 /* the log said -EAGAIN and has not moved since */
	unsigned outstanding;	 /* client requests not replied to */
	unsigned reading;	 /* followers that read the log */

	struct rt_op turn_op; /* group_turn() is due */
	bool turn_due;
	struct lfs_flush flush;
	bool flushing;
	uint64_t flush_target; /* written when it was submitted */
	struct lfs_set_meta set_meta;
	bool setting;
	void (*set_done)(struct group *g, int res);
	struct lfs_meta *meta_next; /* owned scratch for set_meta */
	struct rt_timer tick;

	struct peer_watch watch;
	rt_time open_deadline;

	struct group_stop *stop;
	rt_time stop_deadline;
	struct rt_timer stop_timer;
	bool closing; /* the log is being closed: no turn but the last */
	struct lfs_close close;
	int close_res;
	struct group_open *open; /* while an open that failed closes the store */
	int open_err;
	struct lfs_events *log_events; /* owned; lent to the log */
	struct group_promote *promote;
};

/* The log makes a checkpoint at least this often while anything changes. */
#define CHECKPOINT_MS 60000

/* ---- group.c ------------------------------------------------------------------------ */

void group_tick(struct rt_timer *timer);
void group_log_advanced(void *owner);
void group_log_failed(void *owner, int err, const char *why);

void group_wake(struct group *g);
/* One line to the log, "event key=value ...". */
void group_say(struct group *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void group_set_state(struct group *g, enum group_state state);
void group_set_why(struct group *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Make `g->meta_next` (filled by the caller from lfs_meta) durable, then call `done`. One
 * at a time; group_can_set() says whether it is free.
 */
void group_set_meta(struct group *g, void (*done)(struct group *g, int res));
bool group_can_set(const struct group *g);
struct lfs_meta *group_edit_meta(struct group *g); /* a fresh copy to be edited */
/* Bring the volumes' numbers in line with the store's, by name. */
void group_number_volumes(struct group *g);
/* An opening primary may serve from now on. */
void group_begin_serving(struct group *g);

/* ---- lifecycle.c ---------------------------------------------------------------------- */

void stopping_turn(struct group *g);
void closing_turn(struct group *g);

/* ---- opening.c: what a primary does before it serves ---------------------------------- */

/* The mirror stands behind us or where we are: go on to the epoch, then serve. */
void opening_mirror_fits(struct group *g);
void opening_pulling(struct group *g);
/* The connection broke: what was pulled stays, the rest is asked for again. */
void opening_link_gone(struct group *g);
/* The mirror has open_timeout again, from now on. */
void opening_has_time(struct group *g);
/* Open without the mirror if that is due and allowed. */
void opening_turn(struct group *g);
bool opening_waits_for_mirror(const struct group *g);

/* ---- write.c, request.c ------------------------------------------------------------------ */

struct write;
/* A request that is to be written in one or several LSNs. */
void write_submit(struct group_request *r);
/* The log has moved, or a hold is gone: admit what waits. */
void write_retry(struct group *g);
/* Fail everything that waits or is in the gate. */
void write_fail_waiting(struct group *g, int err);
/* The admitted write with this LSN whose memory is still here, or NULL. */
struct write *write_find(struct group *g, uint64_t lsn);
struct write *write_after(struct group *g, struct write *w);
struct record;
void write_record(const struct write *w, struct record *ret);
/* Part of a request is over: the last one replies. */
void request_part_done(struct group_request *r, int res, uint64_t lsn);

/* ---- policy.c: what an absent mirror means, and the state that people see ------------------ */

void policy_turn(struct group *g);
/* The level at which the group's own mode counts now. */
enum group_mode policy_effective(const struct group *g);
/* Why it holds requests; "" in another state. */
const char *policy_why(const struct group *g);

/* ---- promote.c ------------------------------------------------------------------------------ */

/* Moves a promotion on, if there is one. */
void promote_turn(struct group *g);

#endif
