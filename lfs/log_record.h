/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_LOG_RECORD_H
#define LFS_LOG_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "lfs/format.h"

/*
 * The head area of a record, to bytes and back. Pure: no I/O, no clock, no memory.
 */

/* What a head says, as numbers. */
struct lfs_record {
	enum lfs_record_kind kind;
	uint32_t head_crc, prev_crc;
	uint64_t address; /* pba of the head area's first block */
	uint64_t generation, incarnation;
	uint64_t seq;
	uint64_t epoch, epoch_id;
	uint64_t first_lsn, last_lsn; /* last = first - 1: no LSN */
	uint64_t hash_before;
	uint64_t durable_seq;
	uint64_t wall_ns;
	uint32_t ndescs, nblocks;
	uint64_t bytes_before;
};

struct lfs_desc {
	enum lfs_desc_kind kind;
	bool last; /* of its LSN */
	uint32_t volume;
	uint64_t lba;
	uint32_t blocks;
	int64_t wall_ns; /* `last`: of its LSN */
};

/* Blocks of a head area with so many descriptors and blocks of data. */
uint32_t lfs_record_head_blocks(uint32_t ndescs, uint32_t nblocks);

/* Blocks of data that a record has at most, in segments of so many blocks. */
uint32_t lfs_record_data_max(uint32_t segment_blocks);

/* Blocks of the data that a descriptor has behind the head area. */
uint32_t lfs_desc_data(const struct lfs_desc *desc);

/*
 * Build a head area in `area` of lfs_record_head_blocks() blocks: first the descriptors
 * and checksums, in any order, then encode, which clears the rest, writes the head and
 * sets rec->head_crc.
 */
void lfs_record_put_desc(uint8_t *area, uint32_t i, const struct lfs_desc *desc);
void lfs_record_put_crcs(uint8_t *area, uint32_t ndescs, uint32_t i, const uint32_t *crcs,
			 uint32_t n);
void lfs_record_encode(uint8_t *area, struct lfs_record *rec);

/*
 * Read a head area of which `len` bytes (a multiple of LFS_BLOCK, at least one) are here.
 * 0; -EBADMSG no valid record; -EMSGSIZE: it may be one, but its head area is longer than
 * `len`: *ret_blocks says how many blocks it wants. Everything is checked that needs no
 * other knowledge: checksum, bounds, reserved bytes, the sums of the descriptors.
 */
int lfs_record_decode(const uint8_t *area, size_t len, struct lfs_record *ret,
		      uint32_t *ret_blocks);

/* Of a decoded area; `i` is our own number, below ndescs. */
void lfs_record_get_desc(const uint8_t *area, uint32_t i, struct lfs_desc *ret);
void lfs_record_get_crcs(const uint8_t *area, uint32_t ndescs, uint32_t i, uint32_t *crcs,
			 uint32_t n);

/* ---- what a segment holds ---------------------------------------------------------------------- */

/* The longest record of one LSN, in blocks: a request of max_request bytes, unaligned. */
uint32_t lfs_record_alone_max(uint32_t max_request);
/* Blocks of a seal, its head area included. */
uint32_t lfs_seal_blocks(uint32_t segment_blocks);
/*
 * Blocks that records are sure to find in a segment: behind them come its seal and what is
 * lost because the next record did not fit, less than the longest of one LSN.
 */
uint32_t lfs_segment_usable(uint32_t segment_blocks, uint32_t max_request);
/*
 * Segments for so many images, heads included, in a checkpoint and once more in that of the next open: a crash before the superblock names the first one makes all of
 * them dirty again, and its images were written for nothing.
 * One more, since the open one may be full.
 */
uint64_t lfs_images_segments(uint64_t images, uint32_t segment_blocks);

/* ---- segment summary --------------------------------------------------------------------------- */

struct lfs_summary_item {
	uint32_t volume; /* or LFS_SUMMARY_NONE */
	bool leaf, inner; /* an image of these */
	uint32_t crc;
	uint64_t lba, lsn;
};

/* Blocks of summary data for a segment of so many blocks. */
uint32_t lfs_summary_blocks(uint32_t segment_blocks);
void lfs_summary_put(uint8_t *summary, uint32_t i, const struct lfs_summary_item *item);
void lfs_summary_get(const uint8_t *summary, uint32_t i, struct lfs_summary_item *ret);

#endif
