/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_STORE_H
#define FEC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_state { STORE_MISSING, STORE_RECEIVED, STORE_REBUILT };

/*
 * A decoder's symbols by number, for any code: a ring of `slots` = history + capacity.
 *
 *	released - history <= what is held < released + capacity
 *	released <= missing_first <= seen <= released + capacity
 *
 * Everything below missing_first is known, what was released among it. `known` counts
 * every symbol ever known, so seen - known of them are missing.
 */
struct store {
	size_t symbol_size;
	uint32_t capacity, history;
	uint64_t slots;
	uint64_t released, missing_first, seen, known, rebuilt;
	uint8_t *bytes; /* owned: slots symbols */
	uint8_t *state; /* owned: enum store_state of each slot */
};

/* 0 or -ENOMEM. */
int store_init(struct store *st, size_t symbol_size, uint32_t capacity, uint32_t history);
void store_release_memory(struct store *st);

/* Whether symbol numbers below `end` can be held now. */
static inline bool store_reaches(const struct store *st, uint64_t end)
{
	return end <= st->released || end - st->released <= st->capacity;
}

static inline uint8_t *store_slot(const struct store *st, uint64_t number)
{
	return st->bytes + number % st->slots * st->symbol_size;
}

/* Of a number that is held. */
static inline enum store_state store_state(const struct store *st, uint64_t number)
{
	return (enum store_state)st->state[number % st->slots];
}

/* Something names the symbols below `end`, which store_reaches(). */
void store_name(struct store *st, uint64_t end);
/* The bytes of a missing symbol have been written to its slot. */
void store_know(struct store *st, uint64_t number, enum store_state state);
/* The reader is done with what is below, all of which is known. */
void store_release(struct store *st, uint64_t below);

#endif
