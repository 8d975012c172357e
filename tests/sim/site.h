/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SITE_H
#define TESTS_SIM_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"
#include "tests/sim/sim.h"

/*
 * One site of a group, with the whole engine: its machine, the process on it, and what its
 * log shows. Scenarios of two sites (pair.h) are made of these.
 */
#define SITE_STORE "/store"
#define SITE_VOLUMES 3
#define SITE_PORT 7700
#define SITE_WAIT_NS (120 * RT_S) /* longer hangs */

struct lfs;
struct lfs_append;
struct site;

/* What a scenario hears of its sites. Each may be NULL. */
struct site_watch {
	/* The process is up, and its image has been looked at. */
	void (*opened)(struct site *s);
	void (*logged)(struct site *s, struct group *group, const char *line);
	/* Its log has taken an LSN, and the image has followed. No number may be drawn. */
	void (*taken)(struct site *s, struct lfs *lfs, const struct lfs_append *a);
};

/*
 * The blocks that its log shows: the stamp of each, and the digest of all of them (oracle.h).
 * It is looked at directly: no time passes and no number is drawn, so that a run is the
 * same run with it.
 */
struct site_image {
	uint64_t *stamps[SITE_VOLUMES]; /* owned */
	uint64_t digest;
};

struct site {
	struct sim_world *w;
	struct sim_node *node;
	struct group_config config;
	struct group *group; /* NULL when down */
	bool serving, opened, stopped;
	int open_res;
	struct group_open *open;       /* owned */
	struct group_stop *stop;       /* owned */
	struct group_promote *promote; /* owned */
	bool promoted;
	struct group_peer *peer; /* owned */
	bool peer_changed;
	int promote_res;
	uint64_t sent_bytes; /* as the status last said, since the start */
	unsigned refusals;   /* lines in its log, by either site */
	struct site_image image;
	const struct site_watch *watch;
	void *owner;
	struct site *next; /* of this world */
};

/*
 * What all scenarios have in common: volumes alpha, beta and gamma of so many blocks in the
 * three modes, a store that holds them, times as by default.
 */
void site_configure(struct group_config *c, const uint64_t blocks[SITE_VOLUMES]);
/* A machine of that name; `config` is the caller's to fill in before site_create(). */
void site_init(struct site *s, struct sim_world *w, const char *name,
	       const struct site_watch *watch, void *owner);
/* After its volumes have their sizes. */
void site_image_begin(struct site *s);
/* Of a site whose process is down, or was never started. */
void site_end(struct site *s);

/* Make its store. */
void site_create(struct site *s);
/* Start the process and wait until the store is open. False when it has crashed instead. */
bool site_start(struct site *s);
/* What the harness has of the process is gone; it is killed if it still lives. */
void site_crash(struct site *s, enum sim_crash kind);
/* Ask it to stop, and wait until the group is gone. Then the process may exit. */
void site_stop(struct site *s);
void site_exit(struct site *s);
/* Promote, and wait for the end: 0 or -errno; s->promote->text says more. */
int site_promote(struct site *s, bool force);
/* What `wanmirror promote --undo` does. */
int site_undo(struct site *s);
/* What `wanmirror peer` does, to its end: 0 or -errno. */
int site_change_peer(struct site *s, enum group_peer_change change);
/* Counters only grow, and nothing is held without a reason. */
void site_status(struct site *s, struct group_status *ret);

/* Read a whole volume as a client would, and add its blocks to *digest. */
void site_read_volume(struct site *s, unsigned v, uint64_t *digest);
/* Look at the whole image that the log shows now. */
void site_look(struct site *s);
/* No request is under way: nothing is counted as if one were. */
void site_at_rest(struct site *s);

#endif
