/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_PEELER_H
#define FEC_PEELER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fec_repair;
struct peeler_row;
struct store;

/*
 * The plain sums that wait for symbols. What is known of a sum is taken out of it; one
 * with a single symbol left is that symbol, and it may be the last that another sum waits
 * for. Nothing is combined: that is layered interleaving's own decoder, for comparison.
 */
struct peeler {
	struct store *store; /* borrowed */
	size_t symbol_size;
	unsigned active, ready; /* rows in use, the first ones; those of one unknown */
	uint64_t end; /* one above the last symbol that any row covers, or more */
	struct peeler_row *row; /* owned: PEELER_ROWS_MAX */
	uint8_t *bytes;		/* owned: as many symbols */
};

/* Sums that may wait: what bounds memory, and the work of one call to
 * PEELER_ROWS_MAX * FEC_BLOCK_MAX additions of symbols. */
#define PEELER_ROWS_MAX 512

/* 0 or -ENOMEM. */
int peeler_init(struct peeler *pl, struct store *store);
void peeler_release_memory(struct peeler *pl);

/*
 * A sum of symbols that are all held by the store or missing, at least one missing. 0, or
 * -ENOBUFS when too many wait. What it determines is written by peeler_step().
 */
int peeler_add(struct peeler *pl, const struct fec_repair *head, const uint8_t *bytes);
/* A symbol that was missing has been put into the store, not by the peeler itself. */
void peeler_known(struct peeler *pl, uint64_t number);
/* Rebuild one symbol that is determined: its number. False when none is. */
bool peeler_step(struct peeler *pl, uint64_t *number);

#endif
