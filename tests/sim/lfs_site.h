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

struct site {
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
	bool failed; /* events.failed */
	unsigned failed_calls;
	unsigned pending; /* appends without an answer */
	struct site_append *appends;
	struct flush_call *flushes; /* that nobody waits for */
	uint64_t told;		    /* the last LSN whose append has ended well */

	/* what must survive */
	uint64_t flushed; /* LSNs that a flush has covered */
	uint64_t written; /* LSNs whose append has ended well: survive the process */
	uint64_t hashes[SITE_HASHES_MAX]; /* history after each LSN */
	uint64_t incarnation;
	uint64_t huge; /* blocks of one more volume, without an oracle; 0: none */
	bool device;   /* the store is a block device */
	bool full;     /* an append got -ENOSPC */
	bool damaged;  /* the scenario has damaged the store */
	bool starved;  /* allocations fail */
	bool faulty;   /* the disk gives errors */
	char why[LFS_WHY_MAX];
};

/* What is waited for. */
struct site_call {
	bool ended;
	int res;
};
bool site_call_ended(void *arg);

/* Memory for the engine's lent buffers, which outlives a crash of the node. */
void *site_alloc(size_t size);

struct site *site_new(struct sim_world *w);
void site_free(struct site *s);

/* These return false when an armed crash went off in between. */
bool site_create(struct site *s);
/* res and s->why; on success s->lfs. */
bool site_open(struct site *s, int *res);
bool site_close(struct site *s, int *res);
bool site_run(struct site *s, bool (*cond)(void *), void *arg);
bool site_idle(struct site *s, int64_t ns);
bool site_flush(struct site *s, int *res);
/* At most SITE_READ_BLOCKS. */
bool site_read(struct site *s, uint32_t volume, uint64_t lba, uint32_t blocks,
	       uint8_t *buf, int *res);
/* A burst of random appends, flushes and reads, some waited for, some not. */
bool site_burst(struct site *s);
/* Until every append has its answer. */
bool site_drain(struct site *s);
/* A new epoch. */
bool site_epoch(struct site *s, int *res);

/* The whole image is D(lsn) of the last LSN; counts are right; incarnation has risen. */
bool site_check(struct site *s);
/* The log from LSN 1 on is the history that was written. */
bool site_follow(struct site *s);

/* Whatever it gives, to its first error; freed. */
void site_follow_to_end(struct site *s, struct lfs_log_reader *f);

/* After a flush and an idle while, a later record names the last that was flushed. */
void site_check_witness(struct site *s);

/*
 * Behind the last record appears one that fits in everything but the chain: as if another
 * course of events had written it there.
 */
void site_forge_record(struct site *s);
/* A byte of the store, in what counts more often than not. */
uint64_t site_draw_damage(struct site *s);

/* The process is gone: forget what belonged to it. */
void site_gone(struct site *s);

#endif
