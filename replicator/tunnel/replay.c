// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/replay.h"

#include <errno.h>
#include <string.h>

#include "rt/mem.h"

#define REPLAY_WORD 64u

int replay_init(struct replay *r, uint64_t want)
{
	uint64_t size = REPLAY_MIN;

	while (size < want && size < REPLAY_MAX)
		size *= 2;
	r->highest = 0;
	r->size = size;
	r->bits = rt_zalloc(size / REPLAY_WORD, sizeof(*r->bits));
	return r->bits == NULL ? -ENOMEM : 0;
}

void replay_release(struct replay *r)
{
	rt_free(r->bits);
	r->bits = NULL;
}

/*
 * Whole words go when the window moves into them, so it holds up to a word less than
 * `size` numbers; that is what `replay_take` grants below.
 */
static void replay_advance(struct replay *r, uint64_t number)
{
	uint64_t words = r->size / REPLAY_WORD;
	uint64_t from = r->highest / REPLAY_WORD + 1, to = number / REPLAY_WORD;

	if (to >= from && to - from >= words)
		from = to - words + 1;
	for (uint64_t w = from; w <= to; w++)
		r->bits[w % words] = 0;
	r->highest = number;
}

bool replay_take(struct replay *r, uint64_t number)
{
	uint64_t words = r->size / REPLAY_WORD, word = number / REPLAY_WORD;
	uint64_t bit = UINT64_C(1) << number % REPLAY_WORD;

	if (number > r->highest)
		replay_advance(r, number);
	else if (r->highest / REPLAY_WORD - word >= words)
		return false;
	if (r->bits[word % words] & bit)
		return false;
	r->bits[word % words] |= bit;
	return true;
}

bool replay_has(const struct replay *r, uint64_t number)
{
	uint64_t words = r->size / REPLAY_WORD, word = number / REPLAY_WORD;

	return number <= r->highest && r->highest / REPLAY_WORD - word < words &&
	       (r->bits[word % words] >> number % REPLAY_WORD & 1);
}
