/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_SLIDING_H
#define FEC_SLIDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fec/plan.h"

struct fec_repair;

/*
 * The sender's sliding window: the symbols that the other side has not confirmed, at most
 * `window` of them, and the repairs over all of them.
 *
 *	first <= next <= first + window
 *
 * The ring holds the last window + SLIDING_SLACK symbols, of the window's and of those
 * before it.
 */
struct sliding {
	size_t symbol_size;
	uint16_t window;
	unsigned slots;
	uint64_t first, next;
	uint64_t covered; /* one above the last symbol that a repair covered */
	uint32_t key;	  /* of the next repair */
	uint8_t *ring;	  /* owned: slots symbols */
	struct plan plan;
};

/* Symbols kept behind the window, to be taken out of drafts that began too early. */
#define SLIDING_SLACK 64

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
