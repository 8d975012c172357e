// SPDX-License-Identifier: BSD-3-Clause
#include "fec/sliding.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

int sliding_init(struct sliding *sl, size_t symbol_size, uint16_t window, uint64_t next)
{
	*sl = (struct sliding){
		.symbol_size = symbol_size,
		.window = window,
		.slots = window + SLIDING_SLACK,
		.first = next,
		.next = next,
		.covered = next,
	};
	sl->ring = rt_alloc_blocks(sl->slots * symbol_size);
	if (!sl->ring || plan_init(&sl->plan, symbol_size) < 0) {
		sliding_release_memory(sl);
		return -ENOMEM;
	}
	return 0;
}

void sliding_release_memory(struct sliding *sl)
{
	plan_release_memory(&sl->plan);
	rt_free(sl->ring);
	sl->ring = NULL;
}

static uint8_t *sliding_slot(const struct sliding *sl, uint64_t number)
{
	return sl->ring + number % sl->slots * sl->symbol_size;
}

static uint32_t sliding_key(struct sliding *sl)
{
	uint32_t key = sl->key++ & ~WINDOW_KEY_RANDOM;

	if (sl->window > WINDOW_CAUCHY_MAX)
		key |= WINDOW_KEY_RANDOM;
	return key;
}

void sliding_add(struct sliding *sl, const uint8_t *sym)
{
	memcpy(sliding_slot(sl, sl->next), sym, sl->symbol_size);
	plan_feed(&sl->plan, sl->next, sliding_slot(sl, sl->next));
	sl->next++;
	if (sl->next - sl->first > sl->window)
		sl->first++;
}

void sliding_confirm(struct sliding *sl, uint64_t below)
{
	if (below > sl->next)
		below = sl->next; /* the other side's word: it cannot confirm the future */
	if (below > sl->first)
		sl->first = below;
}

/* Add the combination of count symbols from `first` on to `out`. */
static void sliding_add_range(const struct sliding *sl, uint64_t first, unsigned count,
			      uint32_t key, uint8_t *out)
{
	uint8_t factors[FEC_WINDOW_MAX], sum[FEC_SYMBOL_MAX];
	const uint8_t *from[GF_SOURCES_MAX];
	unsigned n;

	window_coefficients(key, first, count, factors);
	for (unsigned done = 0; done < count; done += n) {
		n = count - done < GF_SOURCES_MAX ? count - done : GF_SOURCES_MAX;
		for (unsigned i = 0; i < n; i++)
			from[i] = sliding_slot(sl, first + done + i);
		gf_dot_product(sum, factors + done, from, n, sl->symbol_size);
		gf_add_multiple(out, 1, sum, sl->symbol_size);
	}
}

/*
 * Finish the oldest draft, if that is less work than to begin anew. It must cover the
 * whole window; it may cover confirmed symbols as well, but no more than a window of them
 * all, since that is what the other side keeps.
 */
static bool sliding_take_draft(struct sliding *sl, struct fec_repair *head, uint8_t *out)
{
	uint64_t most = sl->window, earliest, early, late;
	struct plan_draft *draft;

	earliest = sl->next < most ? 0 : sl->next - most;
	while ((draft = plan_oldest(&sl->plan)) &&
	       draft->first + SLIDING_SLACK < earliest)
		plan_drop(&sl->plan);
	if (!draft || draft->first >= sl->next)
		return false;
	early = draft->first < earliest ? earliest - draft->first : 0;
	late = draft->first > sl->first ? draft->first - sl->first : 0;
	if (early + late > (sl->next - sl->first) / 2)
		return false;
	memcpy(out, draft->bytes, sl->symbol_size);
	/* what was added leaves by being added again */
	sliding_add_range(sl, draft->first, (unsigned)early, draft->key, out);
	sliding_add_range(sl, sl->first, (unsigned)late, draft->key, out);
	head->first = draft->first + early - late;
	head->count = (uint16_t)(sl->next - head->first);
	head->key = draft->key;
	plan_drop(&sl->plan);
	return true;
}

void sliding_repair(struct sliding *sl, struct fec_repair *head, uint8_t *out)
{
	uint64_t first;

	rt_assert(sl->first < sl->next);
	*head = (struct fec_repair){ .stride = 1, .kind = FEC_COMBINATION };
	if (!sliding_take_draft(sl, head, out)) {
		head->first = sl->first;
		head->count = (uint16_t)(sl->next - sl->first);
		head->key = sliding_key(sl);
		memset(out, 0, sl->symbol_size);
		sliding_add_range(sl, head->first, head->count, head->key, out);
	}
	sl->covered = sl->next;
	if (plan_left(&sl->plan, sl->next, (unsigned)(sl->next - sl->first), &first))
		plan_begin(&sl->plan, first, sliding_key(sl));
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
}
