// SPDX-License-Identifier: BSD-3-Clause
#include "fec/sliding.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

_Static_assert(FEC_WINDOW_MAX / WINDOW_BLOCK + 2 * WINDOW_BLOCK <= GF_SOURCES_MAX,
	       "a repair is added up in one call");
_Static_assert(SLIDING_PLAIN_MAX <= WINDOW_CAUCHY_MAX, "Cauchy serves a short window");

/* Room for the blocks of a window, and for those that begin before it or end after. */
static int sliding_init_sums(struct sliding *sl)
{
	sl->blocks = sl->window / WINDOW_BLOCK + 2;
	sl->sums = rt_alloc_blocks(sl->blocks * WINDOW_BLOCK * sl->symbol_size);
	if (!sl->sums)
		return -ENOMEM;
	for (unsigned row = 0; row < WINDOW_BLOCK; row++)
		for (unsigned i = 0; i < WINDOW_BLOCK; i++)
			memcpy(sl->tables + (row * WINDOW_BLOCK + i) * GF_TABLE_LEN,
			       gf_tables[window_row_factor(row, i)], GF_TABLE_LEN);
	return 0;
}

int sliding_init(struct sliding *sl, size_t symbol_size, uint16_t window, uint64_t next)
{
	*sl = (struct sliding){
		.symbol_size = symbol_size,
		.window = window,
		.first = next,
		.next = next,
		.covered = next,
	};
	sl->ring = rt_alloc_blocks(window * symbol_size);
	if (!sl->ring)
		return -ENOMEM;
	if (window > SLIDING_PLAIN_MAX && sliding_init_sums(sl) < 0) {
		sliding_release_memory(sl);
		return -ENOMEM;
	}
	return 0;
}

void sliding_release_memory(struct sliding *sl)
{
	rt_free(sl->ring);
	rt_free(sl->sums);
	sl->ring = NULL;
	sl->sums = NULL;
}

static uint8_t *sliding_slot(const struct sliding *sl, uint64_t number)
{
	return sl->ring + number % sl->window * sl->symbol_size;
}

static uint8_t *sliding_sum(const struct sliding *sl, uint64_t block, unsigned row)
{
	return sl->sums + (block % sl->blocks * WINDOW_BLOCK + row) * sl->symbol_size;
}

/* All symbols of the block are in the ring. */
static void sliding_sum_up(struct sliding *sl, uint64_t block)
{
	const uint8_t *from[WINDOW_BLOCK];
	uint8_t *rows[WINDOW_BLOCK];

	for (unsigned i = 0; i < WINDOW_BLOCK; i++) {
		from[i] = sliding_slot(sl, block * WINDOW_BLOCK + i);
		rows[i] = sliding_sum(sl, block, i);
	}
	gf_combine(rows, WINDOW_BLOCK, sl->tables, from, WINDOW_BLOCK, sl->symbol_size);
}

void sliding_add(struct sliding *sl, const uint8_t *sym)
{
	memcpy(sliding_slot(sl, sl->next), sym, sl->symbol_size);
	sl->next++;
	if (sl->next - sl->first > sl->window)
		sl->first++;
	/* one that began before the window is not asked for */
	if (sl->sums && sl->next % WINDOW_BLOCK == 0 &&
	    sl->next - sl->first >= WINDOW_BLOCK)
		sliding_sum_up(sl, sl->next / WINDOW_BLOCK - 1);
}

void sliding_confirm(struct sliding *sl, uint64_t below)
{
	if (below > sl->next)
		below = sl->next; /* the other side's word: it cannot confirm the future */
	if (below > sl->first)
		sl->first = below;
}

/*
 * Gather what a repair adds up: single symbols, and with sums one for each whole block.
 * Returns how many.
 */
static unsigned sliding_gather(const struct sliding *sl, uint32_t key, uint8_t *factors,
			       const uint8_t **from)
{
	uint64_t number = sl->first;
	unsigned n = 0;

	while (number < sl->next) {
		uint64_t block = number / WINDOW_BLOCK;

		if (sl->sums && number % WINDOW_BLOCK == 0 &&
		    sl->next - number >= WINDOW_BLOCK) {
			factors[n] = window_block_factor(key, block);
			from[n++] = sliding_sum(sl, block, key % WINDOW_BLOCK);
			number += WINDOW_BLOCK;
		} else {
			window_coefficients(key, number, 1, &factors[n]);
			from[n++] = sliding_slot(sl, number);
			number++;
		}
	}
	return n;
}

void sliding_repair(struct sliding *sl, struct fec_repair *head, uint8_t *out)
{
	uint8_t factors[GF_SOURCES_MAX];
	const uint8_t *from[GF_SOURCES_MAX];
	unsigned n;

	rt_assert(sl->first < sl->next);
	*head = (struct fec_repair){
		.first = sl->first,
		.count = (uint16_t)(sl->next - sl->first),
		.key = sl->key++ & ~WINDOW_KEY_BLOCKED,
		.stride = 1,
		.kind = FEC_COMBINATION,
	};
	if (sl->sums)
		head->key |= WINDOW_KEY_BLOCKED;
	n = sliding_gather(sl, head->key, factors, from);
	gf_dot_product(out, factors, from, n, sl->symbol_size);
	sl->covered = sl->next;
}

void sliding_inherit(struct sliding *sl, const struct sliding *from)
{
	uint64_t first = from->first;

	if (from->next - first > sl->window)
		first = from->next - sl->window;
	sl->first = first;
	sl->next = from->next;
	sl->covered = from->covered;
	sl->key = from->key;
	for (; first < sl->next; first++)
		memcpy(sliding_slot(sl, first), sliding_slot(from, first),
		       sl->symbol_size);
	first = (sl->first + WINDOW_BLOCK - 1) / WINDOW_BLOCK;
	for (; sl->sums && (first + 1) * WINDOW_BLOCK <= sl->next; first++)
		sliding_sum_up(sl, first);
}
