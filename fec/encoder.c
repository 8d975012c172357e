// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/plan.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

/* Symbols kept behind the window, to be taken out of drafts that began too early. */
#define ENCODER_SLACK 64

/*
 * Invariant: first <= next <= first + window. The ring holds the last window +
 * ENCODER_SLACK symbols, of the window's and of those before it.
 */
struct fec_encoder {
	struct fec_params params;
	uint64_t first, next;
	uint32_t key; /* of the next repair */
	unsigned slots;
	uint8_t *ring;	  /* owned: slots symbols; NULL for FEC_NONE */
	struct plan plan; /* FEC_WINDOW only */
};

static uint8_t *encoder_slot(const struct fec_encoder *enc, uint64_t number)
{
	return enc->ring + number % enc->slots * enc->params.symbol_size;
}

static uint32_t encoder_key(struct fec_encoder *enc)
{
	uint32_t key = enc->key++ & ~WINDOW_KEY_RANDOM;

	if (enc->params.window > WINDOW_CAUCHY_MAX)
		key |= WINDOW_KEY_RANDOM;
	return key;
}

int fec_encoder_new(const struct fec_params *params, struct fec_encoder **ret)
{
	struct fec_encoder *enc;
	int err = fec_params_check(params);

	if (err < 0)
		return err;
	enc = rt_zalloc(1, sizeof(*enc));
	if (!enc)
		return -ENOMEM;
	enc->params = *params;
	if (params->code == FEC_WINDOW) {
		enc->slots = params->window + ENCODER_SLACK;
		enc->ring = rt_alloc_blocks((size_t)enc->slots * params->symbol_size);
		if (!enc->ring || plan_init(&enc->plan, params->symbol_size) < 0)
			goto fail;
	}
	*ret = enc;
	return 0;
fail:
	fec_encoder_free(enc);
	return -ENOMEM;
}

void fec_encoder_free(struct fec_encoder *enc)
{
	if (!enc)
		return;
	plan_release_memory(&enc->plan);
	rt_free(enc->ring);
	rt_free(enc);
}

void fec_encoder_add(struct fec_encoder *enc, const uint8_t *sym)
{
	if (enc->params.code == FEC_NONE) {
		enc->first = ++enc->next;
		return;
	}
	memcpy(encoder_slot(enc, enc->next), sym, enc->params.symbol_size);
	plan_feed(&enc->plan, enc->next, encoder_slot(enc, enc->next));
	enc->next++;
	if (enc->next - enc->first > enc->params.window)
		enc->first++;
}

void fec_encoder_confirm(struct fec_encoder *enc, uint64_t below)
{
	if (below > enc->next)
		below = enc->next; /* the other side's word: it cannot confirm the future */
	if (below > enc->first)
		enc->first = below;
}

uint64_t fec_encoder_first(const struct fec_encoder *enc)
{
	return enc->first;
}

uint64_t fec_encoder_next(const struct fec_encoder *enc)
{
	return enc->next;
}

/* Add the combination of count symbols from `first` on to `out`. */
static void encoder_add_range(const struct fec_encoder *enc, uint64_t first,
			      unsigned count, uint32_t key, uint8_t *out)
{
	uint8_t factors[FEC_WINDOW_MAX], sum[FEC_SYMBOL_MAX];
	const uint8_t *from[GF_SOURCES_MAX];
	unsigned n;

	window_coefficients(key, first, count, factors);
	for (unsigned done = 0; done < count; done += n) {
		n = count - done < GF_SOURCES_MAX ? count - done : GF_SOURCES_MAX;
		for (unsigned i = 0; i < n; i++)
			from[i] = encoder_slot(enc, first + done + i);
		gf_dot_product(sum, factors + done, from, n, enc->params.symbol_size);
		gf_add_multiple(out, 1, sum, enc->params.symbol_size);
	}
}

/*
 * Finish the oldest draft, if that is less work than to begin anew. It must cover the
 * whole window; it may cover confirmed symbols as well, but no more than a window of them
 * all, since that is what the other side keeps.
 */
static bool encoder_take_draft(struct fec_encoder *enc, struct fec_repair *head,
			       uint8_t *out)
{
	uint64_t most = enc->params.window, earliest, early, late;
	struct plan_draft *draft;

	earliest = enc->next < most ? 0 : enc->next - most;
	while ((draft = plan_oldest(&enc->plan)) &&
	       draft->first + ENCODER_SLACK < earliest)
		plan_drop(&enc->plan);
	if (!draft || draft->first >= enc->next)
		return false;
	early = draft->first < earliest ? earliest - draft->first : 0;
	late = draft->first > enc->first ? draft->first - enc->first : 0;
	if (early + late > (enc->next - enc->first) / 2)
		return false;
	memcpy(out, draft->bytes, enc->params.symbol_size);
	/* what was added leaves by being added again */
	encoder_add_range(enc, draft->first, (unsigned)early, draft->key, out);
	encoder_add_range(enc, enc->first, (unsigned)late, draft->key, out);
	head->first = draft->first + early - late;
	head->count = (uint16_t)(enc->next - head->first);
	head->key = draft->key;
	plan_drop(&enc->plan);
	return true;
}

bool fec_encoder_repair(struct fec_encoder *enc, struct fec_repair *head, uint8_t *out)
{
	uint64_t first;

	if (enc->first == enc->next)
		return false;
	if (!encoder_take_draft(enc, head, out)) {
		head->first = enc->first;
		head->count = (uint16_t)(enc->next - enc->first);
		head->key = encoder_key(enc);
		memset(out, 0, enc->params.symbol_size);
		encoder_add_range(enc, head->first, head->count, head->key, out);
	}
	if (plan_left(&enc->plan, enc->next, (unsigned)(enc->next - enc->first), &first))
		plan_begin(&enc->plan, first, encoder_key(enc));
	return true;
}
