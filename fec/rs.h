/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_RS_H
#define FEC_RS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct repair_queue;
struct fec_params;

/*
 * Block Reed-Solomon: r symbols, then c combinations of just these, with the coefficients
 * of a Cauchy matrix, so that any r of the r + c rebuild the block. A repair is one of the
 * window code's whose window is the block. Of its keys those are chosen that give each
 * block the same matrix.
 */
struct rs {
	size_t symbol_size;
	uint16_t r, c;
	uint16_t count;	 /* symbols of the block so far, 0..r - 1 between calls */
	uint64_t first;	 /* symbol of the block */
	uint8_t *bytes;	 /* owned: r symbols */
	uint8_t *tables; /* owned: of the matrix of a full block, for gf_combine() */
};

/* 0 or -ENOMEM; the parameters are in range. */
int rs_init(struct rs *rs, const struct fec_params *params);
void rs_release_memory(struct rs *rs);

/* Symbol x is the next one; with the last of a block its repairs go to `queue`. */
void rs_add(struct rs *rs, uint64_t x, const uint8_t *sym, struct repair_queue *queue);
/* Close a block that is short. */
void rs_flush(struct rs *rs, struct repair_queue *queue);
bool rs_partial(const struct rs *rs);

#endif
