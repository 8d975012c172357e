/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_OPEN_STORE_H
#define LFS_OPEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/admission.h"
#include "lfs/alive.h"
#include "lfs/checkpoint.h"
#include "lfs/close.h"
#include "lfs/event_log.h"
#include "lfs/figures.h"
#include "lfs/flush.h"
#include "lfs/head.h"
#include "lfs/lfs.h"
#include "lfs/map.h"
#include "lfs/meta.h"
#include "lfs/read.h"
#include "lfs/segment.h"
#include "lfs/superblock.h"
#include "lfs/superblock_writer.h"
#include "rt/loop.h"

/* An open store, as the files of this folder see it, and nobody else. */
struct lfs {
	struct rt_loop *loop; /* borrowed */
	struct rt_file *file; /* owned */
	const struct lfs_events *events;
	void *owner;
	struct lfs_meta meta;
	struct lfs_geometry geo;
	struct lfs_segments segs;
	struct lfs_map map;
	uint64_t map_memory;
	uint64_t incarnation;

	struct lfs_admission admission;
	struct lfs_head head;	  /* the clients': the log */
	struct lfs_head map_head; /* the checkpoints' */
	uint32_t generations;	  /* segments opened by this incarnation */
	struct lfs_flusher flusher;
	struct lfs_superblock_writer superblock;
	struct lfs_checkpoint ck;
	struct lfs_reader reader;
	struct lfs_meta_change meta_change;
	struct lfs_closing closing;
	struct lfs_event_log event_log;
	struct lfs_alive_block alive;
	struct lfs_figures figures;
	unsigned log_readers; /* that are open */

	struct rt_op schedule_op;
	bool scheduled;
	bool advanced; /* tell the owner */
	bool opening;  /* lfs_open() has not ended */
	bool failed;   /* for good */
	char why[LFS_WHY_MAX];
};

/* open_store.c */
void lfs_schedule(struct lfs *lfs); /* come back in the next turn */
void lfs_advance(struct lfs *lfs);  /* after anything ended: go on with everything */
/* The log has failed for good. Only the first reason counts. */
void lfs_fail(struct lfs *lfs, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void lfs_free(struct lfs *lfs);
/* Buffers and limits for a log whose geometry, map and segments are known. -ENOMEM. */
int lfs_prepare(struct lfs *lfs);

#endif
