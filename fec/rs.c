// SPDX-License-Identifier: BSD-3-Clause
#include "fec/rs.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/repair_queue.h"
#include "fec/window.h"
#include "rt/mem.h"

_Static_assert(FEC_BLOCK_MAX <= WINDOW_CAUCHY_MAX, "a block's matrix is regular");
_Static_assert(FEC_BLOCK_MAX <= GF_SOURCES_MAX, "a block is summed up in one call");

/*
 * The key of row `row` of the block that begins with symbol `first`. Its upper bits move
 * the symbols' part of the Cauchy matrix by 37 each; 83 * 37 is -1 modulo 128, so that
 * these take symbol `first` to column 0.
 */
static uint32_t rs_key(uint64_t first, unsigned row)
{
	return (uint32_t)(first * 83 % 128) << 7 | row;
}

int rs_init(struct rs *rs, const struct fec_params *params)
{
	uint8_t factors[FEC_BLOCK_MAX];

	*rs = (struct rs){
		.symbol_size = params->symbol_size,
		.r = params->r,
		.c = params->c,
	};
	if (rs->c == 0)
		return 0;
	rs->bytes = rt_alloc_blocks(rs->r * rs->symbol_size);
	rs->tables = rt_alloc_blocks((size_t)rs->r * rs->c * GF_TABLE_LEN);
	if (!rs->bytes || !rs->tables) {
		rs_release_memory(rs);
		return -ENOMEM;
	}
	for (unsigned row = 0; row < rs->c; row++) {
		window_coefficients(rs_key(0, row), 0, rs->r, factors);
		for (unsigned i = 0; i < rs->r; i++)
			memcpy(rs->tables + (row * rs->r + i) * GF_TABLE_LEN,
			       gf_tables[factors[i]], GF_TABLE_LEN);
	}
	return 0;
}

void rs_release_memory(struct rs *rs)
{
	rt_free(rs->bytes);
	rt_free(rs->tables);
	*rs = (struct rs){ 0 };
}

void rs_flush(struct rs *rs, struct repair_queue *queue)
{
	const uint8_t *from[FEC_BLOCK_MAX];
	uint8_t *rows[FEC_BLOCK_MAX], factors[FEC_BLOCK_MAX];
	struct fec_repair head = { .first = rs->first,
				   .count = rs->count,
				   .stride = 1,
				   .kind = FEC_COMBINATION };

	if (rs->count == 0)
		return;
	for (unsigned i = 0; i < rs->count; i++)
		from[i] = rs->bytes + i * rs->symbol_size;
	for (unsigned row = 0; row < rs->c; row++) {
		head.key = rs_key(rs->first, row);
		rows[row] = repair_queue_push(queue, &head);
		if (rs->count == rs->r)
			continue;
		window_coefficients(head.key, rs->first, rs->count, factors);
		gf_dot_product(rows[row], factors, from, rs->count, rs->symbol_size);
	}
	if (rs->count == rs->r)
		gf_combine(rows, rs->c, rs->tables, from, rs->r, rs->symbol_size);
	rs->count = 0;
}

void rs_add(struct rs *rs, uint64_t x, const uint8_t *sym, struct repair_queue *queue)
{
	if (rs->c == 0)
		return;
	if (rs->count == 0)
		rs->first = x;
	memcpy(rs->bytes + rs->count * rs->symbol_size, sym, rs->symbol_size);
	if (++rs->count == rs->r)
		rs_flush(rs, queue);
}

bool rs_partial(const struct rs *rs)
{
	return rs->count > 0;
}
