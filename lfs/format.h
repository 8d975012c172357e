/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_FORMAT_H
#define LFS_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "rt/bytes.h"

/*
 * Everything that stands on disk, and every bound of this folder. docs/format.md says
 * the same in words and changes together with this file.
 *
 *   superblock A | superblock B | events | checkpoint slot 0 | checkpoint slot 1 |
 *   segment 0 | segment 1 | ...
 *
 * All is little-endian and made of blocks of LFS_BLOCK bytes; a physical
 * block address (pba) is the number of a block counted from the start of the store, and
 * pba 0 means "nowhere".
 */
#define LFS_VERSION 4
#define LFS_INCOMPAT_KNOWN UINT64_C(0)
#define LFS_COMPAT_RO_KNOWN UINT64_C(0)


/* ---- bounds ------------------------------------------------------------------------- */

#define LFS_SEGMENT_MIN (UINT32_C(1) << 20)
#define LFS_SEGMENT_MAX (UINT32_C(256) << 20)
#define LFS_PBA_MAX (UINT32_C(1) << 31) /* the top bit of a pba: shared, later */
#define LFS_SEGMENTS_MIN 8u
#define LFS_REQUEST_MIN (UINT32_C(64) << 10)
#define LFS_REQUEST_MAX (UINT32_C(32) << 20)
#define LFS_CHECKPOINT_MIN (UINT64_C(256) << 10)
#define LFS_CHECKPOINT_MAX (UINT64_C(64) << 30)

/* A record: natural batching stops here, one LSN may be as long as max_request. */
#define LFS_BATCH_MAX (UINT32_C(1) << 20)
#define LFS_RECORD_DESCS_MAX 1000u
#define LFS_RECORD_BLOCKS_MAX (LFS_REQUEST_MAX / LFS_BLOCK + 1) /* lfs_data_max() */
#define LFS_RECORDS_IN_FLIGHT 4u

/* Blocks of address space in a leaf of the map. */
#define LFS_LEAF_BLOCKS 512u
/* Leaves under an inner node. */
#define LFS_INNER_LEAVES 128u

/* Reserves, in segments: what clients can never take. */
#define LFS_RESERVE_SEGMENTS 4u

/* What may be admitted and not yet in the map. */
#define LFS_PENDING_BYTES_MAX (UINT64_C(64) << 20)
#define LFS_PENDING_APPENDS_MAX 16384u

/* Where a new store begins to count its incarnations, at most. */
#define LFS_INCARNATION_FIRST_MAX (UINT32_C(1) << 31)

/* A durability marker names the last flushed record within this time. */
#define LFS_MARKER_MS 100

/* ---- superblock --------------------------------------------------------------------- */

#define LFS_SUPERBLOCK_REGION 65536u
#define LFS_SUPERBLOCK_MAX (LFS_SUPERBLOCK_REGION - LFS_BLOCK) /* bytes of the whole */
#define LFS_SUPERBLOCK_MAGIC UINT64_C(0x3153464c4e415757) /* "WWANLFS1" */

/* Ids of epochs, as in struct lfs_promotion. */
struct lfs_superblock_promotion {
	le64 before, epoch, undone, fence;
};
static_assert(sizeof(struct lfs_superblock_promotion) == 32, "on-disk size");

/* What this store knows of its peer's. */
struct lfs_superblock_peer {
	le64 named_epoch; /* id of the newest epoch that a START has named to it */
	uint8_t store[LFS_ID_LEN];
	le64 persisted; /* LSN that it is known to hold for good */
	struct lfs_superblock_promotion promotion;
	le64 reached; /* the highest LSN that it has ever held for good */
};
static_assert(sizeof(struct lfs_superblock_peer) == 72, "on-disk size");

/*
 * The first 32 bytes are the same in every version, so that a newer one is recognised.
 * Behind the head: nvolumes volumes, nepochs epochs, zeros up to a block.
 */
struct lfs_superblock_head {
	le64 magic;
	le32 crc;     /* CRC-32C of what follows this field, up to `length` */
	le32 length;  /* bytes of the whole, a multiple of LFS_BLOCK */
	le32 version; /* LFS_VERSION */
	le32 zero0;
	le64 seq; /* the valid superblock with the higher one counts */
	le64 compat;
	le64 compat_ro; /* unknown bits: read-only at most */
	le64 incompat;	/* unknown bits: refused */
	uint8_t store[LFS_ID_LEN];
	uint8_t node[LFS_ID_LEN];
	uint8_t group[LFS_ID_LEN];
	uint8_t boot[LFS_ID_LEN];
	le64 store_size;
	le64 segments_off;	   /* byte offset of segment 0 */
	le64 checkpoint_slot_size; /* bytes of a checkpoint slot */
	le64 checkpoint_every;
	le32 segment_size;
	le32 segments;
	le64 incarnation;	  /* raised by each open for writing */
	le64 checkpoint_slot_seq; /* sequence of the newest checkpoint */
	le32 checkpoint_slot;	  /* where it lies: 0 or 1 */
	le32 role;
	le32 flags;
	le32 max_request;
	le32 nvolumes;
	le32 nepochs;
	char group_name[LFS_NAME_MAX];
	struct lfs_superblock_peer peer;
	uint8_t zero1[176];
};
static_assert(sizeof(struct lfs_superblock_head) == 512, "on-disk size");
static_assert(_Alignof(struct lfs_superblock_head) == 1, "no padding");

struct lfs_superblock_volume {
	char name[LFS_NAME_MAX];
	le64 id;
	le64 size;
};
static_assert(sizeof(struct lfs_superblock_volume) == 80, "on-disk size");

struct lfs_superblock_epoch {
	le64 number;
	le64 id;
	le64 first_lsn;
	le64 lossy;
	uint8_t store[LFS_ID_LEN];
};
static_assert(sizeof(struct lfs_superblock_epoch) == 48, "on-disk size");

static_assert(sizeof(struct lfs_superblock_head) +
			      LFS_VOLUMES_MAX * sizeof(struct lfs_superblock_volume) +
			      LFS_HISTORY_MAX * sizeof(struct lfs_superblock_epoch) <=
		      LFS_SUPERBLOCK_MAX,
	      "every meta fits");

/* ---- sign of life -------------------------------------------------------------------- */

#define LFS_ALIVE_MAGIC UINT64_C(0x31564c414e415757) /* "WWANALV1" */
#define LFS_ALIVE_OFF ((uint64_t)LFS_SUPERBLOCK_MAX) /* the last block of superblock A */

/* Zeros up to a block. */
struct lfs_alive_head {
	le64 magic;
	le32 crc; /* CRC-32C of the rest of the block */
	le32 zero0;
	uint8_t store[LFS_ID_LEN];
	uint8_t boot[LFS_ID_LEN];
	le64 since_boot_ns; /* on the clock that goes on while the machine sleeps */
};
static_assert(sizeof(struct lfs_alive_head) == 56, "on-disk size");

/* ---- events ------------------------------------------------------------------------- */

#define LFS_EVENT_MAGIC UINT64_C(0x31544e56454e4157) /* "WANEVNT1" */
#define LFS_EVENT_SECTOR 512u /* what a disk writes whole, or not at all */
#define LFS_EVENT_REGION (LFS_EVENTS * LFS_EVENT_SECTOR)
#define LFS_EVENTS_OFF ((uint64_t)2 * LFS_SUPERBLOCK_REGION) /* where it begins */
#define LFS_EVENT_SEQ_MAX (UINT64_C(1) << 62)
#define LFS_EVENTS_QUEUE 256u /* that wait for the disk */

/* Event number n lies in sector n % LFS_EVENTS; one that holds none is whatever it is. */
struct lfs_event_sector {
	le64 magic;
	le32 crc;      /* CRC-32C of the rest */
	uint8_t level; /* of who wrote it: the store does not look at it */
	uint8_t zero[3];
	uint8_t store[LFS_ID_LEN];
	le64 seq;		       /* 1, 2, 3, ... */
	le64 wall_ns;		       /* when it was, nanoseconds since 1970 */
	char text[LFS_EVENT_TEXT_MAX]; /* ends with a zero byte, and zeros follow it */
};
static_assert(sizeof(struct lfs_event_sector) == LFS_EVENT_SECTOR, "on-disk size");
static_assert(_Alignof(struct lfs_event_sector) == 1, "no padding");

/* ---- checkpoint slot ------------------------------------------------------------------ */

#define LFS_CHECKPOINT_SLOT_MAGIC UINT64_C(0x31544f4c534e4157) /* "WANSLOT1" */

/*
 * One block. Behind it, without gaps: ninner inner nodes, nsegments segments, zeros up to a
 * block. It says where replay begins, and what the map and the segments were there.
 */
struct lfs_checkpoint_slot_head {
	le64 magic;
	le32 crc;      /* CRC-32C of the rest of this block */
	le32 body_crc; /* CRC-32C of the body with its padding */
	uint8_t store[LFS_ID_LEN];
	le64 seq;
	le64 body_length; /* bytes with padding */
	le32 ninner;
	le32 nsegments;
	/* where replay begins, and the state before that record */
	le32 start_segment;
	le32 start_block; /* in the segment; 0: its header comes first */
	le64 bytes;	  /* of data, of all LSNs up to `lsn` */
	le64 incarnation;     /* of all that follows */
	le64 record_seq;      /* physical sequence of the last record before */
	le64 last_generation; /* the youngest segment opened before */
	le64 lsn;	      /* the last before */
	le64 hash;	      /* history after it */
	le64 epoch;
	le64 epoch_id;
	le64 written_seq; /* records up to here were durable when the checkpoint slot counted */
	le64 wall_ns;
	le32 chain; /* what prev_crc of the next record (or segment header) will be */
	le64 lsn_wall_ns; /* of `lsn`, as its descriptor says it */
	uint8_t zero[LFS_BLOCK - 156];
};
static_assert(sizeof(struct lfs_checkpoint_slot_head) == LFS_BLOCK, "on-disk size");
static_assert(_Alignof(struct lfs_checkpoint_slot_head) == 1, "no padding");

struct lfs_checkpoint_slot_inner {
	le32 volume;
	le32 index; /* of the inner node in its volume */
	le32 pba;   /* of its image */
	le32 crc;   /* of the image */
};
static_assert(sizeof(struct lfs_checkpoint_slot_inner) == 16, "on-disk size");

struct lfs_checkpoint_slot_segment {
	le64 generation; /* 0: free, then all is zero */
	le64 incarnation;
	le64 first_lsn;
	le64 last_lsn; /* first_lsn - 1: no client record in it */
	le32 end;      /* blocks in use, header included */
	le32 live;     /* blocks that the map refers to */
	le32 flags;
	le32 kind; /* enum lfs_head_kind */
};
static_assert(sizeof(struct lfs_checkpoint_slot_segment) == 48, "on-disk size");
#define LFS_CHECKPOINT_SLOT_SEALED 1u /* the segment ends with a seal */

/* ---- segment --------------------------------------------------------------------------- */

#define LFS_SEGMENT_MAGIC UINT64_C(0x314745534e4157fe)
#define LFS_SEGMENT_NONE UINT32_C(0xffffffff)

/* What a segment holds. One head writes each kind. */
enum lfs_head_kind {
	LFS_HEAD_CLIENT = 1, /* the log: what clients have written */
	LFS_HEAD_MAP = 2,    /* images of the map: what checkpoints write */
};
static inline bool lfs_head_kind_known(uint32_t kind)
{
	return kind == LFS_HEAD_CLIENT || kind == LFS_HEAD_MAP;
}

/* The first block of a segment; written together with its first record. */
struct lfs_segment_head {
	le64 magic;
	le32 crc;  /* CRC-32C of the rest of this block */
	le32 seed; /* prev_crc of the first record: random */
	uint8_t store[LFS_ID_LEN];
	le32 number;
	le32 next; /* the segment after this one, or LFS_SEGMENT_NONE */
	le64 generation;
	le64 incarnation;
	le64 first_lsn;
	le64 first_seq; /* physical sequence of its first record */
	le32 prev_crc;	/* head_crc of the last record before this segment */
	le32 kind;	/* enum lfs_head_kind */
	uint8_t zero[LFS_BLOCK - 80];
};
static_assert(sizeof(struct lfs_segment_head) == LFS_BLOCK, "on-disk size");
static_assert(_Alignof(struct lfs_segment_head) == 1, "no padding");

/* ---- record ---------------------------------------------------------------------------- */

#define LFS_RECORD_MAGIC UINT64_C(0x314345524e4157fd)

enum lfs_record_kind {
	LFS_RECORD_CLIENT = 1,
	LFS_RECORD_MAP = 2,    /* images of the map */
	LFS_RECORD_SEAL = 3,   /* the segment summary; the last of its segment */
	LFS_RECORD_MARKER = 4, /* durability marker: nothing but `durable_seq` */
};

/*
 * A record is this head, the descriptors, one CRC-32C per block, zeros up to a block
 * (all this is its head area), and then the blocks.
 */
struct lfs_record_head {
	le64 magic;
	le32 head_crc; /* CRC-32C of the rest of the head area */
	le32 prev_crc; /* head_crc of the record before, or the segment's seed */
	le64 address;  /* pba of this block */
	le64 generation;
	le64 incarnation;
	le64 seq;   /* physical sequence, over all segments */
	le64 epoch; /* number */
	le64 epoch_id;
	le64 first_lsn;
	le64 last_lsn;	  /* first_lsn - 1 when it holds no LSN */
	le64 hash_before; /* history before first_lsn */
	le64 durable_seq; /* known to be durable when this was built */
	le64 wall_ns;
	le32 ndescs;
	le32 nblocks;
	le32 kind;
	le32 zero0;
	le64 bytes_before; /* of data, of all LSNs before first_lsn */
};
static_assert(sizeof(struct lfs_record_head) == 128, "on-disk size");
static_assert(_Alignof(struct lfs_record_head) == 1, "no padding");

enum lfs_desc_kind {
	LFS_DESC_WRITE = LFS_WRITE,
	LFS_DESC_ZERO = LFS_ZERO,
	LFS_DESC_TRIM = LFS_TRIM,
	LFS_DESC_LEAF = 4,    /* lba: index of the leaf; one block */
	LFS_DESC_SUMMARY = 5, /* lba: entries; volume 0 */
	LFS_DESC_INNER = 6,   /* lba: index of the inner node; one block */
};
#define LFS_DESC_LAST 1u /* the last descriptor of its LSN */

struct lfs_record_desc {
	uint8_t kind;
	uint8_t flags;
	le16 volume;
	le32 blocks;
	le64 lba;
	le64 wall_ns; /* LFS_DESC_LAST: when a primary admitted the LSN; 0: not known */
};
static_assert(sizeof(struct lfs_record_desc) == 24, "on-disk size");

#define LFS_HEAD_AREA_MAX                                                                \
	(sizeof(struct lfs_record_head) +                                                \
	 LFS_RECORD_DESCS_MAX * sizeof(struct lfs_record_desc) +                         \
	 LFS_RECORD_BLOCKS_MAX * sizeof(le32))
#define LFS_HEAD_BLOCKS_MAX ((LFS_HEAD_AREA_MAX + LFS_BLOCK - 1) / LFS_BLOCK)

/* ---- segment summary ---------------------------------------------------------------------------- */

/* One for each block of the segment behind its header, in the order of the blocks. */
struct lfs_summary_entry {
	le32 volume; /* LFS_SUMMARY_NONE: head area; with a flag: an image of the map */
	le32 crc;
	le64 lba; /* of an image: the index of the leaf or inner node */
	le64 lsn; /* birth LSN: of the write that made the block */
};
static_assert(sizeof(struct lfs_summary_entry) == 24, "on-disk size");
#define LFS_SUMMARY_NONE UINT32_C(0xffffffff)
#define LFS_SUMMARY_LEAF UINT32_C(0x80000000)
#define LFS_SUMMARY_INNER UINT32_C(0x40000000)
#define LFS_SUMMARY_PER_BLOCK (LFS_BLOCK / (unsigned)sizeof(struct lfs_summary_entry))

/* ---- map ------------------------------------------------------------------------------- */

/* An image of a leaf is LFS_LEAF_BLOCKS of these. */
struct lfs_leaf_entry {
	le32 pba;
	le32 crc;
};
static_assert(sizeof(struct lfs_leaf_entry) * LFS_LEAF_BLOCKS == LFS_BLOCK, "one block");

/* An image of an inner node is LFS_INNER_LEAVES of these: what it says of one leaf. */
struct lfs_inner_entry {
	le32 pba;      /* of its image; 0: nothing is mapped, only `changed` counts */
	le32 crc;      /* of the image */
	le64 changed;  /* LSN of the last change */
	le64 set_hash; /* sum of the hashes of its mapped blocks */
	le16 used;     /* mapped entries */
	uint8_t zero[6];
};
static_assert(sizeof(struct lfs_inner_entry) * LFS_INNER_LEAVES == LFS_BLOCK,
	      "one block");

#endif
