/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_FLUSH_H
#define LFS_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "lfs/wait.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;
struct lfs_inflight;

struct lfs_flusher {
	uint64_t durable_seq;	  /* what a flush has covered, */
	struct lfs_image durable; /* and up to which LSN that is */
	struct rt_op op;
	bool busy;
	uint64_t seq;		/* written when it was submitted, */
	struct lfs_image image; /* as an LSN */
	struct rt_list now;	/* lfs_wait: the flush under way is for them */
	struct rt_list next;	/* for the one after it */
	struct rt_list ready;	/* nothing to be done: ended in the next turn */
	struct rt_timer marker; /* of an idle flush */
	struct lfs_wait marker_wait;
	bool marker_wanted;
	bool seal_is_marker; /* a seal under way names the last record: flush it */
	bool marker_waiting;
	uint64_t applied_named; /* highest durable_seq in a written record */
	uint64_t named;		/* the same when the last flush ended */
	uint64_t real;		/* last record that is not a durability marker */
};

void lfs_flush_init(struct lfs *lfs);
void lfs_flush_wait(struct lfs *lfs, struct lfs_wait *w); /* a flush from now on */
void lfs_flush_advance(struct lfs *lfs);
void lfs_flush_marker(struct lfs *lfs); /* build the durability marker that is wanted */
/* A record that names `durable_seq` is written. */
void lfs_flush_written(struct lfs *lfs, const struct lfs_inflight *f);
bool lfs_flush_idle(const struct lfs *lfs);
void lfs_flush_stop(struct lfs *lfs);

#endif
