/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_PLAN_H
#define FEC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Repairs made ahead of time. A repair over 128 symbols reads 128 symbols; when repairs
 * leave regularly it is cheaper to add each symbol, while it is in the cache, to all the
 * repairs that will cover it. So from the repairs so far the plan guesses when the one
 * after a whole window will leave, and begins it where its window will begin. A guess that
 * is off by a few symbols is mended when the repair is taken.
 *
 *	draft i holds the symbols first .. next - 1, none while first >= next
 *	drafts are in the order in which they will be taken
 */
#define PLAN_DRAFTS_MAX 64

struct plan_draft {
	uint64_t first;
	uint32_t key;
	uint8_t *bytes; /* a slot of plan.bytes */
};

struct plan {
	size_t symbol_size;
	unsigned head, drafts;
	struct plan_draft draft[PLAN_DRAFTS_MAX]; /* a ring from head on */
	uint8_t *bytes;				  /* owned: PLAN_DRAFTS_MAX symbols */
	uint64_t last;	   /* next symbol when the last repair left */
	uint64_t interval; /* symbols between repairs, smoothed, in 1/256; 0: unknown */
};

/* 0 or -ENOMEM. */
int plan_init(struct plan *plan, size_t symbol_size);
void plan_release_memory(struct plan *plan);

/* Symbol `number` is the next one. */
void plan_feed(struct plan *plan, uint64_t number, const uint8_t *sym);
/*
 * A repair leaves that ends before symbol `next` and covers `count` symbols. True if a
 * draft should be begun for a later one: the caller gives it a key by plan_begin().
 */
bool plan_left(struct plan *plan, uint64_t next, unsigned count, uint64_t *first);
void plan_begin(struct plan *plan, uint64_t first, uint32_t key);
/* The draft to be taken next, or NULL. */
struct plan_draft *plan_oldest(struct plan *plan);
void plan_drop(struct plan *plan);

#endif
