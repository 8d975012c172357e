// SPDX-License-Identifier: BSD-3-Clause
#include "fec/peeler.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/store.h"
#include "rt/check.h"
#include "rt/mem.h"

struct peeler_row {
	uint64_t first; /* symbol; the others follow `stride` apart */
	uint32_t span;	/* symbols from the first to the last */
	uint16_t stride;
	uint16_t unknowns; /* at least 1 */
	uint8_t *bytes;	   /* their sum */
};

int peeler_init(struct peeler *pl, struct store *store)
{
	*pl = (struct peeler){ .store = store, .symbol_size = store->symbol_size };
	pl->row = rt_zalloc(PEELER_ROWS_MAX, sizeof(*pl->row));
	pl->bytes = rt_alloc_blocks(PEELER_ROWS_MAX * pl->symbol_size);
	if (!pl->row || !pl->bytes) {
		peeler_release_memory(pl);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < PEELER_ROWS_MAX; i++)
		pl->row[i].bytes = pl->bytes + i * pl->symbol_size;
	return 0;
}

void peeler_release_memory(struct peeler *pl)
{
	rt_free(pl->row);
	rt_free(pl->bytes);
	*pl = (struct peeler){ 0 };
}

int peeler_add(struct peeler *pl, const struct fec_repair *head, const uint8_t *bytes)
{
	struct peeler_row *row = &pl->row[pl->active];
	uint64_t number = head->first;

	if (pl->active == PEELER_ROWS_MAX)
		return -ENOBUFS;
	row->first = head->first;
	row->span = (head->count - 1u) * head->stride + 1;
	row->stride = head->stride;
	row->unknowns = 0;
	memcpy(row->bytes, bytes, pl->symbol_size);
	for (unsigned i = 0; i < head->count; i++, number += head->stride) {
		if (store_state(pl->store, number) == STORE_MISSING)
			row->unknowns++;
		else
			gf_xor(row->bytes, row->bytes, store_slot(pl->store, number),
			       pl->symbol_size);
	}
	rt_assert(row->unknowns > 0);
	pl->active++;
	pl->ready += row->unknowns == 1;
	if (row->first + row->span > pl->end)
		pl->end = row->first + row->span;
	return 0;
}

static bool row_covers(const struct peeler_row *row, uint64_t number)
{
	return number >= row->first && number - row->first < row->span &&
	       (uint32_t)(number - row->first) % row->stride == 0;
}

/* The last row comes into its place. */
static void peeler_drop(struct peeler *pl, struct peeler_row *row)
{
	struct peeler_row gone = *row, *last = &pl->row[--pl->active];

	*row = *last;
	*last = gone;
	if (pl->active == 0)
		pl->end = 0;
}

void peeler_known(struct peeler *pl, uint64_t number)
{
	if (number >= pl->end)
		return;
	for (unsigned i = pl->active; i-- > 0;) {
		struct peeler_row *row = &pl->row[i];

		if (!row_covers(row, number))
			continue;
		if (--row->unknowns == 0) {
			pl->ready--;
			peeler_drop(pl, row);
			continue;
		}
		gf_xor(row->bytes, row->bytes, store_slot(pl->store, number),
		       pl->symbol_size);
		pl->ready += row->unknowns == 1;
	}
}

bool peeler_step(struct peeler *pl, uint64_t *number)
{
	struct peeler_row *row = pl->row;
	uint64_t n;

	if (pl->ready == 0)
		return false;
	while (row->unknowns != 1)
		row++;
	for (n = row->first; store_state(pl->store, n) != STORE_MISSING;)
		n += row->stride;
	memcpy(store_slot(pl->store, n), row->bytes, pl->symbol_size);
	store_know(pl->store, n, STORE_REBUILT);
	peeler_known(pl, n); /* which also drops this row */
	*number = n;
	return true;
}
