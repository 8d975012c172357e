/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_STATE_H
#define LFS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "lfs/format.h"
#include "lfs/lfs.h"
#include "lfs/map.h"
#include "lfs/record.h"
#include "lfs/segment.h"
#include "lfs/super.h"
#include "rt/list.h"
#include "rt/loop.h"

/* What is inside a struct lfs: shared by the files of this folder and nobody else. */

/* A place in the log and everything that the next record there builds on. */
struct lfs_tail {
	uint32_t segment;    /* LFS_SEGMENT_NONE: the store is used up */
	uint32_t block;	     /* where the next record goes; 0: the header comes first */
	uint64_t generation; /* of the youngest segment opened so far */
	uint64_t seq;	     /* of the last record */
	uint64_t lsn, hash, epoch, epoch_id; /* of the last LSN */
	uint32_t chain;			     /* prev_crc of what comes next */
};

/* Someone who waits for a flush or a checkpoint. `done` may free it. */
struct lfs_wait {
	struct rt_list link;
	void (*done)(struct lfs_wait *w, int res);
};

/* ---- overlay (overlay.c): what is admitted and not in the map yet ----------------------- */

struct lfs_overlay_block {
	struct lfs_overlay_block *next; /* in its bucket, youngest first */
	const uint8_t *data;		/* lent by the append */
	uint64_t order;			/* LSN << 8 | operation: what is younger */
	uint64_t lba;
	uint32_t volume;
	uint32_t crc;
};

struct lfs_overlay {
	struct lfs_overlay_block *blocks; /* owned: all there are */
	struct lfs_overlay_block *free;
	struct lfs_overlay_block **buckets; /* owned */
	uint32_t mask;			    /* buckets - 1 */
	uint32_t unused;		    /* in `free` */
	struct rt_list unmaps;		    /* appends with zero or trim, oldest first */
};

enum lfs_seen { LFS_SEEN_NOT, LFS_SEEN_ZERO, LFS_SEEN_DATA };

int lfs_overlay_init(struct lfs_overlay *o, uint32_t blocks);
void lfs_overlay_release(struct lfs_overlay *o);
/* There must be room for the blocks of data (o->unused). */
void lfs_overlay_add(struct lfs_overlay *o, struct lfs_append *a);
void lfs_overlay_remove(struct lfs_overlay *o, struct lfs_append *a);
enum lfs_seen lfs_overlay_get(const struct lfs_overlay *o, uint32_t volume, uint64_t lba,
			      const uint8_t **ret_data, uint32_t *ret_crc);

/* ---- appends and records in flight (append.c) ------------------------------------------- */

/* Behind lfs_append.impl. */
struct lfs_append_impl {
	struct rt_list link;  /* in the queue, then in its record */
	struct rt_list unmap; /* in the overlay, when it has zero or trim */
};
static_assert(sizeof(struct lfs_append_impl) <= sizeof(((struct lfs_append *)0)->impl),
	      "fits into impl");

static inline struct lfs_append_impl *lfs_append_impl(struct lfs_append *a)
{
	return (struct lfs_append_impl *)(void *)a->impl;
}
static inline struct lfs_append *lfs_append_of(struct rt_list *link)
{
	return (struct lfs_append *)(void *)((char *)link -
					     offsetof(struct lfs_append, impl));
}

/* A record from being built until it is in the map. */
struct lfs_flight {
	struct lfs *lfs; /* borrowed */
	struct rt_op op;
	bool busy;    /* built, and not applied yet */
	bool early;   /* MAP_IN_COMPLETION_ORDER has been at it */
	bool written; /* its write has ended */
	enum lfs_record_kind kind;
	struct lfs_tail after; /* the log behind it */
	uint32_t segment;
	uint32_t place;	  /* of its first block of data */
	uint32_t nblocks; /* of data */
	uint32_t ndescs;
	uint64_t durable_seq; /* that it names */
	struct rt_list appends;
	struct rt_list in_map; /* of them, those that are; told with the record */
	/* apply: how far, when an unmap is cut up */
	unsigned op_done;
	uint64_t op_blocks_done;
	/* memory: a segment header, then the head area */
	uint8_t *area;
	struct iovec *iov;
	unsigned niov, iov_at;
	uint64_t off, left;
	uint8_t *footer; /* of a seal; goes back when it is written */
};

/* ---- flushing (flush.c) ------------------------------------------------------------------- */

struct lfs_flusher {
	struct rt_op op;
	bool busy;
	uint64_t seq, lsn;	 /* written when it was submitted */
	struct rt_list now;	 /* lfs_wait: the flush in flight is for them */
	struct rt_list next;	 /* for the one after it */
	struct rt_list ready;	 /* nothing to be done: told in the next turn */
	struct rt_timer witness; /* of an idle flush */
	struct lfs_wait witness_wait;
	bool witness_wanted;
	bool witness_waiting;
	uint64_t named; /* highest durable_seq in a durable record */
	uint64_t applied_named, applied_named_seq; /* in a written one, and which */
	uint64_t real;				   /* last record that is not a witness */
};

/* ---- superblock writing (sblock.c) ---------------------------------------------------------- */

struct lfs_super_req {
	struct rt_list link;
	void (*done)(struct lfs_super_req *req, int res);
	const struct lfs_meta *meta; /* borrowed until done; NULL: as it is */
	bool checkpoint;	     /* slot and slot_seq count */
	uint32_t slot;
	uint64_t slot_seq;
	uint32_t clear_flags, set_flags;
};

struct lfs_super_writer {
	struct rt_op op;
	struct lfs_wait wait;
	struct rt_list waiting, taken; /* lfs_super_req */
	struct lfs_super super;	       /* as in the current superblock */
	struct lfs_super next;
	struct lfs_meta *meta_next; /* owned */
	unsigned copy;		    /* where the current one lies */
	uint8_t *buf;		    /* owned, LFS_SUPER_REGION */
	uint32_t len, done;
	bool busy, last_flush;
};

/* ---- checkpoint (checkpoint.c) ------------------------------------------------------------- */

enum lfs_checkpoint_state {
	LFS_CHECKPOINT_IDLE,
	LFS_CHECKPOINT_LEAVES, /* dirty leaves go into the log */
	LFS_CHECKPOINT_SLOT,   /* body, then head */
	LFS_CHECKPOINT_SUPER,
};

#define LFS_CHECKPOINT_BATCH 64u /* leaves in one record */
#define LFS_CHECKPOINT_PIECE (UINT32_C(256) << 10)

struct lfs_checkpoint_leaf {
	uint32_t volume, index;
	uint32_t crc;
};

struct lfs_checkpoint {
	enum lfs_checkpoint_state state;
	struct lfs_tail start;
	uint64_t incarnation;
	uint64_t start_bytes; /* of lfs.log_bytes */
	/* leaves: where the search stands, and the one record in flight */
	unsigned volume;
	uint32_t index;
	bool searched, in_flight;
	uint64_t captured; /* leaves, since it began: in the log, and not named yet */
	struct lfs_checkpoint_leaf leaves[LFS_CHECKPOINT_BATCH];
	unsigned nleaves;
	uint8_t *images; /* owned */
	/* slot */
	struct rt_op op;
	uint8_t *piece; /* owned: LFS_CHECKPOINT_PIECE */
	uint32_t piece_len, piece_done;
	uint64_t off; /* in the slot */
	bool head;    /* what is being written */
	unsigned slot;
	uint64_t seq;
	uint32_t body_crc, slot_leaves, slot_segments;
	struct lfs_super_req req;
	struct rt_list waiting, taken; /* lfs_wait: for the one after, for this one */
	struct rt_timer timer;
	bool asked; /* by the timer */
	int64_t every_ms;
};

/* ---- reads (read.c) --------------------------------------------------------------------------- */

#define LFS_READ_RUN 64u /* blocks of one disk read */
#define LFS_READS_MAX 128u

struct lfs_run {
	struct rt_op op;
	struct rt_list link; /* when free */
	struct lfs_read *read;
	struct lfs *lfs;
	uint8_t *buf;
	uint64_t off;
	uint64_t lba;
	uint32_t blocks;
	uint32_t done; /* bytes */
	uint32_t crcs[LFS_READ_RUN];
};

struct lfs_reader {
	struct lfs_run *runs;	/* owned */
	struct rt_list free;	/* lfs_run */
	struct rt_list waiting; /* lfs_read: those with blocks not asked for yet */
	struct rt_list ready;	/* lfs_read: all done, told in the next turn */
	uint32_t active;	/* lfs_read not told yet */
};

/* ---- all of it ---------------------------------------------------------------------------------- */

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
	uint32_t segment_blocks, seal_blocks;
	uint64_t checkpoint_every;

	/* admitted >= built >= applied; durable behind */
	uint64_t admitted_lsn, admitted_hash;
	struct lfs_tail built, applied;
	uint32_t built_next; /* the segment after built.segment */
	uint64_t durable_seq, durable_lsn;
	uint32_t generations; /* opened by this incarnation */

	struct lfs_overlay overlay;
	struct rt_list queue; /* lfs_append: admitted, in no record yet */
	uint64_t pending_bytes, pending_appends; /* admitted, not applied */
	uint64_t pending_leaves;		 /* that they may dirty, at most */
	uint64_t queued_blocks; /* in the queue, heads included, at most */
	struct lfs_flight flights[LFS_RECORDS_IN_FLIGHT];
	unsigned flight_first, nflights;
	unsigned writing;			 /* of them, writes not ended */
	uint8_t *footer;			 /* owned: of the segment being filled */
	uint8_t *footers[LFS_RECORDS_IN_FLIGHT]; /* owned: spare */
	unsigned nfooters;
	bool leaf_turn; /* the last record was a client's, while leaves wait */

	struct lfs_flusher flusher;
	struct lfs_super_writer sb;
	struct lfs_checkpoint ck;
	struct lfs_reader reader;
	unsigned follows; /* cursors */

	struct lfs_set_meta *set_meta;	/* borrowed until told */
	struct lfs_meta *set_meta_copy; /* owned */
	struct lfs_super_req set_meta_req;
	struct lfs_map *map_next; /* owned: for other volumes */
	bool set_meta_ended;
	int set_meta_res;

	struct rt_op kick_op;
	bool kicked;
	bool advanced; /* tell the owner */
	bool failed;
	bool opening;
	char why[LFS_WHY_MAX];
	struct lfs_close *close;
	struct lfs_wait close_wait;
	struct lfs_super_req close_req;
	unsigned close_step;
	bool changed; /* since the last checkpoint began */

	/* figures */
	uint64_t log_bytes; /* of client records, all together */
	uint64_t client_bytes, disk_bytes, records, flushes, checksum_errors;
	rt_time checkpoint_at;
	bool checkpoint_ever;
	uint64_t checkpoint_base; /* log_bytes at the start of the last checkpoint */
	unsigned slots_refused;	  /* at open: a slot that should have been good was not */
};

#define lfs_say(why, ...) ((void)snprintf(why, LFS_WHY_MAX, __VA_ARGS__))

/* open.c */
void lfs_kick(struct lfs *lfs);	  /* come back in the next turn */
void lfs_settle(struct lfs *lfs); /* after anything ended: go on with everything */
/* The log has failed for good. Only the first reason counts. */
void lfs_fail(struct lfs *lfs, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void lfs_free(struct lfs *lfs);
/* Buffers and limits for a log whose geometry, map and segments are known. -ENOMEM. */
int lfs_prepare(struct lfs *lfs);

/* close.c: the next step of a close, when nothing is in flight; may free lfs. */
void lfs_close_step(struct lfs *lfs);

/* append.c */
void lfs_append_pump(struct lfs *lfs); /* build what can be built */
bool lfs_append_idle(const struct lfs *lfs);
void lfs_append_fail(struct lfs *lfs);		 /* end everything that is queued */
uint64_t lfs_append_room(const struct lfs *lfs); /* blocks that clients can still take */

/* apply.c */
void lfs_apply(struct lfs *lfs); /* written records, in order, into the map */
/* flight.c */
/* Blocks of a record that still fit into the segment being filled, its seal aside. */
uint32_t lfs_flight_room(const struct lfs *lfs);
/*
 * A record slot to fill, with room for `need` blocks at lfs->built, the segment before
 * it sealed if need be. NULL: all are in flight, or the log has failed.
 */
struct lfs_flight *lfs_flight_get(struct lfs *lfs, enum lfs_record_kind kind,
				  uint32_t need);
/* Where its descriptors and checksums go. */
static inline uint8_t *lfs_flight_area(struct lfs_flight *f)
{
	return f->area + LFS_BLOCK;
}
/* Data behind the head area: lent until it is applied. */
void lfs_flight_data(struct lfs_flight *f, const void *data, size_t len);
/*
 * Complete the head and send the record: f->ndescs and f->nblocks are set, descriptors
 * and checksums in the area, data added. `last_lsn`, `hash` and `epoch` are those after
 * it.
 */
void lfs_flight_submit(struct lfs_flight *f, uint64_t last_lsn, uint64_t hash,
		       const struct lfs_epoch *epoch);
/* Note what a block of the segment being filled holds, for its footer. */
void lfs_flight_birth(struct lfs *lfs, uint32_t place, const struct lfs_birth *birth);

/* flush.c */
void lfs_flush_init(struct lfs *lfs);
void lfs_flush_wait(struct lfs *lfs, struct lfs_wait *w); /* a flush from now on */
void lfs_flush_settle(struct lfs *lfs);
void lfs_flush_witness(struct lfs *lfs); /* build the witness that is wanted */
/* A record that names `durable_seq` is written. */
void lfs_flush_written(struct lfs *lfs, const struct lfs_flight *f);
bool lfs_flush_idle(const struct lfs *lfs);
void lfs_flush_stop(struct lfs *lfs);

/* sblock.c */
void lfs_super_request(struct lfs *lfs, struct lfs_super_req *req);
void lfs_super_settle(struct lfs *lfs);
/* meta.c */
void lfs_meta_settle(struct lfs *lfs);

/* checkpoint.c */
void lfs_checkpoint_wait(struct lfs *lfs, struct lfs_wait *w); /* one from now on */
void lfs_checkpoint_settle(struct lfs *lfs);
/* Build a record of dirty leaves: true when one was built. */
bool lfs_checkpoint_build(struct lfs *lfs);
void lfs_checkpoint_applied(struct lfs *lfs, const struct lfs_flight *f);
void lfs_checkpoint_arm(struct lfs *lfs);

/* slot.c */
struct lfs_slot {
	uint64_t seq;
	uint64_t incarnation;
	struct lfs_tail start;
	uint64_t start_generation;
	uint64_t written_seq;
	uint64_t body_length;
	uint32_t body_crc;
	uint32_t nleaves, nsegments;
};
void lfs_slot_encode_head(uint8_t block[LFS_BLOCK], const struct lfs_slot *slot,
			  const uint8_t store[LFS_ID_LEN], uint64_t wall_ns);
/* 0 or -EUCLEAN */
int lfs_slot_decode_head(const uint8_t block[LFS_BLOCK], const struct lfs_geometry *geo,
			 const uint8_t store[LFS_ID_LEN], struct lfs_slot *ret);
void lfs_slot_put_leaf(uint8_t *at, uint32_t volume, uint32_t index,
		       const struct lfs_leaf *leaf);
void lfs_slot_put_segment(uint8_t *at, const struct lfs_segment *s);
/* Into empty segments and an empty map. 0, -EUCLEAN. */
int lfs_slot_decode_body(const struct lfs_slot *slot, const uint8_t *body,
			 struct lfs_segments *segs, struct lfs_map *map);

/* read.c */
int lfs_read_init(struct lfs *lfs);
void lfs_read_settle(struct lfs *lfs);

#endif
