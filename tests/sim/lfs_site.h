/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_LFS_SITE_H
#define TESTS_SIM_LFS_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim.h"

/*
 * One store on one simulated node, driven by random work, with an oracle beside it that
 * survives the node's crashes.
 */
#define SITE_STORE "/store"
#define SITE_VOLUMES_MAX 4
#define SITE_BURST_MAX 64
#define SITE_HASHES_MAX 65536
#define SITE_READ_BLOCKS 64u

/* More than a store keeps, and than a crash may take back. */
#define SITE_EVENTS_MAX (4 * LFS_EVENTS)

struct lfs_site_events {
	uint64_t stamps[SITE_EVENTS_MAX]; /* of event n at n % SITE_EVENTS_MAX */
	bool durable[SITE_EVENTS_MAX];	  /* it was, and so must be there */
	uint64_t last;			  /* the newest that was written */
	uint64_t noted;			  /* up to this number `durable` is known */
};

struct lfs_site {
	struct sim_world *w;
	struct sim_rng *rng;
	struct sim_node *node;
	struct sim_disk *disk;
	struct oracle *oracle;
	struct work work;
	struct lfs_meta meta; /* as created */
	uint32_t segment_size;
	uint64_t checkpoint_every, size;

	/* the process, when it is up */
	struct rt_loop *loop;
	struct lfs *lfs;
	bool closing;
	bool failed; /* events.failed */
	unsigned failed_calls;
	unsigned pending; /* appends without an answer */
	struct lfs_site_append *appends;
	struct flush_call *flushes; /* that nobody waits for */
	uint64_t told;		    /* the last LSN whose append has ended well */

	/* what must survive */
	uint64_t flushed; /* LSNs that a flush has covered */
	uint64_t written; /* LSNs whose append has ended well: survive the process */
	uint64_t hashes[SITE_HASHES_MAX]; /* history after each LSN */
	int64_t walls[SITE_HASHES_MAX];	  /* when each LSN was said to be admitted */
	uint64_t bytes[SITE_HASHES_MAX];  /* of data, of all LSNs up to it */
	struct lfs_site_events events;
	uint64_t incarnation;
	unsigned epochs; /* that were durable in its history */
	uint64_t huge; /* blocks of one more volume, without an oracle; 0: none */
	bool device;   /* the store is a block device */
	bool full;     /* an append got -ENOSPC */
	bool damaged;  /* the scenario has damaged the store */
	bool starved;  /* allocations fail */
	bool faulty;   /* the disk gives errors */
	bool one_slot; /* one of the checkpoint slots is damaged */
	char why[LFS_WHY_MAX];
};

/* What is waited for. */
struct lfs_site_call {
	bool ended;
	int res;
};
bool lfs_site_call_ended(void *arg);

/* Memory for the engine's lent buffers, which outlives a crash of the node. */
void *lfs_site_alloc(size_t size);

struct lfs_site *lfs_site_new(struct sim_world *w);
void lfs_site_free(struct lfs_site *s);

/* These return false when an armed crash went off in between. */
bool lfs_site_create(struct lfs_site *s);
/* res and s->why; on success s->lfs. */
bool lfs_site_open(struct lfs_site *s, int *res);
bool lfs_site_close(struct lfs_site *s, int *res);
bool lfs_site_run(struct lfs_site *s, bool (*cond)(void *), void *arg);
bool lfs_site_idle(struct lfs_site *s, int64_t ns);
bool lfs_site_flush(struct lfs_site *s, int *res);
/* At most SITE_READ_BLOCKS. */
bool lfs_site_read(struct lfs_site *s, uint32_t volume, uint64_t lba, uint32_t blocks,
		   uint8_t *buf, int *res);
/* A burst of random appends, flushes and reads, some waited for, some not. */
bool lfs_site_burst(struct lfs_site *s);
/* Until every append has its answer. */
bool lfs_site_drain(struct lfs_site *s);
/* A new epoch. */
bool lfs_site_epoch(struct lfs_site *s, int *res);

/* The whole image is D(lsn) of the last LSN; counts are right; incarnation has risen. */
bool lfs_site_check(struct lfs_site *s);
/* The log from LSN 1 on is the history that was written. */
bool lfs_site_follow(struct lfs_site *s);

/* Whatever it gives, to its first error; freed. */
void lfs_site_follow_to_end(struct lfs_site *s, struct lfs_log_reader *f);

/* Events at random; what is durable is noted; all that was noted is there. */
void lfs_site_events_add(struct lfs_site *s);
void lfs_site_events_note(struct lfs_site *s);
void lfs_site_events_durable(struct lfs_site *s, uint64_t upto);
void lfs_site_events_check(struct lfs_site *s);
bool lfs_site_events_all_taken(struct lfs_site *s);

/* After a flush and an idle while, a later record names the last that was flushed. */
void lfs_site_check_witness(struct lfs_site *s);

/*
 * Behind the last record appears one that fits in everything but the chain: as if another
 * course of events had written it there.
 */
void lfs_site_forge_record(struct lfs_site *s);
/* What is free may be written by anybody: garbage over the segments that are. */
void lfs_site_poison(struct lfs_site *s);
/* Damage the newest checkpoint slot, where the other one is whole: nothing may be lost. */
void lfs_site_damage_slot(struct lfs_site *s);
/* A byte of the store, in what counts more often than not. */
uint64_t lfs_site_draw_damage(struct lfs_site *s);

/* The process is gone: forget what belonged to it. */
void lfs_site_gone(struct lfs_site *s);

#endif
