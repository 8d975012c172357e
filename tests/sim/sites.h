/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SITES_H
#define TESTS_SIM_SITES_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "tests/sim/clients.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim.h"
#include "tests/sim/site.h"
#include "tests/sim/tree.h"

/*
 * Several sites of one group, any of which may be written to at any time: a client at each,
 * stores that are copied, put back and started beside each other. What they hold is judged
 * by the tree of histories, at every LSN that any of them takes.
 */
#define SITES_MAX 4
#define SITES_REQUESTS 8
#define SITES_REQUEST_BLOCKS 8

struct sites;
struct sites_side;

struct sites_request {
	struct group_request req;
	struct sites_side *side;
	uint8_t *buf; /* owned */
	bool busy;
	unsigned volume;
	const struct tree_node *covers; /* a flush: what had been replied to */
};

/* What its store must still hold after ... */
struct sites_promise {
	const struct tree_node *kill;  /* the death of its process */
	const struct tree_node *power; /* a power loss */
};

/*
 * What its mirror's store has held for good, and it knows so itself; and what it will know
 * a while after `since`, if it lives.
 */
struct sites_held {
	const struct tree_node *node, *next;
	rt_time since;
	uint64_t run;
};

struct sites_side {
	struct site site;
	struct sites *all;
	uint8_t peer[LFS_ID_LEN]; /* the store that its own streamed with first, or zero */
	const struct tree_node *tip; /* the last LSN that it holds */
	struct sites_promise promise;
	const struct tree_node *replied[SITE_VOLUMES];
	struct sites_held held;
	/* What its mirror has persisted, too; NULL once a store was put back anywhere. */
	const struct tree_node *remote;
	/* What its clients may have in their caches, and the generation that says so. */
	const struct tree_node *cached;
	uint64_t generation;
	uint64_t run;	     /* of the process; each has its own */
	enum sim_crash died; /* how it went down last */
	rt_time started;     /* its process, the last time */
	rt_time wrote;	     /* when it last was one that takes writes, or was about to */
	const struct tree_node
		*taken_away; /* what it held before its store was put back */
	struct sites_request requests[SITES_REQUESTS];
	struct clients clients;
	uint64_t budget; /* requests that its client still makes */
	uint64_t done;	 /* requests completed without an error */
};

struct sites {
	struct sim_world *w;
	struct sim_rng *rng;
	unsigned n;
	struct sites_side side[SITES_MAX];
	struct tree *tree;
	uint64_t blocks[SITE_VOLUMES];
	uint64_t runs, stamps;
	double flush, fua;
};

/* `n` machines: nyc a primary, lon its mirror, the others have no store. */
struct sites *sites_new(struct sim_world *w, unsigned n);
/* Ends what still runs. */
void sites_free(struct sites *a);

/* Side i up, its store judged. */
void sites_start(struct sites *a, unsigned i);
void sites_crash(struct sites *a, unsigned i, enum sim_crash kind);
void sites_stop(struct sites *a, unsigned i);
bool sites_up(const struct sites *a, unsigned i);
/* It takes writes now. */
bool sites_writable(const struct sites *a, unsigned i);
/* Promote it unless a primary lives; so long after the last one it must not be refused. */
void sites_promote(struct sites *a, unsigned i, bool force);
/* Entries of its history. */
unsigned sites_epochs(const struct sites *a, unsigned i);
/* The client of side i makes so many requests from now on, whenever it may write. */
void sites_load(struct sites *a, unsigned i, uint64_t requests);
/* So much time passes; who may write meanwhile does. */
void sites_run_for(struct sites *a, int64_t ns);
bool sites_idle(const struct sites *a, unsigned i);

/* What a store held at some time: its bytes and what they are. */
struct sites_copy {
	struct sim_disk *disk;
	unsigned of; /* the side that it was copied from */
};
/* Somebody says that the peer of side i, which is up, is another store from now on. */
void sites_replace_peer(struct sites *a, unsigned i);
/* The side that side i streams with, or -1. */
int sites_streams_with(const struct sites *a, unsigned i);
/* Copy the store of side i as it is now, also from under a running daemon. */
void sites_copy(struct sites *a, unsigned i, struct sites_copy *ret);
/* A mirror that is down gets a new store, with nothing in it. */
void sites_renew(struct sites *a, unsigned i);
/*
 * Put a copy in place of the store of side i, which is down, and give it the configuration
 * of the site that it was copied from. The store that was there and its promises are gone.
 */
void sites_put(struct sites *a, unsigned i, const struct sites_copy *copy);

#endif
