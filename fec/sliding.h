/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_SLIDING_H
#define FEC_SLIDING_H

#include <stddef.h>
#include <stdint.h>

#include "fec/gf.h"
#include "fec/window.h"

struct fec_repair;

/*
 * The sender's sliding window: the symbols that the other side has not confirmed, at most
 * `window` of them, and the repairs over all of them.
 *
 *	first <= next <= first + window
 *
 * To add up each symbol of a long window for each repair would cost most of all. So a
 * window above SLIDING_PLAIN_MAX keeps, of each whole block of WINDOW_BLOCK symbols, the
 * sums that a repair may ask for.
 */
struct sliding {
	size_t symbol_size;
	uint16_t window;
	uint64_t first, next;
	uint64_t covered; /* one above the last symbol that a repair covered */
	uint32_t key;	  /* of the next repair */
	uint8_t *ring;	  /* owned: `window` symbols */
	/* Those of block b at b % blocks * WINDOW_BLOCK; its last symbol fills them in. */
	unsigned blocks;
	uint8_t *sums; /* owned: blocks * WINDOW_BLOCK symbols; NULL for a short window */
	uint8_t tables[WINDOW_BLOCK * WINDOW_BLOCK * GF_TABLE_LEN];
};

/* Up to here it is cheaper to add up symbols than to keep sums. */
#define SLIDING_PLAIN_MAX 32

/* An empty window before symbol `next`. 0 or -ENOMEM. */
int sliding_init(struct sliding *sl, size_t symbol_size, uint16_t window, uint64_t next);
void sliding_release_memory(struct sliding *sl);

void sliding_add(struct sliding *sl, const uint8_t *sym);
void sliding_confirm(struct sliding *sl, uint64_t below);
/* Over the whole window, which is not empty. */
void sliding_repair(struct sliding *sl, struct fec_repair *head, uint8_t *out);
/* Go on where `from` is, with its symbols, as many of the newest as there is room for. */
void sliding_inherit(struct sliding *sl, const struct sliding *from);

#endif
