/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DISASTER_STAMP_H
#define TESTS_DISASTER_STAMP_H

#include <stdint.h>

#define STAMP_BLOCK 4096
#define STAMP_NONE 0 /* no write has this number: the block was never written */

/*
 * The mark that a block bears of its write. Writes are numbered 1, 2, 3, ... in the
 * order they were issued. Never are two of one block in flight together.
 */
struct stamp {
	uint64_t volume; /* stamp_volume() of its name */
	uint64_t lba;
	uint64_t number;
	uint64_t
		below; /* every write up to this one was complete when this one was issued */
};

uint64_t stamp_volume(const char *name);

/*
 * The block that write `number` goes to, of `blocks`, which is a power of two: every block
 * once in each round, in an order that jumps about.
 */
uint64_t stamp_lba(uint64_t number, uint64_t blocks);

/* Fills a block of STAMP_BLOCK bytes with the stamp, what follows from it, and a check. */
void stamp_encode(const struct stamp *stamp, uint8_t *block);

/*
 * Reads a block back. 0; -ENOENT if it is all zero; -EBADMSG if it is anything else than
 * stamp_encode() made, down to a bit.
 */
int stamp_decode(const uint8_t *block, struct stamp *ret);

/*
 * What an image shows: seen[lba] is the number of the write that each of `blocks` blocks
 * comes from, below[lba] what its stamp says. `completed` is ascending or not, no matter.
 */
struct stamp_verdict {
	uint64_t last;	 /* highest write in the image */
	uint64_t absent; /* lowest write that is not in it */
	uint64_t holes;	 /* writes below `last` that are not in it */
	uint64_t
		broken; /* blocks whose write is later than one that is not in the image */
	uint64_t missing; /* completed writes that are not in it */
};
void stamp_judge(const uint64_t *seen, const uint64_t *below, uint64_t blocks,
		 const uint64_t *completed, uint64_t n_completed,
		 struct stamp_verdict *ret);

#endif
