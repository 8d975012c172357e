// SPDX-License-Identifier: BSD-3-Clause
#include "fec/plan.h"

#include <errno.h>
#include <string.h>

#include "fec/gf.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

#define PLAN_ONE 256		     /* of the interval's unit */
#define PLAN_INTERVAL_MAX (1u << 16) /* symbols; rarer repairs are not worth a plan */

_Static_assert(PLAN_DRAFTS_MAX <= GF_ROWS_MAX, "one call feeds all drafts");

int plan_init(struct plan *plan, size_t symbol_size)
{
	*plan = (struct plan){ .symbol_size = symbol_size };
	plan->bytes = rt_alloc_blocks(PLAN_DRAFTS_MAX * symbol_size);
	if (!plan->bytes)
		return -ENOMEM;
	for (unsigned i = 0; i < PLAN_DRAFTS_MAX; i++)
		plan->draft[i].bytes = plan->bytes + i * symbol_size;
	return 0;
}

void plan_release_memory(struct plan *plan)
{
	rt_free(plan->bytes);
	plan->bytes = NULL;
}

static struct plan_draft *plan_draft(struct plan *plan, unsigned i)
{
	return &plan->draft[(plan->head + i) % PLAN_DRAFTS_MAX];
}

void plan_feed(struct plan *plan, uint64_t number, const uint8_t *sym)
{
	uint8_t *rows[PLAN_DRAFTS_MAX], factors[PLAN_DRAFTS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < plan->drafts; i++) {
		struct plan_draft *draft = plan_draft(plan, i);

		if (draft->first > number)
			continue;
		window_coefficients(draft->key, number, 1, &factors[n]);
		rows[n++] = draft->bytes;
	}
	gf_add_multiples(rows, factors, n, sym, plan->symbol_size);
}

bool plan_left(struct plan *plan, uint64_t next, unsigned count, uint64_t *first)
{
	uint64_t gap = next - plan->last, ahead;

	if (gap == 0)
		return false; /* one of several at once */
	plan->last = next;
	gap = (gap < PLAN_INTERVAL_MAX ? gap : PLAN_INTERVAL_MAX) * PLAN_ONE;
	if (plan->interval == 0)
		plan->interval = gap;
	else
		plan->interval = (plan->interval * 7 + gap) / 8;
	if (plan->interval == 0 || plan->drafts == PLAN_DRAFTS_MAX)
		return false;
	/* the first of the repairs to come whose window begins no earlier than now */
	ahead = (count * PLAN_ONE + plan->interval - 1) / plan->interval;
	*first = next + (ahead * plan->interval + PLAN_ONE - 1) / PLAN_ONE - count;
	return true;
}

void plan_begin(struct plan *plan, uint64_t first, uint32_t key)
{
	struct plan_draft *draft = plan_draft(plan, plan->drafts);

	rt_assert(plan->drafts < PLAN_DRAFTS_MAX);
	plan->drafts++;
	draft->first = first;
	draft->key = key;
	memset(draft->bytes, 0, plan->symbol_size);
}

struct plan_draft *plan_oldest(struct plan *plan)
{
	return plan->drafts ? plan_draft(plan, 0) : NULL;
}

void plan_drop(struct plan *plan)
{
	plan->head = (plan->head + 1) % PLAN_DRAFTS_MAX;
	plan->drafts--;
}
