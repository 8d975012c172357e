/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_PAIR_H
#define TESTS_SIM_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"
#include "tests/sim/clients.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim.h"
#include "tests/sim/site.h"

/*
 * Two sites with one group, for the scenarios: what is configured, a client that keeps
 * requests in flight at the first, and what is known about them.
 */
#define PAIR_REQUESTS 32
#define PAIR_REQUEST_MAX (64u << 10)

struct pair;

/* How far what a site's log shows has been judged (pair_judge.c). */
struct pair_judge {
	uint64_t lsn;
	bool parted; /* it may hold what the primary has lost and the oracle forgotten */
};

struct pair_request {
	struct group_request req;
	struct pair *pair;
	uint8_t *buf;
	uint32_t back; /* bytes of buf that were given back, and hold the pattern */
	bool busy, used;
	bool released;	 /* the buffer, before the reply */
	uint64_t lsn;	 /* that a change was given, by the oracle */
	uint64_t covers; /* a flush: what had been replied to on its volume */
};

/* What completed requests have promised; each is an LSN that must be covered. */
struct pair_promises {
	uint64_t replied[SITE_VOLUMES]; /* any completion */
	uint64_t completed;		/* the highest of these */
	uint64_t flushed;		/* by FLUSH or FUA */
	uint64_t network;		/* while network counted as network */
	uint64_t lowered;		/* while it did not; in network once IN_SYNC */
	uint64_t remote;
};

struct pair {
	struct sim_world *w;
	struct sim_rng *rng;
	struct site site[2]; /* 0 began as primary */
	struct pair_judge judge[2];
	struct oracle *oracle;
	struct work work;
	struct clients clients;
	struct pair_promises promises;
	struct pair_request requests[PAIR_REQUESTS];
	unsigned depth;	   /* of the client */
	bool load;	   /* it submits when something completes */
	uint64_t budget;   /* requests that it still submits */
	bool broken;	   /* a request has failed: the order is not known any more */
	double flush, fua; /* shares of requests */
	double shortage;   /* share of requests at which memory gets short, or enough */
	bool is_short;
	uint64_t done;	       /* requests completed */
	uint64_t epoch_id;     /* of site 0 while it last served */
	uint64_t unreceived;   /* LSN that the mirror had not received, */
	rt_time unreceived_at; /* when a status showed it first */
	double line_loss;
	bool tcp_only; /* since the scenario set it: no change has left TCP */
};

struct pair *pair_new(struct sim_world *w);
/* Stops what still runs, which must leave nothing behind. */
void pair_free(struct pair *p);
/* Create both stores, or one. */
void pair_create(struct pair *p);
void pair_create_site(struct pair *p, unsigned i);
/* Start a site and wait until its store is open. */
void pair_start(struct pair *p, unsigned i);
/* Kill it; the client's requests to it are gone. */
void pair_crash(struct pair *p, unsigned i, enum sim_crash kind);
/* Stop it in order. */
void pair_stop(struct pair *p, unsigned i);
/* Change the line of both sites while they run: code, rate, transport, evidence. */
void pair_change(struct pair *p);
/* Keep `depth` requests in flight at the primary (site 0) from now on, or no new ones. */
void pair_load(struct pair *p, bool on);
bool pair_idle(void *pair); /* no request is in flight */
void pair_status(struct pair *p, unsigned i, struct group_status *ret);
/* A status of site 0, against what the mirror can have said until now (pair_look.c). */
void pair_judge_status(struct pair *p, const struct group_status *status);
enum group_state pair_state(struct pair *p, unsigned i);
/*
 * Read all volumes of a site and find the prefix that they are: an LSN in low .. high.
 * A violation if there is none.
 */
uint64_t pair_image(struct pair *p, unsigned i, uint64_t low, uint64_t high,
		    const char *what);
/* A site has taken an LSN: its image is that of the oracle. */
void pair_judge_taken(struct pair *p, unsigned i, uint64_t lsn);
/* The whole image that the log of a site shows now is that of its last LSN. */
void pair_judge_image(struct pair *p, unsigned i, const char *when);
/* The oracle has forgotten the last LSNs. */
void pair_judge_taken_back(struct pair *p);
/* Site 0 serves again after a crash: what it has, against what was promised. */
void pair_check_reopened(struct pair *p, enum sim_crash kind);
/* Promote site 1 and check its image against what was promised. */
void pair_promote(struct pair *p, bool check_network);
/*
 * Wait for site 0 to say IN_SYNC and for the mirror to persist what has completed, so that
 * the next fault is the only one. A violation if that never comes.
 */
void pair_wait_in_sync(struct pair *p);

#endif
