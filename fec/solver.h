/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_SOLVER_H
#define FEC_SOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct solver_row;
struct store;

/*
 * The repairs that wait for symbols, as linear equations in missing symbols only. They
 * are kept in minimal-span form: no two rows have the same first unknown, and no two the
 * same last one. (Known from trellises of block codes: Kschischang and Sorokine, "On the
 * trellis structure of block codes", 1995.) In that form
 *
 *   - the rows are independent, so their number is the rank;
 *   - no row spans more than `window` symbols, however many were combined;
 *   - a symbol is determined exactly if some row has it as its only unknown: a combination
 *     of rows spans what its rows span together, since nothing at the ends can cancel.
 *
 * Taking in a row or a symbol costs at most some 2 * rows additions of rows, whatever the
 * other side sends.
 */
struct solver {
	struct store *store; /* borrowed */
	size_t symbol_size, row_len;
	uint16_t window, mask; /* unknown n has its coefficient at n & mask */
	uint16_t rows, active; /* all there are, and those in use */
	uint16_t solved;
	struct solver_row *row; /* owned: rows of them */
	uint16_t *order;	/* owned: indices of rows, those in use first */
	uint16_t *by_lead;	/* owned: for each slot of the store, 1 + row, or 0 */
	uint16_t *by_end;	/* owned: same, by last unknown */
	uint16_t *done;		/* owned: rows of one unknown, to be written out */
	uint8_t *bytes;		/* owned: the rows' */
};

/* Rows held at least, so that a tiny window can still be solved. */
#define SOLVER_ROWS_MIN 64

/* 0 or -ENOMEM. */
int solver_init(struct solver *sv, struct store *store, uint16_t window);
void solver_release_memory(struct solver *sv);

/*
 * A repair over count <= window symbols from `first` on, all of them held by the store or
 * missing, at least one missing. 0, also when it brings nothing new; -ENOBUFS when too
 * many wait. What it determines is written to the store by solver_step().
 */
int solver_add(struct solver *sv, uint64_t first, unsigned count, uint32_t key,
	       const uint8_t *bytes);
/* A symbol that was missing has been put into the store, not by the solver itself. */
void solver_known(struct solver *sv, uint64_t number);
/* Rebuild one symbol that is determined: its number. False when none is. */
bool solver_step(struct solver *sv, uint64_t *number);

#endif
