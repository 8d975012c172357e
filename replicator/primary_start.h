/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PRIMARY_START_H
#define REPLICATOR_PRIMARY_START_H

#include <stdbool.h>

#include "lfs/lfs.h"
#include "replicator/group.h"
#include "rt/time.h"

/*
 * What a primary does between recovery and its first request: ask the mirror, take back
 * what only the mirror has, make a new epoch durable if the last stop was unclean.
 */
enum primary_phase {
	PRIMARY_ASKING,	 /* asks the mirror what it has */
	PRIMARY_PULLING, /* takes back what it lost */
	PRIMARY_EPOCH,	 /* makes the new epoch durable */
	PRIMARY_RUNNING, /* for good; and a mirror, at once */
};

/* The setting that forbids to open without the mirror; of several, the first here. */
enum primary_bound {
	PRIMARY_NOT_BOUND,
	PRIMARY_BOUND_SEALED,	     /* it has handed over, and the other has not said */
	PRIMARY_BOUND_FUA,	     /* fua is remote */
	PRIMARY_BOUND_POLICY,	     /* on_disconnect is hold, */
	PRIMARY_BOUND_VOLUME_POLICY, /* or that of a volume is */
	PRIMARY_BOUND_VOLUME_MODE,   /* sync of a volume is remote */
	/* The machine or the daemon was down: the mirror may have been promoted. */
	PRIMARY_BOUND_COLD,
};

struct primary_start {
	enum primary_phase phase;
	bool was_clean;	  /* the last stop was in order */
	bool cold;	  /* this store has not served lately, on this boot */
	bool answered;	  /* the peer's history is a part of ours */
	bool person_opens; /* a person says that it may open without its mirror */
	rt_time deadline; /* the mirror may answer until then */
	bool wait_logged; /* that it waits, in this state */
	enum group_state wait_state;
	uint64_t next_id; /* of the epoch that it will begin; 0: not drawn yet */
};

/*
 * The epoch that it will begin. Its HELLO says it, so that a mirror which is promoted before
 * it hears of that epoch in START has superseded it all the same.
 */
void primary_start_next_epoch(struct group *g, uint64_t *number, uint64_t *id);

/*
 * A store that has served until PRIMARY_WARM_MS ago, on a machine that has not booted since:
 * so soon nobody has promoted its mirror. `alive` is the last sign of life that it left.
 */
#define PRIMARY_WARM_MS 5000
bool primary_start_is_warm(const struct lfs_alive *alive, const struct lfs_alive *now);
/* The store is open: how long it has not served. */
void primary_start_begin(struct group *g, const struct lfs_recovery *recovery);
/* It serves: leave a sign of life. */
void primary_start_leave_alive(struct group *g);
/* The peer is not a mirror that fits, and our history contains its own: nobody is newer. */
void primary_start_answered(struct group *g);

/* The mirror stands behind us or where we are: go on to the epoch, then serve. */
void primary_start_mirror_fits(struct group *g);
void primary_start_pulling(struct group *g);
/* All that the mirror had is here, and durable: ask it again. */
void primary_start_pulled(struct group *g);
/* The connection broke: what was pulled stays, the rest is asked for again. */
void primary_start_conn_lost(struct group *g);
/* The mirror has open_timeout again, from now on. */
void primary_start_set_deadline(struct group *g);
/* What fenced this site was undone: it asks its mirror as at a start. */
void primary_start_unfenced(struct group *g);
/* Nothing is left to be done before it serves. */
void primary_start_over(struct group *g);
/* Open without the mirror if that is due and allowed. */
void primary_start_turn(struct group *g);
enum primary_bound primary_start_bound(const struct group *g);
/*
 * A person has forgotten the peer, and no store is taken for it: nobody can answer. Not where
 * the other site has refused this store in this run: who asks has to see to that one first.
 */
bool primary_start_has_nobody(const struct group *g);
/* After the state was judged: log for what it waits, once in each state. */
void primary_start_say(struct group *g);

#endif
