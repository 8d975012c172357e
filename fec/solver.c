// SPDX-License-Identifier: BSD-3-Clause
#include "fec/solver.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/store.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

struct solver_row {
	uint64_t lead, end; /* first and last unknown; lead > end: there are none */
	uint16_t place;	    /* of this row in `order` */
	uint8_t *bytes;	    /* the combined symbol, then mask + 1 coefficients */
};

/* ---- set-up ----------------------------------------------------------------------------- */

static uint16_t solver_mask(uint16_t window)
{
	unsigned size = 32; /* no shorter than one vector of isa-l */

	while (size < window)
		size *= 2;
	return (uint16_t)(size - 1);
}

int solver_init(struct solver *sv, struct store *store, uint16_t window)
{
	*sv = (struct solver){
		.store = store,
		.symbol_size = store->symbol_size,
		.window = window,
		.mask = solver_mask(window),
		.rows = window < SOLVER_ROWS_MIN ? SOLVER_ROWS_MIN : window,
	};
	sv->row_len = sv->symbol_size + sv->mask + 1;
	sv->row = rt_zalloc(sv->rows, sizeof(*sv->row));
	sv->order = rt_zalloc(sv->rows, sizeof(*sv->order));
	sv->by_lead = rt_zalloc(store->slots, sizeof(*sv->by_lead));
	sv->by_end = rt_zalloc(store->slots, sizeof(*sv->by_end));
	sv->done = rt_zalloc(sv->rows, sizeof(*sv->done));
	sv->bytes = rt_alloc_blocks(sv->rows * sv->row_len);
	if (!sv->row || !sv->order || !sv->by_lead || !sv->by_end || !sv->done ||
	    !sv->bytes) {
		solver_release_memory(sv);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < sv->rows; i++) {
		sv->row[i].bytes = sv->bytes + i * sv->row_len;
		sv->row[i].place = (uint16_t)i;
		sv->order[i] = (uint16_t)i;
	}
	return 0;
}

void solver_release_memory(struct solver *sv)
{
	rt_free(sv->row);
	rt_free(sv->order);
	rt_free(sv->by_lead);
	rt_free(sv->by_end);
	rt_free(sv->done);
	rt_free(sv->bytes);
	*sv = (struct solver){ 0 };
}

/* ---- one row ---------------------------------------------------------------------------- */

static uint8_t *row_factor(const struct solver *sv, const struct solver_row *row,
			   uint64_t number)
{
	return row->bytes + sv->symbol_size + (number & sv->mask);
}

static bool row_empty(const struct solver_row *row)
{
	return row->lead > row->end;
}

/* Let lead and end be unknowns with a coefficient. False when there are none. */
static bool row_trim(const struct solver *sv, struct solver_row *row)
{
	while (!row_empty(row) && *row_factor(sv, row, row->lead) == 0)
		row->lead++;
	while (!row_empty(row) && *row_factor(sv, row, row->end) == 0)
		row->end--;
	return !row_empty(row);
}

/* Add the multiple of `other` that removes unknown `number` from `row`. */
static void row_eliminate(const struct solver *sv, struct solver_row *row,
			  const struct solver_row *other, uint64_t number)
{
	uint8_t have = *row_factor(sv, row, number);
	uint8_t theirs = *row_factor(sv, other, number);

	gf_add_multiple(row->bytes, gf_multiply(have, gf_inverses[theirs]), other->bytes,
			sv->row_len);
	if (other->end > row->end)
		row->end = other->end;
}

/* ---- rows in use ------------------------------------------------------------------------ */

static uint16_t *solver_at(const struct solver *sv, uint16_t *table, uint64_t number)
{
	return &table[number % sv->store->slots];
}

static uint16_t solver_index(const struct solver *sv, const struct solver_row *row)
{
	return (uint16_t)(row - sv->row);
}

static struct solver_row *solver_take(struct solver *sv)
{
	rt_assert(sv->active < sv->rows);
	return &sv->row[sv->order[sv->active++]];
}

static void solver_give_back(struct solver *sv, struct solver_row *row)
{
	struct solver_row *last = &sv->row[sv->order[--sv->active]];
	uint16_t place = row->place;

	sv->order[place] = solver_index(sv, last);
	last->place = place;
	sv->order[sv->active] = solver_index(sv, row);
	row->place = sv->active;
}

/* Out of both tables; lead and end are those it was put in with. */
static void solver_unlink(struct solver *sv, const struct solver_row *row)
{
	*solver_at(sv, sv->by_lead, row->lead) = 0;
	*solver_at(sv, sv->by_end, row->end) = 0;
}

/* No other row has this row's lead: let no other have its end. */
static void solver_link_end(struct solver *sv, struct solver_row *row)
{
	for (;;) {
		uint16_t *at = solver_at(sv, sv->by_end, row->end);
		struct solver_row *other = *at ? &sv->row[*at - 1] : NULL;

		if (!other || other->lead < row->lead) {
			*at = (uint16_t)(solver_index(sv, row) + 1);
			if (row->lead == row->end)
				sv->done[sv->solved++] = solver_index(sv, row);
			if (!other)
				return;
			/* the longer one changes, so that its lead stays what it is */
			struct solver_row *longer = other;
			other = row;
			row = longer;
		}
		row_eliminate(sv, row, other, row->end);
		(void)row_trim(sv, row); /* its lead is left */
	}
}

/* Bring a row that is in no table into minimal-span form with the others. */
static void solver_link(struct solver *sv, struct solver_row *row)
{
	uint16_t *at;

	for (;;) {
		if (!row_trim(sv, row)) {
			solver_give_back(sv, row); /* it said nothing new */
			return;
		}
		at = solver_at(sv, sv->by_lead, row->lead);
		if (*at == 0)
			break;
		row_eliminate(sv, row, &sv->row[*at - 1], row->lead);
	}
	*at = (uint16_t)(solver_index(sv, row) + 1);
	solver_link_end(sv, row);
}

/* ---- knowledge -------------------------------------------------------------------------- */

/* Take a symbol that the store now has out of every row. */
static void solver_substitute(struct solver *sv, uint64_t number)
{
	const uint8_t *sym = store_slot(sv->store, number);
	unsigned active = sv->active;

	for (unsigned i = 0; i < active; i++) {
		struct solver_row *row = &sv->row[sv->order[i]];
		uint8_t *factor = row_factor(sv, row, number);

		if (number < row->lead || number > row->end || *factor == 0)
			continue;
		gf_add_multiple(row->bytes, *factor, sym, sv->symbol_size);
		*factor = 0;
		if (number == row->lead || number == row->end) {
			solver_unlink(sv, row);
			solver_link(sv, row);
		}
	}
	/* none was left empty: rows that determine `number` have one of it alone, taken before */
	rt_assert(sv->active == active);
}

bool solver_step(struct solver *sv, uint64_t *number)
{
	struct solver_row *row;
	const uint8_t *from[1];
	uint8_t factor;

	if (sv->solved == 0)
		return false;
	row = &sv->row[sv->done[--sv->solved]];
	from[0] = row->bytes;
	*number = row->lead;
	factor = gf_inverses[*row_factor(sv, row, row->lead)];
	gf_dot_product(store_slot(sv->store, row->lead), &factor, from, 1,
		       sv->symbol_size);
	store_know(sv->store, row->lead, STORE_REBUILT);
	solver_unlink(sv, row);
	solver_give_back(sv, row);
	solver_substitute(sv, *number);
	return true;
}

/* row = repair minus every symbol of it that is known. */
static void solver_load(struct solver *sv, struct solver_row *row, uint64_t first,
			unsigned count, uint32_t key, const uint8_t *bytes)
{
	uint8_t factors[FEC_WINDOW_MAX], known[GF_SOURCES_MAX], sum[FEC_SYMBOL_MAX];
	const uint8_t *from[GF_SOURCES_MAX];
	unsigned n = 0;

	window_coefficients(key, first, count, factors);
	memcpy(row->bytes, bytes, sv->symbol_size);
	memset(row->bytes + sv->symbol_size, 0, sv->mask + 1u);
	row->lead = first;
	row->end = first + count - 1;
	for (unsigned i = 0; i < count; i++) {
		if (store_state(sv->store, first + i) == STORE_MISSING) {
			*row_factor(sv, row, first + i) = factors[i];
		} else {
			known[n] = factors[i];
			from[n++] = store_slot(sv->store, first + i);
		}
		if (n && (n == GF_SOURCES_MAX || i == count - 1)) {
			gf_dot_product(sum, known, from, n, sv->symbol_size);
			gf_add_multiple(row->bytes, 1, sum, sv->symbol_size);
			n = 0;
		}
	}
}

int solver_add(struct solver *sv, uint64_t first, unsigned count, uint32_t key,
	       const uint8_t *bytes)
{
	struct solver_row *row;

	rt_assert(count > 0 && count <= sv->window);
	if (sv->active == sv->rows)
		return -ENOBUFS;
	row = solver_take(sv);
	solver_load(sv, row, first, count, key, bytes);
	solver_link(sv, row);
	return 0;
}

void solver_known(struct solver *sv, uint64_t number)
{
	/* a row that is done and waits for its step would be left on the list */
	rt_assert(sv->solved == 0);
	if (sv->active)
		solver_substitute(sv, number);
}
