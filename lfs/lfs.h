/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_LFS_H
#define LFS_LFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * A group's log-structured store: several volumes in one log with one write order. All
 * of it runs on one rt_loop; operations are owned by the caller and lent until `done`,
 * which is never called from inside the call that starts them. The block is 4 KiB.
 */
struct lfs;
struct rt_loop;

#define LFS_BLOCK 4096
#define LFS_SECTOR 512 /* what a volume's size is a multiple of */
#define LFS_ID_LEN 16 /* bytes of a random id */
#define LFS_VOLUMES_MAX 128
#define LFS_NAME_MAX 64	     /* with its terminating 0 */
#define LFS_HISTORY_MAX 1024 /* epochs kept */
#define LFS_WHY_MAX 256	     /* a reason for people, with its terminating 0 */
#define LFS_OPS_MAX 256	     /* operations under one LSN */

/* ---- durable facts about the group ------------------------------------------------ */

enum lfs_role { LFS_PRIMARY = 1, LFS_MIRROR = 2 };

/*
 * One primary's reign: {number, random id}, the first LSN written in it, the store that began
 * it. `lossy` is the id of the newest epoch up to this one at whose beginning completed
 * writes may have been lost.
 */
struct lfs_epoch {
	uint64_t number;
	uint64_t id;
	uint64_t first_lsn;
	uint64_t lossy;
	uint8_t store[LFS_ID_LEN];
};

struct lfs_volume {
	char name[LFS_NAME_MAX];
	uint64_t id;   /* random, from the primary's create; the same at both sites */
	uint64_t size; /* bytes, a multiple of LFS_SECTOR */
};
/* The last block may reach beyond the volume; what lies there is nobody's. */
static inline uint64_t lfs_volume_blocks(const struct lfs_volume *volume)
{
	return volume->size / LFS_BLOCK + (volume->size % LFS_BLOCK != 0);
}

#define LFS_FENCED 1u /* a higher epoch was met: opens for writing only by promote */
#define LFS_SEALED 2u
#define LFS_ALONE 4u	/* promoted, and no mirror IN_SYNC since */
#define LFS_HOLD 32u	/* promoted with --hold: alone does not lower the modes */
#define LFS_UNPAIRED 8u /* a mirror that is not paired yet */
#define LFS_PEER_FORGOTTEN 64u /* no store is taken for the peer's */
#define LFS_CLEAN 16u	/* closed in order; taken away by the next open for writing */

/* Ids of epochs; 0: none. What undoes a promotion, and the fence that it has put up. */
struct lfs_promotion {
	uint64_t before; /* this site was a mirror in it when it was promoted, */
	uint64_t epoch;	 /* and has begun this one */
	uint64_t undone; /* the last one that was undone here */
	uint64_t fence;	 /* what the peer began and this site was fenced by */
};

/*
 * What replication wants to keep across restarts. Lives in the superblock; the history
 * has nepochs >= 1 entries in ascending order, the last one is the current epoch.
 */
struct lfs_meta {
	uint8_t group[LFS_ID_LEN]; /* all zero while LFS_UNPAIRED */
	/* Boot id when the group last began to write; the group sets it. */
	uint8_t boot[LFS_ID_LEN];
	uint8_t peer_store[LFS_ID_LEN]; /* the one paired with this one; zero: none yet */
	uint64_t peer_persisted; /* LSN that it is known to hold for good; at a primary */
	/* The highest that was: it stands, too, where this store has lost LSNs and gives them again. */
	uint64_t peer_reached;
	char group_name[LFS_NAME_MAX];
	enum lfs_role role;
	uint32_t flags;
	uint32_t max_request; /* bytes; the largest atomic request */
	unsigned nvolumes;
	struct lfs_volume volumes[LFS_VOLUMES_MAX];
	/* Id of the newest epoch that a START has named; 0: none. */
	uint64_t named_epoch;
	struct lfs_promotion promotion;
	unsigned nepochs;
	struct lfs_epoch epochs[LFS_HISTORY_MAX];
};

/* ---- create -------------------------------------------------------------------------- */

struct lfs_create_params {
	const char *path;
	uint64_t size; /* bytes for a file, 0: default; ignored for a block device */
	uint32_t segment_size;	   /* bytes, power of two, 1 MiB .. 256 MiB */
	uint64_t checkpoint_every; /* bytes of log between checkpoints */
	const struct lfs_meta
		*meta; /* role, group_name, volumes, max_request; ids that are
					zero are drawn; a mirror is made LFS_UNPAIRED */
	bool fill;     /* write zeros over all of it first, so that it has no holes */
};

/*
 * The default and the least size of a store, in bytes: 1.25 x the volumes plus reserves, and
 * more where a segment holds so few requests of max_request bytes that this would not take
 * each block of the volumes once. 0: no such segment size or max_request.
 */
uint64_t lfs_store_size_min(const struct lfs_create_params *params);

struct lfs_create {
	void (*done)(struct lfs_create *c, int res);
	/* How far a fill has come; NULL: nobody asks. */
	void (*filled)(struct lfs_create *c, uint64_t bytes, uint64_t size);
	char why[LFS_WHY_MAX]; /* set when res < 0 */
	void *impl[12];
};

/*
 * Make a store; never touches one that exists: -EEXIST when the file is there, or when a
 * block device begins with a wanmirror superblock; -EINVAL geometry; -ENOSPC too small.
 */
void lfs_create(struct rt_loop *loop, const struct lfs_create_params *params,
		struct lfs_create *c);

/* ---- open, recover, close ------------------------------------------------------------- */

struct lfs_events {
	/* written or durable have moved, or space has changed. */
	void (*advanced)(void *owner);
	/* The log has failed for good: no append or flush will succeed. Called once. */
	void (*failed)(void *owner, int err, const char *why);
};

struct lfs_open_params {
	const char *path;
	const char *group_name; /* refuse a store of another group name */
	uint64_t map_memory;	/* bytes; -EDQUOT ends the open if the map needs more */
	uint64_t checkpoint_every; /* 0: as created */
	int64_t checkpoint_ms; /* also on this timer when anything changed; 0: never */
	const struct lfs_events *events;
	void *owner;
};

/* A daemon has lived: in the boot `boot`, so long after that. */
struct lfs_alive {
	uint8_t boot[LFS_ID_LEN];
	int64_t since_boot_ns; /* < 0: not known */
};

struct lfs_recovery {
	struct lfs_alive alive; /* the last sign of life */
	bool was_clean;
	uint64_t records, segments, bytes; /* replayed since the checkpoint */
	uint64_t last_lsn;
	int64_t took_ns;
};

struct lfs_open {
	void (*done)(struct lfs_open *o, int res);
	struct lfs *lfs; /* set when res == 0 */
	struct lfs_recovery recovery;
	char why[LFS_WHY_MAX];
	void *impl[12];
};

/*
 * Open for writing: lock, read the superblocks, recover, raise the incarnation durably,
 * take LFS_CLEAN away, and begin fresh segments after a checkpoint. Nothing is written
 * before recovery has decided. Errors, each with `why`: -ENOENT no such file, -EBUSY in
 * use, -EMEDIUMTYPE not a store or another group's, -EPROTONOSUPPORT a newer version or an
 * unknown incompatible feature, -EDQUOT the map needs more than map_memory, -EUCLEAN both superblocks damaged or corruption inside the
 * log that is no torn tail, -EFBIG the file is shorter than its geometry, -EIO.
 */
void lfs_open(struct rt_loop *loop, const struct lfs_open_params *params,
	      struct lfs_open *o);

struct lfs_close {
	void (*done)(struct lfs_close *c, int res);
	bool unclean; /* leave LFS_CLEAN away: the next open is as after a crash */
	void *impl;
};
/*
 * Wait for what is in flight, flush, checkpoint, mark LFS_CLEAN unless `unclean`, close.
 * After a failure of the log it only closes. `done` comes when `lfs` is gone, whatever res is.
 */
void lfs_close(struct lfs *lfs, struct lfs_close *c);

/* LFS_ID_LEN bytes: the store's own id. */
const uint8_t *lfs_store_id(const struct lfs *lfs);
const struct lfs_meta *lfs_meta(const struct lfs *lfs);

/* The epoch that an LSN belongs to: the last one that begins at or before it. */
const struct lfs_epoch *lfs_epoch_of(const struct lfs_meta *meta, uint64_t lsn);

struct lfs_set_meta {
	void (*done)(struct lfs_set_meta *s, int res);
	void *impl[4];
};
/*
 * Replace the durable facts; `meta` is copied by the call and lfs_meta() shows it once
 * `done` has been called with 0, when a superblock that holds it is durable. One at a
 * time (asserted). Volumes, and the group, may change only while nothing was ever appended
 * (adoption). The epoch of an LSN is the last one in the list whose first_lsn is at or below it (a mirror
 * in catch-up appends LSNs of older epochs), by the list as of `done`.
 * -EINVAL: does not fit the store; -ENOSPC: the volumes do not fit; -EDQUOT: nor does their
 * map into map_memory.
 */
void lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s, const struct lfs_meta *meta);

/* ---- append --------------------------------------------------------------------------- */

enum lfs_kind { LFS_WRITE = 1, LFS_ZERO = 2, LFS_TRIM = 3 };

/* One run of blocks of one volume. Zero and trim both unmap; zero keeps the reservation. */
struct lfs_op {
	enum lfs_kind kind;
	uint32_t volume;      /* index into lfs_meta.volumes */
	uint64_t lba;	      /* in blocks */
	uint32_t blocks;      /* >= 1 */
	const uint32_t *crcs; /* LFS_WRITE: CRC-32C of each block */
	const uint8_t *data;  /* LFS_WRITE: blocks * LFS_BLOCK bytes, LFS_BLOCK aligned */
};

/* An unaligned request of max_request bytes touches one block more. */
static inline uint32_t lfs_data_max(uint32_t max_request)
{
	return max_request + LFS_BLOCK;
}

/* Bytes of data in them. */
static inline uint64_t lfs_ops_bytes(const struct lfs_op *ops, unsigned nops)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < nops; i++)
		if (ops[i].kind == LFS_WRITE)
			bytes += (uint64_t)ops[i].blocks * LFS_BLOCK;
	return bytes;
}

/*
 * All operations of one LSN: atomic, here and in recovery. Everything that `ops` points
 * to is lent until `done`.
 */
struct lfs_append {
	uint64_t lsn; /* must be lfs_lsn().admitted + 1 */
	const struct lfs_op *ops;
	unsigned nops; /* 1 .. LFS_OPS_MAX; write data together at most lfs_data_max() */
	int64_t wall_ns; /* when a primary admitted it; 0: not known */
	void (*done)(struct lfs_append *a, int res); /* 0: written, and all before it */
	uint64_t hash;	/* set by the call: history after it, */
	uint64_t bytes; /* and the data of all LSNs up to it */
	void *impl[4];
};

/*
 * Take the next operation into the log. 0: admitted, visible to lfs_read() at once, `done`
 * follows in LSN order. Else nothing happened and the LSN is still free: -ENOSPC: the log
 * is full; -EDQUOT: the map needs more than map_memory, though the log has room; -ENOMEM:
 * this host has no memory now; -EIO: the log has failed; -EROFS: fenced or read-only;
 * -EAGAIN: appends wait for a checkpoint (its hard stop) or because too much is in flight: events.advanced says when to
 * try again. Ranges and sizes must have been checked by the caller (asserted).
 */
int lfs_append(struct lfs *lfs, struct lfs_append *a);

struct lfs_flush {
	void (*done)(struct lfs_flush *f, int res);
	void *impl[4];
};
/* res 0: all that was *written* when this was called is on stable storage. */
void lfs_flush(struct lfs *lfs, struct lfs_flush *f);

struct lfs_lsn {
	uint64_t admitted, written, durable;
};
struct lfs_lsn lfs_lsn(const struct lfs *lfs);

/* A point in a group's history. */
struct lfs_position {
	uint64_t epoch; /* number */
	uint64_t epoch_id;
	uint64_t lsn;
	uint64_t hash;	/* after that LSN */
	uint64_t bytes; /* of data, of all LSNs up to it: the same at both sites */
};
/* Where the log ends: the last admitted LSN. */
void lfs_position(const struct lfs *lfs, struct lfs_position *ret);

/* What is durable, as a person asks for it. */
struct lfs_image {
	uint64_t lsn;
	int64_t wall_ns; /* when a primary admitted it; 0: not known */
	uint64_t bytes;	 /* as in lfs_position */
};
void lfs_image(const struct lfs *lfs, struct lfs_image *ret);

/*
 * The history hash after one LSN: SipHash-2-4 under the key (prev, epoch_id) of the
 * canonical bytes of its operations (kind, volume, lba, blocks, block checksums; see
 * docs/format.md). It does not depend on how operations were grouped into records.
 */
uint64_t lfs_history_next(uint64_t prev, uint64_t epoch_id, const struct lfs_op *ops,
			  unsigned nops);

/* ---- read ----------------------------------------------------------------------------- */

struct lfs_read {
	uint32_t volume;
	uint64_t lba;
	uint32_t blocks; /* 1 .. max_request / LFS_BLOCK, or 256 if that is more */
	uint8_t *buf;	 /* blocks * LFS_BLOCK bytes, LFS_BLOCK aligned; lent */
	void (*done)(struct lfs_read *r, int res);
	uint64_t bad_lba; /* the first block that failed, when res is -EIO or -EBADMSG */
	int disk_err; /* of that block: what the disk said; -ENODATA: the file ends before it */
	void *impl[8];
};
/*
 * Read what lfs_append() has admitted so far; unmapped blocks are zero. Every block's
 * checksum is verified: -EBADMSG when one fails, -EIO when the disk does; both are counted.
 */
void lfs_read(struct lfs *lfs, struct lfs_read *r);

/* ---- log reader ---------------------------------------------------------------------------- */

/* One LSN as it stands in the log. Pointers are the reader's, valid until the next call. */
struct lfs_entry {
	uint64_t epoch_id;
	uint64_t lsn;
	uint64_t hash_before, hash_after;
	int64_t wall_ns;       /* when a primary admitted it; 0: not known */
	uint64_t bytes_before; /* data of all LSNs before it */
	struct lfs_op *ops;
	unsigned nops;
};

struct lfs_log_reader;
struct lfs_log_reader_next {
	void (*done)(struct lfs_log_reader_next *n, int res);
	struct lfs_entry entry; /* set when res == 0 */
	void *impl[4];
};

/*
 * A reader of the log in order, beginning with LSN `from` (>= 1). -ENOENT when the
 * log does not hold `from` any more; from == written + 1 is fine.
 */
int lfs_log_reader_new(struct lfs *lfs, uint64_t from, struct lfs_log_reader **ret);
/*
 * The next LSN with everything verified. res -ENODATA: nothing written beyond; -EBADMSG,
 * -EIO as lfs_read(). One call at a time per reader.
 */
void lfs_log_reader_next(struct lfs_log_reader *f, struct lfs_log_reader_next *n);
void lfs_log_reader_free(
	struct lfs_log_reader *f); /* not while a next is in flight; NULL is fine */

/*
 * Leave a sign of life. It outlives the process, and is not flushed: where the machine boots,
 * another boot id says the same. Nothing waits for it, and no error of it counts.
 */
void lfs_alive_leave(struct lfs *lfs, const struct lfs_alive *alive);

/* ---- events ------------------------------------------------------------------------------ */

#define LFS_EVENTS 1024u	/* that are kept: the newest */
#define LFS_EVENT_TEXT_MAX 464u /* with its terminating 0 */

/* Something that was worth a line to a person, in the store that it happened to. */
struct lfs_event {
	uint64_t seq;	 /* 1, 2, 3, ...; one that is missing was lost */
	int64_t wall_ns; /* since 1970 */
	uint8_t level;	 /* the caller's; not looked at */
	char text[LFS_EVENT_TEXT_MAX];
};

/*
 * Add an event, now; a longer text is cut. It is found at once, and durable a little later,
 * by the next flush. Never fails: one that the disk or the queue does not take is counted as
 * lost, and one that a close is too late for.
 */
void lfs_event_log_append(struct lfs *lfs, unsigned level, const char *text);
/* The first event that is kept whose number is `seq` or more. 0; -ENOENT: there is none. */
int lfs_event_log_find(const struct lfs *lfs, uint64_t seq, struct lfs_event *ret);

struct lfs_event_figures {
	uint64_t last;	  /* number of the newest; 0: none */
	uint64_t durable; /* up to this number none waits for the disk */
	uint64_t lost;	  /* since the store was opened */
};
void lfs_event_log_figures(const struct lfs *lfs, struct lfs_event_figures *ret);

/* ---- figures ---------------------------------------------------------------------------- */

struct lfs_stats {
	uint64_t store_bytes; /* of the store */
	uint64_t used_bytes;  /* segments in use */
	uint64_t free_bytes;  /* what clients can still append */
	bool has_room;	      /* free_bytes are enough for any one operation */
	bool has_map_memory;  /* the map has memory for any one operation */
	uint64_t segments_free;
	uint64_t client_bytes; /* block data appended by clients since open */
	uint64_t disk_bytes;   /* everything written to the store since open */
	uint64_t records, flushes, checksum_errors, read_errors;
	int64_t checkpoint_age_ns; /* since the last one; -1: none since open */
};
void lfs_stats(const struct lfs *lfs, struct lfs_stats *ret);
/* Blocks of a volume that are mapped. */
uint64_t lfs_mapped(const struct lfs *lfs, uint32_t volume);

/*
 * A full recount for tests: every map reference against the live counts of segments, and
 * every free segment against the map. 0, or -EUCLEAN with `why`.
 */
int lfs_recount(const struct lfs *lfs, char why[LFS_WHY_MAX]);

#endif
