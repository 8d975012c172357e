/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_HEAD_H
#define LFS_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lfs/log_record.h"
#include "lfs/tail.h"
#include "rt/list.h"
#include "rt/loop.h"

struct lfs;
struct lfs_head;

/* A record from being built until it is in the map. */
struct lfs_inflight {
	struct lfs_head *head; /* that it belongs to */
	struct rt_op op;
	bool busy;    /* built, and not applied yet */
	bool early;   /* MAP_IN_COMPLETION_ORDER has been at it */
	bool written; /* its write has ended */
	enum lfs_record_kind kind;
	struct lfs_tail after; /* the log behind it */
	uint32_t segment;
	uint32_t pba;	  /* of its first block of data */
	uint32_t nblocks; /* of data */
	uint32_t ndescs;
	uint64_t durable_seq; /* that it names */
	struct rt_list appends;
	struct rt_list in_map; /* of them, those in the map; ended with the record */
	/* apply: how far, when an unmap is cut up */
	unsigned op_done;
	uint64_t op_blocks_done;
	/* memory: a segment header, then the head area */
	uint8_t *area;
	struct iovec *iov;
	unsigned niov, iov_at;
	uint64_t off, left;
	uint8_t *summary; /* of a seal; goes back to `spare` when it is written */
};

/*
 * Where segments of one kind grow: the open one and the records on their way into it. What
 * is built has its place, what is applied is written and in the map: built >= applied. Of
 * the clients' head that is the log.
 */
struct lfs_head {
	struct lfs *lfs; /* borrowed */
	enum lfs_head_kind kind;
	struct lfs_tail built, applied;
	uint32_t next;	      /* the segment after built.segment, reserved */
	uint32_t seal_blocks; /* of a seal, its head area included */
	struct lfs_inflight inflight[LFS_RECORDS_IN_FLIGHT]; /* a ring */
	unsigned first, ninflight;
	uint8_t *summary; /* owned: of the open segment */
	uint8_t *spare
		[LFS_RECORDS_IN_FLIGHT]; /* owned: of segments that are being sealed */
	unsigned nspare;
};

/* Memory for all of it. -ENOMEM. */
int lfs_head_init(struct lfs_head *head, struct lfs *lfs, enum lfs_head_kind kind);
void lfs_head_release(struct lfs_head *head);

/* Blocks of a record that still fit into the open segment, its seal aside. */
uint32_t lfs_inflight_room(const struct lfs_head *head);
/*
 * An in-flight record to fill, with room for `need` blocks at head.built; the segment
 * before it is sealed if need be. NULL: all are in flight, or the log has failed.
 */
struct lfs_inflight *lfs_inflight_get(struct lfs_head *head, enum lfs_record_kind kind,
				      uint32_t need);
/* Where its descriptors and checksums go. */
static inline uint8_t *lfs_inflight_area(struct lfs_inflight *f)
{
	return f->area + LFS_BLOCK;
}
/* Data behind the head area: lent until it is applied. */
void lfs_inflight_data(struct lfs_inflight *f, const void *data, size_t len);
/*
 * Complete the head and send the record: f->ndescs and f->nblocks are set, descriptors
 * and checksums in the area, data added. `last` is its last append; NULL: it holds no LSN.
 */
void lfs_inflight_submit(struct lfs_inflight *f, const struct lfs_append *last);
/* Enter into the segment summary what a block of the open segment holds. */
void lfs_head_note_block(struct lfs_head *head, uint32_t pba,
			 const struct lfs_summary_item *item);
static inline struct lfs_inflight *lfs_inflight_front(struct lfs_head *head)
{
	return &head->inflight[head->first];
}
/* The front of the ring leaves it. */
void lfs_inflight_pop(struct lfs_head *head);

/* map_apply.c: written records, those of each head in order, into the map */
/* No record of the log is in the map in part. */
bool lfs_apply_is_between(const struct lfs *lfs);
/* A leaf that was frozen has been captured. */
void lfs_apply_resume(struct lfs *lfs);
void lfs_apply(struct lfs *lfs);

#endif
