// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/window.h"
#include "rt/check.h"
#include "rt/mem.h"

/* Invariant: first <= next <= first + window; ring slot of a number: number % window. */
struct fec_encoder {
	struct fec_params params;
	uint64_t first, next;
	uint32_t key;  /* of the next repair */
	uint8_t *ring; /* owned: window symbols; NULL for FEC_NONE */
};

static uint8_t *encoder_slot(const struct fec_encoder *enc, uint64_t number)
{
	return enc->ring + number % enc->params.window * enc->params.symbol_size;
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
	gf_init();
	enc->params = *params;
	if (params->code == FEC_WINDOW) {
		enc->ring = rt_alloc_blocks((size_t)params->window * params->symbol_size);
		if (!enc->ring)
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

/* `out` becomes the combination of count symbols from `first` on. */
static void encoder_combine(const struct fec_encoder *enc, uint64_t first, unsigned count,
			    uint32_t key, uint8_t *out)
{
	uint8_t factors[FEC_WINDOW_MAX], more[FEC_SYMBOL_MAX];
	const uint8_t *from[GF_SOURCES_MAX];
	unsigned n;

	window_coefficients(key, first, count, factors);
	for (unsigned done = 0; done < count; done += n) {
		n = count - done < GF_SOURCES_MAX ? count - done : GF_SOURCES_MAX;
		for (unsigned i = 0; i < n; i++)
			from[i] = encoder_slot(enc, first + done + i);
		gf_dot_product(done ? more : out, factors + done, from, n,
			       enc->params.symbol_size);
		if (done)
			gf_add_multiple(out, 1, more, enc->params.symbol_size);
	}
}

bool fec_encoder_repair(struct fec_encoder *enc, struct fec_repair *head, uint8_t *out)
{
	if (enc->first == enc->next)
		return false;
	head->first = enc->first;
	head->count = (uint16_t)(enc->next - enc->first);
	head->key = enc->key++ & ~WINDOW_KEY_RANDOM;
	if (enc->params.window > WINDOW_CAUCHY_MAX)
		head->key |= WINDOW_KEY_RANDOM;
	encoder_combine(enc, head->first, head->count, head->key, out);
	return true;
}
