/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_rng;

/*
 * Knows what an image must look like after any LSN. D(n) is the XOR over all blocks of
 * hash(volume, lba, stamp of the last write to it at or before n), an unmapped block
 * giving 0; it is kept in O(1) per block written, for all n. A block's bytes are made
 * from (volume, lba, stamp) and the stamp can be read from them, so an image's digest
 * names the prefix it is.
 *
 * A stamp is {branch, LSN}: after a crash that took LSNs back, the same numbers are given
 * again for other writes, and these are another branch.
 */
struct oracle;

#define ORACLE_BLOCK 4096
#define ORACLE_VOLUMES_MAX 16

/* Volumes of `blocks[i]` blocks, all unmapped: D(0) = 0. */
struct oracle *oracle_new(unsigned nvolumes, const uint64_t *blocks);
void oracle_free(struct oracle *o); /* NULL is fine */
unsigned oracle_volumes(const struct oracle *o);
uint64_t oracle_blocks(const struct oracle *o, unsigned volume);

/* The stamp of what LSN oracle_last() + 1 writes. */
uint64_t oracle_stamp(const struct oracle *o);
/* Fill blocks of `data` with what (volume, lba...) holds after a write with `stamp`. */
void oracle_fill(uint8_t *data, unsigned volume, uint64_t lba, uint32_t blocks,
		 uint64_t stamp);

/*
 * An LSN is one or more of these two, and then oracle_commit(), which gives its number.
 * Overlapping operations under one LSN count in order.
 */
void oracle_write(struct oracle *o, unsigned volume, uint64_t lba, uint32_t blocks);
void oracle_unmap(struct oracle *o, unsigned volume, uint64_t lba, uint32_t blocks);
uint64_t oracle_commit(struct oracle *o);
uint64_t oracle_last(const struct oracle *o); /* the last LSN committed */

/* LSNs after `lsn` never were; a new branch begins there. */
void oracle_take_back(struct oracle *o, uint64_t lsn);

/* LSN `lsn` was given to nothing: those after it move down by one. */
void oracle_drop(struct oracle *o, uint64_t lsn);

/* What a block adds to a digest: 0 for stamp 0. */
uint64_t oracle_hash(unsigned volume, uint64_t lba, uint64_t stamp);
/* D(lsn), lsn <= oracle_last(). */
uint64_t oracle_digest(const struct oracle *o, uint64_t lsn);
/* What (volume, lba) must hold after the last LSN: its stamp, 0 when unmapped. */
uint64_t oracle_now(const struct oracle *o, unsigned volume, uint64_t lba);
/*
 * The highest LSN in low .. high with this digest: 0 and *ret, or -ENOENT. Images that
 * look alike are alike: any LSN with the digest is right.
 */
int oracle_find(const struct oracle *o, uint64_t digest, uint64_t low, uint64_t high,
		uint64_t *ret);

/*
 * Add one block of an image to *digest (begin with 0). 0; -EBADMSG when the bytes are
 * neither zero nor a write to this block (every byte is checked). *stamp may be NULL.
 */
int oracle_block(uint64_t *digest, unsigned volume, uint64_t lba, const uint8_t *data,
		 uint64_t *stamp);
static inline uint64_t oracle_stamp_lsn(uint64_t stamp)
{
	return stamp & ((UINT64_C(1) << 48) - 1);
}

/* ---- random work ------------------------------------------------------------------- */

enum work_kind { WORK_WRITE, WORK_ZERO, WORK_TRIM };

struct work_op {
	enum work_kind kind;
	unsigned volume;
	uint64_t lba;
	uint32_t blocks;
};

/* How the work looks; work_shape_draw() draws one of these per run (swarm). */
struct work_shape {
	uint32_t blocks_max; /* of one operation; small ones are more often */
	unsigned ops_max;    /* under one LSN, >= 1 */
	double zero, trim;   /* share of operations; the rest are writes */
	double hot;	     /* chance to hit the hot tenth of a volume */
	double sequential;   /* chance to go on behind the last operation */
	uint32_t
		huge_trim; /* one trim in so many covers up to the whole volume; 0: none */
};

struct work {
	const struct oracle *oracle; /* borrowed: its geometry */
	struct work_shape shape;
	uint64_t next_lba[ORACLE_VOLUMES_MAX];
};

void work_shape_draw(struct sim_rng *rng, struct work_shape *ret);
void work_init(struct work *work, const struct oracle *o, const struct work_shape *shape);
/* One LSN's operations into ops[shape.ops_max], blocks of data together <= data_max.
 * Returns how many, >= 1. The oracle does not learn of it. */
unsigned work_next(struct work *work, struct sim_rng *rng, uint32_t data_max,
		   struct work_op *ops);
/* Tell the oracle about them: writes and unmaps, no commit. */
void work_apply(struct oracle *o, const struct work_op *ops, unsigned nops);

#endif
