// SPDX-License-Identifier: BSD-3-Clause
#include "fec/store.h"

#include <errno.h>
#include <string.h>

#include "rt/check.h"
#include "rt/mem.h"

int store_init(struct store *st, size_t symbol_size, uint32_t capacity, uint32_t history)
{
	*st = (struct store){
		.symbol_size = symbol_size,
		.capacity = capacity,
		.history = history,
		.slots = (uint64_t)capacity + history,
	};
	st->bytes = rt_alloc_blocks(st->slots * symbol_size);
	st->state = rt_zalloc(st->slots, 1);
	if (st->bytes && st->state)
		return 0;
	store_release_memory(st);
	return -ENOMEM;
}

void store_release_memory(struct store *st)
{
	rt_free(st->bytes);
	rt_free(st->state);
	st->bytes = st->state = NULL;
}

void store_name(struct store *st, uint64_t end)
{
	rt_assert(store_reaches(st, end));
	if (end > st->seen)
		st->seen = end;
}

void store_know(struct store *st, uint64_t number, enum store_state state)
{
	uint8_t *slot = &st->state[number % st->slots];

	rt_assert(number >= st->released && *slot == STORE_MISSING);
	*slot = (uint8_t)state;
	store_name(st, number + 1);
	st->known++;
	st->rebuilt += state == STORE_REBUILT;
	while (st->missing_first < st->seen &&
	       store_state(st, st->missing_first) != STORE_MISSING)
		st->missing_first++;
}

void store_release(struct store *st, uint64_t below)
{
	uint64_t forget = st->released < st->history ? 0 : st->released - st->history;

	rt_assert(below <= st->missing_first);
	if (below <= st->released)
		return;
	st->released = below;
	for (; forget + st->history < below; forget++)
		st->state[forget % st->slots] = STORE_MISSING;
}
